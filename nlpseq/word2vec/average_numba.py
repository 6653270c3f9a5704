"""Average the copies of LocalSGD over some rows, without the GIL, so that threads share the rows."""

import numpy as np
from numba import njit

__all__ = ["add_changes", "compile_add_changes"]


@njit(nogil=True, cache=True, error_model="numpy")
def add_changes(shared_VD, copies_TVD, row_V, weight_V, first, last):  # type: ignore[no-untyped-def]
    """Run shared += weight * sum over threads of (copy - shared), copy = shared, for some rows.

    These are the rows row_V[first:last]; weight_V has the weight of each row in the same order.
    """
    change_D = np.empty(shared_VD.shape[1], np.float32)
    for n in range(first, last):
        v = row_V[n]
        shared_D = shared_VD[v]
        change_D[:] = 0
        for copy_VD in copies_TVD:
            copy_D = copy_VD[v]
            for d in range(len(change_D)):
                change_D[d] += copy_D[d] - shared_D[d]
        for d in range(len(change_D)):
            shared_D[d] += weight_V[n] * change_D[d]
        for copy_VD in copies_TVD:
            copy_D = copy_VD[v]
            for d in range(len(change_D)):
                copy_D[d] = shared_D[d]


def compile_add_changes() -> None:
    """Compile add_changes into the cache."""
    weights = np.zeros((1, 1, 16), np.float32)
    add_changes(weights[0], weights, np.zeros(1, np.int64), np.ones(1, np.float32), 0, 0)
