"""Watch the checkpoints of training runs, and kill a run after a checkpoint."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.results import stale_files

from nlpseq.training.runner import Checkpointer


def count_saves(monkeypatch: pytest.MonkeyPatch) -> list[Checkpointer]:
    """Return a list that grows by an item at each checkpoint of later runs."""
    saves, save = list[Checkpointer](), Checkpointer.save

    def save_and_count(checkpointer: Checkpointer) -> None:
        save(checkpointer)
        saves.append(checkpointer)

    monkeypatch.setattr(Checkpointer, "save", save_and_count)
    return saves


# Runs nlpseq, killed after the second checkpoint.
KILLED = """
import os, signal
from nlpseq.__main__ import main
from nlpseq.training.runner import Checkpointer

saves, save = [], Checkpointer.save

def save_and_count(checkpointer):
    save(checkpointer)
    saves.append(checkpointer)
    if len(saves) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Checkpointer.save = save_and_count
main()
"""


def check_kill_amid_training(run_cli: Any, path: Path, *line: str) -> None:
    """Check that a killed run leaves the old result at its path, and a checkpoint to resume."""
    assert run_cli(*line).exit_code == 0
    old = {file.name: file.read_bytes() for file in path.iterdir()}
    again = [*line, "--seed", "7", "--force", "--checkpoint-every", "0.000001s"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *again], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == old
    assert run_cli("inspect", path / "checkpoint").exit_code == 0
    assert run_cli(line[0], path, "--resume").exit_code == 0
    new = {file.name: file.read_bytes() for file in path.iterdir()}
    assert set(new) == set(old) and new["MANIFEST.json"] != old["MANIFEST.json"]
    assert stale_files(path.parent) == []
