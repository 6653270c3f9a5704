"""Parse the rows of a word2vec binary file from a block of bytes.

tests/reference/vector_rows.py holds the plain counterpart.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["take_rows"]

_NEWLINE, _SPACE = np.uint8(10), np.uint8(32)


@njit(nogil=True, cache=True)
def take_rows(
    block: npt.NDArray[np.uint8],
    start: int,
    end: int,
    matrix: npt.NDArray[np.uint8],
    filled: int,
    height: int,
) -> tuple[int, int, int]:
    """Move the complete rows at block[start:end] to matrix[filled:height], (V, 4 D) bytes.

    The words are moved to block[start:], each followed by a space, over bytes that were consumed.
    Returns the number of rows, of bytes consumed, and of bytes of the words.
    """
    row_bytes = matrix.shape[1]
    at, row, written = start, filled, start
    while row < height:
        word = at
        if word < end and block[word] == _NEWLINE:  # ends the row before, if word2vec.c wrote it
            word += 1
        space = word
        while space < end and block[space] != _SPACE:
            space += 1
        if space + 1 + row_bytes > end:
            break
        for k in range(word, space + 1):
            block[written] = block[k]
            written += 1
        numbers, vector = block[space + 1 :], matrix[row]  # because an index from 0 compiles to a plain copy
        for k in range(row_bytes):
            vector[k] = numbers[k]
        at = space + 1 + row_bytes
        row += 1
    return row - filled, at - start, written - start
