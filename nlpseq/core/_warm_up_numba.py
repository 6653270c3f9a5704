"""The smallest function there is to compile: Numba loads a good deal for the first one of a process."""

from numba import njit


@njit
def nothing():  # type: ignore[no-untyped-def]
    return
