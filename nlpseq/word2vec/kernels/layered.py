"""Run objectives.py on batches of windows, on NumPy or CuPy arrays: the readable kernel.

With batch=1 the steps equal the steps of the fused kernels. Read and change this kernel first; no
compiler is needed.
"""

from functools import partial
from typing import Any

from nlpseq.config import Word2VecConfig
from nlpseq.word2vec.kernels.select import TrainSpan
from nlpseq.word2vec.objectives import Weights, cbow_step, skipgram_step
from nlpseq.word2vec.sampling import Tables, Windows, noise_words, span_windows
from nlpseq.word2vec.subwords import cbow_rows, skipgram_rows

__all__ = ["make_layered"]

MAX_BATCH = 256  # windows per step: more are faster, but windows of a step ignore the changes of each other
MAX_SOFTMAX_BATCH = 8  # because each window changes all rows, and many add up to a step too long
WORDS_PER_WINDOW = 64  # because gradients of a small vocabulary add up on the same rows


def make_layered(config: Word2VecConfig, xp: Any, batch: int | None = None) -> TrainSpan:
    """Return a kernel that runs objectives.py on `batch` windows at a time.

    Skip-gram whose pairs have negatives of their own, as with subwords, takes `batch` pairs at a time.
    """
    is_cbow, K = config.objective == "cbow", config.negatives
    pairs = not is_cbow and (config.share_negatives == "pair" or config.subwords is not None)
    max_batch = MAX_SOFTMAX_BATCH if config.loss == "softmax" else MAX_BATCH
    corrected = is_cbow and config.cbow_update == "corrected"

    def draw_negatives(part: Windows, tables: Tables, keys: Any) -> Any:
        """Return the negatives of each prediction: of each window for CBOW, of each pair for skip-gram."""
        if config.loss == "softmax":
            return None
        draw = partial(noise_words, tables.alias_V2, keys)
        if pairs:
            return draw(part.pos_B[part.window_P], part.slot_P * K, K, xp)
        negatives_BK = draw(part.pos_B, xp.zeros_like(part.pos_B), K, xp)
        return negatives_BK if is_cbow else negatives_BK[part.window_P]

    def step(weights: Weights, part: Windows, tables: Tables, negatives: Any, learning_rate: float) -> Any:
        bags, frozen = tables.bags, tables.frozen
        if bags is None and not is_cbow:
            return skipgram_step(weights, part, negatives, learning_rate, xp, frozen)
        if bags is not None:
            part = cbow_rows(part, bags, xp) if is_cbow else skipgram_rows(part, bags, xp)
        return cbow_step(weights, part, negatives, learning_rate, xp, frozen, corrected=corrected)

    def train_span(
        tables: Tables, keys: Any, weights: Weights, start: int, stop: int, learning_rate: float
    ) -> tuple[float, int]:
        windows = span_windows(tables, keys, config.window, start, stop, xp)
        if pairs:
            windows = windows.by_pair()
        size = batch or min(max_batch, max(1, len(tables.keep_V) // WORDS_PER_WINDOW))
        losses = []
        for first in range(0, len(windows.centres_B), size):
            part = windows.part(first, first + size, xp)
            negatives = draw_negatives(part, tables, keys)
            losses.append(step(weights, part, tables, negatives, learning_rate))
        total = sum((each.sum(dtype=xp.float64) for each in losses), start=xp.zeros((), xp.float64))
        return float(total), sum(len(each) for each in losses)

    return train_span
