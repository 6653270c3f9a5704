"""A compact matrix gives the numbers of its array, by blocks and in little memory."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from support.vocabularies import vocab_of

from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.compact_matrix import COMPACT_DTYPES, CompactMatrix, compact, take_rows
from nlpseq.vectors.vectors import Vectors

SETTLED_S = 0.15  # until a record of new files is trusted
ROWS = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(-8, 8, width=16)
)


@pytest.mark.parametrize("dtype", COMPACT_DTYPES)
@given(ROWS, st.integers(0, 2**32 - 1))
def test_indexing_and_products_equal_the_array(dtype, matrix, seed) -> None:
    found = compact(matrix, dtype)
    whole = np.asarray(found)
    assert whole.dtype == np.float32 and whole.shape == found.shape == matrix.shape
    rows = np.random.default_rng(seed).integers(0, len(matrix), 4)
    for taken in (rows, rows.tolist(), slice(1, 3), int(rows[0])):
        assert np.array_equal(found[taken], whole[taken])
    assert np.array_equal(np.asarray(take_rows(found, rows)), whole[rows])
    factor = np.random.default_rng(seed).normal(size=(matrix.shape[1], 2)).astype(np.float32)
    for each in (factor, factor[:, 0]):
        np.testing.assert_allclose(found @ each, whole @ each, rtol=1e-5, atol=1e-5)


@given(ROWS)
def test_int8_errors_are_below_one_of_254_steps(matrix) -> None:
    found = compact(matrix, "int8")
    step = np.abs(matrix).max(axis=1) / 127
    assert np.abs(found.codes).max() <= 127
    assert (np.abs(np.asarray(found) - matrix) <= step[:, None] + 1e-7).all()


def test_int8_scale_minimizes_the_squared_error() -> None:
    matrix = np.random.default_rng(3).normal(size=(50, 20)).astype(np.float32)
    found = compact(matrix, "int8")
    error = np.square(np.asarray(found) - matrix).sum(axis=1)
    for factor in (0.999, 1.001):
        other = CompactMatrix(found.codes, found.scales * np.float32(factor))
        assert (np.square(np.asarray(other) - matrix).sum(axis=1) > error).all()


@pytest.mark.parametrize("dtype", COMPACT_DTYPES)
def test_unit_rows_of_codes_have_length_one_or_zero(dtype) -> None:
    matrix = np.array([[3, 4], [0, 0], [1e-4, 0], [-500, 900]], np.float32)
    found = compact(matrix, dtype)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(found.unit()), axis=1), [1, 0, 1, 1], rtol=1e-3)
    assert found.zero_rows.tolist() == [1]
    if found.scales is not None:
        found.scales[3] = 0
        assert found.zero_rows.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("dtype", "row", "way_out"),
    [
        ("float16", [1e5, 1], "int8, or float32"),
        ("float16", [1e-9, 0], "int8, or float32"),
        ("int8", [3.4028235e38, 3.4028235e38], "float32"),
        ("int8", [1e-45, 0], "float32"),
    ],
)
def test_numbers_that_would_be_lost_are_refused(dtype, row, way_out: str) -> None:
    with pytest.raises(DataError, match=rf"{dtype}: cannot hold .* Use --dtype {way_out}\."):
        compact(np.array([[1, 1], row], np.float32), dtype)


def test_unknown_type_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"dtype: 'float64' is unknown\. Choose one of float32, float16, int8\."
    ):
        compact(np.eye(2, dtype=np.float32), "float64")  # type: ignore[arg-type]


def test_array_without_a_copy_is_refused() -> None:
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(compact(np.eye(2, dtype=np.float32), "int8"), copy=False)


@pytest.mark.parametrize("dtype", COMPACT_DTYPES)
def test_query_takes_little_memory(tmp_path, dtype) -> None:
    words = [f"w{v}" for v in range(60_000)]
    matrix = np.random.default_rng(0).normal(size=(60_000, 64)).astype(np.float32)
    vectors = Vectors(vocab_of(words), matrix)
    expected = [word for word, _ in vectors.neighbors("w7", 3)]
    Vectors(vectors.vocab, compact(matrix, dtype)).save(tmp_path / "a.w2v")
    time.sleep(SETTLED_S)
    Vectors.load(tmp_path / "a.w2v")
    tracemalloc.start()
    loaded = Vectors.load(tmp_path / "a.w2v")
    answers = loaded.neighbors("w7", 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [word for word, _ in answers] == expected
    assert peak < matrix.nbytes / 4
