"""A place that one process at a time writes: a lock beside it, which ends with the process."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from nlpseq.errors import ConfigError

try:
    import fcntl
except ImportError:  # not on every platform, and then nothing is claimed
    fcntl = None  # type: ignore[assignment]

LOCK = ".nlpseq-lock-"
TRIES, PAUSE = 10, 0.05  # how often a lock is asked for, and the seconds between

_held = set[int]()  # handles of this process


@contextmanager
def path_lock(path: Path) -> Iterator[None]:
    """Have what is at `path`, or will be, for this block alone; ConfigError where another one has it.

    Where the file system has no locks nothing is claimed.
    """
    place = path.resolve()
    lock = place.with_name(LOCK + sha256(os.fsencode(place.name)).hexdigest()[:16])
    handle = None
    try:
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            handle = _taken_soon(lock)
            if handle is None:
                raise ConfigError(
                    f"{path} is being written by another process. "
                    "Wait until that has ended, or choose another place with -o."
                )
        yield
    finally:
        if handle is not None:
            _give_up(lock, handle)


def remove_stale_locks(folder: Path, names: list[str]) -> None:
    """Clear a folder, which has these names in it, of locks that processes left which were killed."""
    for name in names:
        with suppress(OSError):  # it may not be ours
            if name.startswith(LOCK) and (handle := _taken(folder / name)) is not None:
                _give_up(folder / name, handle)


def _taken_soon(lock: Path) -> int | None:
    """As _taken, but for a moment in which another process may only look whether anybody has it."""
    for _ in range(TRIES):
        if (handle := _taken(lock)) is not None:
            return handle
        time.sleep(PAUSE)
    return None


def _taken(lock: Path) -> int | None:
    """The lock, open and ours; None where another has it. Raises OSError where there can be no locks."""
    if fcntl is None:
        raise OSError("there are no locks on this platform")
    handle = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            return None
        raise
    if not _is_at(lock, handle):  # the one who had it has removed it, so that another is the lock now
        os.close(handle)
        return _taken(lock)
    _held.add(handle)
    return handle


def _is_at(path: Path, handle: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _give_up(lock: Path, handle: int) -> None:
    with suppress(OSError):
        lock.unlink()
    _held.discard(handle)
    os.close(handle)


def _leave_to_parent() -> None:
    """A copy of this process may outlive it, and would hold what it has claimed."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
