"""Locks on output paths, and temporary directories that are stale once nobody holds the lock.

    .nlpseq-lock-<digest of NAME>                     an empty file; the lock on it ends with the process
    .nlpseq-tmp-<digest of NAME>-<machine>-<random>/  holds NAME until the commit
    .nlpseq-trash-<digest>-<machine>-<random>/        was such a directory; any process removes it

README.md explains the rules.
"""

import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from nlpseq.errors import ConfigError

__all__ = ["PREFIX", "REPLACED", "path_lock", "remove_stale_temporaries", "temporary"]

PREFIX = ".nlpseq-"
REPLACED = ".nlpseq-old"  # in a temporary directory: the old result, while the new one gets its name

_LOCK, _TEMPORARY, _TRASH = f"{PREFIX}lock-", f"{PREFIX}tmp-", f"{PREFIX}trash-"
_HIDDEN = re.compile(f"(?:{_LOCK}|{_TEMPORARY})([0-9a-f]{{16}})(?:-.*)?")
_NO_LOCK = "unlocked"  # instead of the machine, because no later lock proves that the directory is stale
_STALE_AFTER_S = 7 * 24 * 3600  # without a change, if the lock proves nothing
_BUSY = "is being written by another process. Wait until it has ended, or use -o to choose another path."


@contextmanager
def path_lock(path: Path, *, wait_s: float = 0.5) -> Iterator[str]:
    """Lock an output path for this thread; ConfigError if another process or thread holds the lock.

    Yields how the names of temporary directories begin.
    """
    target, machine = path.resolve(), _NO_LOCK
    digest = sha256(os.fsencode(target.name)).hexdigest()[:16]
    with ExitStack() as stack:
        with suppress(OSError):  # because the file system has no locks, or the folder cannot be written
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(_locked(target.parent, digest, wait_s))
            except TimeoutError:
                raise ConfigError(f"{path}: {_BUSY}") from None
            machine = "-".join(_machine())
        _empty_trash(target.parent)
        remove_stale_temporaries(target)  # of checkpoints, if this is the folder of a run
        yield f"{_TEMPORARY}{digest}-{machine}-"


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """Lock a path and yield the same name in a temporary directory, removed at the end."""
    path = path.resolve()
    with path_lock(path) as prefix:
        directory, process = Path(mkdtemp(prefix=prefix, dir=path.parent)), os.getpid()
        try:
            yield directory / path.name
        finally:
            if os.getpid() == process:  # because a forked child does not own the directory
                _retire(directory)
                _empty_trash(path.parent)


def remove_stale_temporaries(folder: Path) -> None:
    """Remove the temporary directories and locks of dead processes from a folder."""
    folder = folder.resolve()
    with suppress(OSError):
        hidden = {entry: match[1] for entry in folder.iterdir() if (match := _HIDDEN.fullmatch(entry.name))}
        unsure = {digest for entry, digest in hidden.items() if not _is_removable(entry)}
        for digest in {*hidden.values()} - unsure:
            with suppress(OSError), _locked(folder, digest, wait_s=0):
                pass
        _empty_trash(folder)


@contextmanager
def _locked(folder: Path, digest: str, wait_s: float) -> Iterator[None]:
    """Hold a lock; TimeoutError if another process holds it, OSError if the file system has no locks."""
    from filelock import FileLock

    file = folder / f"{_LOCK}{digest}"
    was_there = file.exists()
    lock = FileLock(file, mode=0o666, is_singleton=True, fallback_to_soft=False)
    try:
        lock.acquire(timeout=wait_s)
    except OSError as error:
        if not was_there and not isinstance(error, TimeoutError):
            file.unlink(missing_ok=True)
        raise
    is_outermost = lock.lock_counter == 1
    try:
        if is_outermost:
            for directory in filter(_is_removable, folder.glob(f"{_TEMPORARY}{digest}*")):
                _retire(directory)
        yield
    finally:
        if is_outermost and lock.is_locked:  # a forked child holds no lock
            with suppress(OSError):  # safe because filelock, having locked a file without a name, tries again
                file.unlink()
        lock.release()


def _is_removable(hidden: Path) -> bool:
    """Return True for a lock, and for a temporary directory that the holder of the lock may remove.

    Some file systems lock on each machine alone, so the directories of other machines stay for a week.
    """
    if hidden.name.startswith(_LOCK):
        return True
    with suppress(OSError):
        if hidden.is_symlink() or (hasattr(os, "getuid") and hidden.lstat().st_uid != os.getuid()):
            return False  # because nlpseq makes no links, and never removes files of another user
        is_from_here = any(f"-{name}-" in hidden.name for name in _machine())
        if is_from_here or (hidden / REPLACED).exists():
            return True
        changed = max(entry.lstat().st_mtime for entry in (hidden, *hidden.rglob("*")))
        return changed < time.time() - _STALE_AFTER_S
    return False


def _retire(directory: Path) -> None:
    """Complete the overwrite that a kill cut short, and move a temporary directory to the trash."""
    with suppress(OSError):
        for new in directory.iterdir() if (directory / REPLACED).exists() else ():
            path = directory.with_name(new.name)
            if new.name != REPLACED:
                new.rename(path.with_name(f"{path.name}-new") if path.exists() else path)
        if any(directory.iterdir()):
            directory.rename(directory.with_name(directory.name.replace(_TEMPORARY, _TRASH, 1)))
        else:
            directory.rmdir()


def _empty_trash(folder: Path) -> None:
    """Remove the directories in the trash, without a lock, so that no writer waits."""
    for directory in folder.glob(f"{_TRASH}{'[0-9a-f]' * 16}*"):
        try:
            shutil.rmtree(directory, ignore_errors=True)
        finally:  # again, because Ctrl-C may interrupt the first removal
            shutil.rmtree(directory, ignore_errors=True)


@cache
def _machine() -> list[str]:
    """Return digests of the host name and, on Linux, of this start of the kernel, which containers share."""
    names = [platform.node().encode()]
    with suppress(OSError):
        names.append(Path("/proc/sys/kernel/random/boot_id").read_bytes())
    return [sha256(name).hexdigest()[:16] for name in names]
