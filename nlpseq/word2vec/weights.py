"""Initialize the weights of word2vec, and pad their rows for the kernels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.word2vec.kernels.select import LANES, padded
from nlpseq.word2vec.objectives import Weights

__all__ = ["aligned_zeros", "initial_ids", "initial_weights", "to_numpy", "with_padding"]
__all__ += ["without_padding"]

BLOCK_ROWS = 1_000  # at once, to save memory
COMPARED_COLUMNS = 4  # enough to recognize a row
ROUNDING = 1e-6  # of a weight averaged over threads

Floats = npt.NDArray[np.float32]


def initial_weights(num_words: int, config: Word2VecConfig, lanes: int = LANES) -> Weights:
    """Return inputs uniform within 0.5/dim of 0, outputs of 0, as in word2vec.c; rows padded with 0.

    With subwords, the inputs of the words are followed by the rows of the buckets.
    """
    num_inputs = num_words + (config.buckets or 0)
    in_VD, out_VD = (aligned_zeros(num, padded(config.dim, lanes)) for num in (num_inputs, num_words))
    for first in range(0, num_inputs, BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, num_inputs)
        in_VD[first:last, : config.dim] = _initial_rows(first, last, config.dim, config)
    return Weights(in_VD, out_VD)


def _initial_rows(first: int, last: int, columns: int, config: Word2VecConfig) -> Floats:
    """Return the first columns of the input vectors of some words."""
    key, column_D = stream_key(config.seed, Stream.INIT, 0), np.arange(columns)[None, :]
    bits = random_bits_array(key, np.arange(first, last)[:, None], column_D, np)
    uniform = (bits >> np.uint64(40)) * np.float32(2.0**-24)
    rows: Floats = ((uniform - np.float32(0.5)) / np.float32(config.dim)).astype(np.float32)
    return rows


def initial_ids(in_VD: Floats, config: Word2VecConfig) -> list[int]:
    """Return the ids of words whose vector is the initial one, because no pair was trained."""
    columns, found = min(config.dim, COMPARED_COLUMNS), list[int]()
    for first in range(0, len(in_VD), BLOCK_ROWS):
        rows = in_VD[first : first + BLOCK_ROWS, :columns]
        initial = _initial_rows(first, first + len(rows), columns, config)
        is_initial = np.isclose(rows, initial, rtol=ROUNDING, atol=0)
        found += (first + np.flatnonzero(is_initial.all(axis=1))).tolist()
    return found


def aligned_zeros(rows: int, columns: int) -> Floats:
    """Return zeros whose first row starts on a cache line, and every row if `columns` is padded."""
    raw = np.zeros(rows * columns + 16, np.float32)
    skip = -raw.ctypes.data % 64 // 4
    return raw[skip : skip + rows * columns].reshape(rows, columns)


def with_padding(rows_VD: Floats, lanes: int) -> Floats:
    """Return a copy with padded rows."""
    num_words, dim = rows_VD.shape
    padded_VP = aligned_zeros(num_words, padded(dim, lanes))
    padded_VP[:, :dim] = rows_VD
    return padded_VP


def without_padding(padded_VP: Floats, dim: int, block_rows: int = BLOCK_ROWS) -> Floats:
    """Return the first `dim` columns, contiguous in the same memory, because a copy may not fit."""
    num, flat = len(padded_VP), padded_VP.reshape(-1)
    for first in range(0, num, block_rows):
        rows = padded_VP[first : first + block_rows, :dim].copy()
        flat[first * dim : first * dim + rows.size] = rows.reshape(-1)
    return flat[: num * dim].reshape(num, dim)


def to_numpy(array: Any) -> npt.NDArray[Any]:
    """Return an array of NumPy or CuPy as one of NumPy."""
    host: npt.NDArray[Any] = array.get() if hasattr(array, "get") else array
    return host
