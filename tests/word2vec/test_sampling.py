"""Windows equal the plain reference, and draws follow their distributions."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference.windows import window_pairs
from scipy import stats
from support.proxy import ProxyArray, proxied, xp as proxy

from nlpseq.core.counter_rng import Stream, random_bits
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.word2vec.sampling import (
    Tables,
    alias_table,
    epoch_keys,
    noise_words,
    span_windows,
    widths,
)


def test_keep_probability_equals_word2vec() -> None:
    counts = np.array([9_000, 900, 90, 10])
    share = counts / counts.sum()
    wanted = np.minimum(np.sqrt(0.01 / share) + 0.01 / share, 1)
    kept = (keep_thresholds(counts, 0.01).astype(np.float64) + 1) / 2**32
    np.testing.assert_allclose(kept, wanted, atol=2**-32)
    assert (keep_thresholds(counts, 0) == 2**32 - 1).all()


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60))
def test_alias_table_gives_each_word_its_weight(weights: list[float]) -> None:
    table = alias_table(np.array(weights))
    accept = (table[:, 0].astype(np.float64) + 1) / 2**32
    probability = accept.copy()
    np.add.at(probability, table[:, 1], 1 - accept)
    wanted = np.array(weights) / sum(weights) * len(weights)
    np.testing.assert_allclose(probability, wanted, atol=len(weights) * 1e-8)  # thresholds have 32 bits


def test_negatives_follow_smoothed_counts() -> None:
    counts = np.array([1000, 400, 100, 50, 20, 5, 1])
    share = counts**0.75 / (counts**0.75).sum()
    pos = np.arange(40_000)
    drawn = noise_words(alias_table(counts**0.75), epoch_keys(1, 0), pos, np.zeros_like(pos), 5, np)
    observed = np.bincount(drawn.ravel(), minlength=7)
    assert stats.chisquare(observed, share * drawn.size).pvalue > 1e-3


def test_window_widths_are_uniform() -> None:
    drawn = widths(np.arange(50_000), 5, epoch_keys(1, 0), np)
    assert stats.chisquare(np.bincount(drawn, minlength=6)[1:]).pvalue > 1e-3


def example_tables(lengths: list[int], num_words: int, subsample: float) -> Tables:
    sentences = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.random.default_rng(len(lengths)).integers(0, num_words + 1, sentences[-1]).astype(np.uint16)
    counts = np.bincount(tokens, minlength=num_words + 1)[:num_words] + 1
    return Tables(tokens, sentences, keep_thresholds(counts, subsample), alias_table(counts**0.75))


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    num_words=st.integers(1, 9),
    window=st.integers(1, 7),
    subsample=st.sampled_from([0, 0.001, 0.1]),
    data=st.data(),
)
def test_windows_equal_reference_for_any_span(
    lengths: list[int], num_words: int, window: int, subsample: float, data: st.DataObject
) -> None:
    tables = example_tables(lengths, num_words, subsample)
    start = data.draw(st.integers(0, sum(lengths) - 1))
    stop = data.draw(st.integers(start + 1, sum(lengths)))
    windows = span_windows(tables, epoch_keys(5, 0), window, start, stop, np)
    centre_P, pos_P = windows.centres_B[windows.window_P], windows.pos_B[windows.window_P]
    columns = (centre_P, pos_P, windows.contexts_P, windows.slot_P)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == window_pairs(
        tables, 5, window, start, stop
    )


def test_windows_by_part_and_by_pair_are_equal() -> None:
    windows = span_windows(example_tables([20, 9], 5, 0), epoch_keys(1, 0), 3, 0, 29, np)
    parts = [windows.part(first, first + 4, np) for first in range(0, len(windows.centres_B), 4)]
    np.testing.assert_array_equal(np.concatenate([p.contexts_P for p in parts]), windows.contexts_P)
    centres = np.concatenate([p.centres_B[p.window_P] for p in parts])
    np.testing.assert_array_equal(centres, windows.centres_B[windows.window_P])
    pairs = windows.by_pair()
    np.testing.assert_array_equal(pairs.centres_B[pairs.window_P], centres)
    np.testing.assert_array_equal(pairs.window_P, np.arange(len(windows.contexts_P)))


def test_windows_do_not_depend_on_next_sentence() -> None:
    short, long = example_tables([6], 4, 0), example_tables([6], 4, 0)
    longer = long._replace(
        tokens=np.append(long.tokens, [0, 1]).astype(np.uint16), sentences=np.array([0, 6, 8])
    )
    for a, b in zip(
        span_windows(short, epoch_keys(1, 0), 5, 0, 6, np),
        span_windows(longer, epoch_keys(1, 0), 5, 0, 6, np),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("span", [(0, 29), (7, 15)])
def test_sampling_calls_given_array_module(span: tuple[int, int]) -> None:
    tables = example_tables([20, 9], 5, 0.05)
    there = proxied(tables, streamed=span == (7, 15))
    keys = epoch_keys(3, 1)
    here = span_windows(tables, keys, 3, *span, np)
    windows = span_windows(there, keys, 3, *span, proxy)
    for a, b in zip(here, windows, strict=True):
        assert isinstance(b, ProxyArray)
        np.testing.assert_array_equal(a, b.host)
    zero = proxy.asarray(np.zeros(len(windows.pos_B), np.int64))
    drawn = noise_words(there.alias_V2, keys, windows.pos_B, zero, 4, proxy)
    np.testing.assert_array_equal(
        drawn.host, noise_words(tables.alias_V2, keys, here.pos_B, np.zeros_like(here.pos_B), 4, np)
    )


def test_negatives_use_bits_of_their_position() -> None:
    table, pos = alias_table(np.arange(1.0, 8.0)), 12
    drawn = noise_words(table, epoch_keys(9, 4), np.array([pos]), np.array([6]), 2, np)[0]
    for n, k in enumerate((6, 7)):
        bits = random_bits(9, Stream.NEGATIVE, 4, pos, k)
        row = (bits >> 32) * 7 >> 32
        assert drawn[n] == (row if bits & 0xFFFFFFFF <= table[row, 0] else table[row, 1])
