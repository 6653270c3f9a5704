"""Where a process may have little memory, that is said, before the work where it can be known: exit 6."""

import resource
import subprocess
from pathlib import Path

import pytest
from tallies import Tally
from works import NLPSEQ, WORKS, Work, check_whole, prepare, stale_files

from nlpseq.core.resources import NUMBA, TORCH, available_cores

DONE, OF_RESOURCES = 0, 6
ASKED = {
    "neighbors": Work(("neighbors", "model.w2v", "wordaa"), ""),
    "generate": Work(("generate", "corpus.lm", "--num-tokens", "3"), ""),
}
SOME, MANY = (0.2, 0.7), (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0, 1.1, 1.3)


def run(command: list[str], folder: Path, addresses: int) -> tuple[int, str]:
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


@pytest.mark.parametrize(
    ("name", "shares"),
    [pytest.param(name, SOME, id=f"{name}-fast") for name in ("train-w2v", "generate")]
    + [pytest.param(name, MANY, id=name, marks=pytest.mark.trust) for name in (*WORKS, *ASKED)],
)
def test_too_few_addresses_are_said(folder: Path, tally: Tally, name: str, shares: tuple[float, ...]) -> None:
    """In shares of what the libraries take, with which a small text is all right."""
    work = WORKS.get(name) or ASKED[name]
    command = work.command() if work.makes else [*NLPSEQ, *work.args]
    each, for_a_core = TORCH if name in ("train-lm", "generate") else NUMBA
    for share in shares:
        if work.makes:
            prepare(work, folder, old=True)
        with tally.case(f"{name}, {share:.0%}"):
            code, err = run(command, folder, int(share * (each + for_a_core * available_cores())))
            assert code == (DONE if share >= 1 else OF_RESOURCES), (code, err)
            assert code == DONE or "ulimit -v" in err, err
            assert not stale_files(folder)
            if work.makes:
                check_whole(folder / work.makes)


def test_work_that_does_not_fit_is_refused_before_it_begins(folder: Path, tally: Tally) -> None:
    """200 copies of matrices for 60 words are 1 GB, and a network of 20,000 units is more than 6 GB."""
    for name, more, addresses in (
        ("train-w2v", ("--dim", "10000", "--threads", "200", "--deterministic"), 1100 << 20),
        ("train-lm", ("--hidden", "20000"), 3 << 30),
    ):
        work = WORKS[name]
        prepare(work, folder, old=True)
        with tally.case(name):
            code, err = run([*work.command(), *more], folder, addresses)
            assert code == OF_RESOURCES and "are available. Lower --" in err, (code, err)
            check_whole(folder / work.makes)
            assert not stale_files(folder)
