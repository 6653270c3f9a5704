"""Run objectives.py on batches of windows, on NumPy or CuPy arrays: the readable kernel.

With batch=1 the steps equal the steps of the fused kernels. Read and change this kernel first; no
compiler is needed.
"""

from typing import Any

from nlpseq.config import Word2VecConfig
from nlpseq.word2vec.kernels.select import TrainSpan
from nlpseq.word2vec.objectives import Weights, cbow_step, skipgram_step
from nlpseq.word2vec.sampling import Tables, noise_words, span_windows

__all__ = ["make_layered"]

MAX_BATCH = 256  # windows per step: more are faster, but windows of a step ignore the changes of each other
MAX_SOFTMAX_BATCH = 8  # because each window changes all rows, and many add up to a step too long
WORDS_PER_WINDOW = 64  # because gradients of a small vocabulary add up on the same rows


def make_layered(config: Word2VecConfig, xp: Any, batch: int | None = None) -> TrainSpan:
    """Return a kernel that runs objectives.py on `batch` windows at a time, or pairs with pair negatives."""
    pairs = config.objective == "skipgram" and config.share_negatives == "pair"
    max_batch = MAX_SOFTMAX_BATCH if config.loss == "softmax" else MAX_BATCH
    corrected = config.cbow_update == "corrected"

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: float
    ) -> tuple[float, int]:
        windows = span_windows(tables, keys, config.window, start, stop, xp)
        if pairs:
            windows = windows.by_pair()
        size = batch or min(max_batch, max(1, len(tables.keep_V) // WORDS_PER_WINDOW))
        losses = []
        for first in range(0, len(windows.centres_B), size):
            part, negatives_BK = windows.part(first, first + size, xp), None
            if config.loss == "negative-sampling":
                first_k_B = part.slot_P * config.negatives if pairs else xp.zeros_like(part.pos_B)
                negatives_BK = noise_words(tables.alias_V2, keys, part.pos_B, first_k_B, config.negatives, xp)
            if config.objective == "cbow":
                loss = cbow_step(
                    weights, part, negatives_BK, learning_rate, xp, tables.frozen_2V, corrected=corrected
                )
            else:
                negatives_PK = None if negatives_BK is None else negatives_BK[part.window_P]
                loss = skipgram_step(weights, part, negatives_PK, learning_rate, xp, tables.frozen_2V)
            losses.append(loss)
        total = sum((each.sum(dtype=xp.float64) for each in losses), start=xp.zeros((), xp.float64))
        return float(total), sum(len(each) for each in losses)

    return train_span
