"""Collect words and vectors while a file is read.

Letters: V words, D dimensions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab

__all__ = ["UNKNOWN_COUNT", "RowBuffer", "VectorFile", "decode_words", "quote_first", "without_counts"]

UNKNOWN_COUNT = -1


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

    def words(self, separator: str) -> list[str]:
        """Return the words, decoded at once, which is safe because the separator is ASCII."""
        return decode_words(b"".join(self._words)).split(separator)[:-1]

    def matrix(self) -> npt.NDArray[np.float32]:
        """Return the filled rows, float32, (V, D)."""
        self.matrix_VD.resize((self.filled, self.dim), refcheck=False)
        return self.matrix_VD


def without_counts(words: Sequence[str]) -> Vocab:
    """Return the vocabulary of a format that stores no counts."""
    return Vocab(words, np.full(len(words), UNKNOWN_COUNT))


def decode_words(words: bytes) -> str:
    """Decode UTF-8; invalid bytes (word2vec.c cuts inside characters) become surrogate escapes."""
    return words.decode("utf-8", "surrogateescape")


def quote_first(words: Sequence[str]) -> str:
    """Quote the first five words for a message."""
    return ", ".join(map(repr, words[:5])) + (", ..." if len(words) > 5 else "")
