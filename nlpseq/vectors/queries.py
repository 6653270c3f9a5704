"""Find the words of the highest scores, and words like a misspelled one.

Letters: V words.
"""

from collections.abc import Container, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError

__all__ = ["COSMUL_EPSILON", "AnalogyMethod", "Answers", "best_answers", "suggest_words"]

COSMUL_EPSILON = 1e-3  # of 3CosMul, against division by zero
_MAX_COMPARED = 20_000  # words compared letter by letter for a suggestion
_MAX_SCANNED = 200_000  # words considered for a suggestion
_GROUPS_PER_ANSWER = 16  # of scores, for the bound that a partial sort starts from

Answers = list[tuple[str, float]]  # words with their scores, best first
AnalogyMethod = Literal["3cosadd", "3cosmul"]
Floats = npt.NDArray[np.float32]


def best_answers(words: Sequence[str], scores_V: Floats, excluded: Sequence[int], top: int) -> Answers:
    """Return the `top` words of the highest scores, ties by id, without the excluded ids."""
    if top < 1:
        raise ConfigError(f"top: {top} is too small. Choose 1 or more.")
    scores_V[list(excluded)] = -np.inf
    top = min(top, len(scores_V) - len(set(excluded)))
    if top == 0:
        return []
    candidates = np.flatnonzero(scores_V >= _lower_bound(scores_V, top))
    best = candidates[np.argsort(-scores_V[candidates], kind="stable")[:top]]
    return [(words[word_id], float(scores_V[word_id])) for word_id in best]


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


def suggest_words(
    word: str,
    words: Sequence[str],
    max_compared: int = _MAX_COMPARED,
    *,
    max_scanned: int = _MAX_SCANNED,
    known: Container[str] = (),
) -> list[str]:
    """Suggest up to three words for an unknown one: equal but for case, then of similar spelling.

    words: by falling count. Only words of similar length with the same first letter or last two letters are
    compared letter by letter, at most `max_compared`, so that large vocabularies answer at once. For the same
    reason only the first `max_scanned` words are considered, besides usual cases among all `known` words.
    """
    words, folded = words[:max_scanned], word.casefold()
    same = [other for other in words if other.casefold() == folded]
    same += [form for form in (word.lower(), word.capitalize(), word.upper()) if form in known]
    first, last = word[:1], word[-2:]
    lengths = range(len(word) - 2, len(word) + 3)
    alike = [w for w in words if len(w) in lengths and (w.startswith(first) or w.endswith(last))]
    found = same + get_close_matches(word, alike[:max_compared], n=3)
    return list(dict.fromkeys(found))[:3]
