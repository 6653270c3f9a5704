"""How much memory there is, and whether work fits into it, said before it begins."""

import os
from contextlib import suppress
from pathlib import Path

from nlpseq.errors import ResourceError
from nlpseq.settings import available_cores

from ._console import size_text

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
