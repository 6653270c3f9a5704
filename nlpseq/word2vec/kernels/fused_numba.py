"""The steps of objectives.py as compiled loops: same draws, same arithmetic, no temporaries.

A call trains on every window whose centre lies in tokens[start:stop], one window after another. It drops the
GIL, so that several threads can train the same weights without a lock (Niu et al. 2011, arXiv:1106.5730).
Whole numbers it works with are allocated outside, as code that allocates takes longer to compile; floats
inside, as the compiler then knows that nothing else lies there.

Rows of the weights are padded to a multiple of 16 floats: with the row length, the number of negatives and
the window frozen into the kernel as constants, the compiler unrolls and vectorises every inner loop. Where
all contexts of a window meet the same outputs, the arithmetic is that of tiles_numba.py.

Letters: V words, D dimensions (padded), C contexts of a window, J outputs of a step: the target, then K noise
words; N pairs of both, output by output. J is a multiple of TILE; what a step lacks of outputs are valid ids
whose steps are 0.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.core.counter_rng import Stream
from nlpseq.core.prefetch_numba import prefetch
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE, address, products, step
from nlpseq.word2vec.kernels.windows_numba import contexts, kept_tokens, outputs
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}  # all of fastmath but its denial of NaN and infinity
CERTAIN = np.float32(30)  # a logit whose loss and step are nothing
WIDTH, NEGATIVE = int(Stream.WIDTH), int(Stream.NEGATIVE)  # because kernels take plain numbers
SMALL = 1e-250
MOST = 6  # times LANES factors of at least 1/2 are multiplied in float32

Ids = npt.NDArray[np.uint64]


class Scratch(NamedTuple):
    """The words of one window and of the next, and the addresses of rows."""

    context_C: Ids
    slot_C: npt.NDArray[np.int64]
    output_J: Ids
    ahead_J: Ids
    x_C: Ids  # one more than contexts, as they are taken by twos
    y_J: Ids
    from_C: Ids
    to_C: Ids
    between_C: Ids  # where inputs are kept between two tiles of outputs, which is between_CD
    between_CD: npt.NDArray[np.float32]
    spare_1D: npt.NDArray[np.float32]  # a row for what has none, whose step is nothing


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
def _learn(logits_N, targets, size, learning_rate, product):  # type: ignore[no-untyped-def]
    """Make each logit g: the step along h.out, the rate times the probability s(-logit) of being wrong, down
    for noise.

    In its place, and counted without a sign. Of two arrays, or of numbers that may count from the end, the
    compiler asks when it runs whether they overlap, and takes the sums in another order if so: the loss then
    depends on where arrays lie.

    The first `targets` are of the target. s(x) = 1/2 + tanh(x/2)/2, and tanh(y) = y P(y^2) / Q(y^2) to a few
    units in the last place for |y| <= 9, where it is 1 in float32. The comparisons let NaN pass.

    The loss -log s(logit) is max(-logit, 0) - log max(s, 1 - s): returns the sum of the first terms, and
    `product` times what is in the logarithms, with the logarithm of that taken only where it gets small.
    """
    loss, targets = 0.0, np.uint64(targets)
    for start in range(0, size, LANES * MOST):
        wrong, factor = np.float32(0), np.float32(1)
        for n in range(np.uint64(start), np.uint64(min(start + LANES * MOST, size))):
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
        if product < SMALL:
            loss -= math.log(product)
            product = 1.0
    return loss, product


@njit(inline="always")
def _prefetch_rows(weight_VD, ids_N, num, D):  # type: ignore[no-untyped-def]
    for n in range(num):
        for d in range(0, D, LANES):
            prefetch(weight_VD, (np.uint64(ids_N[n]), np.uint64(d)))


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
def _input_gradient(g_N, y_VD, y_ids, dx_D, D, J):  # type: ignore[no-untyped-def]
    """Dx = g^T y for a single input."""
    dx_D[:] = 0
    for j in range(0, J, 6):
        y0, y1, y2 = y_VD[y_ids[j]], y_VD[y_ids[j + 1]], y_VD[y_ids[j + 2]]
        y3, y4, y5 = y_VD[y_ids[j + 3]], y_VD[y_ids[j + 4]], y_VD[y_ids[j + 5]]
        g0, g1, g2, g3, g4, g5 = g_N[j], g_N[j + 1], g_N[j + 2], g_N[j + 3], g_N[j + 4], g_N[j + 5]
        for d in range(D):
            upper = g0 * y0[d] + g1 * y1[d] + g2 * y2[d]
            dx_D[d] += upper + g3 * y3[d] + g4 * y4[d] + g5 * y5[d]


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


@njit(inline="always")
def _addresses(in_VD, context_C, num, spare, out_VD, output_J, J, x_C, y_J):  # type: ignore[no-untyped-def]
    """Of the rows of a window."""
    for c in range(num):
        x_C[c] = address(in_VD, context_C[c])
    x_C[num] = spare
    for j in range(J):
        y_J[j] = address(out_VD, output_J[j])


@njit(inline="always")
def _merge_outputs(output_J, y_J, g_N, stride, spare, K, J):  # type: ignore[no-untyped-def]
    """Have no row twice among the outputs: noise that was drawn before adds its steps to those, and what is
    asked nothing has no row.
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
def _merge_contexts(context_C, x_C, num, g_N, stride, J):  # type: ignore[no-untyped-def]
    """Have no row twice among the contexts: one that was there before takes its steps; how many are left."""
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
def _step_window(x_C, num, y_J, g_N, stride, scratch, D, J):  # type: ignore[no-untyped-def]
    """X += g^T y and y += g x, of what both were, tile by tile: only the last one changes x."""
    from_C, to_C, between_C = scratch.from_C, scratch.to_C, scratch.between_C
    for first in range(0, J, TILE):
        for c in range(num):
            from_C[c] = x_C[c] if first == 0 else between_C[c]
            to_C[c] = x_C[c] if first + TILE == J else between_C[c]
        step(x_C, from_C, to_C, num, y_J, first, g_N, stride, D)


