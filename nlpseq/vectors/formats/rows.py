"""Words and vectors, as they are collected from a file and as they are written to one.

Letters: V words, D dimensions, B rows of a block.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab

__all__ = ["RowBuffer", "VectorFile", "VectorRows", "decode_words", "encode_word", "quote_first"]
__all__ += ["without_counts"]

_UNKNOWN_COUNT = -1
_BLOCK_ROWS = 1024


class VectorFile(NamedTuple):
    """The content of a vector file."""

    vocab: Vocab
    matrix_VD: npt.NDArray[np.float32]
    format: str
    notices: list[str]  # for the user, such as about repeated words


class RowBuffer:
    """Words and vectors read so far, in a matrix that grows if `height` was too low.

    height: rows to allocate at once. Pass 0 if the file size does not bound the number of rows, so that
    memory follows the bytes that were read.
    """

    def __init__(self, dim: int, height: int = 0) -> None:
        self.dim = dim
        self.matrix_VD = np.empty((height, dim), np.float32)
        self.filled = 0
        self._words = list[bytes]()

    def make_room(self, num_rows: int) -> None:
        """Grow the matrix to at least `num_rows` free rows."""
        height = len(self.matrix_VD)
        if self.filled + num_rows > height:
            height = max(self.filled + num_rows, height + height // 4)
            self.matrix_VD.resize((height, self.dim), refcheck=False)  # in place: no view outlives this call

    def add(self, num_rows: int, words: bytes) -> None:
        """Count rows as filled; words: their words, each followed by a separator."""
        self.filled += num_rows
        self._words.append(words)

    def finish(self, separator: str) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Return the words, and the filled rows, float32, (V, D)."""
        words = decode_words(b"".join(self._words))  # at once, which is safe because the separator is ASCII
        self.matrix_VD.resize((self.filled, self.dim), refcheck=False)
        return words.split(separator)[:-1], self.matrix_VD


class VectorRows(NamedTuple):
    """Words as they are written, their counts, and the row of the matrix for each word."""

    words: Sequence[str]
    counts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]
    matrix_VD: npt.NDArray[np.float32]

    def blocks(self) -> Iterator[tuple[Sequence[str], npt.NDArray[np.float32]]]:
        """Yield words and their vectors in blocks of rows."""
        for start in range(0, len(self.words), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            yield self.words[block], self.matrix_VD[self.rows[block]]


def without_counts(words: Sequence[str]) -> Vocab:
    """Return the vocabulary of a format that stores no counts."""
    return Vocab(words, np.full(len(words), _UNKNOWN_COUNT))


def encode_word(word: str) -> bytes:
    """Encode a word as UTF-8, and surrogate escapes as the bytes they stand for."""
    return word.encode("utf-8", "surrogateescape")


def decode_words(words: bytes) -> str:
    """Decode UTF-8; invalid bytes (word2vec.c cuts inside characters) become surrogate escapes."""
    return words.decode("utf-8", "surrogateescape")


def quote_first(words: Sequence[str]) -> str:
    """Quote the first five words for a message."""
    return ", ".join(map(repr, words[:5])) + (", ..." if len(words) > 5 else "")
