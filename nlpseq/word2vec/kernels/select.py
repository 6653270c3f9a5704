"""Select the kernel for the steps of word2vec: readable (layered.py) or compiled (fused)."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from nlpseq.config import Word2VecConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.precompile import Kernel
from nlpseq.errors import BackendUnavailable, ConfigError
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables

__all__ = [
    "LANES",
    "KernelSelection",
    "Span",
    "TrainSpan",
    "TrainSpans",
    "array_module",
    "padded",
    "select",
    "to_compile",
]

TrainSpan = Callable[[Tables, Any, Weights, int, int, Any], tuple[float, int]]
"""(tables, epoch keys, weights, start, stop, learning rate as float32) -> (sum of losses, predictions).

Train `weights` in place on every window whose center lies in tokens[start:stop]; losses are in nats.
"""

LANES = 16  # floats of a cache line


class Span(NamedTuple):
    """Tokens start..stop-1, to train at one learning rate."""

    start: int
    stop: int
    learning_rate: Any  # float32


TrainSpans = Callable[[Tables, Any, Weights, list[Span]], tuple[float, int]]
"""A TrainSpan for several spans, one after another or all at once."""


class KernelSelection(NamedTuple):
    """A kernel, and the device that runs it."""

    backend: str
    kernel: str
    xp: ModuleType
    train_spans: TrainSpans
    at_once: Callable[[Tables], int] = lambda tables: 1  # best number of spans for train_spans
    lanes: int = LANES  # row lengths of the weights are a multiple
    is_compiled: bool = False  # for the CPU, so that threads can share the work


def select(config: Word2VecConfig) -> KernelSelection:
    """Return the kernel of config, or for `auto` the fastest that works on this machine.

    Raises ConfigError if the kernel lacks the loss, BackendUnavailable if CuPy does not work.
    """
    backend = "numpy" if config.backend == "auto" else config.backend
    has_fused = config.loss == "negative-sampling" and not (backend == "cupy" and config.freeze_known)
    fastest = "fused" if has_fused else "layers"
    kernel = fastest if config.kernel == "auto" else config.kernel
    if kernel == "fused" and config.loss == "softmax":
        raise ConfigError("--kernel fused: no softmax loss. Use --kernel layers, or omit --kernel.")
    if kernel == "fused" and not has_fused:
        raise ConfigError(
            "--kernel fused: cannot freeze words with --backend cupy. Use --kernel layers, use --backend "
            "numpy, or leave out --freeze-known."
        )
    xp = array_module(backend)
    if kernel == "fused" and backend == "cupy":
        from nlpseq.word2vec.kernels import fused_cupy

        train_spans = fused_cupy.make_kernel(config, xp)
        processors = xp.cuda.Device().attributes["MultiProcessorCount"]
        at_once = partial(fused_cupy.max_spans, processors=processors)
        return KernelSelection(backend, kernel, xp, train_spans, at_once, fused_cupy.WARP)
    if kernel == "fused":
        train_spans = partial(_train_fused, _fused_module(config), _constants(config))
        return KernelSelection(backend, kernel, xp, train_spans, is_compiled=True)
    from nlpseq.word2vec.kernels.layered import make_layered

    return KernelSelection(backend, kernel, xp, partial(_train_in_turn, make_layered(config, xp)))


def _train_in_turn(
    train_span: TrainSpan, tables: Tables, keys: Any, weights: Weights, spans: list[Span]
) -> tuple[float, int]:
    """Train one span after another."""
    results = [train_span(tables, keys, weights, *span) for span in spans]
    return sum(loss for loss, _ in results), sum(predictions for _, predictions in results)


def _train_fused(module: str, constants: tuple[Any, ...], *work: Any) -> tuple[float, int]:
    """Train by the compiled kernel; the first call loads the compiler, which takes memory and time."""
    use_cache_for_numba()
    return _train_in_turn(import_module(module).make_kernel(*constants), *work)


def _fused_module(config: Word2VecConfig) -> str:
    """Return the module with make_kernel and compile_kernel for the CPU."""
    return f"nlpseq.word2vec.kernels.{'subwords' if config.subwords else 'fused'}_numba"


def array_module(backend: str) -> ModuleType:
    """Return numpy or cupy. Raises BackendUnavailable, with the reason, if CuPy does not work."""
    if backend == "numpy":
        import numpy

        return numpy
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
        cupy.zeros(1)
    except ImportError as error:
        raise BackendUnavailable(
            f'CuPy: not installed ({error}). Type: pip install ".[cuda12]" or ".[cuda13]", or use '
            "--backend numpy."
        ) from error
    except Exception as error:  # because CuPy raises errors of the driver and the runtime
        raise BackendUnavailable(f"CuPy: no usable GPU ({error}). Use --backend numpy.") from error
    module: ModuleType = cupy
    return module


def _constants(config: Word2VecConfig) -> tuple[str | bool | int, ...]:
    """Return the constants of a fused kernel: the arguments of make_kernel."""
    share = config.share_negatives if config.objective == "skipgram" else "window"
    corrected = config.cbow_update == "corrected" or config.objective == "skipgram"
    names = (config.objective,) if config.subwords else (config.objective, share)
    return *names, corrected, padded(config.dim), config.negatives, config.window, config.freeze_known


def to_compile(
    config: Word2VecConfig, selection: KernelSelection, *, in_blocks: bool = False
) -> list[Kernel]:
    """Return the kernels to precompile for a selection: none unless the CPU runs a fused kernel."""
    if not selection.is_compiled:
        return []
    if in_blocks:
        constants = padded(config.dim), config.negatives
        return [Kernel("nlpseq.word2vec.blocks", "compile_kernels", constants)]
    kernels = [Kernel(_fused_module(config), "compile_kernel", _constants(config))]
    if config.deterministic:
        kernels.append(Kernel("nlpseq.word2vec.average_numba", "compile_add_changes"))
    return kernels


def padded(dim: int, lanes: int = LANES) -> int:
    """Return the row length in memory: dim rounded up to a multiple of lanes."""
    return -(-dim // lanes) * lanes