@cache
def make_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> Callable[..., Any]:
    """The compiled step for these constants; dim is the padded row length.

    Signature and result are those of kernels.TrainSpan.
    """
    D, K, W, C, J = dim, negatives, window, 2 * window, -(-(1 + negatives) // TILE) * TILE
    ONE = -(-J // LANES) * LANES  # outputs of one input, as many as are worked on
    MEAN, PAIRS, DIVIDE = objective == "cbow", share_negatives == "pair", corrected

    def new_scratch() -> Scratch:
        ids = (np.zeros(num, np.uint64) for num in (J, J, C + 1, J, C, C, C))
        rows = (np.zeros((num, D), np.float32) for num in (C, 1))
        return Scratch._make([np.zeros(C, np.uint64), np.empty(C, np.int64), *ids, *rows])

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_kept(  # type: ignore[no-untyped-def]
        ids_N, pos_N, sentence_N, count, first, last, keys, alias_V2, weights, learning_rate, scratch
    ):
        in_VD, out_VD = weights
        context_C, slot_C, output_J, ahead_J, x_C, y_J = scratch[:6]
        x_D, dx_D = np.empty(D, np.float32), np.empty(D, np.float32)
        logits_N = g_N = np.empty(C * J + LANES, np.float32)  # see _learn
        spare = address(scratch.spare_1D, 0)  # in scratch, as an array of its own would end with its last use
        for c in range(C):
            scratch.between_C[c] = address(scratch.between_CD, c)
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
                    _gather_mean(in_VD, context_C[c:], inputs, x_D, D)
                    _logits_of_one(x_D, out_VD, output_J, logits_N, D, J)
                    _ask(logits_N, 1, 1, output_J, K, J)
                    more, product = _learn(logits_N, 1, ONE, learning_rate, product)
                    _input_gradient(g_N, out_VD, output_J, dx_D, D, J)
                    share = np.float32(1) / np.float32(inputs) if DIVIDE else np.float32(1)
                    _scatter_add(dx_D, share, context_C[c:], inputs, in_VD, D)
                    for j in range(1 + K):
                        _scatter_add(x_D, g_N[j], output_J[j:], 1, out_VD, D)
                    loss += more
                    predictions += 1
            else:
                stride = num + num % 2
                size = -(-J * stride // LANES) * LANES
                _addresses(in_VD, context_C, num, spare, out_VD, output_J, J, x_C, y_J)
                for tile in range(0, J, TILE):
                    products(x_C, num, y_J, tile, logits_N, stride, D)
                _ask(logits_N, num, stride, output_J, K, J)
                more, product = _learn(logits_N, stride, size, learning_rate, product)
                _merge_outputs(output_J, y_J, g_N, stride, spare, K, J)
                rows = _merge_contexts(context_C, x_C, num, g_N, stride, J)
                _step_window(x_C, rows, y_J, g_N, stride, scratch, D, J)
                loss += more
                predictions += num
        return loss - math.log(product), predictions

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: Any
    ) -> tuple[float, int]:
        sentence = np.searchsorted(tables.sentences, start, side="right") - 1
        kept = [np.empty(stop - start + 2 * W, np.int64) for _ in range(3)]
        span = kept_tokens(tables, keys[Stream.KEEP], W, start, stop, sentence, *kept)
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
