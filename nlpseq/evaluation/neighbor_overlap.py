"""Measure how far two models agree on nearest neighbors."""

import numpy as np

from nlpseq.core.resources import count_text
from nlpseq.errors import DataError
from nlpseq.vectors.vectors import Vectors

__all__ = ["neighbor_overlap"]


def neighbor_overlap(a: Vectors, b: Vectors, top: int = 10, words: int = 1000) -> float:
    """Return the mean share of the `top` nearest words that two models have in common, from 0 to 1.

    Queries and neighbors are shared words with a trained vector; the queries are the first `words` of them in
    `a`. Raises DataError if the models share too few words.
    """
    trained = _trained_words(a) & _trained_words(b)
    shared = [word for word in a.vocab.words if word in trained]
    if len(shared) <= top:
        raise DataError(
            f"the models: share {count_text(len(shared), 'word')}, too few for {top:,} neighbors. "
            "Compare other models, or lower --top."
        )
    ids_of = [[model.vocab.ids[word] for word in shared] for model in (a, b)]
    mine, theirs = (
        model.neighbors_of(ids[:words], top, among=ids) for model, ids in zip((a, b), ids_of, strict=True)
    )
    common = [len(dict(x).keys() & dict(y).keys()) for x, y in zip(mine, theirs, strict=True)]
    return float(np.mean(common)) / top


def _trained_words(vectors: Vectors) -> set[str]:
    """Return the words that can answer a query."""
    untrained = {*vectors.untrained_ids.tolist()}
    return {word for word, word_id in vectors.vocab.ids.items() if word_id not in untrained}
