"""Run the steps of word2vec on subwords in compiled loops: fused_numba.py for inputs that are means of rows.

A step predicts T targets from one mean of rows. Skip-gram predicts the contexts of a window from the rows of
the center (with negatives for each pair, one context at a time), CBOW the center from the rows of all
contexts. So a window reads and writes each row once. The targets of a step share K negatives, and a negative
counts once for each target that is another word.

Letters: V words, R rows of words and n-grams, D dimensions (padded), K negatives, W window, C contexts of a
window, T targets, J outputs of a step: the targets, then K negatives, then padding up to a multiple of TILE,
with valid ids and steps of 0; N any number.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from nlpseq.core.counter_rng import Stream
from nlpseq.core.prefetch_numba import prefetch
from nlpseq.vectors.subwords import Bags
from nlpseq.word2vec.kernels.primitives_numba import (
    FAST,
    MASKED_LOGIT,
    input_gradient,
    logits_of_one,
    scatter_add,
    sigmoid_steps,
)
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE
from nlpseq.word2vec.kernels.windows_numba import fill_contexts, fill_outputs, keep_tokens
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys

__all__ = ["add_rows", "compile_kernel", "make_kernel", "weigh_negatives"]

WIDTH, NEGATIVE = int(Stream.WIDTH), int(Stream.NEGATIVE)  # because kernels take plain integers


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


@njit(inline="always")
def weigh_negatives(logits_N, output_J, T, K, wrong_N, weight_K):  # type: ignore[no-untyped-def]
    """Move the logits of the negatives to wrong_N, and fill the number of targets that each counts for.

    Returns the loss of the pairs of equal words, as a step without weights would count them.
    """
    twins_loss = 0.0
    for k in range(K):
        wrong_N[k] = logits_N[T + k]
        twins = 0
        for t in range(T):
            twins += output_J[t] == output_J[T + k]
        weight_K[k] = np.float32(T - twins)
        if twins > 0:
            logit = float(wrong_N[k])
            twins_loss += twins * (max(-logit, 0.0) + math.log1p(math.exp(-abs(logit))))
    wrong_N[K:] = MASKED_LOGIT
    return twins_loss


@cache
def make_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> Callable[..., Any]:
    """Return the compiled kernel, a TrainSpan, for these constants; dim is the padded row length."""
    D, K, W, C = dim, negatives, window, 2 * window
    MAX_J, ALL_K = -(-(C + K) // TILE) * TILE, -(-K // LANES) * LANES
    CBOW, PAIRS = objective == "cbow", share_negatives == "pair"
    DIVIDE = CBOW and corrected

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_kept(  # type: ignore[no-untyped-def]
        ids_N, pos_N, sentence_N, count, first, last, keys, alias_V2, bags, weights, learning_rate, scratch
    ):
        in_RD, out_VD = weights
        starts_V, rows_N = bags
        context_C, slot_C, output_J, negative_J, next_negative_J, center_1 = scratch
        x_D, dx_D = np.empty(D, np.float32), np.empty(D, np.float32)
        logits_N = g_N = np.empty(MAX_J + LANES, np.float32)  # one array: see sigmoid_steps
        wrong_N, weight_K = np.empty(ALL_K, np.float32), np.empty(K, np.float32)
        loss, product, predictions = 0.0, 1.0, 0  # the loss is loss - log(product)
        if first < last and not PAIRS:
            fill_outputs(ids_N[first], pos_N[first], 0, K, keys[NEGATIVE], alias_V2, next_negative_J)
        for i in range(first, last):
            negative_J, next_negative_J = next_negative_J, negative_J
            if i + 1 < last:
                if not PAIRS:
                    fill_outputs(ids_N[i + 1], pos_N[i + 1], 0, K, keys[NEGATIVE], alias_V2, next_negative_J)
                    for j in range(0 if CBOW else 1, 1 + K):
                        for d in range(0, D, LANES):
                            prefetch(out_VD, (next_negative_J[j], np.uint64(d)))
                entering = min(i + 1 + W, count - 1)  # the new context of the next window
                if not CBOW:
                    for d in range(0, D, LANES):
                        prefetch(out_VD, (np.uint64(ids_N[entering]), np.uint64(d)))
                word = np.uint64(ids_N[entering if CBOW else i + 1])
                for n in range(starts_V[word], starts_V[word + np.uint64(1)]):
                    for d in range(0, D, LANES):
                        prefetch(in_RD, (np.uint64(rows_N[n]), np.uint64(d)))
            num = fill_contexts(i, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, context_C, slot_C)
            if num == 0:
                continue
            center_1[0] = ids_N[i]
            for c in range(num if PAIRS else 1):
                if PAIRS:
                    fill_outputs(ids_N[i], pos_N[i], slot_C[c] * K, K, keys[NEGATIVE], alias_V2, negative_J)
                words, inputs = (context_C, num) if CBOW else (center_1, 1)
                targets, T = (center_1, 1) if CBOW else (context_C[c:], 1 if PAIRS else num)
                x_D[:] = 0
                size = 0
                for n in range(inputs):
                    start, stop = starts_V[words[n]], starts_V[words[n] + np.uint64(1)]
                    add_rows(in_RD, rows_N, start, stop, x_D, D)
                    size += stop - start
                part = np.float32(1) / np.float32(size)
                for d in range(D):
                    x_D[d] *= part

                for t in range(T):
                    output_J[t] = targets[t]
                for k in range(K):
                    output_J[T + k] = negative_J[1 + k]
                J, ALL_T = -(-(T + K) // TILE) * TILE, -(-T // LANES) * LANES
                logits_of_one(x_D, out_VD, output_J, logits_N, D, J)
                for t in range(1, T):
                    logits_N[t] = -logits_N[t]
                loss -= weigh_negatives(logits_N, output_J, T, K, wrong_N, weight_K)
                logits_N[T:ALL_T] = MASKED_LOGIT
                more, product = sigmoid_steps(logits_N, T, ALL_T, learning_rate, product)
                more_wrong, wrong_product = sigmoid_steps(wrong_N, 0, ALL_K, learning_rate, 1.0)
                loss += more + T * (more_wrong - math.log(wrong_product))
                for k in range(K):
                    g_N[T + k] = weight_K[k] * wrong_N[k]
                g_N[T + K : J] = 0

                input_gradient(g_N, out_VD, output_J, dx_D, D, J)
                for j in range(T + K):
                    scatter_add(x_D, g_N[j], output_J[j:], 1, out_VD, D)
                share = part if DIVIDE else np.float32(1)
                for n in range(inputs):
                    start, stop = starts_V[words[n]], starts_V[words[n] + np.uint64(1)]
                    scatter_add(dx_D, share, rows_N[start:], stop - start, in_RD, D)
                predictions += T
        return loss - math.log(product), predictions

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: Any
    ) -> tuple[float, int]:
        sentence = np.searchsorted(tables.sentences, start, side="right") - 1
        kept = [np.empty(stop - start + 2 * W, np.int64) for _ in range(3)]
        text = tables._replace(bags=None)
        span = keep_tokens(text, keys[Stream.KEEP], W, start, stop, sentence, *kept)
        ids = (np.zeros(num, np.uint64) for num in (MAX_J, 1 + K, 1 + K, 1))
        scratch = (np.zeros(C, np.uint64), np.empty(C, np.int64), *ids)
        work = (*kept, *span, keys, tables.alias_V2, tables.bags, weights, learning_rate, scratch)
        result: tuple[float, int] = train_kept(*work)
        return result

    return train_span


def compile_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> None:
    """Compile the kernel into the cache, for both types of tokens, by spans without tokens."""
    train_span = make_kernel(objective, share_negatives, corrected, dim, negatives, window)
    weights, bags = Weights(*np.zeros((2, 1, dim), np.float32)), Bags(np.arange(2), np.zeros(1, np.uint32))
    for dtype in (np.uint16, np.uint32):
        tokens, sentences = np.zeros(1, dtype), np.array([0, 1])
        for array in (tokens, sentences):
            array.flags.writeable = False  # because arrays mapped from files are, and have another type
        tables = Tables(tokens, sentences, np.zeros(1, np.uint32), np.zeros((1, 2), np.uint32), bags)
        train_span(tables, epoch_keys(0, 0), weights, 0, 0, np.float32(0))
