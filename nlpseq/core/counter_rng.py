"""Counter-based random numbers: 64 random bits as a pure function of counters.

Is this token kept? How wide is this window? Which word is its k-th negative? random_bits(seed, stream, epoch,
pos, k) answers each question. No generator holds a state, so every kernel sees the same numbers, a run
resumes from any position, and the number of threads changes nothing.

The mixing function is the finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195),
applied to a Weyl sequence of counters from a key derived from seed, stream and epoch. Salmon et al. 2011
(Parallel random numbers: as easy as 1, 2, 3, doi:10.1145/2063384.2063405) introduced generators of this kind.
"""

from enum import IntEnum
from typing import Any

__all__ = [
    "K_BITS",
    "MASK_64",
    "MIX_1",
    "MIX_2",
    "WEYL",
    "Stream",
    "mix",
    "random_bits",
    "random_bits_array",
    "stream_key",
]


class Stream(IntEnum):
    """Independent sequences of one seed; the values are part of every result and never change."""

    KEEP = 0  # subsampling of tokens
    WIDTH = 1  # of windows
    NEGATIVE = 2  # words of negative sampling
    INIT = 3  # of weights
    ORDER = 4  # of chunks, blocks and sentences
    NOISE = 5  # dropout masks
    LENGTH = 6  # of backpropagation through time
    CHOICE = 7  # of a next token, of pairs
    PART = 8  # of the vocabulary


WEYL = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
MASK_64 = (1 << 64) - 1
K_BITS = 20  # k < 2**20 for each position, pos < 2**44

Array = Any  # a NumPy or CuPy array


def mix(z: int) -> int:
    """Scatter 64 bits: a bijection whose output bits flip with probability 1/2 if an input bit flips."""
    z = ((z ^ (z >> 30)) * MIX_1) & MASK_64
    z = ((z ^ (z >> 27)) * MIX_2) & MASK_64
    return z ^ (z >> 31)


def stream_key(seed: int, stream: int, epoch: int) -> int:
    """Return the first counter of one stream in one epoch, an unsigned 64-bit integer."""
    key = mix(seed & MASK_64)
    key = mix((key + WEYL * (stream + 1)) & MASK_64)
    return mix((key + WEYL * (epoch + 1)) & MASK_64)


def random_bits(seed: int, stream: int, epoch: int, pos: int, k: int = 0) -> int:
    """Return 64 random bits for the k-th question of a stream at position pos: the specification."""
    counter = (pos << K_BITS) + k
    return mix((stream_key(seed, stream, epoch) + WEYL * (counter + 1)) & MASK_64)


def random_bits_array(key: int, pos: Array, k: Array, xp: Any) -> Array:
    """Return random_bits of integer arrays pos and k, broadcast together, as uint64.

    key: stream_key(seed, stream, epoch). xp: the array module of pos and k, numpy or cupy.
    """
    u64 = xp.uint64
    counter = (pos.astype(u64) << u64(K_BITS)) + k.astype(u64) + u64(1)
    z = counter * u64(WEYL) + u64(key)  # array arithmetic wraps modulo 2**64
    z = (z ^ (z >> u64(30))) * u64(MIX_1)
    z = (z ^ (z >> u64(27))) * u64(MIX_2)
    return z ^ (z >> u64(31))
