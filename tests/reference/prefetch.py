"""Prefetch in plain Python: the function of core/prefetch_numba.py, same signature."""

from typing import Any


def prefetch(array: Any, index: tuple[int, ...]) -> None:
    """Read array[index], because a prefetch of an element changes nothing else than the cache."""
    array[index]
