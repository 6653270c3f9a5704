"""Plain Python for every intrinsic of nlpseq/tokenizers/simd_numba.py, with the same signatures."""

import numpy as np
import numpy.typing as npt

VECTOR_BYTES = 64


def load_uint64(data: npt.NDArray[np.uint8], at: int) -> int:
    """Load data[at : at + 8] as a little-endian number."""
    return int.from_bytes(data[at : at + 8].tobytes(), "little")


def bytes_in_range(data: npt.NDArray[np.uint8], at: int, low: int, num: int) -> int:
    """Return a bit for each byte of data[at : at + VECTOR_BYTES], set if low <= byte < low + num."""
    vector = data[at : at + VECTOR_BYTES].tolist()
    return sum(1 << bit for bit, byte in enumerate(vector) if low <= byte < low + num)


def multiply_fold(a: int, b: int) -> int:
    """Return the upper half of a 128-bit product, XORed with the lower half."""
    product = a * b
    return product >> 64 ^ product & (1 << 64) - 1


def trailing_zeros(number: int) -> int:
    """Return the index of the lowest set bit."""
    return next(bit for bit in range(64) if number >> bit & 1)


def popcount(number: int) -> int:
    """Count the set bits."""
    return bin(number).count("1")
