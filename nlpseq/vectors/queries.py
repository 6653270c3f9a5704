"""Answer questions about words: neighbors, analogies, similarity, and suggestions for misspelled words.

Letters: V words, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError

if TYPE_CHECKING:
    from nlpseq.vectors.vectors import Vectors

__all__ = [
    "COSMUL_EPSILON", "AnalogyMethod", "Answers", "analogy", "dense_rows", "neighbors", "similarity",
    "suggest_words",
]  # fmt: skip

COSMUL_EPSILON = 1e-3  # of 3CosMul, against division by zero
_MAX_COMPARED = 20_000  # words compared letter by letter for a suggestion
_GROUPS_PER_ANSWER = 16  # of scores, for the bound that a partial sort starts from

Answers = list[tuple[str, float]]  # words with their scores, best first
AnalogyMethod = Literal["3cosadd", "3cosmul"]
Floats = npt.NDArray[np.float32]


def similarity(vectors: Vectors, a: str, b: str) -> float:
    """Return the cosine of two words, from -1 to 1; 0 if a vector is zero."""
    rows = vectors.matrix[[vectors.word_id(word) for word in (a, b)]]
    a_D, b_D = dense_rows(rows).astype(np.float64)
    lengths = float(np.sqrt(a_D @ a_D) * np.sqrt(b_D @ b_D))
    return float(np.clip(a_D @ b_D / lengths, -1, 1)) if lengths else 0.0


def neighbors(vectors: Vectors, word: str, top: int = 10) -> Answers:
    """Return the `top` words with the highest cosine, without the word itself."""
    word_id = vectors.word_id(word)
    return _best(vectors, vectors.unit @ vectors.rows([word_id])[0], [word_id], top)


def analogy(
    vectors: Vectors, words: tuple[str, str, str], top: int = 10, method: AnalogyMethod = "3cosadd"
) -> Answers:
    """Return the `top` answers to "a is to b as c is to ?", without a, b and c.

    3cosadd scores a word x by cos(x, b - a + c) (Mikolov, Yih & Zweig 2013, N13-1090), 3cosmul by
    cos(x, b) cos(x, c) / cos(x, a) with cosines shifted to 0..1, which explicit vectors do not need
    because their cosines are never negative (Levy & Goldberg 2014, doi:10.3115/v1/W14-1618).
    """
    word_ids = [vectors.word_id(word) for word in words]
    a_D, b_D, c_D = vectors.rows(word_ids)
    if method == "3cosadd":
        query_D = b_D - a_D + c_D
        scores_V = vectors.unit @ (query_D / (np.linalg.norm(query_D) or 1))
    elif method == "3cosmul":
        cosines = [vectors.unit @ word_D for word_D in (a_D, b_D, c_D)]
        if not vectors.is_sparse:
            cosines = [(cosine_V + np.float32(1)) / np.float32(2) for cosine_V in cosines]
        a_V, b_V, c_V = cosines
        scores_V = b_V * c_V / (a_V + COSMUL_EPSILON)
    else:
        raise ConfigError(f"method: {method!r} is unknown. Choose one of 3cosadd, 3cosmul.")
    return _best(vectors, scores_V, word_ids, top)


def _best(vectors: Vectors, scores_V: Floats, excluded: Sequence[int], top: int) -> Answers:
    """Return the words of the highest scores, ties by id."""
    if top < 1:
        raise ConfigError(f"top: {top} is too small. Choose 1 or more.")
    scores_V[list(excluded)] = -np.inf
    top = min(top, len(scores_V) - len(set(excluded)))
    if top == 0:
        return []
    candidates = np.flatnonzero(scores_V >= _lower_bound(scores_V, top))
    best = candidates[np.argsort(-scores_V[candidates], kind="stable")[:top]]
    return [(vectors.vocab.words[word_id], float(scores_V[word_id])) for word_id in best]


def _lower_bound(scores_V: Floats, top: int) -> np.float32:
    """Return a score that at least `top` words reach, and few others.

    The bound is the `top`-th highest of the maxima of groups, found in a fraction of the time that the
    `top`-th highest of all scores takes.
    """
    size = max(1, len(scores_V) // (_GROUPS_PER_ANSWER * top))
    whole = len(scores_V) // size * size
    highest = scores_V[:whole].reshape(-1, size).max(axis=1)
    bound: np.float32 = np.partition(highest, -top)[-top]
    return bound


def dense_rows(rows: Any) -> Floats:
    """Return rows of a dense or sparse matrix as a dense array."""
    dense: Floats = rows.toarray() if hasattr(rows, "toarray") else rows
    return dense


def suggest_words(word: str, words: Sequence[str], max_compared: int = _MAX_COMPARED) -> list[str]:
    """Suggest up to three words for an unknown one: equal but for case, then of similar spelling.

    words: by falling count. Only words of similar length with the same first letter or last two letters are
    compared letter by letter, at most `max_compared`, so that large vocabularies answer at once.
    """
    folded = word.casefold()
    same = [other for other in words if other.casefold() == folded]
    first, last = word[:1], word[-2:]
    lengths = range(len(word) - 2, len(word) + 3)
    alike = [w for w in words if len(w) in lengths and (w.startswith(first) or w.endswith(last))]
    found = same + get_close_matches(word, alike[:max_compared], n=3)
    return list(dict.fromkeys(found))[:3]
