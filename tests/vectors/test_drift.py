"""Drift of words between two models equals plain cosines, and is exactly 0 for equal vectors."""

import numpy as np
import pytest

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError
from nlpseq.vectors.drift import drift
from nlpseq.vectors.vectors import Vectors


def vectors_of(rows: dict[str, list[float]]) -> Vectors:
    return Vectors(Vocab(rows, np.ones(len(rows))), np.array([*rows.values()], np.float32))


def test_drift_is_the_cosine_distance_of_known_words() -> None:
    before = vectors_of({"a": [1, 0], "b": [3, 4], "zero": [0, 0], "gone": [1, 1], "c": [0, 2]})
    after = vectors_of({"new": [1, 2], "c": [0, 5], "b": [4, 3], "a": [-2, 0], "zero": [1, 1]})
    found = drift(before, after, max_words=2)
    assert found.words == 3
    assert found.mean == pytest.approx((2 + (1 - 24 / 25) + 0) / 3)
    assert [word for word, _ in found.most] == ["a", "b"]
    assert [distance for _, distance in found.most] == pytest.approx([2, 1 / 25])


def test_equal_vectors_have_drift_zero() -> None:
    rng = np.random.default_rng(1)
    rows = {f"w{number}": rng.normal(size=7).tolist() for number in range(9000)}  # more than a block
    found = drift(vectors_of(rows), vectors_of(dict(reversed(rows.items()))))
    assert (found.words, found.mean) == (9000, 0.0)


def test_models_without_a_shared_word_are_refused() -> None:
    with pytest.raises(DataError, match="share no word with a vector"):
        drift(vectors_of({"a": [1, 0]}), vectors_of({"b": [1, 0]}))
