"""GloVe for a pair of words, in plain code: the specification of counts/glove_numba.py.

Letters: E = D + 1 (a vector and a bias), 2 = the values and AdaGrad's sums of squared slopes.
"""

import numpy as np
import numpy.typing as npt

from nlpseq.config import GloveConfig
from nlpseq.counts.glove_checkpoint import Weights

Floats = npt.NDArray[np.float32]


def glove_step(weights: Weights, pair: tuple[int, int, float], config: GloveConfig) -> float:
    """Take a step of AdaGrad for a pair (word, context, count). Return the loss."""
    w, c, count = pair
    rows_2E = weights.words_V2E[w], weights.contexts_V2E[c]
    loss, slopes_E = glove_loss(rows_2E[0][0], rows_2E[1][0], count, config)
    for (values_E, squares_E), slope_E in zip(rows_2E, slopes_E, strict=True):
        squares_E += slope_E**2
        values_E -= config.learning_rate * slope_E / np.sqrt(squares_E)
    return loss


def glove_loss(
    word_E: Floats, context_E: Floats, count: float, config: GloveConfig
) -> tuple[float, tuple[Floats, Floats]]:
    """Return the loss of a pair, and the gradients for the word and for the context."""
    error = word_E[:-1] @ context_E[:-1] + word_E[-1] + context_E[-1] - np.log(count)
    weight = min(1.0, (count / config.x_max) ** config.alpha)
    slope = 2 * weight * error
    return float(weight * error**2), (slope * np.append(context_E[:-1], 1), slope * np.append(word_E[:-1], 1))
