"""Share the chunks of an epoch and the weights among threads: Hogwild or local SGD.

`Hogwild`: a thread takes the next chunk as soon as the last one is done, and all threads train the same
weights without a lock (Niu et al. 2011, Hogwild, arXiv:1106.5730). The result depends on chance.

`LocalSGD`: each thread trains a copy of the weights, and the copies are averaged every few thousand tokens
(Stich 2019, Local SGD converges fast and communicates little, arXiv:1805.09767). The result is the same each
time. In a round every thread trains a chunk of its own; then the changes of all threads are added up in the
order of the threads:

    shared += weight * sum over threads of (copy - shared),    copy = shared

Rows of frequent words are averaged after each round, rarer rows less often: after round 1, 2, 3 ... the first
HOT_ROWS * 2^z rows, where 2^z is the largest power of 2 that divides the number of the round. Rows are sorted
by their use, which falls about as 1 / rank (Zipf), so each row changes about equally often between two
averages, and threads miss few changes of each other. After FULL_SYNC_EVERY rounds all rows are averaged; then
the shared weights hold everything, and a checkpoint can be saved.

The weight is 1 for a rarely used row. In a row used often, each thread covers most of the distance to the
optimum alone, and T times this distance is too far. If a thread that uses a row in n pairs leaves
x = (1 - p)^n of the distance, T threads one after another would leave x^T, so the weight is
(1 - x^T) / (T (1 - x)): near 1/T, a mean, if x is near 0. p is PULL (T - 1), at most MAX_PULL.

Letters: V words, D dimensions, T threads, R rows of words and n-grams as input.
"""

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.dataset.subsample import HALF, keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.vectors.subwords import Bags
from nlpseq.word2vec.checkpoint import TrainState
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Frozen, noise_weights
from nlpseq.word2vec.weights import aligned_zeros

__all__ = [
    "CHUNK_TOKENS",
    "PULL",
    "Hogwild",
    "LocalSGD",
    "ParallelSizes",
    "pairs_of_rows",
    "pairs_of_words",
    "row_weights",
]

CHUNK_TOKENS = 10_000  # trained at one learning rate, by one thread at a time
SYNC_EVERY_TOKENS = 40_000  # trained by all threads between two averages
HOT_ROWS = 512  # averaged after every round
FULL_SYNC_EVERY = 64  # rounds
PULL, MAX_PULL = 2e-4, 1e-3  # measured: larger values learn less; with smaller ones many threads diverge

Uses = npt.NDArray[np.float64]
Work = Iterator[tuple[Weights, range]]
"""The weights that a thread trains next, and the chunks, numbered in the order of the epoch."""


class ParallelSizes(NamedTuple):
    """Sizes of the work that threads share; tests take small ones."""

    chunk_tokens: int = CHUNK_TOKENS  # of Hogwild
    sync_every_tokens: int = SYNC_EVERY_TOKENS
    hot_rows: int = HOT_ROWS
    full_sync_every: int = FULL_SYNC_EVERY
    poll_seconds: float = 0.25  # between reports of progress


DEFAULT_SIZES = ParallelSizes()


class Hogwild:
    """Threads take `at_once` chunks at a time and train the same weights.

    `halt` stops them after these, and so does `abandon`, after an error in one of them.
    """

    def __init__(
        self, weights: Weights, state: TrainState, at_once: int, sizes: ParallelSizes = DEFAULT_SIZES
    ) -> None:
        self.chunk, self.halt = sizes.chunk_tokens, threading.Event()
        self.abandon: Callable[[], None] = self.halt.set
        self._weights, self._state, self._at_once = weights, state, at_once
        self._taking = threading.Lock()

    def work(self, thread: int, num_chunks: int) -> Work:
        """Yield the chunks of an epoch from state.chunk_index up to the end or a halt."""
        state = self._state
        while not self.halt.is_set():
            with self._taking:
                indices = range(state.chunk_index, min(state.chunk_index + self._at_once, num_chunks))
                state.chunk_index = indices.stop
            if not indices:
                return
            yield self._weights, indices


