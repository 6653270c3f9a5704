"""How far a training is: what a checkpoint stores of it, and what is told of it."""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class Position:
    """How far a run is: with the tensors of a checkpoint, all it takes to go on exactly."""

    step: int = 0
    epoch: int = 0
    row: int = 0  # of the columns
    seconds: float = 0.0  # spent so far
    valid_seconds: float | None = None  # of the last validation
    valid_losses: list[float] = field(default_factory=list)
    valid_done: float = 0.0  # share of the training at the last validation
    best: int = 0  # which of them was the lowest
    rate_scale: float = 1.0  # what plateaus left of the learning rate
    loss_steps: int = 0  # since the last line of metrics
    tokens: int = 0


class TrainProgress(NamedTuple):
    """What is reported while training."""

    done: float  # share of the training, 0 to 1
    tokens: int
    loss: float  # of the last steps, nats
    learning_rate: float
    valid_perplexity: float | None
