"""Signals during training: the first saves the run, the second stops at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.results import stale_files

# At SIGUSR1, the process sends the signals to its own process, `gap` seconds apart on its clock.
SCRIPT = """
import os, signal, sys, time

real, frozen = time.monotonic, None
time.monotonic = lambda: real() if frozen is None else frozen
from nlpseq.__main__ import main

def send(*_):
    global frozen
    frozen = real()
    for number in {signals}:
        os.kill(os.getpid(), number)
        frozen += {gap}
    frozen = None

signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGUSR1, send)
main()
"""


# After the first step, the process closes stderr and sends Ctrl-C to its own process.
CTRL_C_WITHOUT_STDERR = """
import os, signal
from nlpseq.__main__ import main
from nlpseq.training.runner import Checkpointer

real = Checkpointer.should_stop

def should_stop(checkpointer):
    Checkpointer.should_stop = real
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 2)
    os.kill(os.getpid(), signal.SIGINT)
    return real(checkpointer)

Checkpointer.should_stop = should_stop
main()
"""
# Cleanup after Ctrl-C waits for a lock that the exception left taken.
WAIT_FOR_A_LOCK = """
import os, signal, threading
from nlpseq.cli import _shutdown

_shutdown.CLEANUP_S = 0.2
lock = threading.Lock()
lock.acquire()
with _shutdown.StopSignals():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        lock.acquire()
"""
LINE = ["train-w2v", "corpus.txt", "--epochs", "100000000", "--threads", "1", "--checkpoint-every"]


@pytest.fixture(autouse=True)
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("the king speaks to the queen\n" * 300)


@pytest.fixture
def train():
    """Return a function to train until the first checkpoint and send signals."""

    def run(*signals, gap=0.0):
        code = SCRIPT.format(signals=[int(number) for number in signals], gap=gap)
        child = subprocess.Popen(
            [sys.executable, "-c", code, *LINE, "0.05s"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while child.poll() is None and not Path("corpus.w2v/checkpoint").exists():
            time.sleep(0.01)
        assert child.poll() is None, child.communicate()
        os.kill(child.pid, signal.SIGUSR1)
        with child:  # closes the pipes, also after an error
            try:
                out, err = child.communicate(timeout=120)
            finally:
                child.kill()
        assert out == "" and "Traceback" not in err
        return child.returncode, err

    return run


@pytest.mark.parametrize(
    ("signals", "gap", "code"),
    [
        ([signal.SIGHUP], 0, 129),
        ([signal.SIGINT], 0, 130),
        ([signal.SIGTERM, signal.SIGTERM], 0.4, 143),  # as from `timeout`
        ([signal.SIGTERM, signal.SIGHUP], 0, 143),  # as at a logout
    ],
)
def test_first_signal_saves_run(run_cli, train, signals, gap, code):
    assert (found := train(*signals, gap=gap))[0] == code, found
    assert found[1].splitlines()[-1].endswith("nlpseq train-w2v corpus.w2v --resume")
    assert "stopping after this step; send the signal again to stop at once" in found[1]
    assert run_cli("train-w2v", "corpus.w2v", "--resume", "--dim", 3).exit_code == 2, "another dim"


@pytest.mark.parametrize(
    ("signals", "gap", "code"),
    [
        ([signal.SIGINT, signal.SIGINT], 0, 130),
        ([signal.SIGHUP, signal.SIGINT], 0, 130),
        ([signal.SIGTERM, signal.SIGTERM], 0.6, 143),
    ],
)
def test_second_signal_stops_at_once(train, signals, gap, code):
    assert (found := train(*signals, gap=gap))[0] == code, found
    assert "stopped and saved" not in found[1]
    assert "nlpseq: stopped by " in found[1].splitlines()[-1]
    assert stale_files(Path.cwd()) == []


def test_ctrl_c_saves_run_if_stderr_is_closed():
    line = [sys.executable, "-c", CTRL_C_WITHOUT_STDERR, *LINE, "1h"]
    done = subprocess.run(line, capture_output=True, timeout=120, check=False)
    assert done.returncode in (130, 141) and done.stdout == b""
    assert json.loads(Path("corpus.w2v/checkpoint/meta.json").read_text())["complete"] is False
    assert stale_files(Path.cwd()) == []


def test_stop_is_raised_again_if_cleanup_waits():
    line = [sys.executable, "-c", WAIT_FOR_A_LOCK]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.endswith("Stopped: 2\n"), done.stderr
