"""Commands on a small text, each with what it makes, so that they can be killed, stopped and starved."""

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from nlpseq import artifact
from nlpseq.claim import LOCK
from nlpseq.leftovers import PREFIX, UNFINISHED
from nlpseq.manifest import check_manifest
from nlpseq.vectors.vectors import Vectors

NLPSEQ = (sys.executable, "-m", "nlpseq")


@dataclass(frozen=True)
class Work:
    """A command, and the name of what it makes."""

    args: tuple[str, ...]
    makes: str

    def command(self) -> list[str]:
        return [*NLPSEQ, *self.args, "-q", *([] if "--resume" in self.args else ["--force"])]


WORKS = {
    "preprocess": Work(("preprocess", "corpus.txt", "--cooccurrence"), "corpus.tokens"),
    "train-w2v": Work(
        ("train-w2v", "corpus.txt", "--dim", "8", "--epochs", "3", "--checkpoint-every", "0.03s"),
        "corpus.w2v",
    ),
    "train-counts": Work(
        (
            "train-counts",
            "corpus.txt",
            "--method",
            "glove",
            "--dim",
            "8",
            "--epochs",
            "2",
            "--checkpoint-every",
            "0.03s",
        ),
        "corpus.glove",
    ),
    "train-lm": Work(
        (
            "train-lm",
            "corpus.txt",
            "--preset",
            "tiny",
            "--epochs",
            "1",
            "--hidden",
            "8",
            "--dim",
            "8",
            "--checkpoint-every",
            "0.03s",
            "--precision",
            "fp32",
        ),
        "corpus.lm",
    ),
    "convert": Work(("convert", "model.w2v", "model.vec"), "model.vec"),
    "convert to a pair": Work(("convert", "model.w2v", "pair.npy"), "pair.npy"),
}


def write_corpus(folder: Path) -> None:
    chance = random.Random(0)
    words = [f"word{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(60)]
    lines = [" ".join(chance.choices(words, k=10)) for _ in range(300)]
    (folder / "corpus.txt").write_text("\n".join(lines) + "\n")


def start(work: Work, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        work.command(),
        cwd=folder,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(work: Work, folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and stderr."""
    child = start(work, folder, **environment)
    _, err = child.communicate(timeout=120)
    return child.returncode, err


def check_whole(path: Path) -> None:
    """What is there can be read, and is nothing half-made."""
    if path.is_dir():
        check_manifest(path)
        for inner in path.iterdir():
            if inner.is_dir():
                check_manifest(inner)
    elif path.exists():
        Vectors.load(path)


def is_complete(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and artifact.peek_meta(path).get("complete") is not False)


def beside(path: Path) -> Path:
    """Where a run is stored that will replace what is at the path."""
    return path.with_name(path.name + UNFINISHED)


def leftovers(folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for name in (PREFIX, LOCK) for file in folder.rglob(f"{name}*")]


QUICK = ("preprocess", "train-w2v", "convert to a pair")


def each_work(fast: int, whole: int) -> list[ParameterSet]:
    """Parameters `name` and `number`: some works with few cases, and marked `trust` all with all cases."""
    few = [pytest.param(name, fast, id=f"{name}-fast") for name in QUICK]
    return few + [pytest.param(name, whole, id=name, marks=pytest.mark.trust) for name in WORKS]


def duration(work: Work, folder: Path) -> float:
    begun = time.monotonic()
    assert run(work, folder)[0] == 0
    return time.monotonic() - begun


def prepare(work: Work, folder: Path, *, old: bool) -> bool:
    """Have an old result in the way, or none."""
    path = folder / work.makes
    if old:
        if not is_complete(path):
            assert run(work, folder)[0] == 0
    else:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(beside(path), ignore_errors=True)
    return old
