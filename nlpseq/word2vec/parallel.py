"""How threads share the chunks of an epoch, and the weights: without a lock, or the same way each time.

`Hogwild`: a thread takes the next chunk when it is done with one, and all train the same weights (Niu et al.
2011, Hogwild, arXiv:1106.5730). Which thread was first somewhere is chance.

`LocalSGD`: each thread trains a copy of the weights. In a round every thread trains a chunk of its own,
SYNC_EVERY_TOKENS tokens all together; then what they changed is added up, in the order of the threads:

    shared += weight * sum over threads of (copy - shared),    copy = shared

for the rows of frequent words after each round, for those of rarer ones seldom: after round 1, 2, 3 ... the
first HOT_ROWS * 2^z rows, where 2^z is the largest power of 2 that divides the number of the round. Words are
sorted by count, and counts fall about as 1 / rank (Zipf), so that every row is changed about as often from
one sum to the next, and little is changed that other threads do not know of. After FULL_SYNC_EVERY rounds all
rows are added up: the moments when the shared weights are all there is, and a checkpoint can be taken.

The weight is 1 for a row that is used now and then. One that is used often is brought by each thread most of
the way to where it belongs, and T times that way is too far. If a thread that uses a row in n pairs leaves
x = (1 - p)^n of the distance, threads one after another would leave x^T, so that the weight is
(1 - x^T) / (T (1 - x)): near 1/T, which makes it the mean, where x is near 0. p is PULL (T - 1), at
most MOST_PULL.

Letters: V words, D dimensions, T threads.
"""

import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.state import TrainState
from nlpseq.word2vec.weights import aligned_zeros

SYNC_EVERY_TOKENS = 40_000  # tokens that are trained between two sums
CHUNK = 10_000  # tokens trained at one learning rate, by one thread at a time
HOT_ROWS = 512  # rows that are added up after every round
FULL_SYNC_EVERY = 64  # rounds
PULL, MOST_PULL = 2e-4, 1e-3  # measured: with more, all learn less; with less, many threads diverge

Work = Iterator[tuple[Weights, range]]
"""What a thread is to do next: the weights to train, and the chunks, by their place in the epoch."""


class Hogwild:
    """Threads take `at_once` chunks at a time and train the same weights."""

    chunk = CHUNK

    def __init__(self, weights: Weights, position: TrainState, at_once: int) -> None:
        self._weights, self._position, self._at_once = weights, position, at_once
        self._taking, self._halt = threading.Lock(), threading.Event()

    def work(self, thread: int, num_chunks: int) -> Work:
        """The chunks of an epoch from position.turn on, up to its end or a pause."""
        position = self._position
        while not self._halt.is_set():
            with self._taking:
                turns = range(position.turn, min(position.turn + self._at_once, num_chunks))
                position.turn = turns.stop
            if not turns:
                return
            yield self._weights, turns

    def begin(self) -> None:
        self._halt.clear()

    def pause(self) -> None:
        """Have the threads end with what they have in hand."""
        self._halt.set()

    abandon = pause  # as nobody waits for a thread that has failed


class LocalSGD:
    """Threads train a copy of the weights each, and wait for each other after every round."""

    def __init__(
        self, weights: Weights, position: TrainState, threads: int, pairs_V: npt.NDArray[np.float64]
    ) -> None:
        """pairs_V: in how many pairs each word is, for each token."""
        self._weights, self._position, self._threads = weights, position, threads
        self.chunk = max(1, SYNC_EVERY_TOKENS // threads)
        self._weight_V = weight_of_rows(pairs_V * self.chunk, threads)
        self._copies = Weights(*(_copies(weight, threads) for weight in weights))  # (T, V, D) each
        self._trained = threading.Barrier(threads)
        self._added_up = threading.Barrier(threads, self._end_round)
        self._halt, self._is_paused = threading.Event(), False
        self._done, self._is_whole = 0, False  # chunks after this round; whether all rows are added up in it

    def work(self, thread: int, num_chunks: int) -> Work:
        """This thread's chunks from position.turn on, up to the end of the epoch or a pause."""
        position = self._position
        mine = Weights(*(copies_TVD[thread] for copies_TVD in self._copies))
        while position.turn < num_chunks and not self._is_paused:
            turns = range(position.turn, num_chunks)[: self._threads]
            yield mine, turns[thread : thread + 1]
            try:
                self._add_up(thread, turns.stop, is_last=turns.stop == num_chunks)
            except threading.BrokenBarrierError:  # another thread raises what went wrong
                return

    def _add_up(self, thread: int, done: int, *, is_last: bool) -> None:
        """This thread's part of the sum, once all have trained."""
        use_cache_for_numba()
        from nlpseq.word2vec._average_numba import add_up

        self._trained.wait()
        number, num_words = -(-done // self._threads), len(self._weights.in_VD)
        num_rows = num_words if is_last else rows_after(number, num_words)
        first, last = (num_rows * part // self._threads for part in (thread, thread + 1))
        for shared_VD, copies_TVD in zip(self._weights, self._copies, strict=True):
            add_up(shared_VD, copies_TVD, self._weight_V, first, last)
        self._done, self._is_whole = done, num_rows == num_words
        self._added_up.wait()

    def _end_round(self) -> None:
        """By one thread, before any begins the next round."""
        self._position.turn = self._done
        self._is_paused = self._is_whole and self._halt.is_set()

    def begin(self) -> None:
        self._halt.clear()
        self._is_paused = False

    def pause(self) -> None:
        """Have the threads end when all rows have been added up."""
        self._halt.set()

    def abandon(self) -> None:
        """Have the threads end after what they have in hand, whatever has not been added up."""
        self._trained.abort()
        self._added_up.abort()


def rows_after(number: int, num_words: int) -> int:
    """How many rows, from the most frequent word on, are added up after a round, counted from 1."""
    return num_words if number % FULL_SYNC_EVERY == 0 else min(num_words, HOT_ROWS * (number & -number))


def weight_of_rows(uses_V: npt.NDArray[np.float64], threads: int) -> npt.NDArray[np.float32]:
    """What the sum of their changes is multiplied by; uses_V: of each by a thread in a round."""
    rank_V = np.arange(len(uses_V))
    rounds_V = 2.0 ** np.clip(
        np.ceil(np.log2((rank_V + 1) / HOT_ROWS)), 0, np.log2(FULL_SYNC_EVERY)
    )  # from sum to sum
    left_V = np.minimum((1 - min(PULL * (threads - 1), MOST_PULL)) ** (uses_V * rounds_V), 1 - 1e-9)
    weight_V: npt.NDArray[np.float64] = (1 - left_V**threads) / (threads * (1 - left_V))
    return weight_V.astype(np.float32)


def _copies(weight_VD: npt.NDArray[np.float32], threads: int) -> npt.NDArray[np.float32]:
    num_words, dim = weight_VD.shape
    copies_TVD = aligned_zeros(threads * num_words, dim).reshape(threads, num_words, dim)
    copies_TVD[:] = weight_VD
    return copies_TVD
