"""A training run of word2vec: epochs, threads, the learning rate, and the loss of held-out text."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.draws import ORDER, draw_array, stream_key
from nlpseq.errors import DataError, RunError
from nlpseq.w2v.kernels import Choice, Span
from nlpseq.w2v.objectives import Weights
from nlpseq.w2v.sampling import Tables, epoch_keys

CHUNK = 10_000  # tokens trained at one learning rate, by one thread at a time
POLL = 0.25  # seconds between reports
FINAL_RATE = 1e-4  # of the first learning rate, as in word2vec.c
HELD_OUT = -1  # the epoch whose draws held-out text has
PATIENCE = 2  # epochs that early stopping waits for a lower held-out loss


class TrainProgress(NamedTuple):
    """How far training is."""

    words: int  # raw tokens done, over all epochs
    total: int
    epoch: int  # from 0
    loss: float  # mean over the predictions since the last report, nats
    learning_rate: float
    valid_loss: float | None = None  # of the valid split after the last epoch


Report = Callable[[TrainProgress], None]


class Course(NamedTuple):
    """How a run went, epoch by epoch."""

    losses: list[float]  # in training, of the epochs that had a pair of words
    held_out: list[float]  # of the valid split, if there is one
    epochs: int  # that were begun
    predictions: int  # in all of them

    @property
    def best_epoch(self) -> int | None:
        """The one with the lowest held-out loss, from 0."""
        return self.held_out.index(min(self.held_out)) if self.held_out else None


class Run:
    """One training run: threads take chunks of the text in turn and train the same weights without a lock."""

    def __init__(
        self,
        config: Word2VecConfig,
        choice: Choice,
        tables: Tables,
        held_out: Tables | None,
        weights: Weights,
        progress: Report | None,
    ) -> None:
        self.config, self.choice, self.tables, self.weights = config, choice, tables, weights
        self.held_out = held_out
        self.held_out_losses: list[float] = []  # after each epoch
        self.predictions = 0
        self.progress = progress
        self.start, self.stop = int(tables.sentences[0]), int(tables.sentences[-1])
        assert config.threads and config.epochs and config.learning_rate
        self.threads = config.threads if choice.is_compiled else 1  # array code has threads of its own
        self.at_once = choice.at_once(tables)
        self.epochs, self.learning_rate = config.epochs, config.learning_rate
        self.halt = threading.Event()
        self.sums = np.zeros((self.threads, 3))  # per thread: loss, predictions, words of this epoch

    def compile(self) -> None:
        """Have a kernel of the CPU compiled, or read from the cache, by a span without tokens."""
        if self.choice.kernel == "fused":
            keys = epoch_keys(self.config.seed, 0)
            nothing = Span(self.start, self.start, np.float32(0))
            self.choice.train_spans(self.tables, keys, self.weights, [nothing])

    def train(self) -> Course:
        """Train to the end, or to where the held-out loss has stopped falling if that is wanted."""
        losses, held_out = list[float | None](), self.held_out_losses
        best = self.weights
        with ThreadPoolExecutor(self.threads) as pool:
            if self.config.early_stop and self._held_out_loss(pool) is None:
                raise DataError("no word of the valid split has a neighbour. Give it a larger --valid-share.")
            for epoch in range(self.epochs):
                losses.append(self._epoch(pool, epoch))
                if (loss := self._held_out_loss(pool)) is not None:
                    held_out.append(loss)
                if not self.config.early_stop:
                    continue
                if held_out.index(min(held_out)) == epoch:
                    best = Weights(*(weight.copy() for weight in self.weights))
                elif held_out.index(min(held_out)) <= epoch - PATIENCE:
                    break
        if best is not self.weights:
            for weight, kept in zip(self.weights, best, strict=True):
                weight[:] = kept
        found = [loss for loss in losses if loss is not None]
        if not found:
            raise DataError(
                "no word has a neighbour: without rare and subsampled words no sentence has two. "
                "Take --subsample 0 if the text is small, lower --min-count, or give longer sentences."
            )
        return Course(found, held_out, len(losses), self.predictions)

    def _held_out_loss(self, pool: ThreadPoolExecutor) -> float | None:
        """The loss of text that is not learnt from: a step at rate 0, with the same draws each time.

        None where there is no such text, or no pair of words in it.
        """
        held_out = self.held_out
        if held_out is None:
            return None
        first, end = int(held_out.sentences[0]), int(held_out.sentences[-1])
        keys = epoch_keys(self.config.seed, HELD_OUT)

        def judge(spans: list[Span]) -> tuple[float, int]:
            return self.choice.train_spans(held_out, keys, self.weights, spans)

        spans = [Span(start, min(start + CHUNK, end), np.float32(0)) for start in range(first, end, CHUNK)]
        groups = [spans[n : n + self.at_once] for n in range(0, len(spans), self.at_once)]
        sums = list(pool.map(judge, groups))  # which leaves the rest undone if stopped
        loss, predictions = (sum(column) for column in zip(*sums, strict=True))
        return float(loss / predictions) if predictions else None

    def _epoch(self, pool: ThreadPoolExecutor, epoch: int) -> float | None:
        self.sums[:] = 0
        reported = self.sums.sum(axis=0)
        chunks = enumerate(self._order(epoch))
        lock = threading.Lock()
        workers = {pool.submit(self._work, thread, epoch, chunks, lock) for thread in range(self.threads)}
        try:
            while workers:
                done, workers = wait(workers, timeout=POLL)
                for worker in done:
                    worker.result()
                reported = self._report(epoch, reported)
        except BaseException:
            self.halt.set()
            raise
        loss, predictions, _ = self.sums.sum(axis=0)
        self.predictions += int(predictions)
        return float(loss / predictions) if predictions else None  # subsampling may leave no pair in an epoch

    def _work(self, thread: int, epoch: int, chunks: Iterator[tuple[int, int]], lock: threading.Lock) -> None:
        keys = epoch_keys(self.config.seed, epoch)
        while not self.halt.is_set():
            with lock:
                taken = list(islice(chunks, self.at_once))
            if not taken:
                return
            spans = [
                Span(start, min(start + CHUNK, self.stop), np.float32(self._rate(epoch, turn * CHUNK)))
                for turn, start in taken
            ]
            with np.errstate(over="ignore", invalid="ignore"):  # _report looks at the loss
                loss, predictions = self.choice.train_spans(self.tables, keys, self.weights, spans)
            self.sums[thread] += loss, predictions, sum(span.stop - span.start for span in spans)

    def _order(self, epoch: int) -> list[int]:
        """Where the chunks start, in a new order each epoch: neighbouring text is about the same things."""
        starts = np.arange(self.start, self.stop, CHUNK)
        key = stream_key(self.config.seed, ORDER, epoch)
        shuffled: list[int] = starts[np.argsort(draw_array(key, starts, np.zeros_like(starts), np))].tolist()
        return shuffled

    def _rate(self, epoch: int, words: float) -> float:
        """Learning rate after so many words of an epoch: linear, to almost zero at the end of the last."""
        done = (epoch + words / (self.stop - self.start)) / self.epochs
        return self.learning_rate * max(1 - done, FINAL_RATE)

    def _report(self, epoch: int, reported: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = self.sums.sum(axis=0)
        loss, predictions, _ = sums - reported
        if not np.isfinite(loss):
            raise RunError(
                f"the loss became {loss} in epoch {epoch + 1}. "
                f"Lower --learning-rate (it began at {self.learning_rate})."
            )
        if self.progress and predictions:
            words = epoch * (self.stop - self.start) + int(sums[2])
            total = self.epochs * (self.stop - self.start)
            rate = self._rate(epoch, sums[2])
            valid_loss = self.held_out_losses[-1] if self.held_out_losses else None
            self.progress(TrainProgress(words, total, epoch, float(loss / predictions), rate, valid_loss))
        now: npt.NDArray[np.float64] = sums
        return now
