"""Position of a word2vec run, stored in a checkpoint."""

from dataclasses import dataclass, field

from nlpseq.config import MAX_THREADS, Word2VecConfig
from nlpseq.config.fields import are_numbers, check, check_whole
from nlpseq.training import state

__all__ = ["TrainState"]


@dataclass
class TrainState(state.TrainState):
    """Position of a run: with the weights, enough to continue exactly."""

    chunk_index: int = 0  # chunks of the epoch done
    sums: list[list[float]] = field(default_factory=list)  # of the epoch by thread: loss, predictions, words
    losses: list[float | None] = field(default_factory=list)  # training losses of the epochs before
    held_out: list[float] = field(default_factory=list)  # validation losses of the epochs before
    predictions: int = 0  # in the epochs before

    def __post_init__(self) -> None:
        """Raise ConfigError for an impossible value."""
        super().__post_init__()
        check_whole(self, "chunk_index", "predictions")
        is_list = isinstance(self.losses, list)
        losses = [loss for loss in self.losses if loss is not None] if is_list else self.losses
        check(are_numbers(losses), self, "losses", "a list of numbers from 0 on, or null")
        check(are_numbers(self.held_out), self, "held_out", "a list of numbers from 0 on")
        of_threads = isinstance(self.sums, list) and all(are_numbers(each, 3) for each in self.sums)
        check(of_threads and len(self.sums) <= MAX_THREADS, self, "sums", "three numbers for each thread")

    def validate(self, config: Word2VecConfig, num_tokens: int) -> None:
        """Raise ConfigError unless a run with this config, of this many tokens, can stop here."""
        assert config.epochs
        last, max_pairs = config.epochs - 1, self.epoch * num_tokens * 2 * config.window
        check(self.epoch <= last, self, "epoch", f"at most {last}, because epochs is {config.epochs}")
        check(
            self.chunk_index <= num_tokens,
            self,
            "chunk_index",
            f"at most the {num_tokens} tokens of the text",
        )
        check(self.predictions <= max_pairs, self, "predictions", f"at most {max_pairs}")
        check(len(self.losses) == self.epoch, self, "losses", f"as many as the epochs done, {self.epoch}")
        lengths = (self.epoch,) if config.early_stop else (0, self.epoch)
        check(len(self.held_out) in lengths, self, "held_out", f"as many as the epochs done, {self.epoch}")

    @property
    def best_epoch(self) -> int | None:
        """Return the epoch with the lowest validation loss, from 0."""
        return self.held_out.index(min(self.held_out)) if self.held_out else None
