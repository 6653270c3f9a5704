"""Compute the parts of a step on one window: logits, their steps, gradients, and repeated rows.

tests/reference/primitives.py holds a plain version of each function with the same signature.

Letters: V words, R rows of words and n-grams, D dimensions (padded), C contexts, K negatives, J outputs of a
step (the target, then K negatives, then padding up to a multiple of TILE), N pairs of an output and an input:
pair j * stride + c.
"""

import math

import numpy as np
from numba import njit

from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE

__all__ = [
    "FAST",
    "MASKED_LOGIT",
    "add_rows",
    "gather_mean",
    "input_gradient",
    "logits_of_one",
    "mask_logits",
    "merge_contexts",
    "merge_outputs",
    "scatter_add",
    "scatter_add_unless",
    "sigmoid_steps",
]

assert TILE == 6, "logits_of_one and input_gradient are unrolled by hand for 6 outputs"

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}  # fastmath without nnan and ninf: NaN must show
MASKED_LOGIT = np.float32(30)  # loss and step are 0 in float32
MIN_PRODUCT = 1e-250  # because float64 ends at 1e-308
MAX_FACTORS = 6  # per lane: a product of 6 LANES factors of at least 1/2 fits in float32


@njit(inline="always")
def mask_logits(logits_N, num_inputs, stride, output_J, K, J):  # type: ignore[no-untyped-def]
    """Mask the logits that must not train: negatives equal to the target, and padding."""
    for j in range(1, J):
        if j > K or output_J[j] == output_J[0]:
            logits_N[j * stride : (j + 1) * stride] = MASKED_LOGIT
    for j in range(J):
        logits_N[j * stride + num_inputs : (j + 1) * stride] = MASKED_LOGIT
    logits_N[J * stride : J * stride + LANES] = MASKED_LOGIT


@njit(fastmath=FAST)
def sigmoid_steps(logits_N, targets, size, learning_rate, product):  # type: ignore[no-untyped-def]
    """Replace each logit by its step g, and return the loss as (sum, product).

    A logit is h.out of a target and -h.out of a negative. The step is g = rate * s(-logit), and -g for a
    negative: s(-logit) is the probability of the wrong answer. The first `targets` logits are of the target.
    The steps overwrite the logits, and all indices are unsigned, because otherwise the compiler checks at run
    time if two arrays overlap and takes the sums in another order if so; the loss would then depend on
    addresses.

    The loss -log s(logit) is max(-logit, 0) - log max(s, 1 - s). `sum` is the sum of the first terms,
    `product` the product of the arguments of the logarithms: the loss is sum - log(product). The logarithm is
    taken only if the product falls below MIN_PRODUCT.

    s(x) = 1/2 + tanh(x/2) / 2 and tanh(y) = y P(y^2) / Q(y^2), with y clamped to [-9, 9], where tanh is 1 in
    float32. The coefficients are from Eigen 3 (Eigen/src/Core/MathFunctionsImpl.h, generic_fast_tanh_float,
    formerly ptanh; MPL 2.0): absolute error below 4e-7, relative error below 7 units in the last place. The
    clamps are comparisons because min and max would drop NaN.
    """
    loss, targets = 0.0, np.uint64(targets)
    for start in range(0, size, LANES * MAX_FACTORS):
        wrong, factor = np.float32(0), np.float32(1)
        for n in range(np.uint64(start), np.uint64(min(start + LANES * MAX_FACTORS, size))):
            logit = logits_N[n]
            y = np.float32(-0.5) * logit
            y = np.float32(9.0) if y > np.float32(9.0) else y
            y = np.float32(-9.0) if y < np.float32(-9.0) else y
            z = y * y
            p = np.float32(-2.76076847742355e-16)
            p = p * z + np.float32(2.00018790482477e-13)
            p = p * z + np.float32(-8.60467152213735e-11)
            p = p * z + np.float32(5.12229709037114e-08)
            p = p * z + np.float32(1.48572235717979e-05)
            p = p * z + np.float32(6.37261928875436e-04)
            p = p * z + np.float32(4.89352455891786e-03)
            q = np.float32(1.19825839466702e-06)
            q = q * z + np.float32(1.18534705686654e-04)
            q = q * z + np.float32(2.26843463243900e-03)
            q = q * z + np.float32(4.89352518554385e-03)
            half = np.float32(0.5) * (y * p / q)
            logits_N[n] = (np.float32(0.5) + half) * (learning_rate if n < targets else -learning_rate)
            factor *= np.float32(0.5) + abs(half)
            wrong += np.float32(0) if logit > np.float32(0) else -logit
        loss += float(wrong)
        product *= factor
        if product < MIN_PRODUCT:
            loss -= math.log(product)
            product = 1.0
    return loss, product


@njit(inline="always")
def gather_mean(weight_VD, ids_N, num, mean_D, D):  # type: ignore[no-untyped-def]
    """Fill mean_D with the mean of the rows ids_N[:num]."""
    mean_D[:] = 0
    for n in range(num):
        row = weight_VD[ids_N[n]]
        for d in range(D):
            mean_D[d] += row[d]
    for d in range(D):
        mean_D[d] /= np.float32(num)


