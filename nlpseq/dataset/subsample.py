"""Subsampling: drop tokens of frequent words at random, so that rarer words move closer together.

random_bits(seed, KEEP, epoch, pos) decides about the token at a position, so every reader of a text agrees.

Letters: V words of the vocabulary, N tokens.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.core.counter_rng import random_bits_array

__all__ = ["HALF", "as_threshold", "keep_thresholds", "kept"]

Array = Any  # a NumPy or CuPy array
HALF = 32  # bits; the upper half of random bits decides


def keep_thresholds(counts_V: npt.NDArray[np.int64], subsample: float) -> npt.NDArray[np.uint32]:
    """Return thresholds, uint32, (V,): keep a token if the upper half of its random bits is not above.

    The probability is word2vec.c's sqrt(t/f) + t/f for a word of relative frequency f, which keeps a little
    more than the 1 - sqrt(t/f) of eq. 5 in Mikolov et al. 2013, arXiv:1310.4546.
    """
    if subsample == 0:
        return np.full(len(counts_V), 2**HALF - 1, np.uint32)
    ratio_V = subsample * counts_V.sum() / np.maximum(counts_V, 1)
    return as_threshold(np.sqrt(ratio_V) + ratio_V)


def as_threshold(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Return t such that a uniform 32-bit integer is <= t with a probability, at least 2**-32."""
    return (np.clip(np.rint(probability * 2.0**HALF), 1, 2**HALF) - 1).astype(np.uint32)


def kept(tokens_N: Array, start: int, keep_V: Array, key: int, xp: Any) -> Array:
    """Mark the words to keep among tokens at positions start, start + 1, ...; key: of the stream KEEP."""
    pos_N = xp.arange(start, start + len(tokens_N))
    upper_N = random_bits_array(key, pos_N, xp.zeros_like(pos_N), xp) >> xp.uint64(HALF)
    known_N = tokens_N < len(keep_V)
    return known_N & (upper_N <= keep_V[xp.where(known_N, tokens_N, 0)])
