"""Train skip-gram in blocks that share no row (blocks.py), by tasks in threads or on a cluster.

A step of the trainer submits a segment. Its pairs are found by tasks of a million words. Each square of
blocks is trained by a task that takes parts of the inputs and of the outputs, and returns them changed. Parts
are passed from task to task by reference, so a task begins as soon as those before it have ended, and the
same numbers follow for any number of workers.

Letters: V words, P parts, W parts of a square, G rows of a part, D dimensions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from math import fsum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream
from nlpseq.core.resources import count_text
from nlpseq.core.tasks import Tasks
from nlpseq.dataset.token_dataset import TokenDataset, open_same
from nlpseq.errors import ConfigError
from nlpseq.storage.artifact import Meta
from nlpseq.training.progress import TrainProgress
from nlpseq.word2vec.blocks import (
    Pairs,
    Square,
    alias_tables,
    compile_kernels,
    cut_squares,
    cut_vocabulary,
    find_pairs,
    join_parts,
    num_steps,
    split_parts,
    train_block,
)
from nlpseq.word2vec.checkpoint import Checkpoint
from nlpseq.word2vec.kernels.select import padded
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys, noise_weights
from nlpseq.word2vec.trainer import Trainer

__all__ = ["RANGE", "BlockTrainer", "square_width"]

MAX_LINEAGE = 32  # segments to train again if a machine is lost
RANGE = 1_000_000  # words of a segment whose pairs are found by one task
AHEAD = 1  # segments submitted before the losses of an earlier one are waited for


class _Segment(NamedTuple):
    words: int
    losses: list[Any]  # references to (loss, pairs) of each block of a square


class BlockTrainer(Trainer):
    """A run in blocks; config.parts and config.segment are set."""

    def __init__(
        self,
        data: TokenDataset,
        config: Word2VecConfig,
        tasks: Tasks,
        stored: Checkpoint | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data, config, stored, **options)
        assert config.parts and config.segment
        self.tasks = tasks
        num_words = len(self.tables.keep_V)
        if 2 * config.parts > num_words:  # because negatives come from the part of the target
            words = count_text(num_words, "word")
            raise ConfigError(f"--parts: is {config.parts}, and a part needs 2 of the {words}. Use fewer.")
        self.parts = cut_vocabulary(num_words, config.parts, config.seed)
        self._width = square_width(config.parts, tasks.workers)
        self._squares = [*cut_squares(config.parts, self._width)]
        self._order: list[int] | None = None
        self._submitted = list[_Segment]()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hand the parts of the weights to the tasks."""
        train, put = self.data.split("train"), self.tasks.put
        self._put_parts()
        assert self.config.smoothing is not None
        noise_V = noise_weights(train, self.config.smoothing)
        self._alias = put(alias_tables(noise_V, self.parts))
        self._text = put((self.data.path.resolve(), self.data.digest, self.tables.keep_V, self.parts))
        with super().running():
            yield

    def step(self) -> TrainProgress | None:
        """Submit a segment; return the figures of an earlier one."""
        if self._order is None:
            self._order = self.order()
        index = self.state.chunk_index
        if index < len(self._order):
            self._submit(index, self._order[index])
            self.state.chunk_index += 1
            self._since_kept += 1
            return self._collect(AHEAD) if self._since_kept < MAX_LINEAGE else self.pause()
        return self.pause()

    def pause(self) -> TrainProgress | None:
        """Wait for all tasks, and fetch the weights; end the epoch if its segments are done."""
        figures = self._collect(0)
        for references, weight_VD in zip((self._inputs, self._outputs), self.weights, strict=True):
            join_parts([*chain.from_iterable(self.tasks.get(references))], self.parts, weight_VD)
        self._put_parts()
        if self._order is not None and self.state.chunk_index >= len(self._order):
            self._starts, self._order = self._order, None
            self._end_epoch()
        self.state.sums = self.sums.tolist()
        return figures

    def describe(self) -> Meta:
        """Return meta.json of the vectors, with the workers."""
        return super().describe() | {"cluster": self.tasks.describe()}

    def _put_parts(self) -> None:
        """Hand the parts of the weights to the tasks, in arrays for a side of a square each.

        Lost parts are computed again from these, so they are kept until the next call.
        """
        starts = range(0, self.parts.num, self._width)
        self._inputs, self._outputs = (
            [self.tasks.put(np.stack(split[first : first + self._width])) for first in starts]
            for split in (split_parts(weight_VD, self.parts) for weight_VD in self.weights)
        )
        self._kept, self._since_kept = [*self._inputs, *self._outputs], 0

    def compile(self) -> None:
        """Compile the kernels, or load them from the cache, also for workers that share the cache."""
        compile_kernels(padded(self.config.dim), self.config.negatives)
        if self.valid is not None:
            super().compile()

    def _submit(self, index: int, start: int) -> None:
        """Submit the tasks of a segment."""
        config, num_parts = self.config, self.parts.num
        stop, keys = min(start + self.chunk, self.stop), epoch_keys(config.seed, self.state.epoch)
        ranges = [(first, min(first + RANGE, stop)) for first in range(start, stop, RANGE)]
        work = self._text, self._width, keys, config.window
        columns = [
            self.tasks.submit(find_columns, *work, *each, results=len(self._outputs)) for each in ranges
        ]
        total, losses = num_steps(num_parts), []
        for square in self._squares:
            rates = [np.float32(self.rate((index + step / total) * self.chunk)) for step in square.steps]
            settings = self._alias, keys[Stream.NEGATIVE], config.negatives, rates, square
            i, t = square.inputs.start // self._width, square.outputs.start // self._width
            weights, pairs = (self._inputs[i], self._outputs[t]), (each[t] for each in columns)
            self._inputs[i], self._outputs[t], loss = self.tasks.submit(
                train_square, *settings, *weights, *pairs, results=3
            )
            losses.append(loss)
        self._submitted.append(_Segment(stop - start, losses))

    def _collect(self, most: int) -> TrainProgress | None:
        """Wait until at most `most` segments are not done; return the figures of the last that is."""
        figures = None
        while len(self._submitted) > most:
            segment = self._submitted.pop(0)
            losses, sizes = zip(*chain.from_iterable(self.tasks.get(segment.losses)), strict=True)
            loss, pairs = fsum(losses), sum(sizes)  # exact, so the same for any order
            self.sums[0] += loss, pairs, segment.words
            if pairs or not np.isfinite(loss):
                figures = self.progress(loss / max(1, pairs))
        return figures


