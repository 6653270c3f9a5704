"""GloVe: vectors whose products are the logarithms of co-occurrence counts.

    loss = sum over pairs of f(x) (w . c + b_w + b_c - log x)^2,      f(x) = min(1, (x / x_max)^alpha)

glove_numba.py takes the steps; tests/reference/glove.py holds a plain version.

    J. Pennington, R. Socher & C. D. Manning 2014, GloVe: global vectors for word representation,
    doi:10.3115/v1/D14-1162
    J. Duchi, E. Hazan & Y. Singer 2011, Adaptive subgradient methods: AdaGrad, its sums begin at 1

Words are put into GROUPS groups that have about as many pairs each, and so are contexts. A block is the pairs
of one group of words with one group of contexts, in an order drawn once. Blocks that share neither can be
learned at the same time, as none touches a row of another: each step of an epoch is GROUPS such blocks (the
strata of Gemulla et al.). So the number of threads changes nothing, and the rows of a block stay in the
processor's cache.

    R. Gemulla et al. 2011, Large-scale matrix factorization with distributed stochastic gradient descent,
    doi:10.1145/2020408.2020426

Letters: V words, D dimensions, E = D + 1 (a vector and its bias), 2 = the values and AdaGrad's sums of
squared slopes, N pairs, B blocks.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import GloveConfig
from nlpseq.config.fields import from_dict
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.core.resources import available_cores
from nlpseq.counts.cooccurrence import Cooccurrence
from nlpseq.counts.glove_checkpoint import (
    GROUPS,
    Checkpoint,
    TrainState,
    Weights,
    load_checkpoint,
    save_checkpoint,
)
from nlpseq.errors import ArtifactError, DataError, ways_to_pairs
from nlpseq.storage import artifact
from nlpseq.training import runner
from nlpseq.training.checkpoint import CheckpointConfig, lock_new_run, lock_resumed_run
from nlpseq.training.metrics import write_metrics
from nlpseq.training.progress import ProgressCallback, TrainProgress
from nlpseq.vectors.vectors import KIND, VERSION, Vectors

__all__ = [
    "GROUPS",
    "Pairs",
    "Trainer",
    "in_blocks",
    "initial_weights",
    "loss_of_zeros",
    "needed_bytes",
    "resume_glove",
    "strata",
    "train_glove",
]

DRAWN_NUMBERS = 1 << 20  # at once
PAIR_BYTES, SORTING_BYTES = 16, 56  # of a pair in its block, and while pairs are sorted into blocks

Floats = npt.NDArray[np.float32]


class Pairs(NamedTuple):
    """Pairs of words with their counts, block by block."""

    rows_N: npt.NDArray[np.int32]
    columns_N: npt.NDArray[np.int32]
    counts_N: Floats
    bounds_B: npt.NDArray[np.int64]  # start of each block, GROUPS * words + contexts, and end of the last


def train_glove(
    counts: Cooccurrence,
    config: GloveConfig | None = None,
    *,
    progress: ProgressCallback | None = None,
    checkpoint: CheckpointConfig | None = None,
    **settings: Any,
) -> Vectors:
    """Train GloVe vectors of every word, and of every word as a context.

    settings: fields of config. progress: called after each epoch. checkpoint: where to store the run; by
    default it is in memory only. A run stopped by checkpoint.should_stop has meta["complete"] False. Raises
    DataError if nothing was counted and RunError if training diverges.
    """
    config = from_dict(GloveConfig, settings, config)
    if counts.matrix.nnz == 0:
        ways = ways_to_pairs(counts.config.subsample)
        raise DataError(f"co-occurrence counts: there is not one pair of words. {ways}")
    with lock_new_run(checkpoint):
        weights = initial_weights(len(counts.vocab), config)
        trainer = Trainer(counts, Checkpoint(config, weights, TrainState(), [], {}), checkpoint)
        return trainer.vectors(complete=runner.run(trainer, checkpoint, progress))


def resume_glove(
    checkpoint: CheckpointConfig,
    counts: Cooccurrence,
    *,
    changes: Mapping[str, Any] = MappingProxyType({}),
    progress: ProgressCallback | None = None,
) -> Vectors:
    """Continue a run exactly from its last checkpoint.

    changes: only of `threads`, which do not change the result. Raises ConfigError if the run is complete,
    ArtifactError if the counts are of another text.
    """
    with lock_resumed_run(checkpoint):
        stored = load_checkpoint(checkpoint.path)
        if _identity(counts) != {name: stored.meta.get(name) for name in _identity(counts)}:
            raise ArtifactError(
                f"{checkpoint.path}: was trained on other counts, or its text has changed since. "
                "Restore the corpus as it was, or train again with --force."
            )
        trainer = Trainer(counts, stored._replace(config=replace(stored.config, **changes)), checkpoint)
        return trainer.vectors(complete=runner.run(trainer, checkpoint, progress, is_resumed=True))


class Trainer:
    """GloVe for training.runner; a step is one stratum of an epoch."""

    command, kind = "train-counts", (KIND, VERSION)

    def __init__(self, counts: Cooccurrence, run: Checkpoint, checkpoint: CheckpointConfig | None) -> None:
        self._counts, self._run = counts, run
        known = run.meta | counts.meta
        if checkpoint is not None and checkpoint.provenance:
            known["source"] = checkpoint.provenance
        self._provenance = {name: known[name] for name in _PROVENANCE if name in known}
        self.config, self.state, self.metrics = run.config, run.state, run.metrics
        self.advice = f"Lower --learning-rate (it is {run.config.learning_rate})."
        self.pairs = in_blocks(counts.matrix, run.config.seed)
        self.uniform_loss = max(1.0, loss_of_zeros(self.pairs, run.config))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the threads."""
        use_cache_for_numba()
        with ThreadPoolExecutor(min(GROUPS, self.config.threads or available_cores())) as self._pool:
            yield

    def is_over(self) -> bool:
        """Return True after the last epoch."""
        return self.state.epoch >= self.config.epochs

    def step(self) -> TrainProgress | None:
        """Train a stratum; return figures after the last of an epoch."""
        state = self.state
        for blocks in strata(self.config.seed, state.epoch)[state.step : state.step + 1]:
            state.total += sum(self._pool.map(self._train_block, blocks))
            state.step += 1
        if state.step < GROUPS and np.isfinite(state.total):
            return None
        num_pairs = len(self.pairs.counts_N)
        steps, done = state.epoch * GROUPS + state.step, (state.epoch + 1) * num_pairs
        loss, rate = state.total / num_pairs, self.config.learning_rate
        figures = TrainProgress(done, self.config.epochs * num_pairs, steps, state.epoch, loss, rate)
        runner.check_not_diverged(self, loss, steps)
        place = {"step": steps, "epoch": state.epoch, "pairs": done}
        self.metrics.append(place | {"loss": loss, "learning_rate": rate})
        state.losses.append(loss)
        state.epoch, state.step, state.total = state.epoch + 1, 0, 0.0
        return figures

    def _train_block(self, block: int) -> float:
        from nlpseq.counts.glove_numba import train_pairs

        config, (first, last) = self.config, self.pairs.bounds_B[block : block + 2]
        settings = np.float32(config.x_max), np.float32(config.alpha), np.float32(config.learning_rate)
        return float(train_pairs(self.pairs, self._run.weights, *settings, first, last))

    def pause(self) -> None:
        """Do nothing, because threads rest between steps."""

    finish = pause

    def save_state(self, folder: artifact.Folder, meta: artifact.Meta) -> None:
        """Write a checkpoint."""
        save_checkpoint(folder, self.vectors(), self._run, meta)

    def save_result(self, folder: artifact.Folder) -> None:
        """Write the vectors and the metrics."""
        self.vectors().fill(folder)
        write_metrics(folder.path, self.metrics)

    def vectors(self, **meta: Any) -> Vectors:
        """Return the vectors so far, of zeros for words without pairs; meta: more fields of meta.json."""
        counts, state = self._counts, self.state
        meta = {
            "model": "glove",
            "glove_config": asdict(self.config),
            "cooccurrence_config": asdict(counts.config),
            "text_config": counts.meta.get("text_config"),
            "tokens": counts.meta.get("num_tokens"),
            "loss": state.losses,
            "train_seconds": state.seconds,
            **_identity(counts),
            **self._provenance,
            **meta,
        }
        words_VD, contexts_VD = (each_V2E[:, 0, :-1].copy() for each_V2E in self._run.weights)
        words_VD[np.diff(counts.matrix.indptr) == 0] = 0
        contexts_VD[np.bincount(counts.matrix.indices, minlength=len(contexts_VD)) == 0] = 0
        return Vectors(counts.vocab, words_VD, contexts_VD, meta)


