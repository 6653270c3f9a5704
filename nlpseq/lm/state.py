"""State of a language-model run: counters, and the tensors that a checkpoint stores beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nlpseq.config import LMConfig
from nlpseq.config.fields import are_numbers, check, from_dict, is_number
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.lm.checkpoint import MODEL, TRAINING, Checkpoint, Tensors, check_shapes
from nlpseq.lm.device import DTYPES, Precision
from nlpseq.training import state

if TYPE_CHECKING:
    from nlpseq.lm.trainer import Trainer

__all__ = ["TrainState", "load_state", "seconds_of_pass", "training_tensors"]


@dataclass
class TrainState(state.TrainState):
    """Position of a run: with the tensors of a checkpoint, enough to continue exactly."""

    step: int = 0
    row: int = 0  # of the columns
    valid_seconds: float | None = None  # of the last validation
    valid_losses: list[float] = field(default_factory=list)
    valid_done: float = 0.0  # share of the training at the last validation
    best: int = 0  # index of the lowest validation loss
    rate_scale: float = 1.0  # factor of the learning rate after plateaus
    loss_steps: int = 0  # since the last line of metrics
    tokens: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigError for an impossible value."""
        super().__post_init__()
        for name in ("valid_done", "rate_scale"):
            check(is_number(getattr(self, name), 1), self, name, "a number from 0 to 1")
        valid_seconds, losses = self.valid_seconds, self.valid_losses
        check(valid_seconds is None or is_number(valid_seconds), self, "valid_seconds", "at least 0, or null")
        check(are_numbers(losses), self, "valid_losses", "a list of numbers from 0 on")
        is_lowest = losses[self.best] == min(losses) if self.best < len(losses) else not (self.best or losses)
        check(is_lowest, self, "best", "the index of the lowest of valid_losses")

    def validate(self, config: LMConfig, num_rows: int) -> None:
        """Raise ConfigError unless a run with this config, with columns of num_rows, can stop here."""
        check(bool(config.epochs or config.time_budget), config, "epochs", "a number if time_budget is null")
        check(self.row < num_rows, self, "row", f"below the {num_rows} of a column")
        read = self.epoch * num_rows + self.row  # rows; a step reads one or more
        is_in_run = config.epochs is None or read <= config.epochs * num_rows
        check(is_in_run, self, "epoch", f"at most {config.epochs}, and row 0 then")
        tokens, so_far = read * config.batch_size, f"at most {self.step}, the steps so far"
        check(self.tokens == tokens, self, "tokens", f"{tokens} in epoch {self.epoch}, row {self.row}")
        check(self.step <= read, self, "step", f"at most {read}, the rows read so far")
        check(self.loss_steps <= self.step, self, "loss_steps", so_far)
        check(len(self.valid_losses) <= self.step, self, "valid_losses", so_far)


def seconds_of_pass(position: Mapping[str, Any], train_tokens: int) -> float:
    """Return the time budget for one pass over the text, at the speed of a run.

    The speed is that of the whole run, with every step of the optimizer and both kinds of softmax. position:
    TrainState at the end of the run as a dict, whose last validation is not part of the speed. train_tokens:
    of one pass.
    """
    validation = position["valid_seconds"] or 0.0
    training = max(position["seconds"] - validation, 0.0)
    return float(training * train_tokens / max(position["tokens"], 1) + validation)


def training_tensors(trainer: "Trainer") -> Tensors:
    """Return every tensor that training needs to continue exactly, without copies."""
    moments = trainer.optimizer.state_dict()["state"]  # by the number of the parameter
    tensors: Tensors = {f"weights.{name}": each for name, each in trainer.model.named_parameters()}
    for i, values in moments.items():
        tensors |= {f"optimizer.{i}.{key}": each for key, each in values.items()}
    for i, layer in enumerate(trainer.carried):
        tensors |= {f"state.{i}.{j}": part for j, part in enumerate(layer)}
    tensors |= {f"average.{i}": each for i, each in enumerate(trainer.average.values)}
    updates = torch.tensor(trainer.average.updates)
    return tensors | {"average_updates": updates, "loss_sum": trainer.loss_sum}


@torch.no_grad()
def load_state(trainer: "Trainer", path: Path, checkpoint: Checkpoint) -> None:
    """Bring a trainer to the state of a checkpoint; raise ArtifactError if the two do not fit together."""
    stored, file = checkpoint.training, path / TRAINING
    assert stored is not None
    trainer.state, trainer.precision = _read_position(trainer, path, checkpoint.meta)
    trainer.start_epoch()
    check_shapes(dict(trainer.model.named_parameters()), checkpoint.model, path / MODEL)
    for parameter in trainer.parameters:
        parameter.grad = torch.zeros_like(parameter)
    trainer.optimizer.step()  # because the first step makes the tensors of the optimizer
    trainer.optimizer.zero_grad()
    tensors = training_tensors(trainer)
    check_shapes(tensors, stored, file)
    for name, tensor in tensors.items():
        tensor.copy_(stored[name])
    trainer.average.updates = int(stored["average_updates"])
    if not 0 <= trainer.average.updates <= trainer.state.step:
        raise ArtifactError(
            f"{file}: does not fit meta.json, because average_updates is {trainer.average.updates}. "
            "Train again with --force."
        )
    if trainer.state.valid_losses:
        trainer.best = {name: each.to(trainer.device) for name, each in checkpoint.model.items()}
    trainer.metrics = list(checkpoint.metrics)


def _read_position(trainer: "Trainer", path: Path, meta: dict[str, Any]) -> tuple[TrainState, Precision]:
    try:
        position, precision = from_dict(TrainState, meta["position"]), meta["precision"]
        position.validate(trainer.config, trainer.columns.length)
        if precision not in tuple(DTYPES):  # a tuple, because a forged precision may not be hashable
            raise ValueError(f"precision is {precision!r}")
        return position, precision
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{path / 'meta.json'}: is not valid ({error}). Train again with --force."
        ) from error
