"""Trainer of the language model, by truncated backpropagation through time.

    for every chunk of bptt rows:   predict it from the state after the last chunk, as a constant;
                                    backpropagate the loss; clip the gradient; step; average the weights

Letters: T time steps, B columns.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import Literal

import torch
from torch import Tensor

from nlpseq.config import LMConfig
from nlpseq.core import counter_rng
from nlpseq.core.counter_rng import random_bits
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.lm.averaging import Average, restored
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.card import model_card
from nlpseq.lm.checkpoint import KIND, VERSION, Checkpoint, Tensors
from nlpseq.lm.chunk import chunk_losses
from nlpseq.lm.device import Precision, PrecisionTrial, choose_precision, open_device
from nlpseq.lm.dropout import DropoutMasks, resolve_dropout
from nlpseq.lm.evaluate import mean_loss, perplexity_of
from nlpseq.lm.losses import NegativeSampler
from nlpseq.lm.model import RecurrentLM, State, detach
from nlpseq.lm.optim import clip, make_optimizer, rate_factor
from nlpseq.lm.state import TrainState, training_tensors
from nlpseq.storage import artifact
from nlpseq.training.progress import TrainProgress
from nlpseq.training.provenance import describe_source
from nlpseq.training.runner import check_not_diverged

__all__ = ["Trainer"]

LOG_EVERY = 100  # steps between lines of metrics
REPORT_EVERY = 10  # steps between reports of progress
VALID_COLUMNS = 16
MAX_VALID_TOKENS, MAX_VALID_LOGITS = 200_000, 2_000_000_000  # of a validation between steps,
MIN_VALID_TOKENS = 10_000  # but never fewer tokens, however large the vocabulary
NON_MONOTONE = 5  # validations, as in AWD-LSTM
MAX_VALID_SHARE = 0.05  # of a time budget, for validations before the last
PLATEAU_FACTOR = 0.25
BUCKETS = (0.6, 0.8, 1.0, 1.0, 1.2)  # of bptt; few, because PyTorch keeps memory for each shape
MIN_ROWS = 5  # of a chunk of a random length
LARGE_VOCAB = 3000  # entries, above which a sampled softmax is faster
FIRST_RESERVE = 0.03  # of a time budget, for the last validation, until the first one is timed


class Trainer:
    """A run of the language model; a step is one chunk.

    config: with every default resolved. probe_results and provenance are stored with the model.
    """

    command, kind = "train-lm", (KIND, VERSION)

    def __init__(
        self,
        data: TokenDataset,
        valid: TokenDataset,
        config: LMConfig,
        clock: Callable[[], float] = time.perf_counter,
        max_valid_tokens: int = MAX_VALID_TOKENS,
    ) -> None:
        self.device = open_device(config)
        config = replace(config, device=str(self.device))
        self.config, self.data, self.valid = config, data, valid
        self.model = RecurrentLM(config, len(data.vocab)).to(self.device)
        counts_V = torch.from_numpy(data.counts).to(self.device)
        shares_V = counts_V.double().clamp_min(1)
        with torch.no_grad():  # log frequencies, because training would learn them first
            self.model.output_bias.copy_((shares_V / shares_V.sum()).log())
        self.parameters = list(self.model.parameters())
        self.optimizer = make_optimizer(self.parameters, config)
        self.average = Average(self.parameters, config.average_decay if config.averaging == "ema" else 1.0)
        self.sampler = NegativeSampler(counts_V, config.samples)
        is_large = self.model.num_entries >= LARGE_VOCAB
        is_sampling = config.softmax == "sampled" or (config.softmax == "auto" and is_large)
        self.sampled_share = config.sampled_share if is_sampling else 0.0
        self.precision: Precision = "fp32"  # until probe()
        self.state, self.clock = TrainState(), clock
        enough = max(MIN_VALID_TOKENS, MAX_VALID_LOGITS // self.model.num_entries)
        self.max_valid_tokens = min(max_valid_tokens, enough)  # of a validation
        self.metrics: list[artifact.Meta] = []
        self.probe_results: artifact.Meta = {}
        self.provenance = describe_source(data, valid=None if valid.path == data.path else valid.path)
        self.advice = f"Lower --learning-rate (it is {config.learning_rate:g}) or --clip-norm."
        self.uniform_loss = math.log(self.model.num_entries)
        # the weights with the lowest validation loss; before a validation the present weights
        self.best: Tensors = {name: each.detach() for name, each in self.model.named_parameters()}
        self.loss_sum = torch.zeros((), device=self.device)  # since the last line of metrics
        self.stream = Stream(data)
        self.start_epoch()

    def start_epoch(self) -> None:
        """Cut the columns at other positions than in the last epoch."""
        drawn = random_bits(self.config.seed, counter_rng.Stream.ORDER, self.state.epoch, 0)
        rotation = drawn % len(self.stream) if self.state.epoch else 0
        self.columns = Columns(self.stream, self.config.batch_size, rotation)
        self.carried = self.model.initial_state(self.config.batch_size)

    def probe(self) -> artifact.Meta:
        """Choose the precision by a trial, and the dropout rates by the passes that training will take."""
        rows, config = self._rows(), self.config
        choice = self.choose_precision(config.precision)
        if config.epochs is not None:
            passes = float(config.epochs)
        else:  # as if training took no other time than forward and backward passes
            assert config.time_budget is not None
            passes = config.time_budget / choice.seconds * rows * config.batch_size / len(self.stream)
        self.config = self.model.config = resolve_dropout(config, passes)
        return {"precision_reason": choice.reason, "expected_passes": passes}

    def choose_precision(self, wanted: Literal["auto", "fp32", "bf16"]) -> PrecisionTrial:
        """Set the precision of training by a trial on the next chunk."""
        rows = self._rows()
        choice = choose_precision(wanted, lambda each: self._losses(rows, each)[0], self.device)
        self.optimizer.zero_grad()
        self.precision = choice.precision
        return choice

    @contextmanager
    def running(self) -> Iterator[None]:
        """Flush denormal numbers to zero, because CPUs compute with them slowly."""
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)

    def step(self) -> TrainProgress | None:
        """Train a chunk; measure and validate if due."""
        self.train_chunk()
        state, losses, figures = self.state, self.state.valid_losses, None
        if state.step % REPORT_EVERY == 0 or self.is_over():
            done, loss = min(1.0, self.done()), self._training_loss()
            total, valid_loss = round(state.tokens / done) if done else None, losses[-1] if losses else None
            figures = TrainProgress(
                state.tokens, total, state.step, state.epoch, loss, self.rate(), valid_loss
            )
        if state.step % LOG_EVERY == 0:
            self._log()
        if self._validation_due():
            self.validate()
        return figures

    def pause(self) -> None:
        """Raise RunError if the loss has diverged or a weight is not finite."""
        self._training_loss()
        if not all(weight.isfinite().all() for weight in self.parameters):
            check_not_diverged(self, math.nan, self.state.step)

    def finish(self) -> None:
        """Measure and validate once more."""
        if self.state.loss_steps:
            self._log()
        self.validate()

    def done(self) -> float:
        """Return the share of the training that is done; it may exceed 1."""
        state, budget = self.state, self.config.time_budget
        if self.config.epochs is not None:
            return (state.epoch + state.row / self.columns.length) / self.config.epochs
        assert budget is not None
        reserve = FIRST_RESERVE * budget if state.valid_seconds is None else 1.1 * state.valid_seconds
        return state.seconds / max(budget - reserve, 1e-9)

    def is_over(self) -> bool:
        """Return True if epochs, time budget or patience are used up."""
        losses, patience = self.state.valid_losses, self.config.patience
        return self.done() >= 1 or (patience is not None and len(losses) - 1 - self.state.best >= patience)

    def train_chunk(self) -> None:
        """Run forward, backward and a step of the optimizer."""
        state, config = self.state, self.config
        rows = self._rows()
        self.optimizer.zero_grad()
        loss, self.carried = self.backward(rows)
        clip(self.parameters, config)
        rate = self.rate() * rows / config.bptt
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self._is_averaging():
            self.average.update()
        self.loss_sum += loss
        state.loss_steps += 1
        state.step += 1
        state.tokens += rows * config.batch_size
        state.row += rows
        if state.row >= self.columns.length:
            state.epoch, state.row = state.epoch + 1, 0
            self.start_epoch()

    def backward(self, rows: int) -> tuple[Tensor, State]:
        """Set the gradients of the next rows; return their log-loss and the recurrent state."""
        loss, penalty, carried = self._losses(rows, self.precision)
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        return loss.detach(), detach(carried)

    def rate(self) -> float:
        """Return the present learning rate."""
        factor = rate_factor(self.config, min(1.0, self.done()))
        return self.config.learning_rate * self.state.rate_scale * factor

    def _rows(self) -> int:
        """Return the length of the next chunk: bptt, or a random one near it if lengths are bucketed."""
        bptt = self.config.bptt
        if self.config.lengths == "bucketed":
            uniform = random_bits(self.config.seed, counter_rng.Stream.LENGTH, 0, self.state.step) / 2**64
            bptt = max(MIN_ROWS, round(bptt * BUCKETS[int(uniform * len(BUCKETS))]))
        return min(bptt, self.columns.length - self.state.row)

    def _losses(self, rows: int, precision: Precision) -> tuple[Tensor, Tensor, State]:
        """Return the log-loss of the next rows, the penalty of regularizers, and the recurrent state."""
        window = self.columns.window(self.state.row, self.state.row + rows)
        masks = DropoutMasks(self.config.seed, self.state.step, self.device)
        sampler = self.sampler if self.is_sampling() else None
        return chunk_losses(self.model, window, self.carried, masks, sampler, precision)

    def is_sampling(self) -> bool:
        """Return True while the softmax is sampled."""
        return self.done() < self.sampled_share

    def _is_averaging(self) -> bool:
        """Return True if weights are averaged: ema near the end, nt-asgd after validation stops improving."""
        if self.average.updates:
            return True
        if self.config.averaging == "ema":
            return self.done() >= 1 - self.config.average_share
        if self.config.averaging != "nt-asgd" or len(self.state.valid_losses) <= NON_MONOTONE + 1:
            return False
        *before, last = self.state.valid_losses
        return last > min(before[:-NON_MONOTONE])

    def _validation_due(self) -> bool:
        """Return True if the interval is over; a time budget limits the share of validations."""
        interval = self.config.validate_every
        if self.config.time_budget and self.state.valid_seconds:
            interval = max(interval, self.state.valid_seconds / (MAX_VALID_SHARE * self.config.time_budget))
        return self.state.valid_done + interval <= self.done() < 1

    def validate(self) -> None:
        """Evaluate the weights, or their mean, on the validation text, and keep the best."""
        self.pause()  # also waits for the device
        started = self.clock()
        averaged = self.average.updates > 0
        with restored(self.average.parameters, self.average.values) if averaged else nullcontext():
            stream = Stream(self.valid)
            loss = mean_loss(self.model, stream, VALID_COLUMNS, self.precision, self.max_valid_tokens)
            losses = self.state.valid_losses
            if not losses or not math.isfinite(loss):  # later a finite loss does no harm to the best weights
                check_not_diverged(self, loss, self.state.step)
            losses.append(loss)
            if loss <= min(losses):
                self.state.best = len(losses) - 1
                self.best = {name: each.detach().clone() for name, each in self.model.named_parameters()}
            elif self.config.schedule == "plateau":
                self.state.rate_scale *= PLATEAU_FACTOR
        self.state.valid_done = self.done()
        self.state.valid_seconds = self.clock() - started
        place = {"step": self.state.step, "epoch": self.state.epoch, "tokens": self.state.tokens}
        figures = {"valid_loss": loss, "valid_perplexity": perplexity_of(loss), "averaged": averaged}
        self.metrics.append(place | figures)

    def _training_loss(self) -> float:
        """Return the mean loss since the last line of metrics; raise RunError if it has diverged."""
        loss = float(self.loss_sum) / max(1, self.state.loss_steps)
        check_not_diverged(self, loss, self.state.step)
        return loss

    def _log(self) -> None:
        """Add a line of metrics, and start a new mean of the loss."""
        loss, state = self._training_loss(), self.state
        softmax = "sampled" if self.is_sampling() else "full"
        place = {"step": state.step, "epoch": state.epoch, "tokens": state.tokens}
        figures = {"loss": loss, "perplexity": perplexity_of(loss), "learning_rate": self.rate()}
        self.metrics.append(place | figures | {"softmax": softmax})
        self.loss_sum.zero_()
        state.loss_steps = 0

    def save_state(self, folder: artifact.Folder, meta: artifact.Meta) -> None:
        """Write a checkpoint."""
        stored = self.describe() | meta
        training = training_tensors(self)
        Checkpoint(stored, self.data.vocab, self.best, self.metrics, training).fill(folder)

    def save_result(self, folder: artifact.Folder) -> None:
        """Write the best model and its card."""
        meta, vocab = self.describe(), self.data.vocab
        card = model_card(meta, vocab, self.metrics)
        Checkpoint(meta, vocab, self.best, self.metrics, card=card).fill(folder)

    def describe(self) -> artifact.Meta:
        """Return meta.json of the model."""
        data, valid = self.data, self.valid
        return {
            "config": asdict(self.config),
            "text_config": asdict(data.config),
            "vocab_digest": data.vocab.digest,
            "corpus": data.meta.get("corpus"),
            "data_digest": data.digest,
            "num_entries": len(data.vocab),
            "num_parameters": sum(weight.numel() for weight in self.parameters),
            "train_tokens": data.num_tokens + data.num_sentences,
            "unk_share": int(data.counts[data.vocab.num_words]) / data.num_tokens,
            "valid_digest": valid.digest,
            "valid_tokens_read": min(self.max_valid_tokens, len(Stream(valid))),
            "valid_tokens": valid.num_tokens + valid.num_sentences,
            "position": asdict(self.state),
            "precision": self.precision,
            "device": str(self.device),
            "torch_version": torch.__version__,
            "facts": self.probe_results,
            "source": self.provenance,
        }
