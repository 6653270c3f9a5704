"""What processes that were killed leave: it is told from what others work on, removed or ended."""

import itertools
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nlpseq.errors import ConfigError, NlpseqError, ResourceError
from nlpseq.storage import artifact, stale as leftovers
from nlpseq.storage.manifest import check_manifest
from nlpseq.storage.stale import remove_stale_temporaries, replace_files, temporary
from nlpseq.vectors.formats.writer import check_files
from nlpseq.vectors.vectors import Vectors

PAIR = ("a.tsv", "a.npy")
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")  # what the interpreter says before each call
NAMES_ARE_FREE = 1 + 2 * len(PAIR)  # number of the renaming before which neither has its name


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
    remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == set()


def test_what_the_living_work_on_stays(tmp_path: Path) -> None:
    temporary(tmp_path / "a.w2v").mkdir()
    remove_stale_temporaries(tmp_path)
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
    remove_stale_temporaries(tmp_path)
    assert other.exists(), "a file in it is new"
    long_ago = time.time() - leftovers.STALE_AFTER_S - 1
    os.utime(other / "tokens.npy", (long_ago, long_ago))
    os.utime(other, (0, 0))
    remove_stale_temporaries(tmp_path)
    assert not other.exists()


def test_what_was_begun_before_the_machine_was_started_anew_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = old_pair(tmp_path)
    monkeypatch.setattr(leftovers, "_machine", lambda: "0123abcd")
    assert killed_at(NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), files), ["os.rename"])
    monkeypatch.undo()
    remove_stale_temporaries(tmp_path)
    assert not any(file.exists() for file in files), "another machine may be about to go on"
    long_ago = time.time() - leftovers.COMMIT_STALE_AFTER_S - 1
    for entry in tmp_path.rglob("*"):
        os.utime(entry, (long_ago, long_ago))
    with pytest.raises(NlpseqError):  # as what was there is none
        Vectors.load(files[-1])
    assert texts(tmp_path) == dict.fromkeys(PAIR, "new")


