"""Memory that is free goes back to the system, where the C library is glibc, which would keep most of it."""

import ctypes
import sys
from typing import Any

_M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 4 << 20  # bytes; smaller blocks are needed again and again while a text is encoded


def keep_no_large_blocks() -> None:
    """From now on large blocks go back once they are freed; smaller ones wait for give_memory_back."""
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE)


def give_memory_back() -> None:
    """Give back what is free now, as it is after one kind of work and before another."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
