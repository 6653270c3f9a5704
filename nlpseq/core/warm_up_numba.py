"""Load the compiler, by compiling an empty function: Numba imports most of itself at the first one."""

from numba import njit

__all__ = ["warm_up"]


@njit
def warm_up():  # type: ignore[no-untyped-def]
    return
