"""How far a training of word2vec is: what a checkpoint stores of it, and what is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nlpseq.config import MAX_THREADS, Word2VecConfig
from nlpseq.config.fields import are_numbers, check, check_numbers, check_whole


@dataclass
class TrainState:
    """How far a run is: with the weights, all it takes to go on exactly."""

    epoch: int = 0  # from 0
    turn: int = 0  # chunks of it that are done
    sums: list[list[float]] = field(default_factory=list)  # of it, by thread: loss, predictions, words
    losses: list[float | None] = field(default_factory=list)  # of the epochs before, in training
    held_out: list[float] = field(default_factory=list)  # the same for the valid split, if there is one
    predictions: int = 0  # in the epochs before
    seconds: float = 0.0  # spent so far

    def __post_init__(self) -> None:
        check_whole(self, "epoch", "turn", "predictions")
        check_numbers(self, "seconds")
        is_list = isinstance(self.losses, list)
        losses = [loss for loss in self.losses if loss is not None] if is_list else self.losses
        check(are_numbers(losses), self, "losses", "a list of numbers from 0 on, or null")
        check(are_numbers(self.held_out), self, "held_out", "a list of numbers from 0 on")
        of_threads = isinstance(self.sums, list) and all(are_numbers(each, 3) for each in self.sums)
        check(of_threads and len(self.sums) <= MAX_THREADS, self, "sums", "three numbers for each thread")

    def validate(self, config: Word2VecConfig, num_tokens: int) -> None:
        """ConfigError unless a run with this config, of so many tokens, can be stopped here."""
        assert config.epochs
        last, most_pairs = config.epochs - 1, self.epoch * num_tokens * 2 * config.window
        check(self.epoch <= last, self, "epoch", f"at most {last}, as epochs is {config.epochs}")
        check(self.turn <= num_tokens, self, "turn", f"at most the {num_tokens} tokens of the text")
        check(self.predictions <= most_pairs, self, "predictions", f"at most {most_pairs}")
        check(len(self.losses) == self.epoch, self, "losses", f"as many as the epochs done, {self.epoch}")
        lengths = (self.epoch,) if config.early_stop else (0, self.epoch)
        check(len(self.held_out) in lengths, self, "held_out", f"as many as the epochs done, {self.epoch}")

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
