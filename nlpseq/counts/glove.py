"""GloVe: vectors whose products are the logarithms of co-occurrence counts.

    loss = sum over pairs of f(x) (w . c + b_w + b_c - log x)^2,      f(x) = min(1, (x / x_max)^alpha)

    J. Pennington, R. Socher & C. D. Manning 2014, GloVe: global vectors for word representation,
    doi:10.3115/v1/D14-1162
    J. Duchi, E. Hazan & Y. Singer 2011, Adaptive subgradient methods: AdaGrad, its sums begin at 1

The pairs are shuffled once; each epoch takes chunks of them in a new order, and threads take chunks in turn
and train the same weights without a lock. With one thread a run repeats itself to the bit.

Letters: V words, D dimensions, N pairs.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.cache import use_cache_for_numba
from nlpseq.config import GloveConfig
from nlpseq.counts.cooccurrence import Cooccurrence
from nlpseq.draws import CHOICE, INIT, ORDER, draw_array, stream_key
from nlpseq.errors import DataError, RunError
from nlpseq.settings import available_cores, to_dict
from nlpseq.vectors.vectors import Vectors

CHUNK = 100_000  # pairs a thread takes at once

Floats = npt.NDArray[np.float32]
Report = Callable[[int, int, float], None]


class Pairs(NamedTuple):
    """What occurs together, and how often."""

    rows_N: npt.NDArray[np.int32]
    columns_N: npt.NDArray[np.int32]
    counts_N: Floats


class Weights(NamedTuple):
    """What is learnt; AdaGrad's sums of squared slopes have the same shapes."""

    words_VD: Floats
    contexts_VD: Floats
    word_bias_V: Floats
    context_bias_V: Floats


def train_glove(
    counts: Cooccurrence,
    config: GloveConfig = GloveConfig(),  # noqa: B008  (frozen)
    *,
    progress: Report | None = None,
) -> Vectors:
    """GloVe vectors of every word, and of every word as a context.

    progress is told of pairs done, of all there are, and of the mean loss of an epoch. Raises DataError where
    nothing was counted and RunError where the loss is no longer finite.
    """
    if counts.matrix.nnz == 0:
        raise DataError("no pair of words was counted. Give more text, or longer lines.")
    pairs, weights = shuffled(counts.matrix, config.seed), initial_weights(len(counts.vocab), config)
    losses = _train(pairs, weights, config, progress)
    meta = {
        "model": "glove",
        "glove_config": to_dict(config),
        "cooccurrence_config": to_dict(counts.config),
        "text_config": counts.meta.get("text_config"),
        "tokens": counts.meta.get("num_tokens"),
        "loss": losses,
    }
    return Vectors(counts.vocab, weights.words_VD, weights.contexts_VD, meta)


def glove_step(
    weights: Weights, squares: Weights, pair: tuple[int, int, float], config: GloveConfig
) -> float:
    """The specification: the loss of one pair (word, context, count) and a step of AdaGrad down its slope."""
    w, c, _ = pair
    loss, slopes = glove_loss(weights, pair, config)
    for values, sums, place, slope in zip(weights, squares, (w, c, w, c), slopes, strict=True):
        sums[place] += slope**2
        values[place] -= config.learning_rate * slope / np.sqrt(sums[place])
    return loss


def glove_loss(
    weights: Weights, pair: tuple[int, int, float], config: GloveConfig
) -> tuple[float, tuple[Any, Any, float, float]]:
    """The loss of a pair, and its slope with respect to each of the weights it touches."""
    w, c, count = pair
    word_D, context_D = weights.words_VD[w].copy(), weights.contexts_VD[c].copy()
    error = word_D @ context_D + weights.word_bias_V[w] + weights.context_bias_V[c] - np.log(count)
    weight = min(1.0, (count / config.x_max) ** config.alpha)
    slope = 2 * weight * error
    return float(weight * error**2), (slope * context_D, slope * word_D, slope, slope)


def shuffled(matrix: Any, seed: int) -> Pairs:
    """The pairs of a matrix of counts in an order that the seed decides."""
    number_N = np.arange(matrix.nnz)
    order_N = np.argsort(draw_array(stream_key(seed, CHOICE, 0), number_N, np.zeros_like(number_N), np))
    rows_N = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    return Pairs(rows_N[order_N], matrix.indices[order_N], matrix.data[order_N].astype(np.float32))


def initial_weights(num_words: int, config: GloveConfig) -> Weights:
    """Vectors and biases uniform within 0.5 / dim of 0."""
    key = stream_key(config.seed, INIT, 0)
    column_D = np.arange(2 * config.dim + 2)[None, :]
    drawn_VD = draw_array(key, np.arange(num_words)[:, None], column_D, np) >> np.uint64(40)
    uniform_VD = ((drawn_VD * 2.0**-24 - 0.5) / config.dim).astype(np.float32)
    words_VD, contexts_VD, biases_V2 = np.split(uniform_VD, [config.dim, 2 * config.dim], axis=1)
    return Weights(*map(np.ascontiguousarray, (words_VD, contexts_VD, biases_V2[:, 0], biases_V2[:, 1])))


def _train(pairs: Pairs, weights: Weights, config: GloveConfig, progress: Report | None) -> list[float]:
    """Mean loss of each epoch."""
    use_cache_for_numba()
    from nlpseq.counts._glove_numba import train_pairs

    squares = Weights(*map(np.ones_like, weights))
    settings = np.float32(config.x_max), np.float32(config.alpha), np.float32(config.learning_rate)
    num_pairs = len(pairs.counts_N)

    def work(first: int) -> float:
        last = min(first + CHUNK, num_pairs)
        return float(train_pairs(pairs, weights, squares, *settings, first, last))

    losses = list[float]()
    with ThreadPoolExecutor(config.threads or available_cores()) as pool:
        for epoch in range(config.epochs):
            losses.append(sum(pool.map(work, _order(num_pairs, config.seed, epoch))) / num_pairs)
            if not np.isfinite(losses[-1]):
                raise RunError(
                    f"the loss became {losses[-1]} in epoch {epoch + 1}. "
                    f"Lower --learning-rate (it is {config.learning_rate})."
                )
            if progress is not None:
                progress((epoch + 1) * num_pairs, config.epochs * num_pairs, losses[-1])
    return losses


def _order(num_pairs: int, seed: int, epoch: int) -> list[int]:
    """Where the chunks begin, in the order of an epoch."""
    starts = np.arange(0, num_pairs, CHUNK)
    drawn = draw_array(stream_key(seed, ORDER, epoch), starts, np.zeros_like(starts), np)
    order: list[int] = starts[np.argsort(drawn)].tolist()
    return order
