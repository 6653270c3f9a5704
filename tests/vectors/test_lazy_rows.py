"""Lazy rows give the numbers of their array, a block at a time, and queries take them once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.vocabularies import vocab_of

from nlpseq.vectors.align import align, moved_words
from nlpseq.vectors.compact_matrix import CompactMatrix, take_rows
from nlpseq.vectors.lazy_rows import BLOCK_ROWS, LazyRows
from nlpseq.vectors.postprocess import postprocess
from nlpseq.vectors.shrink import shrink
from nlpseq.vectors.vectors import Vectors

V, D = 2 * BLOCK_ROWS + 7, 5
WORDS = [f"w{v}" for v in range(V)]
MATRIX = np.random.default_rng(1).normal(size=(V, D)).astype(np.float32) + 1
MATRIX[[3, BLOCK_ROWS]] = 0
CHOSEN = [7, 7, V - 1, 0]


def lazy_rows(matrix: np.ndarray, taken: list[int] | None = None) -> LazyRows:
    """Return lazy rows that note how many rows were taken at once."""

    def take(ids: Any) -> Any:
        assert len(ids) <= BLOCK_ROWS
        if taken is not None:
            taken.append(len(ids))
        return matrix[ids]

    return LazyRows(matrix.shape, take)


def make(*, is_lazy: bool, taken: list[int] | None = None) -> Vectors:
    parts = (MATRIX, MATRIX[::-1].copy())
    matrix, contexts = (CompactMatrix(lazy_rows(each, taken)) if is_lazy else each for each in parts)
    return Vectors(vocab_of(WORDS), matrix, contexts)


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(5, 9),
        slice(V, 3, -2),
        CHOSEN,
        np.array(CHOSEN),
        np.arange(V) % 3 == 0,
        np.zeros(0, np.int64),
    ],
    ids=lambda rows: str(rows)[:20],
)
def test_rows_and_selected_rows_equal_the_array(rows: Any) -> None:
    lazy, wanted = lazy_rows(MATRIX), MATRIX[rows]
    for found in (lazy[rows], lazy.select(rows)[:], lazy.select(slice(None)).select(rows)[:]):
        np.testing.assert_array_equal(found, wanted)
    assert len(lazy.select(rows)) == len(wanted)
    np.testing.assert_array_equal(take_rows(CompactMatrix(lazy), rows), wanted)


def test_row_that_does_not_exist_is_refused() -> None:
    np.testing.assert_array_equal(lazy_rows(MATRIX)[-1], MATRIX[-1])
    for row in (V, -V - 1):
        with pytest.raises(IndexError):
            lazy_rows(MATRIX)[row]


CHANGES: dict[str, Callable[[Vectors], Vectors]] = {
    "center": lambda vectors: postprocess(vectors, center=True),
    "contexts": lambda vectors: postprocess(vectors, matrix="w+c", remove_components=2),
    "rotation": lambda vectors: align(Vectors(vocab_of(WORDS), MATRIX[:, ::-1].copy()), vectors),
    "first words": lambda vectors: shrink(vectors, keep_top=V - 5),
    "without words": lambda vectors: shrink(vectors, drop=["w1", "w9"]),
    "projection": lambda vectors: shrink(vectors, pca=2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_vectors_stay_lazy_and_equal_those_of_arrays(change: Callable[[Vectors], Vectors]) -> None:
    found, wanted = change(make(is_lazy=True)), change(make(is_lazy=False))
    assert isinstance(found.matrix.codes, LazyRows) and isinstance(wanted.matrix, np.ndarray)
    np.testing.assert_allclose(found.matrix, wanted.matrix, atol=1e-5)
    assert found.zero_ids.tolist() == wanted.zero_ids.tolist() != []
    assert (found.contexts is None) == (wanted.contexts is None)
    if found.contexts is not None:
        assert isinstance(found.contexts.codes, LazyRows)
        np.testing.assert_allclose(found.contexts, wanted.contexts, atol=1e-5)
    assert dict(found.neighbors("w7", 5)) == pytest.approx(dict(wanted.neighbors("w7", 5)), abs=1e-6)


def test_questions_one_by_one_take_the_rows_once() -> None:
    taken = list[int]()
    vectors = make(is_lazy=True, taken=taken)
    vectors.similarity("w1", "w2")
    assert sum(taken) < 10
    wanted = make(is_lazy=False).neighbors_of(WORDS[10:110], 3)
    answers = [vectors.neighbors(word, 3) for word in WORDS[10:110]]
    assert taken.count(BLOCK_ROWS) == V // BLOCK_ROWS, "one pass"
    assert sum(taken) < V + 100 * 30, "then the rows of candidates"
    for found, expected in zip(answers, wanted, strict=True):
        assert dict(found) == pytest.approx(dict(expected), abs=1e-6)


def test_moved_words_equal_those_of_arrays() -> None:
    other = Vectors(vocab_of(WORDS), np.roll(MATRIX, 1, axis=1) + MATRIX[::-1])
    found, wanted = (moved_words(other, make(is_lazy=lazy), 9) for lazy in (True, False))
    assert dict(found) == pytest.approx(dict(wanted), abs=1e-6)
