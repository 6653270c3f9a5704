"""Too little memory ends a command with exit code 6, before the work if the need is known."""

import resource
import subprocess
from pathlib import Path

import pytest
from commands import MODEL, NLPSEQ, WORKS, Work, check_whole, make_model, prepare, write_corpus
from support.results import stale_files
from tallies import Tally

from nlpseq.core.resources import NUMBA, TORCH, available_cores

OK, RESOURCE_ERROR = 0, 6
QUERIES = {
    "neighbors": Work(("neighbors", MODEL, "wordaa"), ""),
    "generate": Work(("generate", "corpus.lm", "--num-tokens", "3"), ""),
}
SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0, 1.1, 1.3)


def run(command: list[str], folder: Path, addresses: int) -> tuple[int, str]:
    """Run a command with a limit of address space in bytes; return exit code and stderr."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses)),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_small_address_space_is_refused_fast(tmp_path: Path, tally: Tally) -> None:
    write_corpus(tmp_path)
    each, for_a_core = NUMBA
    with tally.case("train-w2v, 20%"):
        code, err = run(WORKS["train-w2v"].command(), tmp_path, (each + for_a_core * available_cores()) // 5)
        assert code == RESOURCE_ERROR and "ulimit -v" in err, (code, err)
        assert [file.name for file in tmp_path.iterdir()] == ["corpus.txt"]


@pytest.mark.trust
@pytest.mark.parametrize("name", [*WORKS, *QUERIES])
def test_small_address_space_is_refused(folder: Path, tally: Tally, name: str) -> None:
    """Try shares of the address space that the libraries need; 100 % must be enough for a small text."""
    work = WORKS.get(name) or QUERIES[name]
    if name in QUERIES:
        make_model(folder)
        prepare(WORKS["train-lm"], folder, old=True)
    command = work.command() if work.makes else [*NLPSEQ, *work.args]
    each, for_a_core = TORCH if name in ("train-lm", "generate") else NUMBA
    for share in SHARES:
        if work.makes:
            prepare(work, folder, old=True)
        with tally.case(f"{name}, {share:.0%}"):
            code, err = run(command, folder, int(share * (each + for_a_core * available_cores())))
            assert code == (OK if share >= 1 else RESOURCE_ERROR), (code, err)
            assert code == OK or "ulimit -v" in err, err
            assert not stale_files(folder)
            if work.makes:
                check_whole(folder / work.makes)


@pytest.mark.trust
def test_command_too_large_for_memory_is_refused_first(folder: Path, tally: Tally) -> None:
    """Try 1 GB of matrices (200 copies for 60 words), and a network of 6 GB (20,000 units)."""
    for name, more, addresses in (
        ("train-w2v", ("--dim", "10000", "--threads", "200", "--deterministic"), 1100 << 20),
        ("train-lm", ("--hidden", "20000"), 3 << 30),
    ):
        work = WORKS[name]
        prepare(work, folder, old=True)
        with tally.case(name):
            code, err = run([*work.command(), *more], folder, addresses)
            assert code == RESOURCE_ERROR and "are available. Lower --" in err, (code, err)
            check_whole(folder / work.makes)
            assert not stale_files(folder)
