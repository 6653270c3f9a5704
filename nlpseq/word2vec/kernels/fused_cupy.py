"""word2vec.cu for CuPy: many spans of text at once, a warp for each.

What is kept of the text is found once an epoch, on the device, for PART tokens at a time; the kernel then
reads it with the windows and the noise words of the specification. So a text may be larger than the memory
of the device. How many spans are trained at once is a matter of quality as well as of speed, as each learns
from what the others have not written yet (Gupta & Khare 2017, BlazingText, doi:10.1145/3146347.3146354): no
more than the text and the vocabulary bear.

Letters: V words, N kept tokens, S spans.
"""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream
from nlpseq.errors import ConfigError
from nlpseq.word2vec.kernels.select import Span, TrainSpans, padded
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import PART, Kept, Tables, kept_words

SOURCE = Path(__file__).with_name("word2vec.cu")
WARP = 32
WARPS = 4  # in a block
SHARED = 48 * 1024  # bytes a block may share
WARPS_PER_PROCESSOR = 16
WORDS_PER_SPAN = 50  # of the vocabulary, for each span trained at once
TOKENS_PER_SPAN = 20_000  # of the text

Launch = Callable[[int, tuple[Any, ...]], None]
"""(number of spans, arguments of train_spans in word2vec.cu) -> None, once all are trained or under way."""


def make_kernel(config: Word2VecConfig, xp: Any) -> TrainSpans:
    """The kernel for this config, compiled for CuPy's device; ConfigError where it has no room."""
    check_room(config)
    module = xp.RawModule(code=SOURCE.read_text(), options=("-std=c++17", *constants(config, WARP)))
    kernel = module.get_function("train_spans")

    def launch(num_spans: int, arguments: tuple[Any, ...]) -> None:
        kernel((-(-num_spans // WARPS),), (WARP * WARPS,), arguments)

    return spans_kernel(launch, config.window, xp)


def check_room(config: Word2VecConfig) -> None:
    """Skip-gram keeps a step for every context and output of its window."""
    needed = 4 * WARPS * 2 * config.window * (1 + config.negatives)
    if config.objective == "skipgram" and needed > SHARED:
        raise ConfigError(
            f"window {config.window} with {config.negatives} negatives needs {needed:,} bytes of what the "
            f"lanes of a GPU share: {SHARED:,}. Lower --window or --negatives, or take --kernel layers."
        )


def constants(config: Word2VecConfig, warp: int) -> list[str]:
    """What word2vec.cu is compiled with, for this many lanes."""
    values = {
        "WARP": warp,
        "WARPS": WARPS,
        "D": padded(config.dim, WARP),
        "K": config.negatives,
        "W": config.window,
        "CBOW": config.objective == "cbow",
        "PAIRS": config.objective == "skipgram" and config.share_negatives == "pair",
        "DIVIDE": config.cbow_update == "corrected",
    }
    return [f"-D{name}={int(value)}" for name, value in values.items()]


def at_once(xp: Any) -> Callable[[Tables], int]:
    """How many spans to train at once on the device that CuPy uses."""
    processors = xp.cuda.Device().attributes["MultiProcessorCount"]
    return lambda tables: bearable(tables, WARPS_PER_PROCESSOR * processors)


def bearable(tables: Tables, most: int) -> int:
    """As many spans as the text and its vocabulary bear, and at most so many."""
    by_words, by_tokens = len(tables.keep_V) // WORDS_PER_SPAN, len(tables.tokens) // TOKENS_PER_SPAN
    return max(1, min(most, by_words, by_tokens))


class Parts:
    """What an epoch keeps of the text, for the part of it that was asked for last."""

    def __init__(self, window: int, xp: Any) -> None:
        self._window, self._xp = window, xp
        self._of: tuple[Tables, bytes, int] | None = None
        self._kept: Kept | None = None

    def find(self, tables: Tables, keys: Any, number: int) -> Kept:
        """The kept words of the part with this number, and those around it that its windows reach."""
        if self._of is None or self._of[0] is not tables or self._of[1:] != (keys.tobytes(), number):
            self._of = self._kept = None  # whose memory the next one needs
            start, stop = int(tables.sentences[0]) + number * PART, int(tables.sentences[-1])
            self._kept = kept_words(tables, keys, self._window, start, min(start + PART, stop), self._xp)
            self._of = tables, keys.tobytes(), number
        assert self._kept is not None
        return self._kept


def spans_kernel(launch: Launch, window: int, xp: Any) -> TrainSpans:
    """Train spans by `launch`, those of the same part of the text all at once."""
    parts = Parts(window, xp)

    def train_spans(tables: Tables, keys: Any, weights: Weights, spans: list[Span]) -> tuple[float, int]:
        start = int(tables.sentences[0])
        sums = [
            train_part(parts.find(tables, keys, number), tables.alias_V2, keys, weights, list(group))
            for number, group in groupby(spans, lambda span: (span.start - start) // PART)
        ]
        return sum(loss for loss, _ in sums), sum(predictions for _, predictions in sums)

    def train_part(
        text: Kept, alias_V2: Any, keys: Any, weights: Weights, spans: list[Span]
    ) -> tuple[float, int]:
        bounds_S2 = xp.searchsorted(text.pos_N, xp.asarray(np.array([span[:2] for span in spans])))
        first_S, last_S = (xp.ascontiguousarray(bounds_S2[:, side]) for side in (0, 1))
        rate_S = xp.asarray(np.array([span.learning_rate for span in spans], np.float32))
        loss_S, predictions_S = xp.zeros(len(spans), xp.float64), xp.zeros(len(spans), xp.int64)
        words = *text, np.int64(len(text.ids_N))
        noise = alias_V2, np.uint64(len(alias_V2)), keys[Stream.WIDTH], keys[Stream.NEGATIVE]
        results = np.int64(len(spans)), loss_S, predictions_S
        launch(len(spans), (*words, *noise, *weights, first_S, last_S, rate_S, *results))
        return float(loss_S.sum()), int(predictions_S.sum())

    return train_spans
