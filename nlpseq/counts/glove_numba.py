"""Take the steps of GloVe on a span of pairs, without the GIL, so that threads share the blocks."""

import numpy as np
from numba import njit

__all__ = ["train_pairs"]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp", "afn"})
def train_pairs(pairs, weights, x_max, alpha, rate, first, last):  # type: ignore[no-untyped-def]
    """Train on pairs first..last-1. Return the sum of their losses."""
    words_V2E, contexts_V2E = weights
    dim = words_V2E.shape[2] - 1
    total = 0.0
    for n in range(first, last):
        word_2E, context_2E = words_V2E[pairs.rows_N[n]], contexts_V2E[pairs.columns_N[n]]
        count = pairs.counts_N[n]
        product = np.float32(0)
        for d in range(dim):
            product += word_2E[0, d] * context_2E[0, d]
        error = product + word_2E[0, dim] + context_2E[0, dim] - np.log(count)
        weight = np.float32(1) if count >= x_max else (count / x_max) ** alpha
        total += weight * error * error
        slope = np.float32(2) * weight * error
        for d in range(dim):
            word_slope, context_slope = slope * context_2E[0, d], slope * word_2E[0, d]
            word_square = word_2E[1, d] + word_slope * word_slope
            context_square = context_2E[1, d] + context_slope * context_slope
            word_2E[1, d], context_2E[1, d] = word_square, context_square
            word_2E[0, d] -= rate * word_slope / np.sqrt(word_square)
            context_2E[0, d] -= rate * context_slope / np.sqrt(context_square)
        for row_2E in (word_2E, context_2E):
            row_2E[1, dim] += slope * slope
            row_2E[0, dim] -= rate * slope / np.sqrt(row_2E[1, dim])
    return total
