"""Multiply rows of int8 by one vector: most of the time of a query alone."""

import numpy as np
from numba import njit

__all__ = ["multiply_rows"]


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def multiply_rows(codes_VD, scales_V, vector_D, product_V):  # type: ignore[no-untyped-def]
    """Run product[:] = scales * (codes @ vector) for the first rows."""
    for row in range(len(product_V)):
        total = np.float32(0)
        for d in range(len(vector_D)):
            total += np.float32(codes_VD[row, d]) * vector_D[d]
        product_V[row] = scales_V[row] * total
