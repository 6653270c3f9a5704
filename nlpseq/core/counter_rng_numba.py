"""Return the bits of counter_rng.random_bits in compiled kernels."""

import numpy as np
from numba import njit

from nlpseq.core.counter_rng import K_BITS, MIX_1, MIX_2, WEYL

__all__ = ["random_bits"]

_WEYL, _MIX_1, _MIX_2 = np.uint64(WEYL), np.uint64(MIX_1), np.uint64(MIX_2)
_K_BITS = np.uint64(K_BITS)
_ONE, _S27, _S30, _S31 = np.uint64(1), np.uint64(27), np.uint64(30), np.uint64(31)


@njit(inline="always")
def random_bits(key, pos, k):  # type: ignore[no-untyped-def]
    """Return 64 random bits. All arguments are uint64; key: stream_key(seed, stream, epoch)."""
    z = key + _WEYL * ((pos << _K_BITS) + k + _ONE)
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)
