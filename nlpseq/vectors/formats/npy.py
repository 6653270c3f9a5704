"""Read and write vectors as an array in NAME.npy, float32 (V, D), with words and counts in NAME.vocab.tsv.

The array is copied into memory, not mapped: if another program truncates a mapped file, the process ends.
Letters: V words, D dimensions.
"""

from io import BytesIO
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.storage.arrays import npy_header
from nlpseq.vectors.formats.names import TITLES, files_of
from nlpseq.vectors.formats.reader import Source, open_source, path_exists
from nlpseq.vectors.formats.row_buffer import VectorFile
from nlpseq.vectors.formats.writer import VectorRows, check_pair, digest_headings, split_digests

__all__ = ["MAGIC", "read_npy", "write_npy"]

MAGIC = b"\x93NUMPY"
_DTYPE = np.dtype("<f4")
_BLOCK_BYTES = 1 << 20  # read at once
_MAX_HEADER_BYTES = 512  # NumPy writes 118 for an array of two dimensions


def read_npy(source: Source) -> VectorFile:
    """Read an array and the words beside it."""
    shape = _shape(source)
    matrix_VD = _inflated(source, shape) if source.compressed else _plain(source, shape)
    return VectorFile(_vocab_beside(source, matrix_VD), matrix_VD, TITLES["npy"], [])


def _shape(source: Source) -> tuple[int, int]:
    """Read V and D; raises ArtifactError unless the header declares float32 rows that fit the file."""
    header = _header(source)
    try:
        version = np.lib.format.read_magic(header)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, by_columns, dtype = readers[version](header)
    except MemoryError:  # says nothing about the file, because the header is short
        raise
    except Exception as error:  # any, because NumPy parses the header as Python
        raise source.corrupt(f"is not a readable .npy array ({error})") from error
    if len(shape) != 2 or shape[1] < 1 or by_columns or dtype != _DTYPE:
        raise ArtifactError(
            f"{source.file}: holds {dtype} of shape {shape}, not float32 rows of shape (words, dimensions). "
            "Store the array again: np.save(file, np.ascontiguousarray(array, np.float32))."
        )
    num_words, dim = shape
    num_bytes = num_words * dim * _DTYPE.itemsize
    source.check_room(num_words, dim, num_bytes)
    if not source.compressed and source.size != source.stream.tell() + num_bytes:
        raise source.corrupt(f"has {source.size} bytes, but its header declares {num_words} x {dim} numbers")
    return num_words, dim


def _header(source: Source) -> BinaryIO:
    """Read the bytes before the array, truncated at a length that the headers of vectors never reach.

    NumPy refuses a truncated header. For a longer one it would allocate the declared length, and a deeply
    nested one would exhaust the stack of Python's parser.
    """
    magic = source.stream.read(len(MAGIC) + 2)  # and the version
    size = source.stream.read(2 if magic[len(MAGIC) :] == b"\1\0" else 4)
    num_bytes = min(int.from_bytes(size, "little"), _MAX_HEADER_BYTES)
    return BytesIO(magic + size + source.stream.read(num_bytes))


def _plain(source: Source, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Read the array after the header, whose size was compared with the file's."""
    matrix_VD = np.empty(shape, _DTYPE)
    content, filled = matrix_VD.reshape(-1).view(np.uint8).data, 0
    while count := source.stream.readinto(content[filled : filled + _BLOCK_BYTES]):
        filled += count
    if filled < len(content):
        raise _wrong_length(source, shape)
    return matrix_VD.astype(np.float32, copy=False)


def _inflated(source: Source, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Read the array after the header; memory follows the bytes that were read."""
    content, missing = bytearray(), shape[0] * shape[1] * _DTYPE.itemsize
    while block := source.stream.read(min(missing, _BLOCK_BYTES)):
        content += block
        missing -= len(block)
    if missing or source.stream.read(1):
        raise _wrong_length(source, shape)
    return np.frombuffer(content, _DTYPE).astype(np.float32, copy=False).reshape(shape)


def _wrong_length(source: Source, shape: tuple[int, int]) -> ArtifactError:
    return source.corrupt(f"does not hold the {shape[0]} x {shape[1]} numbers that its header declares")


def _vocab_beside(source: Source, matrix_VD: npt.NDArray[np.float32]) -> Vocab:
    beside = files_of(source.file, "npy")[0]
    if not path_exists(beside):
        raise ArtifactError(
            f"{source.file}: holds numbers alone, and {beside.name} with their words is missing. "
            "Copy both files, or convert the model again."
        )
    with open_source(beside) as words:
        content, headings = split_digests(words.stream.read())
        vocab = Vocab.from_bytes(content, beside)
    if len(vocab) != len(matrix_VD):
        raise words.corrupt(f"has {len(vocab)} words, but {source.file.name} has {len(matrix_VD)} vectors")
    check_pair((source.file, beside), headings, vocab.words, matrix_VD)
    return Vocab(vocab.words, vocab.counts)


def write_npy(rows: VectorRows, words: BinaryIO, array: BinaryIO) -> None:
    """Write the array, and the words with their counts and the digests of both."""
    heading, end, lines = Vocab(rows.words, rows.counts[rows.rows]).to_bytes().partition(b"\n")
    digests = digest_headings(rows.words, (block_BD for _, block_BD in rows.blocks()))
    words.write(heading + digests + end + lines)
    array.write(npy_header(_DTYPE, (len(rows.words), rows.dim)))
    for _, block_BD in rows.blocks():
        array.write(block_BD.astype(_DTYPE).tobytes())
