"""What every test gets: its own cache, no network, and the command line as a function."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

RunCli = Callable[..., Result]


def pytest_configure(config: pytest.Config) -> None:
    """One cache for the session, set before any test file imports Numba; child processes share it."""
    folder = tempfile.mkdtemp(prefix="nlpseq-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["NLPSEQ_CACHE_DIR"] = folder
    os.environ["NUMBA_CACHE_DIR"] = str(Path(folder, "numba"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def run_cli() -> RunCli:
    """run_cli("inspect", path, input=...) -> click's Result, with stdout and stderr apart."""

    def run(*args: object, **options: Any) -> Result:
        main = import_module("nlpseq.cli").main
        return CliRunner().invoke(main, [str(arg) for arg in args], **options)

    return run
