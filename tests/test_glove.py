"""GloVe: the slopes by finite differences, the kernel against the plain step, and that it learns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from nlpseq.config import CooccurrenceConfig, GloveConfig
from nlpseq.counts import glove as glove_module
from nlpseq.counts._glove_numba import train_pairs
from nlpseq.counts.cooccurrence import Cooccurrence
from nlpseq.counts.glove import (
    Weights,
    glove_loss,
    glove_step,
    initial_weights,
    shuffled,
    train_glove,
)
from nlpseq.errors import ConfigError, DataError, RunError
from nlpseq.text.vocab import Vocab


def counted(num_words=7, seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    half = rng.integers(1, 40, (num_words, num_words)) * (rng.random((num_words, num_words)) < density)
    matrix = csr_array((half + half.T).astype(np.float64))
    vocab = Vocab([f"w{v}" for v in range(num_words)], np.arange(num_words, 0, -1))
    return Cooccurrence(matrix, vocab, CooccurrenceConfig(weighting="harmonic"), {"num_tokens": 99})


@pytest.mark.parametrize("pair", [(0, 1, 3.0), (2, 2, 10.0), (1, 0, 500.0)])
def test_slopes_are_those_of_the_loss(pair):
    config = GloveConfig(dim=5)
    weights = Weights(*(each.astype(np.float64) * 5 for each in initial_weights(3, config)))
    _, slopes = glove_loss(weights, pair, config)
    step = 1e-6
    for values, place, slope in zip(weights, (pair[0], pair[1], pair[0], pair[1]), slopes, strict=True):
        for d in np.ndindex(values[place].shape):
            values[(place, *d)] += step
            above, _ = glove_loss(weights, pair, config)
            values[(place, *d)] -= 2 * step
            below, _ = glove_loss(weights, pair, config)
            values[(place, *d)] += step
            assert_allclose((above - below) / (2 * step), np.asarray(slope)[d], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 5, 16])
def test_the_kernel_takes_the_steps_of_the_specification(dim):
    config = GloveConfig(dim=dim, x_max=20, learning_rate=0.3)
    pairs = shuffled(counted().matrix, 1)
    fast, plain = (initial_weights(7, config) for _ in range(2))
    fast_sums, plain_sums = (Weights(*map(np.ones_like, fast)) for _ in range(2))
    settings = (np.float32(20), np.float32(0.75), np.float32(0.3))
    for _ in range(3):
        loss = train_pairs(pairs, fast, fast_sums, *settings, 2, len(pairs.counts_N) - 1)
        wanted = sum(
            glove_step(plain, plain_sums, (row, column, float(count)), config)
            for row, column, count in list(zip(*pairs, strict=True))[2:-1]
        )
        assert_allclose(loss, wanted, rtol=1e-4)  # float32 sums in another order
    for mine, theirs in zip((*fast, *fast_sums), (*plain, *plain_sums), strict=True):
        assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)


def test_every_pair_is_there_once_and_in_no_order():
    matrix = counted(30).matrix
    pairs = shuffled(matrix, 1)
    found = csr_array((pairs.counts_N, (pairs.rows_N, pairs.columns_N)), shape=matrix.shape)
    assert len(pairs.counts_N) == matrix.nnz and (found.toarray() == matrix.toarray()).all()
    assert (np.diff(pairs.rows_N) < 0).any()
    assert not np.array_equal(shuffled(matrix, 2).rows_N, pairs.rows_N)


def test_it_learns_the_logarithms_of_the_counts():
    counts = counted(12, density=0.9)
    vectors = train_glove(counts, GloveConfig(dim=12, epochs=400, x_max=1, learning_rate=0.2, threads=1))
    losses = vectors.meta["loss"]
    assert losses[-1] < 0.01 < losses[0] / 100 and len(losses) == 400
    assert vectors.contexts is not None and vectors.meta["model"] == "glove"


def test_one_thread_repeats_itself_and_chunks_are_all_done(monkeypatch):
    monkeypatch.setattr(glove_module, "CHUNK", 7)
    seen = []
    one, again = (
        train_glove(
            counted(20), GloveConfig(dim=4, epochs=3, threads=1), progress=lambda *done: seen.append(done)
        )
        for _ in range(2)
    )
    other = train_glove(counted(20), GloveConfig(dim=4, epochs=3, threads=1, seed=2))
    assert np.array_equal(one.matrix, again.matrix) and not np.array_equal(one.matrix, other.matrix)
    num_pairs = counted(20).matrix.nnz
    assert [done[:2] for done in seen[:3]] == [(n * num_pairs, 3 * num_pairs) for n in (1, 2, 3)]
    several = train_glove(counted(20), GloveConfig(dim=4, epochs=3, threads=3))
    assert_allclose(several.meta["loss"], one.meta["loss"], rtol=0.2)


def test_what_cannot_be_learnt_is_said():
    empty = counted(3)
    nothing = Cooccurrence(csr_array((3, 3), dtype=np.float64), empty.vocab, empty.config, {})
    with pytest.raises(DataError, match="no pair of words was counted"):
        train_glove(nothing)
    with pytest.raises(RunError, match=r"the loss became (nan|inf).*Lower --learning-rate \(it is 1e\+30\)"):
        train_glove(counted(), GloveConfig(dim=3, learning_rate=1e30, threads=1))


@pytest.mark.parametrize(
    "wrong", [{"x_max": 0}, {"alpha": 0}, {"alpha": 1.5}, {"learning_rate": 0}, {"epochs": 0}, {"dim": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        GloveConfig(**wrong)
