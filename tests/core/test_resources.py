"""Limits of memory are found, and freed memory returns to the system."""

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nlpseq.core.resources import available_memory, check_address_space, check_memory, count_text
from nlpseq.errors import ResourceError

FREE_MEMORY = """
import ctypes, os, sys
from pathlib import Path
from nlpseq.core.resources import LARGE_BLOCK_BYTES as LARGE, mmap_large_blocks, trim_heap

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
)

def kept_after_free(size, number):  # MB in memory once blocks below a block in use were used and freed
    before = resident()
    *blocks, above = [libc.malloc(size) for _ in range(number + 1)]
    for block in blocks:
        ctypes.memset(block, 1, size)
        libc.free(block)
    return resident() - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

if "mmap" in sys.argv:
    mmap_large_blocks()
kept_after_free(6 * LARGE, 1)  # raises the threshold of glibc above this size
large, small = kept_after_free(2 * LARGE, 4), kept_after_free(LARGE // 64, 500)
before = resident()
trim_heap()
print(large, small, before - resident())
"""


def test_available_memory_is_at_most_the_memory_of_the_machine() -> None:
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(meminfo["MemTotal"].split()[0]) * 1024
    assert 0 < available_memory() <= total


@pytest.mark.parametrize(
    ("limit", "anonymous", "left"),
    [("100000000", 30_000_000, 70_000_000), ("1000", 2000, 0), ("max", 5, None), ("", 5, None)],
)
def test_available_memory_obeys_limit_of_container(
    tmp_path: Path, limit: str, anonymous: int, left: int | None
) -> None:
    free = available_memory()
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.stat").write_text(f"anon {anonymous}\nfile 99\nanon_thp 7\n")
    available = available_memory(cgroup=tmp_path)
    assert available == left if left is not None else available > free / 2


def test_checks_obey_address_space_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    used = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmSize")
    )
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + 10_000_000, -1))
    assert available_memory() <= 10_000_000
    with pytest.raises(ResourceError, match=r"address space: limited to .* needs .* ulimit -v"):
        check_address_space((used + 10_000_001, 0))
    with pytest.raises(ResourceError, match=r"20.0 MB of memory and .* are available. Lower --dim"):
        check_memory(20_000_000, "--dim")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries return memory themselves")
def test_large_freed_blocks_return_to_system_with_mmap() -> None:
    large, _, _ = megabytes_kept()
    large_mapped, small_mapped, trimmed = megabytes_kept("mmap")
    assert large > 30 and large_mapped < 5  # of 34
    assert small_mapped > 30 and trimmed > 30  # of 33


def megabytes_kept(*arguments: str) -> list[float]:
    command = [sys.executable, "-c", FREE_MEMORY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def test_count_text_has_separators_and_plural():
    texts = [count_text(number, "type") for number in (0, 1, 2, 9203)]
    assert texts == ["0 types", "1 type", "2 types", "9,203 types"]
