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
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from nlpseq.cache import use_cache_for_numba


class Kernel(NamedTuple):
    """What is to be called, so that everything that goes with a kernel gets compiled."""

    module: str
    function: str
    constants: tuple[str | int | bool, ...] = ()  # its arguments


def missing(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Those that were not compiled into the cache before, by these versions."""
    return [kernel for kernel in kernels if not _mark(kernel).exists()]


def compile_apart(kernels: Iterable[Kernel]) -> None:
    """Have kernels compiled into the cache.

    One that fails to be is compiled, or fails, where it is used. So are all of them where a process cannot be
    copied safely: on other systems than Linux, and beside other threads.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return
    _load_what_copies_share(kernels)
    copies = list[int]()
    try:
        copies += map(_compiling_copy, kernels)
        while copies:
            os.waitpid(copies[0], 0)
            del copies[0]
    finally:
        for copy in copies:  # where this was interrupted
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)
        gc.unfreeze()


def _load_what_copies_share(kernels: Iterable[Kernel]) -> None:
    """What is in memory before they are made, they have in common as long as none of them changes it."""
    use_cache_for_numba()
    for kernel in kernels:
        import_module(kernel.module)
    import_module("nlpseq._first_numba").nothing()
    gc.collect()
    gc.freeze()  # as a collection would write to everything


def _compiling_copy(kernel: Kernel) -> int:
    """The number of a new process, which ends once the kernel is compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, as NumPy has idle ones
        copy = os.fork()
    if copy == 0:
        with suppress(BaseException):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            getattr(import_module(kernel.module), kernel.function)(*kernel.constants)
            mark = _mark(kernel)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        os._exit(0)
    return copy


def _mark(kernel: Kernel) -> Path:
    """A file that is there once the kernel is in the cache."""
    use_cache_for_numba()
    made_with = [kernel, platform.python_version(), version("numba"), version("numpy")]
    name = hashlib.sha256(json.dumps(made_with).encode()).hexdigest()[:32]
    return Path(os.environ["NUMBA_CACHE_DIR"], f"{name}.compiled")
