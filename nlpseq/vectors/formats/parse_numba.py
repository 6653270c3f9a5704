"""Parse the rows of vector files from a block of bytes: lines of text, and rows of word2vec binary.

fields.parse_row is the specification of take_lines, which stops at a line that is not plain and leaves the
line to parse_row: a word with spaces, nan, a wrong number, or a number so near to the middle of two float32
values that this arithmetic cannot choose. tests/reference/vector_rows.py holds the plain counterparts.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["take_lines", "take_rows"]

_TAB, _NEWLINE, _RETURN, _SPACE = np.uint8(9), np.uint8(10), np.uint8(13), np.uint8(32)
_PLUS, _MINUS, _POINT, _ZERO, _NINE = np.uint8(43), np.uint8(45), np.uint8(46), np.uint8(48), np.uint8(57)
_SMALL_E, _LARGE_E = np.uint8(101), np.uint8(69)
_MAX_DIGITS = 18  # that fit an int64
_MAX_POWER = 60  # of ten, in the table
_POWERS = np.array([float(f"1e{power}") for power in range(-_MAX_POWER, _MAX_POWER + 1)])
_BELOW, _ABOVE = 1 - 2.0**-50, 1 + 2.0**-50  # the digits, the power and their product each err by 2^-53


@njit(inline="always")
def _digits(block, at, end, number, num_digits):  # type: ignore[no-untyped-def]
    """Append the next digits to a number, up to 18; also count the digits dropped."""
    dropped = 0
    while at < end and _ZERO <= block[at] <= _NINE:
        if num_digits < _MAX_DIGITS:
            number = number * 10 + np.int64(block[at] - _ZERO)
            num_digits += number > 0
        else:
            dropped += 1
        at += 1
    return number, num_digits, dropped, at


@njit(inline="always")
def _signed(block, at, end):  # type: ignore[no-untyped-def]
    """Return whether a minus comes next, and the offset after the sign."""
    negative = at < end and block[at] == _MINUS
    return negative, at + (negative or (at < end and block[at] == _PLUS))


@njit(nogil=True, cache=True)
def _number(block, at, end):  # type: ignore[no-untyped-def]
    """Return the float32 at an offset, the offset after it, and whether the value is certain."""
    negative, start = _signed(block, at, end)
    number, num_digits, power, at = _digits(block, start, end, np.int64(0), 0)
    has_digits = at > start
    if at < end and block[at] == _POINT:
        start = at + 1
        number, num_digits, dropped, at = _digits(block, start, end, number, num_digits)
        has_digits = has_digits or at > start
        power -= at - start - dropped
    if at < end and (block[at] == _SMALL_E or block[at] == _LARGE_E):
        down, start = _signed(block, at + 1, end)
        exponent, _, dropped, at = _digits(block, start, end, np.int64(0), _MAX_DIGITS - 6)
        has_digits = has_digits and at > start and dropped == 0
        power += -exponent if down else exponent
    if not has_digits or abs(power) > _MAX_POWER:
        return np.float32(0), at, False
    product = number * _POWERS[power + _MAX_POWER]
    low, high = np.float32(product * _BELOW), np.float32(product * _ABOVE)
    return (-low if negative else low), at, low == high and np.isfinite(high)


@njit(inline="always")
def _is_separator(byte):  # type: ignore[no-untyped-def]
    return byte <= _SPACE and byte in (_SPACE, _TAB)  # because one comparison is enough for most bytes


@njit(nogil=True, cache=True)
def take_lines(
    block: npt.NDArray[np.uint8],
    start: int,
    end: int,
    has_word: bool,
    matrix: npt.NDArray[np.float32],
    filled: int,
) -> tuple[int, int, int]:
    """Move the plain lines at block[start:end] to matrix[filled:], up to the first other line.

    The words are moved to block[start:], each followed by a newline, over bytes that were consumed.
    Returns the number of lines, of bytes consumed, and of bytes of the words.
    """
    at, row, written = start, filled, start
    while row < len(matrix):
        stop = at
        while stop < end and block[stop] != _NEWLINE:
            stop += 1
        last = stop
        while last > at and (_is_separator(block[last - 1]) or block[last - 1] == _RETURN):
            last -= 1
        word_end = at
        while has_word and word_end < last and not _is_separator(block[word_end]):
            word_end += 1
        here, plain = word_end, stop < end
        for d in range(matrix.shape[1]):
            gap = here
            while here < last and _is_separator(block[here]):
                here += 1
            plain = plain and (here > gap or (d == 0 and not has_word))
            if not plain:
                break
            matrix[row, d], here, plain = _number(block, here, last)
        if not plain or here != last:
            break
        for k in range(at, word_end):
            block[written] = block[k]
            written += 1
        if has_word:
            block[written] = _NEWLINE
            written += 1
        at = stop + 1
        row += 1
    return row - filled, at - start, written - start


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
