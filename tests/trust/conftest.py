"""Shared by the trust tests: markers, tallies of promises, and a text for every command.

`pytest -m trust` tries every case of a promise. Cases marked `trust` in a test file also get the marker
`whole`, and the default suite leaves them out. In the default suite run the unmarked tests of a second or
two, and slices with `fast` in the id, unless they are marked `slow`.
"""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from commands import write_corpus
from faults import build
from tallies import TALLIES, Tally

WAS_SKIPPED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark long cases `whole`, and all cases but the fast slices `trust`."""
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        if item.get_closest_marker("trust"):
            item.add_marker("whole")
        elif "fast" not in item.name:
            item.add_marker("trust")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Yield an empty tally, and fail the test if a case did not hold."""
    found = Tally()
    yield found
    promise = request.node.function.__name__.removeprefix("test_").replace("_", " ")
    row = (request.module.__doc__.partition("\n")[0], promise, found.tried, found.held)
    request.node.user_properties.append(("tally", row))
    examples = "\n".join(found.broken[:3])
    assert not found.broken, f"{len(found.broken)} of {found.tried} cases are broken: {examples}"
    assert found.tried or request.node.stash[WAS_SKIPPED]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[WAS_SKIPPED] = report.skipped
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, row in report.user_properties:
        if name == "tally" and report.when == "teardown":
            heading, promise, tried, held = row
            whole = TALLIES.setdefault(heading, {}).setdefault(promise, Tally())
            whole.tried, whole.held = whole.tried + tried, whole.held + held


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLIES:
        terminalreporter.section("promises")
    for heading, tallies in TALLIES.items():
        terminalreporter.write_line(heading)
        for promise, tally in tallies.items():
            terminalreporter.write_line(f"{tally.held:>10,} of {tally.tried:>8,} held   {promise}")


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return faults.c, compiled, for LD_PRELOAD."""
    return build(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a text, for commands.WORKS; the tests of one file may change it."""
    folder = tmp_path_factory.mktemp("folder")
    write_corpus(folder)
    return folder
