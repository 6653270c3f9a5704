"""Exit codes, error messages, signals and broken pipes."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nlpseq import errors
from nlpseq.reading.corpus import Corpus

NLPSEQ = [sys.executable, "-m", "nlpseq"]

BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}  # keeps output for the end of Python

ENDINGS = [
    (errors.RunError("the loss became nan. Lower --learning-rate."), 1, "error: the loss became nan."),
    (errors.ConfigError("min_count: 0 is not valid. Use 1."), 2, "error: --min-count: 0 is not valid."),
    (errors.ConfigError("phrases is 9. Use 1."), 2, "error: --phrases is 9. Use 1."),
    (errors.ConfigError("my_corpus: encoded. Name it."), 2, "error: my_corpus: encoded. Name it."),
    (errors.MissingExtra("no torch. Install it."), 3, "error: no torch."),
    (errors.BackendUnavailable("no GPU. Take another."), 3, "error: no GPU."),
    (errors.DataError("no words. Name others."), 4, "error: no words."),
    (errors.ArtifactError("x is damaged. Copy it."), 5, "error: x is damaged."),
    (errors.ResourceError("no room. Make some."), 6, "error: no room."),
    (MemoryError("1 GB"), 6, "error: memory ran out (1 GB). Close other"),
    (
        FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"),
        6,
        "error: no folder for temp",
    ),
    (OSError(errno.ENOSPC, "No space left", "x"), 6, "error: the disk ran full"),
    (ValueError("odd"), 1, "internal error: ValueError: odd. Run with --debug"),
    (PermissionError(errno.EACCES, "denied", "x"), 4, "error: x: denied. Check the name"),
    (PermissionError(errno.EACCES, "denied"), 1, "internal error: PermissionError:"),
    (OSError(errno.EMFILE, "Too many open files", "x"), 6, "error: the system ran out of a resource"),
    (RuntimeError("can't start new thread"), 6, "error: the system starts no more threads. Close other"),
    (KeyboardInterrupt(), 130, "stopped by Ctrl-C"),
]


@pytest.fixture
def failing(run_cli, tmp_path, monkeypatch):
    """Return a function to run preprocess with an error or a call amid the reading of the corpus."""
    (tmp_path / "corpus.txt").write_text("words\n")
    monkeypatch.chdir(tmp_path)

    def run(error, *args):
        def fail(self):
            if not isinstance(error, BaseException):
                return error()
            raise error

        monkeypatch.setattr(Corpus, "size_bytes", fail)
        return run_cli("preprocess", "corpus.txt", *args)

    return run


@pytest.mark.parametrize(("error", "code", "message"), ENDINGS, ids=[repr(error) for error, _, _ in ENDINGS])
def test_error_has_exit_code_and_one_line(failing, error, code, message):
    result = failing(error)
    assert result.exit_code == code, result.stderr
    assert result.stderr.startswith(f"nlpseq: {message}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    "args",
    [
        ("preprocess", "corpus.txt", "-o", "loop"),
        ("train-w2v", "corpus.txt", "-o", "loop/a.w2v"),
        ("train-counts", "corpus.txt", "-o", "loop", "--force"),
        ("train-lm", "loop", "--resume"),
        ("compare", "loop", "loop"),
        ("plot", "loop"),
    ],
    ids=" ".join,
)
def test_symlink_loop_is_refused(run_cli, tmp_path, monkeypatch, args):
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("some words\n" * 1000)
    Path("loop").symlink_to("loop")
    result = run_cli(*args)
    assert result.exit_code == 4, result.stderr
    assert "a symbolic link points to itself (Symlink loop from" in result.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"corpus.txt", "loop"}


SIGNALS = [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture(params=SIGNALS, ids=lambda value: value[0].name)
def stop(request):
    """Return a signal and its exit code; restore all handlers, because a stopped command ignores signals."""
    before = {number: signal.getsignal(number) for number, _ in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # perhaps ignored, as after nohup
    yield request.param
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signal_has_exit_code_and_one_line(failing, stop):
    number, code = stop
    result = failing(lambda: signal.raise_signal(number))
    assert result.exit_code == code, result.stderr
    assert result.stderr in ("nlpseq: stopped by Ctrl-C\n", f"nlpseq: stopped by {number.name}\n")


class Callback:
    """Send a signal while Python creates a class, where Python 3.11 replaces the exception."""

    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGTERM)


def in_set_name(number):
    type("Made", (), {"name": Callback()})


def as_cause(number):
    try:
        signal.raise_signal(number)
    except BaseException as error:
        raise ImportError("numpy is broken") from error


def as_context(number):
    try:
        signal.raise_signal(number)
    finally:
        raise errors.DataError("no words. Name others.")


@pytest.mark.parametrize("replace", [in_set_name, as_cause, as_context])
def test_error_caused_by_signal_counts_as_signal(failing, stop, replace):
    number, code = (signal.SIGTERM, 143) if replace is in_set_name else stop
    result = failing(lambda: replace(number))
    assert result.exit_code == code
    assert result.stderr.startswith("nlpseq: stopped by") and result.stderr.count("\n") == 1


def test_stopped_command_ignores_later_signals(failing, stop):
    number, code = stop
    assert failing(lambda: signal.raise_signal(number)).exit_code == code
    signal.raise_signal(number)


@pytest.mark.parametrize("error", [errors.DataError("no words. Name others."), ValueError("odd")])
def test_debug_prints_traceback(failing, error):
    result = failing(error, "--debug")
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert "in fail" in result.stderr
    assert str(error) in result.stderr.splitlines()[-1]


def test_quiet_prints_errors(failing):
    assert "no words" in failing(errors.DataError("no words."), "-q").stderr


def test_control_characters_in_error_are_escaped(failing):
    result = failing(errors.DataError("evil \x1b[31m word.\nSecond line."))
    assert result.stderr == "nlpseq: error: evil \\x1b[31m word.\nSecond line.\n"


def test_missing_command_shows_help(run_cli):
    result = run_cli()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: nlpseq")


@pytest.mark.parametrize("options", [[], ["-q"]])
def test_read_only_cache_is_a_warning(tmp_path, options):
    (tmp_path / "file").touch()
    env = os.environ | {"NLPSEQ_CACHE_DIR": str(tmp_path / "file")}
    done = subprocess.run([*NLPSEQ, "doctor", *options], env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.startswith(f"nlpseq: warning: cache folder {tmp_path / 'file'}: cannot be written")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["--help", "train-w2v --help", "doctor", "corpora list --json"])
def test_broken_pipe_is_silent(command):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*NLPSEQ, *command.split()], stdout=writer, stderr=subprocess.PIPE, env=BUFFERED)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_broken_stderr_pipe_gives_exit_code_141(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*NLPSEQ, "preprocess", "-"], input=b"a b c", stderr=writer, cwd=tmp_path, env=BUFFERED
    )
    os.close(writer)
    assert done.returncode == 141
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_behind_stdout_gives_exit_code_6():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*NLPSEQ, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED
        )
    assert done.returncode == 6
    assert done.stderr.startswith("nlpseq: error: the disk ran full")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["preprocess", "missing.txt"], 4, "missing.txt: no such file, folder or corpus"),
        (["preprocess", "tiyn"], 4, "Did you mean tiny?"),
        (["train-w2v", "empty.txt"], 4, "empty.txt: contains no words"),
        (["train-w2v", "rare.txt"], 4, "--min-count 1 would keep 2"),
        (["neighbors", "missing.w2v", "king"], 4, "missing.w2v: does not exist"),
        (["inspect", "missing"], 4, "missing: does not exist"),
        (["corpora", "path", "pydosc"], 4, "Did you mean pydocs?"),
        (
            ["preprocess", "rare.txt", "--min-count", "1", "-o", "empty.txt"],
            2,
            "empty.txt: exists and is not a folder written by nlpseq",
        ),
        (["preprocess", "rare.txt", "-o", "empty.txt", "--force"], 2, "is not a folder written by nlpseq"),
        (["preprocess", "rare.txt", "-o", "rare.txt", "--force"], 2, "rare.txt: is an input of this command"),
        (["train-w2v", "rare.txt", "-o", "rare.txt/deeper"], 6, "cannot be written"),
        (["train-w2v", "rare.txt", "--backend", "cupy"], 3, "CuPy: not installed"),
        (["train-w2v", "rare.txt", "-o", ""], 2, ". has no name of its own"),
        (["train-w2v", "rare.txt", "-o", "/", "--force"], 2, "/ has no name of its own"),
        (["train-w2v", "rare.txt", "-o", "a" * 300], 6, "aaa: cannot be written (File name too long)"),
        (["preprocess", "rare.txt", "-o", "a" * 300], 6, "aaa: cannot be written (File name too long)"),
        (["inspect", "a" * 300], 4, "aaa: File name too long. Check"),
        (["train-lm", "a" * 300, "--resume"], 4, ": File name too long. Check"),
        (["generate", "a" * 300], 4, "aaa: File name too long. Check"),
    ],
)
def test_common_mistake_names_the_fix(run_cli, tmp_path, monkeypatch, args, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if not installed
    (tmp_path / "empty.txt").touch()
    (tmp_path / "rare.txt").write_text("rare words\n")
    result = run_cli(*args)
    assert result.exit_code == code, result.stderr
    assert result.stderr.splitlines()[-1].startswith("nlpseq: error: ")
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty.txt", "rare.txt"]


@pytest.mark.parametrize("closed", ["2>&-", "<&-", ">&-", "2>/dev/full"])
def test_closed_stream_keeps_exit_code(tmp_path, closed):
    (tmp_path / "empty.txt").write_text("")
    line = f"exec {sys.executable} -m nlpseq preprocess empty.txt {closed}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "internal error" not in done.stderr and [each.name for each in tmp_path.iterdir()] == ["empty.txt"]


def test_command_works_without_stderr(tmp_path):
    (tmp_path / "text.txt").write_text("one two three\n" * 9)
    line = f"exec {sys.executable} -m nlpseq preprocess text.txt 2>&-"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "text.tokens\n")


# Every script runs a command on corpus.txt, with `act` in place of a part of the command.
SCRIPT = """
import os, signal, sys, time
time.monotonic = lambda: 1.0  # all signals come at once
from nlpseq.__main__ import main
from nlpseq.reading.corpus import Corpus

