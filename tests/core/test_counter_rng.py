"""Counter-based random numbers are equal in Python, NumPy and Numba, and pass statistical tests."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numba import njit
from scipy.stats import chisquare, pearsonr

from nlpseq.core.counter_rng import (
    K_BITS,
    MASK_64,
    WEYL,
    Stream,
    mix,
    random_bits,
    random_bits_array,
    stream_key,
)
from nlpseq.core.counter_rng_numba import random_bits as compiled_bits

SEEDS = st.integers(0, 2**70)
STREAMS = st.sampled_from([Stream.KEEP, Stream.WIDTH, Stream.NEGATIVE, Stream.INIT])
EPOCHS = st.integers(0, 1000)
POSITIONS = st.lists(st.integers(0, 2**44 - 1), min_size=1, max_size=20)
KS = st.integers(0, 2**K_BITS - 1)


@njit
def compiled_array(key, pos, k):
    out = np.empty(len(pos), np.uint64)
    for i in range(len(pos)):
        out[i] = compiled_bits(key, pos[i], k)
    return out


def test_mix_equals_splitmix64():
    # First outputs for seed 1234567, as published with the reference implementation.
    outputs = [mix((1234567 + WEYL * n) & MASK_64) for n in range(1, 6)]
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_random_bits_never_change():  # because results of a seed would change, too
    assert random_bits(seed=1, stream=Stream.NEGATIVE, epoch=2, pos=3, k=4) == 0x14F192AD8DBCA211


@given(SEEDS, STREAMS, EPOCHS, POSITIONS, KS)
def test_arrays_and_numba_equal_python(seed, stream, epoch, positions, k):
    want = [random_bits(seed, stream, epoch, pos, k) for pos in positions]
    key = stream_key(seed, stream, epoch)
    pos = np.array(positions, np.uint64)
    assert random_bits_array(key, pos, np.array([k]), np).tolist() == want
    assert compiled_array(np.uint64(key), pos, np.uint64(k)).tolist() == want


def test_random_bits_array_broadcasts():
    pos, k = np.array([[5], [7]]), np.arange(3)
    drawn = random_bits_array(stream_key(9, Stream.WIDTH, 0), pos, k, np)
    assert drawn.dtype == np.uint64
    assert drawn.tolist() == [[random_bits(9, Stream.WIDTH, 0, p, j) for j in range(3)] for p in (5, 7)]


@pytest.mark.parametrize("bits", ["low", "high"])
def test_random_bits_are_uniform(bits):
    drawn = random_bits_array(stream_key(1, Stream.KEEP, 0), np.arange(200_000), np.array([0]), np)
    bins = drawn & np.uint64(255) if bits == "low" else drawn >> np.uint64(56)
    assert chisquare(np.bincount(bins.astype(int), minlength=256)).pvalue > 1e-3


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"stream": Stream.WIDTH},
        {"epoch": 1},
        {"offset": 1},  # the neighboring position
        {"k": 1},
    ],
    ids=str,
)
def test_neighboring_counters_are_uncorrelated(other):
    assert abs(pearsonr(uniform(), uniform(**other)).statistic) < 0.01  # 4.5 sigma of 200,000 pairs


def uniform(seed=1, stream=Stream.KEEP, epoch=0, offset=0, k=0):
    drawn = random_bits_array(stream_key(seed, stream, epoch), np.arange(200_000) + offset, np.array([k]), np)
    return drawn.astype(np.float64) / 2**64


@given(st.integers(0, MASK_64), st.integers(0, 63))
def test_input_bit_flips_half_of_output(z, bit):
    flipped = (mix(z) ^ mix(z ^ (1 << bit))).bit_count()
    assert 8 <= flipped <= 56  # 6 sigma around 32


def test_stream_keys_differ():
    keys = {
        stream_key(seed, stream, epoch) for seed in range(20) for stream in range(4) for epoch in range(20)
    }
    assert len(keys) == 20 * 4 * 20
