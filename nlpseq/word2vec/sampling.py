"""Draw the kept tokens, the width of each window and the negatives: the specification of every kernel.

Each draw is a function of counters (core/counter_rng.py). The upper half of its 64 bits selects, the lower
half accepts. xp is numpy or cupy.

Letters: V words, B windows, P pairs of a window and one of its contexts, K negatives.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.dataset.subsample import HALF, as_threshold, keep_thresholds, kept
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.vectors.subwords import Bags, word_bags

__all__ = [
    "PART_TOKENS",
    "Frozen",
    "Kept",
    "Tables",
    "Windows",
    "alias_table",
    "epoch_keys",
    "kept_words",
    "make_tables",
    "noise_weights",
    "noise_words",
    "resident",
    "span_windows",
    "widths",
]

PART_TOKENS = 125_000_000  # shuffled together, and on a GPU together; whole chunks
BLOCK_TOKENS = 10_000_000  # read at once

Array = Any  # a NumPy or CuPy array


def alias_table(weights_V: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Return the alias table of Vose 1991 (doi:10.1109/32.92917), (V, 2): acceptance threshold and alias.

    A draw selects row v uniformly and returns v if its lower half is at most table[v, 0], else table[v, 1].
    The probability of each word is proportional to its weight, with two reads for any number of words; a word
    of weight 0 is drawn with a probability of at most 2^-32 / V.
    """
    scaled = (weights_V / weights_V.sum() * len(weights_V)).tolist()
    alias = list(range(len(scaled)))
    small = [v for v, share in enumerate(scaled) if share < 1]
    large = [v for v, share in enumerate(scaled) if share >= 1]
    while small and large:
        v, donor = small.pop(), large[-1]
        alias[v] = donor
        scaled[donor] -= 1 - scaled[v]
        if scaled[donor] < 1:
            small.append(large.pop())
    for v in small + large:  # because of rounding, these shares are not exactly 1
        scaled[v] = 1.0
    return np.stack([as_threshold(np.array(scaled)), np.array(alias, np.uint32)], axis=1)


class Frozen(NamedTuple):
    """Rows that no step changes: of the inputs, and of the outputs."""

    in_V: Array  # bool; with subwords, (R,)
    out_V: Array  # bool


class Tables(NamedTuple):
    """Read-only data of every step."""

    tokens: Array  # (num_tokens,) uint16 or uint32; ids from V up are unknown words
    sentences: npt.NDArray[np.int64]  # (num_sentences + 1,): start of each in tokens, end of the last
    keep_V: Array  # keep_thresholds of the words
    alias_V2: Array  # alias_table of the noise distribution
    bags: Bags | None = None  # rows of each word as input, with subwords
    frozen: Frozen | None = None


def make_tables(data: TokenDataset, config: Word2VecConfig, xp: Any) -> Tables:
    """Return the text and the sampling tables of a split, mostly as arrays of xp.

    data: the train split. The bounds of sentences stay in NumPy, and so does a text too large for the device.
    """
    assert config.smoothing is not None
    bags = None
    if config.ngrams:
        assert config.buckets
        words = data.vocab.without_specials().words
        bags = Bags(*map(xp.asarray, word_bags(words, config.ngrams, config.buckets)))
    return Tables(
        resident(data.tokens, xp),
        data.sentences,
        xp.asarray(keep_thresholds(data.word_counts, config.subsample)),
        xp.asarray(alias_table(noise_weights(data, config.smoothing))),
        bags,
    )


def noise_weights(data: TokenDataset, smoothing: float) -> npt.NDArray[np.float64]:
    """Return the weight of each word in the noise distribution, (V,): its count to the power `smoothing`.

    With a start, words that the text lacks have weight 0, because steps as negatives alone would move their
    outputs away from all words of the text. Otherwise such words, as many tokens of BPE, count once.
    """
    counts_V = data.word_counts
    weights_V: npt.NDArray[np.float64] = np.maximum(counts_V, 1).astype(np.float64) ** smoothing
    if "start" in data.meta and counts_V.any():
        weights_V[counts_V == 0] = 0
    return weights_V


def resident(tokens: npt.NDArray[Any], xp: Any) -> Any:
    """Return the tokens on the device of xp if half of its free memory can hold them, else unchanged.

    Kernels then copy the text part by part.
    """
    if xp is np:
        return tokens
    free, _ = xp.cuda.runtime.memGetInfo()
    return xp.asarray(tokens) if tokens.nbytes <= free // 2 else tokens


