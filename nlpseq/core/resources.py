"""Return the cores and the memory that this process may use, and control free memory."""

import ctypes
import gc
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nlpseq.errors import ResourceError

__all__ = [
    "LARGE_BLOCK_BYTES",
    "NUMBA",
    "TORCH",
    "VECTORS_REMEDY",
    "available_cores",
    "available_memory",
    "check_address_space",
    "check_memory",
    "count_text",
    "disable_heap_trim",
    "gc_paused",
    "mmap_large_blocks",
    "size_text",
    "trim_heap",
]

# Address space that Numba and torch reserve for buffers of linear algebra: bytes, and bytes for each core.
# With less, the libraries abort the process or hang.
NUMBA = (800 << 20, 100 << 20)
TORCH = (1600 << 20, 200 << 20)

VECTORS_REMEDY = "--dim, or keep fewer words with --max-vocab or --min-count"
CGROUP = Path("/sys/fs/cgroup")  # of this container, as seen from inside

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # malloc.h
LARGE_BLOCK_BYTES = 4 << 20
_GLIBC: Any = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def available_cores() -> int:
    """Return the number of cores for this process: the default of `threads`."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # no affinity on this platform
        return os.cpu_count() or 1


def available_memory(cgroup: Path = CGROUP) -> int:
    """Return the bytes of memory available to this process without swapping.

    cgroup: folder with the memory limit of this container, of cgroup v2.
    """
    free = _field(Path("/proc/meminfo"), "MemAvailable")
    if free is None:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    sizes = [free]
    limit, used = _address_space_limit(), _field(Path("/proc/self/status"), "VmSize")
    if limit is not None and used is not None:
        sizes.append(limit - used)
    if (used := _field(cgroup / "memory.stat", "anon")) is not None:  # because pages of files can be dropped
        with suppress(OSError, ValueError):  # no limit ("max"), or a limit of cgroup v1
            sizes.append(int((cgroup / "memory.max").read_text()) - used)
    return max(0, min(sizes))


def check_memory(needed: int, remedy: str) -> None:
    """Raise ResourceError if less than `needed` bytes are available; remedy names settings to lower."""
    available = available_memory()
    if needed > available:
        sizes = f"{size_text(needed)} of memory and {size_text(available)} are available"
        raise ResourceError(f"memory: training needs {sizes}. Lower {remedy}.")


def check_address_space(minimum: tuple[int, int]) -> None:
    """Raise ResourceError if `ulimit -v` is below the minimum of the libraries, NUMBA or TORCH."""
    needed, limit = minimum[0] + minimum[1] * available_cores(), _address_space_limit()
    if limit is not None and limit < needed:
        raise ResourceError(
            f"address space: limited to {size_text(limit)}, and this command needs {size_text(needed)} on "
            f"{count_text(available_cores(), 'core')}. Lift the limit with ulimit -v unlimited."
        )


def count_text(number: int, noun: str) -> str:
    """Return a number and its noun, such as 1 word or 9,203 words."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def size_text(num_bytes: int) -> str:
    """Return bytes in a readable unit, such as 60.6 MB."""
    if num_bytes < 1000:
        return count_text(num_bytes, "byte")
    power = min(len(str(int(num_bytes))) - 1, 14) // 3
    return f"{num_bytes / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"


def disable_heap_trim() -> None:
    """Keep freed memory in the process, because large arrays of every step would fault in fresh pages.

    glibc only, as the next two functions; without glibc all three do nothing.
    """
    if _GLIBC is not None:
        _GLIBC.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        _GLIBC.mallopt(_M_MMAP_THRESHOLD, 2**30)
        _GLIBC.mallopt(_M_MMAP_MAX, 0)


def mmap_large_blocks() -> None:
    """Return freed blocks of LARGE_BLOCK_BYTES and more to the system at once.

    glibc raises this threshold while a process runs, and then keeps such blocks.
    """
    if _GLIBC is not None:
        _GLIBC.mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def trim_heap() -> None:
    """Return all free memory of the heap to the system."""
    if _GLIBC is not None:
        _GLIBC.malloc_trim(0)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector for a block that creates no reference cycles.

    A collection would walk through all objects of the compiler while every thread waits.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _field(file: Path, name: str) -> int | None:
    """Return the bytes of a line such as "MemAvailable: 24000 kB" or "anon 24000" of a file."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = next((line.split() for line in lines if line.startswith((f"{name}:", f"{name} "))), None)
    return None if found is None else int(found[1]) * (1024 if found[-1] == "kB" else 1)


def _address_space_limit() -> int | None:
    """Return RLIMIT_AS in bytes; None without a limit."""
    try:
        import resource
    except ImportError:  # not on every platform
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