NUMBER = signal.{signal}
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # perhaps ignored, as after nohup

def send():
    os.kill(os.getpid(), NUMBER)

def wait():
    for _ in range(2000):
        time.sleep(0.01)

{act}
main()
"""

DUPLICATE = """
def act(self):
    try:
        send()
        wait()
    finally:
        send()

Corpus.size_bytes = act
"""

IN_CALLBACK = """
import ctypes

def act(self):
    ctypes.CFUNCTYPE(None)(send)()
    wait()

Corpus.size_bytes = act
"""

IN_IMPORT = """
from pathlib import Path
sys.path.insert(0, os.getcwd())
Path("swallowing.py").write_text(
    "from __main__ import send\\ntry:\\n    send()\\nexcept BaseException:\\n    pass"
)

def act(self):
    import swallowing
    wait()

Corpus.size_bytes = act
"""

BEFORE_COMMAND = """
import builtins, importlib

def act(name, *args, **options):
    importlib.import_module = before
    send()
    wait()

before, importlib.import_module = importlib.import_module, act
sys.modules["nlpseq.__main__"].import_module = act
"""

AFTER_COMMAND = """
handlers, real = [], signal.signal

def act(number, handler):
    if number == NUMBER:
        if handler in handlers:  # a handler of before is restored, because the command is over
            signal.signal = real
            send()
        handlers.append(handler)
    return real(number, handler)

signal.signal = act
"""


def run_script(folder, act, number, *args):
    (folder / "corpus.txt").write_text("some words\n" * 50)
    code = SCRIPT.format(signal=number.name, act=act)
    return subprocess.run([sys.executable, "-c", code, *args], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("act", "number", "code"),
    [
        *(pytest.param(IN_CALLBACK, *each, id=f"callback-{each[0].name}") for each in SIGNALS),
        pytest.param(IN_IMPORT, signal.SIGTERM, 143, id="import"),
        pytest.param(BEFORE_COMMAND, signal.SIGHUP, 129, id="start"),
        pytest.param(AFTER_COMMAND, signal.SIGHUP, 129, id="end"),
    ],
)
def test_swallowed_signal_still_stops(tmp_path, act, number, code):
    done = run_script(tmp_path, act, number, "preprocess", "corpus.txt", "-q")
    assert done.returncode == code, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "warning: " not in line]
    assert line.startswith("nlpseq: stopped by")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_duplicate_signal_counts_once(tmp_path, number, code):
    done = run_script(tmp_path, DUPLICATE, number, "preprocess", "corpus.txt")
    assert done.returncode == code
    assert done.stderr.count("nlpseq: stopped by") == done.stderr.count("\n") == 1
