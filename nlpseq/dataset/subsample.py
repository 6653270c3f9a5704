"""Subsampling: which tokens of frequent words are left out, so that rarer ones get nearer to each other.

Whether the token at a position stays is draw(seed, KEEP, epoch, pos), so every reader of the text agrees.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.core.counter_rng import random_bits_array

Array = Any  # a NumPy or CuPy array
HALF = 32  # bits: the upper half of a draw decides


def keep_thresholds(counts_V: npt.NDArray[np.int64], subsample: float) -> npt.NDArray[np.uint32]:
    """Keep a token of word v when the upper half of its draw is at most thresholds[v].

    The probability is word2vec.c's sqrt(t/f) + t/f for a word of relative frequency f, which keeps a little
    more than the 1 - sqrt(t/f) of eq. 5 in Mikolov et al. 2013, arXiv:1310.4546.
    """
    if subsample == 0:
        return np.full(len(counts_V), 2**HALF - 1, np.uint32)
    ratio_V = subsample * counts_V.sum() / np.maximum(counts_V, 1)
    return as_threshold(np.sqrt(ratio_V) + ratio_V)


def as_threshold(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """t such that a uniform 32-bit integer is <= t with this probability (at least 2**-32)."""
    return (np.clip(np.rint(probability * 2.0**HALF), 1, 2**HALF) - 1).astype(np.uint32)


def kept(tokens_N: Array, start: int, keep_V: Array, key: int, xp: Any) -> Array:
    """Which of the tokens at positions start, start + 1, ... are words that stay; key: of the stream KEEP."""
    pos_N = xp.arange(start, start + len(tokens_N))
    upper_N = random_bits_array(key, pos_N, xp.zeros_like(pos_N), xp) >> xp.uint64(HALF)
    known_N = tokens_N < len(keep_V)
    return known_N & (upper_N <= keep_V[xp.where(known_N, tokens_N, 0)])
