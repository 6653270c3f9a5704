"""Checkpoint of word2vec: its vectors so far, and the weights to continue from.

vectors.npy, contexts.npy             present weights
inputs.npy, ngrams.npy                with subwords the own rows of words, and the rows of n-grams, of which
                                      vectors.npy has the means
mean_words.npy, mean_outputs.npy      with a start the means over the earlier texts, the sums of the weights
mean_weights.npy, mean_ngrams.npy     of these texts, and the means of n-grams, if any
best_vectors.npy, best_contexts.npy   weights of the best epoch, with early stopping
frozen.npy                            words whose input, and whose output, must not change, with freeze_known
meta.json                             `complete: false` and `position`, the TrainState
metrics.jsonl, vocab.tsv
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import MAX_THREADS, Word2VecConfig
from nlpseq.config.fields import are_numbers, check, from_dict, is_number, is_whole
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage import artifact
from nlpseq.training import state
from nlpseq.training.checkpoint import check_unfinished
from nlpseq.training.metrics import read_metrics, write_metrics
from nlpseq.vectors.folder import MEAN_WEIGHTS, load_matrix, load_mean_weights
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.averaging import Means
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.weights import to_numpy

__all__ = ["Checkpoint", "TrainState", "load_checkpoint", "save_checkpoint"]

PRESENT = ("vectors.npy", "contexts.npy")
INPUTS = "inputs.npy"  # with subwords
FROZEN = "frozen.npy"
MEANS = ("mean_words.npy", "mean_outputs.npy", MEAN_WEIGHTS, "mean_ngrams.npy")
BEST = ("best_vectors.npy", "best_contexts.npy")


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
            f"at most the {count_text(num_tokens, 'token')} of the text",
        )
        check(self.predictions <= max_pairs, self, "predictions", f"at most {max_pairs}")
        check(len(self.losses) == self.epoch, self, "losses", f"as many as the epochs done, {self.epoch}")
        lengths = (self.epoch,) if config.early_stop else (0, self.epoch)
        check(len(self.held_out) in lengths, self, "held_out", f"as many as the epochs done, {self.epoch}")

    @property
    def best_epoch(self) -> int | None:
        """Return the epoch with the lowest validation loss, from 0."""
        return self.held_out.index(min(self.held_out)) if self.held_out else None


class Checkpoint(NamedTuple):
    """State of a run at one moment."""

    meta: artifact.Meta
    vocab: Vocab
    config: Word2VecConfig
    state: TrainState
    metrics: list[artifact.Meta]
    weights: Weights  # without padding; memory-mapped if loaded
    best: Weights | None
    frozen_2V: npt.NDArray[np.bool_] | None = None
    words_VD: Any = None  # with subwords, the vectors of the words, which are means of rows of the inputs
    means: Means | None = None  # over the earlier texts, with a start


def save_checkpoint(folder: artifact.Folder, run: Checkpoint, meta: artifact.Meta) -> None:
    """Write a checkpoint into a new folder; meta: see training.runner.Trainer.save_state."""
    in_VD, out_VD = map(to_numpy, run.weights)
    if run.config.ngrams is None:
        Vectors(run.vocab, in_VD, out_VD, run.meta).fill(folder, meta)
    else:
        num_words = len(run.vocab)
        subwords = SubwordVectors(in_VD[num_words:], run.config.ngrams)
        Vectors(run.vocab, run.words_VD, out_VD, run.meta, subwords).fill(folder, meta)
        folder.write_array(INPUTS, in_VD[:num_words])
    write_metrics(folder.path, run.metrics)
    for name, weight_VD in zip(BEST, run.best or (), strict=False):
        folder.write_array(name, to_numpy(weight_VD))
    if run.frozen_2V is not None:
        folder.write_array(FROZEN, run.frozen_2V)
    for name, mean in zip(MEANS, run.means or (), strict=False):
        if mean is not None:
            folder.write_array(name, mean)


def _load_finite(file: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a matrix; raise ArtifactError for another shape, or numbers that are not finite."""
    weight_VD = load_matrix(file, shape)
    if not np.isfinite(weight_VD).all():
        raise ArtifactError(f"{file}: holds numbers that are not finite. Train again with --force.")
    return weight_VD


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint of a run; raise ArtifactError if it is corrupt or does not fit together."""
    place = path / artifact.CHECKPOINT
    return artifact.load_consistent(place, lambda: _load(place))


def _load(path: Path) -> Checkpoint:
    vectors = Vectors.load(path)
    meta = vectors.meta
    check_unfinished(path, meta)
    try:
        config, position = from_dict(Word2VecConfig, meta["config"]), from_dict(TrainState, meta["position"])
        for name in (
            "epochs",
            "learning_rate",
            "smoothing",
            "threads",
            *(["buckets"] if config.subwords else []),
        ):
            check(getattr(config, name) is not None, config, name, "the value that training started with")
        if not is_whole(meta["tokens"]):
            raise ValueError(f"tokens is {meta['tokens']!r}")
        position.validate(config, meta["tokens"])
        is_averaged = "start" in meta and not config.freeze_known
        share = meta["start"]["share"] if is_averaged else 1
        if not (is_number(share, 1) and share > 0):
            raise ValueError(f"start.share is {share!r}")
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{path / 'meta.json'}: is not valid ({error}). Train again with --force."
        ) from error
    num_words = len(vectors.vocab)
    shapes = [(num_words + (config.buckets or 0), config.dim), (num_words, config.dim)]
    words_VD, out_VD = (load_matrix(path / name, shapes[1]) for name in PRESENT)
    weights, best = Weights(words_VD, out_VD), None
    if config.subwords:
        if vectors.subwords is None or len(vectors.subwords.rows_BD) != config.buckets:
            raise ArtifactError(f"{path}: has no rows of {config.buckets} n-grams. Train again with --force.")
        own_VD = _load_finite(path / INPUTS, shapes[1])
        weights = Weights(np.concatenate([own_VD, vectors.subwords.rows_BD]), out_VD)
    if (path / BEST[0]).exists():
        best = Weights(*(_load_finite(path / name, shape) for name, shape in zip(BEST, shapes, strict=True)))
    frozen_2V = None
    if config.freeze_known:
        frozen_2V = load_matrix(path / FROZEN, (2, num_words), np.bool_)
    means = None
    if is_averaged:
        words, outputs, _, ngrams = (path / name for name in MEANS)
        rows_BD = _load_finite(ngrams, (config.buckets or 0, config.dim)) if config.subwords else None
        sum_V = load_mean_weights(path, num_words)
        means = Means(_load_finite(words, shapes[1]), _load_finite(outputs, shapes[1]), sum_V, rows_BD)
    vectors_VD = words_VD if config.subwords else None
    metrics = read_metrics(path)
    return Checkpoint(
        meta, vectors.vocab, config, position, metrics, weights, best, frozen_2V, vectors_VD, means
    )
