"""Primitives written by hand for the compiler equal their plain reference on odd sizes.

Numbers are small integers, so that float32 sums are exact in any order, unless a comment says otherwise.
"""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal
from reference import prefetch as plain_prefetch, primitives as plain, tiles as plain_tiles

from nlpseq.core.prefetch_numba import prefetch
from nlpseq.word2vec.kernels import primitives_numba as fast, tiles_numba as fast_tiles
from nlpseq.word2vec.kernels.select import LANES
from nlpseq.word2vec.kernels.tiles_numba import TILE

V = 7
SIZES = [(1, LANES, TILE), (3, 2 * LANES, TILE), (4, LANES, 2 * TILE), (7, 3 * LANES, 3 * TILE)]  # C, D, J


@njit
def address_of(matrix, row):
    return fast_tiles.address(matrix, np.uint64(row))


@njit
def products(x_C, num, y_J, first, out_N, stride, D):
    fast_tiles.products(x_C, num, y_J, first, out_N, stride, D)


@njit
def step(x_C, from_C, to_C, num, y_J, first, g_N, stride, D):
    fast_tiles.step(x_C, from_C, to_C, num, y_J, first, g_N, stride, D)


@njit
def prefetch_all(matrix):
    for row in range(matrix.shape[0]):
        prefetch(matrix, (np.uint64(row), np.uint64(0)))


def small_integers(*shape: int) -> Any:
    """Return float32 integers from -4 to 4."""
    return np.random.default_rng(sum(shape)).integers(-4, 5, shape).astype(np.float32)


def addresses(matrix: Any) -> Any:
    """Return the address of each row of a matrix."""
    return np.array([plain_tiles.address(matrix, row) for row in range(len(matrix))], np.uint64)


@pytest.mark.parametrize("shape", [(1, 3), (7, 5), (4, 2 * LANES)])
def test_row_address_equals_reference(shape: tuple[int, int]) -> None:
    matrix = np.zeros(shape, np.float32)
    assert [address_of(matrix, row) for row in range(len(matrix))] == addresses(matrix).tolist()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tile_products_equal_reference(size: tuple[int, int, int]) -> None:
    C, D, J = size
    x_CD, y_JD, stride = small_integers(C + 1, D), small_integers(J, D), C + C % 2
    logits_2N = np.zeros((2, J * stride + 1), np.float32)
    for function, logits_N in zip((products, plain_tiles.products), logits_2N, strict=True):
        for first in range(0, J, TILE):
            function(addresses(x_CD), C, addresses(y_JD), first, logits_N, stride, D)
    ours, reference = (each[:-1].reshape(J, stride)[:, :C] for each in logits_2N)
    assert_array_equal(ours, reference)
    assert ours.any() and not logits_2N[:, -1].any()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tile_step_equals_reference(size: tuple[int, int, int]) -> None:
    C, D, J = size
    stride, g_N = C + C % 2, small_integers(J * (C + C % 2))
    results = []
    for function in (step, plain_tiles.step):
        x_CD, from_CD, y_JD = small_integers(C, D), small_integers(C, D) + 1, small_integers(J, D)
        to_CD = np.zeros_like(x_CD)
        for first in range(0, J, TILE):
            rows = addresses(x_CD), addresses(from_CD), addresses(to_CD)
            function(*rows, C, addresses(y_JD), first, g_N, stride, D)
        function(*[addresses(x_CD)] * 3, C, addresses(y_JD), 0, g_N, stride, D)  # in place
        results.append((x_CD, from_CD, to_CD, y_JD))
    for ours, reference in zip(*results, strict=True):
        assert_array_equal(ours, reference)


