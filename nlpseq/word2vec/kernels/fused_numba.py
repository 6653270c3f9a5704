"""Run the steps of objectives.py in compiled loops: same random numbers, same arithmetic, no temporaries.

A call trains on every window whose center lies in tokens[start:stop], one window after another. The call
releases the GIL, so that several threads can train the same weights without a lock (Niu et al. 2011,
arXiv:1106.5730). Integer arrays are allocated outside of the compiled loop, because code that allocates
compiles longer; float arrays inside, because the compiler then knows that they overlap no other array.

Rows of the weights are padded to a multiple of 16 floats. Row length, number of negatives and window are
constants of the kernel, so that the compiler unrolls and vectorises every inner loop. If all contexts of a
window share their negatives, tiles_numba.py does the arithmetic.

Letters: V words, D dimensions (padded), K negatives, W window, C contexts of a window, J outputs of a step:
the target, then K negatives, then padding up to a multiple of TILE, with valid ids and steps of 0; N pairs of
an output and a context, output by output.
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
from nlpseq.word2vec.kernels.primitives_numba import (
    FAST,
    gather_mean,
    input_gradient,
    logits_of_one,
    mask_logits,
    merge_contexts,
    merge_outputs,
    scatter_add,
    scatter_add_unless,
    sigmoid_steps,
)
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE, address, products, step
from nlpseq.word2vec.kernels.windows_numba import fill_contexts, fill_outputs, keep_tokens
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Frozen, Tables, epoch_keys

__all__ = ["compile_kernel", "make_kernel"]

WIDTH, NEGATIVE = int(Stream.WIDTH), int(Stream.NEGATIVE)  # because kernels take plain integers

Ids = npt.NDArray[np.uint64]


class Scratch(NamedTuple):
    """Words of the present and the next window, and addresses of their rows."""

    context_C: Ids
    slot_C: npt.NDArray[np.int64]
    output_J: Ids
    next_output_J: Ids
    x_C: Ids  # (C + 1,), because tiles take contexts in pairs
    y_J: Ids
    from_C: Ids
    to_C: Ids
    between_C: Ids  # rows of between_CD
    between_CD: npt.NDArray[np.float32]  # inputs between two tiles of outputs
    copy_ND: npt.NDArray[np.float32]  # of frozen rows: C contexts, then J outputs
    spare_1D: npt.NDArray[np.float32]  # row of padding and of masked outputs, whose steps are 0


@njit(inline="always")
def _fill_addresses(in_VD, context_C, num, spare, out_VD, output_J, J, x_C, y_J):  # type: ignore[no-untyped-def]
    for c in range(num):
        x_C[c] = address(in_VD, context_C[c])
    x_C[num] = spare
    for j in range(J):
        y_J[j] = address(out_VD, output_J[j])


@njit(inline="always")
def _copy_frozen(weight_VD, ids_N, address_N, num, spare, frozen_V, copy_ND, D):  # type: ignore[no-untyped-def]
    """Point the addresses of frozen rows to copies, which a step may change."""
    for n in range(num):
        if frozen_V[ids_N[n]] and address_N[n] != spare:
            for d in range(D):
                copy_ND[n, d] = weight_VD[ids_N[n], d]
            address_N[n] = address(copy_ND, n)


@njit(inline="always")
def _step_window(x_C, num, y_J, g_N, stride, scratch, D, J):  # type: ignore[no-untyped-def]
    """Run x += g^T y and y += g x with the old values of both: only the last tile writes x."""
    from_C, to_C, between_C = scratch.from_C, scratch.to_C, scratch.between_C
    for first in range(0, J, TILE):
        for c in range(num):
            from_C[c] = x_C[c] if first == 0 else between_C[c]
            to_C[c] = x_C[c] if first + TILE == J else between_C[c]
        step(x_C, from_C, to_C, num, y_J, first, g_N, stride, D)


@cache
def make_kernel(
    objective: str,
    share_negatives: str,
    corrected: bool,
    dim: int,
    negatives: int,
    window: int,
    frozen: bool = False,
) -> Callable[..., Any]:
    """Return the compiled kernel, a TrainSpan, for these constants.

    dim: the padded row length. frozen: obey Tables.frozen.
    """
    D, K, W, C, J = dim, negatives, window, 2 * window, -(-(1 + negatives) // TILE) * TILE
    ONE = -(-J // LANES) * LANES  # logits of one input, rounded up to whole vectors
    MEAN, PAIRS, DIVIDE, FROZEN = objective == "cbow", share_negatives == "pair", corrected, frozen

    @njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    def train_kept(  # type: ignore[no-untyped-def]
        ids_N, pos_N, sentence_N, count, first, last, keys, alias_V2, frozen, weights, rate, scratch
    ):
        (in_VD, out_VD), (frozen_in_V, frozen_out_V) = weights, frozen
        context_C, slot_C, output_J, next_output_J, x_C, y_J = scratch[:6]
        x_D, dx_D = np.empty(D, np.float32), np.empty(D, np.float32)
        logits_N = g_N = np.empty(C * J + LANES, np.float32)  # one array: see sigmoid_steps
        spare = address(scratch.spare_1D, 0)  # because a local array would be freed after its last use
        for c in range(C):
            scratch.between_C[c] = address(scratch.between_CD, c)
        loss, product, predictions = 0.0, 1.0, 0  # the loss is loss - log(product)
        if first < last and not PAIRS:
            fill_outputs(ids_N[first], pos_N[first], 0, K, keys[NEGATIVE], alias_V2, next_output_J)
        for i in range(first, last):
            output_J, next_output_J = next_output_J, output_J
            if i + 1 < last and not PAIRS:
                fill_outputs(ids_N[i + 1], pos_N[i + 1], 0, K, keys[NEGATIVE], alias_V2, next_output_J)
                for j in range(1 + K):
                    for d in range(0, D, LANES):
                        prefetch(out_VD, (next_output_J[j], np.uint64(d)))
                if i + 1 + W < count:
                    for d in range(0, D, LANES):  # the new context of the next window
                        prefetch(in_VD, (np.uint64(ids_N[i + 1 + W]), np.uint64(d)))
            num = fill_contexts(i, count, keys[WIDTH], W, ids_N, pos_N, sentence_N, context_C, slot_C)
            if num == 0:
                continue
            if MEAN or PAIRS:
                for c in range(num if PAIRS else 1):
                    if PAIRS:
                        fill_outputs(ids_N[i], pos_N[i], slot_C[c] * K, K, keys[NEGATIVE], alias_V2, output_J)
                    inputs = 1 if PAIRS else num
                    gather_mean(in_VD, context_C[c:], inputs, x_D, D)
                    logits_of_one(x_D, out_VD, output_J, logits_N, D, J)
                    mask_logits(logits_N, 1, 1, output_J, K, J)
                    more, product = sigmoid_steps(logits_N, 1, ONE, rate, product)
                    input_gradient(g_N, out_VD, output_J, dx_D, D, J)
                    share = np.float32(1) / np.float32(inputs) if DIVIDE else np.float32(1)
                    if FROZEN:
                        scatter_add_unless(dx_D, share, context_C[c:], inputs, in_VD, frozen_in_V, D)
                        for j in range(1 + K):
                            scatter_add_unless(x_D, g_N[j], output_J[j:], 1, out_VD, frozen_out_V, D)
                    else:
                        scatter_add(dx_D, share, context_C[c:], inputs, in_VD, D)
                        for j in range(1 + K):
                            scatter_add(x_D, g_N[j], output_J[j:], 1, out_VD, D)
                    loss += more
                    predictions += 1
            else:
                stride = num + num % 2
                size = -(-J * stride // LANES) * LANES
                _fill_addresses(in_VD, context_C, num, spare, out_VD, output_J, J, x_C, y_J)
                for tile in range(0, J, TILE):
                    products(x_C, num, y_J, tile, logits_N, stride, D)
                mask_logits(logits_N, num, stride, output_J, K, J)
                more, product = sigmoid_steps(logits_N, stride, size, rate, product)
                merge_outputs(output_J, y_J, g_N, stride, spare, K, J)
                rows = merge_contexts(context_C, x_C, num, g_N, stride, J)
                if FROZEN:
                    _copy_frozen(in_VD, context_C, x_C, rows, spare, frozen_in_V, scratch.copy_ND, D)
                    copy_JD = scratch.copy_ND[C:]
                    _copy_frozen(out_VD, output_J, y_J, 1 + K, spare, frozen_out_V, copy_JD, D)
                _step_window(x_C, rows, y_J, g_N, stride, scratch, D, J)
                loss += more
                predictions += num
        return loss - math.log(product), predictions

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: Any
    ) -> tuple[float, int]:
        sentence = np.searchsorted(tables.sentences, start, side="right") - 1
        kept = [np.empty(stop - start + 2 * W, np.int64) for _ in range(3)]
        text = tables._replace(frozen=None)
        span = keep_tokens(text, keys[Stream.KEEP], W, start, stop, sentence, *kept)
        ids = (np.zeros(num, np.uint64) for num in (J, J, C + 1, J, C, C, C))
        rows = (np.zeros((num, D), np.float32) for num in (C, C + J if FROZEN else 1, 1))
        scratch = Scratch._make([np.zeros(C, np.uint64), np.empty(C, np.int64), *ids, *rows])
        frozen = tables.frozen or Frozen(*np.zeros((2, 0), np.bool_))
        work = (*kept, *span, keys, tables.alias_V2, frozen, weights, learning_rate, scratch)
        result: tuple[float, int] = train_kept(*work)
        return result

    return train_span


def compile_kernel(
    objective: str,
    share_negatives: str,
    corrected: bool,
    dim: int,
    negatives: int,
    window: int,
    frozen: bool = False,
) -> None:
    """Compile the kernel into the cache, for both types of tokens, by spans without tokens."""
    train_span = make_kernel(objective, share_negatives, corrected, dim, negatives, window, frozen)
    weights = Weights(*np.zeros((2, 1, dim), np.float32))
    for dtype in (np.uint16, np.uint32):
        tokens, sentences = np.zeros(1, dtype), np.array([0, 1])
        for array in (tokens, sentences):
            array.flags.writeable = False  # because arrays mapped from files are, and have another type
        tables = Tables(tokens, sentences, np.zeros(1, np.uint32), np.zeros((1, 2), np.uint32))
        train_span(tables, epoch_keys(0, 0), weights, 0, 0, np.float32(0))
