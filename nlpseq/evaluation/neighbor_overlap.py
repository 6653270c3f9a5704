"""Measure how far two models agree on nearest neighbors.

Letters: Q query words, X shared words.
"""

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.errors import DataError
from nlpseq.vectors.vectors import Vectors

__all__ = ["neighbor_overlap"]


def neighbor_overlap(
    a: Vectors, b: Vectors, top: int = 10, words: int = 1000, block_words: int = 64
) -> float:
    """Return the mean share of the `top` nearest words that two models have in common, from 0 to 1.

    Queries and neighbors are shared words with a trained vector; the queries are the first `words` of them in
    `a`. block_words: queries answered at once. Raises DataError if the models share too few words.
    """
    trained = _trained_words(a) & _trained_words(b)
    shared = [word for word in a.vocab.words if word in trained]
    if len(shared) <= top:
        raise DataError(
            f"the models: share {count_text(len(shared), 'word')}, too few for {top:,} neighbors. "
            "Compare other models, or lower --top."
        )
    nearest = [
        _nearest(model, [model.vocab.ids[word] for word in shared], top, min(words, len(shared)), block_words)
        for model in (a, b)
    ]
    common = [len(set(mine) & set(theirs)) for mine, theirs in zip(*nearest, strict=True)]
    return float(np.mean(common)) / top


def _trained_words(vectors: Vectors) -> set[str]:
    """Return the words that can answer a query."""
    untrained = {*vectors.untrained_ids.tolist()}
    return {word for word, word_id in vectors.vocab.ids.items() if word_id not in untrained}


def _nearest(vectors: Vectors, shared: list[int], top: int, words: int, block_words: int) -> list[list[int]]:
    """Return for each of the first `words` shared words the positions in `shared` of its neighbors."""
    unit_XD = vectors.unit[shared]
    found = list[list[int]]()
    for start in range(0, words, block_words):
        query_Q = np.arange(start, min(start + block_words, words))
        scores_QX: npt.NDArray[np.float32] = (unit_XD @ vectors.rows([shared[q] for q in query_Q]).T).T.copy()
        scores_QX[np.arange(len(query_Q)), query_Q] = -np.inf
        found += np.argpartition(scores_QX, -top, axis=1)[:, -top:].tolist()
    return found
