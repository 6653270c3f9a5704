"""Every intrinsic equals its plain counterpart."""

import random

import numpy as np
import pytest
from numba import njit
from reference import simd as plain

from nlpseq.tokenizers import simd_numba as fast

SIZES = (7, 64, 71, 131)  # bytes of a text
EDGES = (1, 2, 3, 1 << 31, (1 << 32) + 5, 1 << 63, (1 << 64) - 1)


@njit
def load_uint64(data, at):
    return fast.load_uint64(data, at)


@njit
def bytes_in_range(data, at, low, num):
    return fast.bytes_in_range(data, at, low, num)


@njit
def multiply_fold(a, b):
    return fast.multiply_fold(a, b)


@njit
def trailing_zeros(number):
    return fast.trailing_zeros(number)


@njit
def popcount(number):
    return fast.popcount(number)


def numbers() -> list[int]:
    chance = random.Random(1)
    return [
        *EDGES,
        *(chance.getrandbits(chance.randint(1, 64)) | 1 << chance.randrange(64) for _ in range(200)),
    ]


def random_bytes(size: int) -> np.ndarray:
    return np.frombuffer(random.Random(size).randbytes(size), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_load_uint64_at_every_offset(size):
    data = np.append(random_bytes(size), np.zeros(8, np.uint8))
    for at in range(size):
        assert int(load_uint64(data, at)) == plain.load_uint64(data, at)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("low", "num"), [(0, 128), (10, 1), (97, 26), (250, 6), (0, 0), (128, 127)])
def test_bytes_in_range_equals_reference_at_every_offset(size, low, num):
    data = np.append(random_bytes(size), np.zeros(plain.VECTOR_BYTES, np.uint8))
    assert plain.VECTOR_BYTES == fast.VECTOR_BYTES
    for at in range(size):
        found = int(bytes_in_range(data, at, np.uint8(low), np.uint8(num)))
        assert found == plain.bytes_in_range(data, at, low, num)


def test_multiply_fold_on_128_bit_products():
    for a in numbers():
        for b in EDGES:
            assert int(multiply_fold(np.uint64(a), np.uint64(b))) == plain.multiply_fold(a, b)


def test_bit_counts_equal_reference_on_uint64():
    for number in numbers():
        assert int(trailing_zeros(np.uint64(number))) == plain.trailing_zeros(number)
        assert int(popcount(np.uint64(number))) == plain.popcount(number)
    assert int(popcount(np.uint64(0))) == 0
