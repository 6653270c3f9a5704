"""Locks on output paths, and the temporary directories of dead processes."""

import errno
import fcntl
import itertools
import os
import shutil
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.killing import is_killed_at, run_in_child

from nlpseq.errors import ConfigError
from nlpseq.storage import locks
from nlpseq.storage.locks import path_lock, remove_stale_temporaries, temporary


def lock_elsewhere(path: Path) -> None:
    """Lock a path in this process or thread; for another than the holder's."""
    with path_lock(path):
        pass


def fill_and_die(path: Path) -> None:
    """Leave a temporary directory with content, as a killed writer does."""

    def write() -> None:
        with temporary(path) as new:
            new.mkdir()
            (new / "meta.json").touch()
            os._exit(9)

    assert run_in_child(write) == 9


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_lock_is_reentrant_and_leaves_no_file(tmp_path: Path) -> None:
    with path_lock(tmp_path / "a"):
        with path_lock(tmp_path / "a"), path_lock(tmp_path / "b"):
            assert len(names(tmp_path)) == 2
        assert len(names(tmp_path)) == 1
        assert run_in_child(lambda: lock_elsewhere(tmp_path / "a")) == 1, "the inner block gave up the lock"
    assert names(tmp_path) == set()
    assert run_in_child(lambda: lock_elsewhere(tmp_path / "a")) == 0


def test_lock_excludes_other_threads(tmp_path: Path) -> None:
    refused = list[str]()

    def lock() -> None:
        try:
            lock_elsewhere(tmp_path / "a")
        except ConfigError as error:
            refused.append(str(error))

    with path_lock(tmp_path / "a"):
        thread = threading.Thread(target=lock)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert refused[0].startswith(f"{tmp_path / 'a'}: is being written by another process. Wait until")


def test_lock_waits_for_a_short_holder(tmp_path: Path) -> None:
    is_held = threading.Event()

    def hold() -> None:
        with path_lock(tmp_path / "a"):
            is_held.set()
            threading.Event().wait(0.1)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(60)
    with path_lock(tmp_path / "a", wait_s=60):
        pass
    thread.join()
    assert names(tmp_path) == set()


def test_forked_child_neither_holds_nor_releases(tmp_path: Path) -> None:
    ended, end = os.pipe()
    with path_lock(tmp_path / "a"):
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(ended, 1)
            os._exit(0)
        assert run_in_child(lambda: lock_elsewhere(tmp_path / "a")) == 1, "a child released the lock"
    lock_elsewhere(tmp_path / "a")  # while the first child lives
    os.close(end)
    os.waitpid(child, 0)
    with path_lock(tmp_path / "a"):
        inner = os.fork()
    if inner == 0:  # the child leaves the block as well
        os._exit(0)
    os.waitpid(inner, 0)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK])
def test_file_system_without_locks_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with temporary(tmp_path / "a") as new:
            new.touch()
            remove_stale_temporaries(tmp_path)
            new.rename(tmp_path / "a")
    assert not {name for name in names(tmp_path) if "lock-" not in name} - {"a"}


def test_temporary_without_a_lock_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of a writer whose lock failed, if locks work for the next process."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        writer = temporary(tmp_path / "a")
        new = writer.__enter__()
        new.touch()
    remove_stale_temporaries(tmp_path)
    lock_elsewhere(tmp_path / "a")
    assert new.exists()
    writer.__exit__(None, None, None)
    assert names(tmp_path) == set()


def test_interrupt_at_any_line_leaves_no_temporary(tmp_path: Path) -> None:
    """Raise KeyboardInterrupt at the n-th line of locks.py, as a signal does."""

    def is_interrupted(folder: Path, number: int) -> bool:
        lines, before = itertools.count(), sys.gettrace()

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code.co_filename != locks.__file__:
                return None
            if event == "line" and next(lines) == number:
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            with temporary(folder / "a") as new:
                new.mkdir()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    for number in itertools.count():
        folder = tmp_path / str(number)
        folder.mkdir()
        if not is_interrupted(folder, number):
            break
        assert not [name for name in names(folder) if name.startswith(".nlpseq-tmp-")], number
    assert number > 40 and names(folder) == set()


