"""The continuous cache: words read a short while ago, in a place like this one, are likely to come back.

    p(w) = (1 - share) p_model(w) + share p_cache(w)
    p_cache(w) ~ sum of exp(theta h_t . h_i) over those of the last `window` positions i that w came after

h_t is what the last layer says before the word to predict. Nothing is trained, and only words already read
are in the cache. Grave, Joulin & Usunier 2016, arXiv:1612.04426, section 3.

Letters: N predictions, T of them in a block, W positions in the cache, H hidden units, S shares.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpseq.config.fields import check
from nlpseq.lm.batches import Stream, one_column
from nlpseq.lm.evaluate import log_probs, read
from nlpseq.lm.model import RecurrentLM

ROWS = 1024  # predictions the model makes at once
BLOCK = 256  # of them, those that look into the cache at once
NO_WORD = -1

# What tune_cache tries. How large h . h is depends on the model: theta is tried in units of 1 / mean |h|^2.
WINDOWS = (250, 500, 1000, 2000)
SHARPNESS = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0)
SHARES = (
    *(0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.14, 0.16, 0.18, 0.2),
    *(0.23, 0.26, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9),
)


class CacheSettings(NamedTuple):
    """How far back the cache reaches, how sharply it tells places apart, and how much it counts."""

    window: int  # positions
    theta: float  # 0: every place alike
    share: float  # lambda in the paper


class Block(NamedTuple):
    """Some predictions, and the cache of each, oldest position first."""

    model_T: Tensor  # log-probabilities by the model alone, float64
    scores_TW: Tensor  # h_t . h_i
    is_same_TW: Tensor  # whether the word after i is the one to predict
    is_empty_TW: Tensor | None  # whether i is before the text; None: nowhere


@torch.no_grad()
def cache_log_probs(model: RecurrentLM, stream: Stream, settings: CacheSettings) -> npt.NDArray[np.float64]:
    """(N,) natural log-probability of every token, read as text_log_probs reads, by model and cache.

    Memory does not grow with the text, but for the result.
    """
    check(settings.window >= 1, settings, "window", "at least 1")
    check(0 <= settings.theta < float("inf"), settings, "theta", "at least 0")
    check(0 <= settings.share < 1, settings, "share", "at least 0 and below 1")
    pieces = []
    for block in _blocks(model, stream, settings.window):
        share = block.model_T.new_tensor(settings.share)
        pieces.append(_mix(block, _cache_probs(block, settings.window, settings.theta), share).cpu())
    return torch.cat(pieces).numpy()


@torch.no_grad()
def tune_cache(model: RecurrentLM, stream: Stream, windows: Sequence[int] = WINDOWS) -> CacheSettings:
    """The best settings of a grid on a text, which is read once for all of them; share 0 is among them."""
    scale = _mean_square(model, stream)
    thetas = [each / scale for each in SHARPNESS]
    shares_S = torch.tensor(SHARES, dtype=torch.float64, device=model.output_bias.device)
    losses = shares_S.new_zeros(len(windows), len(thetas), len(SHARES))
    for block in _blocks(model, stream, max(windows)):
        for i, window in enumerate(windows):
            for j, theta in enumerate(thetas):
                losses[i, j] -= _mix(block, _cache_probs(block, window, theta), shares_S[:, None]).sum(1)
    i, j, k = (int(each) for each in np.unravel_index(int(losses.argmin()), losses.shape))
    return CacheSettings(windows[i], thetas[j], SHARES[k])


def _mean_square(model: RecurrentLM, stream: Stream) -> float:
    """Mean |h|^2 over the first rows of a text."""
    first = next(read(model, one_column(stream), rows=ROWS))
    return float(first.hidden_TBH.square().sum(2).mean())


@torch.no_grad()
def _blocks(model: RecurrentLM, stream: Stream, window: int) -> Iterator[Block]:
    """A text in blocks of predictions, with all that `window` positions of cache have to say on them."""
    device = model.output_bias.device
    window = min(window, len(stream))  # which may be far less
    hidden_NH = torch.zeros(window, model.config.hidden, device=device)
    words_N = torch.full((window,), NO_WORD, device=device)
    for reading in read(model, one_column(stream), rows=ROWS):
        hidden_NH = torch.cat([hidden_NH[-window:], reading.hidden_TBH[:, 0]])
        words_N = torch.cat([words_N[-window:], reading.targets_TB[:, 0]])
        model_N = log_probs(model, reading.features_TBD[:, 0], reading.targets_TB[:, 0]).double()
        for start in range(0, len(model_N), BLOCK):
            piece = slice(start, start + BLOCK + window)  # the first `window` of it are behind the block
            yield _look_back(hidden_NH[piece], words_N[piece], model_N[start : start + BLOCK])


def _look_back(hidden_NH: Tensor, words_N: Tensor, model_T: Tensor) -> Block:
    """The block whose predictions are the last T of N positions, each with the N - T positions before it.

        seen by t = 0   x x x . .      a matrix product gives all pairs; a stride one longer than
        seen by t = 1   . x x x .      its rows leaves the slanted band of x
        seen by t = 2   . . x x x

    No place in the band is as late as t itself: what is predicted there is not known yet.
    """
    count, window = len(model_T), len(words_N) - len(model_T)
    scores_TN = hidden_NH[window:] @ hidden_NH[:-1].T
    words_TW = words_N[:-1].unfold(0, window, 1)
    return Block(
        model_T,
        scores_TN.as_strided((count, window), (window + count, 1)),
        words_TW == words_N[window:].unsqueeze(1),
        words_TW == NO_WORD if words_N[0] == NO_WORD else None,
    )


def _cache_probs(block: Block, window: int, theta: float) -> Tensor:
    """(T,) p_cache, float64, of each word to predict by the last `window` positions; 0 by an empty cache."""
    scores_TW = block.scores_TW[:, -window:] * theta
    if block.is_empty_TW is not None:
        lowest = torch.finfo(scores_TW.dtype).min  # not -inf, which leaves no softmax of an empty cache
        scores_TW.masked_fill_(block.is_empty_TW[:, -window:], lowest)
    weights_TW = torch.softmax(scores_TW, 1)
    return weights_TW.mul_(block.is_same_TW[:, -window:]).sum(1).double()


def _mix(block: Block, cache_T: Tensor, share: Tensor) -> Tensor:
    """Log-probabilities by model and cache together; by the model alone where the cache is empty."""
    if block.is_empty_TW is not None:
        share = share * ~block.is_empty_TW[:, -1]
    return torch.logaddexp(block.model_T + torch.log1p(-share), torch.log(share * cache_T))
