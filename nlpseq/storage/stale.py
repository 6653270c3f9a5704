"""Names for what is not whole yet, and what processes that were killed left under them.

A name tells the process that made it, so that the next one can see what nobody works on any more: it removes
that, or ends what was begun, so that of two files neither is without the other.
"""

import os
import platform
import re
import shutil
import time
import uuid
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from nlpseq.storage.locks import remove_stale_locks

PREFIX = ".nlpseq-tmp-"
UNFINISHED = ".unfinished"  # behind the name of a run, while another result has that name
STALE_AFTER_S = 7 * 24 * 3600.0  # seconds after which what another machine left is taken to be left
COMMIT_STALE_AFTER_S = 60.0  # the same where names are changing hands, which takes a few renames
OLD, NEW = "old", "new"  # what had names that change hands, and what will have them

_NAME = re.compile(
    re.escape(PREFIX) + r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{32}(-for-(?P<last>.+))?",
    re.DOTALL,  # as a name may have any characters
)


def temporary(path: Path) -> Path:
    """A name beside `path` for what will take its place."""
    return path.with_name(f"{PREFIX}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}")


def replace_files(new: list[Path], paths: list[Path]) -> None:
    """Give what is new, whole and on disk, these names of one folder; what had them goes.

    The last name, which tells that a result is there, is given up first and given last, so that it is never
    beside what belongs to another. Where this fails, what was there is put back. Where it is killed while
    nothing has the last name, remove_leftovers goes on with it, or puts back what was there.
    """
    last, names_are_free = paths[-1], False
    aside = transaction_dir(last)
    try:
        for folder in (OLD, NEW):
            (aside / folder).mkdir(parents=True)
        for each, path in zip(new, paths, strict=True):
            each.rename(aside / NEW / path.name)
        for path in reversed(paths):
            with suppress(FileNotFoundError):
                path.rename(aside / OLD / path.name)
        names_are_free = True
        _move_out(aside, NEW, last.name)
    except BaseException:  # Ctrl-C too
        for path in reversed(paths) if names_are_free else []:
            if not (aside / NEW / path.name).exists():
                path.rename(aside / NEW / path.name)
        _drop(aside / NEW)  # from here on what was there is put back, also after a kill
        _move_out(aside, OLD, last.name)
        _drop(aside)
        raise
    _drop(aside)


def transaction_dir(last: Path) -> Path:
    """A name of a folder for what gives up names, and what takes them, of which this is the last."""
    new = temporary(last)
    return new.with_name(f"{new.name}-for-{last.name}")


def remove_stale_temporaries(folder: Path) -> None:
    """Clear a folder of what nobody works on any more."""
    names = list[str]()
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(folder)]
    remove_stale_locks(folder, names)
    for found in filter(None, map(_NAME.fullmatch, names)):
        with suppress(OSError):  # another process may do the same, and some are not ours to remove
            _clear(folder / found[0], found["machine"], int(found["process"]), found["last"])


def _clear(entry: Path, machine: str, process: int, last: str | None) -> None:
    """Remove what is left, or end what was begun where nothing has the last name."""
    is_missed = last is not None and not entry.with_name(last).exists()
    if not _is_left(entry, machine, process, COMMIT_STALE_AFTER_S if is_missed else STALE_AFTER_S):
        return
    if last is not None and is_missed:
        os.utime(entry)  # so that no other machine takes it to be left while this one is at it
        entry = entry.rename(transaction_dir(entry.with_name(last)))  # no other process's now
        if not entry.with_name(last).exists():  # another may have ended meanwhile
            _move_out(entry, NEW if _may_go_on(entry, last) else OLD, last)
    _drop(entry)


def _may_go_on(aside: Path, last: str) -> bool:
    """Whether what is new is all there, or in its place, and no name is taken that it will have."""
    names = _names_in(aside / NEW)
    return last in names and not any(aside.with_name(name).exists() for name in names)


def _move_out(aside: Path, which: str, last: str) -> None:
    """Have the old or the new in their place; something else that is there gets another name."""
    for name in sorted(_names_in(aside / which), key=lambda name: name == last):
        place = aside.with_name(name)
        with suppress(FileNotFoundError):
            place.rename(place.with_name(name + UNFINISHED))
        (aside / which / name).rename(place)


def _names_in(folder: Path) -> list[str]:
    """Of a folder that may be missing. Not by glob, to which one that cannot be read is empty."""
    with suppress(FileNotFoundError):
        return [entry.name for entry in folder.iterdir()]
    return []


def _drop(path: Path) -> None:
    """Remove it, if it is there, under a name that nothing is taken from, as that may be cut short."""
    away = temporary(path)
    try:
        with suppress(OSError):  # another process has done it, or no name can change
            path = path.rename(away)
        _remove(path)
    except BaseException:  # Ctrl-C, which leaves nothing
        _remove(away)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_left(entry: Path, machine: str, process: int, patience: float) -> bool:
    """Whether nobody works on it any more; never for what another user made, or a link.

    patience: seconds for which what another machine made, or this one before it was started anew, stays.
    """
    is_own = not hasattr(os, "getuid") or entry.lstat().st_uid == os.getuid()
    if entry.is_symlink() or not is_own:
        return False
    if machine != _machine():
        return time.time() - max(each.lstat().st_mtime for each in (entry, *entry.rglob("*"))) > patience
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # it runs, as another user; or there is no such number
        return False
    return False


@cache
def _machine() -> str:
    """What numbers of processes belong to: this start of this machine, and its container."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return sha256(" ".join(parts).encode()).hexdigest()[:8]
