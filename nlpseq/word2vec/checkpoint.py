"""A run of word2vec on disk: vectors as they are so far, which can be used as such, and how far it is.

vectors.npy, contexts.npy             present weights
best_vectors.npy, best_contexts.npy   those of the best epoch, with early stopping
meta.json                             `complete: false`, and `position`; vocab.tsv
"""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.config.fields import check, from_dict, is_whole
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage import artifact
from nlpseq.vectors.vectors import KIND, VERSION, Vectors, load_matrix
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.run import Run
from nlpseq.word2vec.state import TrainState
from nlpseq.word2vec.weights import to_numpy

PRESENT = ("vectors.npy", "contexts.npy")
BEST = ("best_vectors.npy", "best_contexts.npy")


class Checkpoint(NamedTuple):
    """What it takes to go on."""

    meta: artifact.Meta
    vocab: Vocab
    config: Word2VecConfig
    position: TrainState
    weights: Weights  # mapped, without padding
    best: Weights | None


def save_checkpoint(path: Path, vocab: Vocab, run: Run, meta: artifact.Meta, *, force: bool) -> None:
    """Write the folder; with force it takes the place of one that is there, at once and whole."""
    dim = run.config.dim
    in_VD, out_VD = (to_numpy(weight)[:, :dim] for weight in run.weights)
    with artifact.create(path, KIND, VERSION, force=force) as folder:
        Vectors(vocab, in_VD, out_VD, meta).fill(
            folder, {"complete": False, "position": asdict(run.position)}
        )
        if run.best is not run.weights:
            for name, weight in zip(BEST, run.best, strict=True):
                folder.write_array(name, to_numpy(weight)[:, :dim])


def load_checkpoint(path: Path) -> Checkpoint:
    """What is in the folder of an unfinished run, checked.

    Raises ConfigError where the run is complete, ArtifactError where something is damaged or does not fit.
    """
    return artifact.load_consistent(path, lambda: _load(path))


def _load(path: Path) -> Checkpoint:
    vectors = Vectors.load(path)
    config, position = read_position(path, vectors.meta)
    shape = (len(vectors.vocab), config.dim)

    def weights(names: tuple[str, str]) -> Weights:
        return Weights(*(load_matrix(path / name, shape) for name in names))

    best = weights(BEST) if (path / BEST[0]).exists() else None
    for name, weight_VD in zip(BEST, best or (), strict=False):
        if not np.isfinite(weight_VD).all():  # those of PRESENT are checked where vectors are loaded
            raise ArtifactError(f"{path / name} holds numbers that are not finite. Train anew.")
    return Checkpoint(vectors.meta, vectors.vocab, config, position, weights(PRESENT), best)


def read_position(path: Path, meta: artifact.Meta) -> tuple[Word2VecConfig, TrainState]:
    """How an unfinished run was begun, and how far it is."""
    if meta.get("complete") is not False:
        raise ConfigError(f"{path} is complete. Use it as it is, or train anew from its text with --force.")
    try:
        config, position = from_dict(Word2VecConfig, meta["config"]), from_dict(TrainState, meta["position"])
        for name in ("epochs", "learning_rate", "threads"):
            check(getattr(config, name) is not None, config, name, "what the run began with")
        if not is_whole(meta["tokens"]):
            raise ValueError(f"tokens is {meta['tokens']!r}")
        position.validate(config, meta["tokens"])
        return config, position
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path / 'meta.json'} is not valid ({error}). Train anew.") from error
