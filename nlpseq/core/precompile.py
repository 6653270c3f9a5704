"""Compile kernels into the cache in child processes, whose memory ends with them.

A process keeps most of the memory of a compiler. Children are forked after Numba is loaded and share the
pages of Numba with the parent; tests/bench/LOG.md has the figures.
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
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from nlpseq.core.cache_dir import use_cache_for_numba

__all__ = ["Kernel", "missing_kernels", "precompile"]

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Kernel(NamedTuple):
    """A function that compiles a kernel into the cache."""

    module: str
    function: str
    constants: tuple[str | int | bool, ...] = ()  # arguments of the function


def missing_kernels(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Return the kernels that are not in the cache yet, for this machine and these versions.

    Empty outside Linux and while other threads run, because a fork would not be safe.
    """
    can_fork = sys.platform == "linux" and threading.active_count() == 1
    return [kernel for kernel in kernels if not _cache_marker(kernel).exists()] if can_fork else []


def precompile(kernels: Sequence[Kernel]) -> None:
    """Compile kernels into the cache, each in a child process.

    After a failure the first caller of a kernel compiles the kernel.
    """
    children = list[int]()
    try:
        _load_compiler(kernels)
        for kernel in kernels:
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # because a child must not be forgotten
            try:
                children.append(_fork_compiler(kernel))
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        while children:
            os.waitpid(children[-1], 0)
            children.pop()
    except OSError:  # no memory for a fork, or the child belongs to another handler
        pass
    finally:
        for child in children:  # still running, because a signal or an error came
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        gc.unfreeze()


def _load_compiler(kernels: Sequence[Kernel]) -> None:
    """Import Numba before a fork, so that children share the pages copy-on-write."""
    use_cache_for_numba()
    for kernel in kernels:
        import_module(kernel.module)
    from nlpseq.core.warm_up_numba import warm_up

    warm_up()
    gc.collect()
    gc.freeze()  # because a collection in a child would write to every shared page


def _fork_compiler(kernel: Kernel) -> int:
    """Fork a child to compile a kernel. Return the process id of the child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about idle threads of NumPy
        child = os.fork()
    if child == 0:
        with suppress(BaseException):
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            getattr(import_module(kernel.module), kernel.function)(*kernel.constants)
            marker = _cache_marker(kernel)
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        os._exit(0)
    return child


def _cache_marker(kernel: Kernel) -> Path:
    """Return the path of the empty file beside a cached kernel, by versions and machine."""
    use_cache_for_numba()
    toolchain = platform.python_version(), version("numba"), version("numpy"), platform.node()
    name = hashlib.sha256(json.dumps([kernel, *toolchain]).encode()).hexdigest()[:32]
    return Path(os.environ["NUMBA_CACHE_DIR"], f"{name}.compiled")
