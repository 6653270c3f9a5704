"""A run of GloVe on disk: its vectors so far, which can be used as such, and what it takes to go on.

vectors.npy, contexts.npy                     the vectors so far
training_words.npy, training_contexts.npy     the same with biases and AdaGrad's sums, (V, 2, D + 1)
meta.json                                     `complete: false`, and `position`; vocab.tsv
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import GloveConfig
from nlpseq.config.fields import are_numbers, check, check_numbers, check_whole, from_dict
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array
from nlpseq.vectors.vectors import KIND, VERSION, Vectors

TRAINING = ("training_words.npy", "training_contexts.npy")
GROUPS = 32  # of words and of contexts, and as many steps of an epoch; also the most threads that find work

Floats = npt.NDArray[np.float32]


@dataclass
class TrainState:
    """How far a run is: with the weights, all it takes to go on exactly."""

    epoch: int = 0  # from 0
    step: int = 0  # strata of it that are done
    total: float = 0.0  # sum of the losses of these
    losses: list[float] = field(default_factory=list)  # means of the epochs before
    seconds: float = 0.0  # spent so far

    def __post_init__(self) -> None:
        check_whole(self, "epoch", "step")
        check_numbers(self, "total", "seconds")
        check(are_numbers(self.losses), self, "losses", "a list of numbers from 0 on")

    def validate(self, config: GloveConfig) -> None:
        """ConfigError unless a run with this config can be stopped here."""
        last = config.epochs - 1
        check(self.epoch <= last, self, "epoch", f"at most {last}, as epochs is {config.epochs}")
        check(self.step <= GROUPS, self, "step", f"at most {GROUPS}, the steps of an epoch")
        check(len(self.losses) == self.epoch, self, "losses", f"as many as the epochs done, {self.epoch}")


class Weights(NamedTuple):
    """What is learnt, and AdaGrad's sums: [:, 0] and [:, 1]."""

    words_V2E: Floats
    contexts_V2E: Floats


class Checkpoint(NamedTuple):
    """A run as it is."""

    config: GloveConfig
    weights: Weights
    position: TrainState


def save_checkpoint(path: Path, vectors: Vectors, run: Checkpoint, *, force: bool) -> None:
    """Write the folder; with force it takes the place of one that is there, at once and whole."""
    with artifact.create(path, KIND, VERSION, force=force) as folder:
        vectors.fill(folder, {"complete": False, "position": asdict(run.position)})
        for name, weight_V2E in zip(TRAINING, run.weights, strict=True):
            folder.write_array(name, weight_V2E)


def load_checkpoint(path: Path) -> tuple[Checkpoint, artifact.Meta]:
    """What is in the folder of an unfinished run, checked, and its meta.json.

    Raises ConfigError where the run is complete, ArtifactError where something is damaged or does not fit.
    """
    return artifact.load_consistent(path, lambda: _load(path))


def _load(path: Path) -> tuple[Checkpoint, artifact.Meta]:
    vectors = Vectors.load(path)
    if vectors.meta.get("complete") is not False:
        raise ConfigError(f"{path} is complete. Use it as it is, or train anew from its text with --force.")
    try:
        config = from_dict(GloveConfig, vectors.meta["glove_config"])
        position = from_dict(TrainState, vectors.meta["position"])
        position.validate(config)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path / 'meta.json'} is not valid ({error}). Train anew.") from error
    weights = Weights(*(_load_weight(path / name, len(vectors.vocab), config.dim) for name in TRAINING))
    return Checkpoint(config, weights, position), vectors.meta


def _load_weight(file: Path, num_words: int, dim: int) -> Floats:
    weight_V2E = load_array(file, np.float32, ndim=3)
    if weight_V2E.shape != (num_words, 2, dim + 1):
        raise ArtifactError(f"{file} has shape {weight_V2E.shape}, which its meta.json does not. Train anew.")
    if not (np.isfinite(weight_V2E).all() and (weight_V2E[:, 1] >= 1).all()):
        raise ArtifactError(
            f"{file} holds numbers that no training leaves. Copy the folder again, or train anew."
        )
    return np.array(weight_V2E)
