"""Commands on a small text and their outputs, for tests that kill, stop and starve them."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from _pytest.mark.structures import ParameterSet
from support.texts import random_corpus

from nlpseq.storage import artifact
from nlpseq.storage.manifest import check_manifest
from nlpseq.vectors.vectors import Vectors

NLPSEQ = (sys.executable, "-m", "nlpseq")


@dataclass(frozen=True)
class Work:
    """A command and the name of its output.

    also: name of a second output file. cold: the command has a cache of its own, removed by `prepare`.
    """

    args: tuple[str, ...]
    makes: str
    also: str | None = None
    cold: bool = False

    @property
    def trains(self) -> bool:
        return self.args[0].startswith("train-")

    def command(self) -> list[str]:
        return [*NLPSEQ, *self.args, "-q", *([] if "--resume" in self.args else ["--force"])]


# One thread and a seed, so that each run ends with the same bytes; a checkpoint after each step, so that each
# run makes the same calls.
_AGAIN = ("--threads", "1", "--seed", "1", "--checkpoint-every", "0.000001s")
MODEL = "model.w2v"  # see make_model
WORKS = {
    "preprocess": Work(("preprocess", "corpus.txt", "--cooccurrence"), "corpus.tokens"),
    "train-w2v": Work(("train-w2v", "corpus.txt", "--dim", "8", "--epochs", "3", *_AGAIN), "corpus.w2v"),
    "train-counts": Work(
        ("train-counts", "corpus.txt", "--method", "glove", "--dim", "8", "--epochs", "1", *_AGAIN),
        "corpus.glove",
    ),
    "train-lm": Work(
        (
            *("train-lm", "corpus.txt", "--preset", "tiny", "--epochs", "1", "--hidden", "8", "--dim", "8"),
            *("--precision", "fp32", *_AGAIN),
        ),
        "corpus.lm",
    ),
    "convert": Work(("convert", MODEL, "model.vec"), "model.vec"),
    "convert to a pair": Work(("convert", MODEL, "pair.npy"), "pair.npy", also="pair.vocab.tsv"),
}
COLD = {"train-w2v, cold": replace(WORKS["train-w2v"], cold=True)}  # encodes the text for an empty cache
CACHE, ANOTHER = "cache", "another"  # folders: the cache of cold works, and outputs for another text
TIMED = ("MANIFEST.json", "README.md", "meta.json", "metrics.jsonl")  # hold the duration of training


def write_corpus(folder: Path, stem: str = "word", size: int = 60) -> None:
    """Write a text of `size` words that begin with the stem, in five times as many sentences."""
    random_corpus(folder, stem=stem, num_types=size, num_lines=5 * size)


def start(work: Work, folder: Path, **environment: str) -> subprocess.Popen[str]:
    own_cache = {"NLPSEQ_CACHE_DIR": str(folder / CACHE)} if work.cold else {}
    return subprocess.Popen(
        work.command(),
        cwd=folder,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"} | own_cache | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(work: Work, folder: Path, **environment: str) -> tuple[int, str]:
    """Return exit code and stderr of a command."""
    with start(work, folder, **environment) as child:
        try:
            _, err = child.communicate(timeout=300)  # of a run that writes often, on a busy machine
        finally:
            child.kill()
    return child.returncode, err


def check_whole(path: Path) -> None:
    """Raise an error unless a file, or a folder and its sub-folders, pass all checks; accept no file."""
    if path.is_dir():
        assert is_complete(path) or checkpoint_of(path).exists(), f"{path}: neither a result nor a checkpoint"
        for folder in (path, *path.iterdir()):
            if folder.is_dir() and (folder != path or is_complete(path)):
                check_manifest(folder)
    elif path.exists():
        Vectors.load(path)


def is_complete(path: Path) -> bool:
    """Return False for a folder with a checkpoint alone."""
    return path.is_file() or artifact.is_result(path)


def checkpoint_of(path: Path) -> Path:
    return path / artifact.CHECKPOINT


QUICK = ("preprocess", "train-w2v", "convert to a pair")


def each_work(fast: int, whole: int, *more: str) -> list[ParameterSet]:
    """Return parameters `name` and `number`: some works with few cases, all works with all cases for trust.

    fast: cases of the works in QUICK, for the marker slow; 0: none, because default tests hold the promise.
    more: names in COLD.
    """
    quick = QUICK if fast else ()
    few = [pytest.param(name, fast, id=f"{name}-fast", marks=pytest.mark.slow) for name in quick]
    return few + [pytest.param(name, whole, id=name, marks=pytest.mark.trust) for name in (*WORKS, *more)]


def duration(work: Work, folder: Path) -> float:
    begun = time.monotonic()
    assert run(work, folder)[0] == 0
    return time.monotonic() - begun


def make_model(folder: Path) -> None:
    """Train the vectors that some works convert."""
    if not (folder / MODEL).exists():
        code, err = run(WORKS["train-w2v"], folder)
        assert code == 0, err
        (folder / WORKS["train-w2v"].makes).rename(folder / MODEL)


Contents = dict[str, bytes]


class Outcomes(NamedTuple):
    """Both possible outputs of a work; no file is the same in old and new."""

    old: Contents
    new: Contents


@cache
def outcomes(work: Work, folder: Path) -> Outcomes:
    """Return the outputs of undisturbed runs: the new one for the text in the folder, the old for another."""
    another = folder / ANOTHER
    if not another.exists():
        another.mkdir()
        write_corpus(another, "other", 50)
    made = []
    for place in (another, folder):
        if MODEL in work.args:
            make_model(place)
        _clear(work, place)
        code, err = run(work, place)
        assert code == 0, err
        made.append(contents(work, place))
    same = [file for file in made[0] if made[0][file] == made[1].get(file)]
    assert set(made[0]) == set(made[1]) and not same, same
    return Outcomes(*made)


def contents(work: Work, folder: Path) -> Contents:
    """Return the bytes of all output files of a work, without its checkpoint."""
    paths = [folder / name for name in (work.makes, work.also) if name]
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    checkpoint = checkpoint_of(folder / work.makes)
    return {
        str(file.relative_to(folder)): file.read_bytes() for file in files if checkpoint not in file.parents
    }


Found = Literal["none", "empty", "old", "new", "unfinished", "neither"]


def what_lies_there(work: Work, folder: Path) -> Found:
    """Compare the output of a work with both outcomes; "empty" is a folder without entries."""
    found, path = contents(work, folder), folder / work.makes
    old, new = outcomes(work, folder)
    if path.is_dir() and not any(path.iterdir()):
        return "empty"
    check_whole(path)
    if not found:
        return "unfinished" if checkpoint_of(path).exists() else "none"
    if found == old:
        return "old"
    return "new" if lasting(work, found) == lasting(work, new) else "neither"


def lasting(work: Work, found: Contents) -> Contents:
    """Return the files without a duration, which are the same in each run."""
    return {name: data for name, data in found.items() if not (work.trains and Path(name).name in TIMED)}


def prepare(work: Work, folder: Path, *, old: bool) -> None:
    """Replace the output of a work by the old outcome, or by nothing."""
    known = outcomes(work, folder)
    _clear(work, folder)
    for name, data in known.old.items() if old else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _clear(work: Work, folder: Path) -> None:
    for path in (folder / name for name in (work.makes, work.also) if name):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if work.cold:
        shutil.rmtree(folder / CACHE, ignore_errors=True)


LEARNT = ("vectors.npy", "contexts.npy", "model.safetensors")


def learnt(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in LEARNT if (path / name).exists()}
