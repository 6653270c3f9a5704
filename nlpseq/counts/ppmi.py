"""Compute positive pointwise mutual information: how far two words co-occur above chance.

    PPMI(w, c) = max(0, log( #(w, c) * sum_c' #(c')^a / (#(w) * #(c)^a) ) - log k)

#(w, c) counts the pair, #(w) and #(c) are sums over a row and a column. A smoothing a < 1
raises the probability of rare contexts and so reduces the bias of PMI towards them. The shift log k equals k
negative samples of skip-gram.

    K. W. Church & P. Hanks 1990, Word association norms, mutual information, and lexicography
    O. Levy, Y. Goldberg & I. Dagan 2015, Improving distributional similarity with lessons learned from word
    embeddings, doi:10.1162/tacl_a_00134: smoothing, shift and their effect

Letters: V words, N pairs that are stored.
"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import PPMIConfig
from nlpseq.config.fields import from_dict
from nlpseq.counts.cooccurrence import Cooccurrence
from nlpseq.errors import DataError, advise
from nlpseq.storage.sparse import as_csr
from nlpseq.vectors.vectors import Vectors

__all__ = ["ppmi", "ppmi_matrix"]

BLOCK_PAIRS = 1 << 22  # computed at once

Floats = npt.NDArray[np.float64]


def ppmi(counts: Cooccurrence, config: PPMIConfig | None = None, **settings: Any) -> Vectors:
    """Return the PPMI of every pair as sparse vectors, float32, (V, V), one dimension per context word.

    settings: fields of config. Raises DataError if no pair has a PPMI above 0.
    """
    config = from_dict(PPMIConfig, settings, config)
    matrix = ppmi_matrix(counts.matrix, config)
    if matrix.nnz == 0:
        raise DataError(
            f"counts: none of the {counts.matrix.nnz:,} pairs of words has a PPMI above 0. "
            f"{_remedy(counts.config.subsample, config)}"
        )
    meta = {
        "model": "ppmi",
        "ppmi_config": asdict(config),
        "cooccurrence_config": asdict(counts.config),
        "text_config": counts.meta.get("text_config"),
        "tokens": counts.meta.get("num_tokens"),
    }
    meta |= {key: counts.meta[key] for key in ("cluster",) if key in counts.meta}
    return Vectors(counts.vocab, matrix, meta=meta)


def _remedy(subsample: float, config: PPMIConfig) -> str:
    """Name the settings that lose pairs."""
    settings = {
        "--subsample 0": (subsample, 0.0),
        "a lower --shift": (max(config.shift, 1.0), 1.0),
        "a lower --min-pairs": (config.min_pairs, 0.0),
    }
    return advise(settings, "more text")


def ppmi_matrix(counts: Any, config: PPMIConfig, block_pairs: int = BLOCK_PAIRS) -> Any:
    """Return the PPMI of a CSR matrix of counts, float32, in blocks of whole rows.

    Pairs below config.min_pairs are dropped first.
    """
    word_V, context_V = _marginals(counts, block_pairs, config.min_pairs)
    smoothed_V = context_V**config.smoothing * (context_V > 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0 of words without pairs, whose rows are empty
        word_term_V = np.log(smoothed_V.sum()) - np.log(config.shift) - np.log(word_V)
        context_term_V = -np.log(smoothed_V)
    found, sizes_V = [], np.zeros(len(word_V), np.int64)
    for first, last, span, row_N in _row_blocks(counts.indptr, block_pairs):
        count_N, column_N = counts.data[span], counts.indices[span]
        with np.errstate(invalid="ignore"):
            value_N = np.log(count_N) + word_term_V[row_N] + context_term_V[column_N]
            value_N = value_N.astype(np.float32)
            kept_N = (count_N >= config.min_pairs) & (value_N > 0)
        found.append((value_N[kept_N], column_N[kept_N]))
        sizes_V[first:last] = np.bincount(row_N[kept_N] - first, minlength=last - first)
    data, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return as_csr(counts.shape, data, indices, np.concatenate([[0], np.cumsum(sizes_V)]))


def _marginals(counts: Any, block_pairs: int, min_pairs: float) -> tuple[Floats, Floats]:
    """Return the sums over rows and over columns of counts that are at least min_pairs."""
    word_V, context_V = np.zeros(counts.shape[0]), np.zeros(counts.shape[1])
    for first, last, span, row_N in _row_blocks(counts.indptr, block_pairs):
        count_N = np.where(counts.data[span] >= min_pairs, counts.data[span], 0)
        word_V[first:last] = np.bincount(row_N - first, count_N, minlength=last - first)
        context_V += np.bincount(counts.indices[span], count_N, minlength=len(context_V))
    return word_V, context_V


def _row_blocks(
    indptr: npt.NDArray[np.integer[Any]], block_pairs: int
) -> Iterator[tuple[int, int, slice, npt.NDArray[np.int64]]]:
    """Yield blocks of whole rows: first row, last row plus one, slice of the pairs, row of each pair."""
    wanted = np.arange(0, int(indptr[-1]), block_pairs)
    firsts = np.unique([0, *(np.searchsorted(indptr, wanted, side="right") - 1)])
    for first, last in pairwise([*firsts.tolist(), len(indptr) - 1]):
        row_N = np.repeat(np.arange(first, last), np.diff(indptr[first : last + 1]))
        yield first, last, slice(int(indptr[first]), int(indptr[last])), row_N
