"""Train the pairs of a block by the specification, one pair a step."""

from typing import Any

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.word2vec.blocks import Pairs
from nlpseq.word2vec.objectives import Weights, skipgram_step
from nlpseq.word2vec.sampling import Windows, noise_words


def train_pairs_one_by_one(
    pairs: Pairs,
    block: int,
    weights: Weights,
    alias_G2: Any,
    keys: Any,
    config: Word2VecConfig,
    learning_rate: float,
) -> float:
    """Return the sum of the losses of a block, and train the weights of its parts in place."""
    total, zero = 0.0, np.zeros(1, np.int64)
    for n in range(*pairs.starts_B[block : block + 2].tolist()):
        here = slice(n, n + 1)
        target, pos, slot = pairs.target_N[here].astype(np.int64), pairs.pos_N[here], pairs.slot_N[here]
        window = Windows(target, pos, pairs.input_N[here].astype(np.int64), zero, slot)
        first_k = slot.astype(np.int64) * config.negatives
        negatives = noise_words(alias_G2, keys, pos, first_k, config.negatives, np)
        total += float(skipgram_step(weights, window, negatives, learning_rate, np).sum())
    return total
