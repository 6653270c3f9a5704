"""Multiply rows of a sparse matrix by a block of columns: most of the time of randomised SVD."""

import numpy as np
from numba import njit

__all__ = ["COLUMNS", "multiply_rows"]

COLUMNS = 64  # of a block: four registers of 512 bits, and few enough for the rows to stay in cache


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def multiply_rows(indptr, indices, data, dense_CL, out_RL, first, last):  # type: ignore[no-untyped-def]
    """Run out[first:last] = sparse[first:last] @ dense for a dense block of COLUMNS columns."""
    total_L = np.empty(COLUMNS, np.float32)
    for row in range(first, last):
        total_L[:] = 0
        for n in range(indptr[row], indptr[row + 1]):
            value, column = data[n], indices[n]
            for j in range(COLUMNS):
                total_L[j] += value * dense_CL[column, j]
        for j in range(COLUMNS):
            out_RL[row, j] = total_L[j]