def test_what_cannot_be_cleared_does_not_keep_the_rest(
    tmp_path: Path, of_the_dead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        temporary(tmp_path / "a.vec").touch()
    remove, refused = Path.unlink, list[Path]()

    def refuse(path: Path, **options: bool) -> None:
        if path in refused or not refused:
            refused.append(path)
            raise PermissionError("not yours")
        remove(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    remove_stale_temporaries(tmp_path)
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize(
    "name", [".nlpseq-tmp-", ".nlpseq-tmp-mine", ".nlpseq-tmp-0123abcd-x-y", "nlpseq-tmp-a"]
)
def test_other_names_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == {name}


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def old_pair(folder: Path, had: Collection[str] = PAIR) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / name for name in PAIR]
    for file in files:
        if file.name in had:
            file.write_text("old")
    return files


def new_pair(folder: Path) -> list[Path]:
    files = [temporary(folder / name) for name in PAIR]
    for file in files:
        file.write_text("new")
    return files


def killed_at(number: int, work: Callable[[], None], calls: Collection[str] = CHANGES) -> bool:
    """Have a child do it, which ends before its n-th such call; False where it makes less of them."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # as there are threads, which the child is without
        child = os.fork()
    if child == 0:
        left = iter(range(1, number))
        sys.addaudithook(lambda call, _: os._exit(9) if call in calls and next(left, 0) == 0 else None)
        try:
            work()
        finally:
            os._exit(int(sys.exc_info()[0] is not None))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), "the child failed"
    return code == 9


def test_a_name_may_have_a_newline(tmp_path: Path) -> None:
    pair = old_pair(tmp_path)
    files = [file.rename(file.with_name(f"1\n{file.name}")) for file in pair]
    assert killed_at(NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), files), ["os.rename"])
    remove_stale_temporaries(tmp_path)
    assert texts(tmp_path) == {file.name: "new" for file in files}


@pytest.mark.parametrize("had", [(), PAIR, PAIR[:1], PAIR[1:]], ids=["none", "both", *PAIR])
def test_a_kill_leaves_both_files_of_a_pair_or_what_was_there(tmp_path: Path, had: Collection[str]) -> None:
    """Another kill, of the process that ends what was begun, too."""
    found = []
    for first in itertools.count(1):
        for second in itertools.count(1):
            folder = tmp_path / f"{first}-{second}"
            files = old_pair(folder, had)
            was_killed = killed_at(first, lambda files=files: replace_files(new_pair(files[0].parent), files))
            ends_early = not killed_at(second, lambda folder=folder: remove_stale_temporaries(folder))
            remove_stale_temporaries(folder)
            found.append(texts(folder))
            if ends_early:
                break
        if not was_killed:
            break
    assert len(found) > 50
    before, after = dict.fromkeys(had, "old"), dict.fromkeys(PAIR, "new")
    assert before in found and after in found
    assert all(each in (before, after) for each in found), found


def test_what_came_in_the_way_of_what_was_begun_stays(tmp_path: Path) -> None:
    files = old_pair(tmp_path)
    assert killed_at(NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), files), ["os.rename"])
    files[0].write_text("mine")
    remove_stale_temporaries(tmp_path)
    assert texts(tmp_path) == dict.fromkeys(PAIR, "old") | {"a.tsv.unfinished": "mine"}


@contextmanager
def refused(number: int) -> Iterator[None]:
    """The n-th renaming is."""
    rename, calls = Path.rename, itertools.count(1)

    def refuse(path: Path, target: Path) -> Path:
        if next(calls) == number:
            raise PermissionError("not yours")
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        yield


RENAMES = range(1, 1 + 3 * len(PAIR))  # that are needed


@pytest.mark.parametrize("number", RENAMES)
def test_a_failure_puts_back_what_was_there(tmp_path: Path, number: int) -> None:
    files = old_pair(tmp_path)
    new = new_pair(tmp_path)
    with refused(number), pytest.raises(PermissionError):
        replace_files(new, files)
    assert {
        name: text for name, text in texts(tmp_path).items() if tmp_path / name not in new
    } == dict.fromkeys(PAIR, "old")


@pytest.mark.parametrize("number", RENAMES)
def test_a_kill_amid_putting_back_leaves_both_or_what_was_there(tmp_path: Path, number: int) -> None:
    for kill in itertools.count(1):
        folder = tmp_path / str(kill)
        files = old_pair(folder)

        def fail(files: list[Path] = files) -> None:
            with refused(number), suppress(PermissionError):
                replace_files(new_pair(files[0].parent), files)

        was_killed = killed_at(kill, fail)
        remove_stale_temporaries(folder)
        assert texts(folder) in (dict.fromkeys(PAIR, "old"), dict.fromkeys(PAIR, "new"))
        if not was_killed:
            break
    assert kill > 5


@pytest.mark.parametrize("moves_first", [False, True])
def test_a_stop_amid_the_removal_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves_first: bool
) -> None:
    """Ctrl-C as the removal begins, and when what is to be removed has just got another name."""
    rename, remove, stops = Path.rename, shutil.rmtree, iter([KeyboardInterrupt])

    def stop() -> None:
        for each in stops:
            raise each

    def renamed(path: Path, target: Path) -> Path:
        done = rename(path, target)
        if moves_first and "-for-" in path.name:
            stop()
        return done

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(shutil, "rmtree", lambda path, **options: (stop(), remove(path, **options)))
    with pytest.raises(KeyboardInterrupt):
        replace_files(new_pair(tmp_path), old_pair(tmp_path))
    assert texts(tmp_path) == dict.fromkeys(PAIR, "new")


def test_what_is_removed_has_a_name_that_nothing_is_taken_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the removal may be cut short, with an array left and not its words."""
    removed, remove = list[Path](), shutil.rmtree
    monkeypatch.setattr(
        shutil, "rmtree", lambda path, **options: (removed.append(path), remove(path, **options))
    )
    replace_files(new_pair(tmp_path), old_pair(tmp_path))
    with refused(RENAMES[-1]), pytest.raises(PermissionError):
        replace_files(new_pair(tmp_path), old_pair(tmp_path))
    assert killed_at(
        NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), old_pair(tmp_path)), ["os.rename"]
    )
    remove_stale_temporaries(tmp_path)
    assert len(removed) == 4, "NEW and all of what failed"
    assert not [path for path in removed if path.name == leftovers.NEW or "-for-" in path.name]


