"""Compute the memory and the disk space that a training needs, before it begins.

Letters: V words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nlpseq.config import Ngrams, Word2VecConfig
from nlpseq.word2vec.kernels.select import padded

__all__ = ["NeededBytes", "count_rows", "needed_bytes"]

FLOAT = 4  # bytes
PART_COPIES = 3  # of the weights in parts: before and after a few segments, and on the way
HASHED_ROW = 18  # bytes of a row of a bag: a hash, its bucket, the list of all rows, and masks


class NeededBytes(NamedTuple):
    """Bytes of a training."""

    stored: int  # of the result
    matrices: int  # of the result
    checkpoint: int
    memory: int


def needed_bytes(config: Word2VecConfig, words: Sequence[str], *, has_start: bool = False) -> NeededBytes:
    """Return the bytes that training vectors of some words needs, besides the start.

    config: with every default resolved. has_start: also means over the texts.
    """
    assert config.threads
    num_rows = 2 * len(words) + (config.buckets or 0)
    means = len(words) * config.dim * FLOAT if config.ngrams else 0  # vectors of words, besides the inputs
    is_averaged = has_start and not config.freeze_known
    stored = num_rows * config.dim * FLOAT * (1 + is_averaged)
    matrices = 2 + 2 * is_averaged + (config.ngrams is not None)  # the last inputs hold n-grams too
    copies = config.threads if config.deterministic and config.threads > 1 else 0
    if config.parts:
        copies = PART_COPIES
    weights = num_rows * padded(config.dim) * FLOAT * (1 + config.early_stop + copies)
    bags = (len(words) + count_rows(words, config.ngrams)) * HASHED_ROW if config.ngrams else 0
    memory = stored + means + weights + bags + means * config.freeze_known
    return NeededBytes(stored, matrices, stored + means, memory)


def count_rows(words: Sequence[str], ngrams: Ngrams) -> int:
    """Count the n-grams of all words by their lengths; slightly too many, so that memory suffices."""
    chars_V = np.fromiter(map(len, words), np.int64, len(words))
    marks = 2  # of each word
    parts = [(chars_V + marks, ngrams.shortest, ngrams.longest)]
    if ngrams.units == "jamo":
        parts.append((3 * chars_V + marks, 3, 5))  # a syllable has three letters, as in vectors/subwords.py
    return sum(
        int(np.maximum(lengths_V - n + 1, 0).sum())
        for lengths_V, shortest, longest in parts
        for n in range(shortest, longest + 1)
    )
