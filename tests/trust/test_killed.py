"""A kill at any moment leaves the old result or the complete new result."""

import random
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from commands import (
    CACHE,
    COLD,
    WORKS,
    Work,
    check_whole,
    checkpoint_of,
    contents,
    duration,
    each_work,
    outcomes,
    prepare,
    run,
    start,
    what_lies_there,
)
from faults import EXITED, count_calls, fault, log_calls
from support.results import stale_files
from tallies import Tally

from nlpseq.errors import ArtifactError
from nlpseq.storage.locks import PREFIX, remove_stale_temporaries
from nlpseq.storage.manifest import MANIFEST
from nlpseq.vectors.vectors import Vectors

BY_KILL = -9
TRIES = 5  # for each kill, because the command may end before


@pytest.mark.parametrize(("name", "number"), each_work(0, 84))  # 6 times 84 are 504
def test_kill_at_random_moment_leaves_old_or_new(folder: Path, tally: Tally, name: str, number: int) -> None:
    """Kill every other time during a write, because writes take little of the time."""
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
        amid += bool(half_made(work, folder)) or checkpoint_of(folder / work.makes).exists()
        with tally.case(f"{name}, kill {kills} after {moment:.3f} s{' of writing' if writes else ''}"):
            check_after(work, folder, has_old=old, goes_on=kills % 5 == 0)
        kills += 1
        if kills == number:
            break
    assert kills == number, "it was hard to kill"
    assert amid or number < TRIES, "no kill came during a write"


def is_killed(work: Work, folder: Path, moment: float, *, once_it_writes: bool) -> bool:
    """Kill a command after some seconds; return False if the command ended before."""
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
    paths = (folder / work.makes, checkpoint_of(folder / work.makes))
    before = [stamp(path) for path in paths]
    while child.poll() is None and not half_made(work, folder) and [stamp(path) for path in paths] == before:
        time.sleep(0.0002)


def half_made(work: Work, folder: Path) -> list[Path]:
    """Return temporary directories with content, of outputs and checkpoints."""
    found = []
    for entry in (*folder.glob(f"{PREFIX}tmp-*"), *(folder / work.makes).glob(f"{PREFIX}tmp-*")):
        with suppress(FileNotFoundError):
            if any(entry.iterdir()):
                found.append(entry)
    return found


def stamp(path: Path) -> int | None:
    """Return a number that changes if another file or folder gets the name."""
    with suppress(OSError):
        return path.stat().st_ctime_ns
    return None


@pytest.mark.parametrize(("name", "number"), each_work(2, 80, *COLD))
def test_kill_at_every_system_call_leaves_old_or_new(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Kill at about `number` of the calls."""
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
    for place in (folder, path, folder / CACHE / "tokens"):
        remove_stale_temporaries(place)
    assert not stale_files(folder), stale_files(folder)
    found = "mixed" if is_mixed_pair(work, folder) else what_lies_there(work, folder)
    # a kill during the first checkpoint leaves its folder empty
    first = {"unfinished", "empty"} if work.trains else set()
    mixed = {"mixed"} if work.also else set()
    assert found in ({"old"} if has_old else {"none"} | first) | {"new"} | mixed, found
    if checkpoint_of(path).exists():
        check_whole(checkpoint_of(path))
        assert work.trains and found in ("old", "unfinished")
    if goes_on:
        code, err = run(work, folder)
        assert code == 0, err
        assert what_lies_there(work, folder) == "new"
        assert not stale_files(folder), stale_files(folder)


def is_mixed_pair(work: Work, folder: Path) -> bool:
    """Return True if a kill left files of two exports, which a reader refuses."""
    if work.also is None:
        return False
    found, known = contents(work, folder), outcomes(work, folder)
    if found in known or not found:
        return False
    if (folder / work.makes).exists():
        with pytest.raises(ArtifactError, match=r"(?i)convert the model again"):
            Vectors.load(folder / work.makes)
    return all(data in (known.old.get(name), known.new[name]) for name, data in found.items())


@pytest.mark.parametrize(("name", "number"), each_work(1, 1, *COLD))
def test_files_are_flushed_before_the_final_rename(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Flush all files, the manifest last, and in the end the name, which then survive a power failure."""
    work = (WORKS | COLD)[name]
    for old in (False, True)[: 2 * number]:
        prepare(work, folder, old=old)
        disk = Disk()
        with tally.case(f"{name}, {'old' if old else 'new'}"):
            for what, *paths in log_calls(work, folder, faults):
                getattr(disk, what)(*paths)
            assert disk.named, "nothing got a name"
            assert disk.unsure_folders <= {folder / CACHE / "tokens"}  # because the cache can be filled again
            for path in disk.named:
                for file in (path, *path.rglob("*")):
                    assert file in disk.flushed or not file.exists(), f"{file} was never flushed"


class Disk:
    """A model of the disk: files and names that a power failure may lose."""

    def __init__(self) -> None:
        self.written: list[Path] = []  # in order of time
        self.unsure: dict[str, Path] = {}  # written and not flushed since, by inode because libraries rename
        self.flushed: set[Path] = set()  # at some time
        self.unsure_folders: set[Path] = set()  # with a new name, not flushed since
        self.named: set[Path] = set()  # files and folders with a final name

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
        assert not unsure, f"not flushed before {path} got its name: {unsure}"
        last = {file.parent: file.name for file in self.written if path in file.parents}
        assert set(last.values()) <= {MANIFEST}, f"written last, and no manifest: {last}"
        self.named.add(path)
        self.unsure_folders.add(path.parent)
