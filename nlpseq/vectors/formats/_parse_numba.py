"""Lines of numbers, from a block of bytes to float32 in one pass; _text.parse_row is the specification.

A line that is not plain is left to it: one whose word holds spaces, with nan or a wrong number, or with a
number so near to the middle between two float32 that this arithmetic does not tell which one is meant.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

_NEWLINE, _SPACE = np.uint8(10), np.uint8(32)
_PLUS, _MINUS, _POINT, _ZERO, _NINE = np.uint8(43), np.uint8(45), np.uint8(46), np.uint8(48), np.uint8(57)
_SMALL_E, _LARGE_E = np.uint8(101), np.uint8(69)
_DIGITS = 18  # what an int64 holds
_LARGEST = 60  # power of ten in the table
_POWERS = np.array([float(f"1e{power}") for power in range(-_LARGEST, _LARGEST + 1)])
_BELOW, _ABOVE = 1 - 2.0**-50, 1 + 2.0**-50  # the digits, the power and their product each err by 2^-53


@njit(inline="always")
def _digits(block, at, end, number, num_digits):  # type: ignore[no-untyped-def]
    """Append the digits that follow to a number, up to the 18 that count; also how many were dropped."""
    dropped = 0
    while at < end and _ZERO <= block[at] <= _NINE:
        if num_digits < _DIGITS:
            number = number * 10 + np.int64(block[at] - _ZERO)
            num_digits += number > 0
        else:
            dropped += 1
        at += 1
    return number, num_digits, dropped, at


@njit(inline="always")
def _signed(block, at, end):  # type: ignore[no-untyped-def]
    """Whether a minus comes next, and the place behind a sign."""
    negative = at < end and block[at] == _MINUS
    return negative, at + (negative or (at < end and block[at] == _PLUS))


@njit(nogil=True, cache=True)
def _number(block, at, end):  # type: ignore[no-untyped-def]
    """The float32 that begins here, the place behind it, and whether it is certain."""
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
        exponent, _, dropped, at = _digits(block, start, end, np.int64(0), _DIGITS - 6)
        has_digits = has_digits and at > start and dropped == 0
        power += -exponent if down else exponent
    if not has_digits or abs(power) > _LARGEST:
        return np.float32(0), at, False
    product = number * _POWERS[power + _LARGEST]
    low, high = np.float32(product * _BELOW), np.float32(product * _ABOVE)
    return (-low if negative else low), at, low == high and np.isfinite(high)


@njit(nogil=True, cache=True)
def take_lines(
    block: npt.NDArray[np.uint8],
    start: int,
    end: int,
    separator: int,
    has_word: bool,
    matrix: npt.NDArray[np.float32],
    filled: int,
) -> tuple[int, int, int]:
    """Move the plain lines that block[start:end] begins with to matrix[filled:], up to the first other one.

    The words are left in the block from `start` on, where nothing is needed any more, a newline behind each.
    Returns how many lines and bytes were taken, and how many bytes the words have now.
    """
    at, row, written = start, filled, start
    while row < len(matrix):
        stop = at
        while stop < end and block[stop] != _NEWLINE:
            stop += 1
        last = stop
        while last > at and (block[last - 1] == _SPACE or 9 <= block[last - 1] <= 13):
            last -= 1
        word_end = at
        while has_word and word_end < last and block[word_end] != _SPACE:
            word_end += 1
        here, plain = word_end, stop < end
        for d in range(matrix.shape[1]):
            if d > 0 or has_word:
                plain = plain and here < last and block[here] == separator
                here += 1
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
