"""The rows of a word2vec binary file, from a block of its bytes into a matrix."""

import numpy as np
import numpy.typing as npt
from numba import njit

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
    """Move the whole rows that block[start:end] begins with to matrix[filled:height], (V, bytes of a row).

    The words are left in the block from `start` on, where nothing is needed any more, a space behind each.
    Returns how many rows and bytes were taken, and how many bytes the words have now.
    """
    row_bytes = matrix.shape[1]
    at, row, written = start, filled, start
    while row < height:
        word = at
        if word < end and block[word] == _NEWLINE:  # word2vec.c ends the row before with it, gensim does not
            word += 1
        space = word
        while space < end and block[space] != _SPACE:
            space += 1
        if space + 1 + row_bytes > end:
            break
        for k in range(word, space + 1):
            block[written] = block[k]
            written += 1
        numbers, vector = block[space + 1 :], matrix[row]  # an index that begins at 0 makes this a plain copy
        for k in range(row_bytes):
            vector[k] = numbers[k]
        at = space + 1 + row_bytes
        row += 1
    return row - filled, at - start, written - start
