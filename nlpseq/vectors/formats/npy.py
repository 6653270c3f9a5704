"""Vectors as an array in NAME.npy, float32 (V, D), and words with their counts in NAME.vocab.tsv beside it.

The array is read, not mapped: where another program cuts a mapped file short, the process ends.
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
from nlpseq.vectors.formats.reader import Source, is_there, opened
from nlpseq.vectors.formats.row_buffer import VectorFile
from nlpseq.vectors.formats.writer import VectorRows, check_pair, digest_headings, split_digests

MAGIC = b"\x93NUMPY"
_DTYPE = np.dtype("<f4")
_BLOCK = 1 << 20  # bytes read at once
_LONGEST_HEADER = 512  # bytes; NumPy writes 118 for an array of two dimensions
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(source: Source) -> VectorFile:
    shape = _shape(source)
    matrix_VD = _unpacked(source, shape) if source.packed else _plain(source, shape)
    return VectorFile(_vocab_beside(source, matrix_VD), matrix_VD, TITLES["npy"], [])


def _shape(source: Source) -> tuple[int, int]:
    """V and D, after a look at the header alone: of float32, row after row, and as much as there is."""
    header = _header(source)
    try:
        version = np.lib.format.read_magic(header)
        shape, by_columns, dtype = _READ_HEADER[version](header)
    except MemoryError:  # which says nothing of the file, as the header is short
        raise
    except Exception as error:  # any, because NumPy parses the header as Python
        raise source.damage(f" is not a readable .npy array ({error})") from error
    if len(shape) != 2 or shape[1] < 1 or by_columns or dtype != _DTYPE:
        raise ArtifactError(
            f"{source.file} holds {dtype} of shape {shape}, expected float32 by rows, (words, dimensions). "
            "Store it anew: np.save(file, np.ascontiguousarray(array, np.float32))."
        )
    num_words, dim = shape
    num_bytes = num_words * dim * _DTYPE.itemsize
    source.check_room(num_words, dim, num_bytes)
    if not source.packed and source.size != source.stream.tell() + num_bytes:
        raise source.damage(f" has {source.size} bytes, its header promises {num_words} x {dim} numbers")
    return num_words, dim


def _header(source: Source) -> BinaryIO:
    """All that comes before the array, cut off where it is longer than vectors have it, which NumPy refuses.

    For a long one it takes as much memory as that promises, and a deep one uses up that of Python's parser.
    """
    magic = source.stream.read(len(MAGIC) + 2)  # and the version
    size = source.stream.read(2 if magic[len(MAGIC) :] == b"\1\0" else 4)
    num_bytes = min(int.from_bytes(size, "little"), _LONGEST_HEADER)
    return BytesIO(magic + size + source.stream.read(num_bytes))


def _plain(source: Source, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The array behind the header, whose size was held against that of the file."""
    matrix_VD = np.empty(shape, _DTYPE)
    content, filled = matrix_VD.reshape(-1).view(np.uint8).data, 0
    while count := source.stream.readinto(content[filled : filled + _BLOCK]):
        filled += count
    if filled < len(content):
        raise _not_promised(source, shape)
    return matrix_VD.astype(np.float32, copy=False)


def _unpacked(source: Source, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The array behind the header; what is allocated follows what is read."""
    content, missing = bytearray(), shape[0] * shape[1] * _DTYPE.itemsize
    while block := source.stream.read(min(missing, _BLOCK)):
        content += block
        missing -= len(block)
    if missing or source.stream.read(1):
        raise _not_promised(source, shape)
    return np.frombuffer(content, _DTYPE).astype(np.float32, copy=False).reshape(shape)


def _not_promised(source: Source, shape: tuple[int, int]) -> ArtifactError:
    return source.damage(f" does not hold the {shape[0]} x {shape[1]} numbers that its header promises")


def _vocab_beside(source: Source, matrix_VD: npt.NDArray[np.float32]) -> Vocab:
    beside = files_of(source.file, "npy")[0]
    if not is_there(beside):
        raise ArtifactError(
            f"{source.file} holds numbers alone, and there is no {beside.name} with their words beside it. "
            "Copy both, or convert the model again."
        )
    with opened(beside) as words:
        content, headings = split_digests(words.stream.read())
        vocab = Vocab.from_bytes(content, beside)
    if len(vocab) != len(matrix_VD):
        raise words.damage(f" has {len(vocab)} words, {source.file.name} has {len(matrix_VD)} vectors")
    check_pair((source.file, beside), headings, vocab.words, matrix_VD)
    return Vocab(vocab.words, vocab.counts)


def write_npy(table: VectorRows, words: BinaryIO, array: BinaryIO) -> None:
    heading, end, lines = Vocab(table.words, table.counts[table.rows]).to_bytes().partition(b"\n")
    words.write(
        heading + digest_headings(table.words, (block_BD for _, block_BD in table.blocks())) + end + lines
    )
    array.write(npy_header(_DTYPE, (len(table.words), table.dim)))
    for _, block_BD in table.blocks():
        array.write(block_BD.astype(_DTYPE).tobytes())
