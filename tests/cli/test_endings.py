"""How a command ends: its exit code, one line on stderr, and nothing left of a broken pipe."""

import errno
import os
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
from nlpseq.cli import _app as _run
from nlpseq.cli._app import Terminated

from nlpseq import errors
from nlpseq.reading.corpus import Corpus

NLPSEQ = [sys.executable, "-m", "nlpseq"]

BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}  # else there is nothing left to write when Python ends

ENDINGS = [
    (errors.RunError("the loss became nan. Lower --learning-rate."), 1, "error: the loss became nan."),
    (errors.ConfigError("dim is 0. It must be 1."), 2, "error: dim is 0. It must be 1."),
    (errors.ConfigError("top_p is 0. It must be 1."), 2, "error: --top-p is 0. It must be 1."),
    (errors.ConfigError("my_corpus is encoded. Name it."), 2, "error: my_corpus is encoded. Name it."),
    (errors.MissingExtra("no torch. Install it."), 3, "error: no torch."),
    (errors.BackendUnavailable("no GPU. Take another."), 3, "error: no GPU."),
    (errors.DataError("no words. Name others."), 4, "error: no words."),
    (errors.ArtifactError("x is damaged. Copy it."), 5, "error: x is damaged."),
    (errors.ResourceError("no room. Make some."), 6, "error: no room."),
    (MemoryError("1 GB"), 6, "error: memory ran out (1 GB). Use a smaller"),
    (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), 6, "error: no folder for temp"),
    (OSError(errno.ENOSPC, "No space left", "x"), 6, "error: the disk ran full"),
    (ValueError("odd"), 1, "internal error: ValueError: odd; run with --debug"),
    (PermissionError(errno.EACCES, "denied", "x"), 4, "error: x cannot be used (denied). Check"),
    (PermissionError(errno.EACCES, "denied"), 1, "internal error: PermissionError:"),
    (OSError(errno.EMFILE, "Too many open files", "x"), 6, "error: the machine is short of something"),
    (RuntimeError("can't start new thread"), 6, "error: the system starts no more threads. Use fewer"),
    (KeyboardInterrupt(), 130, "stopped by Ctrl-C"),
    (Terminated(), 143, "stopped by SIGTERM"),
]


@pytest.fixture
def failing(run_cli, tmp_path, monkeypatch):
    """Runs preprocess, which fails with the error given when it asks for the size of its corpus."""
    (tmp_path / "corpus.txt").write_text("words\n")
    monkeypatch.chdir(tmp_path)

    def run(error, *args):
        def fail(self):
            raise error

        monkeypatch.setattr(Corpus, "size_bytes", fail)
        return run_cli("preprocess", "corpus.txt", *args)

    return run


@pytest.mark.parametrize(("error", "code", "message"), ENDINGS, ids=[repr(error) for error, _, _ in ENDINGS])
def test_every_error_has_its_exit_code_and_one_line(failing, error, code, message):
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
def test_a_link_that_leads_to_itself_is_said(run_cli, tmp_path, monkeypatch, args):
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("some words\n" * 1000)
    Path("loop").symlink_to("loop")
    result = run_cli(*args)
    assert result.exit_code == 4, result.stderr
    assert "a link leads to itself (Symlink loop from" in result.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"corpus.txt", "loop"}


STOPS = [(KeyboardInterrupt(), 130), (Terminated(), 143)]


@pytest.mark.parametrize(("stop", "code"), STOPS)
def test_a_stop_that_comes_when_all_is_done_is_said_as_well(run_cli, monkeypatch, stop, code):
    @contextmanager
    def warnings_on(console):
        yield
        raise stop

    monkeypatch.setattr(_run, "_warnings_on", warnings_on)
    result = run_cli("--version")
    assert (result.exit_code, result.stderr[:19]) == (code, "nlpseq: stopped by ")


@pytest.mark.parametrize(("stop", "code"), STOPS)
def test_a_stop_while_a_class_is_made_is_one(failing, stop, code):
    class Stopping:
        def __set_name__(self, owner, name):
            raise stop

    with pytest.raises(BaseException, match=r"__set_name__|^$") as caught:
        type("Made", (), {"name": Stopping()})
    result = failing(caught.value)
    assert result.exit_code == code
    assert result.stderr.startswith("nlpseq: stopped by")


@pytest.mark.parametrize("error", [errors.DataError("no words. Name others."), ValueError("odd")])
def test_debug_shows_where_it_came_from(failing, error):
    result = failing(error, "--debug")
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert "in fail" in result.stderr
    assert str(error) in result.stderr.splitlines()[-1]


def test_quiet_does_not_silence_errors(failing):
    assert "no words" in failing(errors.DataError("no words."), "-q").stderr


def test_control_characters_in_an_error_are_escaped(failing):
    result = failing(errors.DataError("evil \x1b[31m word.\nSecond line."))
    assert result.stderr == "nlpseq: error: evil \\x1b[31m word.\nSecond line.\n"


def test_warnings_are_messages(run_cli, monkeypatch):
    def warn(*_):
        warnings.simplefilter("always")  # the tests make errors of them
        warnings.warn("the cache is slow.", stacklevel=1)
        return 1

    monkeypatch.setattr("nlpseq.cli.doctor._folder_bytes", warn)
    result = run_cli("doctor")
    assert result.exit_code == 0
    assert result.stderr == "nlpseq: warning: the cache is slow.\n"
    assert run_cli("doctor", "-q").stderr == ""


