"""Layers and objectives match numeric gradients in float64, and call the given array module alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.numeric import numeric_gradient
from support.proxy import xp as proxy

from nlpseq.word2vec import layers
from nlpseq.word2vec.objectives import Weights, cbow_step, skipgram_step
from nlpseq.word2vec.sampling import Windows

V, D, K = 7, 5, 3
RATE = 1e-2
# Two windows: one repeats a context and its centre; negatives repeat and equal the target.
WINDOWS = Windows(
    centres_B=np.array([2, 4]),
    pos_B=np.array([10, 11]),
    contexts_P=np.array([1, 3, 1, 4, 0]),
    window_P=np.array([0, 0, 0, 1, 1]),
    slot_P=np.array([0, 1, 2, 1, 2]),
)
NEGATIVES_BK = np.array([[5, 5, 2], [0, 6, 4]])
NEGATIVES_PK = NEGATIVES_BK[WINDOWS.window_P]


def random_weights(seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    return Weights(rng.normal(size=(V, D)), rng.normal(size=(V, D)))


def dense(gradient: layers.RowGradient) -> np.ndarray:
    full = np.zeros((V, D))
    np.add.at(full, gradient.ids_N, gradient.rows_ND)
    return full


STEPS: dict[str, Callable[..., Any]] = {
    "skipgram, negative sampling": lambda w, rate, xp=np: skipgram_step(w, WINDOWS, NEGATIVES_PK, rate, xp),
    "skipgram, softmax": lambda w, rate: skipgram_step(w, WINDOWS, None, rate, np),
    "cbow, negative sampling": lambda w, rate: cbow_step(w, WINDOWS, NEGATIVES_BK, rate, np, corrected=True),
    "cbow, softmax": lambda w, rate: cbow_step(w, WINDOWS, None, rate, np, corrected=True),
}


@pytest.mark.parametrize("name", STEPS)
def test_step_matches_numeric_gradient(name: str) -> None:
    weights = random_weights()

    def loss() -> float:
        return float(STEPS[name](Weights(*(w.copy() for w in weights)), 0.0).sum())

    numeric = [numeric_gradient(loss, weight) for weight in weights]
    stepped = Weights(*(w.copy() for w in weights))
    STEPS[name](stepped, RATE)
    for before, after, gradient in zip(weights, stepped, numeric, strict=True):
        # central differences of step 1e-6 in float64 are good to about 1e-9
        np.testing.assert_allclose((before - after) / RATE, gradient, atol=2e-8)


def test_legacy_cbow_does_not_divide_gradient() -> None:
    weights = random_weights()
    corrected, legacy = (Weights(*(w.copy() for w in weights)) for _ in range(2))
    cbow_step(corrected, WINDOWS, NEGATIVES_BK, RATE, np, corrected=True)
    cbow_step(legacy, WINDOWS, NEGATIVES_BK, RATE, np, corrected=False)
    np.testing.assert_allclose(legacy.out_VD, corrected.out_VD)
    change = corrected.in_VD - weights.in_VD
    np.testing.assert_allclose((legacy.in_VD - weights.in_VD)[[1, 3]], 3 * change[[1, 3]])  # 3 contexts
    np.testing.assert_allclose((legacy.in_VD - weights.in_VD)[[4, 0]], 2 * change[[4, 0]])  # 2 contexts


def test_embedding_equals_one_hot_product() -> None:
    weight = random_weights().in_VD
    ids = np.array([3, 0, 3, 6])
    one_hot = np.eye(V)[ids]
    value, backward = layers.embedding(weight, ids)
    np.testing.assert_array_equal(value, one_hot @ weight)
    gradient = np.random.default_rng(1).normal(size=(4, D))
    np.testing.assert_allclose(dense(backward(gradient)), one_hot.T @ gradient, rtol=1e-15)


def test_embedding_mean_equals_one_hot_product() -> None:
    weight = random_weights().in_VD
    membership = np.zeros((2, V))
    np.add.at(membership, (WINDOWS.window_P, WINDOWS.contexts_P), [1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2])
    value, backward = layers.embedding_mean(weight, WINDOWS.contexts_P, WINDOWS.window_P, 2, np)
    np.testing.assert_allclose(value, membership @ weight, rtol=1e-14)
    gradient = np.random.default_rng(1).normal(size=(2, D))
    np.testing.assert_allclose(dense(backward(gradient)), membership.T @ gradient, rtol=1e-14)


def test_negative_sampling_equals_formula_without_target() -> None:
    h, out = random_weights(3)
    loss, _ = layers.negative_sampling(h[:1], out, np.array([2]), np.array([[5, 2, 5]]), np)
    wanted = -np.log(1 / (1 + np.exp(-h[0] @ out[2]))) - 2 * np.log(1 / (1 + np.exp(h[0] @ out[5])))
    np.testing.assert_allclose(loss, [wanted], rtol=1e-14)


def test_extreme_logits_give_finite_loss() -> None:
    h, out = np.array([[1e4, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    sampled = layers.negative_sampling(h, out, np.array([1]), np.array([[0, 2]]), np)
    full = layers.softmax_cross_entropy(h, out, np.array([1]), np)
    for (loss, backward), wanted in ((sampled, 3e4), (full, 2e4 + np.log(2))):
        assert loss[0] == pytest.approx(wanted, rel=1e-12)
        grad_h, grad_out = backward()
        assert np.isfinite(grad_h).all() and np.isfinite(grad_out.rows_ND).all()


def test_objectives_call_given_array_module() -> None:
    weights = random_weights()
    on_proxy = Weights(*(proxy.asarray(w.copy()) for w in weights))
    windows = Windows(*(proxy.asarray(field) for field in WINDOWS))
    for negatives in (NEGATIVES_PK, None):
        there = None if negatives is None else proxy.asarray(negatives)
        skipgram_step(weights, WINDOWS, negatives, RATE, np)
        skipgram_step(on_proxy, windows, there, RATE, proxy)
    for negatives in (NEGATIVES_BK, None):
        there = None if negatives is None else proxy.asarray(negatives)
        cbow_step(weights, WINDOWS, negatives, RATE, np, corrected=True)
        cbow_step(on_proxy, windows, there, RATE, proxy, corrected=True)
    for here, there in zip(weights, on_proxy, strict=True):
        np.testing.assert_array_equal(here, there.host)
