"""The neural cache: words that followed a similar state a short while ago are likely to return.

    p(w) = (1 - cache_weight) p_model(w) + cache_weight p_cache(w)
    p_cache(w) ~ sum of exp(theta h_t . h_i) over the last `window` positions i that were followed by w

h_t is the last layer's hidden state before the predicted word. Nothing is trained, and the cache holds only
words already read. Grave, Joulin & Usunier 2016, arXiv:1612.04426, section 3.

Letters: N predictions, T predictions of a block, W positions in the cache, H hidden units, C cache weights.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpseq.config.fields import check
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.evaluate import TEXT_ROWS, log_probs, read
from nlpseq.lm.model import RecurrentLM

__all__ = ["CacheGrid", "CacheSettings", "cache_log_probs", "tune_cache"]

BLOCK_ROWS = 256  # predictions compared with the cache at a time
EMPTY = -1


class CacheSettings(NamedTuple):
    """The size of the cache, the sharpness of the similarity, and the weight of the cache."""

    window: int  # positions
    theta: float  # 0: all positions count alike
    cache_weight: float  # lambda in the paper


class CacheGrid(NamedTuple):
    """The settings that tune_cache tries."""

    windows: tuple[int, ...] = (250, 500, 1000, 2000)
    sharpness: tuple[float, ...] = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0)  # theta x mean |h|^2
    cache_weights: tuple[float, ...] = (
        *(0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.14, 0.16, 0.18, 0.2),
        *(0.23, 0.26, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9),
    )


class _Block(NamedTuple):
    """Some predictions, each with its cache, oldest position first."""

    model_T: Tensor  # float64 log-probabilities by the model alone
    scores_TW: Tensor  # h_t . h_i
    is_same_TW: Tensor  # True if the word after i is the predicted word
    is_empty_TW: Tensor | None  # True if i is before the text; None: no position is


@torch.no_grad()
def cache_log_probs(
    model: RecurrentLM,
    stream: Stream,
    settings: CacheSettings,
    *,
    rows: int = TEXT_ROWS,
    block_rows: int = BLOCK_ROWS,
) -> npt.NDArray[np.float64]:
    """Return (N,) natural log-probabilities of all tokens by model and cache.

    The text is read like by text_log_probs. Memory grows with the window, `rows` (a pass of the model) and
    `block_rows` (a pass over the cache), not with the text.
    """
    check(settings.window >= 1, settings, "window", "at least 1")
    check(0 <= settings.theta < float("inf"), settings, "theta", "at least 0")
    check(0 <= settings.cache_weight < 1, settings, "cache_weight", "at least 0 and below 1")
    pieces = []
    for block in _blocks(model, stream, settings.window, rows, block_rows):
        cache_weight = block.model_T.new_tensor(settings.cache_weight)
        pieces.append(_mix(block, settings.window, settings.theta, cache_weight).cpu())
    return torch.cat(pieces).numpy()


@torch.no_grad()
def tune_cache(
    model: RecurrentLM,
    stream: Stream,
    grid: CacheGrid = CacheGrid(),  # noqa: B008  # immutable
    *,
    block_rows: int = BLOCK_ROWS,
) -> CacheSettings:
    """Return the grid's settings with the lowest loss on a text, which is read once.

    Products h . h differ in size between models, so theta is tried in units of 1 / mean |h|^2
    over the first TEXT_ROWS positions.
    """
    scale = float(next(read(model, Columns(stream), rows=TEXT_ROWS)).hidden_TBH.square().sum(2).mean())
    thetas = [each / scale for each in grid.sharpness]
    weights_C = torch.tensor(grid.cache_weights, dtype=torch.float64, device=model.output_bias.device)
    losses = weights_C.new_zeros(len(grid.windows), len(thetas), len(weights_C))
    for block in _blocks(model, stream, max(grid.windows), TEXT_ROWS, block_rows):
        for i, window in enumerate(grid.windows):
            for j, theta in enumerate(thetas):
                losses[i, j] -= _mix(block, window, theta, weights_C[:, None]).sum(1)
    i, j, k = (int(each) for each in np.unravel_index(int(losses.argmin()), losses.shape))
    return CacheSettings(grid.windows[i], thetas[j], grid.cache_weights[k])


@torch.no_grad()
def _blocks(model: RecurrentLM, stream: Stream, window: int, rows: int, block_rows: int) -> Iterator[_Block]:
    """Yield the text in blocks of predictions, each with a cache of `window` positions."""
    device = model.output_bias.device
    window = min(window, len(stream))  # because a user may ask for far more
    hidden_NH = torch.zeros(window, model.config.hidden, device=device)
    words_N = torch.full((window,), EMPTY, device=device)
    for reading in read(model, Columns(stream), rows=rows):
        hidden_NH = torch.cat([hidden_NH[-window:], reading.hidden_TBH[:, 0]])
        words_N = torch.cat([words_N[-window:], reading.targets_TB[:, 0]])
        model_N = log_probs(model, reading.features_TBD[:, 0], reading.targets_TB[:, 0]).double()
        for start in range(0, len(model_N), block_rows):
            piece = slice(start, start + block_rows + window)  # `window` positions before the block
            yield _compare(hidden_NH[piece], words_N[piece], model_N[start : start + block_rows])


def _compare(hidden_NH: Tensor, words_N: Tensor, model_T: Tensor) -> _Block:
    """Compare the last T of N positions with the N - T positions before each of them.

        cache of t = 0   x x x . .
        cache of t = 1   . x x x .
        cache of t = 2   . . x x x

    One matrix product scores all pairs; a view whose stride is one more than the row length picks the band.
    The band ends before t, because the word predicted at t is not known yet.
    """
    count, window = len(model_T), len(words_N) - len(model_T)
    scores_TN = hidden_NH[window:] @ hidden_NH[:-1].T
    words_TW = words_N[:-1].unfold(0, window, 1)
    return _Block(
        model_T,
        scores_TN.as_strided((count, window), (window + count, 1)),
        words_TW == words_N[window:].unsqueeze(1),
        words_TW == EMPTY if words_N[0] == EMPTY else None,
    )


def _mix(block: _Block, window: int, theta: float, cache_weight: Tensor) -> Tensor:
    """Return log-probabilities by model and cache, or by the model alone if the cache is empty."""
    scores_TW = block.scores_TW[:, -window:] * theta
    if block.is_empty_TW is not None:
        lowest = torch.finfo(scores_TW.dtype).min  # not -inf, because softmax of an empty cache is NaN
        scores_TW.masked_fill_(block.is_empty_TW[:, -window:], lowest)
        cache_weight = cache_weight * ~block.is_empty_TW[:, -1]
    weights_TW = torch.softmax(scores_TW, 1)
    cache_T = weights_TW.mul_(block.is_same_TW[:, -window:]).sum(1).double()  # p_cache, 0 if empty
    return torch.logaddexp(block.model_T + torch.log1p(-cache_weight), torch.log(cache_weight * cache_T))
