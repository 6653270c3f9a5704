"""Find the pairs of blocks and train them in compiled loops; blocks.py describes blocks.

Letters: D dimensions (padded), K negatives, G rows of a part, N pairs, C contexts of a window, J outputs of a
step: the target, then K negatives, then padding up to a multiple of TILE, with valid ids and steps of 0.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from nlpseq.core.counter_rng import Stream
from nlpseq.core.prefetch_numba import prefetch
from nlpseq.word2vec.kernels.primitives_numba import (
    FAST,
    gather_mean,
    input_gradient,
    logits_of_one,
    mask_logits,
    scatter_add,
    sigmoid_steps,
)
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE
from nlpseq.word2vec.kernels.windows_numba import fill_contexts, fill_outputs

__all__ = ["count_pairs", "fill_pairs", "make_kernel"]

WIDTH = int(Stream.WIDTH)  # because kernels take plain integers


@njit(nogil=True, cache=True)
def count_pairs(  # type: ignore[no-untyped-def]
    ids_N, pos_N, sentence_N, count, first, last, keys, W, part_V, P, context_C, slot_C, counts_B
):
    """Add the number of pairs of each block to counts_B."""
    for i in range(first, last):
        num = fill_contexts(i, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, context_C, slot_C)
        target_part = part_V[ids_N[i]]
        for c in range(num):
            counts_B[target_part * P + part_V[context_C[c]]] += 1


@njit(nogil=True, cache=True)
def fill_pairs(  # type: ignore[no-untyped-def]
    ids_N, pos_N, sentence_N, count, first, last, keys, W, part_V, P, context_C, slot_C, next_B,
    input_N, target_N, pair_pos_N, pair_slot_N,
):  # fmt: skip
    """Fill the pairs of each block from index next_B on."""
    for i in range(first, last):
        num = fill_contexts(i, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, context_C, slot_C)
        target_part, target = part_V[ids_N[i]], ids_N[i] // P
        for c in range(num):
            context = np.int64(context_C[c])
            block = target_part * P + part_V[context]
            n = next_B[block]
            next_B[block] += 1
            input_N[n], target_N[n] = context // P, target
            pair_pos_N[n], pair_slot_N[n] = pos_N[i], slot_C[c]


@cache
def make_kernel(dim: int, negatives: int) -> Callable[..., float]:
    """Return the compiled loop over the pairs of a block; dim: the padded row length.

    It returns the sum of the losses.
    """
    D, K, J = dim, negatives, -(-(1 + negatives) // TILE) * TILE
    ONE = -(-J // LANES) * LANES  # logits of one input, rounded up to whole vectors

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_pairs(  # type: ignore[no-untyped-def]
        input_N, target_N, pos_N, slot_N, key, alias_G2, in_GD, out_GD, rate, output_J, next_output_J
    ):
        x_D, dx_D = np.empty(D, np.float32), np.empty(D, np.float32)
        logits_N = g_N = np.empty(ONE + LANES, np.float32)  # one array: see sigmoid_steps
        loss, product = 0.0, 1.0  # the loss is loss - log(product)
        fill_outputs(target_N[0], pos_N[0], slot_N[0] * K, K, key, alias_G2, next_output_J)
        for n in range(len(input_N)):
            output_J, next_output_J = next_output_J, output_J
            if n + 1 < len(input_N):
                m = n + 1
                fill_outputs(target_N[m], pos_N[m], slot_N[m] * K, K, key, alias_G2, next_output_J)
                for d in range(0, D, LANES):
                    prefetch(in_GD, (np.uint64(input_N[m]), np.uint64(d)))
                    for j in range(1 + K):
                        prefetch(out_GD, (next_output_J[j], np.uint64(d)))
            gather_mean(in_GD, input_N[n:], 1, x_D, D)
            logits_of_one(x_D, out_GD, output_J, logits_N, D, J)
            mask_logits(logits_N, 1, 1, output_J, K, J)
            more, product = sigmoid_steps(logits_N, 1, ONE, rate, product)
            input_gradient(g_N, out_GD, output_J, dx_D, D, J)
            scatter_add(dx_D, np.float32(1), input_N[n:], 1, in_GD, D)
            for j in range(1 + K):
                scatter_add(x_D, g_N[j], output_J[j:], 1, out_GD, D)
            loss += more
        return loss - math.log(product)

    def train(*work: Any) -> float:
        outputs: Any = np.zeros(J, np.uint64), np.zeros(J, np.uint64)
        loss: float = train_pairs(*work, *outputs)
        return loss

    return train
