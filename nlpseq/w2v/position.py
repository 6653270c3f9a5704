"""How far a training of word2vec is: what a checkpoint stores of it, and what is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class Position:
    """How far a run is: with the weights, all it takes to go on exactly."""

    epoch: int = 0  # from 0
    turn: int = 0  # chunks of it that are done
    sums: list[list[float]] = field(default_factory=list)  # of it, by thread: loss, predictions, words
    losses: list[float | None] = field(default_factory=list)  # of the epochs before, in training
    held_out: list[float] = field(default_factory=list)  # the same for the valid split, if there is one
    predictions: int = 0  # in the epochs before
    seconds: float = 0.0  # spent so far

    def __post_init__(self) -> None:
        losses = [loss for loss in self.losses if loss is not None]
        sums = [each for of_thread in self.sums for each in of_thread]
        numbers = [self.epoch, self.turn, self.predictions, self.seconds, *sums, *losses, *self.held_out]
        is_number = all(isinstance(each, (int, float)) and each >= 0 for each in numbers)
        if not is_number or any(len(of_thread) != 3 for of_thread in self.sums):
            raise ValueError("the position is none")

    @property
    def best_epoch(self) -> int | None:
        """The one with the lowest held-out loss, from 0."""
        return self.held_out.index(min(self.held_out)) if self.held_out else None


class TrainProgress(NamedTuple):
    """What is reported while training."""

    words: int  # raw tokens done, over all epochs
    total: int
    epoch: int  # from 0
    loss: float  # mean over the predictions since the last report, nats
    learning_rate: float
    valid_loss: float | None = None  # of the valid split after the last epoch


Report = Callable[[TrainProgress], None]
