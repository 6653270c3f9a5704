"""Run word2vec.cu by CuPy: many spans of text at once, one warp per span.

The kept words of the text are drawn on the device once per epoch, for PART_TOKENS tokens at a time, so a text
may be larger than the memory of the device. The kernel draws windows and negatives as the specification does.
Spans trained at the same time do not see the changes of each other, so more spans are faster but make worse
vectors (Gupta & Khare 2017, BlazingText, doi:10.1145/3146347.3146354): text and vocabulary limit the number.

Letters: V words, N kept tokens, S spans.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream
from nlpseq.core.resources import count_text
from nlpseq.errors import ConfigError
from nlpseq.vectors.subwords import Bags
from nlpseq.word2vec.kernels.select import Span, TrainSpans, padded
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import PART_TOKENS, Kept, Tables, kept_words

__all__ = [
    "SOURCE",
    "WARP",
    "Launch",
    "Parts",
    "check_room",
    "constants",
    "make_kernel",
    "max_spans",
    "spans_kernel",
]

SOURCE = Path(__file__).with_name("word2vec.cu")
WARP = 32  # lanes
WARPS = 4  # in a block
SHARED_BYTES = 48 * 1024  # shared memory of a block
WARPS_PER_PROCESSOR = 16
WORDS_PER_SPAN = 50  # words of the vocabulary per span trained at once
TOKENS_PER_SPAN = 20_000  # tokens of the text per span trained at once

Draw = Callable[..., Kept]
"""kept_words, or a function of its signature."""

Launch = Callable[[int, tuple[Any, ...]], None]
"""(number of spans, arguments of train_spans in word2vec.cu) -> None, maybe before the spans are done."""


def make_kernel(config: Word2VecConfig, xp: Any, parts: "Parts | None" = None) -> TrainSpans:
    """Compile the kernel for this config and the device of CuPy. Raises ConfigError if it does not fit."""
    check_room(config)
    module = xp.RawModule(code=SOURCE.read_text(), options=("-std=c++17", *constants(config, WARP)))
    kernel = module.get_function("train_spans")
    block = (WARP * WARPS,)
    return spans_kernel(lambda num, work: kernel((-(-num // WARPS),), block, work), config.window, xp, parts)


def check_room(config: Word2VecConfig) -> None:
    """Raise ConfigError if the steps of a window of skip-gram without n-grams do not fit in shared memory."""
    needed = 4 * WARPS * 2 * config.window * (1 + config.negatives)
    if config.objective == "skipgram" and config.subwords is None and needed > SHARED_BYTES:
        raise ConfigError(
            f"--window: {config.window} with {count_text(config.negatives, 'negative')} needs {needed:,} "
            f"bytes of shared memory, and a GPU has {SHARED_BYTES:,}. Lower --window or --negatives, or use "
            "--kernel layers."
        )


def constants(config: Word2VecConfig, warp: int) -> list[str]:
    """Return the compiler options with the constants of word2vec.cu; warp is the number of lanes."""
    values = {
        "WARP": warp,
        "WARPS": WARPS,
        "D": padded(config.dim, WARP),
        "K": config.negatives,
        "W": config.window,
        "CBOW": config.objective == "cbow",
        "PAIRS": config.objective == "skipgram" and config.share_negatives == "pair",
        "DIVIDE": config.cbow_update == "corrected",
        "SUBWORDS": config.subwords is not None,
    }
    return [f"-D{name}={int(value)}" for name, value in values.items()]


def max_spans(tables: Tables, processors: int) -> int:
    """Return the number of spans to train at once; processors: multiprocessors of the device."""
    by_words, by_tokens = len(tables.keep_V) // WORDS_PER_SPAN, len(tables.tokens) // TOKENS_PER_SPAN
    return max(1, min(WARPS_PER_PROCESSOR * processors, by_words, by_tokens))


@dataclass
class Parts:
    """Kept words of one part of the text at a time, cached until another part is needed."""

    window: int
    xp: Any
    part_tokens: int = PART_TOKENS
    draw: Draw = kept_words
    _of: tuple[Tables, bytes, int] | None = None
    _kept: Kept | None = None

    def find(self, tables: Tables, keys: Any, number: int) -> Kept:
        """Return the kept words of a part, and of the windows around its ends."""
        if self._of is None or self._of[0] is not tables or self._of[1:] != (keys.tobytes(), number):
            self._of = self._kept = None  # because the next part needs the memory
            start = int(tables.sentences[0]) + number * self.part_tokens
            stop = min(start + self.part_tokens, int(tables.sentences[-1]))
            self._kept = self.draw(tables, keys, self.window, start, stop, self.xp)
            self._of = tables, keys.tobytes(), number
        assert self._kept is not None
        return self._kept


def spans_kernel(launch: Launch, window: int, xp: Any, parts: Parts | None = None) -> TrainSpans:
    """Return a TrainSpans that calls `launch` once for all spans of the same part of the text."""
    parts, no_bags = parts or Parts(window, xp), Bags(xp.zeros(1, xp.int64), xp.zeros(1, xp.uint32))

    def train_spans(tables: Tables, keys: Any, weights: Weights, spans: list[Span]) -> tuple[float, int]:
        start = int(tables.sentences[0])
        sums = [
            train_part(parts.find(tables, keys, number), tables, keys, weights, list(group))
            for number, group in groupby(spans, lambda span: (span.start - start) // parts.part_tokens)
        ]
        return sum(loss for loss, _ in sums), sum(predictions for _, predictions in sums)

    def train_part(
        text: Kept, tables: Tables, keys: Any, weights: Weights, spans: list[Span]
    ) -> tuple[float, int]:
        bounds_S2 = xp.searchsorted(text.pos_N, xp.asarray(np.array([span[:2] for span in spans])))
        first_S, last_S = (xp.ascontiguousarray(bounds_S2[:, side]) for side in (0, 1))
        rate_S = xp.asarray(np.array([span.learning_rate for span in spans], np.float32))
        loss_S, predictions_S = xp.zeros(len(spans), xp.float64), xp.zeros(len(spans), xp.int64)
        words = *text, np.int64(len(text.ids_N))
        alias_V2, bags = tables.alias_V2, tables.bags or no_bags
        noise = alias_V2, np.uint64(len(alias_V2)), keys[Stream.WIDTH], keys[Stream.NEGATIVE]
        results = np.int64(len(spans)), loss_S, predictions_S
        launch(len(spans), (*words, *noise, *bags, *weights, first_S, last_S, rate_S, *results))
        return float(loss_S.sum()), int(predictions_S.sum())

    return train_spans