def find_columns(
    text: tuple[Path, str, npt.NDArray[np.uint32], Any],
    width: int,
    keys: Any,
    window: int,
    start: int,
    stop: int,
) -> list[Pairs]:
    """Return the pairs of tokens[start:stop] for each `width` parts of the targets, block by block."""
    path, digest, keep_V, parts = text
    data = open_same(path, digest)
    tables = Tables(data.tokens, data.split("train").sentences, keep_V, np.zeros((1, 2), np.uint32))
    pairs = find_pairs(tables, keys, window, parts, start, stop)
    return [pairs.between(t * parts.num, (t + width) * parts.num) for t in range(0, parts.num, width)]


def square_width(num_parts: int, workers: int) -> int:
    """Return the largest power of two with a square for each worker in a step, or 1."""
    return 1 << max(1, num_parts // workers).bit_length() - 1


def train_square(
    alias_PG2: list[Any],
    key: Any,
    negatives: int,
    rates: list[Any],
    square: Square,
    in_WGD: Any,
    out_WGD: Any,
    *ranges: Pairs,
) -> tuple[Any, Any, list[tuple[float, int]]]:
    """Return the parts after a square of blocks, and the sum of the losses and the number of pairs of each.

    rates: of each step. ranges: pairs of each range of the segment, in the order of the text.
    """
    in_WGD, out_WGD = in_WGD.copy(), out_WGD.copy()  # because others may hold the same memory
    losses = []
    for step, i, t in square.blocks():
        weights = Weights(in_WGD[i - square.inputs.start], out_WGD[t - square.outputs.start])
        work = weights, alias_PG2[t], key, negatives, rates[step - square.steps.start]
        block = (t - square.outputs.start) * len(alias_PG2) + i
        found = [train_block(pairs, block, *work) for pairs in ranges]
        losses.append((fsum(loss for loss, _ in found), sum(num for _, num in found)))
    return in_WGD, out_WGD, losses
