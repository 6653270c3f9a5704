"""Read and write vectors as an array in NAME.npy, float32 (V, D), with words and counts in NAME.vocab.tsv.

Arrays of other tools may be float16 or float64, of either byte order and in Fortran order, with a words file
of words alone. The array is copied into memory, not mapped: if another program truncates a mapped file, the
process ends.
Letters: V words, D dimensions, B rows of a block.
"""

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.storage.arrays import npy_header
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.pairs import digest_headings, read_words_beside, words_alone
from nlpseq.vectors.formats.reader import Source
from nlpseq.vectors.formats.rows import RowBuffer, VectorFile, VectorRows

__all__ = ["MAGIC", "read_npy", "write_npy"]

MAGIC = b"\x93NUMPY"
_DTYPE = np.dtype("<f4")
_HEADING = b"word\tcount\tspecials="
_BLOCK_BYTES = 1 << 20  # read at once
_MAX_HEADER_BYTES = 512  # NumPy writes 118 for an array of two dimensions


class _Array(NamedTuple):
    """The header of an array."""

    num_words: int
    dim: int
    dtype: np.dtype[Any]
    by_columns: bool


def read_npy(source: Source) -> VectorFile:
    """Read an array and the words beside it."""
    array = _array(source)
    if array.by_columns and array.num_words:  # the file holds the transpose, row by row
        matrix_VD = np.ascontiguousarray(_read_rows(source, array.dim, array.num_words, array.dtype).T)
        matrix_VD = matrix_VD[: source.options.load_top]
    else:
        num_rows = min(array.num_words, source.options.load_top or array.num_words)
        matrix_VD = _read_rows(source, num_rows, array.dim, array.dtype)
        if num_rows == array.num_words and source.stream.read(1):
            raise _wrong_size(source, array)
    vocab, notices = read_words_beside(source, "npy", matrix_VD, _parse_vocab, array.num_words)
    return VectorFile(vocab, matrix_VD, TITLES["npy"], notices)


def _read_rows(source: Source, num_rows: int, length: int, dtype: np.dtype[Any]) -> npt.NDArray[np.float32]:
    """Read rows of numbers as float32; memory of a compressed file follows the bytes that were read."""
    rows = RowBuffer(length, 0 if source.compressed else num_rows)
    block_BD = np.empty((max(1, _BLOCK_BYTES // (length * dtype.itemsize)), length), dtype)
    while rows.filled < num_rows:
        part_BD = block_BD[: num_rows - rows.filled]
        num_bytes = part_BD.nbytes
        if source.stream.readinto(part_BD.reshape(-1).view(np.uint8).data) < num_bytes:
            raise _wrong_size(source, _Array(num_rows, length, dtype, False))
        rows.make_room(len(part_BD))
        with np.errstate(over="ignore"):
            rows.matrix_VD[rows.filled : rows.filled + len(part_BD)] = part_BD
        rows.add(len(part_BD), b"")
    return rows.finish("\n")[1]


def _wrong_size(source: Source, array: _Array) -> ArtifactError:
    return source.corrupt(
        f"does not hold the {array.num_words:,} x {array.dim:,} numbers that its header declares"
    )


def _parse_vocab(content: bytes, has_digests: bool, file: Path) -> Vocab:
    """Read words with counts under the heading of nlpseq, or words alone."""
    if has_digests or content.startswith(_HEADING):
        return Vocab.from_bytes(content, file)
    return words_alone(content, False, file)


def _array(source: Source) -> _Array:
    """Read the header; raises ArtifactError unless it declares rows of floats that fit the file."""
    header = _header(source)
    try:
        version = np.lib.format.read_magic(header)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, by_columns, dtype = readers[version](header)
    except MemoryError:  # says nothing about the file, because the header is short
        raise
    except Exception as error:  # any, because NumPy parses the header as Python
        raise source.corrupt(f"is not a readable .npy array ({error})") from error
    if dtype.kind in "US":
        raise ArtifactError(
            f"{source.name}: is an array of texts ({dtype}), not of vectors. Name the array of vectors, "
            "NAME.npy, and write its words into NAME.vocab.tsv beside it, one a line."
        )
    are_sizes = len(shape) == 2 and all(type(size) is int for size in shape) and shape[0] >= 0 < shape[1]
    if not are_sizes or dtype.kind != "f" or dtype.itemsize > 8 or dtype.shape:
        raise ArtifactError(
            f"{source.name}: holds {dtype} of shape {shape}, not floats of shape (words, dimensions). "
            "Store the array again: np.save(file, np.ascontiguousarray(array, np.float32))."
        )
    num_words, dim = shape
    num_bytes = num_words * dim * dtype.itemsize
    if not source.compressed and source.size != source.stream.tell() + num_bytes:
        raise source.corrupt(
            f"has {count_text(source.size, 'byte')}, but its header declares {num_words:,} x {dim:,} numbers"
        )
    source.check_room(num_words, dim, num_bytes)
    return _Array(num_words, dim, dtype, by_columns)


def _header(source: Source) -> BinaryIO:
    """Read the bytes before the array, truncated at a length that the headers of vectors never reach.

    NumPy refuses a truncated header. For a longer one it would allocate the declared length, and a deeply
    nested one would exhaust the stack of Python's parser.
    """
    magic = source.stream.read(len(MAGIC) + 2)  # and the version
    size = source.stream.read(2 if magic[len(MAGIC) :] == b"\1\0" else 4)
    num_bytes = min(int.from_bytes(size, "little"), _MAX_HEADER_BYTES)
    return BytesIO(magic + size + source.stream.read(num_bytes))


def write_npy(rows: VectorRows, words: BinaryIO, array: BinaryIO) -> None:
    """Write the array, and the words with their counts and the digests of both."""
    heading, end, lines = Vocab(rows.words, rows.counts[rows.rows]).to_bytes().partition(b"\n")
    digests = digest_headings(rows.words, (block_BD for _, block_BD in rows.blocks()))
    words.write(heading + digests + end + lines)
    array.write(npy_header(_DTYPE, (len(rows.words), rows.matrix_VD.shape[1])))
    for _, block_BD in rows.blocks():
        array.write(block_BD.astype(_DTYPE).tobytes())
