"""Kernels compiled by copies of a process, and memory that goes back to the system."""

import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nlpseq.compiling import Kernel, compile_apart, missing

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")

COMPILE_AND_TRAIN = """
import os, sys
from pathlib import Path
from nlpseq.cli import main
from nlpseq.compiling import compile_apart, missing
from nlpseq.config import TextConfig, Word2VecConfig
from nlpseq.text import _blocks
from nlpseq.w2v.kernels import select, to_compile

config = Word2VecConfig(dim=5, window=2)
kernels = [*_blocks.to_compile(TextConfig()), *to_compile(config, select(config))]
assert missing(kernels) == kernels
compile_apart(kernels)
assert missing(kernels) == []
folder = Path(os.environ["NUMBA_CACHE_DIR"])
compiled = {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}
assert len(compiled) >= 12, compiled
arguments = ["train-w2v", "-v", sys.argv[1], "--dim", "5", "--window", "2", "--min-count", "1"]
try:
    main(arguments)
except SystemExit as end:
    assert not end.code
assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")} == compiled, "compiled anew"
"""

FREE_MEMORY = """
import ctypes, sys
from pathlib import Path
from nlpseq.cli._memory import LARGE, give_memory_back, keep_no_large_blocks

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
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if "early" in sys.argv:
    keep_no_large_blocks()
left_of(6 * LARGE, 1)  # from which glibc learns to keep blocks of this size
large, small = left_of(2 * LARGE, 4), left_of(LARGE // 64, 500)
before = resident()
give_memory_back()
print(large, small, before - resident())
"""


@ONLY_LINUX
def test_what_is_compiled_apart_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    (tmp_path / "text.txt").write_text("the cat sat on the mat\nand the dog sat on the log\n" * 20)
    done = subprocess.run(
        [sys.executable, "-c", COMPILE_AND_TRAIN, "text.txt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "compiling" not in done.stderr


@ONLY_LINUX
def test_what_cannot_be_compiled_is_left_to_whoever_uses_it() -> None:
    fails, works = (Kernel("math", "sqrt", (number,)) for number in (-1, 4))
    compile_apart([fails, works])
    assert missing([fails, works]) == [fails]


def test_no_copy_is_made_beside_other_threads() -> None:
    kernel, done = Kernel("math", "sqrt", (9,)), threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        compile_apart([kernel])
    finally:
        done.set()
        other.join()
    assert missing([kernel]) == [kernel]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back themselves")
def test_free_memory_goes_back() -> None:
    large, _, _ = megabytes_left()
    large_early, small_early, given_back = megabytes_left("early")
    assert large > 30 and large_early < 5  # of 34
    assert small_early > 30 and given_back > 30  # of 33


def megabytes_left(*arguments: str) -> list[float]:
    command = [sys.executable, "-c", FREE_MEMORY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]