_PROVENANCE = ("corpus", "data_digest", "data_vocab_digest", "count_seconds", "source", "cluster")


def _identity(counts: Cooccurrence) -> artifact.Meta:
    """Return fields that differ for other counts."""
    matrix = counts.matrix
    return {"counts_vocab_digest": counts.vocab.digest, "pairs": matrix.nnz, "counted": float(matrix.sum())}


def in_blocks(matrix: Any, seed: int) -> Pairs:
    """Return the pairs of a matrix of counts, block after block, in an order that the seed decides."""
    rows_N = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    pairs_of_words = np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=matrix.shape[1])
    word_group_V, context_group_V = (  # neighbors in the vocabulary, about as many pairs in each group
        (np.cumsum(pairs_V) - pairs_V) * GROUPS // max(1, pairs_V.sum()) for pairs_V in pairs_of_words
    )
    blocks_N = word_group_V[rows_N] * GROUPS + context_group_V[matrix.indices]
    drawn_N = random_bits_array(
        stream_key(seed, Stream.CHOICE, 0), np.arange(matrix.nnz), np.zeros(1, np.int64), np
    )
    order_N = np.argsort(blocks_N.astype(np.uint64) << np.uint64(48) | drawn_N >> np.uint64(16))
    bounds_B = np.concatenate([[0], np.cumsum(np.bincount(blocks_N, minlength=GROUPS**2))])
    return Pairs(rows_N[order_N], matrix.indices[order_N], matrix.data[order_N].astype(np.float32), bounds_B)


