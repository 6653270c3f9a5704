"""Checkpoints of a run: where they are, when to save one, and how to start over or continue.

    corpus.w2v/              the result, after training is complete
    corpus.w2v/checkpoint/   the last checkpoint, until then; readable as vectors or as a language model

A folder that holds nothing but a checkpoint counts as an empty place for a result.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.storage.locks import path_lock

__all__ = ["VERSION", "CheckpointConfig", "check_unfinished", "has_checkpoint"]
__all__ += ["lock_new_run", "lock_output", "lock_resumed_run", "require_checkpoint"]

VERSION = 3  # 1 stored an unfinished run in the place of its result, 2 had another TrainState of word2vec


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Storage of a run on disk.

    path: folder of the complete result; checkpoints go to path/checkpoint. every: seconds between
    checkpoints. should_stop: called after every step; True saves a checkpoint and ends the run. force:
    overwrite an existing result. provenance: where the corpus is, for `resume`; by default the folder of the
    encoded corpus.
    """

    path: Path
    every: float = 60.0  # seconds
    should_stop: Callable[[], bool] = lambda: False
    force: bool = False
    provenance: artifact.Meta = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Accept a string as the path."""
        object.__setattr__(self, "path", Path(self.path))


def has_checkpoint(path: Path) -> bool:
    """Return True if the folder of a run holds a checkpoint."""
    return artifact.is_checkpoint(path / artifact.CHECKPOINT)


def check_unfinished(path: Path, meta: artifact.Meta) -> str:
    """Return the command of a checkpoint; raise ArtifactError if meta.json is not of this version."""
    stamp: Any = meta.get("checkpoint")
    if not isinstance(stamp, dict) or stamp.get("version") != VERSION or meta.get("complete") is not False:
        raise ArtifactError(
            f"{path}: unfinished run of another version of nlpseq, which this version cannot continue. "
            "Train again with --force, or continue it with the version that started it."
        )
    return str(stamp.get("command"))


@contextmanager
def lock_output(path: Path, *, force: bool) -> Iterator[None]:
    """Lock the path of a new result, and check it.

    Warns of an unfinished run there if force is on. Raises ConfigError if the path is taken, ResourceError if
    nothing can be written there.
    """
    with path_lock(path):  # clears stale files, which may hide a run
        if has_checkpoint(path):
            if not force:
                command = check_unfinished(path, artifact.peek_meta(path / artifact.CHECKPOINT))
                raise ConfigError(
                    f"{path}: already exists and holds an unfinished run. Continue it with nlpseq {command} "
                    f"{path} --resume, use --force to overwrite it, or choose another path with -o."
                )
            warnings.warn(
                f"{path}: holds an unfinished run, which the first checkpoint or the result overwrites. "
                "Stop at once and move the folder to keep it.",
                stacklevel=4,
            )
        artifact.check_writable(path, force=force)
        yield


def lock_new_run(config: CheckpointConfig | None) -> AbstractContextManager[None]:
    """Lock the output path of a new run, and check it; without a config do nothing."""
    return lock_output(config.path, force=config.force) if config else nullcontext()


@contextmanager
def lock_resumed_run(config: CheckpointConfig) -> Iterator[None]:
    """Lock the output path of a run that continues; raise the errors of require_checkpoint."""
    with path_lock(config.path):
        artifact.check_writable(config.path, force=True)
        require_checkpoint(config.path)
        yield


def require_checkpoint(path: Path) -> None:
    """Raise an error with the reason if the folder of a run holds no checkpoint.

    DataError: there is no folder. ArtifactError: an unfinished run of an older version. ConfigError: a
    complete run, or a copy of a checkpoint.
    """
    if has_checkpoint(path):
        return
    if not path.exists():
        raise DataError(
            f"{path}: not found, so there is no run to continue. Leave out --resume to start one."
        )
    meta = artifact.peek_meta(path)
    if meta.get("complete") is False:
        check_unfinished(path, meta)
        raise ConfigError(
            f"{path}: is a checkpoint without its run. "
            f"Move it to RUN/{artifact.CHECKPOINT}, and continue RUN."
        )
    raise ConfigError(
        f"{path}: training is complete. Use the result as it is, or train again from the text with --force."
    )