@njit(inline="always")
def scatter_add(row_D, share, ids_N, num, weight_VD, D):  # type: ignore[no-untyped-def]
    """Add share * row_D to the rows ids_N[:num]; repeated ids add up."""
    for n in range(num):
        target = weight_VD[ids_N[n]]
        for d in range(D):
            target[d] += share * row_D[d]


@njit(inline="always")
def scatter_add_unless(row_D, share, ids_N, num, weight_VD, frozen_V, D):  # type: ignore[no-untyped-def]
    """Add share * row_D to the rows ids_N[:num] that are not frozen."""
    for n in range(num):
        if not frozen_V[ids_N[n]]:
            scatter_add(row_D, share, ids_N[n:], 1, weight_VD, D)


@njit(inline="always")
def input_gradient(g_N, y_VD, y_ids, dx_D, D, J):  # type: ignore[no-untyped-def]
    """Fill dx_D with the sum over the outputs of g_j y_j, for one input."""
    dx_D[:] = 0
    for j in range(0, J, TILE):
        y0, y1, y2 = y_VD[y_ids[j]], y_VD[y_ids[j + 1]], y_VD[y_ids[j + 2]]
        y3, y4, y5 = y_VD[y_ids[j + 3]], y_VD[y_ids[j + 4]], y_VD[y_ids[j + 5]]
        g0, g1, g2, g3, g4, g5 = g_N[j], g_N[j + 1], g_N[j + 2], g_N[j + 3], g_N[j + 4], g_N[j + 5]
        for d in range(D):
            upper = g0 * y0[d] + g1 * y1[d] + g2 * y2[d]
            dx_D[d] += upper + g3 * y3[d] + g4 * y4[d] + g5 * y5[d]


@njit(inline="always")
def logits_of_one(x_D, y_VD, y_ids, logits_N, D, J):  # type: ignore[no-untyped-def]
    """Fill logits_N with the logits of one input: x.y of output 0, the target, and -x.y of the others."""
    for j in range(0, J, TILE):
        y0, y1, y2 = y_VD[y_ids[j]], y_VD[y_ids[j + 1]], y_VD[y_ids[j + 2]]
        y3, y4, y5 = y_VD[y_ids[j + 3]], y_VD[y_ids[j + 4]], y_VD[y_ids[j + 5]]
        s0 = s1 = s2 = s3 = s4 = s5 = np.float32(0)
        for d in range(D):
            s0 += y0[d] * x_D[d]
            s1 += y1[d] * x_D[d]
            s2 += y2[d] * x_D[d]
            s3 += y3[d] * x_D[d]
            s4 += y4[d] * x_D[d]
            s5 += y5[d] * x_D[d]
        logits_N[j] = s0 if j == 0 else -s0
        logits_N[j + 1], logits_N[j + 2], logits_N[j + 3] = -s1, -s2, -s3
        logits_N[j + 4], logits_N[j + 5] = -s4, -s5


@njit(inline="always")
def merge_outputs(output_J, y_J, g_N, stride, spare, K, J):  # type: ignore[no-untyped-def]
    """Merge repeated outputs: the first one gets all steps, and the others point to the spare row.

    Masked outputs point to the spare row, too.
    """
    for j in range(1, J):
        if j > K or output_J[j] == output_J[0]:
            y_J[j] = spare
        for i in range(1, j):
            if output_J[i] == output_J[j] and y_J[j] != spare:
                y_J[j] = spare
                for c in range(stride):
                    g_N[i * stride + c] += g_N[j * stride + c]
                    g_N[j * stride + c] = 0


@njit(inline="always")
def merge_contexts(context_C, x_C, num, g_N, stride, J):  # type: ignore[no-untyped-def]
    """Merge repeated contexts: the first one gets all steps. Return how many contexts remain."""
    c = 1
    while c < num:
        twin = c
        for b in range(c):
            twin = b if context_C[b] == context_C[c] else twin
        if twin == c:
            c += 1
            continue
        num -= 1
        for j in range(J):
            g_N[j * stride + twin] += g_N[j * stride + c]
            g_N[j * stride + c] = g_N[j * stride + num]
        context_C[c], x_C[c] = context_C[num], x_C[num]
    return num


@njit(inline="always")
def add_rows(weight_RD, rows_N, start, stop, sum_D, D):  # type: ignore[no-untyped-def]
    """Add the rows rows_N[start:stop] to sum_D, four at a time, which reads and writes the sum less often."""
    n = start
    while n + 4 <= stop:
        a, b = weight_RD[rows_N[n]], weight_RD[rows_N[n + 1]]
        e, f = weight_RD[rows_N[n + 2]], weight_RD[rows_N[n + 3]]
        for d in range(D):
            sum_D[d] += (a[d] + b[d]) + (e[d] + f[d])
        n += 4
    while n < stop:
        a = weight_RD[rows_N[n]]
        for d in range(D):
            sum_D[d] += a[d]
        n += 1
