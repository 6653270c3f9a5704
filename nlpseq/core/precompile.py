"""Kernels compiled side by side by copies of this process, whose memory ends with them.

A compiler takes more memory than what it compiles, and a process that has used it keeps most of that.
"""

import gc
import hashlib
import json
import os
import platform
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from nlpseq.core.cache_dir import use_cache_for_numba

_STOPS = (signal.SIGINT, signal.SIGTERM)


class Kernel(NamedTuple):
    """What is to be called, so that everything that goes with a kernel gets compiled."""

    module: str
    function: str
    constants: tuple[str | int | bool, ...] = ()  # its arguments


def missing_kernels(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Those to give to precompile: that were not compiled before, by these versions on such a machine.

    None where a process cannot be copied safely: on other systems than Linux, and beside other threads.
    """
    can_copy = sys.platform == "linux" and threading.active_count() == 1
    return [kernel for kernel in kernels if not _mark(kernel).exists()] if can_copy else []


def precompile(kernels: Sequence[Kernel]) -> None:
    """Have kernels compiled into the cache. Where that fails, whoever uses a kernel compiles it."""
    copies = list[int]()
    try:
        _load_what_copies_share(kernels)
        for kernel in kernels:
            with _stops_held_back():
                copies.append(_compiling_copy(kernel))
        while copies:
            os.waitpid(copies[-1], 0)
            copies.pop()
    except OSError:  # no room for a copy, or it is not for us to wait for
        pass
    finally:
        for copy in copies:  # that are there still, as this was stopped
            with suppress(OSError):
                os.kill(copy, signal.SIGKILL)
                os.waitpid(copy, 0)
        gc.unfreeze()


def _load_what_copies_share(kernels: Sequence[Kernel]) -> None:
    """What is in memory before they are made, they have in common as long as none of them changes it."""
    use_cache_for_numba()
    for kernel in kernels:
        import_module(kernel.module)
    from nlpseq.core._warm_up_numba import nothing

    nothing()
    gc.collect()
    gc.freeze()  # as a collection would write to everything


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Ctrl-C and the like come after the block."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _compiling_copy(kernel: Kernel) -> int:
    """The number of a new process, which ends once the kernel is compiled, or when it is stopped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, as NumPy has idle ones
        copy = os.fork()
    if copy == 0:
        with suppress(BaseException):
            for stop in _STOPS:
                signal.signal(stop, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            getattr(import_module(kernel.module), kernel.function)(*kernel.constants)
            mark = _mark(kernel)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        os._exit(0)
    return copy


@cache
def _made_with() -> tuple[str, ...]:
    """What else decides whether compiled kernels can be used."""
    return platform.python_version(), version("numba"), version("numpy"), platform.node()


def _mark(kernel: Kernel) -> Path:
    """A file that is there once the kernel is in the cache."""
    use_cache_for_numba()
    name = hashlib.sha256(json.dumps([kernel, *_made_with()]).encode()).hexdigest()[:32]
    return Path(os.environ["NUMBA_CACHE_DIR"], f"{name}.compiled")
