"""Locks on output paths, and temporary directories that are stale once nobody holds the lock.

    .nlpseq-lock-<digest of NAME>     an empty file; the lock on it ends with the process
    .nlpseq-tmp-<digest of NAME>/     holds NAME until the commit; only the holder of the lock writes here

README.md explains the rules.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from nlpseq.errors import ConfigError

__all__ = ["PREFIX", "REPLACED", "path_lock", "remove_stale_temporaries", "temporary"]

PREFIX = ".nlpseq-"
REPLACED = ".nlpseq-old"  # in a temporary directory: the old result, while the new one gets its name

_LOCK, _TEMPORARY = f"{PREFIX}lock-", f"{PREFIX}tmp-"
_HIDDEN = re.compile(f"(?:{_LOCK}|{_TEMPORARY})([0-9a-f]{{16}})(?:-.*)?")
_BUSY = "is being written by another process. Wait until it has ended, or use -o to choose another path."


@contextmanager
def path_lock(path: Path, *, wait_s: float = 0.5) -> Iterator[None]:
    """Lock an output path for this thread; ConfigError if another process or thread holds the lock."""
    target = path.resolve()
    digest = _digest(target)
    with ExitStack() as stack:
        with suppress(OSError):  # because the file system has no locks, or the folder cannot be written
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(_locked(target.parent, digest, wait_s))
            except TimeoutError:
                raise ConfigError(f"{path}: {_BUSY}") from None
        remove_stale_temporaries(target)  # of checkpoints, if this is the folder of a run
        yield


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """Lock a path and yield the same name in a temporary directory, removed at the end."""
    path = path.resolve()
    with path_lock(path):
        directory, process = path.with_name(_TEMPORARY + _digest(path)), os.getpid()
        try:
            directory.mkdir()
        except FileExistsError:  # of another user, or of a process on a file system without locks
            directory = Path(mkdtemp(prefix=f"{directory.name}-", dir=path.parent))
        try:
            yield directory / path.name
        finally:
            if os.getpid() == process:  # because a forked child does not own the directory
                _recover(directory)


def remove_stale_temporaries(folder: Path) -> None:
    """Remove the temporary directories and locks of dead processes from a folder."""
    folder = folder.resolve()
    with suppress(OSError):
        found = {match[1] for entry in os.scandir(folder) if (match := _HIDDEN.fullmatch(entry.name))}
        for digest in found:
            with suppress(OSError), _locked(folder, digest, wait_s=0):
                pass


@contextmanager
def _locked(folder: Path, digest: str, wait_s: float) -> Iterator[None]:
    """Hold a lock; TimeoutError if another process holds it, OSError if the file system has no locks."""
    from filelock import FileLock

    lock = FileLock(folder / f"{_LOCK}{digest}", mode=0o666, is_singleton=True, fallback_to_soft=False)
    lock.acquire(timeout=wait_s)
    is_outermost = lock.lock_counter == 1
    try:
        if is_outermost:
            for directory in folder.glob(f"{_TEMPORARY}{digest}*"):
                _recover(directory)
        yield
    finally:
        if is_outermost and lock.is_locked:  # a forked child holds no lock
            with suppress(OSError):  # safe because filelock, having locked a file without a name, tries again
                Path(lock.lock_file).unlink()
        lock.release()


def _recover(directory: Path) -> None:
    """Remove a stale temporary directory, and complete the overwrite that a kill cut short."""
    with suppress(OSError):
        if directory.is_symlink() or (hasattr(os, "getuid") and directory.lstat().st_uid != os.getuid()):
            return  # because nlpseq makes no links, and the files of another user are not ours to remove
        for new in directory.iterdir() if (directory / REPLACED).exists() else ():
            path = directory.with_name(new.name)
            if new.name != REPLACED:
                new.rename(path.with_name(f"{path.name}-new") if path.exists() else path)
        _remove(directory)


def _remove(directory: Path) -> None:
    try:
        shutil.rmtree(directory, ignore_errors=True)
    finally:  # again, because Ctrl-C may interrupt the first removal
        shutil.rmtree(directory, ignore_errors=True)


def _digest(path: Path) -> str:
    return sha256(os.fsencode(path.name)).hexdigest()[:16]
