"""Unwritable folders and unreadable files end a command before the work, with their names."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from as_ordinary_user import lose_rights
from commands import NLPSEQ, Work, check_whole, contents, write_corpus
from support.results import stale_files
from tallies import Tally

from nlpseq.storage import artifact

USAGE_ERROR, INPUT_ERROR, ARTIFACT_ERROR, RESOURCE_ERROR = 2, 4, 5, 6
TRAIN = ("train-w2v", "corpus.txt", "--dim", "4", "--epochs", "1", "--threads", "1", "-q")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a read-only folder with a text, and folders `own`, `cache` and `small` for writing."""
    write_corpus(tmp_path)
    for name in ("own", "cache", "small"):
        (tmp_path / name).mkdir()
    (tmp_path / "shut").mkdir(mode=0o000)
    tmp_path.chmod(0o555)
    yield tmp_path
    tmp_path.chmod(0o755)


def run(folder: Path, *args: str, **environment: str | None) -> tuple[int, str]:
    """Run a command with the rights of an ordinary user; return exit code and stderr."""
    changes = {"NLPSEQ_CACHE_DIR": str(folder / "cache"), **environment}
    env = {name: value for name, value in (os.environ | changes).items() if value is not None}
    done = subprocess.run(
        [*NLPSEQ, *args],
        cwd=folder,
        env=env,
        preexec_fn=lose_rights,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_child_process_loses_rights_of_root(folder: Path) -> None:
    made = subprocess.run(
        ["touch", folder / "made"], preexec_fn=lose_rights, capture_output=True, check=False
    )
    assert made.returncode and not (folder / "made").exists()


OUTPUTS = [
    (*TRAIN, "-o", "out.w2v"),
    ("preprocess", "corpus.txt", "-o", "out.tokens", "-q"),
    ("train-counts", "corpus.txt", "--dim", "4", "-o", "out.w2v", "-q"),
    ("train-lm", "corpus.txt", "--preset", "tiny", "--epochs", "1", "-o", "out.lm", "-q"),
    ("convert", "own/model.w2v", "out.vec", "-q"),
]


@pytest.mark.parametrize(
    "commands",
    [pytest.param(OUTPUTS[:2], id="fast"), pytest.param(OUTPUTS, id="all", marks=pytest.mark.trust)],
)
def test_unwritable_output_folder_is_reported_first(
    folder: Path, tally: Tally, commands: list[tuple[str, ...]]
) -> None:
    if commands == OUTPUTS:
        assert run(folder, *TRAIN, "-o", "own/model.w2v")[0] == 0
    cold = folder / "own" / "cold"
    for command in commands:
        with tally.case(command[0]):
            code, err = run(folder, *command, NLPSEQ_CACHE_DIR=str(cold))
            assert code == RESOURCE_ERROR and "out." in err and "-o" in err, (code, err)
            assert not stale_files(folder)
            assert not list(cold.glob("tokens/*")), "the text was encoded before the check"


@pytest.mark.trust
def test_errors_name_unsearchable_folders(folder: Path, tally: Tally) -> None:
    (folder / "own" / "model.w2v").mkdir(mode=0o000)
    for code, command in (
        (RESOURCE_ERROR, (*TRAIN, "-o", "shut/x.w2v")),
        (RESOURCE_ERROR, ("preprocess", "corpus.txt", "-o", "shut/x.tokens")),
        (INPUT_ERROR, ("preprocess", "shut/corpus.txt")),
        (INPUT_ERROR, ("train-lm", "shut/x.lm", "--resume")),
        (INPUT_ERROR, ("generate", "shut/x.lm")),
        (INPUT_ERROR, ("inspect", "shut/x.lm")),
        (USAGE_ERROR, (*TRAIN, "-o", "own/model.w2v", "--force")),
    ):
        with tally.case(" ".join(command)):
            found, err = run(folder, *command)
            assert found == code and err.count(". ") >= 1, (found, err)
            assert "shut/" in err or "model.w2v" in err, err
    (folder / "own" / "model.w2v").chmod(0o755)


# Runs nlpseq as a user without a home folder, as in a container.
HOMELESS = """
import pwd
from nlpseq.__main__ import main

def refuse(number):
    raise KeyError("getpwuid(): uid not found")

pwd.getpwuid = refuse
main()
"""


def test_training_works_without_home_fast(folder: Path, tally: Tally) -> None:
    """Keep the compiled kernels, because Numba takes long to compile them again."""
    unset = {"HOME", "XDG_CACHE_HOME", "NLPSEQ_CACHE_DIR"}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    with tally.case("no HOME"):
        done = subprocess.run(
            [sys.executable, "-c", HOMELESS, *TRAIN[:-1], "-o", "own/out.w2v"],
            cwd=folder,
            env=env | {"TMPDIR": str(folder / "own")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "nlpseq: warning: cache folder " in done.stderr, done.stderr
        assert artifact.is_result(folder / "own" / "out.w2v")
        check_whole(folder / "own" / "out.w2v")


@pytest.mark.trust
def test_training_works_without_home_or_cache(folder: Path, tally: Tally) -> None:
    nowhere = {"NUMBA_CACHE_DIR": None, "HOME": None, "XDG_CACHE_HOME": None, "NLPSEQ_CACHE_DIR": None}
    for name, environment in {
        "no HOME": nowhere,
        "HOME that is not there": nowhere | {"HOME": str(folder / "shut" / "home")},
        "HOME of another": nowhere | {"HOME": str(folder / "shut")},
        "a cache that may not be written": {"NLPSEQ_CACHE_DIR": str(folder / "shut" / "cache")},
    }.items():
        with tally.case(name):
            code, err = run(folder, *TRAIN, "-o", f"own/{len(name)}.w2v", **environment)
            assert code == 0, (code, err)
            assert (folder / "own" / f"{len(name)}.w2v").exists()


@pytest.mark.trust
def test_errors_name_unreadable_files(folder: Path, tally: Tally) -> None:
    assert run(folder, *TRAIN, "-o", "own/model.w2v")[0] == 0
    (folder / "corpus.txt").chmod(0o000)
    with tally.case("a text"):
        code, err = run(folder, *TRAIN, "-o", "own/out.w2v")
        assert code == INPUT_ERROR and "corpus.txt" in err, (code, err)
    for name in ("vectors.npy", "vocab.tsv", "meta.json", "MANIFEST.json"):
        file = folder / "own" / "model.w2v" / name
        file.chmod(0o000)
        with tally.case(name):
            code, err = run(folder, "neighbors", "own/model.w2v", "wordaa")
            assert code == ARTIFACT_ERROR and name in err, (code, err)
        file.chmod(0o644)
    with tally.case("a folder without search permission"):
        (folder / "own" / "model.w2v").chmod(0o000)
        code, err = run(folder, "neighbors", "own/model.w2v", "wordaa")
        assert code in (USAGE_ERROR, INPUT_ERROR, ARTIFACT_ERROR) and "model.w2v" in err, (code, err)
        (folder / "own" / "model.w2v").chmod(0o755)


@pytest.fixture
def small(folder: Path) -> Iterator[Callable[[int], Path]]:
    """Yield a function: kilobytes to an empty folder on a file system of that size."""
    place = folder / "small"

    def mounted(kilobytes: int) -> Path:
        unmount(place)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here")
        return place

    yield mounted
    unmount(place)


def unmount(place: Path) -> None:
    if os.path.ismount(place):
        subprocess.run(["umount", str(place)], check=True)


FILLING = {
    "train-w2v": (*TRAIN, "--dim", "200", "--force", "-o", "small/out"),
    "preprocess": ("preprocess", "corpus.txt", "--cooccurrence", "-q", "--force", "-o", "small/out"),
    "train-counts": ("train-counts", "corpus.txt", "--dim", "30", "-q", "--force", "-o", "small/out"),
    "convert": ("convert", "own/model.w2v", "small/out.vec", "-q", "--force"),
}


MANY = (8, 16, 32, 64, 100, 200, 400, 800)  # kB


@pytest.mark.parametrize(
    ("name", "sizes"),
    [pytest.param(name, MANY, id=name, marks=pytest.mark.trust) for name in FILLING],
)
def test_full_file_system_keeps_old_result(
    folder: Path, small: Callable[[int], Path], tally: Tally, name: str, sizes: tuple[int, ...]
) -> None:
    """Run twice on each size: a result of the first run must survive a failure of the second."""
    assert run(folder, *TRAIN, "--dim", "100", "-o", "own/model.w2v")[0] == 0
    out, codes = folder / next(each for each in FILLING[name] if each.startswith("small/")), set()
    for kilobytes in sizes:
        place = small(kilobytes)
        for _ in range(2):
            before = contents(Work((), out.name), place)
            with tally.case(f"{name}, {kilobytes} kB"):
                code, err = run(folder, *FILLING[name], NLPSEQ_CACHE_DIR=str(place / "cache"))
                assert code in (0, RESOURCE_ERROR), (code, err)
                unchanged = contents(Work((), out.name), place) == before
                assert unchanged or code == 0, "the old result has changed"
                check_whole(out)
                assert not stale_files(place)
                codes.add(code)
    with tally.case(f"{name}, some sizes fit and some do not"):
        assert codes == {0, RESOURCE_ERROR}, codes
