"""How far a training is: what a checkpoint stores of it, and what is told of it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from nlpseq.config import LMConfig
from nlpseq.config.fields import are_numbers, check, check_numbers, check_whole, is_number


@dataclass
class TrainState:
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

    def __post_init__(self) -> None:
        check_whole(self, "step", "epoch", "row", "best", "loss_steps", "tokens")
        check_numbers(self, "seconds")
        for name in ("valid_done", "rate_scale"):
            check(is_number(getattr(self, name), 1), self, name, "a number from 0 to 1")
        valid_seconds, losses = self.valid_seconds, self.valid_losses
        check(valid_seconds is None or is_number(valid_seconds), self, "valid_seconds", "at least 0, or null")
        check(are_numbers(losses), self, "valid_losses", "a list of numbers from 0 on")
        is_lowest = losses[self.best] == min(losses) if self.best < len(losses) else not (self.best or losses)
        check(is_lowest, self, "best", "the place of the lowest of valid_losses")

    def validate(self, config: LMConfig, num_rows: int) -> None:
        """ConfigError unless a run with this config, of columns with so many rows, can be stopped here."""
        check(bool(config.epochs or config.time_budget), config, "epochs", "given, or time_budget")
        check(self.row < num_rows, self, "row", f"below the {num_rows} of a column")
        read = self.epoch * num_rows + self.row  # rows, of which a step takes one at least
        is_in_run = config.epochs is None or read <= config.epochs * num_rows
        check(is_in_run, self, "epoch", f"at most {config.epochs}, and row 0 then")
        tokens = read * config.batch_size
        check(self.tokens == tokens, self, "tokens", f"{tokens}, as epoch is {self.epoch} and row {self.row}")
        check(self.step <= read, self, "step", f"at most the {read} rows that were read")
        check(self.loss_steps <= self.step, self, "loss_steps", f"at most {self.step}, as step is")
        check(len(self.valid_losses) <= self.step, self, "valid_losses", f"at most {self.step}, as step is")


class TrainProgress(NamedTuple):
    """What is reported while training."""

    done: float  # share of the training, 0 to 1
    tokens: int
    loss: float  # of the last steps, nats
    learning_rate: float
    valid_perplexity: float | None
