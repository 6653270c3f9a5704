"""Randomness as a pure function of counters.

Keep this token? How wide is this window? Which word is its k-th negative? Each answer is
draw(seed, stream, epoch, pos, k): no generator is stepped, so every kernel sees the same draws,
a run can go on from any position, and the number of threads changes nothing.

The mixing function is the finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195),
applied to a Weyl sequence of counters that starts at a key derived from seed, stream and epoch.
"""

from typing import Any

KEEP, WIDTH, NEGATIVE, INIT, ORDER, NOISE, LENGTH, CHOICE = range(8)  # streams

WEYL = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
MASK_64 = (1 << 64) - 1
K_BITS = 20  # draws per position: k < 2**20, which leaves 2**44 positions

Array = Any  # a NumPy or CuPy array


def mix(z: int) -> int:
    """Scatter 64 bits: a bijection in which every input bit moves about half of the output bits."""
    z = ((z ^ (z >> 30)) * MIX_1) & MASK_64
    z = ((z ^ (z >> 27)) * MIX_2) & MASK_64
    return z ^ (z >> 31)


def stream_key(seed: int, stream: int, epoch: int) -> int:
    """Start of the counter sequence for one stream of one epoch, an unsigned 64-bit integer."""
    key = mix(seed & MASK_64)
    key = mix((key + WEYL * (stream + 1)) & MASK_64)
    return mix((key + WEYL * (epoch + 1)) & MASK_64)


def random_bits(seed: int, stream: int, epoch: int, pos: int, k: int = 0) -> int:
    """64 random bits for the k-th question of this stream at position pos: the specification."""
    counter = (pos << K_BITS) + k
    return mix((stream_key(seed, stream, epoch) + WEYL * (counter + 1)) & MASK_64)


def random_bits_array(key: int, pos: Array, k: Array, xp: Any) -> Array:
    """draw() for broadcastable integer arrays pos and k under one stream_key; xp is numpy or cupy."""
    u64 = xp.uint64
    counter = (pos.astype(u64) << u64(K_BITS)) + k.astype(u64) + u64(1)
    z = counter * u64(WEYL) + u64(key)  # array arithmetic wraps modulo 2**64
    z = (z ^ (z >> u64(30))) * u64(MIX_1)
    z = (z ^ (z >> u64(27))) * u64(MIX_2)
    return z ^ (z >> u64(31))
