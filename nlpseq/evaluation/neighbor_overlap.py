"""How much two models agree on who is near whom."""

import numpy as np
import numpy.typing as npt

from nlpseq.errors import DataError
from nlpseq.vectors.vectors import Vectors

_BLOCK = 64  # words asked for at once


def neighbor_overlap(a: Vectors, b: Vectors, top: int = 10, words: int = 1000) -> float:
    """The mean share of the `top` nearest words that two models have in common, from 0 to 1.

    Asked are the words that both know and `a` has first, and only words that both know are neighbours.
    Raises DataError where the models share too few.
    """
    shared = [word for word in a.vocab.words if word in b.vocab]
    if len(shared) <= top:
        raise DataError(
            f"the models share {len(shared)} words, too few for {top} neighbours. "
            "Compare others, or lower --top."
        )
    nearest = [_nearest([each.vocab.ids[word] for word in shared], each, top, words) for each in (a, b)]
    common = [len(set(mine) & set(theirs)) for mine, theirs in zip(*nearest, strict=True)]
    return float(np.mean(common)) / top


def _nearest(shared: list[int], vectors: Vectors, top: int, words: int) -> list[list[int]]:
    """Of each of the first words of `shared` the places in it of its nearest others."""
    unit = vectors.unit[shared]
    found = list[list[int]]()
    for start in range(0, min(words, len(shared)), _BLOCK):
        asked = np.arange(start, min(start + _BLOCK, words, len(shared)))
        scores_QX: npt.NDArray[np.float32] = (unit @ vectors.rows([shared[q] for q in asked]).T).T.copy()
        scores_QX[np.arange(len(asked)), asked] = -np.inf
        found += np.argpartition(scores_QX, -top, axis=1)[:, -top:].tolist()
    return found
