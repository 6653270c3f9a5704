"""Rotate vectors into the space of other vectors, and find the words that moved most.

The rotation is the orthogonal matrix that brings the unit vectors of the anchors in b nearest to those in a:

    R = U V^T    with    U S V^T = B^T A

No other orthogonal matrix gives the anchors a higher mean cosine, and all cosines within b stay the same.

    P. H. Schönemann 1966, A generalized solution of the orthogonal Procrustes problem, doi:10.1007/BF02289451
    W. L. Hamilton, J. Leskovec & D. Jurafsky 2016, Diachronic word embeddings reveal statistical laws of
    semantic change, P16-1141

Letters: V words, N shared words, D dimensions.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.errors import DataError
from nlpseq.vectors.compact_matrix import computed_rows
from nlpseq.vectors.lazy_rows import row_blocks
from nlpseq.vectors.queries import Answers
from nlpseq.vectors.vectors import Vectors

__all__ = ["MIN_FREQUENCY", "Shared", "align", "moved_words", "shared_words"]

MAX_ANCHORS = 10_000  # the most frequent shared words
MIN_FREQUENCY = 50  # occurrences, because vectors of rarer words move by chance
MAX_RANK = 10_000  # of a word in a vocabulary without counts, instead of MIN_FREQUENCY

Ids = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


class Shared(NamedTuple):
    """Words with a vector in both models, the most frequent first, and their ids."""

    words: list[str]
    a_N: Ids
    b_N: Ids

    def select(self, chosen: Ids) -> "Shared":
        """Return the words at some indices."""
        return Shared([self.words[n] for n in chosen.tolist()], self.a_N[chosen], self.b_N[chosen])


def shared_words(a: Vectors, b: Vectors) -> Shared:
    """Return the words with a vector in both models, the most frequent first.

    The order is by the smaller count, or by the later place in the vocabularies if counts are unknown.
    """
    a_without, b_without = ({*each.untrained_ids.tolist()} for each in (a, b))
    b_ids = b.vocab.ids
    ids_N2 = np.array(
        [
            (a_id, b_ids[word])
            for word, a_id in sorted(a.vocab.ids.items(), key=lambda item: item[1])
            if word in b_ids and a_id not in a_without and b_ids[word] not in b_without
        ],
        np.int64,
    ).reshape(-1, 2)
    a_N, b_N = ids_N2.T
    counts_N2 = np.stack([a.vocab.counts[a_N], b.vocab.counts[b_N]], axis=1)
    has_counts = (counts_N2 >= 0).all()
    order_N = np.argsort(-counts_N2.min(axis=1) if has_counts else ids_N2.max(axis=1), kind="stable")
    return Shared([a.vocab.words[word_id] for word_id in a_N[order_N].tolist()], a_N[order_N], b_N[order_N])


def align(a: Vectors, b: Vectors, anchors: Iterable[str] | None = None) -> Vectors:
    """Return the vectors of b, rotated into the space of a.

    anchors: words whose vectors in a and b the rotation brings together; by default the MAX_ANCHORS most
    frequent shared words. meta["alignment"] tells their number, the words of `anchors` without a vector in
    both models, and the mean cosine of the anchors before and after. Raises DataError for sparse vectors,
    different numbers of dimensions, and fewer anchors than dimensions.
    """
    _check_dimensions(a, b)
    shared = shared_words(a, b)
    if anchors is None:
        return _rotate(a, b, _most_frequent(shared), [])
    return _rotate(a, b, *_among(shared, a, anchors))


def _most_frequent(shared: Shared) -> Shared:
    return shared.select(np.arange(min(MAX_ANCHORS, len(shared.words))))


def _rotate(a: Vectors, b: Vectors, anchors: Shared, left_out: list[str]) -> Vectors:
    """Return the vectors of b in the space of a; left_out: anchors without a vector in both."""
    dim = a.matrix.shape[1]
    if len(anchors.words) < dim:
        raise DataError(
            f"anchors: {count_text(len(anchors.words), 'word')} with vectors in both models cannot determine "
            f"a rotation of {dim:,} dimensions. Use more anchors, or train both models with a lower --dim."
        )
    a_ND: Doubles = a.rows(anchors.a_N.tolist()).astype(np.float64)
    b_ND: Doubles = b.rows(anchors.b_N.tolist()).astype(np.float64)
    left_DD, _, right_DD = np.linalg.svd(b_ND.T @ a_ND)
    rotation_DD = left_DD @ right_DD
    provenance = {
        "anchors": len(anchors.words),
        "left_out": left_out,
        "mean_cosine_before": float((a_ND * b_ND).sum(axis=1).mean()),
        "mean_cosine_after": float((a_ND * (b_ND @ rotation_DD)).sum(axis=1).mean()),
        "vocab_digest": a.vocab.digest,
    }
    contexts_VD = None if b.contexts is None else _rotated(b.contexts, rotation_DD)
    meta = b.meta | {"alignment": provenance}
    subwords = b.subwords and b.subwords.transformed(lambda rows_ND: rows_ND @ rotation_DD, dim)
    return Vectors(b.vocab, _rotated(b.matrix, rotation_DD), contexts_VD, meta, subwords)


def _check_dimensions(a: Vectors, b: Vectors) -> None:
    """Raise DataError unless both models are dense and have as many dimensions."""
    if a.is_sparse or b.is_sparse:
        raise DataError(
            "the models: sparse PPMI vectors have a dimension for each word, and cannot be rotated. Train "
            "dense vectors with `nlpseq train-counts --method ppmi-svd`."
        )
    dims = a.matrix.shape[1], b.matrix.shape[1]
    if dims[0] != dims[1]:
        raise DataError(
            f"the models: have {dims[0]:,} and {dims[1]:,} dimensions, and a rotation needs as many in both. "
            "Train both with the same --dim."
        )


def _among(shared: Shared, a: Vectors, anchors: Iterable[str]) -> tuple[Shared, list[str]]:
    """Return the anchors that are shared words, and the others."""
    place_of = {word: n for n, word in enumerate(shared.words)}
    places = {word: place_of.get(a.find(word) or word) for word in anchors}
    chosen = dict.fromkeys(place for place in places.values() if place is not None)
    left_out = [word for word, place in places.items() if place is None]
    return shared.select(np.array(list(chosen), np.int64)), left_out


def _rotated(matrix_VD: Any, rotation_DD: Doubles) -> Any:
    return computed_rows(matrix_VD, lambda ids: matrix_VD[ids] @ rotation_DD, len(rotation_DD))


def moved_words(a: Vectors, b: Vectors, number: int, min_frequency: int = MIN_FREQUENCY) -> Answers:
    """Return the words with the lowest cosine between a and b after alignment, lowest first.

    Only shared words that occur at least min_frequency times in the text of each model are compared; in a
    model without counts, the MAX_RANK first words of its vocabulary. Raises DataError if there are none, and
    the errors of align.
    """
    _check_dimensions(a, b)
    shared = shared_words(a, b)
    aligned = _rotate(a, b, _most_frequent(shared), [])
    is_frequent = _is_frequent(a, shared.a_N, min_frequency) & _is_frequent(b, shared.b_N, min_frequency)
    shared = shared.select(np.flatnonzero(is_frequent))
    if not shared.words:
        raise DataError(
            f"the models: share no word that occurs {min_frequency:,} times in both. Lower --min-frequency."
        )
    cosines = list[float]()
    for block in row_blocks(len(shared.words)):
        a_ND, b_ND = a.rows(shared.a_N[block].tolist()), aligned.rows(shared.b_N[block].tolist())
        cosines += np.clip((a_ND * b_ND).sum(axis=1, dtype=np.float64), -1, 1).tolist()
    order_N = np.argsort(cosines, kind="stable")[:number].tolist()
    return [(shared.words[n], cosines[n]) for n in order_N]


def _is_frequent(vectors: Vectors, ids_N: Ids, min_frequency: int) -> npt.NDArray[np.bool_]:
    counts_N = vectors.vocab.counts[ids_N]
    return np.where(counts_N >= 0, counts_N >= min_frequency, ids_N < MAX_RANK)