@pytest.mark.parametrize("size", [1, 15, LANES, 97, 1000])
def test_sigmoid_steps_equal_reference(size: int) -> None:
    logits_N = np.random.default_rng(size).normal(0, 5, size).astype(np.float32)
    logits_N[:3] = np.array([40, -40, 0])[:size]
    ours, reference = logits_N.copy(), logits_N.copy()
    loss, product = fast.sigmoid_steps(ours, size // 3, size, np.float32(0.5), 0.25)
    wanted, unchanged = plain.sigmoid_steps(reference, size // 3, size, 0.5, 0.25)
    assert_allclose(ours, reference, atol=2e-7)  # tanh is good to 4e-7
    assert loss - math.log(product) == pytest.approx(wanted - math.log(unchanged), rel=2e-6)


def test_sigmoid_steps_keep_nan() -> None:
    logits_N = np.array([1, np.nan, 2], np.float32)
    loss, product = fast.sigmoid_steps(logits_N, 1, 3, np.float32(0.5), 1.0)
    assert np.isnan(loss - math.log(product)) and np.isnan(logits_N).tolist() == [False, True, False]


@pytest.mark.parametrize("num", [1, 5])
def test_gather_and_scatter_equal_reference(num: int) -> None:
    ids_N, row_D = np.array([3, 0, 3, 6, 2], np.uint64), small_integers(5)
    results = []
    for functions in (fast, plain):
        weight_VD, mean_D = small_integers(V, 5), np.zeros(5, np.float32)
        functions.gather_mean(weight_VD, ids_N, num, mean_D, 5)
        functions.scatter_add(row_D, np.float32(0.5), ids_N, num, weight_VD, 5)
        frozen_V = np.arange(V) % 3 == 0
        functions.scatter_add_unless(row_D, np.float32(0.5), ids_N, num, weight_VD, frozen_V, 5)
        results.append((weight_VD, mean_D))
    assert_array_equal(results[0][0], results[1][0])
    assert_allclose(results[0][1], results[1][1], rtol=1e-6)  # a fifth is not exact


@pytest.mark.parametrize("size", [(5, TILE), (17, 2 * TILE), (33, 3 * TILE)], ids=str)
def test_functions_of_one_input_equal_reference(size: tuple[int, int]) -> None:
    D, J = size
    y_VD, x_D, g_N = small_integers(V, D), small_integers(D), small_integers(J)
    y_ids = np.random.default_rng(J).integers(0, V, J).astype(np.uint64)
    results = []
    for functions in (fast, plain):
        logits_N, dx_D = np.zeros(J, np.float32), np.zeros(D, np.float32)
        functions.logits_of_one(x_D, y_VD, y_ids, logits_N, D, J)
        functions.input_gradient(g_N, y_VD, y_ids, dx_D, D, J)
        results.append((logits_N, dx_D))
    for ours, reference in zip(*results, strict=True):
        assert_array_equal(ours, reference)
        assert ours.any()


OUTPUTS = [[4, 1, 4, 2, 1, 0], [3, 3, 3, 5, 5, 5, 6, 5, 2, 0, 0, 0], [0, 1, 2, 3, 4, 0]]


@pytest.mark.parametrize("words", OUTPUTS, ids=str)
@pytest.mark.parametrize("num", [1, 3])
def test_masks_and_merged_outputs_equal_reference(words: list[int], num: int) -> None:
    output_J = np.array(words, np.uint64)
    J, K, stride = len(words), 4 if len(words) == 6 else 8, num + num % 2
    results = []
    for functions in (fast, plain):
        logits_N, y_J = small_integers(J * stride + LANES), np.arange(100, 100 + J).astype(np.uint64)
        functions.mask_logits(logits_N, num, stride, output_J, K, J)
        g_N = small_integers(J * stride)
        functions.merge_outputs(output_J, y_J, g_N, stride, np.uint64(99), K, J)
        results.append((logits_N, y_J, g_N))
    for ours, reference in zip(*results, strict=True):
        assert_array_equal(ours, reference)


@pytest.mark.parametrize(
    "words", [[5], [2, 2], [1, 3, 1, 3, 1], [0, 1, 2, 3], [6, 6, 6, 2, 6, 2, 1]], ids=str
)
def test_merged_contexts_equal_reference(words: list[int]) -> None:
    num, J = len(words), TILE
    stride, merged = num + num % 2, []
    for functions in (fast, plain):
        context_C = np.array(words, np.uint64)
        x_C, g_N = context_C + np.uint64(100), small_integers(J * stride)
        left = functions.merge_contexts(context_C, x_C, num, g_N, stride, J)
        g_CJ = g_N.reshape(J, stride).T[:left].tolist()
        merged.append(
            dict(zip(context_C[:left].tolist(), zip(x_C[:left].tolist(), g_CJ, strict=True), strict=True))
        )
        assert len(merged[-1]) == left
    assert merged[0] == merged[1]


@pytest.mark.parametrize("span", [(0, 0), (1, 2), (0, 4), (1, 6), (0, 8)], ids=str)
def test_added_rows_equal_reference(span: tuple[int, int]) -> None:
    rows_N, results = np.array([3, 0, 3, 6, 2, 2, 1, 5], np.uint32), []
    for functions in (fast, plain):
        sum_D = small_integers(5)
        functions.add_rows(small_integers(V, 5), rows_N, *span, sum_D, 5)
        results.append(sum_D)
    assert_array_equal(*results)


def test_prefetch_emits_instruction_and_changes_nothing() -> None:
    matrix = small_integers(V, 5)
    prefetch_all(matrix)
    plain_prefetch.prefetch(matrix, (0, 0))
    assert_array_equal(matrix, small_integers(V, 5))
    assert all("@llvm.prefetch" in code for code in prefetch_all.inspect_llvm().values())


def test_other_tile_size_is_refused() -> None:
    script = """if True:
        from nlpseq.word2vec.kernels import tiles_numba
        tiles_numba.TILE = 4
        from nlpseq.word2vec.kernels import primitives_numba
    """
    failed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "unrolled by hand for 6 outputs" in failed.stderr
