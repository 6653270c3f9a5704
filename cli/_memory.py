"""How much memory there is, and whether work fits into it, said before it begins."""

import os
from pathlib import Path

from nlpseq.errors import ResourceError
from nlpseq.settings import available_cores

from ._console import size_text

# Addresses that the libraries take which a command loads, in bytes and in bytes for each core: buffers of
# linear algebra. With fewer they end the process, or wait without end.
NUMBA = (800 << 20, 100 << 20)
TORCH = (1600 << 20, 200 << 20)


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
    free = _kilobytes("/proc/meminfo", "MemAvailable")
    if free is None:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, used = _most_addresses(), _kilobytes("/proc/self/status", "VmSize")
    return free if limit is None or used is None else max(0, min(free, limit - used))


def _kilobytes(file: str, name: str) -> int | None:
    """Bytes, of a file with lines such as "MemAvailable:  24000 kB"; None where there is none such."""
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def _most_addresses() -> int | None:
    """Bytes this process may have addresses for (RLIMIT_AS), if that is limited."""
    try:
        import resource
    except ImportError:  # not on every platform
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
