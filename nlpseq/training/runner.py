"""The training loop of word2vec, GloVe and the language model.

    until training is over:   step; report; save a checkpoint or stop if due

A stage implements Trainer; `run` stores checkpoints and the result.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from nlpseq.errors import RunError
from nlpseq.storage import artifact
from nlpseq.training.checkpoint import CheckpointConfig, Checkpointer, checkpoint_meta, has_checkpoint
from nlpseq.training.progress import ProgressCallback, TrainProgress
from nlpseq.training.state import TrainState

__all__ = ["DIVERGENCE_FACTOR", "Trainer", "check_not_diverged", "run"]

DIVERGENCE_FACTOR = 10.0  # times the loss of a uniform prediction


class Trainer(Protocol):
    """A training stage, step by step."""

    command: str  # command-line name of the stage
    kind: tuple[str, int]  # format and version of the result
    advice: str  # sentence for a person whose run diverged

    @property
    def state(self) -> TrainState:
        """Counters to continue from, stored with every checkpoint."""

    @property
    def uniform_loss(self) -> float:
        """Loss of an untrained model, nats."""

    def running(self) -> AbstractContextManager[None]:
        """Hold threads and other resources of training; after an error end the threads."""

    def is_over(self) -> bool:
        """Return True if no step is left."""

    def step(self) -> TrainProgress | None:
        """Train a little; return new figures, if any."""

    def pause(self) -> TrainProgress | None:
        """Bring threads to rest, to store state and weights consistently."""

    def finish(self) -> None:
        """Do the work after the last step, such as a validation."""

    def save_state(self, folder: artifact.Folder, meta: artifact.Meta) -> None:
        """Write a checkpoint; meta: required fields of meta.json."""

    def save_result(self, folder: artifact.Folder) -> None:
        """Write the complete result."""


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
    checkpointer = Checkpointer(config, lambda path: _save_checkpoint(trainer, path), exists=is_resumed)
    started = clock() - trainer.state.seconds
    try:
        with trainer.running():
            while not trainer.is_over():
                _report(trainer, trainer.step(), progress)
                trainer.state.seconds = clock() - started
                stop = checkpointer.should_stop()
                if stop or checkpointer.is_due():
                    _report(trainer, trainer.pause(), progress)
                    trainer.state.seconds = clock() - started
                    if trainer.is_over():
                        break
                    checkpointer.save()
                if stop:
                    return False
            trainer.finish()
            trainer.state.seconds = clock() - started
    except RunError as error:
        if hint := checkpointer.hint():
            raise RunError(f"{error} {hint}") from error
        raise
    if config is not None:
        # a checkpoint there is of this run, which holds the lock
        force = config.force or is_resumed or has_checkpoint(config.path)
        with artifact.create(config.path, *trainer.kind, force=force) as folder:
            trainer.save_result(folder)
    return True


def check_not_diverged(trainer: Trainer, loss: float, step: int) -> None:
    """Raise RunError if a loss is not finite, or far above the loss of a uniform prediction."""
    if not loss < DIVERGENCE_FACTOR * trainer.uniform_loss:  # NaN included
        raise RunError(
            f"training diverged: the loss became {loss:.4g} by step {step}, in epoch "
            f"{trainer.state.epoch + 1}. {trainer.advice}"
        )


def _report(trainer: Trainer, figures: TrainProgress | None, progress: ProgressCallback | None) -> None:
    if figures is None:
        return
    check_not_diverged(trainer, figures.loss, figures.step)
    if progress is not None:
        progress(figures)


def _save_checkpoint(trainer: Trainer, path: Path) -> None:
    with artifact.create(path, *trainer.kind, force=True) as folder:
        trainer.save_state(folder, checkpoint_meta(trainer.command, trainer.state))
