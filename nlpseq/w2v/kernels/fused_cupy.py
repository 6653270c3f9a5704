"""w2v.cu for CuPy: many spans of text at once, a warp for each.

What is kept of the text is found once an epoch, on the device; the kernel then reads it with the windows and
the noise words of the specification. How many spans are trained at once is a matter of quality as well as of
speed, as each learns from what the others have not written yet (Gupta & Khare 2017, BlazingText,
doi:10.1145/3146347.3146354): no more than the text and the vocabulary bear.

Letters: V words, N kept tokens, S spans.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.draws import NEGATIVE, WIDTH
from nlpseq.errors import ConfigError
from nlpseq.w2v.kernels import Span, TrainSpans, padded
from nlpseq.w2v.objectives import Weights
from nlpseq.w2v.sampling import Tables, stays

SOURCE = Path(__file__).with_name("w2v.cu")
WARP = 32
WARPS = 4  # in a block
SHARED = 48 * 1024  # bytes a block may share
WARPS_PER_PROCESSOR = 16
WORDS_PER_SPAN = 50  # of the vocabulary, for each span trained at once
TOKENS_PER_SPAN = 20_000  # of the text
BLOCK = 10_000_000  # tokens looked at at once

Array = Any  # a NumPy or CuPy array
Launch = Callable[[int, tuple[Any, ...]], None]
"""(number of spans, arguments of train_spans in w2v.cu) -> None, once all are trained or under way."""


class Text(NamedTuple):
    """The words that an epoch keeps."""

    ids_N: Array  # uint32
    pos_N: Array  # int64, their places in the text, rising
    sentence_N: Array  # int64


def make_kernel(config: Word2VecConfig, xp: Any) -> TrainSpans:
    """The kernel for this config, compiled for CuPy's device; ConfigError where it has no room."""
    check_room(config)
    module = xp.RawModule(code=SOURCE.read_text(), options=("-std=c++17", *constants(config, WARP)))
    kernel = module.get_function("train_spans")

    def launch(num_spans: int, arguments: tuple[Any, ...]) -> None:
        kernel((-(-num_spans // WARPS),), (WARP * WARPS,), arguments)

    return spans_kernel(launch, xp)


def check_room(config: Word2VecConfig) -> None:
    """Skip-gram keeps a step for every context and output of its window."""
    needed = 4 * WARPS * 2 * config.window * (1 + config.negatives)
    if config.objective == "skipgram" and needed > SHARED:
        raise ConfigError(
            f"window {config.window} with {config.negatives} negatives needs {needed:,} bytes of what the "
            f"lanes of a GPU share: {SHARED:,}. Lower --window or --negatives, or take --kernel layers."
        )


def constants(config: Word2VecConfig, warp: int) -> list[str]:
    """What w2v.cu is compiled with, for this many lanes."""
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


def spans_kernel(launch: Launch, xp: Any) -> TrainSpans:
    """Train spans by `launch`, on what is kept of the text in the epoch of these keys."""
    found: tuple[Tables, bytes, Text] | None = None  # of the last epoch

    def train_spans(tables: Tables, keys: Any, weights: Weights, spans: list[Span]) -> tuple[float, int]:
        nonlocal found
        if found is None or found[0] is not tables or found[1] != keys.tobytes():
            found = None  # whose memory the next one needs
            found = tables, keys.tobytes(), kept_text(tables, keys, xp)
        text = found[2]
        bounds_S2 = xp.searchsorted(text.pos_N, xp.asarray(np.array([span[:2] for span in spans])))
        first_S, last_S = (xp.ascontiguousarray(bounds_S2[:, side]) for side in (0, 1))
        rate_S = xp.asarray(np.array([span.learning_rate for span in spans], np.float32))
        loss_S, predictions_S = xp.zeros(len(spans), xp.float64), xp.zeros(len(spans), xp.int64)
        noise = tables.alias_V2, np.uint64(len(tables.alias_V2)), keys[WIDTH], keys[NEGATIVE]
        results = np.int64(len(spans)), loss_S, predictions_S
        launch(
            len(spans),
            (*text, np.int64(len(text.ids_N)), *noise, *weights, first_S, last_S, rate_S, *results),
        )
        return float(loss_S.sum()), int(predictions_S.sum())

    return train_spans


def kept_text(tables: Tables, keys: Any, xp: Any) -> Text:
    """The tokens that are words and stay in the epoch of these keys."""
    start, stop = int(tables.sentences[0]), int(tables.sentences[-1])
    places = []
    for first in range(start, stop, BLOCK):
        places.append(first + xp.flatnonzero(stays(tables, keys, first, min(first + BLOCK, stop), xp)))
    pos_N = xp.concatenate(places)
    sentence_N = xp.searchsorted(tables.sentences, pos_N, side="right")
    return Text(tables.tokens[pos_N].astype(xp.uint32), pos_N, sentence_N.astype(xp.int64))
