"""State of a language-model run: counters, and the tensors that a checkpoint stores beside them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nlpseq.config import LMConfig
from nlpseq.config.fields import are_numbers, check, from_dict, is_number
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.lm.checkpoint import MODEL, TRAINING, Checkpoint, Tensors
from nlpseq.lm.device import DTYPES
from nlpseq.lm.language_model import fit_weights
from nlpseq.lm.optim import optimizer_tensors, restore_optimizer
from nlpseq.training import state

if TYPE_CHECKING:
    from nlpseq.lm.trainer import Trainer

__all__ = ["TrainState", "load_state", "training_tensors"]


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


def training_tensors(trainer: "Trainer") -> Tensors:
    """Return every tensor that training needs to continue exactly."""
    tensors: Tensors = {f"weights.{name}": each for name, each in trainer.model.named_parameters()}
    tensors |= {f"optimizer.{name}": each for name, each in optimizer_tensors(trainer.optimizer).items()}
    tensors |= {f"average.{i}": each for i, each in enumerate(trainer.average.values)}
    tensors |= {
        f"state.{i}.{j}": each for i, layer in enumerate(trainer.carried) for j, each in enumerate(layer)
    }
    return tensors | {
        "average_updates": torch.tensor(trainer.average.updates),
        "loss_sum": trainer.loss_sum,
    }


def load_state(trainer: "Trainer", path: Path, checkpoint: Checkpoint) -> None:
    """Bring a trainer to the state of a checkpoint; raise ArtifactError if the two do not fit together."""
    assert checkpoint.training is not None
    _load_position(trainer, path, checkpoint.meta)
    fit_weights(trainer.model, checkpoint.model, path / MODEL)  # the best weights, before the present ones
    try:
        _load_tensors(trainer, _grouped(checkpoint.training), path / TRAINING)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{path / TRAINING}: does not fit its meta.json ({type(error).__name__}: {error}). "
            "Train again with --force."
        ) from error
    trainer.best = {name: each.to(trainer.device) for name, each in checkpoint.model.items()}
    trainer.metrics = list(checkpoint.metrics)


def _load_position(trainer: "Trainer", path: Path, meta: dict[str, Any]) -> None:
    try:
        position, precision = from_dict(TrainState, meta["position"]), meta["precision"]
        position.validate(trainer.config, trainer.columns.length)
        if precision not in tuple(DTYPES):  # a tuple, because a forged precision may not be hashable
            raise ValueError(f"precision is {precision!r}")
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{path / 'meta.json'}: is not valid ({error}). Train again with --force."
        ) from error
    trainer.state, trainer.precision = position, precision
    trainer.start_epoch()


def _load_tensors(trainer: "Trainer", parts: dict[str, Tensors], file: Path) -> None:
    fit_weights(trainer.model, parts["weights"], file)
    moments = parts.get("optimizer", {})  # empty for plain SGD
    _check_moments(trainer, moments)
    restore_optimizer(trainer.optimizer, moments)
    for i, value in enumerate(trainer.average.values):
        value.copy_(parts["average"][str(i)])
    trainer.average.updates = int(parts["average_updates"][""])
    if not 0 <= trainer.average.updates <= trainer.state.step:
        raise ValueError(f"average_updates is {trainer.average.updates}")
    for i, layer in enumerate(trainer.carried):
        for j, value in enumerate(layer):
            value.copy_(parts["state"][f"{i}.{j}"])
    trainer.loss_sum.copy_(parts["loss_sum"][""])


def _check_moments(trainer: "Trainer", tensors: Tensors) -> None:
    """Raise ValueError if a tensor of the optimizer is missing or has another shape than its weight."""
    names = () if trainer.config.optimizer == "sgd" else ("step", "exp_avg", "exp_avg_sq")
    weights: list[Tensor] = [each for group in trainer.optimizer.param_groups for each in group["params"]]
    wanted = {
        f"{number}.{name}": () if name == "step" else tuple(weight.shape)
        for number, weight in enumerate(weights)
        for name in names
    }
    wrong = {(name, tuple(each.shape)) for name, each in tensors.items()} ^ wanted.items()
    if wrong:
        raise ValueError(f"see {min(wrong)[0]} of the optimizer")


def _grouped(tensors: Tensors) -> dict[str, Tensors]:
    """Group the tensors by the part of the name before the first dot.

    The rest of the name is the key in the group: "mean.bias" becomes groups["mean"]["bias"].
    """
    groups: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    return groups
