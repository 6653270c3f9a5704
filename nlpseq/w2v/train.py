"""train_word2vec: from an encoded corpus to word vectors."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.draws import INIT, ORDER, draw_array, stream_key
from nlpseq.errors import DataError, RunError
from nlpseq.settings import available_cores, to_dict
from nlpseq.text.dataset import TokenDataset
from nlpseq.text.subsample import keep_thresholds
from nlpseq.vectors.vectors import Vectors
from nlpseq.w2v.kernels import Choice, padded, select
from nlpseq.w2v.objectives import Weights
from nlpseq.w2v.sampling import Tables, alias_table, epoch_keys

CHUNK = 10_000  # tokens trained at one learning rate, by one thread at a time
POLL = 0.25  # seconds between reports
DEFAULT_RATE = {"skipgram": 0.025, "legacy": 0.075, "corrected": 0.15}  # measured: see README.md
FINAL_RATE = 1e-4  # of the first learning rate, as in word2vec.c


class TrainProgress(NamedTuple):
    """How far training is."""

    words: int  # raw tokens done, over all epochs
    total: int
    epoch: int  # from 0
    loss: float  # mean over the predictions since the last report, nats
    learning_rate: float


Report = Callable[[TrainProgress], None]


def train_word2vec(
    data: TokenDataset, config: Word2VecConfig | None = None, *, progress: Report | None = None
) -> Vectors:
    """CBOW or skip-gram vectors of every word in the vocabulary, trained on the train split.

    Raises DataError where there is nothing to learn from and RunError where the loss is no longer finite.
    """
    data = data.split("train")
    config = resolve(config or Word2VecConfig(), len(data.vocab.without_specials()), data.num_tokens)
    choice = select(config)
    tables, weights = prepare(data, config, choice.xp)
    run = _Run(config, choice, tables, weights, progress)
    started = time.perf_counter()
    run.compile()
    compiled = time.perf_counter()
    losses = run.train()
    seconds = {"compile_seconds": compiled - started, "seconds": time.perf_counter() - compiled}
    return _result(data, replace(config, threads=run.threads), choice, weights, losses, seconds)


def resolve(config: Word2VecConfig, num_words: int, num_tokens: int) -> Word2VecConfig:
    """The config with every default that depends on the data or the machine filled in."""
    if num_words < 2:
        raise DataError(
            f"the vocabulary has {num_words} word, and word2vec needs at least 2 to tell apart. "
            "Give more text, or lower --min-count."
        )
    update = config.objective if config.objective == "skipgram" else config.cbow_update
    learning_rate = config.learning_rate or DEFAULT_RATE[update]
    epochs = config.epochs or min(20, max(5, round(80e6 / num_tokens)))
    threads = config.threads or available_cores()
    return replace(config, learning_rate=learning_rate, epochs=epochs, threads=threads)


def prepare(data: TokenDataset, config: Word2VecConfig, xp: Any) -> tuple[Tables, Weights]:
    """Tables and fresh weights, on the device of xp."""
    counts_V = data.vocab.without_specials().counts
    tables = Tables(
        xp.asarray(data.tokens),
        xp.asarray(data.sentences),
        xp.asarray(keep_thresholds(counts_V, config.subsample)),
        xp.asarray(alias_table(np.maximum(counts_V, 1).astype(np.float64) ** config.smoothing)),
    )
    return tables, Weights(*(xp.asarray(weight) for weight in initial_weights(len(counts_V), config)))


def initial_weights(num_words: int, config: Word2VecConfig) -> Weights:
    """Inputs uniform within 0.5/dim of 0, outputs 0, as in word2vec.c; rows padded with zeros."""
    in_VD, out_VD = (_aligned_zeros(num_words, padded(config.dim)) for _ in range(2))
    key, column_D = stream_key(config.seed, INIT, 0), np.arange(config.dim)[None, :]
    for first in range(0, num_words, CHUNK):
        word_id = np.arange(first, min(first + CHUNK, num_words))[:, None]
        uniform = (draw_array(key, word_id, column_D, np) >> np.uint64(40)) * np.float32(2.0**-24)
        in_VD[word_id[:, 0], : config.dim] = (uniform - np.float32(0.5)) / np.float32(config.dim)
    return Weights(in_VD, out_VD)


def _aligned_zeros(rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Zeros whose rows begin on cache lines."""
    raw = np.zeros(rows * columns + 16, np.float32)
    skip = -raw.ctypes.data % 64 // 4
    return raw[skip : skip + rows * columns].reshape(rows, columns)


