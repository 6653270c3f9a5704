"""A run killed and resumed, once or often, ends with the bytes of an uninterrupted run."""

import random
import shutil
import time
from pathlib import Path

import pytest
from commands import Work, checkpoint_of, learnt, run, start
from support.results import stale_files
from tallies import Tally

from nlpseq.storage.locks import remove_stale_temporaries

MAX_KILLS = 4  # of one run
OFTEN = ("--checkpoint-every", "0.05s")
OF_W2V = ("train-w2v", "corpus.txt", "--dim", "8", *OFTEN, "--epochs")
RUNS = {
    "one thread": Work((*OF_W2V, "400", "--threads", "1"), "corpus.w2v"),
    "deterministic": Work((*OF_W2V, "1000", "--threads", "2", "--deterministic"), "corpus.w2v"),
    "glove": Work(
        (
            *("train-counts", "corpus.txt", "--method", "glove", "--dim", "8"),
            *("--threads", "2", *OFTEN, "--epochs", "60"),
        ),
        "corpus.glove",
    ),
    "lm": Work(
        (
            *("train-lm", "corpus.txt", "--preset", "tiny", "--hidden", "8", "--dim", "8", "--threads", "1"),
            *("--precision", "fp32", *OFTEN, "--epochs", "60"),
        ),
        "corpus.lm",
    ),
}


@pytest.mark.parametrize(
    ("name", "times"),
    [pytest.param(name, 10, id=name, marks=pytest.mark.trust) for name in RUNS],
)
def test_resume_after_kill_gives_same_bytes(folder: Path, tally: Tally, name: str, times: int) -> None:
    work, chance = RUNS[name], random.Random(name)
    assert run(work, folder)[0] == 0
    wanted = learnt(folder / work.makes)
    kills = 0
    for number in range(times):
        replaces = bool(number % 2)  # with checkpoints inside the old result
        if not replaces:
            shutil.rmtree(folder / work.makes)
        with tally.case(f"{name}, {number}"):
            kills += run_with_kills(work, folder, chance)
            assert learnt(folder / work.makes) == wanted
            assert not checkpoint_of(folder / work.makes).exists()
            remove_stale_temporaries(folder)  # of a kill after the end of the training
            assert not stale_files(folder), stale_files(folder)

    with tally.case(f"{name}, {kills} kills amid the training"):
        assert kills >= times


def run_with_kills(work: Work, folder: Path, chance: random.Random) -> int:
    """Kill and resume a run up to MAX_KILLS times, each after a checkpoint; return the number of kills."""
    path = folder / work.makes
    place, kills = checkpoint_of(path), 0
    command = work
    while kills < MAX_KILLS:
        before = stamp(place)
        child = start(command, folder)
        while child.poll() is None and stamp(place) == before:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        child.kill()
        _, err = child.communicate()
        assert child.returncode in (0, -9), (child.returncode, err)
        if not place.exists():
            return kills
        kills += 1
        command = Work((work.args[0], str(path), "--resume", *OFTEN), work.makes)
    code, err = run(command, folder)
    assert code == 0, err
    return kills


def stamp(place: Path) -> int | None:
    """Return the time of the last checkpoint."""
    try:
        return place.stat().st_ctime_ns
    except FileNotFoundError:
        return None
