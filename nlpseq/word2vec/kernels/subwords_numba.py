"""Run the steps of word2vec on subwords in compiled loops: fused_numba.py for inputs that are means of rows.

A step predicts T targets from one mean of rows. Skip-gram predicts the contexts of a window from the rows of
the center (with negatives for each pair, one context at a time), CBOW the center from the rows of all
contexts. So a window reads and writes each row once. A block of K negatives belongs to one or a few targets,
and a negative counts once for each of these targets that is another word.

Letters: V words, R rows of words and n-grams, D dimensions (padded), K negatives, W window, C contexts of a
window, T targets, B blocks, J outputs of a step: the targets, then K negatives of each block, then padding up
to a multiple of TILE, with valid ids and steps of 0; N any number.
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
    add_rows,
    input_gradient,
    logits_of_one,
    scatter_add,
    sigmoid_steps,
    weigh_negatives,
)
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE
from nlpseq.word2vec.kernels.windows_numba import fill_contexts, fill_outputs, keep_tokens
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys
from nlpseq.word2vec.subwords import SLOTS_PER_DRAW

__all__ = ["compile_kernel", "make_kernel"]

WIDTH, NEGATIVE = int(Stream.WIDTH), int(Stream.NEGATIVE)  # because kernels take plain integers


@njit(inline="always")
def _draw_blocks(ids_N, pos_N, i, slot_C, num, group, K, key, alias_V2, negative_N):  # type: ignore[no-untyped-def]
    """Draw a block of negatives for each group of contexts, each block after the id of the center.

    Contexts whose slots divided by `group` are equal share a block. Returns the number of blocks.
    """
    blocks, last_group = 0, -1
    for c in range(num):
        this_group = slot_C[c] // group
        if this_group != last_group:
            block = negative_N[blocks * (1 + K) :]
            fill_outputs(ids_N[i], pos_N[i], this_group * K, K, key, alias_V2, block)
            blocks, last_group = blocks + 1, this_group
    return blocks


@cache
def make_kernel(
    objective: str, share_negatives: str, corrected: bool, dim: int, negatives: int, window: int
) -> Callable[..., Any]:
    """Return the compiled kernel, a TrainSpan, for these constants; dim is the padded row length."""
    D, K, W, C = dim, negatives, window, 2 * window
    CBOW, PAIRS = objective == "cbow", share_negatives == "pair"
    GROUP = C if CBOW else 1 if PAIRS else SLOTS_PER_DRAW
    BLOCKS = -(-C // GROUP)
    MAX_J, ALL_K = -(-(C + BLOCKS * K) // TILE) * TILE, -(-K // LANES) * LANES
    DIVIDE = CBOW and corrected

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_kept(  # type: ignore[no-untyped-def]
        ids_N, pos_N, sentence_N, count, first, last, keys, alias_V2, bags, weights, learning_rate, scratch
    ):
        in_RD, out_VD = weights
        starts_V, rows_N = bags
        context_C, slot_C, negative_N, next_context_C, next_slot_C, next_negative_N, output_J, center_1 = (
            scratch
        )
        x_D, dx_D = np.empty(D, np.float32), np.empty(D, np.float32)
        logits_N, g_N = np.empty(MAX_J, np.float32), np.empty(MAX_J, np.float32)
        right_N = np.empty(-(-C // LANES) * LANES, np.float32)
        wrong_N, weight_K = np.empty(ALL_K, np.float32), np.empty(K, np.float32)
        loss, product, predictions = 0.0, 1.0, 0  # the loss is loss - log(product)
        num = blocks = next_num = next_blocks = 0
        for i in range(first - 1, last):  # draws for the next window, then trains on window i
            context_C, next_context_C = next_context_C, context_C
            slot_C, next_slot_C = next_slot_C, slot_C
            negative_N, next_negative_N = next_negative_N, negative_N
            num, blocks = next_num, next_blocks
            if i + 1 < last:
                next_num = fill_contexts(
                    i + 1, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, next_context_C, next_slot_C
                )
                next_blocks = _draw_blocks(
                    ids_N,
                    pos_N,
                    i + 1,
                    next_slot_C,
                    next_num,
                    GROUP,
                    K,
                    keys[NEGATIVE],
                    alias_V2,
                    next_negative_N,
                )
                for j in range(next_blocks * (1 + K)):
                    for d in range(0, D, LANES):
                        prefetch(out_VD, (next_negative_N[j], np.uint64(d)))
                entering = min(i + 1 + W, count - 1)  # the new context of the next window
                for d in range(0, D, LANES):
                    prefetch(out_VD, (np.uint64(ids_N[entering]), np.uint64(d)))
                word = np.uint64(ids_N[entering if CBOW else i + 1])
                for n in range(starts_V[word], starts_V[word + np.uint64(1)]):
                    for d in range(0, D, LANES):
                        prefetch(in_RD, (np.uint64(rows_N[n]), np.uint64(d)))
            if i < first or num == 0:
                continue
            center_1[0] = ids_N[i]
            for c in range(num if PAIRS else 1):
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

                first_block, B = (c, 1) if PAIRS else (0, blocks)
                for t in range(T):
                    output_J[t] = targets[t]
                for b in range(B):
                    for k in range(K):
                        output_J[T + b * K + k] = negative_N[(first_block + b) * (1 + K) + 1 + k]
                J, ALL_T = -(-(T + B * K) // TILE) * TILE, -(-T // LANES) * LANES
                logits_of_one(x_D, out_VD, output_J, logits_N, D, J)
                right_N[T:ALL_T] = MASKED_LOGIT
                for t in range(T):
                    right_N[t] = logits_N[t] if t == 0 else -logits_N[t]
                more, product = sigmoid_steps(right_N, T, ALL_T, learning_rate, product)
                loss += more
                for t in range(T):
                    g_N[t] = right_N[t]
                t = 0
                for b in range(B):
                    first_t, place = t, T + b * K
                    while t < T and slot_C[t] // GROUP == slot_C[first_t] // GROUP:
                        t += 1
                    loss -= weigh_negatives(logits_N, output_J, first_t, t, place, K, wrong_N, weight_K)
                    more, factor = sigmoid_steps(wrong_N, 0, ALL_K, learning_rate, 1.0)
                    loss += (t - first_t) * (more - math.log(factor))
                    for k in range(K):
                        g_N[place + k] = weight_K[k] * wrong_N[k]
                g_N[T + B * K : J] = 0

                input_gradient(g_N, out_VD, output_J, dx_D, D, J)
                for j in range(T + B * K):
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
        drawn = [
            (np.zeros(C, np.uint64), np.zeros(C, np.int64), np.zeros(BLOCKS * (1 + K), np.uint64))
            for _ in range(2)
        ]
        scratch = (*drawn[0], *drawn[1], np.zeros(MAX_J, np.uint64), np.zeros(1, np.uint64))
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
