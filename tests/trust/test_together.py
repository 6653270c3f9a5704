"""Many processes at once: shared cache, locked outputs, results overwritten under a reader."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import NLPSEQ, WORKS, each_work, prepare, run, start, write_corpus
from support.results import stale_files
from tallies import Tally

from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors

OF_USAGE = 2
MIN_SAVES_SEEN, MAX_TURNS = 10, 100
READER = """
import sys, hashlib
from nlpseq.vectors.vectors import Vectors
vectors = Vectors.load(sys.argv[1])
print("loaded", flush=True)
for line in sys.stdin:  # after each overwrite
    new = Vectors.load(sys.argv[1])
    print(hashlib.sha256(vectors.matrix.tobytes()).hexdigest(), float(new.matrix[0, 0]), flush=True)
"""


@pytest.mark.parametrize(
    ("processes", "rounds"),
    [
        pytest.param(3, 1, id="fast", marks=pytest.mark.slow),
        pytest.param(16, 20, id="whole", marks=pytest.mark.trust),
    ],
)
def test_processes_share_a_cache(tmp_path: Path, tally: Tally, processes: int, rounds: int) -> None:
    write_corpus(tmp_path)
    environment = {"NUMBA_CACHE_DIR": os.environ["NUMBA_CACHE_DIR"]}
    for round in range(rounds):
        cache = tmp_path / f"cache{round}"
        children = [
            subprocess.Popen(
                [
                    *NLPSEQ,
                    "train-w2v",
                    "corpus.txt",
                    "--dim",
                    "8",
                    "--epochs",
                    "1",
                    "--threads",
                    "1",
                    "-q",
                    "-o",
                    f"{round}-{number}.w2v",
                ],
                cwd=tmp_path,
                env=os.environ | environment | {"NLPSEQ_CACHE_DIR": str(cache)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]
        said = [child.communicate(timeout=300)[1] for child in children]
        first = (tmp_path / f"{round}-0.w2v" / "vectors.npy").read_bytes()
        for number, child in enumerate(children):
            with tally.case(f"round {round}, process {number}"):
                assert child.returncode == 0, said[number]
                assert (tmp_path / f"{round}-{number}.w2v" / "vectors.npy").read_bytes() == first
        with tally.case(f"round {round}, the cache"):
            entries = [entry for entry in (cache / "tokens").iterdir() if entry.is_dir()]
            assert len(entries) == 1, entries
            assert not stale_files(cache)


@pytest.mark.parametrize(("name", "number"), each_work(0, 1))
def test_output_is_locked_against_other_processes(folder: Path, tally: Tally, name: str, number: int) -> None:
    """Refuse a second process, even with --force, until the first has ended or is killed."""
    work = WORKS[name]
    for old in (False, True):
        prepare(work, folder, old=old)
        with tally.case(f"{name}, {'old' if old else 'new'}"):
            first = start(work, folder)
            wait_for_lock(first)
            first.send_signal(signal.SIGSTOP)
            code, err = run(work, folder)
            assert code == OF_USAGE and "is being written by another process" in err, (code, err)
            assert work.makes in err and (folder / work.makes).exists() == old
            first.kill()
            first.communicate()
            code, err = run(work, folder)
            assert code == 0, err
            assert not stale_files(folder), stale_files(folder)


def wait_for_lock(child: subprocess.Popen[str]) -> None:
    while f" {child.pid} " not in Path("/proc/locks").read_text():
        assert child.poll() is None, "the command never locked its output"
        time.sleep(0.001)


SAVER = """
import itertools, sys
import numpy as np
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors
vocab = Vocab(["one", "two"], np.array([2, 1]), 0)
for number in itertools.count():
    matrix = np.full((2, 4), number, np.float32)
    Vectors(vocab, matrix, matrix).save(sys.argv[1], force=True)
    print(number, flush=True) if number == 0 else None
"""


@pytest.mark.parametrize(
    "reads", [pytest.param(300, id="fast"), pytest.param(20_000, id="whole", marks=pytest.mark.trust)]
)
def test_overwritten_result_is_read_whole(tmp_path: Path, tally: Tally, reads: int) -> None:
    """Read all parts of one save, and no corrupt folder."""
    path = tmp_path / "a.w2v"
    saver = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert saver.stdout is not None and saver.stdout.readline() == "0\n"
    seen = set()
    for number in range(MAX_TURNS * reads):
        if number >= reads and len(seen) >= MIN_SAVES_SEEN:  # later if the machine is loaded
            break
        with tally.case(f"read {number}"):
            vectors = Vectors.load(path)
            assert vectors.contexts is not None
            values = {float(vectors.matrix[0, 0]), float(vectors.contexts[0, 0])}
            assert len(values) == 1, "vectors of one save and contexts of another"
            seen |= values
    with tally.case("overwritten meanwhile"):
        assert len(seen) >= MIN_SAVES_SEEN
    saver.kill()
    saver.communicate()


@pytest.mark.parametrize(
    "saves", [pytest.param(5, id="fast"), pytest.param(50, id="whole", marks=pytest.mark.trust)]
)
def test_open_arrays_outlive_an_overwrite(tmp_path: Path, tally: Tally, saves: int) -> None:
    path, vocab = tmp_path / "a.w2v", Vocab(["one", "two"], np.array([2, 1]), 0)

    def save(number: int) -> None:
        Vectors(vocab, np.full((2, 4), number, np.float32)).save(path, force=True)

    save(0)
    command = [sys.executable, "-c", READER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        read_while_saving(reader, save, saves, tally)
    assert reader.returncode == 0


def read_while_saving(
    reader: subprocess.Popen[str], save: Callable[[int], None], saves: int, tally: Tally
) -> None:
    assert reader.stdin is not None and reader.stdout is not None
    assert reader.stdout.readline() == "loaded\n"
    digests = set()
    for number in range(1, saves + 1):
        save(number)
        with tally.case(f"save {number}"):
            print(file=reader.stdin, flush=True)
            digest, value = reader.stdout.readline().split()
            digests.add(digest)
            assert len(digests) == 1, "an open array has changed"
            assert float(value) == number, "the reader does not find the new result"
