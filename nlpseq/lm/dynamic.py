"""Dynamic evaluation: the model goes on learning from the text it reads, and forgets it again slowly.

    for every `rows` tokens:  predict them, which is what counts
                              g = gradient of their loss
                              w <- w - learning_rate g / (r + m) + min(1, decay r / m) (w0 - w)

w0 are the trained weights and r the root of the mean square of their gradients on training text, so that
weights that training text moves back and forth are moved less, and drawn back more. m, the mean of r, stands
where the paper has a constant, so that a learning rate means the same for every model. Krause et al. 2017,
arXiv:1709.07432, section 4.

Letters: N predictions, T of them between two steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nlpseq.config.fields import check
from nlpseq.errors import RunError
from nlpseq.lm.batches import Stream, one_column
from nlpseq.lm.model import RecurrentLM, State, detach

# What tune_dynamic tries, and on how many tokens; rates from the lowest on.
LEARNING_RATES = (5e-4, 1e-3, 2e-3, 4e-3)
DECAYS = (0.02, 0.005, 0.08)
TUNING_TOKENS = 10_000

ROWS = 20  # half as many cost twice the time
MAX_CHUNKS = 300
CONTEXT = 32  # tokens read before a chunk whose gradient is taken, as a state to begin with


class DynamicSettings(NamedTuple):
    """How fast the model learns from what it reads, how fast it forgets it, and how often it does so."""

    learning_rate: float  # what a weight moves at a gradient of its usual size; 0: static evaluation
    decay: float  # share of the way back at each step, for a weight that moves as much as the mean one
    rows: int  # tokens between two steps


class Chunk(NamedTuple):
    """Some tokens as the model predicted them."""

    log_probs_T: Tensor
    gradients: list[Tensor]  # of their mean loss
    state: State  # behind them


def dynamic_log_probs(
    model: RecurrentLM, stream: Stream, statistics: list[Tensor], settings: DynamicSettings
) -> npt.NDArray[np.float64]:
    """(N,) natural log-probability of every token, read as text_log_probs reads; the model goes on learning.

    Each token is predicted before it is learnt from. statistics: of gradient_statistics. The weights are as
    they were when this returns. Raises RunError where they ran off to infinity.
    """
    check(0 <= settings.learning_rate < float("inf"), settings, "learning_rate", "at least 0")
    check(0 <= settings.decay <= 1, settings, "decay", "from 0 to 1")
    check(settings.rows >= 1, settings, "rows", "at least 1")
    log_probs_N = _learn(model, stream, statistics, settings, len(stream))
    if not np.isfinite(log_probs_N).all():
        raise RunError(
            f"the loss was no longer finite at a learning rate of {settings.learning_rate:g}. Take less."
        )
    return log_probs_N


def gradient_statistics(
    model: RecurrentLM, stream: Stream, max_chunks: int = MAX_CHUNKS, rows: int = ROWS
) -> list[Tensor]:
    """Mean square of the gradient of every weight, over chunks of `rows` tokens all over a training text."""
    columns = one_column(stream)
    sums = [torch.zeros_like(each) for each in model.parameters()]
    count = max(1, min(max_chunks, len(stream) // rows))
    for number in range(count):
        start = number * len(stream) // count
        with torch.no_grad():
            before = _tensor(stream.read(start - 1 - CONTEXT, start - 1)[:, None], model)
            state = model(before, model.initial_state(1)).state
        chunk = _predict(model, columns.window(start, min(start + rows, columns.length)), state)
        torch._foreach_addcmul_(sums, chunk.gradients, chunk.gradients, value=1 / count)
    return sums


def tune_dynamic(
    model: RecurrentLM, stream: Stream, statistics: list[Tensor], rows: int = ROWS
) -> DynamicSettings:
    """The best settings of a small grid on the beginning of a text; learning rate 0 where none is of use."""

    @cache
    def loss(settings: DynamicSettings) -> float:
        log_probs_N = _learn(model, stream, statistics, settings, min(len(stream), TUNING_TOKENS))
        return -float(np.where(np.isnan(log_probs_N), -np.inf, log_probs_N).mean())

    best = DynamicSettings(0.0, 0.0, rows)
    for rate in LEARNING_RATES:
        faster = DynamicSettings(rate, DECAYS[0], rows)
        if loss(faster) >= loss(best):
            break  # a higher one would be worse still
        best = faster
    decays = DECAYS[1:] if best.learning_rate else ()
    return min([best, *(best._replace(decay=each) for each in decays)], key=loss)


def _learn(
    model: RecurrentLM,
    stream: Stream,
    statistics: list[Tensor],
    settings: DynamicSettings,
    num_tokens: int,
) -> npt.NDArray[np.float64]:
    """(N,) log-probabilities of the first tokens of a text."""
    columns, pieces = one_column(stream), []
    state = model.initial_state(1)
    with _borrowed(model) as (weights, trained):
        step_sizes, pulls = _scales(statistics, settings)
        for start in range(0, num_tokens, settings.rows):
            chunk = _predict(model, columns.window(start, min(start + settings.rows, num_tokens)), state)
            pieces.append(chunk.log_probs_T.cpu())
            torch._foreach_lerp_(weights, trained, pulls)
            torch._foreach_addcmul_(weights, chunk.gradients, step_sizes, value=-1)
            state = chunk.state
    return torch.cat(pieces).double().numpy()


def _scales(statistics: list[Tensor], settings: DynamicSettings) -> tuple[list[Tensor], list[Tensor]]:
    """What the gradient of each weight is multiplied with, and the share of its way back."""
    roots = torch._foreach_sqrt(statistics)
    mean = torch.stack([each.mean() for each in roots]).mean()  # of tensors, as the authors take it
    mean = mean.clamp_min(torch.finfo(mean.dtype).tiny)  # a model without gradients stays as it is
    step_sizes = [settings.learning_rate / (each + mean) for each in roots]
    pulls = [(settings.decay * each / mean).clamp_max(1) for each in roots]
    return step_sizes, pulls


@torch.enable_grad()
def _predict(
    model: RecurrentLM, window: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], state: State
) -> Chunk:
    """Predict a chunk of one column and take the gradient of its loss."""
    tokens_TB, targets_TB = (_tensor(each, model) for each in window)
    output = model(tokens_TB, state)
    logits_TV = model.logits(output.features_TBD[:, 0])
    losses_T = F.cross_entropy(logits_TV, targets_TB[:, 0], reduction="none")
    gradients = torch.autograd.grad(losses_T.mean(), list(model.parameters()))
    return Chunk(-losses_T.detach(), list(gradients), detach(output.state))


@contextmanager
def _borrowed(model: RecurrentLM) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """The weights to change inside the block, and what they were, which they are again behind it."""
    weights = [each.detach() for each in model.parameters()]
    trained = [each.clone() for each in weights]
    try:
        yield weights, trained
    finally:
        torch._foreach_copy_(weights, trained)


def _tensor(tokens_TB: npt.NDArray[np.int64], model: RecurrentLM) -> Tensor:
    return torch.from_numpy(tokens_TB).to(model.output_bias.device)
