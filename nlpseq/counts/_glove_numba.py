"""glove.glove_step for a span of pairs, one after another; drops the GIL, so that threads share weights."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz", "arcp", "afn"})
def train_pairs(pairs, weights, squares, x_max, alpha, rate, first, last):  # type: ignore[no-untyped-def]
    """Steps on pairs first..last-1; returns the sum of their losses."""
    words_VD, contexts_VD, word_bias_V, context_bias_V = weights
    words_sq_VD, contexts_sq_VD, word_bias_sq_V, context_bias_sq_V = squares
    dim = words_VD.shape[1]
    total = 0.0
    for n in range(first, last):
        w, c, count = pairs.rows_N[n], pairs.columns_N[n], pairs.counts_N[n]
        product = np.float32(0)
        for d in range(dim):
            product += words_VD[w, d] * contexts_VD[c, d]
        error = product + word_bias_V[w] + context_bias_V[c] - np.log(count)
        weight = np.float32(1) if count >= x_max else (count / x_max) ** alpha
        total += weight * error * error
        slope = np.float32(2) * weight * error
        for d in range(dim):
            word_slope, context_slope = slope * contexts_VD[c, d], slope * words_VD[w, d]
            words_sq_VD[w, d] += word_slope * word_slope
            contexts_sq_VD[c, d] += context_slope * context_slope
            words_VD[w, d] -= rate * word_slope / np.sqrt(words_sq_VD[w, d])
            contexts_VD[c, d] -= rate * context_slope / np.sqrt(contexts_sq_VD[c, d])
        word_bias_sq_V[w] += slope * slope
        context_bias_sq_V[c] += slope * slope
        word_bias_V[w] -= rate * slope / np.sqrt(word_bias_sq_V[w])
        context_bias_V[c] -= rate * slope / np.sqrt(context_bias_sq_V[c])
    return total
