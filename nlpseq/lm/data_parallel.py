"""Data parallelism: the gradient of a batch as the mean of the gradients of its parts, found by tasks.

    weights, state of the columns ──> part 1: loss, gradient, state ──┐
                                      part 2                          ├──> mean gradient ──> clip and step
                                      ...                             ┘

A part is a range of the columns. A task is a function of its arguments: the weights, the recurrent state and
the place in the text. So the tasks of a lost worker run again elsewhere with the same result, workers may
come and go, and the number of workers changes no bit. The parts follow from the settings alone.

Letters: W weights in all, B columns.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nlpseq.config import LMConfig
from nlpseq.core.tasks import Tasks, map_in_order
from nlpseq.dataset.token_dataset import TokenDataset, open_same
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.chunk import chunk_losses
from nlpseq.lm.device import Precision, PrecisionTrial
from nlpseq.lm.dropout import DropoutMasks
from nlpseq.lm.losses import NegativeSampler
from nlpseq.lm.model import RecurrentLM, State
from nlpseq.lm.trainer import Trainer
from nlpseq.storage.artifact import Meta

__all__ = ["ParallelTrainer", "part_gradient"]

Floats = npt.NDArray[np.float32]
States = list[tuple[npt.NDArray[Any], ...]]  # of each layer


class Job(NamedTuple):
    """What all tasks of a run share."""

    path: Path  # of the encoded corpus
    digest: str  # of the corpus
    config: LMConfig


class Place(NamedTuple):
    """The next rows of an epoch, and how to read them."""

    epoch_start: int  # of the first column in the stream
    row: int
    rows: int
    step: int
    is_sampling: bool
    precision: Precision


class Gradient(NamedTuple):
    """The result of a task."""

    gradient_W: Floats
    loss: float
    state: States


class ParallelTrainer(Trainer):
    """A run whose gradients are found in parts of the batch; config.parts is set."""

    def __init__(
        self, data: TokenDataset, valid: TokenDataset, config: LMConfig, tasks: Tasks, **options: Any
    ) -> None:
        super().__init__(data, valid, replace(config, device="cpu"), **options)
        assert config.parts
        self._tasks = tasks
        ends = np.linspace(0, config.batch_size, config.parts + 1).round().astype(int).tolist()
        self._parts = [range(*each) for each in pairwise(ends)]

    def choose_precision(self, wanted: Literal["auto", "fp32", "bf16"]) -> PrecisionTrial:
        """Set the precision that is wanted, fp32 for auto, because workers may differ; time a chunk."""
        self.precision = "fp32" if wanted == "auto" else wanted
        seconds = []
        for _ in range(2):  # the first pass loads the network
            started = self.clock()
            self.backward(self._rows())
            seconds.append(self.clock() - started)
        reason = "parts of a batch are trained in fp32" if wanted == "auto" else f"{wanted} was requested"
        return PrecisionTrial(self.precision, seconds[-1], reason)

    def validate(self) -> None:
        """Evaluate as the Trainer does, with all threads."""
        torch.set_num_threads(self.config.threads or 1)
        super().validate()

    def describe(self) -> Meta:
        """Return meta.json of the model, with the workers."""
        return super().describe() | {"cluster": self._tasks.describe()}

    def backward(self, rows: int) -> tuple[Tensor, State]:
        """Set the gradients of the next rows; return their log-loss and the recurrent state."""
        with torch.no_grad():
            weights = self._tasks.put(torch.cat([each.flatten() for each in self.parameters]).numpy())
        state, softmax = self.state, self.is_sampling()
        place = Place(self.columns.starts[0], state.row, rows, state.step, softmax, self.precision)
        job = Job(self.data.path.resolve(), self.data.digest, self.config)
        work = ((job, weights, place, n, part, self._state_of(part)) for n, part in enumerate(self._parts))
        num_weights = sum(each.numel() for each in self.parameters)
        gradient_W, loss, states = np.zeros(num_weights, np.float32), 0.0, list[States]()
        for part, found in zip(self._parts, map_in_order(self._tasks, part_gradient, work), strict=True):
            share = np.float32(len(part) / self.config.batch_size)
            gradient_W += share * found.gradient_W
            loss += float(share) * found.loss
            states.append(found.state)
        for parameter, piece in _pieces(torch.from_numpy(gradient_W), self.parameters):
            parameter.grad = piece
        return torch.tensor(loss), _join(states)

    def _state_of(self, part: range) -> States:
        return [
            tuple(each[:, part.start : part.stop].contiguous().numpy() for each in layer)
            for layer in self.carried
        ]


def _join(states: list[States]) -> State:
    """Return the recurrent state of all columns."""
    layers = zip(*states, strict=True)
    return [
        tuple(torch.from_numpy(np.concatenate(each, axis=1)) for each in zip(*layer, strict=True))
        for layer in layers
    ]


def _pieces(vector_W: Tensor, parameters: list[nn.Parameter]) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Yield each parameter with its piece of a vector of all weights."""
    pieces = torch.split(vector_W, [each.numel() for each in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        yield parameter, piece.view_as(parameter)


class _Replica:
    """The network of a worker, and the columns that it read last."""

    def __init__(self, job: Job) -> None:
        torch.set_flush_denormal(True)
        self.job = job
        data = open_same(job.path, job.digest).split("train")
        self.stream = Stream(data)
        self.model = RecurrentLM(job.config, len(data.vocab))
        self.parameters = list(self.model.parameters())
        self.sampler = NegativeSampler(torch.from_numpy(data.counts), job.config.samples)
        self._columns = dict[tuple[int, range], Columns]()

    def columns(self, epoch_start: int, part: range) -> Columns:
        """Return the columns of a part, with the rows read ahead in the last call."""
        if (epoch_start, part) not in self._columns:
            if any(start != epoch_start for start, _ in self._columns):
                self._columns.clear()
            size = self.job.config.batch_size
            self._columns[epoch_start, part] = Columns(self.stream, size, epoch_start, chosen=part)
        return self._columns[epoch_start, part]


_LOCAL = threading.local()


def _replica(job: Job) -> _Replica:
    """Return the network of this thread."""
    if getattr(_LOCAL, "replica", None) is None or _LOCAL.replica.job != job:
        _LOCAL.replica = _Replica(job)
    found: _Replica = _LOCAL.replica
    return found


def part_gradient(
    job: Job, weights_W: Floats, place: Place, number: int, part: range, state: States
) -> Gradient:
    """Return the gradient, log-loss and recurrent state of the columns of a part.

    number: of the part, for its dropout masks.
    """
    torch.set_num_threads(1)  # because another number may round otherwise
    replica = _replica(job)
    with torch.no_grad():
        for parameter, piece in _pieces(torch.tensor(weights_W), replica.parameters):
            parameter.copy_(piece)
            parameter.grad = None
    columns = replica.columns(place.epoch_start, part)
    masks = DropoutMasks(job.config.seed, place.step, part=number)
    loss, penalty, after = chunk_losses(
        replica.model,
        columns.window(place.row, place.row + place.rows),
        [tuple(torch.tensor(each) for each in layer) for layer in state],
        masks,
        replica.sampler if place.is_sampling else None,
        place.precision,
    )
    (loss + penalty).backward()  # type: ignore[no-untyped-call]
    gradient = [torch.zeros_like(each) if each.grad is None else each.grad for each in replica.parameters]
    ended = [tuple(each.detach().numpy() for each in layer) for layer in after]
    return Gradient(torch.cat([each.flatten() for each in gradient]).numpy(), loss.item(), ended)
