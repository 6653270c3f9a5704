"""Checkpoint of word2vec: its vectors so far, and the weights to continue from.

vectors.npy, contexts.npy             present weights
best_vectors.npy, best_contexts.npy   weights of the best epoch, with early stopping
meta.json                             `complete: false` and `position`, the TrainState
metrics.jsonl, vocab.tsv
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.config.fields import check, from_dict, is_whole
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage import artifact
from nlpseq.training.checkpoint import check_unfinished, checkpoint_dir
from nlpseq.training.metrics import read_metrics, write_metrics
from nlpseq.vectors.vectors import Vectors, load_matrix
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.state import TrainState
from nlpseq.word2vec.weights import to_numpy

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

PRESENT = ("vectors.npy", "contexts.npy")
BEST = ("best_vectors.npy", "best_contexts.npy")


class Checkpoint(NamedTuple):
    """State of a run at one moment."""

    meta: artifact.Meta
    vocab: Vocab
    config: Word2VecConfig
    state: TrainState
    metrics: list[artifact.Meta]
    weights: Weights  # without padding; memory-mapped if loaded
    best: Weights | None


def save_checkpoint(folder: artifact.Folder, run: Checkpoint, meta: artifact.Meta) -> None:
    """Write a checkpoint into a new folder; meta: see training.runner.Trainer.save_state."""
    in_VD, out_VD = map(to_numpy, run.weights)
    Vectors(run.vocab, in_VD, out_VD, run.meta).fill(folder, meta)
    write_metrics(folder.path, run.metrics)
    for name, weight_VD in zip(BEST, run.best or (), strict=False):
        folder.write_array(name, to_numpy(weight_VD))


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint of a run; raise ArtifactError if it is corrupt or does not fit together."""
    place = checkpoint_dir(path)
    return artifact.load_consistent(place, lambda: _load(place))


def _load(path: Path) -> Checkpoint:
    vectors = Vectors.load(path)
    check_unfinished(path, vectors.meta)
    config, position = _read_position(path, vectors.meta)
    shape = (len(vectors.vocab), config.dim)

    def weights(names: tuple[str, str]) -> Weights:
        return Weights(*(load_matrix(path / name, shape) for name in names))

    best = weights(BEST) if (path / BEST[0]).exists() else None
    for name, weight_VD in zip(BEST, best or (), strict=False):
        if not np.isfinite(weight_VD).all():  # Vectors.load has checked PRESENT
            raise ArtifactError(
                f"{path / name}: holds numbers that are not finite. Train again with --force."
            )
    metrics = read_metrics(path)
    return Checkpoint(vectors.meta, vectors.vocab, config, position, metrics, weights(PRESENT), best)


def _read_position(path: Path, meta: artifact.Meta) -> tuple[Word2VecConfig, TrainState]:
    try:
        config, position = from_dict(Word2VecConfig, meta["config"]), from_dict(TrainState, meta["position"])
        for name in ("epochs", "learning_rate", "threads"):
            check(getattr(config, name) is not None, config, name, "the value that training started with")
        if not is_whole(meta["tokens"]):
            raise ValueError(f"tokens is {meta['tokens']!r}")
        position.validate(config, meta["tokens"])
        return config, position
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{path / 'meta.json'}: is not valid ({error}). Train again with --force."
        ) from error
