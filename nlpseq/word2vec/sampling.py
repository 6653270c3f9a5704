"""What word2vec draws: which tokens to keep, how wide each window is, which words are noise.

Every answer is a function of counters (core.counter_rng), in two forms: tables made once, and here, for
arrays of positions, how a draw reads them. xp is numpy or cupy.

Letters: V words, B windows, P pairs of a window and one of its contexts, K negatives.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.dataset.subsample import HALF, as_threshold, kept

PART = 125_000_000  # tokens whose chunks are shuffled together, and a GPU looks at together; whole chunks
BLOCK = 10_000_000  # tokens looked at at once

Array = Any  # a NumPy or CuPy array; of a draw the upper half picks, the lower half accepts


def alias_table(weights_V: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Vose's alias table (Vose 1991, doi:10.1109/32.92917): (V, 2) of acceptance threshold and alias.

    A draw picks row v uniformly and answers v when its lower half is at most table[v, 0], else table[v, 1],
    which makes every word as likely as its weight in two reads, however many words there are.
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
    for v in small + large:  # rounding leaves shares a hair off 1
        scaled[v] = 1.0
    return np.stack([as_threshold(np.array(scaled)), np.array(alias, np.uint32)], axis=1)


class Tables(NamedTuple):
    """What every step reads and none writes."""

    tokens: Array  # (num_tokens,) uint16 or uint32, ids from V up are unknown words; NumPy's or CuPy's
    sentences: npt.NDArray[np.int64]  # (num_sentences + 1,), where each begins and the last ends in tokens
    keep_V: Array  # keep_thresholds
    alias_V2: Array  # alias_table of the noise distribution


def epoch_keys(seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    """Return the keys of the streams KEEP, WIDTH and NEGATIVE in an epoch, indexed by stream."""
    streams = (Stream.KEEP, Stream.WIDTH, Stream.NEGATIVE)
    return np.array([stream_key(seed, stream, epoch) for stream in streams], np.uint64)


class Kept(NamedTuple):
    """The words that are kept of a stretch of text."""

    ids_N: Array  # uint32
    pos_N: Array  # int64, their places in the token stream, rising
    sentence_N: Array  # int64, the same for words of the same sentence


class Windows(NamedTuple):
    """Windows around centre words, with their contexts in one flat list, window by window, left to right."""

    centres_B: Array  # word id in the middle
    pos_B: Array  # its place in the token stream
    contexts_P: Array  # word id of each context
    window_P: Array  # which window the pair belongs to, 0..B-1, rising
    slot_P: Array  # place of the context in the widest window, 0..2*window

    def by_pair(self) -> "Windows":
        """Every pair as a window of its own."""
        window_P = self.window_P
        one_each_P = (window_P * 0 + 1).cumsum() - 1
        return Windows(
            self.centres_B[window_P], self.pos_B[window_P], self.contexts_P, one_each_P, self.slot_P
        )

    def part(self, start: int, stop: int, xp: Any) -> "Windows":
        """Windows start..stop-1 of these, renumbered from 0."""
        pairs = slice(*(int(p) for p in xp.searchsorted(self.window_P, xp.asarray([start, stop]))))
        contexts = self.contexts_P[pairs], self.window_P[pairs] - start, self.slot_P[pairs]
        return Windows(self.centres_B[start:stop], self.pos_B[start:stop], *contexts)


def span_windows(tables: Tables, keys: Any, window: int, start: int, stop: int, xp: Any) -> Windows:
    """All windows whose centre is a kept token in tokens[start:stop]; contexts may lie outside the span.

    Unknown words and subsampled tokens are dropped before windows are formed, so a window reaches over them,
    as in word2vec.c; it never reaches into another sentence. Windows without any context are left out.
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
    """Reach of the window at each position: uniform on 1..window, so near words count more."""
    upper_N = random_bits_array(int(keys[Stream.WIDTH]), pos_N, xp.zeros_like(pos_N), xp) >> xp.uint64(HALF)
    return 1 + ((upper_N * xp.uint64(window)) >> xp.uint64(HALF)).astype(xp.int64)


def noise_words(alias_V2: Array, keys: Any, pos_N: Array, first_k_N: Array, num: int, xp: Any) -> Array:
    """(N, num) words of the noise distribution: draws first_k..first_k+num-1 of each position."""
    k_NK = first_k_N[:, None] + xp.arange(num)
    drawn_NK = random_bits_array(int(keys[Stream.NEGATIVE]), pos_N[:, None], k_NK, xp)
    upper_NK, lower_NK = drawn_NK >> xp.uint64(HALF), drawn_NK & xp.uint64(2**HALF - 1)
    row_NK = ((upper_NK * xp.uint64(len(alias_V2))) >> xp.uint64(HALF)).astype(xp.int64)
    return xp.where(lower_NK <= alias_V2[row_NK, 0], row_NK, alias_V2[row_NK, 1].astype(xp.int64))


def kept_words(tables: Tables, keys: Any, window: int, start: int, stop: int, xp: Any) -> Kept:
    """What is kept of tokens[start:stop] and of what their windows may reach, on the device of xp."""
    begin, end = _reach(tables, keys, window, start, stop, xp)
    blocks = []
    for first in range(begin, end, BLOCK):
        tokens_N = xp.asarray(tables.tokens[first : min(first + BLOCK, end)])
        place_N = xp.flatnonzero(_stay(tables, keys, tokens_N, first, xp))
        blocks.append((tokens_N[place_N].astype(xp.uint32), first + place_N))
    ids_N, pos_N = (xp.concatenate([block[side] for block in blocks]) for side in (0, 1))
    del blocks  # which are as large
    first, last = _sentences(tables, begin, end)
    sentence_N = xp.searchsorted(xp.asarray(tables.sentences[first:last]), pos_N, side="right")
    return Kept(ids_N, pos_N, sentence_N.astype(xp.int64, copy=False))


def _stay(tables: Tables, keys: Any, tokens_N: Array, start: int, xp: Any) -> Array:
    """Which of these tokens, the first of which is at `start`, are words that subsampling keeps."""
    return kept(tokens_N, start, tables.keep_V, int(keys[Stream.KEEP]), xp)


def _sentences(tables: Tables, start: int, stop: int) -> tuple[int, int]:
    """The numbers of the sentence of token `start` and of the one after that of token stop-1."""
    first, last = np.searchsorted(tables.sentences, [start, stop - 1], side="right")
    return int(first) - 1, int(last)


def _reach(tables: Tables, keys: Any, window: int, start: int, stop: int, xp: Any) -> tuple[int, int]:
    """start..stop, widened by `window` kept tokens on each side, or up to the ends of the sentence."""
    lowest, highest = (int(tables.sentences[number]) for number in _sentences(tables, start, stop))

    def num_kept(first: int, last: int) -> int:
        return int(_stay(tables, keys, xp.asarray(tables.tokens[first:last]), first, xp).sum())

    step, begin, end = 4 * window, start, stop
    while begin > lowest and num_kept(begin, start) < window:
        begin, step = max(lowest, begin - step), 2 * step
    step = 4 * window
    while end < highest and num_kept(stop, end) < window:
        end, step = min(highest, end + step), 2 * step
    return begin, end
