"""Trainer of word2vec for training.runner: threads, the learning rate and the loss of the valid split.

Letters: V words, D dimensions.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ArtifactError, DataError, advise
from nlpseq.storage import artifact
from nlpseq.training.metrics import write_metrics
from nlpseq.training.progress import TrainProgress
from nlpseq.training.provenance import describe_source
from nlpseq.vectors.folder import LastWeights
from nlpseq.vectors.subwords import Bags, SubwordVectors, mean_rows
from nlpseq.vectors.vectors import KIND, VERSION, Vectors
from nlpseq.word2vec import parallel
from nlpseq.word2vec.averaging import Means, average, shares_of_text
from nlpseq.word2vec.checkpoint import Checkpoint, TrainState, save_checkpoint
from nlpseq.word2vec.kernels.select import Span, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.parallel import (
    CHUNK_TOKENS,
    Hogwild,
    LocalSGD,
    ParallelSizes,
    pairs_of_rows,
    pairs_of_words,
)
from nlpseq.word2vec.sampling import PART_TOKENS, Frozen, epoch_keys, make_tables
from nlpseq.word2vec.start import Start, earlier_tokens
from nlpseq.word2vec.weights import (
    initial_ids,
    initial_weights,
    to_numpy,
    with_padding,
    without_padding,
)

__all__ = ["Trainer"]

Floats = npt.NDArray[np.float32]

FINAL_RATE = 1e-4  # of the first learning rate, as in word2vec.c
VALID_EPOCH = -1  # whose random numbers every validation has
PATIENCE = 2  # epochs that early stopping waits for a lower validation loss


class Trainer:
    """A run of word2vec; a step is about sizes.poll_seconds of the threads' work.

    data: the whole corpus. config: with every default resolved. stored: the checkpoint to continue from.
    start: the initial vectors, if any, of a run without a checkpoint. share: of the text in all texts, see
    start.new_share.
    part_tokens: tokens whose chunks are shuffled together. `best` are the weights of the best epoch with
    config.early_stop, else the present weights.
    """

    command, kind = "train-w2v", (KIND, VERSION)

    def __init__(
        self,
        data: TokenDataset,
        config: Word2VecConfig,
        stored: Checkpoint | None = None,
        *,
        start: Start | None = None,
        share: float = 1.0,
        provenance: Mapping[str, object] | None = None,
        sizes: ParallelSizes | None = None,
        part_tokens: int = PART_TOKENS,
    ) -> None:
        assert config.threads and config.epochs and config.learning_rate
        self.data, self.sizes, self.part_tokens = data, sizes or parallel.DEFAULT_SIZES, part_tokens
        self._provenance = provenance or describe_source(data)
        self.selection = select(config)
        self.threads = config.threads if self.selection.is_compiled else 1  # array code has its own threads
        self.config = replace(config, threads=self.threads)
        self.epochs, self.learning_rate = config.epochs, config.learning_rate
        self.advice = f"Lower --learning-rate (it began at {self.learning_rate})."
        self.state = stored.state if stored else TrainState()
        self.metrics = list(stored.metrics) if stored else []
        self.compile_seconds = 0.0
        self._start = start.describe(share) if start else stored.meta.get("start") if stored else None
        self._means = stored.means if stored else None
        self._frozen_2V = stored.frozen_2V if stored else None
        self._frozen_VD: Any = None  # with subwords, vectors of the words of frozen inputs
        if stored and stored.frozen_2V is not None and stored.words_VD is not None:
            self._frozen_VD = stored.words_VD[stored.frozen_2V[0]]
        self._load(stored, start)
        self.sums = np.zeros((self.threads, 3))  # of the epoch by thread: loss, predictions, words
        for thread, sums in enumerate(self.state.sums):  # a checkpoint may have more threads
            self.sums[thread % self.threads] += sums
        self.sharing: Hogwild | LocalSGD
        if config.deterministic and self.selection.is_compiled and self.threads > 1:
            pairs_V, bags = pairs_of_words(data.split("train"), config), self.tables.bags
            pairs_R = pairs_of_rows(pairs_V, bags, len(self.weights.in_VD)) if bags else pairs_V
            uses, frozen = (pairs_R, pairs_V), self.tables.frozen
            self.sharing = LocalSGD(self.weights, self.state, self.threads, uses, self.sizes, frozen)
        else:
            self.sharing = Hogwild(self.weights, self.state, self.at_once, self.sizes)
        self.chunk = config.segment or self.sharing.chunk
        num_chunks = -(-(self.stop - self.start) // self.chunk)
        if self.state.chunk_index > num_chunks:  # which only the text can show
            raise ArtifactError(
                f"{data.name}: the checkpoint is at chunk {self.state.chunk_index} of an epoch of "
                f"{num_chunks}. Train again with --force."
            )
        self._workers = set[Future[None]]()
        self._result: Vectors | None = None

    def _load(self, stored: Checkpoint | None, start: Start | None) -> None:
        """Load the weights, then tables and text, because on a GPU the text takes free memory."""
        lanes, xp = self.selection.lanes, self.selection.xp
        if stored is None:
            words = self.data.vocab.without_specials()
            host = initial_weights(len(words), self.config, lanes)
            if start is not None:
                start.fill(host, words, is_frozen=self.config.freeze_known)
                self._means = (
                    None if self.config.freeze_known else start.means(words, earlier_tokens(start, self.data))
                )
                self._frozen_2V = start.frozen(words) if self.config.freeze_known else None
                if self._frozen_2V is not None and self.config.subwords:
                    self._frozen_VD = start.vectors_of(words, self._frozen_2V[0])
        else:
            host = Weights(*(with_padding(rows_VD, lanes) for rows_VD in stored.weights))
        self.best = self.weights = Weights(*map(xp.asarray, host))
        if stored and stored.best:
            self.best = Weights(*(xp.asarray(with_padding(rows_VD, lanes)) for rows_VD in stored.best))
        train = self.data.split("train")
        self.tables = make_tables(train, self.config, xp)
        if self._frozen_2V is not None:
            in_V, out_V = self._frozen_2V
            in_R = np.append(in_V, np.ones(self.config.buckets or 0, np.bool_))  # all n-grams are known
            self.tables = self.tables._replace(frozen=Frozen(xp.asarray(in_R), xp.asarray(out_V)))
        self.start, self.stop = int(train.sentences[0]), int(train.sentences[-1])
        self.at_once = self.selection.at_once(self.tables)
        is_softmax, num_words = self.config.loss == "softmax", len(self.tables.keep_V)
        self.uniform_loss = log(num_words) if is_softmax else (1 + self.config.negatives) * log(2)
        first, last = self.data.meta["splits"]["valid"]
        self.valid = None
        if first < last or self.config.early_stop:
            self.valid = self.tables._replace(sentences=self.data.split("valid").sentences)

    def compile(self) -> None:
        """Compile the kernel of the CPU, or load it from the cache, by a span without tokens."""
        if self.selection.kernel == "fused":
            nothing = Span(self.start, self.start, np.float32(0))
            keys = epoch_keys(self.config.seed, 0)
            self.selection.train_spans(self.tables, keys, self.weights, [nothing])

    @contextmanager
    def running(self) -> Iterator[None]:
        """Compile the kernel, and hold the threads; after an error end them."""
        started = time.perf_counter()
        self.compile()
        self.compile_seconds = time.perf_counter() - started
        with ThreadPoolExecutor(self.threads) as self._pool:
            if self.config.early_stop and self._valid_loss() is None:
                raise DataError("valid split: no word in it has a neighbor. Use a larger --valid-share.")
            try:
                yield
            except BaseException:
                self.sharing.abandon()
                raise

    def is_over(self) -> bool:
        """Return True after the last epoch, or if the validation loss no longer falls."""
        epoch, best = self.state.epoch, self.state.best_epoch
        waited = self.config.early_stop and best is not None and best < epoch - PATIENCE
        return epoch >= self.epochs or waited

    def step(self) -> TrainProgress | None:
        """Start the threads unless they work; return the figures of a moment later."""
        if not self._workers:
            self._starts = self.order()
            self.sharing.halt.clear()
            self._reported = self.sums.sum(axis=0)
            self._workers = {self._pool.submit(self._work, thread) for thread in range(self.threads)}
        return self._wait(self.sizes.poll_seconds)

    def pause(self) -> TrainProgress | None:
        """Wait until the threads rest."""
        if not self._workers:
            return None
        self.sharing.halt.set()
        return self._wait(None)

    def _wait(self, seconds: float | None) -> TrainProgress | None:
        """Wait for the threads; return figures if an epoch or chunk has ended."""
        done, self._workers = wait(self._workers, seconds, FIRST_EXCEPTION)
        for worker in done:
            worker.result()
        state, num_chunks = self.state, len(self._starts)
        sums = self.sums.sum(axis=0)
        loss, predictions, _ = sums - self._reported
        self._reported = sums
        figures: TrainProgress | None = None
        if predictions or not np.isfinite(loss):
            figures = self.progress(float(loss / max(1, predictions)))
        if not self._workers and state.chunk_index >= num_chunks:
            self._end_epoch()
        state.sums = self.sums.tolist()
        return figures

    def progress(self, loss: float) -> TrainProgress:
        """Return the figures of this moment; loss: the mean of the last steps."""
        state, size, words = self.state, self.stop - self.start, self.sums[:, 2].sum()
        return TrainProgress(
            done=state.epoch * size + int(words),
            total=self.epochs * size,
            step=state.epoch * -(-size // self.chunk) + state.chunk_index,
            epoch=state.epoch,
            loss=loss,
            learning_rate=self.rate(words),
            valid_loss=state.held_out[-1] if state.held_out else None,
        )

    def _work(self, thread: int) -> None:
        """Train the chunks of one thread."""
        keys, chunk = epoch_keys(self.config.seed, self.state.epoch), self.chunk
        for weights, indices in self.sharing.work(thread, len(self._starts)):
            spans = [
                Span(start, min(start + chunk, self.stop), np.float32(self.rate(index * chunk)))
                for index, start in ((index, self._starts[index]) for index in indices)
            ]
            with np.errstate(over="ignore", invalid="ignore"):  # because the runner checks the loss
                loss, predictions = self.selection.train_spans(self.tables, keys, weights, spans)
            self.sums[thread] += loss, predictions, sum(span.stop - span.start for span in spans)

    def _end_epoch(self) -> None:
        """Count the epoch, evaluate the valid split, and add a line of metrics."""
        state = self.state
        loss, predictions, words = self.sums.sum(axis=0)
        state.predictions += int(predictions)
        mean = float(loss / predictions) if predictions else None  # subsampling may leave no pair
        state.losses.append(mean)
        valid_loss = self._valid_loss()
        if valid_loss is not None:
            state.held_out.append(valid_loss)
        if self.config.early_stop and state.best_epoch == state.epoch:
            self.best = Weights(*(weight.copy() for weight in self.weights))
        line = {
            "step": (state.epoch + 1) * len(self._starts),
            "epoch": state.epoch,
            "tokens": state.epoch * (self.stop - self.start) + int(words),
            "loss": mean,
            "learning_rate": self.rate(words),
            "valid_loss": valid_loss,
        }
        self.metrics.append({name: value for name, value in line.items() if value is not None})
        self.sums[:] = 0
        state.epoch, state.chunk_index = state.epoch + 1, 0

    def _valid_loss(self) -> float | None:
        """Return the loss of the valid split, by steps at rate 0 with the same random numbers each time.

        Returns None without a valid split, or if no two of its words are neighbors.
        """
        if self.valid is None:
            return None
        valid, first, end = self.valid, int(self.valid.sentences[0]), int(self.valid.sentences[-1])
        keys = epoch_keys(self.config.seed, VALID_EPOCH)
        starts = range(first, end, CHUNK_TOKENS)
        spans = [Span(start, min(start + CHUNK_TOKENS, end), np.float32(0)) for start in starts]
        groups = [spans[n : n + self.at_once] for n in range(0, len(spans), self.at_once)]
        evaluate = partial(self.selection.train_spans, valid, keys, self.weights)
        sums = list(self._pool.map(evaluate, groups))  # which skips the rest after an error
        loss, predictions = (sum(column) for column in zip(*sums, strict=True))
        return float(loss / predictions) if predictions else None

    def order(self) -> list[int]:
        """Return the starts of the chunks in the random order of this epoch.

        Neighboring text has one topic, so chunks are shuffled. A text of more than part_tokens is read part
        by part: a GPU without memory for all of it loads each part once, and a disk reads with few seeks.
        """
        starts = np.arange(self.start, self.stop, self.chunk)
        part_starts = self.start + (starts - self.start) // self.part_tokens * self.part_tokens
        key = stream_key(self.config.seed, Stream.ORDER, self.state.epoch)
        of_chunk = random_bits_array(key, starts, np.zeros_like(starts), np)
        of_part = random_bits_array(key, part_starts, np.ones_like(starts), np)
        shuffled: list[int] = starts[np.lexsort((of_chunk, of_part))].tolist()
        return shuffled

    def rate(self, words: float) -> float:
        """Return the learning rate after some words of an epoch: linear, almost 0 at the end of the last."""
        done = (self.state.epoch + words / (self.stop - self.start)) / self.epochs
        return self.learning_rate * max(1 - done, FINAL_RATE)

    def finish(self) -> None:
        """Raise DataError if not one pair of words was trained."""
        if all(loss is None for loss in self.state.losses):
            vocab, text = self.data.vocab, self.data.config
            has_unknown = self.data.counts[vocab.num_words] != 0
            settings = {
                "--subsample 0": (self.config.subsample, 0.0),
                "a lower --min-count": (text.min_count if has_unknown else 1, 1),
            }
            raise DataError(
                "corpus: no word has a neighbor, because no sentence keeps two words of the vocabulary. "
                + advise(settings, "longer sentences")
            )

    def save_state(self, folder: artifact.Folder, meta: artifact.Meta) -> None:
        """Write a checkpoint, which lists the words that no pair has trained so far."""
        dim, vocab = self.config.dim, self.data.vocab.without_specials()
        weights = Weights(*(to_numpy(weight[:, :dim]) for weight in self.weights))
        best = None if self.best is self.weights else Weights(*(weight[:, :dim] for weight in self.best))
        described = self.describe() | {"untrained": self._words_without_pairs(weights.in_VD)}
        words_VD = self._word_vectors(weights.in_VD) if self.tables.bags else None
        run = Checkpoint(
            described,
            vocab,
            self.config,
            self.state,
            self.metrics,
            weights,
            best,
            self._frozen_2V,
            words_VD,
            self._means,
        )
        save_checkpoint(folder, run, meta)

    def save_result(self, folder: artifact.Folder) -> None:
        """Write the vectors and the metrics."""
        self.vectors().fill(folder)
        write_metrics(folder.path, self.metrics)

    def vectors(self, **meta: object) -> Vectors:
        """Return the best vectors, in the memory of the weights, so training cannot continue after it.

        A word without a trained pair gets an input of zeros instead of its random start.
        """
        if self._result is None:
            in_VD, out_VD = (without_padding(to_numpy(weight), self.config.dim) for weight in self.best)
            vocab, subwords = self.data.vocab.without_specials(), None
            in_VD[initial_ids(in_VD, self.config)] = 0
            last_RD = in_VD
            if self.config.ngrams:
                subwords = SubwordVectors(in_VD[len(vocab) :], self.config.ngrams)
                in_VD = self._word_vectors(in_VD)
            self._result = Vectors(vocab, in_VD, out_VD, self.describe(), subwords)
            if self._means is not None:
                self._result = self._averaged(self._result, last_RD, self._means)
        self._result.meta |= meta
        return self._result

    def _averaged(self, trained: Vectors, last_RD: Floats, means: Means) -> Vectors:
        """Return the means over all texts, with the last weights beside; last_RD: of the inputs."""
        assert self._start is not None
        subwords, new_V = trained.subwords, self.data.word_counts
        num_tokens = int(new_V.sum())
        weight = float(num_tokens * round(num_tokens / self._start["share"]))  # by the tokens of all texts
        share_V, sum_V = shares_of_text(new_V, means.sum_V, weight)
        words_VD, out_VD, _, ngrams_BD = (
            each if each is None or each.flags.writeable else np.array(each) for each in means
        )
        words_VD = average(words_VD, trained.matrix, share_V)
        out_VD = average(out_VD, trained.contexts, share_V)
        if subwords is not None:
            share_B = np.full(len(subwords.rows_BD), weight / (means.sum_V.max() + weight))
            subwords = subwords._replace(rows_BD=average(ngrams_BD, subwords.rows_BD, share_B))
        last = LastWeights(last_RD, trained.contexts, sum_V)
        return Vectors(trained.vocab, words_VD, out_VD, trained.meta, subwords, last)

    def _words_without_pairs(self, in_RD: Floats) -> list[str]:
        """Return the words that no pair has trained so far, neither their own row nor a row of an n-gram."""
        is_initial_R = np.zeros(len(in_RD), np.bool_)
        is_initial_R[initial_ids(in_RD, self.config)] = True
        if bags := self._bags():
            is_initial_R = np.logical_and.reduceat(is_initial_R[bags.rows_N], bags.starts_V[:-1])
        words = self.data.vocab.without_specials().words
        return [words[word_id] for word_id in np.flatnonzero(is_initial_R).tolist()]

    def _word_vectors(self, in_RD: Floats) -> Floats:
        """Return the means of the rows of each word, (V, D), with subwords; frozen words keep every bit."""
        bags = self._bags()
        assert bags is not None
        words_VD = mean_rows(bags, in_RD, self.config.dim)
        if self._frozen_2V is not None:
            words_VD[self._frozen_2V[0]] = self._frozen_VD
        return words_VD

    def _bags(self) -> Bags | None:
        """Return the rows of each word, with subwords, as arrays of NumPy."""
        bags = self.tables.bags
        return Bags(to_numpy(bags.starts_V), to_numpy(bags.rows_N)) if bags else None

    def describe(self) -> artifact.Meta:
        """Return meta.json of the vectors."""
        config, state, data = self.config, self.state, self.data
        train = data.split("train")
        words_trained = train.num_tokens * state.epoch + self.sums[:, 2].sum()
        return {
            "model": f"word2vec {config.objective}",
            "config": asdict(config),
            "text_config": asdict(data.config),
            "corpus": data.meta.get("corpus"),
            "data_vocab_digest": data.vocab.digest,
            "data_digest": data.digest,
            "source": self._provenance,
            "backend": self.selection.backend,
            "kernel": self.selection.kernel,
            "threads": config.threads,
            "tokens": train.num_tokens,
            "seconds": state.seconds,
            "words_per_second": words_trained / state.seconds if state.seconds else 0.0,
            "loss": [loss for loss in state.losses if loss is not None],
            "epochs": state.epoch,
            "predictions": state.predictions,
            "valid_loss": state.held_out,
            "best_epoch": state.best_epoch,
            "compile_seconds": self.compile_seconds,
            **({"start": self._start} if self._start else {}),
        }
