"""Checkpoint of GloVe: its vectors so far, and the weights to continue from.

vectors.npy, contexts.npy                     the vectors so far
training_words.npy, training_contexts.npy     the same with biases and AdaGrad's sums, (V, 2, D + 1)
meta.json                                     `complete: false` and `position`, the TrainState
metrics.jsonl, vocab.tsv

Letters: V words, D dimensions, E = D + 1.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import GloveConfig
from nlpseq.config.fields import are_numbers, check, from_dict
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array
from nlpseq.training import state
from nlpseq.training.checkpoint import check_unfinished
from nlpseq.training.metrics import read_metrics, write_metrics
from nlpseq.vectors.vectors import Vectors

__all__ = ["GROUPS", "Checkpoint", "TrainState", "Weights", "load_checkpoint", "save_checkpoint"]

TRAINING = ("training_words.npy", "training_contexts.npy")
GROUPS = 32  # of words and of contexts, and steps of an epoch; more threads find no work

Floats = npt.NDArray[np.float32]


@dataclass
class TrainState(state.TrainState):
    """Position of a run: with the weights, enough to continue exactly."""

    step: int = 0  # strata of the epoch that are done
    total: float = 0.0  # sum of their losses
    losses: list[float] = field(default_factory=list)  # means of the epochs before

    def __post_init__(self) -> None:
        """Raise ConfigError for an impossible value."""
        super().__post_init__()
        check(are_numbers(self.losses), self, "losses", "a list of numbers from 0 on")

    def validate(self, config: GloveConfig) -> None:
        """Raise ConfigError unless a run with this config can stop here."""
        last = config.epochs - 1
        check(self.epoch <= last, self, "epoch", f"at most {last}, because epochs is {config.epochs}")
        check(self.step <= GROUPS, self, "step", f"at most {GROUPS}, the steps of an epoch")
        check(len(self.losses) == self.epoch, self, "losses", f"as many as the epochs done, {self.epoch}")


class Weights(NamedTuple):
    """Values [:, 0] and AdaGrad's sums of squared gradients [:, 1]."""

    words_V2E: Floats
    contexts_V2E: Floats


class Checkpoint(NamedTuple):
    """State of a run at one moment."""

    config: GloveConfig
    weights: Weights
    state: TrainState
    metrics: list[artifact.Meta]
    meta: artifact.Meta  # of its folder; empty for a new run


def save_checkpoint(folder: artifact.Folder, vectors: Vectors, run: Checkpoint, meta: artifact.Meta) -> None:
    """Write a checkpoint into a new folder; meta: see training.runner.Trainer.save_state."""
    vectors.fill(folder, meta)
    write_metrics(folder.path, run.metrics)
    for name, weight_V2E in zip(TRAINING, run.weights, strict=True):
        folder.write_array(name, weight_V2E)


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint of a run; raise ArtifactError if it is corrupt or does not fit together."""
    place = path / artifact.CHECKPOINT
    return artifact.load_consistent(place, lambda: _load(place))


def _load(path: Path) -> Checkpoint:
    vectors = Vectors.load(path)
    check_unfinished(path, vectors.meta)
    try:
        config = from_dict(GloveConfig, vectors.meta["glove_config"])
        position = from_dict(TrainState, vectors.meta["position"])
        position.validate(config)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{path / 'meta.json'}: is not valid ({error}). Train again with --force."
        ) from error
    weights = Weights(*(_load_weight(path / name, len(vectors.vocab), config.dim) for name in TRAINING))
    return Checkpoint(config, weights, position, read_metrics(path), vectors.meta)


def _load_weight(file: Path, num_words: int, dim: int) -> Floats:
    weight_V2E = load_array(file, np.float32, ndim=3)
    if weight_V2E.shape != (num_words, 2, dim + 1):
        raise ArtifactError(
            f"{file}: has shape {weight_V2E.shape} and meta.json describes {(num_words, 2, dim + 1)}. "
            "Train again with --force."
        )
    if not (np.isfinite(weight_V2E).all() and (weight_V2E[:, 1] >= 1).all()):
        raise ArtifactError(f"{file}: holds numbers that no training leaves. Copy the folder again.")
    return np.array(weight_V2E)
