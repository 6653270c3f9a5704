"""Kernels compiled by copies of a process, and memory that goes back to the system."""

import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")

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
for name in ("_cut", "_number", "_move", "keep_tokens", "train_kept"):
    assert any(name in file.name for file in compiled), name
settings = ["--objective", objective, "--dim", "5", "--window", "2"]
if objective == "skipgram":
    settings += ["--share-negatives", share]
try:
    main(["train-w2v", sys.argv[1], "--min-count", "1", *settings])
except SystemExit as end:
    assert not end.code
assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")} == compiled, "compiled anew"
"""

WITH_KERNELS = """
import os, threading
from nlpseq.core.precompile import Kernel, precompile, missing_kernels
fails, works = Kernel("math", "sqrt", (-1,)), Kernel("math", "sqrt", (4,))
sleeps = Kernel("time", "sleep", (99,))
other = threading.Thread(target=threading.Event().wait, daemon=True)

def no_room():
    raise BlockingIOError("no room for a copy")
"""

FREE_MEMORY = """
import ctypes, os, sys
from pathlib import Path
from nlpseq.core.resources import LARGE, give_back, keep_no_large

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
)

def left_of(size, number):  # MB in memory once blocks below one that stays were used and freed
    before = resident()
    *blocks, above = [libc.malloc(size) for _ in range(number + 1)]
    for block in blocks:
        ctypes.memset(block, 1, size)
        libc.free(block)
    return resident() - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

if "early" in sys.argv:
    keep_no_large()
left_of(6 * LARGE, 1)  # from which glibc learns to keep blocks of this size
large, small = left_of(2 * LARGE, 4), left_of(LARGE // 64, 500)
before = resident()
give_back()
print(large, small, before - resident())
"""


@ONLY_LINUX
@pytest.mark.parametrize(
    ("objective", "share"), [("skipgram", "window"), ("skipgram", "pair"), ("cbow", "window")]
)
def test_what_is_compiled_apart_is_not_compiled_again(
    objective: str, share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    (tmp_path / "text.txt").write_text("the cat sat on the mat\nand the dog sat on the log\n" * 20)
    monkeypatch.chdir(tmp_path)
    run(COMPILE_AND_TRAIN, "text.txt", objective, share)


@ONLY_LINUX
@pytest.mark.parametrize(
    "then",
    [
        "precompile([fails, works]); assert missing_kernels([fails, works]) == [fails]",
        "os.fork = no_room; precompile([works]); assert missing_kernels([works]) == [works]",
        "other.start(); assert not missing_kernels([works])",
    ],
    ids=["a failing kernel", "no room for a copy", "another thread"],
)
def test_what_is_not_compiled_apart_is_left_to_whoever_uses_it(
    then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    run(f"{WITH_KERNELS}\n{then}")


@ONLY_LINUX
def test_stopping_while_kernels_are_compiled_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    program = f"{WITH_KERNELS}\ncompile_apart([sleeps, sleeps])"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # where it was ignored
    ) as process:
        while len(copies := children_of(process.pid)) < 2:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=20)[1]
    assert not any(Path(f"/proc/{copy}").exists() for copy in copies)


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back themselves")
def test_free_memory_goes_back() -> None:
    large, _, _ = megabytes_left()
    large_early, small_early, given_back = megabytes_left("early")
    assert large > 30 and large_early < 5  # of 34
    assert small_early > 30 and given_back > 30  # of 33


def megabytes_left(*arguments: str) -> list[float]:
    return [float(number) for number in run(FREE_MEMORY, *arguments).split()]


def run(program: str, *arguments: str) -> str:
    """What a process prints, which ends well."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
