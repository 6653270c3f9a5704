"""Read and write vectors as an array in NAME.npy, float32 (V, D), with words and counts in NAME.vocab.tsv.

The array is copied into memory, not mapped: if another program truncates a mapped file, the process ends.
Letters: V words, D dimensions.
"""

from io import BytesIO
from typing import BinaryIO

import numpy as np

from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.storage.arrays import npy_header
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.pairs import digest_headings, read_words_beside
from nlpseq.vectors.formats.reader import Source
from nlpseq.vectors.formats.rows import VectorFile, VectorRows

__all__ = ["MAGIC", "read_npy", "write_npy"]

MAGIC = b"\x93NUMPY"
_DTYPE = np.dtype("<f4")
_BLOCK_BYTES = 1 << 20  # read at once
_MAX_HEADER_BYTES = 512  # NumPy writes 118 for an array of two dimensions


def read_npy(source: Source) -> VectorFile:
    """Read an array and the words beside it."""
    shape = _shape(source)
    num_bytes = shape[0] * shape[1] * _DTYPE.itemsize
    if source.compressed:  # memory follows the bytes that were read
        content = bytearray()
        while block := source.stream.read(min(num_bytes - len(content), _BLOCK_BYTES)):
            content += block
        num_read, numbers = len(content), np.frombuffer(content, _DTYPE, len(content) // _DTYPE.itemsize)
    else:
        numbers = np.empty(shape[0] * shape[1], _DTYPE)
        num_read = source.stream.readinto(numbers.view(np.uint8).data)
    if num_read < num_bytes or source.stream.read(1):
        raise source.corrupt(
            f"does not hold the {shape[0]:,} x {shape[1]:,} numbers that its header declares"
        )
    matrix_VD = numbers.astype(np.float32, copy=False).reshape(shape)
    vocab = read_words_beside(source, "npy", matrix_VD, lambda words, _, file: Vocab.from_bytes(words, file))
    return VectorFile(Vocab(vocab.words, vocab.counts), matrix_VD, TITLES["npy"], [])


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
        raise source.corrupt(
            f"has {count_text(source.size, 'byte')}, but its header declares {num_words:,} x {dim:,} numbers"
        )
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


def write_npy(rows: VectorRows, words: BinaryIO, array: BinaryIO) -> None:
    """Write the array, and the words with their counts and the digests of both."""
    heading, end, lines = Vocab(rows.words, rows.counts[rows.rows]).to_bytes().partition(b"\n")
    digests = digest_headings(rows.words, (block_BD for _, block_BD in rows.blocks()))
    words.write(heading + digests + end + lines)
    array.write(npy_header(_DTYPE, (len(rows.words), rows.matrix_VD.shape[1])))
    for _, block_BD in rows.blocks():
        array.write(block_BD.astype(_DTYPE).tobytes())
