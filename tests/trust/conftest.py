"""What tests of trust share."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tallies import TALLIES, Tally


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
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler, "a C compiler is needed to have writes fail"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"], check=True)
    return library
