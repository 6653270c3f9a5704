"""Make vectors smaller: fewer words, fewer dimensions, fewer bytes for each number.

Letters: V words, D dimensions, C dimensions kept, N rows taken.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.compact_matrix import COMPACT_DTYPES, CompactMatrix, Dtype, compact, computed_rows
from nlpseq.vectors.formats.names import TITLES, Format
from nlpseq.vectors.formats.rows import UNKNOWN_COUNT, quote_first
from nlpseq.vectors.lazy_rows import LazyRows
from nlpseq.vectors.principal_components import principal_components
from nlpseq.vectors.vectors import FoundWord, Vectors

__all__ = ["check_dtype", "shrink"]

Rows = npt.NDArray[np.intp]


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
    before. The words keep their order. The rows of n-grams stay, except for pca; without_subwords() leaves
    them out. Notices in meta name words that are unseen or not known.

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
    rows, unseen, notices = _select(vectors, words, drop)
    if keep_top is not None:
        rows, unseen = rows[:keep_top], unseen[: max(0, keep_top - len(rows))]
    smaller = _take(vectors, rows, unseen)
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


def _select(
    vectors: Vectors, words: Iterable[str] | None, drop: Iterable[str]
) -> tuple[Rows, list[FoundWord], list[str]]:
    """Return the rows to keep, rising, the unseen words to keep, and notices about unknown words."""
    rows, unseen, notices = np.arange(len(vectors)), list[FoundWord](), list[str]()
    if words is not None:
        wanted = list(dict.fromkeys(words))
        found = vectors.find_vectors(wanted)
        is_made = [each is not None and each.row is None for each in found]
        unseen = [each for each in dict.fromkeys(found) if each is not None and each.row is None]
        others = [word for word, made in zip(wanted, is_made, strict=True) if not made]
        rows = _rows_of(vectors, others, "to keep", notices)
        if unseen:
            number = count_text(len(unseen), "unseen word")
            notices.append(
                f"{number} with a vector made from subwords: {quote_first([each.word for each in unseen])}"
            )
    if dropped := list(drop):
        made = set(unseen)
        found = vectors.find_vectors(dropped) if made else [None] * len(dropped)
        gone = {word: each for word, each in zip(dropped, found, strict=True) if each in made}
        unseen = [each for each in unseen if each not in gone.values()]
        others = [word for word in dropped if word not in gone]
        rows = rows[~np.isin(rows, _rows_of(vectors, others, "to leave out", notices))]
    return rows, unseen, notices


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


def _take(vectors: Vectors, rows: Rows, unseen: list[FoundWord]) -> Vectors:
    """Return the vectors of some rows, and of unseen words after them."""
    if len(rows) + len(unseen) == 0:
        raise DataError("these vectors: have no word left. Keep more words (--words, --drop, --keep-top).")
    if len(rows) == len(vectors) and not unseen:
        return vectors
    if vectors.vocab.bpe:
        raise DataError(
            "these vectors: are for the tokens of a BPE tokenizer, which needs all its tokens. "
            "Leave out --words, --drop and --keep-top."
        )
    smaller = vectors.take(rows)
    if not unseen:
        return smaller
    words = [*smaller.vocab.words, *(each.word for each in unseen)]
    vocab = Vocab(words, np.append(smaller.vocab.counts, np.full(len(unseen), UNKNOWN_COUNT)))
    contexts = smaller.contexts
    if contexts is not None:
        contexts = _followed_by(contexts, np.zeros((len(unseen), contexts.shape[1]), np.float32))
    matrix = _followed_by(smaller.matrix, vectors.stored_rows(unseen))
    return Vectors(vocab, matrix, contexts, vectors.meta, vectors.subwords)


def _followed_by(first_VD: Any, more_ND: npt.NDArray[np.float32]) -> Any:
    """Return the rows of a matrix and more rows; rows of a mapped model stay on disk until they are taken."""
    if not isinstance(first_VD, CompactMatrix):
        return np.concatenate([first_VD, more_ND])
    num = len(first_VD)

    def take(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        rows_ND, is_first_N = np.empty((len(ids), first_VD.shape[1]), np.float32), ids < num
        rows_ND[is_first_N], rows_ND[~is_first_N] = first_VD[ids[is_first_N]], more_ND[ids[~is_first_N] - num]
        return rows_ND

    return CompactMatrix(LazyRows((num + len(more_ND), first_VD.shape[1]), take))


def _project(vectors: Vectors, dim: int) -> Vectors:
    """Project vectors and contexts onto the `dim` principal components of the vectors."""
    if not 1 <= dim <= vectors.matrix.shape[1]:
        raise ConfigError(
            f"pca: {dim} is out of range. Choose from 1 to the dimension, {vectors.matrix.shape[1]}."
        )
    directions_DC = principal_components(vectors.matrix)[:, :dim]
    matrix, contexts = (_product(each, directions_DC) for each in (vectors.matrix, vectors.contexts))
    subwords = vectors.subwords and vectors.subwords.transformed(lambda rows_ND: rows_ND @ directions_DC, dim)
    return Vectors(vectors.vocab, matrix, contexts, vectors.meta, subwords)


def _product(matrix_VD: Any, directions_DC: npt.NDArray[np.float64]) -> Any:
    if matrix_VD is None:
        return None
    return computed_rows(matrix_VD, lambda ids: matrix_VD[ids] @ directions_DC, directions_DC.shape[1])


def _stored_as(vectors: Vectors, dtype: Dtype) -> Vectors:
    matrix, contexts = (
        None if each is None else compact(each, dtype) for each in (vectors.matrix, vectors.contexts)
    )
    return Vectors(vectors.vocab, matrix, contexts, vectors.meta, vectors.subwords)