class _Run:
    """One training run: threads take chunks of the text in turn and train the same weights without a lock."""

    def __init__(
        self,
        config: Word2VecConfig,
        choice: Choice,
        tables: Tables,
        weights: Weights,
        progress: Report | None,
    ) -> None:
        self.config, self.choice, self.tables, self.weights = config, choice, tables, weights
        self.progress = progress
        self.start, self.stop = int(tables.sentences[0]), int(tables.sentences[-1])
        assert config.threads and config.epochs and config.learning_rate
        self.threads = config.threads if choice.kernel == "fused" else 1  # array code has threads of its own
        self.epochs, self.learning_rate = config.epochs, config.learning_rate
        self.halt = threading.Event()
        self.sums = np.zeros((self.threads, 3))  # per thread: loss, predictions, words of this epoch

    def compile(self) -> None:
        """Have the kernel compiled, or read from the cache, by a span without tokens."""
        if self.choice.kernel == "fused":
            keys = epoch_keys(self.config.seed, 0)
            self.choice.train_span(self.tables, keys, self.weights, self.start, self.start, np.float32(0))

    def train(self) -> list[float]:
        """Mean loss of each epoch that had anything to learn from; DataError where none had."""
        with ThreadPoolExecutor(self.threads) as pool:
            losses = [self._epoch(pool, epoch) for epoch in range(self.epochs)]
        found = [loss for loss in losses if loss is not None]
        if not found:
            raise DataError(
                "no word has a neighbour: without rare and subsampled words no sentence has two. "
                "Take --subsample 0 if the text is small, lower --min-count, or give longer sentences."
            )
        return found

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
        return float(loss / predictions) if predictions else None  # subsampling may leave no pair in an epoch

    def _work(self, thread: int, epoch: int, chunks: Iterator[tuple[int, int]], lock: threading.Lock) -> None:
        keys = epoch_keys(self.config.seed, epoch)
        while not self.halt.is_set():
            with lock:
                turn, start = next(chunks, (0, None))
            if start is None:
                return
            stop = min(start + CHUNK, self.stop)
            rate = np.float32(self._rate(epoch, turn * CHUNK))
            with np.errstate(over="ignore", invalid="ignore"):  # _report looks at the loss
                loss, predictions = self.choice.train_span(self.tables, keys, self.weights, start, stop, rate)
            self.sums[thread] += loss, predictions, stop - start

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
            self.progress(TrainProgress(words, total, epoch, float(loss / predictions), rate))
        now: npt.NDArray[np.float64] = sums
        return now


def _result(
    data: TokenDataset,
    config: Word2VecConfig,
    choice: Choice,
    weights: Weights,
    losses: list[float],
    seconds: dict[str, float],
) -> Vectors:
    assert config.epochs
    meta = {
        "model": f"word2vec {config.objective}",
        "config": to_dict(config),
        "text_config": to_dict(data.config),
        "corpus": data.meta.get("corpus"),
        "data_vocab_digest": data.vocab.digest,
        "backend": choice.backend,
        "kernel": choice.kernel,
        "threads": config.threads,
        "tokens": data.num_tokens,
        **seconds,
        "words_per_second": data.num_tokens * config.epochs / seconds["seconds"],
        "loss": losses,
    }
    in_VD, out_VD = (_to_numpy(weight)[:, : config.dim].copy() for weight in weights)
    return Vectors(data.vocab.without_specials(), in_VD, out_VD, meta)


def _to_numpy(array: Any) -> npt.NDArray[np.float32]:
    host: npt.NDArray[np.float32] = array.get() if hasattr(array, "get") else array
    return host
