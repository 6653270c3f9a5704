"""Dynamic evaluation: the model learns while reading, and decays towards its trained weights.

    for every `rows` tokens:  predict them (these predictions count)
                              g = gradient of their mean loss
                              w <- w - learning_rate g / (r + m) + min(1, decay r / m) (w0 - w)

w0: the trained weights. r: the root mean square of their gradients on training text, so weights with noisy
gradients move less and decay faster. m: the mean of r, in place of the paper's constant, so a learning rate
means the same for every model. Krause et al. 2017, arXiv:1709.07432, section 4.

Letters: N predictions, T predictions between two steps, V vocabulary entries.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nlpseq.config.fields import check
from nlpseq.errors import RunError
from nlpseq.lm.averaging import restored
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.model import RecurrentLM, State, detach

__all__ = ["CONTEXT_TOKENS", "DynamicGrid", "DynamicSettings", "dynamic_log_probs"]
__all__ += ["gradient_statistics", "tune_dynamic", "update_scales"]

ROWS = 20  # because 10 take twice the time
MAX_CHUNKS = 300
CONTEXT_TOKENS = 32  # read before a chunk of gradient_statistics, to warm up the state

Window = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # inputs and targets, (T, 1) each


class DynamicSettings(NamedTuple):
    """The speed of learning and decay, and the tokens between two steps."""

    learning_rate: float  # change of a weight with a gradient of usual size; 0: static evaluation
    decay: float  # share of the way back per step, for a weight with mean r
    rows: int  # tokens between two steps


class DynamicGrid(NamedTuple):
    """The settings that tune_dynamic tries, on the first max_tokens tokens."""

    learning_rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3, 4e-3)  # ascending
    decays: tuple[float, ...] = (0.02, 0.005, 0.08)
    max_tokens: int = 10_000


class _Chunk(NamedTuple):
    """The predictions of some tokens, and their gradients."""

    log_probs_T: Tensor
    gradients: list[Tensor]  # of the mean loss
    state: State  # after the chunk


def dynamic_log_probs(
    model: RecurrentLM, stream: Stream, statistics: list[Tensor], settings: DynamicSettings
) -> npt.NDArray[np.float64]:
    """Return (N,) natural log-probabilities of all tokens by a model that learns as it reads.

    Each token is predicted before the model learns from it. statistics: from gradient_statistics. The weights
    are restored at the end. Raises RunError if the loss is no longer finite.
    """
    check(0 <= settings.learning_rate < float("inf"), settings, "learning_rate", "at least 0")
    check(0 <= settings.decay <= 1, settings, "decay", "from 0 to 1")
    check(settings.rows >= 1, settings, "rows", "at least 1")
    log_probs_N = _learn(model, stream, statistics, settings, len(stream))
    if not np.isfinite(log_probs_N).all():
        raise RunError(
            f"dynamic evaluation: the loss diverged at a learning rate of {settings.learning_rate:g}. "
            "Use a lower learning rate."
        )
    return log_probs_N


def gradient_statistics(
    model: RecurrentLM, stream: Stream, max_chunks: int = MAX_CHUNKS, rows: int = ROWS
) -> list[Tensor]:
    """Return each weight's mean squared gradient over chunks spread over a training text."""
    columns, device = Columns(stream), model.output_bias.device
    sums = [torch.zeros_like(each) for each in model.parameters()]
    count = max(1, min(max_chunks, len(stream) // rows))
    for number in range(count):
        start = number * len(stream) // count
        with torch.no_grad():
            context_TB = torch.from_numpy(stream.read(start - 1 - CONTEXT_TOKENS, start - 1)[:, None])
            state = model(context_TB.to(device), model.initial_state(1)).state
        chunk = _predict(model, columns.window(start, min(start + rows, columns.length)), state)
        torch._foreach_addcmul_(sums, chunk.gradients, chunk.gradients, value=1 / count)
    return sums


def tune_dynamic(
    model: RecurrentLM,
    stream: Stream,
    statistics: list[Tensor],
    rows: int = ROWS,
    grid: DynamicGrid = DynamicGrid(),  # noqa: B008  # immutable
) -> DynamicSettings:
    """Return the settings with the lowest loss at the start of a text.

    Learning rates are tried until the loss rises, then decays. The rate is 0 if learning never helps.
    """

    @cache
    def loss(settings: DynamicSettings) -> float:
        log_probs_N = _learn(model, stream, statistics, settings, min(len(stream), grid.max_tokens))
        return -float(np.where(np.isnan(log_probs_N), -np.inf, log_probs_N).mean())

    best = DynamicSettings(0.0, 0.0, rows)
    for rate in grid.learning_rates:
        faster = DynamicSettings(rate, grid.decays[0], rows)
        if loss(faster) >= loss(best):
            break  # because higher rates are worse still
        best = faster
    decays = grid.decays[1:] if best.learning_rate else ()
    return min([best, *(best._replace(decay=each) for each in decays)], key=loss)


def _learn(
    model: RecurrentLM,
    stream: Stream,
    statistics: list[Tensor],
    settings: DynamicSettings,
    num_tokens: int,
) -> npt.NDArray[np.float64]:
    """Return (N,) log-probabilities of the first num_tokens tokens, learning from each chunk."""
    columns, pieces = Columns(stream), []
    state, weights = model.initial_state(1), [each.detach() for each in model.parameters()]
    with restored(weights) as trained:
        step_sizes, pulls = update_scales(statistics, settings)
        for start in range(0, num_tokens, settings.rows):
            chunk = _predict(model, columns.window(start, min(start + settings.rows, num_tokens)), state)
            pieces.append(chunk.log_probs_T.cpu())
            torch._foreach_lerp_(weights, trained, pulls)
            torch._foreach_addcmul_(weights, chunk.gradients, step_sizes, value=-1)
            state = chunk.state
    return torch.cat(pieces).double().numpy()


def update_scales(statistics: list[Tensor], settings: DynamicSettings) -> tuple[list[Tensor], list[Tensor]]:
    """Return each weight's step size and its pull, the share of the way back to the trained weight."""
    roots = torch._foreach_sqrt(statistics)
    mean = torch.stack([each.mean() for each in roots]).mean()  # mean over matrices, like the authors' code
    mean = mean.clamp_min(torch.finfo(mean.dtype).tiny)  # because all gradients may be 0
    step_sizes = [settings.learning_rate / (each + mean) for each in roots]
    pulls = [(settings.decay * each / mean).clamp_max(1) for each in roots]
    return step_sizes, pulls


@torch.enable_grad()
def _predict(model: RecurrentLM, window: Window, state: State) -> _Chunk:
    """Predict a chunk of one column and compute the gradients of its loss."""
    tokens_TB, targets_TB = (torch.from_numpy(each).to(model.output_bias.device) for each in window)
    output = model(tokens_TB, state)
    logits_TV = model.logits(output.features_TBD[:, 0])
    losses_T = F.cross_entropy(logits_TV, targets_TB[:, 0], reduction="none")
    gradients = torch.autograd.grad(losses_T.mean(), list(model.parameters()))
    return _Chunk(-losses_T.detach(), list(gradients), detach(output.state))
