"""Recognize a text without words, compiled: one rule for the records of every format."""

from numba import njit

__all__ = ["is_blank"]


@njit(inline="always")
def is_blank(data, start, end):  # type: ignore[no-untyped-def]
    """Return True if a range holds white space and control characters of ASCII alone."""
    at = start
    while at < end and data[at] <= 0x20:
        at += 1
    return at >= end
