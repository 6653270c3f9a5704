"""Run the steps of word2vec on subwords in compiled loops: fused_numba.py for inputs that are means of rows.

A window predicts T targets from one mean of rows, each target with its own K negatives in a step of its own.
Skip-gram predicts the contexts of a window from the rows of the center, CBOW the center from the rows of all
contexts. The rows of the mean are read once for a window, and changed once by the sum of its steps; between
two steps only the mean moves, as it would if its rows had moved.

Letters: V words, R rows of words and n-grams, D dimensions (padded), K negatives, W window, C contexts of a
window, T targets, J outputs of a step: the target, then K negatives, then padding up to a multiple of TILE,
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
    add_rows,
    input_gradient,
    logits_of_one,
    mask_logits,
    scatter_add,
    scatter_add_unless,
    sigmoid_steps,
)
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE
from nlpseq.word2vec.kernels.windows_numba import fill_contexts, fill_outputs, keep_tokens
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Frozen, Tables, epoch_keys

__all__ = ["compile_kernel", "make_kernel"]

WIDTH, NEGATIVE = int(Stream.WIDTH), int(Stream.NEGATIVE)  # because kernels take plain integers


@cache
def make_kernel(
    objective: str, corrected: bool, dim: int, negatives: int, window: int, frozen: bool = False
) -> Callable[..., Any]:
    """Return the compiled kernel, a TrainSpan, for these constants.

    dim: the padded row length. frozen: obey Tables.frozen.
    """
    D, K, W, C, CBOW, FROZEN = dim, negatives, window, 2 * window, objective == "cbow", frozen
    J = -(-(1 + negatives) // TILE) * TILE
    ONE, MAX_T = -(-J // LANES) * LANES, 1 if CBOW else C  # logits of a step, rounded up to whole vectors
    DIVIDE = CBOW and corrected

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_kept(  # type: ignore[no-untyped-def]
        ids_N, pos_N, sentence_N, count, first, last, keys, alias_V2, bags, frozen, weights, rate, scratch
    ):
        (in_RD, out_VD), (frozen_in_R, frozen_out_V) = weights, frozen
        starts_V, rows_N = bags
        context_C, slot_C, output_N, next_context_C, next_slot_C, next_output_N, center_1, drawn_N = scratch
        x_D, dx_D, sum_D = np.empty(D, np.float32), np.empty(D, np.float32), np.empty(D, np.float32)
        logits_N = g_N = np.empty(ONE + LANES, np.float32)  # one array: see sigmoid_steps
        loss, product, predictions, num, next_num = 0.0, 1.0, 0, 0, 0  # the loss is loss - log(product)
        for i in range(first - 1, last):  # draws the words of window i + 1, then trains on window i
            context_C, next_context_C = next_context_C, context_C
            slot_C, next_slot_C = next_slot_C, slot_C
            output_N, next_output_N = next_output_N, output_N
            num = next_num
            if i + 1 < last:
                next_num = fill_contexts(
                    i + 1, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, next_context_C, next_slot_C
                )
                targets = min(next_num, 1) if CBOW else next_num
                for t in range(targets):
                    slot = 0 if CBOW else next_slot_C[t]
                    target = ids_N[i + 1] if CBOW else next_context_C[t]
                    fill_outputs(target, pos_N[i + 1], slot * K, K, keys[NEGATIVE], alias_V2, drawn_N)
                    for j in range(1 + K):
                        next_output_N[t * J + j] = drawn_N[j]
                        for d in range(0, D, LANES):
                            prefetch(out_VD, (drawn_N[j], np.uint64(d)))
                entering = min(i + 1 + W, count - 1)  # the new context of the next window
                word = np.uint64(ids_N[entering if CBOW else i + 1])
                for n in range(starts_V[word], starts_V[word + np.uint64(1)]):
                    for d in range(0, D, LANES):
                        prefetch(in_RD, (np.uint64(rows_N[n]), np.uint64(d)))
            if i < first or num == 0:
                continue
            center_1[0] = ids_N[i]
            words, inputs, T = (context_C, num, 1) if CBOW else (center_1, 1, num)
            x_D[:] = 0
            size = 0
            for n in range(inputs):
                start, stop = starts_V[words[n]], starts_V[words[n] + np.uint64(1)]
                add_rows(in_RD, rows_N, start, stop, x_D, D)
                size += stop - start
            part = np.float32(1) / np.float32(size)
            for d in range(D):
                x_D[d] *= part

            repeats = 0  # pairs of the same row: a row that is twice in a mean moves it four times as far
            if T > 1:
                start, stop = starts_V[words[0]], starts_V[words[0] + np.uint64(1)]
                for n in range(start, stop):
                    if not FROZEN or not frozen_in_R[rows_N[n]]:
                        for m in range(start, stop):
                            repeats += rows_N[m] == rows_N[n]
            moved = np.float32(repeats) * part
            sum_D[:] = 0
            for t in range(T):
                output_J = output_N[t * J :]
                logits_of_one(x_D, out_VD, output_J, logits_N, D, J)
                mask_logits(logits_N, 1, 1, output_J, K, J)
                more, product = sigmoid_steps(logits_N, 1, ONE, rate, product)
                input_gradient(g_N, out_VD, output_J, dx_D, D, J)
                for j in range(1 + K):
                    if not FROZEN or not frozen_out_V[output_J[j]]:
                        scatter_add(x_D, g_N[j], output_J[j:], 1, out_VD, D)
                for d in range(D):
                    x_D[d] += moved * dx_D[d]
                    sum_D[d] += dx_D[d]
                loss += more
            share = part if DIVIDE else np.float32(1)
            for n in range(inputs):
                start, stop = starts_V[words[n]], starts_V[words[n] + np.uint64(1)]
                if FROZEN:
                    scatter_add_unless(sum_D, share, rows_N[start:], stop - start, in_RD, frozen_in_R, D)
                else:
                    scatter_add(sum_D, share, rows_N[start:], stop - start, in_RD, D)
            predictions += T
        return loss - math.log(product), predictions

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: Any
    ) -> tuple[float, int]:
        sentence = np.searchsorted(tables.sentences, start, side="right") - 1
        kept = [np.empty(stop - start + 2 * W, np.int64) for _ in range(3)]
        text = tables._replace(bags=None, frozen=None)
        span = keep_tokens(text, keys[Stream.KEEP], W, start, stop, sentence, *kept)
        windows = [
            (np.zeros(C, np.uint64), np.zeros(C, np.int64), np.zeros(MAX_T * J, np.uint64)) for _ in range(2)
        ]
        scratch = (*windows[0], *windows[1], np.zeros(1, np.uint64), np.zeros(1 + K, np.uint64))
        frozen = tables.frozen or Frozen(*np.zeros((2, 0), np.bool_))
        work = (*kept, *span, keys, tables.alias_V2, tables.bags, frozen, weights, learning_rate, scratch)
        result: tuple[float, int] = train_kept(*work)
        return result

    return train_span


def compile_kernel(
    objective: str, corrected: bool, dim: int, negatives: int, window: int, frozen: bool = False
) -> None:
    """Compile the kernel into the cache, for both types of tokens, by spans without tokens."""
    train_span = make_kernel(objective, corrected, dim, negatives, window, frozen)
    weights, bags = Weights(*np.zeros((2, 1, dim), np.float32)), Bags(np.arange(2), np.zeros(1, np.uint32))
    for dtype in (np.uint16, np.uint32):
        tokens, sentences = np.zeros(1, dtype), np.array([0, 1])
        for array in (tokens, sentences):
            array.flags.writeable = False  # because arrays mapped from files are, and have another type
        tables = Tables(tokens, sentences, np.zeros(1, np.uint32), np.zeros((1, 2), np.uint32), bags)
        train_span(tables, epoch_keys(0, 0), weights, 0, 0, np.float32(0))
