"""Locks on output paths, and temporary directories that are stale once nobody holds the lock.

.nlpseq-lock-<digest of NAME>: an empty file, whose lock ends with the process. .nlpseq-tmp-<digest>-<random>/
holds NAME until the commit. .nlpseq-trash-...: was a temporary directory; any process removes it.
.nlpseq-unlocked-...: a temporary directory on a file system without locks, never stale. See README.md.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from nlpseq.errors import ConfigError

__all__ = ["PREFIX", "REPLACED", "path_lock", "remove_stale_temporaries", "temporary"]

PREFIX = ".nlpseq-"
REPLACED = ".nlpseq-old"  # in a temporary directory: the old result, while the new one gets its name

_LOCK, _TEMPORARY, _TRASH, _UNLOCKED = (f"{PREFIX}{kind}-" for kind in ("lock", "tmp", "trash", "unlocked"))
_HIDDEN = re.compile(f"(?:{_LOCK}|{_TEMPORARY})([0-9a-f]{{16}})(?:-.*)?")
_BUSY = "is being written by another process. Wait until it has ended, or use -o to choose another path."


@contextmanager
def path_lock(path: Path, *, wait_s: float = 0.5) -> Iterator[str]:
    """Lock an output path for this thread; ConfigError if another process or thread holds the lock.

    Yields the first part of the names of temporary directories.
    """
    target, kind = path.resolve(), _UNLOCKED
    digest = sha256(os.fsencode(target.name)).hexdigest()[:16]
    with ExitStack() as stack:
        for _ in range(2):  # after the lock, so that no writer waits; again, if a signal interrupts the first
            stack.callback(remove_stale_temporaries, target.parent)
        with suppress(OSError):  # because the file system has no locks, or the folder cannot be written
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(_locked(target.parent, digest, wait_s))
            except TimeoutError:
                raise ConfigError(f"{path}: {_BUSY}") from None
            kind = _TEMPORARY
        remove_stale_temporaries(target)  # of checkpoints, if this is the folder of a run
        yield f"{kind}{digest}-"


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
                _retire([directory])


def remove_stale_temporaries(folder: Path) -> None:
    """Remove the temporary directories and locks of dead processes from a folder."""
    folder = folder.resolve()
    with suppress(OSError), os.scandir(folder) as entries:
        found = {match[1] for entry in entries if (match := _HIDDEN.fullmatch(entry.name))}
        for digest in found:
            with suppress(OSError), _locked(folder, digest, wait_s=0):
                pass
        _empty_trash(folder)


@contextmanager
def _locked(folder: Path, digest: str, wait_s: float) -> Iterator[None]:
    """Hold a lock; TimeoutError if another process holds it, OSError if the file system has no locks."""
    from filelock import FileLock

    lock = FileLock(folder / f"{_LOCK}{digest}", mode=0o666, is_singleton=True, fallback_to_soft=False)
    if lock.lock_counter:  # held by an outer block of this thread
        yield
        return
    try:  # nested, because a signal between two callbacks of an ExitStack skips the second
        lock.acquire(timeout=wait_s)
        _retire(folder.glob(f"{_TEMPORARY}{digest}*"))
        yield
    finally:
        try:
            with suppress(OSError):
                if lock.is_locked:  # a forked child holds no lock
                    try:
                        _retire(folder.glob(f"{_TEMPORARY}{digest}*"))  # a signal may follow mkdtemp
                    finally:  # safe because filelock, having locked a file without a name, tries again
                        Path(lock.lock_file).unlink()
        finally:
            lock.release(force=True)


def _retire(directories: Iterable[Path]) -> None:
    """Complete overwrites that a kill cut short, and move temporary directories to the trash."""
    for directory in directories:
        with suppress(OSError):
            if directory.is_symlink() or (hasattr(os, "getuid") and directory.lstat().st_uid != os.getuid()):
                continue  # because nlpseq makes no links, and the files of others are not ours to remove
            old = directory / REPLACED
            for new in {*directory.iterdir()} - {old} if old.exists() else ():
                path = directory.with_name(new.name)
                new.rename(path.with_name(f"{path.name}-new") if path.exists() else path)
            if any(directory.iterdir()):
                directory.rename(directory.with_name(f"{_TRASH}{directory.name.removeprefix(PREFIX)}"))
            else:
                directory.rmdir()


def _empty_trash(folder: Path) -> None:
    """Remove the directories in the trash."""
    with suppress(OSError):
        for directory in folder.glob(f"{_TRASH}*"):
            shutil.rmtree(directory, ignore_errors=True)