def test_no_command_is_a_usage_error_that_shows_help(run_cli):
    result = run_cli()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: nlpseq")


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").touch()
    env = os.environ | {"NLPSEQ_CACHE_DIR": str(tmp_path / "file")}
    done = subprocess.run([*NLPSEQ, "doctor"], env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.startswith(f"nlpseq: warning: cache folder {tmp_path / 'file'}: cannot be written")


@pytest.mark.parametrize("command", ["--help", "train-w2v --help", "doctor", "corpora list --json"])
def test_a_broken_pipe_is_silent(command):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*NLPSEQ, *command.split()], stdout=writer, stderr=subprocess.PIPE, env=BUFFERED)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_reader_of_messages_that_has_left_gives_141(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*NLPSEQ, "preprocess", "-"], input=b"a b c", stderr=writer, cwd=tmp_path, env=BUFFERED
    )
    os.close(writer)
    assert done.returncode == 141
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_gives_6():
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
        (["preprocess", "missing.txt"], 4, "missing.txt is no file, folder or corpus"),
        (["preprocess", "tiyn"], 4, "Did you mean tiny?"),
        (["train-w2v", "empty.txt"], 4, "empty.txt holds no words"),
        (["train-w2v", "rare.txt"], 4, "--min-count 1 would keep 2"),
        (["neighbors", "missing.w2v", "king"], 4, "missing.w2v does not exist"),
        (["inspect", "missing"], 4, "missing does not exist"),
        (["corpora", "path", "pydosc"], 4, "Did you mean pydocs?"),
        (
            ["preprocess", "rare.txt", "--min-count", "1", "-o", "rare.txt"],
            2,
            "rare.txt exists and is not a folder written by nlpseq",
        ),
        (["preprocess", "rare.txt", "-o", "rare.txt", "--force"], 2, "is not a folder written by nlpseq"),
        (["train-w2v", "rare.txt", "-o", "rare.txt/deeper"], 6, "cannot be written"),
        (["train-w2v", "rare.txt", "--backend", "cupy"], 3, "CuPy is not installed"),
        (["train-w2v", "rare.txt", "-o", ""], 2, ". has no name of its own"),
        (["train-w2v", "rare.txt", "-o", "/", "--force"], 2, "/ has no name of its own"),
        (["train-w2v", "rare.txt", "-o", "a" * 300], 6, "aaa cannot be written: File name too long"),
        (["preprocess", "rare.txt", "-o", "a" * 300], 6, "aaa cannot be written: File name too long"),
        (["inspect", "a" * 300], 4, "aaa cannot be used (File name too long). Check"),
        (["train-lm", "a" * 300, "--resume"], 4, "aaa cannot be used (File name too long). Check"),
        (["generate", "a" * 300], 4, "aaa cannot be used (File name too long). Check"),
    ],
)
def test_what_people_get_wrong(run_cli, tmp_path, monkeypatch, args, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    (tmp_path / "empty.txt").touch()
    (tmp_path / "rare.txt").write_text("rare words\n")
    result = run_cli(*args)
    assert result.exit_code == code, result.stderr
    assert result.stderr.splitlines()[-1].startswith("nlpseq: error: ")
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty.txt", "rare.txt"]


@pytest.mark.parametrize("closed", ["2>&-", "<&-", ">&-", "2>/dev/full"])
def test_closed_streams_do_not_change_the_exit_code(tmp_path, closed):
    (tmp_path / "empty.txt").write_text("")
    line = f"exec {sys.executable} -m nlpseq preprocess empty.txt {closed}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "internal error" not in done.stderr and [each.name for each in tmp_path.iterdir()] == ["empty.txt"]


def test_work_without_anybody_to_tell_is_done(tmp_path):
    (tmp_path / "text.txt").write_text("one two three\n" * 9)
    line = f"exec {sys.executable} -m nlpseq preprocess text.txt 2>&-"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "text.tokens\n")


DOUBLED = """
import os, signal, time
from nlpseq.cli import main
from nlpseq.reading.corpus import Corpus

def wait(self):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

Corpus.size_bytes = wait
main()
"""


def test_what_timeout_sends_twice_is_one_sigterm(tmp_path):
    (tmp_path / "corpus.txt").write_text("words\n")
    command = [sys.executable, "-c", DOUBLED, "preprocess", "corpus.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 143
    assert done.stderr.count("\n") == 1 and "nlpseq: stopped by SIGTERM" in done.stderr


SWALLOWED = """
import ctypes, os, signal, time
from nlpseq.cli import main
from nlpseq.reading.corpus import Corpus

def stop():
    os.kill(os.getpid(), signal.{signal})

def wait(self):
    ctypes.CFUNCTYPE(None)(stop)()
    time.sleep(20)

Corpus.size_bytes = wait
main()
"""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_that_comes_amid_a_callback_still_stops(tmp_path, number, code):
    (tmp_path / "corpus.txt").write_text("words\n")
    command = [sys.executable, "-c", SWALLOWED.format(signal=number), "preprocess", "corpus.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1 and "nlpseq: stopped by" in done.stderr