def test_removal_of_stale_files_blocks_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_and_die(tmp_path / "a")
    rmtree, times, exits = shutil.rmtree, itertools.count(), list[int]()

    def slow(*arguments: object, **options: object) -> None:
        if next(times) == 0:
            exits.append(run_in_child(lambda: lock_elsewhere(tmp_path / "a")))
        rmtree(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(shutil, "rmtree", slow)
    remove_stale_temporaries(tmp_path)
    assert exits == [0]
    assert names(tmp_path) == set()


def test_removal_after_a_lock_blocks_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_and_die(tmp_path / "a")
    rmtree, times, exits = shutil.rmtree, itertools.count(), list[int]()

    def slow(*arguments: object, **options: object) -> None:
        if next(times) == 0:
            exits.append(run_in_child(lambda: lock_elsewhere(tmp_path / "a")))
        rmtree(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(shutil, "rmtree", slow)
    with path_lock(tmp_path / "a"):
        assert exits == []
    assert exits == [0]


def test_lock_leaves_errors_of_impossible_paths_to_the_writer(tmp_path: Path) -> None:
    """Leave the error to the writer, who knows a way out."""
    with path_lock(tmp_path / ("x" * 300) / "a"):
        pass


def test_file_that_cannot_be_removed_keeps_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        fill_and_die(tmp_path / name)
    rmdir = os.rmdir

    def refuse(path: object, **options: object) -> None:
        if path == "b":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        rmdir(path, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        remove_stale_temporaries(tmp_path)
    assert [path.name for path in tmp_path.glob(".nlpseq-*/*")] == ["b"] and len(names(tmp_path)) == 1
    remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == set()


def test_next_lock_removes_files_of_killed_writer(tmp_path: Path) -> None:
    fill_and_die(tmp_path / "a")
    assert len(names(tmp_path)) == 2
    with path_lock(tmp_path / "a"):
        assert not list(tmp_path.glob(".nlpseq-tmp-*"))
    assert names(tmp_path) == set()


def test_stale_removal_removes_files_of_killed_writer(tmp_path: Path) -> None:
    for name in ("a", "1\nb", "c" * 255):
        fill_and_die(tmp_path / name)
    remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == set()


def test_lock_of_run_removes_its_stale_checkpoints(tmp_path: Path) -> None:
    fill_and_die(tmp_path / "run" / "checkpoint")
    assert names(tmp_path / "run")
    with path_lock(tmp_path / "run"):
        assert names(tmp_path / "run") == set()


def test_stale_removal_keeps_files_of_live_writer(tmp_path: Path) -> None:
    with temporary(tmp_path / "a") as new:
        new.touch()
        assert run_in_child(lambda: remove_stale_temporaries(tmp_path)) == 0
        remove_stale_temporaries(tmp_path)
        assert new.exists()
    assert names(tmp_path) == set()


@pytest.mark.slow
def test_next_removal_finishes_a_killed_removal(tmp_path: Path) -> None:
    number, was_killed = 0, True
    while was_killed:
        number += 1
        fill_and_die(tmp_path / "a")
        was_killed = is_killed_at(number, lambda: remove_stale_temporaries(tmp_path))
        remove_stale_temporaries(tmp_path)
        assert names(tmp_path) == set()
    assert number > 5


def test_ctrl_c_during_removal_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rmdir, stops = os.rmdir, iter([KeyboardInterrupt])

    def stop(*arguments: object, **options: object) -> None:
        for error in stops:
            raise error
        rmdir(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rmdir", stop)
    with pytest.raises(KeyboardInterrupt), temporary(tmp_path / "a") as new:
        new.mkdir()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", [".nlpseq-tmp-", ".nlpseq-tmp-mine", ".nlpseq-lock-0123", "nlpseq-tmp-a"])
def test_stale_removal_keeps_other_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == {name}


def test_stale_removal_keeps_links_and_other_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_and_die(tmp_path / "a")
    (left,) = tmp_path.glob(".nlpseq-tmp-*")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: left.stat().st_uid + 1)
        remove_stale_temporaries(tmp_path)
        assert (left / "a" / "meta.json").exists()
    kept = left.rename(tmp_path / "kept")
    left.symlink_to(kept)
    remove_stale_temporaries(tmp_path)
    assert left.is_symlink() and (kept / "a" / "meta.json").exists()