def initial_weights(num_words: int, config: GloveConfig, drawn_numbers: int = DRAWN_NUMBERS) -> Weights:
    """Return random vectors and biases, with AdaGrad's sums at 1.

    The numbers are uniform in [-0.5 / dim, 0.5 / dim).
    drawn_numbers: about how many numbers are drawn at a time. The value limits memory and changes no bit.
    """
    key, size = stream_key(config.seed, Stream.INIT, 0), config.dim + 1
    weights = Weights(*(np.ones((num_words, 2, size), np.float32) for _ in range(2)))
    column_E, at_once = np.arange(2 * size)[None, :], max(1, drawn_numbers // (2 * size))
    for first in range(0, num_words, at_once):
        rows = slice(first, min(first + at_once, num_words))
        word_id = np.arange(rows.start, rows.stop)[:, None]
        drawn_VE = random_bits_array(key, word_id, column_E, np) >> np.uint64(40)
        uniform_VE = (drawn_VE * 2.0**-24 - 0.5) / config.dim
        weights.words_V2E[rows, 0] = uniform_VE[:, :size]
        weights.contexts_V2E[rows, 0] = uniform_VE[:, size:]
    return weights


def needed_bytes(num_words: int, config: GloveConfig, num_pairs: int = 0) -> int:
    """Return about the memory that train_glove takes beside the counts; without pairs, a checkpoint's size.

    It holds weights with AdaGrad's sums, and either a copy of the vectors or the pairs being sorted.
    """
    weights, copied = 2 * num_words * 2 * (config.dim + 1) * 4, 2 * num_words * config.dim * 4
    return weights + max(copied + num_pairs * PAIR_BYTES, num_pairs * SORTING_BYTES)


def loss_of_zeros(pairs: Pairs, config: GloveConfig) -> float:
    """Return the mean loss if all vectors and biases are 0, so that nothing is learned."""
    total = 0.0
    for first, last in pairwise(pairs.bounds_B):
        counts_N = pairs.counts_N[first:last]
        total += float(
            (np.minimum(1, (counts_N / config.x_max) ** config.alpha) * np.log(counts_N) ** 2).sum()
        )
    return total / len(pairs.counts_N)


def strata(seed: int, epoch: int) -> list[list[int]]:
    """Return blocks that share no row, for each step of an epoch, in random order."""
    groups = np.arange(GROUPS)
    drawn = random_bits_array(stream_key(seed, Stream.ORDER, epoch), groups, np.zeros_like(groups), np)
    return [(groups * GROUPS + (groups + shift) % GROUPS).tolist() for shift in np.argsort(drawn)]
