"""The word2vec step, readable (reference) and compiled (fused), behind one signature; select() chooses."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from nlpseq.config import Word2VecConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.precompile import Kernel
from nlpseq.errors import BackendUnavailable, ConfigError
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables

TrainSpan = Callable[[Tables, Any, Weights, int, int, Any], tuple[float, int]]
"""(tables, epoch keys, weights, start, stop, learning rate as float32) -> (sum of losses, predictions).

Trains `weights` in place on every window whose centre lies in tokens[start:stop]; losses are in nats.
"""


LANES = 16  # floats of a cache line


class Span(NamedTuple):
    """A stretch of text to train on."""

    start: int
    stop: int
    learning_rate: Any  # float32


TrainSpans = Callable[[Tables, Any, Weights, list[Span]], tuple[float, int]]
"""TrainSpan for several spans, one after another or all at once."""


class KernelSelection(NamedTuple):
    """What will run, and where."""

    backend: str
    kernel: str
    xp: ModuleType
    train_spans: TrainSpans
    at_once: Callable[[Tables], int] = lambda tables: 1  # how many spans train_spans likes to be given
    lanes: int = LANES  # rows of the weights are a multiple of it

    @property
    def is_compiled(self) -> bool:
        """Whether it is compiled for the CPU, where threads can train at the same time."""
        return (self.backend, self.kernel) == ("numpy", "fused")


def select(config: Word2VecConfig) -> KernelSelection:
    """The kernel that config names, or for `auto` the fastest that works here; never another one."""
    backend = "numpy" if config.backend == "auto" else config.backend
    fastest = "fused" if config.loss == "negative-sampling" else "layers"
    kernel = fastest if config.kernel == "auto" else config.kernel
    if kernel == "fused" and config.loss == "softmax":
        raise ConfigError(
            "the fused kernel has no softmax loss. Take --kernel layers, or leave --kernel out."
        )
    xp = array_module(backend)
    if kernel == "fused" and backend == "cupy":
        from nlpseq.word2vec.kernels import fused_cupy

        train_spans, at_once = fused_cupy.make_kernel(config, xp), fused_cupy.at_once(xp)
        return KernelSelection(backend, kernel, xp, train_spans, at_once, fused_cupy.WARP)
    if kernel == "fused":
        return KernelSelection(backend, kernel, xp, in_turn(_fused(config)))
    from nlpseq.word2vec.kernels.reference import make_layered

    return KernelSelection(backend, kernel, xp, in_turn(make_layered(config, xp)))


def in_turn(train_span: TrainSpan) -> TrainSpans:
    """One span after another."""

    def train_spans(tables: Tables, keys: Any, weights: Weights, spans: list[Span]) -> tuple[float, int]:
        results = [train_span(tables, keys, weights, *span) for span in spans]
        return sum(loss for loss, _ in results), sum(predictions for _, predictions in results)

    return train_spans


def array_module(backend: str) -> ModuleType:
    """Numpy or cupy; BackendUnavailable, with the reason, where CuPy cannot be used."""
    if backend == "numpy":
        import numpy

        return numpy
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
        cupy.zeros(1)
    except ImportError as error:
        raise BackendUnavailable(
            f"CuPy is not installed ({error}). Run pip install 'nlpseq[cuda12]' or 'nlpseq[cuda13]', "
            "or take --backend numpy."
        ) from error
    except Exception as error:  # CuPy raises driver and runtime errors of its own
        raise BackendUnavailable(f"CuPy finds no usable GPU ({error}). Take --backend numpy.") from error
    module: ModuleType = cupy
    return module


def _fused(config: Word2VecConfig) -> TrainSpan:
    """The compiled kernel, loaded when it is first called, as loading the compiler takes memory and time."""
    constants = _constants(config)

    def train_span(*work: Any) -> tuple[float, int]:
        use_cache_for_numba()
        from nlpseq.word2vec.kernels.fused_numba import make_kernel

        found: tuple[float, int] = make_kernel(*constants)(*work)
        return found

    return train_span


def _constants(config: Word2VecConfig) -> tuple[str, str, bool, int, int, int]:
    """What a fused kernel is compiled for."""
    share = config.share_negatives if config.objective == "skipgram" else "window"
    corrected = config.cbow_update == "corrected" or config.objective == "skipgram"
    return config.objective, share, corrected, padded(config.dim), config.negatives, config.window


def to_compile(config: Word2VecConfig, choice: KernelSelection) -> list[Kernel]:
    """The kernel of the choice, if that is one that has to be compiled for the CPU."""
    if not choice.is_compiled:
        return []
    kernels = [Kernel("nlpseq.word2vec.kernels.fused_numba", "compile_kernel", _constants(config))]
    if config.deterministic:
        kernels.append(Kernel("nlpseq.word2vec.average_numba", "compile_add_changes"))
    return kernels


def padded(dim: int, lanes: int = LANES) -> int:
    """Row length in memory: a multiple of the floats that a kernel works on together."""
    return -(-dim // lanes) * lanes
