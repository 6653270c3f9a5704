"""What processes that were killed leave: it is told from what others work on, removed or put back."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nlpseq import artifact, leftovers
from nlpseq.errors import ConfigError, NlpseqError
from nlpseq.leftovers import remove_leftovers, take_names, temporary
from nlpseq.manifest import check_manifest
from nlpseq.vectors.vectors import Vectors

PAIR = ("a.tsv", "a.npy")
NAMES_ARE_FREE = 2 + 2 * len(PAIR)  # number of the renaming before which neither has its name


@pytest.fixture
def of_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are made now are those of a process that is no more."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True
    )
    monkeypatch.setattr(os, "getpid", lambda: int(ended.stdout))


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_what_the_dead_left_is_removed(tmp_path: Path, of_the_dead: None) -> None:
    folder, file = (temporary(tmp_path / name) for name in ("a.w2v", "a.vec"))
    folder.mkdir()
    (folder / "meta.json").touch()
    file.touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == set()


def test_what_the_living_work_on_stays(tmp_path: Path) -> None:
    temporary(tmp_path / "a.w2v").mkdir()
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 1


def test_what_another_machine_works_on_stays_for_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_machine", lambda: "0123abcd")
    other = temporary(tmp_path / "a.w2v")
    other.mkdir()
    (other / "tokens.npy").touch()
    monkeypatch.undo()
    os.utime(other, (0, 0))
    remove_leftovers(tmp_path)
    assert other.exists(), "a file in it is new"
    long_ago = time.time() - leftovers.FORGOTTEN - 1
    os.utime(other / "tokens.npy", (long_ago, long_ago))
    os.utime(other, (0, 0))
    remove_leftovers(tmp_path)
    assert not other.exists()


def test_what_was_begun_before_the_machine_was_started_anew_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = old_pair(tmp_path)
    monkeypatch.setattr(leftovers, "_machine", lambda: "0123abcd")
    assert killed_at(NAMES_ARE_FREE, lambda: take_names(new_pair(tmp_path), files))
    monkeypatch.undo()
    remove_leftovers(tmp_path)
    assert not any(file.exists() for file in files), "another machine may be about to go on"
    long_ago = time.time() - leftovers.MOMENT - 1
    for entry in tmp_path.rglob("*"):
        os.utime(entry, (long_ago, long_ago))
    with pytest.raises(NlpseqError):  # as what was there is none
        Vectors.load(files[-1])
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == dict.fromkeys(PAIR, "new")


def test_what_cannot_be_cleared_does_not_keep_the_rest(
    tmp_path: Path, of_the_dead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = sorted(temporary(tmp_path / "a.vec") for _ in range(3))
    for file in left:
        file.touch()
    remove = Path.unlink

    def refuse(path: Path, **options: bool) -> None:
        if path == left[0]:
            raise PermissionError("not yours")
        remove(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {left[0].name}


@pytest.mark.parametrize(
    "name", [".nlpseq-tmp-", ".nlpseq-tmp-mine", ".nlpseq-tmp-0123abcd-x-y", "nlpseq-tmp-a"]
)
def test_other_names_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {name}


def old_pair(folder: Path) -> list[Path]:
    files = [folder / name for name in PAIR]
    for file in files:
        file.write_text("old")
    return files


def new_pair(folder: Path) -> list[Path]:
    files = [temporary(folder / name) for name in PAIR]
    for file in files:
        file.write_text("new")
    return files


def killed_at(rename: int, work: Callable[[], None]) -> bool:
    """Have a child do it, which ends before its n-th renaming; False where there are less."""
    child = os.fork()
    if child == 0:
        left, real = iter(range(1, rename)), Path.rename
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "rename", lambda *args: os._exit(9) if next(left, 0) == 0 else real(*args))
            try:
                work()
            finally:
                os._exit(int(sys.exc_info()[0] is not None))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), "the child failed"
    return code == 9


@pytest.mark.parametrize("has_old", [False, True])
def test_a_kill_leaves_both_files_of_a_pair_or_none(tmp_path: Path, has_old: bool) -> None:
    """Another kill, of the process that ends what was begun, too."""
    found = []
    for first, second in itertools.product(range(1, 20), range(1, 10)):
        folder = tmp_path / f"{first}-{second}"
        folder.mkdir()
        files = old_pair(folder) if has_old else [folder / name for name in PAIR]
        if not killed_at(first, lambda files=files: take_names(new_pair(files[0].parent), files)):
            break
        killed_at(second, lambda folder=folder: remove_leftovers(folder))
        remove_leftovers(folder)
        found.append({file.name: file.read_text() for file in folder.iterdir()})
    assert len(found) > 40
    before, after = dict.fromkeys(PAIR, "old") if has_old else {}, dict.fromkeys(PAIR, "new")
    assert before in found and after in found
    assert all(each in (before, after) for each in found), found


def test_what_came_in_the_way_of_what_was_begun_stays(tmp_path: Path) -> None:
    files = old_pair(tmp_path)
    assert killed_at(NAMES_ARE_FREE, lambda: take_names(new_pair(tmp_path), files))
    files[0].write_text("mine")
    remove_leftovers(tmp_path)
    found = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert found == dict.fromkeys(PAIR, "old") | {"a.tsv.unfinished": "mine"}


@pytest.mark.parametrize("fails", range(1, 2 + 4 * len(PAIR)))
def test_a_failure_puts_back_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    files, rename, calls = old_pair(tmp_path), Path.rename, itertools.count(1)

    def refuses(path: Path, target: Path) -> Path:
        if next(calls) == fails:
            raise PermissionError("not yours")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuses)
    new = new_pair(tmp_path)
    with pytest.raises(PermissionError):
        take_names(new, files)
    remove_leftovers(tmp_path)
    left = {file.name: file.read_text() for file in tmp_path.iterdir() if file not in new}
    assert left == dict.fromkeys(PAIR, "old")


def test_what_cannot_be_put_back_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it can be."""
    files, rename = old_pair(tmp_path), Path.rename

    def refuses(path: Path, target: Path) -> Path:
        if target == files[0]:
            raise PermissionError("not yours")
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(PermissionError):
        patch.setattr(Path, "rename", refuses)
        patch.setattr(leftovers, "_machine", lambda: "0123abcd")
        take_names(new_pair(tmp_path), files)
    monkeypatch.setattr(leftovers, "MOMENT", 0)
    remove_leftovers(tmp_path)
    assert {file.read_text() for file in tmp_path.glob("a.*")} in ({"old"}, {"new"})


def test_a_new_result_clears_its_folder(
    tmp_path: Path, of_the_dead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = temporary(tmp_path / "a.w2v")
    left.mkdir()
    monkeypatch.undo()
    artifact.check_writable(tmp_path / "b.w2v")
    assert names(tmp_path) == set()


def test_a_result_that_was_set_aside_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "a.w2v"
    for place in (path, new := temporary(path)):
        with artifact.create(place, "vectors", 1) as folder:
            folder.write_meta({"place": place.name})
    assert killed_at(4, lambda: take_names([new], [path]))
    assert not path.exists()
    with pytest.raises(ConfigError, match="already exists"):
        artifact.check_writable(path)
    check_manifest(path)
    assert artifact.peek_meta(path)["place"] == new.name
