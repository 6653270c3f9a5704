"""The training loop of word2vec, GloVe and the language model.

    until training is over:   step; report; save a checkpoint or stop if due

A stage implements Trainer; `run` counts the seconds, and stores checkpoints and the result.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from typing import Protocol

from nlpseq.errors import RunError
from nlpseq.storage import artifact
from nlpseq.training.checkpoint import VERSION, CheckpointConfig, has_checkpoint
from nlpseq.training.progress import ProgressCallback, TrainProgress
from nlpseq.training.state import TrainState

__all__ = ["DIVERGENCE_FACTOR", "Checkpointer", "Trainer", "check_not_diverged", "run"]

DIVERGENCE_FACTOR = 10.0  # times the loss of a uniform prediction


class Trainer(Protocol):
    """A training stage, step by step.

    A method raises RunError if training has diverged: see check_not_diverged.
    """

    command: str  # command-line name of the stage
    kind: tuple[str, int]  # format and version of the result
    advice: str  # sentence for a person whose run diverged
    uniform_loss: float  # loss of an untrained model, nats
    metrics: list[artifact.Meta]  # lines of metrics.jsonl; `run` adds the seconds to each new line

    @property
    def state(self) -> TrainState:
        """Counters to continue from, stored with every checkpoint."""

    def running(self) -> AbstractContextManager[None]:
        """Prepare threads and other resources, hold them during training, and end them after an error.

        The seconds of the run do not include the preparation.
        """

    def is_over(self) -> bool:
        """Return True if no step is left."""

    def step(self) -> TrainProgress | None:
        """Train a little; return new figures, if any.

        A stop and a checkpoint wait for the end of a step, so a step takes a second at most.
        """

    def pause(self) -> TrainProgress | None:
        """Bring threads to rest, to store state and weights consistently.

        Called before each checkpoint. Returns figures like `step`, because threads may have trained on.
        """

    def finish(self) -> None:
        """Do the work after the last step, such as a validation."""

    def save_state(self, folder: artifact.Folder, meta: artifact.Meta) -> None:
        """Write a checkpoint, called after `pause`.

        meta: fields that meta.json must have, so that training.resume recognizes the run.
        """

    def save_result(self, folder: artifact.Folder) -> None:
        """Write the complete result, called after `finish`."""


def run(
    trainer: Trainer,
    config: CheckpointConfig | None = None,
    progress: ProgressCallback | None = None,
    *,
    is_resumed: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Train to the end and store the result, or to a stop and store a checkpoint.

    Returns whether training is complete. Raises RunError if the loss is not finite, or DIVERGENCE_FACTOR
    times trainer.uniform_loss.
    """
    checkpointer = Checkpointer(trainer, config, has_saved=is_resumed) if config is not None else None
    try:
        with trainer.running():
            started = clock() - trainer.state.seconds
            while not trainer.is_over():
                _record(trainer, trainer.step(), progress, clock() - started)
                if checkpointer is None:
                    continue
                stop = checkpointer.should_stop()
                if stop or time.monotonic() - checkpointer.saved_at >= checkpointer.config.every:
                    _record(trainer, trainer.pause(), progress, clock() - started)
                    if trainer.is_over():
                        break
                    checkpointer.save()
                if stop:
                    return False
            trainer.finish()
            _record(trainer, None, progress, clock() - started)
    except RunError as error:
        if checkpointer is not None and checkpointer.has_saved:
            checkpoint = checkpointer.config.path / artifact.CHECKPOINT
            raise RunError(f"{error} The last checkpoint is in {checkpoint}.") from error
        raise
    if config is not None:
        # a checkpoint there is of this run, which holds the lock
        force = config.force or is_resumed or has_checkpoint(config.path)
        with artifact.create(config.path, *trainer.kind, force=force) as folder:
            trainer.save_result(folder)
    return True


def _record(
    trainer: Trainer, figures: TrainProgress | None, progress: ProgressCallback | None, seconds: float
) -> None:
    """Store the seconds of training so far, also in new lines of metrics; check and report new figures."""
    trainer.state.seconds = seconds
    for line in reversed(trainer.metrics):
        if "seconds" in line:
            break
        line["seconds"] = round(seconds, 3)
    if figures is not None:
        check_not_diverged(trainer, figures.loss, figures.step)
        if progress is not None:
            progress(figures)


def check_not_diverged(trainer: Trainer, loss: float, step: int) -> None:
    """Raise RunError if a loss is not finite, or far above the loss of a uniform prediction."""
    if not loss < DIVERGENCE_FACTOR * trainer.uniform_loss:  # NaN included
        raise RunError(
            f"training diverged: the loss became {loss:.4g} by step {step}, in epoch "
            f"{trainer.state.epoch + 1}. {trainer.advice}"
        )


@dataclass
class Checkpointer:
    """The checkpoints of a run that is stored on disk."""

    trainer: Trainer
    config: CheckpointConfig
    has_saved: bool  # whether this run has a checkpoint already
    saved_at: float = field(default_factory=time.monotonic)

    def should_stop(self) -> bool:
        """Return True if a stop is requested."""
        return self.config.should_stop()

    def save(self) -> None:
        """Write a checkpoint in place of the last."""
        path, trainer = self.config.path, self.trainer
        stamp = {"version": VERSION, "command": trainer.command}
        meta = {"complete": False, "position": asdict(trainer.state), "checkpoint": stamp}
        existed = path.exists()
        try:
            with artifact.create(path / artifact.CHECKPOINT, *trainer.kind, force=True) as folder:
                trainer.save_state(folder, meta)
        except BaseException:
            if not existed:
                with suppress(OSError):  # because the folder may hold the checkpoint already
                    path.rmdir()
            raise
        self.saved_at, self.has_saved = time.monotonic(), True
