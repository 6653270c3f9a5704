"""What processes that were killed leave: it is told from what others work on, removed or put back."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nlpseq import artifact, leftovers
from nlpseq.errors import ConfigError, NlpseqError
from nlpseq.leftovers import remove_leftovers, set_aside, temporary
from nlpseq.manifest import check_manifest
from nlpseq.vectors.vectors import Vectors


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


def test_what_was_set_aside_before_the_machine_was_started_anew_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = old_pair(tmp_path)
    monkeypatch.setattr(leftovers, "_machine", lambda: "0123abcd")
    killed_amid(files, [], monkeypatch)
    monkeypatch.undo()
    remove_leftovers(tmp_path)
    assert not any(file.exists() for file in files), "another machine may be about to go on"
    long_ago = time.time() - leftovers.MOMENT - 1
    for entry in tmp_path.rglob("*"):
        os.utime(entry, (long_ago, long_ago))
    with pytest.raises(NlpseqError):  # as what was there is none
        Vectors.load(files[0])
    assert [file.read_text() for file in files] == ["old", "old"]


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
    files = [folder / "a.npy", folder / "a.tsv"]
    for file in files:
        file.write_text("old")
    return files


class Killed(BaseException):
    """Stands for a kill: nothing may be cleared up."""


def killed_amid(files: list[Path], new: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what a kill leaves once the files `new` are in their place."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(leftovers, "_put_back", lambda folder: None)
        patch.setattr(leftovers, "_remove", lambda path: None)
        with set_aside(files):
            for file in new:
                file.write_text("new")
            raise Killed


@pytest.mark.parametrize("num_new", [0, 1, 2])
def test_a_kill_leaves_both_files_of_a_pair_or_none(
    tmp_path: Path, of_the_dead: None, monkeypatch: pytest.MonkeyPatch, num_new: int
) -> None:
    files = old_pair(tmp_path)
    killed_amid(files, files[:num_new], monkeypatch)
    remove_leftovers(tmp_path)
    assert [file.read_text() for file in files] == (["new"] * 2 if num_new == 2 else ["old"] * 2)
    unfinished = {"a.npy.unfinished"} if num_new == 1 else set()  # which may be somebody's own by now
    assert names(tmp_path) == {"a.npy", "a.tsv"} | unfinished


def test_a_failure_puts_back_what_was_there(tmp_path: Path) -> None:
    files = old_pair(tmp_path)
    files[0].unlink()
    with pytest.raises(OSError, match="full"), set_aside(files):
        files[0].write_text("new")
        raise OSError("full")
    assert names(tmp_path) == {"a.tsv"}
    assert files[1].read_text() == "old"


def test_what_could_not_be_set_aside_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, rename = old_pair(tmp_path), Path.rename

    def refuses(path: Path, target: Path) -> Path:
        if path.name == "a.npy" and "-for-" in target.parent.name:
            raise PermissionError("not yours")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuses)
    with pytest.raises(PermissionError), set_aside(files):
        raise AssertionError("not reached")
    assert [file.read_text() for file in files] == ["old", "old"]
    assert names(tmp_path) == {"a.npy", "a.tsv"}


def test_a_new_result_clears_its_folder(
    tmp_path: Path, of_the_dead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = temporary(tmp_path / "a.w2v")
    left.mkdir()
    monkeypatch.undo()
    artifact.check_writable(tmp_path / "b.w2v")
    assert names(tmp_path) == set()


def test_an_old_result_that_was_set_aside_is_found_again(
    tmp_path: Path, of_the_dead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.w2v"
    with artifact.create(path, "vectors", 1) as folder:
        folder.write_meta({})
    killed_amid([path], [], monkeypatch)
    assert not path.exists()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="already exists"):
        artifact.check_writable(path)
    check_manifest(path)
