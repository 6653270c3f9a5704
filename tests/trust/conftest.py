"""What tests of trust share.

Those that carry `trust` try every case of a promise. The default suite leaves out the ones of them that carry
`whole`, too, and has a fast slice of each instead.
"""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from faults import build
from tallies import TALLIES, Tally
from works import WORKS, run, write_corpus

WAS_SKIPPED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        if item.get_closest_marker("trust"):
            item.add_marker("whole")
        elif "fast" not in item.name:
            item.add_marker("trust")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """The cases of this test; it fails where one of them did not hold."""
    found = Tally()
    yield found
    promise = request.node.function.__name__.removeprefix("test_").replace("_", " ")
    row = (request.module.__doc__.partition("\n")[0], promise, found.tried, found.held)
    request.node.user_properties.append(("tally", row))
    assert not found.broken, f"{len(found.broken)} of {found.tried} cases, such as " + "\n".join(
        found.broken[:3]
    )
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
    """faults.c, ready to be preloaded."""
    return build(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def works(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, and everything that the commands make of it."""
    folder = tmp_path_factory.mktemp("works")
    write_corpus(folder)
    assert run(WORKS["train-w2v"], folder)[0] == 0
    shutil.copytree(folder / "corpus.w2v", folder / "model.w2v")
    for work in WORKS.values():
        code, err = run(work, folder)
        assert code == 0, err
    return folder


@pytest.fixture(scope="module")
def folder(works: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for the tests of a file to change."""
    return shutil.copytree(works, tmp_path_factory.mktemp("folder"), dirs_exist_ok=True)
