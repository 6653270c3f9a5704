"""Words and vectors while they are read, and what a file held in the end. Letters: V words, D dimensions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab

UNKNOWN_COUNT = -1


class VectorFile(NamedTuple):
    """What a file of vectors holds."""

    vocab: Vocab
    matrix_VD: npt.NDArray[np.float32]
    format: str
    notices: list[str]  # what a person should know of the file, such as repeated words


class RowBuffer:
    """Words and vectors read so far. The matrix has the promised height and grows where that is too low.

    Where it is not known what a file can hold, promise nothing: what is allocated then follows what is read.
    """

    def __init__(self, dim: int, height: int = 0) -> None:
        self.dim = dim
        self.matrix_VD = np.empty((height, dim), np.float32)
        self.filled = 0
        self._words = list[bytes]()

    def make_room(self, num_rows: int) -> None:
        """Have at least so many rows below those that are filled."""
        height = len(self.matrix_VD)
        if self.filled + num_rows > height:
            self._resize(max(self.filled + num_rows, height + height // 4))

    def add(self, num_rows: int, words: bytes) -> None:
        """Count rows as filled; words: theirs, each with a separator behind it."""
        self.filled += num_rows
        self._words.append(words)

    def words(self, separator: str) -> list[str]:
        """The words, decoded at once, which is as good as one by one where ASCII separates them."""
        return decoded(b"".join(self._words)).split(separator)[:-1]

    def matrix(self) -> npt.NDArray[np.float32]:
        self._resize(self.filled)
        return self.matrix_VD

    def _resize(self, height: int) -> None:
        self.matrix_VD.resize((height, self.dim), refcheck=False)  # in place; views are taken anew


def without_counts(words: Sequence[str]) -> Vocab:
    """The vocabulary of a format that has no counts."""
    return Vocab(words, np.full(len(words), UNKNOWN_COUNT))


def decoded(words: bytes) -> str:
    """Bytes that are no UTF-8 (word2vec.c cuts words inside a character) live on as surrogate escapes."""
    return words.decode("utf-8", "surrogateescape")


def some(words: Sequence[str]) -> str:
    """The first five, for a message."""
    return ", ".join(map(repr, words[:5])) + (", ..." if len(words) > 5 else "")
