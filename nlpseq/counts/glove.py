"""GloVe: vectors whose products are the logarithms of co-occurrence counts.

    loss = sum over pairs of f(x) (w . c + b_w + b_c - log x)^2,      f(x) = min(1, (x / x_max)^alpha)

    J. Pennington, R. Socher & C. D. Manning 2014, GloVe: global vectors for word representation,
    doi:10.3115/v1/D14-1162
    J. Duchi, E. Hazan & Y. Singer 2011, Adaptive subgradient methods: AdaGrad, its sums begin at 1

Words are put into GROUPS groups that have about as many pairs each, and so are contexts. A block is the pairs
of one group of words with one group of contexts, in an order drawn once. Blocks that share neither can be
learnt at the same time, as none touches a row of another: each step of an epoch is GROUPS such blocks (the
strata of Gemulla et al.). So the number of threads changes nothing, and the rows of a block stay in the
processor's cache.

    R. Gemulla et al. 2011, Large-scale matrix factorization with distributed stochastic gradient descent,
    doi:10.1145/2020408.2020426

Letters: V words, D dimensions, E = D + 1 (a vector and its bias), 2 = the values and AdaGrad's sums of
squared slopes, N pairs, B blocks.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import GloveConfig
from nlpseq.config.fields import to_dict
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
from nlpseq.errors import ArtifactError, DataError, RunError
from nlpseq.storage import artifact
from nlpseq.training.checkpoint import CheckpointConfig, Checkpointer
from nlpseq.vectors.vectors import Vectors

DRAWN = 1 << 20  # numbers at once
DIVERGENCE_FACTOR = 10.0  # times the loss of knowing nothing
IN_BLOCKS, INTO_BLOCKS = 16, 56  # bytes of a pair, and those it takes to put it there

Floats = npt.NDArray[np.float32]
Report = Callable[[int, int, float], None]


class Pairs(NamedTuple):
    """What occurs together, and how often, block by block."""

    rows_N: npt.NDArray[np.int32]
    columns_N: npt.NDArray[np.int32]
    counts_N: Floats
    bounds_B: npt.NDArray[np.int64]  # where each block, GROUPS * words + contexts, begins and the last ends


def train_glove(
    counts: Cooccurrence,
    config: GloveConfig = GloveConfig(),  # noqa: B008  (frozen)
    *,
    progress: Report | None = None,
    folder: CheckpointConfig | None = None,
) -> Vectors:
    """GloVe vectors of every word, and of every word as a context.

    progress is told of pairs done, of all there are, and of the mean loss of an epoch. folder: where the run
    is stored while it goes on; without one it lives in memory. A run stopped through folder.should_stop has
    meta["complete"] False. Raises DataError where nothing was counted and RunError where the loss is no
    longer finite, or ten times that of knowing nothing.
    """
    if counts.matrix.nnz == 0:
        raise DataError("no pair of words was counted. Give more text, or longer lines.")
    if folder is not None:
        artifact.check_writable(folder.path, force=folder.force)
    weights = initial_weights(len(counts.vocab), config)
    return _finish(counts, Checkpoint(config, weights, TrainState()), progress, folder)


def resume_glove(
    folder: CheckpointConfig,
    counts: Cooccurrence,
    *,
    changes: Mapping[str, Any] = MappingProxyType({}),
    progress: Report | None = None,
) -> Vectors:
    """Go on with the run in a folder exactly where its last checkpoint was taken.

    changes: of `threads`, whose number changes nothing in the result. Raises ConfigError where that run is
    complete, ArtifactError where the counts are not those it was trained on.
    """
    checkpoint, meta = load_checkpoint(folder.path)
    artifact.check_writable(folder.path, force=True)
    if _identity(counts) != {name: meta.get(name) for name in _identity(counts)}:
        raise ArtifactError(
            f"the counts are not those that {folder.path} was trained on, or its text has changed since. "
            "Bring back the corpus as it was, or train anew with --force."
        )
    config = replace(checkpoint.config, **changes)
    return _finish(counts, checkpoint._replace(config=config), progress, folder, is_resumed=True)


def _finish(
    counts: Cooccurrence,
    run: Checkpoint,
    progress: Report | None,
    folder: CheckpointConfig | None,
    *,
    is_resumed: bool = False,
) -> Vectors:
    """Train to the end, or to where the run is stopped, with a checkpoint now and then."""

    def save() -> None:
        assert folder is not None
        force = folder.force or checkpoints.has_one
        save_checkpoint(folder.path, _vectors(counts, run, folder), run, force=force)

    checkpoints = Checkpointer(folder, save, has_one=is_resumed)
    try:
        complete = _train(in_blocks(counts.matrix, run.config.seed), run, progress, checkpoints.between)
    except RunError as error:
        raise checkpoints.with_checkpoint_hint(error) from error
    vectors = _vectors(counts, run, folder)
    vectors.meta["complete"] = complete
    return vectors


def _vectors(counts: Cooccurrence, run: Checkpoint, folder: CheckpointConfig | None) -> Vectors:
    """What has been learnt so far."""
    meta = {
        "model": "glove",
        "glove_config": to_dict(run.config),
        "cooccurrence_config": to_dict(counts.config),
        "text_config": counts.meta.get("text_config"),
        "tokens": counts.meta.get("num_tokens"),
        "loss": run.position.losses,
        "train_seconds": run.position.seconds,
    }
    meta |= _identity(counts) | (folder.facts if folder else {})
    words_VD, contexts_VD = (np.ascontiguousarray(each_V2E[:, 0, :-1]) for each_V2E in run.weights)
    return Vectors(counts.vocab, words_VD, contexts_VD, meta)


def _identity(counts: Cooccurrence) -> artifact.Meta:
    """What tells counts from others."""
    matrix = counts.matrix
    return {"counts_vocab_digest": counts.vocab.digest, "pairs": matrix.nnz, "counted": float(matrix.sum())}


def glove_step(weights: Weights, pair: tuple[int, int, float], config: GloveConfig) -> float:
    """The specification: the loss of one pair (word, context, count) and a step of AdaGrad down its slope."""
    w, c, count = pair
    rows_2E = weights.words_V2E[w], weights.contexts_V2E[c]
    loss, slopes_E = glove_loss(rows_2E[0][0], rows_2E[1][0], count, config)
    for (values_E, squares_E), slope_E in zip(rows_2E, slopes_E, strict=True):
        squares_E += slope_E**2
        values_E -= config.learning_rate * slope_E / np.sqrt(squares_E)
    return loss


def glove_loss(
    word_E: Floats, context_E: Floats, count: float, config: GloveConfig
) -> tuple[float, tuple[Floats, Floats]]:
    """The loss of a pair, and its slopes with respect to the word and to the context."""
    error = word_E[:-1] @ context_E[:-1] + word_E[-1] + context_E[-1] - np.log(count)
    weight = min(1.0, (count / config.x_max) ** config.alpha)
    slope = 2 * weight * error
    return float(weight * error**2), (slope * np.append(context_E[:-1], 1), slope * np.append(word_E[:-1], 1))


def in_blocks(matrix: Any, seed: int) -> Pairs:
    """The pairs of a matrix of counts, block after block; the seed decides the order within each."""
    rows_N = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    word_group_V = _groups(np.diff(matrix.indptr))
    context_group_V = _groups(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    blocks_N = word_group_V[rows_N] * GROUPS + context_group_V[matrix.indices]
    drawn_N = random_bits_array(
        stream_key(seed, Stream.CHOICE, 0), np.arange(matrix.nnz), np.zeros(1, np.int64), np
    )
    order_N = np.argsort(blocks_N.astype(np.uint64) << np.uint64(48) | drawn_N >> np.uint64(16))
    bounds_B = np.concatenate([[0], np.cumsum(np.bincount(blocks_N, minlength=GROUPS**2))])
    return Pairs(rows_N[order_N], matrix.indices[order_N], matrix.data[order_N].astype(np.float32), bounds_B)


def _groups(pairs_V: Any) -> Any:
    """The group of each word: neighbours in the vocabulary, about as many pairs in each group."""
    before_V = np.cumsum(pairs_V) - pairs_V
    return before_V * GROUPS // max(1, pairs_V.sum())


def initial_weights(num_words: int, config: GloveConfig) -> Weights:
    """Vectors and biases uniform within 0.5 / dim of 0, AdaGrad's sums at 1."""
    key, size = stream_key(config.seed, Stream.INIT, 0), config.dim + 1
    weights = Weights(*(np.ones((num_words, 2, size), np.float32) for _ in range(2)))
    column_E, at_once = np.arange(2 * size)[None, :], max(1, DRAWN // (2 * size))
    for first in range(0, num_words, at_once):
        rows = slice(first, min(first + at_once, num_words))
        word_id = np.arange(rows.start, rows.stop)[:, None]
        drawn_VE = random_bits_array(key, word_id, column_E, np) >> np.uint64(40)
        uniform_VE = (drawn_VE * 2.0**-24 - 0.5) / config.dim
        weights.words_V2E[rows, 0] = uniform_VE[:, :size]
        weights.contexts_V2E[rows, 0] = uniform_VE[:, size:]
    return weights


def needed_bytes(num_words: int, config: GloveConfig, num_pairs: int = 0) -> int:
    """About the memory that train_glove takes beside the counts, and without pairs the disk of a checkpoint.

    Values with AdaGrad's sums, and a copy of the vectors to store. Pairs are put into blocks before that.
    """
    learnt, copied = 2 * num_words * 2 * (config.dim + 1) * 4, 2 * num_words * config.dim * 4
    return learnt + max(copied + num_pairs * IN_BLOCKS, num_pairs * INTO_BLOCKS)


def _train(pairs: Pairs, run: Checkpoint, progress: Report | None, between: Callable[[], bool]) -> bool:
    """Train on; between steps, between() may stop it. Returns whether it came to its end."""
    use_cache_for_numba()
    from nlpseq.counts.glove_numba import train_pairs

    config, weights, position = run.config, run.weights, run.position
    settings = np.float32(config.x_max), np.float32(config.alpha), np.float32(config.learning_rate)
    bound = DIVERGENCE_FACTOR * max(1.0, loss_of_zeros(pairs, config))
    num_pairs, begun = len(pairs.counts_N), time.perf_counter() - position.seconds

    def work(block: int) -> float:
        first, last = pairs.bounds_B[block : block + 2]
        return float(train_pairs(pairs, weights, *settings, first, last))

    with ThreadPoolExecutor(min(GROUPS, config.threads or available_cores())) as pool:
        while position.epoch < config.epochs:
            for blocks in strata(config.seed, position.epoch)[position.step :]:
                position.total += sum(pool.map(work, blocks))
                position.step += 1
                position.seconds = time.perf_counter() - begun
                _check_finite(position, config)
                if between():
                    return False
            position.losses.append(position.total / num_pairs)
            _check_hope(position, bound, config)
            position.epoch, position.step, position.total = position.epoch + 1, 0, 0.0
            if progress is not None:
                progress(position.epoch * num_pairs, config.epochs * num_pairs, position.losses[-1])
    return True


def _check_finite(position: TrainState, config: GloveConfig) -> None:
    if not np.isfinite(position.total):
        raise RunError(
            f"the loss became {position.total} in epoch {position.epoch + 1}. "
            f"Lower --learning-rate (it is {config.learning_rate})."
        )


def _check_hope(position: TrainState, bound: float, config: GloveConfig) -> None:
    if position.losses[-1] > bound:
        raise RunError(
            f"the loss was {position.losses[-1]:.4g} in epoch {position.epoch + 1}, more than "
            f"{DIVERGENCE_FACTOR:g} times that of knowing nothing. "
            f"Lower --learning-rate (it is {config.learning_rate})."
        )


def loss_of_zeros(pairs: Pairs, config: GloveConfig) -> float:
    """The mean loss where all vectors and biases are 0, that is, nothing is known."""
    total = 0.0
    for first, last in pairwise(pairs.bounds_B):
        counts_N = pairs.counts_N[first:last]
        total += float(
            (np.minimum(1, (counts_N / config.x_max) ** config.alpha) * np.log(counts_N) ** 2).sum()
        )
    return total / len(pairs.counts_N)


def strata(seed: int, epoch: int) -> list[list[int]]:
    """Blocks that share no row, for each step of an epoch, in an order that is drawn."""
    groups = np.arange(GROUPS)
    drawn = random_bits_array(stream_key(seed, Stream.ORDER, epoch), groups, np.zeros_like(groups), np)
    return [(groups * GROUPS + (groups + shift) % GROUPS).tolist() for shift in np.argsort(drawn)]
