"""What tests of trust share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import build
from tallies import TALLIES, Tally
from works import WORKS, run, write_corpus


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """The cases of this test; it fails where one of them did not hold."""
    promise = request.node.function.__name__.removeprefix("test_").replace("_", " ")
    found = Tally()
    yield found
    tallies = request.config.stash.setdefault(TALLIES, {})
    whole = tallies.setdefault(promise, Tally())
    whole.tried, whole.held = whole.tried + found.tried, whole.held + found.held
    assert not found.broken, f"{len(found.broken)} of {found.tried} cases, such as " + "\n".join(
        found.broken[:3]
    )
    assert found.tried


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tallies = terminalreporter.config.stash.get(TALLIES, {})
    if tallies:
        terminalreporter.section("promises")
        for promise, tally in tallies.items():
            terminalreporter.write_line(f"{tally.held:>8,} of {tally.tried:>8,} held   {promise}")


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """faults.c, ready to be preloaded."""
    return build(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, and everything that the commands make of it."""
    folder = tmp_path_factory.mktemp("works")
    write_corpus(folder)
    assert run(WORKS["train-w2v"], folder)[0] == 0
    shutil.copytree(folder / "corpus.w2v", folder / "model.w2v")
    for work in WORKS.values():
        code, err = run(work, folder)
        assert code == 0, err
    return folder
