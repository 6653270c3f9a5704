"""Coarse cosines stay within the bound, and a question has the same answers alone and among many."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reference import queries as plain
from support.vocabularies import vocab_of

from nlpseq.vectors.coarse import CoarseUnit
from nlpseq.vectors.compact_matrix import CompactMatrix, compact
from nlpseq.vectors.lazy_rows import LazyRows
from nlpseq.vectors.queries import Limits, Question, Space, rank
from nlpseq.vectors.vectors import Vectors

DTYPES = ["float32", "float16", "int8"]
LAZY = "lazy"


def stored_as(dtype: Any, matrix: Any) -> Any:
    """Return the matrix in a type, or as lazy rows."""
    if dtype == LAZY:
        return CompactMatrix(LazyRows(matrix.shape, lambda ids: matrix[ids]))
    return compact(matrix, dtype)


def random_matrix(seed: int, dim: int) -> Any:
    """Return rows with ties, near ties, copies, scaled copies and zeros, and one large number in a row."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(700, dim)).astype(np.float32)
    matrix[100:200] = rng.integers(-1, 2, (100, dim))
    matrix[200:300] = matrix[0] + 0.01 * rng.normal(size=(100, dim))
    matrix[300:340], matrix[340:350] = matrix[:40], 3 * matrix[0]
    matrix[350:360] = 0
    matrix[360, 0] = 50
    return matrix


@pytest.mark.parametrize("dtype", [*DTYPES, LAZY])
@pytest.mark.parametrize("dim", [1, 5, 33, 100])
@pytest.mark.parametrize("compile_after", [0, 1])
def test_coarse_cosines_stay_within_the_bound(dtype: Any, dim: int, compile_after: int) -> None:
    unit = Vectors(vocab_of([f"w{v}" for v in range(700)]), stored_as(dtype, random_matrix(dim, dim))).unit
    vector = np.random.default_rng(1).normal(size=dim)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    exact = np.asarray(unit).astype(np.float64) @ vector
    for num_words in (700, 13):
        coarse, error = CoarseUnit(unit, compile_after).cosines(vector, num_words)
        assert len(coarse) == num_words and error < 0.03
        assert np.abs(coarse - exact[:num_words]).max() <= error


@pytest.mark.parametrize("dim", [2, 5, 33])
@pytest.mark.parametrize("compile_after", [0, 1000])
def test_one_alone_equals_the_reference(dim: int, compile_after: int) -> None:
    matrix = random_matrix(dim, dim)
    words = [f"w{v}" for v in range(len(matrix))]
    rows = {word: row.tolist() for word, row in zip(words, matrix, strict=True)}
    space = space_of(Vectors(vocab_of(words), matrix), compile_after)
    for word_id in (0, 7, 150, 250, 310, 360, 699):
        for top in (1, 10, 45, 800):
            question = Question(space.rows_of([word_id]), [word_id])
            expected = plain.ranked(rows, rows[words[word_id]], {words[word_id]}, top)
            found = rank(space, [question], top)[0]
            assert [words[each] for each, _ in found] == [word for word, _ in expected]
            assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-12)


@pytest.mark.parametrize("dtype", [*DTYPES, LAZY])
@pytest.mark.parametrize("compile_after", [0, 1000])
@pytest.mark.parametrize("limits", [Limits(), Limits(exact_rows=7)])
def test_one_alone_equals_one_among_many(dtype: Any, compile_after: int, limits: Limits) -> None:
    """Hide some words, and exclude words beyond num_words."""
    matrix = stored_as(dtype, random_matrix(3, 20))
    space = space_of(Vectors(vocab_of([f"w{v}" for v in range(700)]), matrix), compile_after)
    hidden = np.union1d(space.hidden_ids, np.arange(3, 700, 9))
    asked = [v for v in range(0, 700, 35) if v not in space.hidden_ids]
    questions = [Question(space.rows_of([v]), [v, 5, 690]) for v in asked]
    for num_words in (700, 650, 3, 0):
        limited = space._replace(hidden_ids=hidden, num_words=num_words)
        for top in (1, 10, 700):
            alone = [rank(limited, [question], top, limits=limits)[0] for question in questions]
            assert alone == rank(limited, questions, top)


@pytest.mark.parametrize("ask", [Vectors.neighbors, lambda vectors, word: vectors.query(f"{word} - w9")])
def test_answers_stay_equal_after_the_change_to_int8(ask: Callable[[Vectors, str], Any]) -> None:
    vectors = Vectors(vocab_of([f"w{v}" for v in range(700)]), random_matrix(3, 20))
    first = ask(vectors, "w0")
    vectors.__dict__["_space"] = space_of(vectors, 0)
    assert ask(vectors, "w0") == first


def space_of(vectors: Vectors, compile_after: int) -> Space:
    def rows_of(ids: Any) -> Any:
        return vectors.matrix[ids].astype(np.float64)

    coarse = CoarseUnit(vectors.unit, compile_after)
    return Space(vectors.unit, rows_of, vectors.untrained_ids, len(vectors), coarse)
