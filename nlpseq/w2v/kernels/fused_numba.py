"""The steps of objectives.py as compiled loops: same draws, same arithmetic, no temporaries.

A call trains on every window whose centre lies in tokens[start:stop], one window after another. It drops the
GIL, so that several threads can train the same weights without a lock (Niu et al. 2011, arXiv:1106.5730).
Whole numbers it works with are allocated outside, as code that allocates takes longer to compile; floats
inside, as the compiler then knows that nothing else lies there.

Rows of the weights are padded to a multiple of 32 floats: with the row length, the number of negatives and
the window frozen into the kernel as constants, the compiler unrolls and vectorises every inner loop.

Letters: V words, D dimensions (padded), C contexts of a window, J outputs of a step: the target, then K noise
words; N pairs of both, output by output. C is a multiple of 4 and J of 6, so that tiles of 2, 3, 4 and 6 fit;
what a window lacks of them are valid ids whose steps are 0.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.draws import KEEP, NEGATIVE, WIDTH
from nlpseq.w2v.kernels._prefetch_numba import prefetch
from nlpseq.w2v.kernels._windows_numba import contexts, kept_tokens, outputs
from nlpseq.w2v.objectives import Weights
from nlpseq.w2v.sampling import Tables, epoch_keys

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}  # all of fastmath but its denial of NaN and infinity
LANES = 16  # floats that are worked on together
CERTAIN = np.float32(30)  # a logit whose loss and step are nothing
SMALL = 1e-250

Ids = npt.NDArray[np.uint64]


class Scratch(NamedTuple):
    """The words of one window and of the next."""

    context_C: Ids
    slot_C: npt.NDArray[np.int64]
    output_J: Ids
    ahead_J: Ids
    own_1: Ids  # 0, the only row of x and dx


@njit(inline="always")
def _ask(logits_N, num_inputs, stride, output_J, K, J):  # type: ignore[no-untyped-def]
    """Certain where nothing is asked: noise that is the target, and what tiles have too many."""
    for j in range(1, J):
        if j > K or output_J[j] == output_J[0]:
            logits_N[j * stride : (j + 1) * stride] = CERTAIN
    for j in range(J):
        logits_N[j * stride + num_inputs : (j + 1) * stride] = CERTAIN
    logits_N[J * stride : J * stride + LANES] = CERTAIN


@njit(fastmath=FAST)
def _learn(logits_N, targets, size, learning_rate, g_N, product):  # type: ignore[no-untyped-def]
    """g: the step along each h.out, the rate times the probability s(-logit) of being wrong, down for noise.

    The first `targets` are of the target. s(x) = 1/2 + tanh(x/2)/2, and tanh(y) = y P(y^2) / Q(y^2) to a few
    units in the last place for |y| <= 9, where it is 1 in float32. The comparisons let NaN pass.

    The loss -log s(logit) is max(-logit, 0) - log max(s, 1 - s): returns the sum of the first terms, and
    `product` times what is in the logarithms, with the logarithm of that taken only where it gets small.
    """
    loss = 0.0
    for start in range(0, size, LANES):
        wrong, factor = np.float32(0), np.float32(1)
        for n in range(start, start + LANES):
            y = np.float32(-0.5) * logits_N[n]
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
            g_N[n] = (np.float32(0.5) + half) * (learning_rate if n < targets else -learning_rate)
            factor *= np.float32(0.5) + abs(half)
            wrong += np.float32(0) if logits_N[n] > np.float32(0) else -logits_N[n]
        loss += float(wrong)
        product *= factor
        if product < SMALL:
            loss -= math.log(product)
            product = 1.0
    return loss, product


@njit(inline="always")
def _prefetch_rows(weight_VD, ids_N, num, D):  # type: ignore[no-untyped-def]
    for n in range(num):
        for d in range(0, D, LANES):
            prefetch(weight_VD, np.uint64(ids_N[n]), np.uint64(d))  # type: ignore[call-arg]


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
def _scatter_add(row_D, share, ids_N, num, weight_VD, D):  # type: ignore[no-untyped-def]
    for n in range(num):
        target = weight_VD[ids_N[n]]
        for d in range(D):
            target[d] += share * row_D[d]


@njit(inline="always")
def _logits(x_ND, x_ids, num, y_VD, y_ids, logits_N, stride, D, J):  # type: ignore[no-untyped-def]
    """logits of being right, x.y for the target and -x.y for noise, in tiles of 3 outputs by 2 inputs, whose
    six sums stay in registers."""
    for c in range(0, num, 2):
        x0, x1 = x_ND[x_ids[c]], x_ND[x_ids[c + 1]]
        for j in range(0, J, 3):
            y0, y1, y2 = y_VD[y_ids[j]], y_VD[y_ids[j + 1]], y_VD[y_ids[j + 2]]
            s00 = s01 = s10 = s11 = s20 = s21 = np.float32(0)
            for d in range(D):
                s00 += y0[d] * x0[d]
                s01 += y0[d] * x1[d]
                s10 += y1[d] * x0[d]
                s11 += y1[d] * x1[d]
                s20 += y2[d] * x0[d]
                s21 += y2[d] * x1[d]
            n0, n1, n2 = j * stride + c, (j + 1) * stride + c, (j + 2) * stride + c
            logits_N[n0], logits_N[n0 + 1] = (s00, s01) if j == 0 else (-s00, -s01)
            logits_N[n1], logits_N[n1 + 1] = -s10, -s11
            logits_N[n2], logits_N[n2 + 1] = -s20, -s21


@njit(inline="always")
def _output_gradients(g_N, stride, x_ND, x_ids, num, dy_JD, D, J):  # type: ignore[no-untyped-def]
    """dy = g x, in tiles of 3 outputs by 4 inputs."""
    for c in range(0, num, 4):
        x0, x1, x2, x3 = x_ND[x_ids[c]], x_ND[x_ids[c + 1]], x_ND[x_ids[c + 2]], x_ND[x_ids[c + 3]]
        for j in range(0, J, 3):
            dy, n0 = dy_JD[j : j + 3], j * stride + c
            n1, n2 = n0 + stride, n0 + 2 * stride
            g00, g01, g02, g03 = g_N[n0], g_N[n0 + 1], g_N[n0 + 2], g_N[n0 + 3]
            g10, g11, g12, g13 = g_N[n1], g_N[n1 + 1], g_N[n1 + 2], g_N[n1 + 3]
            g20, g21, g22, g23 = g_N[n2], g_N[n2 + 1], g_N[n2 + 2], g_N[n2 + 3]
            if c == 0:
                for d in range(D):
                    dy[0, d] = g00 * x0[d] + g01 * x1[d] + g02 * x2[d] + g03 * x3[d]
                    dy[1, d] = g10 * x0[d] + g11 * x1[d] + g12 * x2[d] + g13 * x3[d]
                    dy[2, d] = g20 * x0[d] + g21 * x1[d] + g22 * x2[d] + g23 * x3[d]
            else:
                for d in range(D):
                    dy[0, d] += g00 * x0[d] + g01 * x1[d] + g02 * x2[d] + g03 * x3[d]
                    dy[1, d] += g10 * x0[d] + g11 * x1[d] + g12 * x2[d] + g13 * x3[d]
                    dy[2, d] += g20 * x0[d] + g21 * x1[d] + g22 * x2[d] + g23 * x3[d]


@njit(inline="always")
def _step_inputs(g_N, stride, y_VD, y_ids, x_ids, num, x_ND, D, J):  # type: ignore[no-untyped-def]
    """x += g^T y, in tiles of 1 input by 6 outputs."""
    for c in range(num):
        x = x_ND[x_ids[c]]
        for j in range(0, J, 6):
            y0, y1, y2 = y_VD[y_ids[j]], y_VD[y_ids[j + 1]], y_VD[y_ids[j + 2]]
            y3, y4, y5 = y_VD[y_ids[j + 3]], y_VD[y_ids[j + 4]], y_VD[y_ids[j + 5]]
            n = j * stride + c
            g0, g1, g2 = g_N[n], g_N[n + stride], g_N[n + 2 * stride]
            g3, g4, g5 = g_N[n + 3 * stride], g_N[n + 4 * stride], g_N[n + 5 * stride]
            for d in range(D):
                upper = g0 * y0[d] + g1 * y1[d] + g2 * y2[d]
                x[d] += upper + g3 * y3[d] + g4 * y4[d] + g5 * y5[d]


@njit(inline="always")
def _logits_of_one(x_D, y_VD, y_ids, logits_N, D, J):  # type: ignore[no-untyped-def]
    """_logits for a single input, in tiles of 6 outputs."""
    for j in range(0, J, 6):
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


@cache
def make_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> Callable[..., Any]:
    """The compiled step for these constants; dim is the padded row length.

    Signature and result are those of kernels.TrainSpan.
    """
    D, K, W, C, J = dim, negatives, window, -(-2 * window // 4) * 4, -(-(1 + negatives) // 6) * 6
    MEAN, PAIRS, DIVIDE = objective == "cbow", share_negatives == "pair", corrected

    def new_scratch() -> Scratch:
        ids = (np.zeros(num, np.uint64) for num in (J, J, 1))
        return Scratch(np.zeros(C, np.uint64), np.empty(C, np.int64), *ids)

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_kept(  # type: ignore[no-untyped-def]
        ids_N, pos_N, sentence_N, count, first, last, keys, alias_V2, weights, learning_rate, scratch
    ):
        in_VD, out_VD = weights
        context_C, slot_C, output_J, ahead_J, own_1 = scratch
        x_1D, dx_1D = np.empty((1, D), np.float32), np.empty((1, D), np.float32)
        dy_JD = np.empty((J, D), np.float32)
        logits_N, g_N = np.empty(C * J + LANES, np.float32), np.empty(C * J + LANES, np.float32)
        loss, product, predictions = 0.0, 1.0, 0  # the loss less the logarithm of the product
        if first < last and not PAIRS:
            outputs(ids_N[first], pos_N[first], 0, K, keys[NEGATIVE], alias_V2, ahead_J)
        for i in range(first, last):
            output_J, ahead_J = ahead_J, output_J
            if i + 1 < last and not PAIRS:
                outputs(ids_N[i + 1], pos_N[i + 1], 0, K, keys[NEGATIVE], alias_V2, ahead_J)
                _prefetch_rows(out_VD, ahead_J, 1 + K, D)
                if i + 1 + W < count:
                    _prefetch_rows(in_VD, ids_N[i + 1 + W :], 1, D)  # the context that is new there
            num = contexts(i, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, context_C, slot_C)
            if num == 0:
                continue
            if MEAN or PAIRS:
                for c in range(num if PAIRS else 1):
                    if PAIRS:
                        outputs(ids_N[i], pos_N[i], slot_C[c] * K, K, keys[NEGATIVE], alias_V2, output_J)
                    inputs = 1 if PAIRS else num
                    _gather_mean(in_VD, context_C[c:], inputs, x_1D[0], D)
                    _logits_of_one(x_1D[0], out_VD, output_J, logits_N, D, J)
                    _ask(logits_N, 1, 1, output_J, K, J)
                    more, product = _learn(logits_N, 1, J, learning_rate, g_N, product)
                    dx_1D[:] = 0
                    _step_inputs(g_N, 1, out_VD, output_J, own_1, 1, dx_1D, D, J)
                    share = np.float32(1) / np.float32(inputs) if DIVIDE else np.float32(1)
                    _scatter_add(dx_1D[0], share, context_C[c:], inputs, in_VD, D)
                    for j in range(1 + K):
                        _scatter_add(x_1D[0], g_N[j], output_J[j:], 1, out_VD, D)
                    loss += more
                    predictions += 1
            else:
                stride = (num + 3) // 4 * 4
                _logits(in_VD, context_C, num, out_VD, output_J, logits_N, stride, D, J)
                _ask(logits_N, num, stride, output_J, K, J)
                more, product = _learn(logits_N, stride, J * stride, learning_rate, g_N, product)
                _output_gradients(g_N, stride, in_VD, context_C, num, dy_JD, D, J)
                _step_inputs(g_N, stride, out_VD, output_J, context_C, num, in_VD, D, J)
                for j in range(1 + K):
                    _scatter_add(dy_JD[j], np.float32(1), output_J[j:], 1, out_VD, D)
                loss += more
                predictions += num
        return loss - math.log(product), predictions

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: Any
    ) -> tuple[float, int]:
        sentence = np.searchsorted(tables.sentences, start, side="right") - 1
        kept = [np.empty(stop - start + 2 * W, np.int64) for _ in range(3)]
        span = kept_tokens(tables, keys[KEEP], W, start, stop, sentence, *kept)
        work = (*kept, *span, keys, tables.alias_V2, weights, learning_rate, new_scratch())
        found: tuple[float, int] = train_kept(*work)
        return found

    return train_span


def compile_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> None:
    """Have what make_kernel gives compiled, by spans without tokens of either type."""
    train_span = make_kernel(objective, share_negatives, corrected, dim, negatives, window)
    weights = Weights(*np.zeros((2, 1, dim), np.float32))
    for dtype in (np.uint16, np.uint32):
        tokens, sentences = np.zeros(1, dtype), np.array([0, 1])
        for array in (tokens, sentences):
            array.flags.writeable = False  # like one that is mapped from a file
        tables = Tables(tokens, sentences, np.zeros(1, np.uint32), np.zeros((1, 2), np.uint32))
        train_span(tables, epoch_keys(0, 0), weights, 0, 0, np.float32(0))