class LocalSGD:
    """Threads train a copy of the weights each, and average the copies after every round.

    `halt` stops the threads after the next average of all rows, and `abandon` after an error in one of them,
    without an average.
    """

    def __init__(
        self,
        weights: Weights,
        state: TrainState,
        threads: int,
        pairs: tuple[Uses, Uses],
        sizes: ParallelSizes = DEFAULT_SIZES,
        frozen: Frozen | None = None,
    ) -> None:
        """Copy the weights for each thread.

        pairs: pairs per token of the text that use each row of the two weights. frozen: see Tables.
        """
        self.chunk, self.halt = max(1, sizes.sync_every_tokens // threads), threading.Event()
        self._weights, self._state, self._threads, self._sizes = weights, state, threads, sizes
        self._rows = [np.argsort(-pairs_V, kind="stable") for pairs_V in pairs]
        self._factors = [
            row_weights(pairs_V[row_V] * self.chunk, threads, sizes)
            for pairs_V, row_V in zip(pairs, self._rows, strict=True)
        ]
        if frozen is not None:  # adding -0, times a change of 0, keeps every bit, also of -0
            self._factors = [
                np.where(frozen_V[row_V], np.float32(-0.0), factor_V)
                for frozen_V, row_V, factor_V in zip(frozen, self._rows, self._factors, strict=True)
            ]
        self._copies = Weights(*(_copies(weight_VD, threads) for weight_VD in weights))
        self._together = threading.Barrier(threads)
        self.abandon: Callable[[], None] = self._together.abort
        self._is_halted = False

    def work(self, thread: int, num_chunks: int) -> Work:
        """Yield the chunks of this thread from state.chunk_index up to the end of the epoch or a halt.

        After each round the thread averages a part of the rows.
        """
        use_cache_for_numba()
        from nlpseq.word2vec.average_numba import add_changes

        state, threads, all_rows = self._state, self._threads, len(self._weights.in_VD)
        mine = Weights(*(copies_TVD[thread] for copies_TVD in self._copies))
        while state.chunk_index < num_chunks:
            indices = range(state.chunk_index, num_chunks)[:threads]
            yield mine, indices[thread : thread + 1]
            is_last, round = indices.stop == num_chunks, -(-indices.stop // threads)
            num_rows = min(all_rows, self._sizes.hot_rows * (round & -round))
            if is_last or round % self._sizes.full_sync_every == 0:
                num_rows = all_rows
            try:
                self._together.wait()
                if thread == 0:  # the others read both after the average
                    state.chunk_index = indices.stop
                    self._is_halted = num_rows == all_rows and self.halt.is_set()
                for shared_VD, copies_TVD, row_V, factor_V in zip(
                    self._weights, self._copies, self._rows, self._factors, strict=True
                ):
                    num = min(num_rows, len(shared_VD))
                    first, last = (num * part // threads for part in (thread, thread + 1))
                    add_changes(shared_VD, copies_TVD, row_V, factor_V, first, last)
                self._together.wait()
            except threading.BrokenBarrierError:  # because another thread failed, and raises its error
                return
            if self._is_halted:
                return


def _copies(weight_VD: npt.NDArray[np.float32], threads: int) -> npt.NDArray[np.float32]:
    """Return a copy of a weight for each thread, (threads, V, D)."""
    num_rows, dim = weight_VD.shape
    copies_TVD = aligned_zeros(threads * num_rows, dim).reshape(threads, num_rows, dim)
    copies_TVD[:] = weight_VD
    return copies_TVD


def pairs_of_rows(pairs_V: Uses, bags: Bags, num_rows: int) -> Uses:
    """Return the pairs that use each row of the bags as input, (R,), from the pairs of each word."""
    pairs_R = np.zeros(num_rows)
    np.add.at(pairs_R, bags.rows_N, np.repeat(pairs_V, np.diff(bags.starts_V)))
    return pairs_R


def pairs_of_words(data: TokenDataset, config: Word2VecConfig) -> Uses:
    """Return about how many training pairs contain each word, (V,), per token of the text.

    A word is in a pair as input, target or negative. data: the train split.
    """
    counts_V = data.word_counts
    kept_V = counts_V / data.num_tokens * (keep_thresholds(counts_V, config.subsample) / 2.0**HALF)
    assert config.smoothing is not None
    noise_V = noise_weights(data, config.smoothing)
    noise_V *= kept_V.sum() / noise_V.sum()
    pairs_V: Uses = (1 + config.negatives) * kept_V + config.negatives * noise_V
    return (config.window + 1) * pairs_V


def row_weights(uses_V: Uses, threads: int, sizes: ParallelSizes = DEFAULT_SIZES) -> npt.NDArray[np.float32]:
    """Return the factor of the summed changes of each row, (V,).

    uses_V: uses of each row by one thread in one round.
    """
    rank_V = np.arange(len(uses_V))
    rounds_V = 2.0 ** np.clip(  # from one average of the row to the next
        np.ceil(np.log2((rank_V + 1) / sizes.hot_rows)), 0, np.log2(sizes.full_sync_every)
    )
    left_V = np.minimum((1 - min(PULL * (threads - 1), MAX_PULL)) ** (uses_V * rounds_V), 1 - 1e-9)
    weight_V: npt.NDArray[np.float64] = (1 - left_V**threads) / (threads * (1 - left_V))
    return weight_V.astype(np.float32)