def epoch_keys(seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    """Return the keys of the streams KEEP, WIDTH and NEGATIVE in an epoch, indexed by stream."""
    streams = (Stream.KEEP, Stream.WIDTH, Stream.NEGATIVE)
    return np.array([stream_key(seed, stream, epoch) for stream in streams], np.uint64)


class Kept(NamedTuple):
    """Kept words of a span of text."""

    ids_N: Array  # uint32
    pos_N: Array  # int64, positions in the token stream, ascending
    sentence_N: Array  # int64, equal for words of one sentence


class Windows(NamedTuple):
    """Windows around center words, with all contexts in one list, window by window, left to right."""

    centres_B: Array  # word ids
    pos_B: Array  # positions of the centers in the token stream
    contexts_P: Array  # word ids
    window_P: Array  # window of each pair, 0..B-1, ascending
    slot_P: Array  # slot of the context in the widest window, 0..2*window-1

    def by_pair(self) -> "Windows":
        """Return each pair as a window of its own."""
        window_P = self.window_P
        one_each_P = (window_P * 0 + 1).cumsum() - 1
        return Windows(
            self.centres_B[window_P], self.pos_B[window_P], self.contexts_P, one_each_P, self.slot_P
        )

    def part(self, start: int, stop: int, xp: Any) -> "Windows":
        """Return the windows start..stop-1, numbered from 0."""
        pairs = slice(*(int(p) for p in xp.searchsorted(self.window_P, xp.asarray([start, stop]))))
        contexts = self.contexts_P[pairs], self.window_P[pairs] - start, self.slot_P[pairs]
        return Windows(self.centres_B[start:stop], self.pos_B[start:stop], *contexts)


def span_windows(tables: Tables, keys: Any, window: int, start: int, stop: int, xp: Any) -> Windows:
    """Return all windows whose center is a kept token in tokens[start:stop]; contexts may lie outside.

    Unknown words and tokens dropped by subsampling are removed before windows are formed, so a window reaches
    over them, as in word2vec.c. A window never reaches into another sentence. Windows without contexts are
    dropped.
    """
    ids_N, pos_N, sentence_N = kept_words(tables, keys, window, start, stop, xp)
    width_N = widths(pos_N, window, keys, xp)

    offset_S = xp.asarray([offset for offset in range(-window, window + 1) if offset != 0])
    place_NS = xp.arange(len(pos_N))[:, None] + offset_S
    inside_NS = (place_NS >= 0) & (place_NS < len(pos_N))
    place_NS = xp.where(inside_NS, place_NS, 0)
    inside_NS &= (xp.abs(offset_S) <= width_N[:, None]) & (sentence_N[place_NS] == sentence_N[:, None])
    inside_NS &= ((pos_N >= start) & (pos_N < stop))[:, None]

    centre_P, slot_P = xp.nonzero(inside_NS)
    has_context_N = inside_NS.any(axis=1)
    window_N = xp.cumsum(has_context_N) - 1
    contexts_P, centres_B = ids_N[place_NS[centre_P, slot_P]], ids_N[has_context_N]
    ids = centres_B.astype(xp.int64), pos_N[has_context_N], contexts_P.astype(xp.int64)
    return Windows(*ids, window_N[centre_P], slot_P)


def widths(pos_N: Array, window: int, keys: Any, xp: Any) -> Array:
    """Return the width of the window at each position, uniform on 1..window, so near words weigh more."""
    upper_N = random_bits_array(int(keys[Stream.WIDTH]), pos_N, xp.zeros_like(pos_N), xp) >> xp.uint64(HALF)
    return 1 + ((upper_N * xp.uint64(window)) >> xp.uint64(HALF)).astype(xp.int64)


def noise_words(alias_V2: Array, keys: Any, pos_N: Array, first_k_N: Array, num: int, xp: Any) -> Array:
    """Return words of the noise distribution, (N, num): draws first_k..first_k+num-1 of each position."""
    k_NK = first_k_N[:, None] + xp.arange(num)
    drawn_NK = random_bits_array(int(keys[Stream.NEGATIVE]), pos_N[:, None], k_NK, xp)
    upper_NK, lower_NK = drawn_NK >> xp.uint64(HALF), drawn_NK & xp.uint64(2**HALF - 1)
    row_NK = ((upper_NK * xp.uint64(len(alias_V2))) >> xp.uint64(HALF)).astype(xp.int64)
    return xp.where(lower_NK <= alias_V2[row_NK, 0], row_NK, alias_V2[row_NK, 1].astype(xp.int64))


def kept_words(tables: Tables, keys: Any, window: int, start: int, stop: int, xp: Any) -> Kept:
    """Return the kept words of tokens[start:stop] and of all their windows, on the device of xp.

    The text is widened by `window` kept words on each side, within the sentence.
    """
    after, last = np.searchsorted(tables.sentences, [start, stop - 1], side="right")
    lowest, highest = int(tables.sentences[after - 1]), int(tables.sentences[last])

    def find(begin: int, end: int) -> tuple[Array, Array]:
        tokens_N = xp.asarray(tables.tokens[begin:end])
        return tokens_N, xp.flatnonzero(kept(tokens_N, begin, tables.keep_V, int(keys[Stream.KEEP]), xp))

    step, begin, end = 4 * window, start, stop
    while begin > lowest and len(find(begin, start)[1]) < window:
        begin, step = max(lowest, begin - step), 2 * step
    step = 4 * window
    while end < highest and len(find(stop, end)[1]) < window:
        end, step = min(highest, end + step), 2 * step
    blocks = []
    for block in range(begin, end, BLOCK_TOKENS):
        tokens_N, offset_N = find(block, min(block + BLOCK_TOKENS, end))
        blocks.append((tokens_N[offset_N].astype(xp.uint32), block + offset_N))
    ids_N, pos_N = (xp.concatenate([block[side] for block in blocks]) for side in (0, 1))
    del blocks  # because they take as much memory
    sentence_N = xp.searchsorted(xp.asarray(tables.sentences[after - 1 : last]), pos_N, side="right")
    return Kept(ids_N, pos_N, sentence_N.astype(xp.int64, copy=False))
