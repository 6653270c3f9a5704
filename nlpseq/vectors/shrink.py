"""Make vectors smaller: fewer words, fewer dimensions, fewer bytes for each number.

Letters: V words, D dimensions, C dimensions kept, B rows of a block.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.compact_matrix import COMPACT_DTYPES, Dtype, compact
from nlpseq.vectors.formats.names import TITLES, Format
from nlpseq.vectors.formats.rows import UNKNOWN_COUNT, quote_first
from nlpseq.vectors.vectors import Vectors

__all__ = ["check_dtype", "shrink"]

_BLOCK_ROWS = 4096  # projected at once

Rows = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]


def shrink(
    vectors: Vectors,
    *,
    words: Iterable[str] | None = None,
    drop: Iterable[str] = (),
    keep_top: int | None = None,
    pca: int | None = None,
    dtype: Dtype | None = None,
) -> Vectors:
    """Return vectors of fewer words, dimensions or bytes, by these steps in this order.

    words: keep these alone, found as by Vectors.find; unseen words, whose vector is made from their n-grams,
    come after the others. drop: leave these out. keep_top: keep the first words.
    pca: project onto the principal components of largest variance, without centering, so that zero vectors
    stay zero. dtype: store numbers as float32, float16, or int8 with a scale for each row; by default as
    before. The words keep their order. Notices in meta name words that are unseen or not known.

    Raises DataError if no word is left, the vectors are sparse or dtype cannot hold them, ConfigError for
    keep_top below 1 or pca above the dimension.
    """
    if words is None and not drop and (keep_top, pca, dtype) == (None, None, None):
        return vectors
    if vectors.is_sparse:
        raise DataError(
            "these vectors: are a sparse PPMI matrix, which cannot be made smaller. "
            "Train dense ones with `nlpseq train-counts --method ppmi-svd`."
        )
    if keep_top is not None and keep_top < 1:
        raise ConfigError(f"keep_top: {keep_top} is too small. Choose 1 or more.")
    rows, notices = _select(vectors, words, drop)
    smaller = _take(vectors, rows[:keep_top])
    if pca is not None:
        smaller = _project(smaller, pca)
    smaller = _stored_as(smaller, dtype or vectors.dtype)
    done = {"words": len(smaller), "pca": pca, "dtype": smaller.dtype}
    smaller.meta = vectors.meta | {"notices": notices, "shrunk": done}
    return smaller


def check_dtype(dtype: Dtype | None, format: Format) -> None:
    """Raise ConfigError for a type of numbers that files of a format cannot hold."""
    if dtype in COMPACT_DTYPES and format != "nlpseq":
        raise ConfigError(
            f"--dtype {dtype}: cannot be written as {TITLES[format]}. "
            "Write a .w2v folder, or leave out --dtype."
        )


def _select(vectors: Vectors, words: Iterable[str] | None, drop: Iterable[str]) -> tuple[Rows, list[str]]:
    """Return the rows to keep, rising, and notices about unknown words."""
    rows, notices = np.arange(len(vectors)), list[str]()
    if words is not None:
        wanted = list(dict.fromkeys(words))
        unseen = [word for word in wanted if vectors.unseen_form(word) is not None]
        known = _rows_of(vectors, [word for word in wanted if word not in set(unseen)], "to keep", notices)
        made = dict.fromkeys(vectors.trained_id(word) for word in unseen)
        rows = np.concatenate([known, np.array(list(made), np.intp)])
        if unseen:
            number = count_text(len(unseen), "unseen word")
            notices.append(f"{number} with a vector made from subwords: {quote_first(unseen)}")
    if dropped := list(drop):
        rows = rows[~np.isin(rows, _rows_of(vectors, dropped, "to leave out", notices))]
    return rows, notices


def _rows_of(vectors: Vectors, words: Iterable[str], purpose: str, notices: list[str]) -> Rows:
    """Return the rows of known words, rising; add a notice about the others."""
    rows, unknown = set[int](), list[str]()
    for word in words:
        found = vectors.find(word)
        if found is None:
            unknown.append(word)
        else:
            rows.add(vectors.vocab.ids[found])
    if unknown:
        notices.append(f"{count_text(len(unknown), 'word')} {purpose} not found: {quote_first(unknown)}")
    return np.array(sorted(rows), np.intp)


def _take(vectors: Vectors, rows: Rows) -> Vectors:
    if len(rows) == 0:
        raise DataError("these vectors: have no word left. Keep more words (--words, --drop, --keep-top).")
    if np.array_equal(rows, np.arange(len(vectors))):
        return vectors
    if vectors.vocab.bpe:
        raise DataError(
            "these vectors: are for the tokens of a BPE tokenizer, which needs all its tokens. "
            "Leave out --words, --drop and --keep-top."
        )
    known, unseen = rows[rows < len(vectors)], rows[rows >= len(vectors)]
    smaller = vectors.take(known)
    if not len(unseen):
        return smaller
    words = [*smaller.vocab.words, *(vectors.word_of(row) for row in unseen.tolist())]
    vocab = Vocab(words, np.append(smaller.vocab.counts, np.full(len(unseen), UNKNOWN_COUNT)))
    contexts = smaller.contexts
    if contexts is not None:
        contexts = np.concatenate([contexts, np.zeros((len(unseen), contexts.shape[1]), np.float32)])
    return Vectors(
        vocab, vectors.stored_rows(np.append(known, unseen)), contexts, vectors.meta, vectors.subwords
    )


def _project(vectors: Vectors, dim: int) -> Vectors:
    """Project vectors and contexts onto the `dim` principal components of the vectors."""
    if not 1 <= dim <= vectors.matrix.shape[1]:
        raise ConfigError(
            f"pca: {dim} is out of range. Choose from 1 to the dimension, {vectors.matrix.shape[1]}."
        )
    directions_DC = _principal_components(vectors.matrix)[:, :dim]
    matrix, contexts = (_product(each, directions_DC) for each in (vectors.matrix, vectors.contexts))
    subwords = vectors.subwords and vectors.subwords.transformed(lambda rows_ND: rows_ND @ directions_DC, dim)
    return Vectors(vectors.vocab, matrix, contexts, vectors.meta, subwords)


def _principal_components(matrix_VD: Any) -> Doubles:
    """Return the directions of the centered rows by falling variance, (D, D), with a definite sign."""
    num_rows, dim = matrix_VD.shape
    sum_D, squares_DD = np.zeros(dim), np.zeros((dim, dim))
    for start in range(0, num_rows, _BLOCK_ROWS):
        rows_BD = np.asarray(matrix_VD[start : start + _BLOCK_ROWS], np.float64)
        sum_D += rows_BD.sum(axis=0)
        squares_DD += rows_BD.T @ rows_BD
    _, directions_DD = np.linalg.eigh(squares_DD - np.outer(sum_D, sum_D) / num_rows)  # by rising variance
    largest_D = np.take_along_axis(directions_DD, np.abs(directions_DD).argmax(axis=0)[None], axis=0)
    signed_DD: Doubles = (directions_DD * np.sign(largest_D))[:, ::-1]
    return signed_DD


def _product(matrix_VD: Any, directions_DC: Doubles) -> Any:
    if matrix_VD is None:
        return None
    projected_VC = np.empty((len(matrix_VD), directions_DC.shape[1]), np.float32)
    for start in range(0, len(matrix_VD), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        projected_VC[block] = matrix_VD[block] @ directions_DC
    return projected_VC


def _stored_as(vectors: Vectors, dtype: Dtype) -> Vectors:
    matrix, contexts = (
        None if each is None else compact(each, dtype) for each in (vectors.matrix, vectors.contexts)
    )
    return Vectors(vectors.vocab, matrix, contexts, vectors.meta, vectors.subwords)
