"""A training run of word2vec: epochs, threads, the learning rate, and the loss of held-out text."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from math import log
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.errors import ArtifactError, DataError, RunError
from nlpseq.word2vec.kernels.select import KernelSelection, Span
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.parallel import CHUNK_TOKENS, Hogwild, LocalSGD
from nlpseq.word2vec.sampling import PART, Tables, epoch_keys
from nlpseq.word2vec.state import Report, TrainProgress, TrainState

POLL = 0.25  # seconds between reports
FINAL_RATE = 1e-4  # of the first learning rate, as in word2vec.c
HELD_OUT = -1  # the epoch whose draws held-out text has
DIVERGENCE_FACTOR = 10.0  # times the loss of knowing nothing
PATIENCE = 2  # epochs that early stopping waits for a lower held-out loss


class Run:
    """One training run, of threads that share chunks of text and weights as config.deterministic says.

    `best` are the weights of the best epoch where config.early_stop asks for them, else those of the last.
    """

    def __init__(
        self,
        config: Word2VecConfig,
        choice: KernelSelection,
        tables: Tables,
        held_out: Tables | None,
        weights: Weights,
        position: TrainState,
        best: Weights | None = None,
        sharing: LocalSGD | None = None,
    ) -> None:
        assert config.threads and config.epochs and config.learning_rate
        self.threads = config.threads if choice.is_compiled else 1  # array code has threads of its own
        self.config = replace(config, threads=self.threads)
        self.epochs, self.learning_rate = config.epochs, config.learning_rate
        self.choice, self.tables, self.held_out, self.weights = choice, tables, held_out, weights
        self.best, self.position = best or weights, position
        self.start, self.stop = int(tables.sentences[0]), int(tables.sentences[-1])
        self.at_once = choice.at_once(tables)
        self.sums = np.zeros((self.threads, 3))  # per thread: loss, predictions, words of this epoch
        for thread, sums in enumerate(position.sums):  # there may have been more
            self.sums[thread % self.threads] += sums
        self.sharing = sharing or Hogwild(weights, position, self.at_once)
        most = -(-(self.stop - self.start) // self.sharing.chunk)
        if position.turn > most:  # which only the text itself can tell
            raise ArtifactError(
                f"meta.json of this run has turn {position.turn} in its position, and an epoch has {most}. "
                "Train anew with --force."
            )

    def compile(self) -> None:
        """Have a kernel of the CPU compiled, or read from the cache, by a span without tokens."""
        if self.choice.kernel == "fused":
            keys = epoch_keys(self.config.seed, 0)
            nothing = Span(self.start, self.start, np.float32(0))
            self.choice.train_spans(self.tables, keys, self.weights, [nothing])

    def train(
        self,
        report: Report | None = None,
        is_break: Callable[[], bool] = lambda: False,
        between: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train to the end, or to where the held-out loss has stopped falling if that is wanted.

        Soon after is_break() no thread works and between() is called, which stops the run if it returns True.
        Returns whether it came to its end.
        """
        begun = perf_counter() - self.position.seconds

        def rest() -> bool:
            self.position.seconds = perf_counter() - begun
            self.position.sums = self.sums.tolist()
            return between()

        with ThreadPoolExecutor(self.threads) as pool:
            if self.config.early_stop and self._held_out_loss(pool) is None:
                raise DataError("no word of the valid split has a neighbour. Give it a larger --valid-share.")
            while not self._is_over():
                starts = self.order()
                while self.position.turn < len(starts):
                    self._work_on(pool, starts, report, is_break)
                    if self.position.turn < len(starts) and rest():
                        return False
                self._end_epoch(pool)
                if is_break() and not self._is_over() and rest():
                    return False
        self.position.seconds = perf_counter() - begun
        self._check_that_it_learnt()
        return True

    def _is_over(self) -> bool:
        epoch, best = self.position.epoch, self.position.best_epoch
        waited = self.config.early_stop and best is not None and best < epoch - PATIENCE
        return epoch >= self.epochs or waited

    def _check_that_it_learnt(self) -> None:
        if all(loss is None for loss in self.position.losses):
            raise DataError(
                "no word has a neighbour: without rare and subsampled words no sentence has two. "
                "Take --subsample 0 if the text is small, lower --min-count, or give longer sentences."
            )

    def _end_epoch(self, pool: ThreadPoolExecutor) -> None:
        position = self.position
        loss, predictions, _ = self.sums.sum(axis=0)
        position.predictions += int(predictions)
        position.losses.append(float(loss / predictions) if predictions else None)  # no pair may be kept
        if (held_out_loss := self._held_out_loss(pool)) is not None:
            position.held_out.append(held_out_loss)
        if self.config.early_stop and position.best_epoch == position.epoch:
            self.best = Weights(*(weight.copy() for weight in self.weights))
        self.sums[:] = 0
        position.epoch, position.turn = position.epoch + 1, 0

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

        spans = [
            Span(start, min(start + CHUNK_TOKENS, end), np.float32(0))
            for start in range(first, end, CHUNK_TOKENS)
        ]
        groups = [spans[n : n + self.at_once] for n in range(0, len(spans), self.at_once)]
        sums = list(pool.map(judge, groups))  # which leaves the rest undone if stopped
        loss, predictions = (sum(column) for column in zip(*sums, strict=True))
        return float(loss / predictions) if predictions else None

    def _work_on(
        self,
        pool: ThreadPoolExecutor,
        starts: list[int],
        report: Report | None,
        is_break: Callable[[], bool],
    ) -> None:
        """Have the threads train the chunks that are left of an epoch, or those up to a break."""
        self.sharing.begin()
        reported = self.sums.sum(axis=0)
        workers = set[Future[None]]()
        try:
            for thread in range(self.threads):
                workers.add(pool.submit(self._work, thread, starts))
            while workers:
                done, workers = wait(workers, timeout=POLL)
                for worker in done:
                    worker.result()
                reported = self._report(report, reported)
                if is_break():
                    self.sharing.pause()
        except BaseException:
            self.sharing.abandon()
            raise

    def _work(self, thread: int, starts: list[int]) -> None:
        """What a thread does of an epoch."""
        keys, chunk = epoch_keys(self.config.seed, self.position.epoch), self.sharing.chunk
        for weights, turns in self.sharing.work(thread, len(starts)):
            spans = [
                Span(start, min(start + chunk, self.stop), np.float32(self.rate(turn * chunk)))
                for turn, start in ((turn, starts[turn]) for turn in turns)
            ]
            with np.errstate(over="ignore", invalid="ignore"):  # _report looks at the loss
                loss, predictions = self.choice.train_spans(self.tables, keys, weights, spans)
            self.sums[thread] += loss, predictions, sum(span.stop - span.start for span in spans)

    def order(self) -> list[int]:
        """Where the chunks start, in a new order each epoch: neighbouring text is about the same things.

        A text of more than PART tokens is read part by part, in a new order as well: a GPU without room for
        all of it is given each part once, and a disk is read where it was read just before.
        """
        starts = np.arange(self.start, self.stop, self.sharing.chunk)
        part_starts = self.start + (starts - self.start) // PART * PART
        key = stream_key(self.config.seed, Stream.ORDER, self.position.epoch)
        of_chunk = random_bits_array(key, starts, np.zeros_like(starts), np)
        of_part = random_bits_array(key, part_starts, np.ones_like(starts), np)
        shuffled: list[int] = starts[np.lexsort((of_chunk, of_part))].tolist()
        return shuffled

    def rate(self, words: float) -> float:
        """Learning rate after so many words of an epoch: linear, to almost zero at the end of the last."""
        done = (self.position.epoch + words / (self.stop - self.start)) / self.epochs
        return self.learning_rate * max(1 - done, FINAL_RATE)

    def _loss_of_knowing_nothing(self) -> float:
        """In nats a prediction, where every word is as likely as every other."""
        is_softmax = self.config.loss == "softmax"
        return log(len(self.tables.keep_V)) if is_softmax else (1 + self.config.negatives) * log(2)

    def _report(self, report: Report | None, reported: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums: npt.NDArray[np.float64] = self.sums.sum(axis=0)
        loss, predictions, _ = sums - reported
        epoch, held_out = self.position.epoch, self.position.held_out
        mean_loss = loss / max(1, predictions)
        if not mean_loss < DIVERGENCE_FACTOR * self._loss_of_knowing_nothing():  # nor is NaN
            raise RunError(
                f"the loss became {mean_loss:.4g} in epoch {epoch + 1}. "
                f"Lower --learning-rate (it began at {self.learning_rate})."
            )
        if report and predictions:
            words = epoch * (self.stop - self.start) + int(sums[2])
            total = self.epochs * (self.stop - self.start)
            rate, valid_loss = self.rate(sums[2]), held_out[-1] if held_out else None
            report(TrainProgress(words, total, epoch, float(mean_loss), rate, valid_loss))
        return sums
