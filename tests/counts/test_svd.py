"""Randomised SVD approximates the SVD of NumPy, and gives dense vectors."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array, random_array

from nlpseq.config import SVDConfig
from nlpseq.counts.svd import SparseProduct, randomized_svd, resolve, train_svd
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.vectors import Vectors


def sparse(rows: int, columns: int, seed: int = 0):
    """Return a matrix with a few large singular values, half of its entries empty."""
    rng = np.random.default_rng(seed)
    low = rng.normal(size=(rows, 5)) * 3.0 ** -np.arange(5) @ rng.normal(size=(5, columns))
    mask = random_array((rows, columns), density=0.5, rng=rng).astype(bool)
    dense = (10 * low + 0.01 * rng.normal(size=(rows, columns))) * mask.toarray()
    return csr_array(dense.astype(np.float32))


@pytest.mark.parametrize("columns", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("threads", [1, 3])
def test_sparse_product_equals_numpy(columns, threads):
    matrix = sparse(37, 21)
    dense = np.random.default_rng(1).normal(size=(21, columns)).astype(np.float32)
    with ThreadPoolExecutor(threads) as pool:
        found = SparseProduct(matrix, pool, threads)(dense)
    assert_allclose(found, matrix.toarray() @ dense, rtol=1e-5, atol=1e-4)  # float32 sums in another order


def test_sparse_product_of_empty_rows_is_zero():
    matrix = csr_array(np.diag([0.0, 2.0, 0.0, 3.0, 0.0]).astype(np.float32))
    with ThreadPoolExecutor(2) as pool:
        assert_allclose(SparseProduct(matrix, pool, 2)(np.ones((5, 1), np.float32))[:, 0], [0, 2, 0, 3, 0])


def test_randomized_svd_approximates_numpy():
    matrix = sparse(120, 80)
    left, values, right = np.linalg.svd(matrix.toarray().astype(np.float64))
    found = randomized_svd(matrix, SVDConfig(dim=3, power_iterations=4))
    assert_allclose(found.values_D, values[:3], rtol=1e-4)
    for d in range(3):
        assert abs(found.left_RD[:, d] @ left[:, d]) == pytest.approx(1, abs=1e-3)
        assert abs(found.right_CD[:, d] @ right[d]) == pytest.approx(1, abs=1e-3)
    for vectors in (found.left_RD, found.right_CD):
        assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-5)
    rebuilt = found.left_RD * found.values_D @ found.right_CD.T
    wanted = left[:, :3] * values[:3] @ right[:3]
    assert_allclose(rebuilt, wanted, atol=2e-3 * values[0])


def test_power_iterations_improve_slow_spectrum():
    matrix = csr_array(np.random.default_rng(2).normal(size=(200, 200)).astype(np.float32))
    best = np.linalg.svd(matrix.toarray(), compute_uv=False)[:5].sum()
    shares = [
        randomized_svd(matrix, SVDConfig(dim=5, oversampling=5, power_iterations=n)).values_D.sum() / best
        for n in (0, 2, 12)
    ]
    assert shares[0] < 0.8 < shares[1] < shares[2] and shares[2] > 0.98


def test_randomized_svd_depends_on_seed_not_on_threads():
    matrix = sparse(60, 60)
    one, same, three = (randomized_svd(matrix, SVDConfig(dim=4, threads=n)) for n in (1, 1, 3))
    other = randomized_svd(matrix, SVDConfig(dim=4, seed=2))
    for a, b, c in zip(one, same, three, strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c)
    assert not np.array_equal(one.left_RD, other.left_RD)


def explicit(matrix):
    words = [f"w{v}" for v in range(matrix.shape[0])]
    return Vectors(Vocab(words, np.ones(len(words), np.int64)), matrix, meta={"model": "ppmi"})


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_eigenvalue_power_scales_words_and_contexts(power):
    seen = []
    config = SVDConfig(dim=4, eigenvalue_power=power, power_iterations=1)
    vectors = train_svd(explicit(sparse(50, 50)), config, progress=lambda *done: seen.append(done))
    lengths = np.array(vectors.meta["singular_values"]) ** power
    assert_allclose(np.linalg.norm(vectors.matrix, axis=0), lengths, rtol=1e-4)
    assert_allclose(np.linalg.norm(vectors.contexts, axis=0), lengths, rtol=1e-4)
    assert vectors.meta["model"] == "ppmi-svd" and vectors.meta["svd_config"]["dim"] == 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_train_svd_reads_and_writes_folders(tmp_path):
    positive = sparse(50, 50)
    positive.data = np.abs(positive.data)
    explicit(positive).save(tmp_path / "a.ppmi")
    train_svd(Vectors.load(tmp_path / "a.ppmi"), SVDConfig(dim=3)).save(tmp_path / "a.svd")
    assert Vectors.load(tmp_path / "a.svd").matrix.shape == (50, 3)


def test_open_dimension_is_what_words_and_rank_fill():
    found = train_svd(explicit(sparse(50, 50)))
    assert found.matrix.shape == (50, found.meta["svd_config"]["dim"]) == (50, 49)
    flat = csr_array(np.outer(np.arange(1, 9), np.ones(8)).astype(np.float32))
    found = train_svd(explicit(flat))
    assert found.matrix.shape == found.contexts.shape == (8, 1) and found.meta["svd_config"]["dim"] == 1
    assert resolve(SVDConfig(), 10_000).dim == 300
    with pytest.raises(DataError, match=r"has 1 word and SVD needs at least 2\. Use more text\."):
        resolve(SVDConfig(), 1)
    with pytest.raises(DataError, match=r"Use a lower --min-count \(it is 5\), or more text\."):
        resolve(SVDConfig(dim=1), 1, min_count=5)


def test_train_svd_refuses_too_many_dimensions():
    with pytest.raises(ConfigError, match=r"dim: 50 is too large, because 50 words give .* at most 49"):
        train_svd(explicit(sparse(50, 50)), SVDConfig(dim=50))
    flat = csr_array(np.outer(np.arange(1, 9), np.ones(8)).astype(np.float32))
    with pytest.raises(ConfigError, match=r"dim: 3 .* these counts .* at most 1 dimension\. Use --dim 1, or"):
        train_svd(explicit(flat), SVDConfig(dim=3))
