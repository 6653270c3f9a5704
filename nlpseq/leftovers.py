"""Names for what is not whole yet, and what processes that were killed left under them.

A name tells the process that made it, so that the next one can see what nobody works on any more: it removes
that, or puts back what had been set aside for something new that never came.
"""

import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from nlpseq.claim import remove_unclaimed

PREFIX = ".nlpseq-tmp-"
UNFINISHED = ".unfinished"  # behind the name of a run, while another result has that name
FORGOTTEN = 7 * 24 * 3600.0  # seconds after which what another machine left is taken to be left
MOMENT = 60.0  # the same of what it has set aside, which takes a few renames

_NAME = re.compile(
    re.escape(PREFIX) + r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{32}(-for-(?P<last>.+))?"
)


def temporary(path: Path) -> Path:
    """A name beside `path` for what will take its place."""
    return path.with_name(f"{PREFIX}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}")


@contextmanager
def set_aside(paths: list[Path]) -> Iterator[None]:
    """Have what is at these paths, of one folder, out of the way while the block puts something new there.

    Where the block fails they are put back; where it is killed remove_leftovers does that, unless the last of
    the paths is there again, which the block must make last.
    """
    folder = paths[-1].with_name(f"{temporary(paths[-1]).name}-for-{paths[-1].name}")
    folder.mkdir()
    are_new = False  # those that are at the paths
    try:
        for path in reversed(paths):
            with suppress(FileNotFoundError):
                path.rename(folder / path.name)
        are_new = True
        yield
    except BaseException:  # Ctrl-C too
        for path in paths if are_new else []:
            _remove(path)
        _put_back(folder)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Clear a folder of what nobody works on any more."""
    names = list[str]()
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(folder)]
    remove_unclaimed(folder, names)
    for found in filter(None, map(_NAME.fullmatch, names)):
        with suppress(OSError):  # another process may do the same, and some are not ours to remove
            _clear(folder / found[0], found["machine"], int(found["process"]), found["last"])


def _clear(entry: Path, machine: str, process: int, last: str | None) -> None:
    """Remove what is left, or put it back where what was to replace it is not there."""
    is_missed = last is not None and not entry.with_name(last).exists()
    if not _is_left(entry, machine, process, MOMENT if is_missed else FORGOTTEN):
        return
    if is_missed:
        mine = entry.with_name(f"{temporary(entry).name}-for-{last}")
        entry.rename(mine)  # so that no other process puts it back as well
        _put_back(mine)
    else:
        _remove(entry)


def _put_back(folder: Path) -> None:
    """Have what was set aside where it was; something else that is there gets another name."""
    for entry in folder.iterdir():
        place = folder.with_name(entry.name)
        with suppress(FileNotFoundError):
            place.rename(place.with_name(place.name + UNFINISHED))
        entry.rename(place)
    folder.rmdir()


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
