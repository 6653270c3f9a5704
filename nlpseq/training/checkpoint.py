"""A training run on disk: where its checkpoints go, and when it is saved or stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nlpseq.errors import RunError
from nlpseq.storage import artifact


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Where checkpoints go, how often, when to stop, and what else to store about the data."""

    path: Path
    result: Path | None = None  # where the complete result goes, if not to the same place
    every: float = 60.0  # seconds
    should_stop: Callable[[], bool] = lambda: False
    force: bool = False  # whether a new run may take the place of a result that is there
    facts: artifact.Meta = field(default_factory=dict)


class Checkpointer:
    """Has a run saved now and then, and when it is to stop; without a folder it never is.

    save: writes a checkpoint in the place of the last. has_one: whether there is one already.
    """

    def __init__(self, folder: CheckpointConfig | None, save: Callable[[], None], *, has_one: bool) -> None:
        self._folder, self._save, self.has_one = folder, save, has_one
        self._saved = time.monotonic()

    def is_due(self) -> bool:
        """Whether `between` would save."""
        return self._folder is not None and (self._folder.should_stop() or self._is_time())

    def between(self) -> bool:
        """Save if it is time to; whether the run is to stop here."""
        if self._folder is None:
            return False
        stop = self._folder.should_stop()
        if stop or self._is_time():
            self._save()
            self._saved, self.has_one = time.monotonic(), True
        return stop

    def _is_time(self) -> bool:
        return self._folder is not None and time.monotonic() - self._saved >= self._folder.every

    def with_checkpoint_hint(self, error: RunError) -> RunError:
        """The error of a run that cannot go on, with what there still is of it."""
        if self._folder is None or not self.has_one:
            return error
        return RunError(f"{error} {self._folder.path} is as it was at its last checkpoint.")
