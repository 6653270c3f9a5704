"""Draw the kept tokens, contexts and negatives of windows in compiled loops.

sampling.py holds the specification.
"""

import numpy as np
from numba import njit

from nlpseq.core.counter_rng_numba import random_bits

__all__ = ["fill_contexts", "fill_outputs", "keep_tokens"]

HALF = np.uint64(32)
LOWER = np.uint64(2**32 - 1)
ZERO = np.uint64(0)


@njit(inline="always")
def _is_kept(word_id, pos, keep_V, key):  # type: ignore[no-untyped-def]
    return word_id < len(keep_V) and (random_bits(key, np.uint64(pos), ZERO) >> HALF) <= keep_V[word_id]


@njit(nogil=True, cache=True)
def keep_tokens(  # type: ignore[no-untyped-def]
    tables, key, window, start, stop, sentence, ids_N, pos_N, sentence_N
):
    """Fill ids, positions and sentences of kept tokens from start to stop (exclusive).

    Up to `window` kept tokens of the same sentence are added on each side. sentence: number of the sentence
    of token `start`. Returns (count, first, last): `count` tokens are filled, and numbers first to
    last - 1 lie between start and stop.
    """
    tokens, sentences, keep_V = tables.tokens, tables.sentences, tables.keep_V
    begin, found = start, 0
    while begin > sentences[sentence] and found < window:
        begin -= 1
        found += _is_kept(tokens[begin], begin, keep_V, key)
    count, first, last, pos = 0, 0, 0, begin
    while pos < stop or (pos < sentences[sentence + 1] and count - last < window):
        while pos >= sentences[sentence + 1]:
            sentence += 1
        if _is_kept(tokens[pos], pos, keep_V, key):
            ids_N[count], pos_N[count], sentence_N[count] = tokens[pos], pos, sentence
            count += 1
        pos += 1
        first = count if pos <= start else first
        last = count if pos <= stop else last
    return count, first, last


@njit(inline="always")
def fill_contexts(i, count, key, window, ids_N, pos_N, sentence_N, context_C, slot_C):  # type: ignore[no-untyped-def]
    """Fill the neighbors of kept token i within its width and its sentence. Return their number."""
    width = 1 + np.int64(((random_bits(key, np.uint64(pos_N[i]), ZERO) >> HALF) * np.uint64(window)) >> HALF)
    num = 0
    for n in range(max(i - width, 0), min(i + width + 1, count)):
        if n != i and sentence_N[n] == sentence_N[i]:
            context_C[num] = ids_N[n]
            slot_C[num] = n - i + window - (n > i)
            num += 1
    return num


@njit(inline="always")
def fill_outputs(target, pos, first_k, K, key, alias_V2, output_J):  # type: ignore[no-untyped-def]
    """Fill the target and its K negatives; the padding of output_J stays word 0."""
    output_J[0] = target
    for k in range(K):
        bits = random_bits(key, np.uint64(pos), np.uint64(first_k + k))
        row = np.int64(((bits >> HALF) * np.uint64(len(alias_V2))) >> HALF)
        output_J[1 + k] = row if (bits & LOWER) <= alias_V2[row, 0] else np.int64(alias_V2[row, 1])
