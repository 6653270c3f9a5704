"""Measure how far vectors moved when training continued.

The cosine distance of a word is 1 - cos(a, b) of its vectors before and after, without a rotation, because
both lie in one space. It is computed as |u - v|^2 / 2 of the unit vectors, exactly 0 for equal vectors.

Letters: N words in both models, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.joint_vocab import rows_of_words
from nlpseq.errors import DataError
from nlpseq.vectors.lazy_rows import row_blocks
from nlpseq.vectors.queries import Answers
from nlpseq.vectors.vectors import Vectors

__all__ = ["Drift", "drift"]

MAX_WORDS = 10  # named


class Drift(NamedTuple):
    """Cosine distances of words with a vector before and after.

    most: the words that moved most, each with its distance, the farthest first.
    """

    words: int
    mean: float
    most: Answers


def drift(before: Vectors, after: Vectors, max_words: int = MAX_WORDS) -> Drift:
    """Return how far the words of a model have moved; raise DataError if no word is in both models."""
    ids_V = rows_of_words(after.vocab.words, before.vocab)
    ids_V[np.isin(ids_V, before.zero_ids)] = -1
    ids_V[after.zero_ids] = -1
    after_N = np.flatnonzero(ids_V >= 0)
    if not len(after_N):
        raise DataError("the models: share no word with a vector. Name models that do.")
    distance_N = np.concatenate(
        [
            _distances(before.matrix[ids_V[block]], after.matrix[block])
            for block in (after_N[rows] for rows in row_blocks(len(after_N)))
        ]
    )
    order_N = np.argsort(-distance_N, kind="stable")[:max_words]
    words = [(after.vocab.words[after_N[n]], float(distance_N[n])) for n in order_N.tolist()]
    return Drift(len(after_N), float(distance_N.mean()), words)


def _distances(a_ND: npt.NDArray[np.float32], b_ND: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the cosine distance of each pair of rows, (N,)."""
    unit = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (np.float64(a_ND), np.float64(b_ND))
    ]
    distance_N: npt.NDArray[np.float64] = np.square(unit[0] - unit[1]).sum(axis=1) / 2
    return distance_N
