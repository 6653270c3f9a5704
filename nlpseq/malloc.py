"""What becomes of memory that is free: kept for later, or given back to the system; when it is searched for.

Most are switches of glibc for the whole process; where the C library is another one, they do nothing.
"""

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # malloc.h
LARGE = 4 << 20  # bytes


def keep_all() -> None:
    """Keep what is freed: where large arrays come and go at every step, as fresh pages are slow."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_MMAP_MAX, 0)


def keep_no_large() -> None:
    """Give blocks back as soon as they are freed that are LARGE; glibc would learn to keep them."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """Give back what is free now, as much is after one kind of work and before another."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@contextmanager
def no_search() -> Iterator[None]:
    """Put off Python's search for objects that only hold each other, of which work in bulk makes none.

    It would walk through all that compilers keep, while every thread waits.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _glibc() -> Any:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
