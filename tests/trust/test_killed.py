"""A command may be killed at any moment: what was there stays until what takes its place is whole."""

import random
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from faults import EXITED, count_calls, fault, log_calls
from tallies import Tally
from works import (
    CACHE,
    COLD,
    WORKS,
    Work,
    beside,
    check_whole,
    duration,
    each_work,
    is_complete,
    leftovers,
    prepare,
    run,
    start,
    what_lies_there,
)

from nlpseq.storage.manifest import MANIFEST
from nlpseq.storage.stale import PREFIX, remove_stale_temporaries

BY_KILL = -9
TRIES = 5  # for each kill, as the command may end before it comes


@pytest.mark.parametrize(("name", "number"), each_work(2, 84))  # 6 times 84 are 504
def test_killed_at_a_random_moment(folder: Path, tally: Tally, name: str, number: int) -> None:
    """Every other time while it writes, which takes little of its time."""
    work, chance = WORKS[name], random.Random(name)
    prepare(work, folder, old=False)
    seconds = duration(work, folder)
    kills = amid = 0
    for _ in range(TRIES * number):
        old, writes = bool(chance.getrandbits(1)), kills % 2 == 0
        moment = 0.02 * chance.random() ** 2 if writes else chance.random() * seconds
        prepare(work, folder, old=old)
        if not is_killed(work, folder, moment, once_it_writes=writes):
            continue
        amid += bool(half_made(folder)) or beside(folder / work.makes).exists()
        with tally.case(f"{name}, kill {kills} after {moment:.3f} s{' of writing' if writes else ''}"):
            check_after(work, folder, has_old=old, goes_on=kills % 5 == 0)
        kills += 1
        if kills == number:
            break
    assert kills == number, "it was hard to kill"
    assert amid or number < TRIES, "none of the kills came while something was half-made"


def is_killed(work: Work, folder: Path, moment: float, *, once_it_writes: bool) -> bool:
    """Whether it was, and had not ended before."""
    child = start(work, folder)
    if once_it_writes:
        wait_until_it_writes(child, work, folder)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=moment)
    child.kill()
    _, err = child.communicate(timeout=60)
    assert child.returncode in (0, BY_KILL), (child.returncode, err)
    return child.returncode == BY_KILL


def wait_until_it_writes(child: subprocess.Popen[str], work: Work, folder: Path) -> None:
    places = (folder / work.makes, beside(folder / work.makes))
    before = [stamp(place) for place in places]
    while child.poll() is None and not half_made(folder) and [stamp(place) for place in places] == before:
        time.sleep(0.0002)


def half_made(folder: Path) -> list[Path]:
    """What has a temporary name, but for the empty ones by which it is tried whether there can be any."""
    found = []
    for entry in folder.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):
            if any(entry.iterdir()) if entry.is_dir() else entry.stat().st_size:
                found.append(entry)
    return found


def stamp(place: Path) -> int | None:
    """Another one when something new gets the name."""
    with suppress(FileNotFoundError):
        return place.stat().st_ctime_ns
    return None


@pytest.mark.parametrize(("name", "number"), each_work(6, 80, *COLD))
def test_killed_at_every_write_fsync_and_rename(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Or at about `number` of them."""
    work, case = (WORKS | COLD)[name], 0
    for old in (False, True):
        calls = count_calls(work, folder, faults, old=old)
        step = max(1, calls // (number // 2))
        for at in range(1 + old * step // 2, calls + 1, step):
            prepare(work, folder, old=old)
            case += 1
            with tally.case(f"{name}, {'old, ' if old else ''}call {at} of {calls}"):
                code, err = run(work, folder, **fault(faults, folder, "exit", at))
                assert code == EXITED, (code, err)
                check_after(work, folder, has_old=old, goes_on=case % 4 == 0)


def check_after(work: Work, folder: Path, *, has_old: bool, goes_on: bool) -> None:
    path = folder / work.makes
    for place in (folder, folder / CACHE / "tokens"):
        remove_stale_temporaries(place)
    assert not leftovers(folder), leftovers(folder)
    found = what_lies_there(work, folder)
    unfinished = {"unfinished"} if work.trains else set()
    assert found in ({"old", "new"} if has_old else {"none", "new"} | unfinished), found
    if beside(path).exists():
        check_whole(beside(path))
        assert has_old and work.trains and not is_complete(beside(path))
    if goes_on:
        code, err = run(work, folder)
        assert code == 0, err
        assert what_lies_there(work, folder) == "new"
        assert not leftovers(folder), leftovers(folder)


@pytest.mark.parametrize(("name", "number"), each_work(1, 1, *COLD))
def test_what_takes_a_name_is_on_disk_before(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """All its files, the manifest last; and the name too, in the end: so it outlives a failure of power."""
    work = (WORKS | COLD)[name]
    for old in (False, True)[: 2 * number]:
        prepare(work, folder, old=old)
        disk = Disk()
        with tally.case(f"{name}, {'old' if old else 'new'}"):
            for what, *paths in log_calls(work, folder, faults):
                getattr(disk, what)(*paths)
            assert disk.named, "nothing took a name"
            # Where one is lost in the cache, the text is encoded again.
            assert disk.unsure_folders <= {folder / CACHE / "tokens"}, (
                "names that a failure of power may undo"
            )
            for path in disk.named:
                for file in (path, *path.rglob("*")):
                    assert file in disk.flushed or not file.exists(), f"{file} was never flushed"


class Disk:
    """What of that which was written a failure of power would leave."""

    def __init__(self) -> None:
        self.written: list[Path] = []  # the last one last
        self.unsure: dict[str, Path] = {}  # by inode, as libraries rename unseen: written, not flushed since
        self.flushed: set[Path] = set()  # at some time
        self.unsure_folders: set[Path] = set()  # in which something took a name, and not flushed since
        self.named: set[Path] = set()  # what took a name that is not a temporary one

    def write(self, name: str, inode: str) -> None:
        path = Path(name)
        self.written = [each for each in self.written if each != path] + [path]
        self.unsure[inode] = path

    def fsync(self, name: str, inode: str) -> None:
        path = Path(name)
        self.flushed.add(path)
        self.unsure.pop(inode, None)
        self.unsure_folders.discard(path)

    def rename(self, old: str, new: str) -> None:
        self._move(Path(old), Path(new))
        self._take(Path(new))

    def exchange(self, one: str, other: str) -> None:
        between = Path("/between")
        self._move(Path(other), between)
        self._move(Path(one), Path(other))
        self._move(between, Path(one))
        self._take(Path(other))

    def _move(self, old: Path, new: Path) -> None:
        def moved(path: Path) -> Path:
            return new / path.relative_to(old) if path.is_relative_to(old) else path

        self.written = [moved(path) for path in self.written if not path.is_relative_to(new)]
        self.unsure = {inode: moved(path) for inode, path in self.unsure.items()}
        self.flushed = {moved(path) for path in self.flushed if not path.is_relative_to(new)}

    def _take(self, path: Path) -> None:
        if any(part.startswith(PREFIX) for part in path.parts):
            return
        unsure = [str(file) for file in self.unsure.values() if file.is_relative_to(path)]
        assert not unsure, f"not flushed before {path} took its name: {unsure}"
        last = {file.parent: file.name for file in self.written if path in file.parents}
        assert set(last.values()) <= {MANIFEST}, f"written last, and no manifest: {last}"
        self.named.add(path)
        self.unsure_folders.add(path.parent)