@pytest.mark.parametrize("name", PAIR)
def test_what_cannot_be_put_back_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Until it can be."""
    files, rename = old_pair(tmp_path), Path.rename

    def refuses(path: Path, target: Path) -> Path:
        if target == tmp_path / name:
            raise PermissionError("not yours")
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(PermissionError):
        patch.setattr(Path, "rename", refuses)
        patch.setattr(leftovers, "_machine", lambda: "0123abcd")
        replace_files(new_pair(tmp_path), files)
    monkeypatch.setattr(leftovers, "COMMIT_STALE_AFTER_S", 0)
    monkeypatch.setattr(leftovers, "STALE_AFTER_S", 0)
    remove_stale_temporaries(tmp_path)
    assert texts(tmp_path) == dict.fromkeys(PAIR, "old")


def test_nothing_is_lost_where_a_folder_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, new = old_pair(tmp_path), new_pair(tmp_path)
    with monkeypatch.context() as patch:
        for name in ("listdir", "scandir"):
            patch.setattr(os, name, refusing(getattr(os, name), leftovers.NEW))
        with pytest.raises(PermissionError):
            replace_files(new, files)
    assert {name: text for name, text in texts(tmp_path).items() if name in PAIR} == dict.fromkeys(
        PAIR, "old"
    )


def refusing(read: Callable[..., object], name: str) -> Callable[..., object]:
    """As `read`, but for a folder of this name."""

    def refuse(folder: object) -> object:
        if str(folder).endswith(f"/{name}"):
            raise PermissionError("not now")
        return read(folder)

    return refuse


def test_what_came_while_another_cleared_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, is_left = old_pair(tmp_path), leftovers._is_left
    assert killed_at(NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), files), ["os.rename"])

    def meanwhile(*arguments: object) -> bool:
        for file in files:
            file.write_text("newest")
        return is_left(*arguments)

    monkeypatch.setattr(leftovers, "_is_left", meanwhile)
    remove_stale_temporaries(tmp_path)
    assert texts(tmp_path) == dict.fromkeys(PAIR, "newest")


def test_what_one_machine_ends_is_not_left_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, move_out = old_pair(tmp_path), leftovers._move_out
    assert killed_at(NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), files), ["os.rename"])
    for entry in tmp_path.rglob("*"):
        os.utime(entry, (0, 0))

    def meanwhile(aside: Path, which: str, last: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(leftovers, "_machine", lambda: "0123abcd")
            patch.setattr(leftovers, "_move_out", move_out)
            remove_stale_temporaries(tmp_path)
        assert aside.exists(), "another has taken it"
        move_out(aside, which, last)

    monkeypatch.setattr(leftovers, "_move_out", meanwhile)
    remove_stale_temporaries(tmp_path)
    assert texts(tmp_path) == dict.fromkeys(PAIR, "new")


def test_a_check_ends_what_was_begun_and_says_that_it_is_in_the_way(tmp_path: Path) -> None:
    files = old_pair(tmp_path)
    assert killed_at(NAMES_ARE_FREE, lambda: replace_files(new_pair(tmp_path), files), ["os.rename"])
    with pytest.raises(ConfigError, match="already exists"):
        check_files(files, force=False)
    assert texts(tmp_path) == dict.fromkeys(PAIR, "new")


def test_names_too_long_to_change_hands_are_said_first(tmp_path: Path) -> None:
    for length in range(200, 255 - len(".npy")):
        with pytest.raises(ResourceError, match=r"(?i)name too long"):
            check_files([tmp_path / f"{'a' * length}{name[1:]}" for name in PAIR], force=False)
    assert names(tmp_path) == set()


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
    assert killed_at(3, lambda: replace_files([new], [path]), ["os.rename"])
    assert not path.exists()
    with pytest.raises(ConfigError, match="already exists"):
        artifact.check_writable(path)
    check_manifest(path)
    assert artifact.peek_meta(path)["place"] == new.name
