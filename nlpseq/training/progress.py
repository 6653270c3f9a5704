"""Progress of a training run, as every stage reports it."""

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["ProgressCallback", "TrainProgress"]


class TrainProgress(NamedTuple):
    """Figures of a run since the last report."""

    done: int  # words, pairs or tokens, over all epochs
    total: int | None  # the same at the end; an estimate under a time budget, None before the first
    step: int  # chunks trained so far
    epoch: int  # from 0
    loss: float  # mean since the last report, nats
    learning_rate: float
    valid_loss: float | None = None  # of the last validation, nats


ProgressCallback = Callable[[TrainProgress], None]
