"""The names of gensim's KeyedVectors, so that a program moves over by changing an import.

Each function is a method or property of Vectors, and asks the method of nlpseq for the same. A word is found
as Vectors.find does, except in key_to_index and has_index_for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError, UnknownWord, missing_extra
from nlpseq.vectors.transport import transport_cost

if TYPE_CHECKING:
    from nlpseq.vectors.queries import Answers
    from nlpseq.vectors.vectors import FoundWord, Vectors

__all__ = [
    "doesnt_match", "from_gensim", "get_vecattr", "get_vector", "has_index_for", "index_to_key",
    "key_to_index", "most_similar", "n_similarity", "similar_by_vector", "similar_by_word", "to_gensim",
    "vector_size", "wmdistance",
]  # fmt: skip

Floats = npt.NDArray[np.float32]


def most_similar(
    vectors: Vectors,
    positive: Any = (),
    negative: Any = (),
    topn: int = 10,
    restrict_vocab: int | None = None,
) -> Answers:
    """Return the `topn` words nearest to a weighted sum of directions, without its words.

    positive, negative: a word, an id, a vector, or a list of these and of pairs with a weight.
    restrict_vocab: how many of the first words may answer.
    """
    total_D = np.zeros(vector_size(vectors))
    words: list[FoundWord] = []
    for side, sign in ((positive, 1.0), (negative, -1.0)):
        for item in [side] if isinstance(side, str | int | np.integer | np.ndarray) else side or ():
            each, weight = item if isinstance(item, tuple) else (item, sign)
            if isinstance(each, str | int | np.integer):
                words.append(vectors.lookup(each if isinstance(each, str) else int(each)))
                each = vectors.directions(words[-1:])[0]
            total_D += weight * np.asarray(each, np.float64)
    if words and not total_D.any():
        raise DataError(
            "words: their vectors cancel out, so no direction is left. Change the words or weights."
        )
    return _nearest(vectors, total_D, topn, words, restrict_vocab)


def similar_by_word(
    vectors: Vectors, word: str, topn: int = 10, restrict_vocab: int | None = None
) -> Answers:
    """Return the `topn` words nearest to a word."""
    return most_similar(vectors, word, (), topn, restrict_vocab)


def similar_by_vector(
    vectors: Vectors, vector: Any, topn: int = 10, restrict_vocab: int | None = None
) -> Answers:
    """Return the `topn` words nearest to a vector, (D,)."""
    return _nearest(vectors, vector, topn, (), restrict_vocab)


def _nearest(
    vectors: Vectors, vector: Any, topn: int | None, excluded: Sequence[FoundWord], restrict_vocab: int | None
) -> Answers:
    if topn is None or topn < 1:
        raise ConfigError(
            f"topn: {topn} is not a number of words. Choose 1 or more; len(vectors) asks for all words."
        )
    return vectors.nearest(vector, topn, excluded=excluded, max_rank=restrict_vocab)


def doesnt_match(vectors: Vectors, words: Iterable[str]) -> str:
    """Return the word that fits least; words without a vector are left out."""
    words = list(words)
    known = _known(vectors, words)
    if len(known) < 3 <= len(words):
        raise ConfigError(
            f"words: {len(known)} of {len(words)} have a vector, and fewer than three cannot have an odd "
            "one. Name three or more words of the vectors."
        )
    return next(iter(vectors.odd_one_out(known)))


def n_similarity(vectors: Vectors, ws1: Sequence[str], ws2: Sequence[str]) -> float:
    """Return the cosine of the means of two lists of words; words without a vector are left out."""
    means = [_known(vectors, words) for words in (ws1, ws2)]
    for known, words in zip(means, (ws1, ws2), strict=True):
        if words and not known:
            raise UnknownWord(f"words: none of {list(words)} has a vector. Name words of the vectors.")
    return vectors.similarity(*means)


def _known(vectors: Vectors, words: Iterable[str]) -> list[str]:
    """Return the words that have a vector."""
    return [word for word in words if vectors.find_vector(word) is not None]


def wmdistance(
    vectors: Vectors, document1: Iterable[str], document2: Iterable[str], norm: bool = True
) -> float:
    """Return the Word Mover's Distance of two lists of words (Kusner et al. 2015, PMLR 37:957-966).

    The distance is the least Euclidean distance to move the words of one document to the other, each word
    with its share. norm: use directions, not vectors as stored. Words without a vector are left out;
    without other words the distance is infinite.
    """
    shares, places = list[npt.NDArray[np.float64]](), list[npt.NDArray[np.float64]]()
    for document in (document1, document2):
        known = _known(vectors, document)
        if not known:
            return float("inf")
        words, counts = np.unique(known, return_counts=True)
        shares.append(counts / len(known))
        places.append(
            np.stack([get_vector(vectors, word, norm) for word in words.tolist()]).astype(np.float64)
        )
    a_ND, b_ND = places
    distances = np.sqrt(np.sum((a_ND[:, None] - b_ND[None]) ** 2, axis=2))
    return transport_cost(distances, *shares)


def get_vector(vectors: Vectors, key: str, norm: bool = False) -> Floats:
    """Return a copy of the vector of a word, (D,); norm: scaled to length 1."""
    vector_D = vectors[key]
    length = np.linalg.norm(vector_D.astype(np.float64)) if norm else 1
    return (vector_D / (length or 1)).astype(np.float32)


def get_vecattr(vectors: Vectors, key: str, attr: str) -> int:
    """Return the occurrences of a word in the training text, the only attribute: "count"."""
    if attr != "count":
        raise ConfigError(f"attr: {attr!r} is unknown. Use count.")
    is_unseen = vectors.find(key) is None and vectors.find_vector(key) is not None
    count = 0 if is_unseen else int(vectors.vocab.counts[vectors.word_id(key)])
    if count < 0:
        raise DataError(
            "these vectors: have no word counts. Use vectors of nlpseq, or a .npy file with counts."
        )
    return count


def has_index_for(vectors: Vectors, key: str) -> bool:
    """Return True if a word is in the vocabulary as written."""
    return key in vectors.vocab


def key_to_index(vectors: Vectors) -> Mapping[str, int]:
    """Return the place of each word in the vocabulary."""
    return vectors.vocab.ids


def index_to_key(vectors: Vectors) -> Sequence[str]:
    """Return the words in the order of the vocabulary."""
    return vectors.vocab.words


def vector_size(vectors: Vectors) -> int:
    """Return the number of dimensions."""
    return int(vectors.matrix.shape[1])


def to_gensim(vectors: Vectors) -> Any:
    """Return gensim's KeyedVectors with the same words, vectors and counts.

    Raises MissingExtra without gensim, DataError for sparse vectors.
    """
    try:
        from gensim.models import KeyedVectors
    except ImportError as error:
        raise missing_extra("to_gensim", "gensim", None, "gensim") from error
    if vectors.is_sparse:
        raise DataError(
            "these vectors: are a sparse PPMI matrix, and gensim's are dense. Train dense vectors."
        )
    keyed = KeyedVectors(vector_size(vectors))
    keyed.add_vectors(list(vectors), np.asarray(vectors.matrix, np.float32))
    if (vectors.vocab.counts >= 0).all():
        keyed.expandos["count"] = vectors.vocab.counts.copy()
    return keyed


def from_gensim(cls: type[Vectors], keyed: Any) -> Vectors:
    """Return vectors with the words, vectors and counts of gensim's KeyedVectors."""
    words = list(keyed.index_to_key)
    counts = np.asarray(keyed.expandos.get("count", np.full(len(words), -1)), np.int64)
    return cls(Vocab(words, counts), np.array(keyed.vectors, np.float32), meta={"model": "gensim"})
