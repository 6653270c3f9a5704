"""What becomes of memory that is free: kept for later, or given back to the system; when it is searched for.

Most are switches of glibc for the whole process; where the C library is another one, they do nothing.
"""

import ctypes
import gc
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nlpseq.errors import ResourceError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # malloc.h
LARGE = 4 << 20  # bytes


def available_cores() -> int:
    """Cores this process may use: what `threads` is where nothing is said."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


def disable_heap_trim() -> None:
    """Keep what is freed: where large arrays come and go at every step, as fresh pages are slow."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_MMAP_MAX, 0)


def mmap_large_blocks() -> None:
    """Give blocks back as soon as they are freed that are LARGE; glibc would learn to keep them."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE)


def trim_heap() -> None:
    """Give back what is free now, as much is after one kind of work and before another."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Put off Python's search for objects that only hold each other, of which work in bulk makes none.

    It would walk through all that compilers keep, while every thread waits.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _glibc() -> Any:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def size_text(num_bytes: int) -> str:
    """Bytes for a person, such as 60.6 MB."""
    if num_bytes < 1000:
        return f"{num_bytes} bytes"
    power = min(len(str(int(num_bytes))) - 1, 14) // 3
    return f"{num_bytes / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"


# Addresses that the libraries take which a command loads, in bytes and in bytes for each core: buffers of
# linear algebra. With fewer they end the process, or wait without end.
NUMBA = (800 << 20, 100 << 20)
TORCH = (1600 << 20, 200 << 20)

LESS_OF_VECTORS = "--dim, or keep fewer words with --max-vocab or --min-count"  # a remedy of check_memory
CONTAINER = Path("/sys/fs/cgroup")  # its own one, as seen from inside


def check_addresses(least: tuple[int, int]) -> None:
    """ResourceError where a process may not have the addresses its libraries take."""
    needed, limit = least[0] + least[1] * available_cores(), _most_addresses()
    if limit is not None and limit < needed:
        raise ResourceError(
            f"the memory of a process is limited to {size_text(limit)} of addresses and this needs "
            f"{size_text(needed)} on {available_cores()} cores. Lift the limit with ulimit -v unlimited."
        )


def check_memory(needed: int, remedy: str) -> None:
    """ResourceError where so many bytes are not to be had; remedy: which settings to lower."""
    available = available_memory()
    if needed > available:
        sizes = f"{size_text(needed)} of memory and {size_text(available)} are available"
        raise ResourceError(f"training needs {sizes}. Lower {remedy}.")


def available_memory() -> int:
    """Bytes of memory that can be used without swapping, and that this process may have."""
    free = _number(Path("/proc/meminfo"), "MemAvailable")
    if free is None:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, used = _most_addresses(), _number(Path("/proc/self/status"), "VmSize")
    own = None if limit is None or used is None else limit - used
    return max(0, min(each for each in (free, own, _left_in_container()) if each is not None))


def _left_in_container() -> int | None:
    """Bytes, where the processes of a container share a limit; what is mapped from files can be given up."""
    used = _number(CONTAINER / "memory.stat", "anon")
    with suppress(OSError, ValueError):  # there is no limit ("max"), or one of an older kind
        return None if used is None else int((CONTAINER / "memory.max").read_text()) - used
    return None


def _number(file: Path, name: str) -> int | None:
    """Out of a file with lines such as "MemAvailable: 24000 kB" or "anon 24000", in bytes."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = next((line.split() for line in lines if line.startswith((f"{name}:", f"{name} "))), None)
    return None if found is None else int(found[1]) * (1024 if found[-1] == "kB" else 1)


def _most_addresses() -> int | None:
    """Bytes this process may have addresses for (RLIMIT_AS), if that is limited."""
    try:
        import resource
    except ImportError:  # not on every platform
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
