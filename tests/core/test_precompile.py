"""Child processes compile kernels into the cache, and a failure leaves the work to the caller."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="precompilation forks on Linux alone")

COMPILE_AND_TRAIN = """
import os, sys
from pathlib import Path
from nlpseq.cli import main
from nlpseq.core.precompile import precompile, missing_kernels
from nlpseq.config import TextConfig, Word2VecConfig
from nlpseq.dataset import encode
from nlpseq.word2vec.kernels.select import select, to_compile

objective, share = sys.argv[2:]
config = Word2VecConfig(objective=objective, share_negatives=share, dim=5, window=2)
kernels = [*encode.to_compile(TextConfig()), *to_compile(config, select(config))]
assert missing_kernels(kernels) == kernels
precompile(kernels)
assert missing_kernels(kernels) == []
folder = Path(os.environ["NUMBA_CACHE_DIR"])
compiled = {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}
for name in ("_scan", "_assign_ids", "_rehash", "keep_tokens", "train_kept"):
    assert any(name in file.name for file in compiled), name
settings = ["--objective", objective, "--dim", "5", "--window", "2"]
if objective == "skipgram":
    settings += ["--share-negatives", share]
try:
    main(["train-w2v", sys.argv[1], "--min-count", "1", *settings])
except SystemExit as end:
    assert not end.code
assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")} == compiled, "compiled again"
"""

WITH_KERNELS = """
import os, threading
from nlpseq.core.precompile import Kernel, precompile, missing_kernels
fails, works = Kernel("math", "sqrt", (-1,)), Kernel("math", "sqrt", (4,))
sleeps = Kernel("time", "sleep", (99,))
thread = threading.Thread(target=threading.Event().wait, daemon=True)

def fail_to_fork():
    raise BlockingIOError("no memory for a fork")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "share"),
    [
        ("skipgram", "window"),
        pytest.param("skipgram", "pair", marks=pytest.mark.slow),
        pytest.param("cbow", "window", marks=pytest.mark.slow),
    ],
)
def test_precompiled_kernels_are_not_compiled_again(
    objective: str, share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    (tmp_path / "text.txt").write_text("the cat sat on the mat\nand the dog sat on the log\n" * 20)
    monkeypatch.chdir(tmp_path)
    run_python(COMPILE_AND_TRAIN, "text.txt", objective, share)


@pytest.mark.slow
@pytest.mark.parametrize(
    "then",
    [
        "precompile([fails, works]); assert missing_kernels([fails, works]) == [fails]",
        "os.fork = fail_to_fork; precompile([works]); assert missing_kernels([works]) == [works]",
        "thread.start(); assert not missing_kernels([works])",
    ],
    ids=["kernel fails", "fork fails", "threads run"],
)
def test_failed_precompile_leaves_kernel_to_caller(
    then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    run_python(f"{WITH_KERNELS}\n{then}")


def test_interrupted_precompile_leaves_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    program = f"{WITH_KERNELS}\nprecompile([sleeps, sleeps])"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # may be ignored here
    ) as process:
        while len(children := children_of(process.pid)) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def run_python(program: str, *arguments: str) -> None:
    """Run a program; fail with its standard error if the exit code is not 0."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
