"""Postprocessing adds contexts, centers, and removes common directions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.postprocess import postprocess
from nlpseq.vectors.vectors import Vectors


def vectors(contexts=True):
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(30, 5)).astype(np.float32) * [9, 1, 1, 4, 1] + 3
    words = Vocab([f"w{v}" for v in range(30)], np.ones(30, np.int64))
    return Vectors(
        words, matrix, rng.normal(size=(30, 5)).astype(np.float32) if contexts else None, {"model": "x"}
    )


def test_defaults_return_the_same_vectors():
    plain = vectors()
    assert postprocess(plain) is plain


def test_w_plus_c_adds_contexts():
    plain = vectors()
    both = postprocess(plain, matrix="w+c")
    assert_allclose(both.matrix, plain.matrix + plain.contexts, rtol=1e-6)
    assert both.contexts is None and both.meta["postprocessing"]["matrix"] == "w+c"
    with pytest.raises(DataError, match="no context vectors to add"):
        postprocess(vectors(contexts=False), matrix="w+c")


def test_centered_vectors_have_zero_mean():
    assert abs(vectors().matrix.mean()) > 1
    assert_allclose(postprocess(vectors(), center=True).matrix.mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("options", [{"center": True}, {"matrix": "w+c"}, {"remove_components": 1}], ids=str)
def test_words_without_a_vector_stay_without(tmp_path, options):
    plain = vectors()
    plain.matrix[[3, 7]] = 0
    done = postprocess(plain, **options)
    done.save(tmp_path / "a.w2v")
    for each in (done, Vectors.load(tmp_path / "a.w2v"), postprocess(done, center=True)):
        assert each.zero_ids.tolist() == [3, 7]
        assert {"w3", "w7"}.isdisjoint(word for word, _ in each.neighbors("w1", 30))
        with pytest.raises(DataError, match="'w7': its vector is zero"):
            each.neighbors("w7")
    assert len(postprocess(vectors(), **options).zero_ids) == 0


def test_components_of_largest_variance_are_removed():
    done = postprocess(vectors(), center=True, remove_components=2).matrix
    values = np.linalg.svd(vectors().matrix - vectors().matrix.mean(axis=0), compute_uv=False)
    left = np.linalg.svd(done, compute_uv=False)
    assert_allclose(left[:3], values[2:], rtol=1e-4)
    assert_allclose(left[3:], 0, atol=1e-4)


@pytest.mark.parametrize("number", [-1, 5, 6])
def test_number_of_components_is_checked(number):
    with pytest.raises(ConfigError, match=f"remove_components: {number} is out of range"):
        postprocess(vectors(), remove_components=number)
