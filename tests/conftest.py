"""Shared by all tests: one cache, no network, and the command line as a function.

`pytest --hypothesis-profile=thorough` tries nearly twenty times as many examples of each property.
"""

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from click.testing import CliRunner, Result
from support.web_server import WebServer

RunCli = Callable[..., Result]
ROOT = Path(__file__).parents[1]

for name, max_examples in (("thorough", 1500), ("default", 80)):
    hypothesis.settings.register_profile(name, deadline=None, derandomize=True, max_examples=max_examples)
hypothesis.settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the cache before a test file imports Numba; child processes and workers inherit the choice.

    Each worker has a folder for encoded corpora, deleted after the session. All workers share a folder of
    compiled kernels in `.pytest_cache`, kept until `pytest --cache-clear`; no test may patch a constant of a
    kernel module. OpenMP has one thread, because a worker has about one core.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if getattr(config.option, "dist", "no") == "load":  # because a worker then runs most tests of a file
        config.option.dist = "worksteal"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = tempfile.mkdtemp(prefix="nlpseq-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["NLPSEQ_TEST_DIR"] = folder
        os.environ["NUMBA_CACHE_DIR"] = str(kernel_cache(config, folder))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    os.environ["NLPSEQ_CACHE_DIR"] = str(Path(os.environ["NLPSEQ_TEST_DIR"], worker))


def kernel_cache(config: pytest.Config, otherwise: str) -> Path:
    """Return a folder named after the kernels' sources, because Numba ignores changes of callees."""
    if getattr(config, "cache", None) is None:  # because of `-p no:cacheprovider`
        return Path(otherwise, "numba")
    sources = [*ROOT.glob("nlpseq/**/*_numba.py"), ROOT / "nlpseq" / "core" / "counter_rng.py"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()
    return config.cache.mkdir("kernels") / digest[:16]


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a test connects to the network; only a test with a web_server may reach this machine."""
    connect = socket.socket.connect
    is_allowed = "web_server" in request.fixturenames

    def check(self: socket.socket, address: Any) -> None:
        if not is_allowed or address[0] != "127.0.0.1":
            raise AssertionError("a test connected to the network")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", check)


@pytest.fixture
def web_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """Run a web server on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with WebServer() as server:
        yield server


@pytest.fixture
def run_cli() -> RunCli:
    """Return a function that runs a command line in this process, such as ("inspect", path)."""

    def run(*args: object, **options: Any) -> Result:
        main = import_module("nlpseq.cli").main
        return CliRunner().invoke(main, [str(arg) for arg in args], **options)

    return run
