"""train_lm: from an encoded corpus to a language model, by truncated backpropagation through time.

    for every chunk of bptt rows:   read it from the state the last one ended with, which is a constant now;
                                    backpropagate its loss; clip the gradient; step; take the mean

Letters: T time steps, B columns.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from nlpseq.config import LMConfig
from nlpseq.core.counter_rng import Stream as RandomStream, random_bits
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import RunError
from nlpseq.lm.averaging import Average
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.device import DTYPES, Precision, PrecisionTrial, autocast, choose_precision, open_device
from nlpseq.lm.dropout import DropoutMasks, resolve_dropout
from nlpseq.lm.evaluate import mean_loss, perplexity_of
from nlpseq.lm.losses import NegativeSampler, activation_penalty, linear_cross_entropy, sampled_cross_entropy
from nlpseq.lm.model import RecurrentLM, State, begin_at_frequencies, detach
from nlpseq.lm.optim import clip, make_optimizer, rate_factor, set_rate
from nlpseq.lm.state import TrainProgress, TrainState
from nlpseq.storage import artifact

LOG_EVERY = 100  # steps between lines of metrics
TELL_EVERY = 10  # steps between reports and looks at the loss
VALID_COLUMNS = 16
VALID_TOKENS, VALID_LOGITS = 200_000, 2_000_000_000  # the most that validation between steps looks at,
LEAST_VALID_TOKENS = 10_000  # but so many tokens, however large the vocabulary
NON_MONOTONE = 5  # validations, as in AWD-LSTM
VALID_SHARE = 0.05  # of a time budget, at most, for validations before the last
PLATEAU_FACTOR = 0.25
BUCKETS = (0.6, 0.8, 1.0, 1.0, 1.2)  # of bptt; few, because memory is kept ready for each shape
MIN_ROWS = 5  # of a chunk of a random length
LARGE_VOCAB = 3000  # entries from which on a sample is faster than all of them
FIRST_RESERVE = 0.03  # of a time budget, for the last validation, until one was timed
DIVERGENCE_FACTOR = 10.0  # times the loss of knowing nothing, where every entry is as likely as every other


Report = Callable[[TrainProgress], None]


class Trainer:
    """A run: train() takes it to its end, or to where it is asked to stop."""

    def __init__(self, data: TokenDataset, valid: TokenDataset, config: LMConfig) -> None:
        self.device = open_device(config)
        config = replace(config, device=str(self.device))
        self.config, self.data, self.valid = config, data, valid
        self.model = RecurrentLM(config, len(data.vocab)).to(self.device)
        counts_V = torch.from_numpy(data.vocab.counts).to(self.device)
        begin_at_frequencies(self.model, counts_V)
        self.parameters = list(self.model.parameters())
        self.optimizer = make_optimizer(self.parameters, config)
        self.average = Average(self.parameters, config.average_decay if config.averaging == "ema" else 1.0)
        self.sampler = NegativeSampler(counts_V, config.samples)
        self.precision: Precision = "fp32"  # until probe()
        self.position = TrainState()
        self.ticked = time.perf_counter()
        self.metrics: list[artifact.Meta] = []
        self.best = self.weights()  # on validation
        self.loss_sum = torch.zeros((), device=self.device)  # since the last line of metrics
        self.stream = Stream(data)
        self.start_epoch()

    def start_epoch(self) -> None:
        """Columns cut at another place each epoch, and nothing read yet."""
        epoch = self.position.epoch
        rotation = random_bits(self.config.seed, RandomStream.ORDER, epoch, 0) % len(self.stream) if epoch else 0
        self.columns = Columns(self.stream, self.config.batch_size, rotation)
        self.state = self.model.initial_state(self.config.batch_size)

    def probe(self) -> artifact.Meta:
        """Try a chunk, and choose what config leaves open: precision, and rates by how much will be read."""
        rows, config = self._rows(), self.config
        choice = self.choose_precision(config.precision)
        if config.epochs is not None:
            passes = float(config.epochs)
        else:  # as many as there would be if nothing but forward and backward passes took time
            assert config.time_budget is not None
            passes = config.time_budget / choice.seconds * rows * config.batch_size / len(self.stream)
        self.config = self.model.config = resolve_dropout(config, passes)
        return {"precision_reason": choice.reason, "expected_passes": passes}

    def choose_precision(self, wanted: Literal["auto", "fp32", "bf16"]) -> PrecisionTrial:
        """The precision of training from now on, by a trial on the next chunk."""
        tokens_TB, targets_TB = self._chunk(self._rows())

        def loss_in(precision: Precision) -> Tensor:
            return self._losses(tokens_TB, targets_TB, precision)[0]

        choice = choose_precision(wanted, loss_in, self.device)
        self.optimizer.zero_grad()
        self.precision = choice.precision
        return choice

    def train(self, between: Callable[[], bool] | None = None, report: Report | None = None) -> bool:
        """Whether training came to its end; `between` is called after each step and may stop it there."""
        self.ticked = time.perf_counter()
        while not self.is_over():
            self.step()
            if self.position.step % TELL_EVERY == 0:
                self._tell(report)
            if self.position.step % LOG_EVERY == 0:
                self._log()
            if self._validation_due():
                self.validate()
            self._tick()
            if between is not None and between():
                return False
            self._tick()
        self._tell(report)
        if self.position.loss_steps:
            self._log()
        self.validate()
        return True

    def _tick(self) -> None:
        """Count the time since it was last counted."""
        now = time.perf_counter()
        self.position.seconds += now - self.ticked
        self.ticked = now

    def done(self) -> float:
        """The share of the training that is behind us."""
        position, budget = self.position, self.config.time_budget
        if self.config.epochs is not None:
            return (position.epoch + position.row / self.columns.length) / self.config.epochs
        assert budget is not None
        reserve = FIRST_RESERVE * budget if position.valid_seconds is None else 1.1 * position.valid_seconds
        return position.seconds / max(budget - reserve, 1e-9)

    def is_over(self) -> bool:
        losses, patience = self.position.valid_losses, self.config.patience
        return self.done() >= 1 or (patience is not None and len(losses) - 1 - self.position.best >= patience)

    def step(self) -> None:
        """One chunk: forward, back, and a step of the optimizer."""
        position, config = self.position, self.config
        rows = self._rows()
        loss, penalty, state = self._losses(*self._chunk(rows), self.precision)
        self.optimizer.zero_grad()
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        clip(self.parameters, config)
        set_rate(self.optimizer, self.rate() * rows / config.bptt)
        self.optimizer.step()
        self.state = detach(state)
        if self._is_averaging():
            self.average.update()
        self.loss_sum += loss.detach()
        position.loss_steps += 1
        position.step += 1
        position.tokens += rows * config.batch_size
        position.row += rows
        if position.row >= self.columns.length:
            position.epoch, position.row = position.epoch + 1, 0
            self.start_epoch()

    def rate(self) -> float:
        """The present learning rate."""
        factor = rate_factor(self.config, min(1.0, self.done()))
        return self.config.learning_rate * self.position.rate_scale * factor

    def _rows(self) -> int:
        """Length of the next chunk: bptt, or where lengths are bucketed one of a few near it."""
        bptt = self.config.bptt
        if self.config.lengths == "bucketed":
            uniform = random_bits(self.config.seed, RandomStream.LENGTH, 0, self.position.step) / 2**64
            bptt = max(MIN_ROWS, round(bptt * BUCKETS[int(uniform * len(BUCKETS))]))
        return min(bptt, self.columns.length - self.position.row)

    def _chunk(self, rows: int) -> tuple[Tensor, Tensor]:
        row = self.position.row
        tokens_TB, targets_TB = (torch.from_numpy(each) for each in self.columns.window(row, row + rows))
        return tokens_TB.to(self.device), targets_TB.to(self.device)

    def _losses(
        self, tokens_TB: Tensor, targets_TB: Tensor, precision: Precision
    ) -> tuple[Tensor, Tensor, State]:
        """Log-loss of the chunk, what regularisers add to it, and the state behind it."""
        noise = DropoutMasks(self.config.seed, self.position.step, self.device)
        with autocast(self.device, precision):
            output = self.model(tokens_TB, self.state, noise)
            features_ND, targets_N = output.features_TBD.flatten(0, 1), targets_TB.flatten()
            layer = self.model.softmax_weight, self.model.output_bias, targets_N
            dtype = DTYPES[precision]
            if self._is_sampling():
                loss = sampled_cross_entropy(features_ND, *layer, self.sampler, noise.generator, dtype)
            else:
                loss = linear_cross_entropy(features_ND, *layer, dtype)
        return loss, activation_penalty(output, self.config), output.state

    def _is_sampling(self) -> bool:
        wanted = self.config.softmax == "sampled" or (
            self.config.softmax == "auto" and self.model.num_entries >= LARGE_VOCAB
        )
        return wanted and self.done() < self.config.sampled_share

    def _is_averaging(self) -> bool:
        """ema: over the last share of training; nt-asgd: once validation has stopped improving."""
        if self.average.updates:
            return True
        if self.config.averaging == "ema":
            return self.done() >= 1 - self.config.average_share
        if self.config.averaging != "nt-asgd" or len(self.position.valid_losses) <= NON_MONOTONE + 1:
            return False
        *before, last = self.position.valid_losses
        return last > min(before[:-NON_MONOTONE])

    def _validation_due(self) -> bool:
        """Every now and then, but of a time budget only a small part goes into it."""
        interval = self.config.validate_every
        if self.config.time_budget and self.position.valid_seconds:
            interval = max(interval, self.position.valid_seconds / (VALID_SHARE * self.config.time_budget))
        return self.position.valid_done + interval <= self.done() < 1

    def validate(self) -> None:
        """Judge the weights, or their mean, on the validation text, and keep them if they are the best."""
        self.check()  # which waits for the device
        started = time.perf_counter()
        with self.average.in_use() if self.average.updates else nullcontext():
            stream, most_tokens = Stream(self.valid), self.most_valid_tokens()
            loss = mean_loss(self.model, stream, VALID_COLUMNS, self.precision, most_tokens)
            losses = self.position.valid_losses
            is_good = math.isfinite(loss) if losses else self._has_hope(loss)  # later on the best are kept
            if not is_good:
                raise self._diverged(loss)
            losses.append(loss)
            if loss <= min(losses):
                self.position.best = len(losses) - 1
                self.best = self.weights()
            elif self.config.schedule == "plateau":
                self.position.rate_scale *= PLATEAU_FACTOR
        self.position.valid_done = self.done()
        self.position.valid_seconds = time.perf_counter() - started
        self._note(valid_loss=loss, valid_perplexity=perplexity_of(loss), averaged=self.average.updates > 0)

    def most_valid_tokens(self) -> int:
        """Of how long a validation text all is read."""
        return min(VALID_TOKENS, max(LEAST_VALID_TOKENS, VALID_LOGITS // self.model.num_entries))

    def weights(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.model.named_parameters()}

    def result(self) -> dict[str, Tensor]:
        """The weights that did best on validation, the present ones before the first."""
        return self.best if self.position.valid_losses else self.weights()

    def check(self) -> None:
        """RunError unless all weights are finite and the loss of the last steps leaves hope."""
        self._training_loss()
        if not all(weight.isfinite().all() for weight in self.parameters):
            raise self._diverged(math.nan)

    def _training_loss(self) -> float:
        """Of the steps since the last line of metrics; RunError unless it leaves hope."""
        loss = float(self.loss_sum) / max(1, self.position.loss_steps)
        if not self._has_hope(loss):
            raise self._diverged(loss)
        return loss

    def _has_hope(self, loss: float) -> bool:
        return loss < DIVERGENCE_FACTOR * math.log(self.model.num_entries)  # as NaN is not

    def _tell(self, report: Report | None) -> None:
        if not self.position.loss_steps:  # just logged
            return
        loss, losses = self._training_loss(), self.position.valid_losses
        if report:
            best = perplexity_of(min(losses)) if losses else None
            report(TrainProgress(min(1.0, self.done()), self.position.tokens, loss, self.rate(), best))

    def _log(self) -> None:
        """A line of metrics, and a new mean of the loss from here on."""
        loss = self._training_loss()
        softmax = "sampled" if self._is_sampling() else "full"
        self._note(loss=loss, perplexity=perplexity_of(loss), learning_rate=self.rate(), softmax=softmax)
        self.loss_sum.zero_()
        self.position.loss_steps = 0

    def _note(self, **figures: Any) -> None:
        self._tick()
        position = self.position
        place = {"step": position.step, "epoch": position.epoch, "tokens": position.tokens}
        self.metrics.append(place | {"seconds": round(position.seconds, 3)} | figures)

    def _diverged(self, loss: float) -> RunError:
        return RunError(
            f"the loss became {loss:.4g} by step {self.position.step}. "
            f"Train anew with a --learning-rate below {self.config.learning_rate:g} or a lower --clip-norm."
        )
