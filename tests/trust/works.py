"""Commands on a small text, each with what it makes, so that they can be killed, stopped and starved."""

import os
import random
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

from nlpseq.storage import artifact
from nlpseq.storage.locks import LOCK
from nlpseq.storage.manifest import check_manifest
from nlpseq.storage.stale import PREFIX
from nlpseq.vectors.vectors import Vectors

NLPSEQ = (sys.executable, "-m", "nlpseq")


@dataclass(frozen=True)
class Work:
    """A command, and the name of what it makes.

    also: of a further file that it makes. cold: whether it has a cache of its own, which `prepare` removes.
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


# One thread and a seed, so that each run ends with the same bytes; a checkpoint whenever one can be made, so
# that each run makes the same calls.
_AGAIN = ("--threads", "1", "--seed", "1", "--checkpoint-every", "0.000001s")
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
    "convert": Work(("convert", "model.w2v", "model.vec"), "model.vec"),
    "convert to a pair": Work(("convert", "model.w2v", "pair.npy"), "pair.npy", also="pair.vocab.tsv"),
}
COLD = {"train-w2v, cold": replace(WORKS["train-w2v"], cold=True)}  # which encodes the text for its cache
CACHE, ANOTHER = "cache", "another"  # folders: of what is cold, and where the same is made of another text
TIMED = (
    "MANIFEST.json",
    "README.md",
    "meta.json",
    "metrics.jsonl",
)  # in which training stores how long it took


def write_corpus(folder: Path, stem: str = "word", size: int = 60) -> None:
    """A text of `size` words, each beginning with the stem, in five times as many sentences."""
    chance = random.Random(0)
    words = [f"{stem}{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(size)]
    lines = [" ".join(chance.choices(words, k=10)) for _ in range(5 * size)]
    (folder / "corpus.txt").write_text("\n".join(lines) + "\n")


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
    """Exit code and stderr."""
    child = start(work, folder, **environment)
    _, err = child.communicate(timeout=120)
    return child.returncode, err


def check_whole(path: Path) -> None:
    """Check that everything there is complete."""
    if path.is_dir():
        if is_complete(path):
            check_manifest(path)
        for inner in path.iterdir():
            if inner.is_dir():
                check_manifest(inner)
    elif path.exists():
        Vectors.load(path)


def is_complete(path: Path) -> bool:
    """Return True if a result is there; a checkpoint alone is none."""
    return path.is_file() or (path / "meta.json").exists()


def checkpoint_of(path: Path) -> Path:
    """Return the folder of the checkpoint of a run."""
    return path / artifact.CHECKPOINT


def leftovers(folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for name in (PREFIX, LOCK) for file in folder.rglob(f"{name}*")]


QUICK = ("preprocess", "train-w2v", "convert to a pair")


def each_work(fast: int, whole: int, *more: str) -> list[ParameterSet]:
    """Parameters `name` and `number`: some works with few cases, and marked `trust` all with all cases.

    more: names in COLD.
    """
    few = [pytest.param(name, fast, id=f"{name}-fast") for name in QUICK]
    return few + [pytest.param(name, whole, id=name, marks=pytest.mark.trust) for name in (*WORKS, *more)]


def duration(work: Work, folder: Path) -> float:
    begun = time.monotonic()
    assert run(work, folder)[0] == 0
    return time.monotonic() - begun


Contents = dict[str, bytes]


class Outcomes(NamedTuple):
    """What may lie where a work puts what it makes: no file of one is as it is in the other."""

    old: Contents
    new: Contents


@cache
def outcomes(work: Work, folder: Path) -> Outcomes:
    """Of runs that nothing disturbed: the new one is of the text in the folder, the old one of another."""
    another = folder / ANOTHER
    if not another.exists():
        another.mkdir()
        write_corpus(another, "other", 50)
        assert run(WORKS["train-w2v"], another)[0] == 0
        shutil.copytree(another / "corpus.w2v", another / "model.w2v")
    made = []
    for place in (another, folder):
        _clear(work, place)
        code, err = run(work, place)
        assert code == 0, err
        made.append(contents(work, place))
    same = [file for file in made[0] if made[0][file] == made[1].get(file)]
    assert set(made[0]) == set(made[1]) and not same, same
    return Outcomes(*made)


def contents(work: Work, folder: Path) -> Contents:
    """Bytes of all that lies where a work puts what it makes."""
    places = [folder / name for name in (work.makes, work.also) if name]
    files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def what_lies_there(work: Work, folder: Path) -> Literal["none", "old", "new", "unfinished", "neither"]:
    found, path = contents(work, folder), folder / work.makes
    old, new = outcomes(work, folder)
    if not found and not any(path.glob("*") if path.is_dir() else [path] if path.exists() else []):
        return "none"
    if found == old:
        return "old"
    check_whole(path)
    result = {name: data for name, data in found.items() if "/checkpoint/" not in name}
    if work.trains and len(result) < len(found):
        return "unfinished" if not result else "old" if result == old else "neither"
    return "new" if lasting(work, found) == lasting(work, new) else "neither"


def lasting(work: Work, found: Contents) -> Contents:
    """What is the same each time, which is all but for times."""
    return {name: data for name, data in found.items() if not (work.trains and Path(name).name in TIMED)}


def prepare(work: Work, folder: Path, *, old: bool) -> None:
    """Have an old result in the way, of another text, or none."""
    known = outcomes(work, folder)
    _clear(work, folder)
    for name, data in known.old.items() if old else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _clear(work: Work, folder: Path) -> None:
    for place in (folder / name for name in (work.makes, work.also) if name):
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    if work.cold:
        shutil.rmtree(folder / CACHE, ignore_errors=True)


LEARNT = ("vectors.npy", "contexts.npy", "model.safetensors")


def learnt(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in LEARNT if (path / name).exists()}
