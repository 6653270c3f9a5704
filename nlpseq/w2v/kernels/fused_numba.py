"""The steps of objectives.py as compiled loops: same draws, same arithmetic, no temporaries.

A call trains on every window whose centre lies in tokens[start:stop], one window after another. It drops the
GIL, so that several threads can train the same weights without a lock (Niu et al. 2011, arXiv:1106.5730).

Rows of the weights are padded to a multiple of 16 floats: with the row length, the number of negatives and
the window frozen into the kernel as constants, the compiler unrolls and vectorises every inner loop.

Letters: V words, D dimensions (padded), C contexts of a window, J = 1 + K outputs, the target first.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from nlpseq._draws_numba import draw

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}  # all of fastmath but its denial of NaN and infinity
HALF = np.uint64(32)
LOWER = np.uint64(2**32 - 1)
ZERO = np.uint64(0)


@njit(inline="always")
def _keeps(word_id, pos, keep_V, key):  # type: ignore[no-untyped-def]
    return word_id < len(keep_V) and (draw(key, np.uint64(pos), ZERO) >> HALF) <= keep_V[word_id]


@njit(inline="always")
def _noise_word(key, pos, k, alias_V2):  # type: ignore[no-untyped-def]
    drawn = draw(key, np.uint64(pos), np.uint64(k))
    row = np.int64(((drawn >> HALF) * np.uint64(len(alias_V2))) >> HALF)
    return row if (drawn & LOWER) <= alias_V2[row, 0] else np.int64(alias_V2[row, 1])


@njit(nogil=True, cache=True)
def _kept_tokens(tables, key, window, start, stop, ids_N, pos_N, sentence_N):  # type: ignore[no-untyped-def]
    """Fill ids, pos and sentence of the kept tokens in start..stop and `window` more on each side.

    Returns how many there are, and which of them lie in start..stop: (count, first, last).
    """
    tokens, sentences, keep_V = tables.tokens, tables.sentences, tables.keep_V
    sentence = np.searchsorted(sentences, start, side="right") - 1
    begin, found = start, 0
    while begin > sentences[sentence] and found < window:
        begin -= 1
        found += _keeps(tokens[begin], begin, keep_V, key)
    count, first, last, pos = 0, 0, 0, begin
    while pos < stop or (pos < sentences[sentence + 1] and count - last < window):
        while pos >= sentences[sentence + 1]:
            sentence += 1
        if _keeps(tokens[pos], pos, keep_V, key):
            ids_N[count], pos_N[count], sentence_N[count] = tokens[pos], pos, sentence
            count += 1
        pos += 1
        first = count if pos <= start else first
        last = count if pos <= stop else last
    return count, first, last


@njit(inline="always")
def _contexts(i, count, key, window, ids_N, pos_N, sentence_N, context_C, slot_C):  # type: ignore[no-untyped-def]
    """The neighbours of token i within its width and its sentence; returns how many."""
    width = 1 + np.int64(((draw(key, np.uint64(pos_N[i]), ZERO) >> HALF) * np.uint64(window)) >> HALF)
    num = 0
    for n in range(max(i - width, 0), min(i + width + 1, count)):
        if n != i and sentence_N[n] == sentence_N[i]:
            context_C[num] = ids_N[n]
            slot_C[num] = n - i + window - (n > i)
            num += 1
    return num


@njit(inline="always")
def _outputs(target, pos, first_k, K, key, alias_V2, output_J, sign_J):  # type: ignore[no-untyped-def]
    """The target and its noise words; sign +1, -1, or 0 for a noise word that is the target."""
    output_J[0], sign_J[0] = target, 1
    for k in range(K):
        output_J[1 + k] = _noise_word(key, pos, first_k + k, alias_V2)
        sign_J[1 + k] = 0 if output_J[1 + k] == output_J[0] else -1


@njit(fastmath=FAST)
def _misses(logits, size, misses):  # type: ignore[no-untyped-def]
    """misses = s(-logits), the sigmoid through a rational form of tanh that the compiler vectorises.

    tanh(y) = y P(y^2) / Q(y^2) to a few units in the last place for |y| <= 9, where it is 1 in float32. The
    comparisons let NaN pass.
    """
    for n in range(size):
        y = np.float32(-0.5) * logits[n]
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
        misses[n] = np.float32(0.5) + np.float32(0.5) * (y * p / q)


@njit
def _loss(logits, size, misses):  # type: ignore[no-untyped-def]
    """Sum of -log s(logit) in float64: the logarithm of a product, as far as that is exact."""
    loss, product = 0.0, 1.0
    for n in range(size):
        if logits[n] > -4 and product > 1e-280:
            product *= 1.0 - np.float64(misses[n])
        else:
            logit = np.float64(logits[n])
            loss += math.log1p(math.exp(-abs(logit))) + max(-logit, 0.0)
    return loss - math.log(product)


@njit(inline="always")
def _gather(weight_VD, ids_N, num, rows_ND, D):  # type: ignore[no-untyped-def]
    for n in range(num):
        source, row = weight_VD[ids_N[n]], rows_ND[n]
        for d in range(D):
            row[d] = source[d]


@njit(inline="always")
def _scatter_add(rows_ND, ids_N, num, weight_VD, D):  # type: ignore[no-untyped-def]
    for n in range(num):
        row, target = rows_ND[n], weight_VD[ids_N[n]]
        for d in range(D):
            target[d] += row[d]


@njit(inline="always")
def _gather_mean(weight_VD, ids_N, num, mean_D, D):  # type: ignore[no-untyped-def]
    mean_D[:] = 0
    for n in range(num):
        row = weight_VD[ids_N[n]]
        for d in range(D):
            mean_D[d] += row[d]
    for d in range(D):
        mean_D[d] /= np.float32(num)


@njit(inline="always")
def _scatter_add_one(row_D, share, ids_N, num, weight_VD, D):  # type: ignore[no-untyped-def]
    for n in range(num):
        target = weight_VD[ids_N[n]]
        for d in range(D):
            target[d] += share * row_D[d]


@njit(inline="always")
def _sign(logits, num_inputs, sign_J, J):  # type: ignore[no-untyped-def]
    """Turn h.out into the logit of being right; 30, a certainty, where nothing is asked."""
    for c in range(num_inputs):
        for j in range(J):
            logits[c * J + j] = logits[c * J + j] * sign_J[j] if sign_J[j] != 0 else np.float32(30)


@njit(inline="always")
def _scale(g, num_inputs, learning_rate, sign_J, J):  # type: ignore[no-untyped-def]
    """From the probability of being wrong to the step along each logit."""
    for c in range(num_inputs):
        for j in range(J):
            g[c * J + j] *= learning_rate * sign_J[j]


@njit(inline="always")
def _dot_products(x_CD, y_JD, num_inputs, logits, D, J):  # type: ignore[no-untyped-def]
    """logits = x y^T in tiles of 2 inputs by 3 outputs, whose six sums stay in registers."""
    for c in range(0, num_inputs, 2):
        x0, x1 = x_CD[c], x_CD[c + 1]
        for j in range(0, J, 3):
            y0, y1, y2 = y_JD[j], y_JD[j + 1], y_JD[j + 2]
            s00 = s01 = s02 = s10 = s11 = s12 = np.float32(0)
            for d in range(D):
                s00 += x0[d] * y0[d]
                s01 += x0[d] * y1[d]
                s02 += x0[d] * y2[d]
                s10 += x1[d] * y0[d]
                s11 += x1[d] * y1[d]
                s12 += x1[d] * y2[d]
            n0, n1 = c * J + j, c * J + j + J
            logits[n0], logits[n0 + 1], logits[n0 + 2] = s00, s01, s02
            logits[n1], logits[n1 + 1], logits[n1 + 2] = s10, s11, s12


@njit(inline="always")
def _outer_products(g, x_CD, y_JD, num_inputs, dx_CD, dy_JD, D, J):  # type: ignore[no-untyped-def]
    """dx = g y and dy = g^T x, in the same tiles."""
    dx_CD[: num_inputs + 1] = 0
    dy_JD[:] = 0
    for c in range(0, num_inputs, 2):
        x0, x1, dx0, dx1 = x_CD[c], x_CD[c + 1], dx_CD[c], dx_CD[c + 1]
        for j in range(0, J, 3):
            y0, y1, y2, dy0, dy1, dy2 = (
                y_JD[j],
                y_JD[j + 1],
                y_JD[j + 2],
                dy_JD[j],
                dy_JD[j + 1],
                dy_JD[j + 2],
            )
            n0, n1 = c * J + j, c * J + j + J
            g00, g01, g02, g10, g11, g12 = g[n0], g[n0 + 1], g[n0 + 2], g[n1], g[n1 + 1], g[n1 + 2]
            for d in range(D):
                dx0[d] += g00 * y0[d] + g01 * y1[d] + g02 * y2[d]
                dx1[d] += g10 * y0[d] + g11 * y1[d] + g12 * y2[d]
                dy0[d] += g00 * x0[d] + g10 * x1[d]
                dy1[d] += g01 * x0[d] + g11 * x1[d]
                dy2[d] += g02 * x0[d] + g12 * x1[d]


@cache
def make_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> Callable[..., Any]:
    """The compiled step for these constants; dim is the padded row length.

    Signature and result are those of kernels.TrainSpan.
    """
    D, K, W, C, J = dim, negatives, window, 2 * window, -(-(1 + negatives) // 3) * 3
    MEAN, PAIRS, DIVIDE = objective == "cbow", share_negatives == "pair", corrected

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_span(tables, keys, weights, start, stop, learning_rate):  # type: ignore[no-untyped-def]
        in_VD, out_VD = weights
        room = stop - start + 2 * W
        ids_N, pos_N, sentence_N = (
            np.empty(room, np.int64),
            np.empty(room, np.int64),
            np.empty(room, np.int64),
        )
        count, first, last = _kept_tokens(tables, keys[0], W, start, stop, ids_N, pos_N, sentence_N)
        x_CD, dx_CD = np.zeros((C, D), np.float32), np.empty((C, D), np.float32)
        y_JD, dy_JD = np.zeros((J, D), np.float32), np.empty((J, D), np.float32)
        logits, g = np.empty(C * J, np.float32), np.zeros(C * J, np.float32)
        context_C, slot_C = np.empty(C, np.uint64), np.empty(C, np.int64)
        output_J, sign_J = np.zeros(J, np.uint64), np.zeros(J, np.float32)
        loss, predictions = 0.0, 0
        for i in range(first, last):
            num_contexts = _contexts(i, count, keys[1], W, ids_N, pos_N, sentence_N, context_C, slot_C)
            if num_contexts == 0:
                continue
            num_inputs = 1 if MEAN or PAIRS else num_contexts
            for c in range(0, 1 if MEAN else num_contexts, num_inputs):
                first_k = slot_C[c] * K if PAIRS else 0
                _outputs(ids_N[i], pos_N[i], first_k, K, keys[2], tables.alias_V2, output_J, sign_J)
                _gather(out_VD, output_J, 1 + K, y_JD, D)
                if MEAN:
                    _gather_mean(in_VD, context_C, num_contexts, x_CD[0], D)
                else:
                    _gather(in_VD, context_C[c:], num_inputs, x_CD, D)
                if num_inputs % 2 == 1:
                    x_CD[num_inputs] = 0  # the tiles take inputs by twos; whatever g has there counts nothing
                _dot_products(x_CD, y_JD, num_inputs, logits, D, J)
                _sign(logits, num_inputs, sign_J, J)
                _misses(logits, num_inputs * J, g)
                loss += _loss(logits, num_inputs * J, g)
                predictions += num_inputs
                _scale(g, num_inputs, learning_rate, sign_J, J)
                _outer_products(g, x_CD, y_JD, num_inputs, dx_CD, dy_JD, D, J)
                if MEAN:
                    share = np.float32(1) / np.float32(num_contexts) if DIVIDE else np.float32(1)
                    _scatter_add_one(dx_CD[0], share, context_C, num_contexts, in_VD, D)
                else:
                    _scatter_add(dx_CD, context_C[c:], num_inputs, in_VD, D)
                _scatter_add(dy_JD, output_J, 1 + K, out_VD, D)
        return loss, predictions

    return train_span
