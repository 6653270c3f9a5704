"""Compute the randomised truncated SVD of a sparse matrix: from PPMI to short dense vectors.

The product with random columns spans most of the range of the matrix. Power iterations, each a product with
the transpose and one with the matrix, turn this span towards the largest singular values. The SVD of the
small projection onto the span approximates the SVD of the matrix.

    N. Halko, P. G. Martinsson & J. A. Tropp 2011, Finding structure with randomness, doi:10.1137/090771806,
    algorithms 4.4 and 5.1

Word vectors are U S^p: p = 1 is the classical choice and the worst for similarity, 0.5 or 0 the best
(Levy, Goldberg & Dagan 2015, table 6). Context vectors are V S^p.

Letters: R rows, C columns of the sparse matrix, L columns of its span, D dimensions kept.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import SVDConfig
from nlpseq.config.fields import from_dict
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.core.resources import available_cores, count_text
from nlpseq.errors import ConfigError, DataError, advise
from nlpseq.vectors.vectors import Vectors

__all__ = ["DEFAULT_DIM", "SVD", "SparseProduct", "needed_bytes", "randomized_svd", "resolve", "train_svd"]

DEFAULT_DIM = 300  # of word vectors, if the words fill as many

_ROUNDING = 1e-6  # of the largest singular value
_SLICES = 8  # of rows per thread, so that all threads end at about the same time

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class SVD(NamedTuple):
    """The largest singular values, in descending order, and their vectors."""

    left_RD: Floats
    values_D: Floats
    right_CD: Floats


def train_svd(
    explicit: Vectors,
    config: SVDConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Vectors:
    """Return dense vectors of words and contexts from sparse vectors.

    settings: fields of config. progress: called with matrix products done and in total. Raises the errors of
    resolve, and ConfigError if the rank of the matrix is below config.dim. Without config.dim the rank limits
    the dimensions.
    """
    config = from_dict(SVDConfig, settings, config)
    matrix, plan = explicit.matrix, resolve(config, explicit.matrix.shape[0])
    found = randomized_svd(matrix, plan, progress)
    rank = int((found.values_D > _ROUNDING * found.values_D[0]).sum())
    if rank < len(found.values_D) and config.dim is not None:
        raise _too_long(config.dim, rank, "these counts")
    found = SVD(found.left_RD[:, :rank], found.values_D[:rank], found.right_CD[:, :rank])
    config = replace(config, dim=rank)
    scale_D = found.values_D**config.eigenvalue_power
    meta = explicit.meta | {"model": f"{explicit.meta['model']}-svd", "svd_config": asdict(config)}
    meta["singular_values"] = found.values_D.tolist()
    return Vectors(explicit.vocab, found.left_RD * scale_D, found.right_CD * scale_D, meta)


def resolve(config: SVDConfig, num_words: int, min_count: int = 1) -> SVDConfig:
    """Fill in the default dimensions: DEFAULT_DIM, or as many as the words fill.

    min_count: of the text, for advice. Raises ConfigError if the words do not fill config.dim dimensions,
    DataError for a single word.
    """
    if num_words < 2:
        raise DataError(
            f"corpus: the vocabulary has {count_text(num_words, 'word')} and SVD needs at least 2. "
            + advise({"a lower --min-count": (min_count, 1)}, "more text")
        )
    if config.dim is not None and config.dim >= num_words:
        raise _too_long(config.dim, num_words - 1, count_text(num_words, "word"))
    return replace(config, dim=config.dim or min(DEFAULT_DIM, num_words - 1))


def _too_long(dim: int, most: int, source: str) -> ConfigError:
    """Return the error of vectors longer than their source fills."""
    return ConfigError(
        f"dim: {dim} is too large, because {source} give vectors of at most "
        f"{count_text(most, 'dimension')}. Use --dim {most}{' or lower' * (most > 1)}, or more text."
    )


def needed_bytes(matrix: Any, config: SVDConfig) -> int:
    """Return the memory of train_svd in bytes, roughly: a transpose, and a few spans of columns."""
    assert config.dim is not None
    columns = config.dim + config.oversampling
    return int(2 * matrix.nnz * 8 + 6 * matrix.shape[0] * columns * 4)


def randomized_svd(matrix: Any, config: SVDConfig, progress: Callable[[int, int], None] | None = None) -> SVD:
    """Return approximations of the config.dim largest singular values and their vectors.

    matrix: CSR. progress: called with the matrix products done and their total.
    """
    assert config.dim is not None
    num_columns = min(config.dim + config.oversampling, *matrix.shape)
    total, report = 2 * config.power_iterations + 2, progress or (lambda done, total: None)
    threads = config.threads or available_cores()
    with ThreadPoolExecutor(threads) as pool:
        rows = SparseProduct(matrix, pool, threads)
        columns = SparseProduct(matrix.T.tocsr(), pool, threads)
        span = _random_signs(matrix.shape[1], num_columns, config.seed)
        for done, product in enumerate([rows, *[columns, rows] * config.power_iterations], 1):
            span = product(span)
            span = span @ _principal(span)[2]  # orthonormal; zero columns if their rank is lower
            report(done, total)
        projected_CL = columns(span)
        report(total, total)
    # matrix ~ span projected^T; the eigenvectors of projected^T projected turn this product into an SVD
    directions_LL, values_L, normalized_LL = _principal(projected_CL)
    kept = slice(0, config.dim)
    right_CD = projected_CL @ normalized_LL[:, kept]
    left_RD = span @ directions_LL[:, kept].astype(np.float32)
    return SVD(left_RD, values_L[kept].astype(np.float32), right_CD)


class SparseProduct:
    """Multiply a sparse matrix by dense ones, with threads, in blocks of COLUMNS columns."""

    def __init__(self, matrix: Any, pool: ThreadPoolExecutor, threads: int) -> None:
        use_cache_for_numba()
        from nlpseq.counts.svd_numba import COLUMNS, multiply_rows

        self.columns, self.multiply_rows = COLUMNS, multiply_rows
        self.arrays = matrix.indptr, matrix.indices, matrix.data.astype(np.float32, copy=False)
        self.num_rows = matrix.shape[0]
        self.pool = pool
        stored = np.linspace(0, int(matrix.indptr[-1]), threads * _SLICES + 1)
        bounds = np.unique([0, *np.searchsorted(matrix.indptr, stored), self.num_rows]).tolist()
        self.spans = list(pairwise(bounds))

    def __call__(self, dense_CL: Floats) -> Floats:
        """Return matrix @ dense, (R, L)."""
        out_RL = np.empty((self.num_rows, dense_CL.shape[1]), np.float32)
        for first in range(0, dense_CL.shape[1], self.columns):
            part = slice(first, first + self.columns)
            width = dense_CL[:, part].shape[1]
            block_CL = np.zeros((len(dense_CL), self.columns), np.float32)
            block_CL[:, :width] = dense_CL[:, part]
            product_RL = np.empty((self.num_rows, self.columns), np.float32)
            work = (*self.arrays, block_CL, product_RL)
            for task in [self.pool.submit(self.multiply_rows, *work, *span) for span in self.spans]:
                task.result()
            out_RL[:, part] = product_RL[:, :width]
        return out_RL


def _random_signs(num_rows: int, num_columns: int, seed: int) -> Floats:
    """Return a matrix of +1 and -1, (C, L)."""
    key = stream_key(seed, Stream.INIT, 0)
    drawn = random_bits_array(key, np.arange(num_rows)[:, None], np.arange(num_columns)[None, :], np)
    signs: Floats = np.where(drawn >> np.uint64(63), np.float32(1), np.float32(-1))
    return signs


def _principal(span_RL: Floats) -> tuple[Doubles, Doubles, Floats]:
    """Return right singular vectors, in columns, and singular values, descending, from the Gram matrix.

    The third array holds the vectors divided by their values, or 0 for values within rounding of 0. The Gram
    matrix is many times faster than a QR decomposition of a long matrix, but loses half of the digits, hence
    the double precision.
    """
    long_RL = span_RL.astype(np.float64)
    squares_L, directions_LL = np.linalg.eigh(long_RL.T @ long_RL)  # ascending
    values_L = np.sqrt(np.maximum(squares_L[::-1], 0))
    directions_LL = directions_LL[:, ::-1]
    nonzero_L = values_L > _ROUNDING * values_L[0]
    normalized_LL = directions_LL * np.where(nonzero_L, 1 / np.where(nonzero_L, values_L, 1), 0)
    return directions_LL, values_L, normalized_LL.astype(np.float32)
