"""Signals during training: the first saves the run, the second stops at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# At SIGUSR1, the process sends the signals to its own process, while the clock stands still.
SCRIPT = """
import os, signal, sys, time

real, is_frozen = time.monotonic, False
time.monotonic = lambda: 1.0 if is_frozen else real()
from nlpseq.__main__ import main

def send(*_):
    global is_frozen
    is_frozen = True
    for number in {signals}:
        os.kill(os.getpid(), number)
    is_frozen = False

signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGUSR1, send)
main()
"""


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Return a function to train until the first checkpoint and send signals."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("the king speaks to the queen\n" * 300)
    options = ["--epochs", "100000000", "--threads", "1", "--checkpoint-every", "0.05s"]

    def run(*signals):
        code = SCRIPT.format(signals=[int(number) for number in signals])
        child = subprocess.Popen(
            [sys.executable, "-c", code, "train-w2v", "corpus.txt", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while child.poll() is None and not Path("corpus.w2v").exists():
            time.sleep(0.01)
        assert child.poll() is None, child.communicate()
        os.kill(child.pid, signal.SIGUSR1)
        out, err = child.communicate()
        assert out == "" and "Traceback" not in err
        return child.returncode, err

    return run


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGHUP], 129),
        ([signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGTERM], 143),  # as from `timeout`
        ([signal.SIGTERM, signal.SIGHUP], 143),  # as at a logout
    ],
)
def test_first_signal_saves_run(run_cli, train, signals, code):
    assert (found := train(*signals))[0] == code, found
    assert found[1].splitlines()[-1].endswith("nlpseq train-w2v corpus.w2v --resume")
    assert "stopping after this step; send the signal again to stop at once" in found[1]
    assert run_cli("train-w2v", "corpus.w2v", "--resume", "--dim", 3).exit_code == 2, "another dim"


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGHUP, signal.SIGINT], 130)],
)
def test_second_signal_stops_at_once(run_cli, train, signals, code):
    assert (found := train(*signals))[0] == code, found
    assert "stopped and saved" not in found[1]
    assert "nlpseq: stopped by " in found[1].splitlines()[-1]
    assert not [each for each in os.listdir() if each.startswith(".nlpseq")]  # noqa: PTH208
