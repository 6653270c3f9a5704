"""GloVe: gradients, the kernel against the plain step, learning and checkpoints."""

import itertools
import json
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.glove import glove_loss, glove_step
from scipy.sparse import csr_array
from support.results import seal, write_sealed_meta
from support.word2vec_runs import stop_after

from nlpseq.config import CooccurrenceConfig, GloveConfig
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.counts.cooccurrence import Cooccurrence
from nlpseq.counts.glove import (
    GROUPS,
    in_blocks,
    initial_weights,
    loss_of_zeros,
    needed_bytes,
    resume_glove,
    strata,
    train_glove,
)
from nlpseq.counts.glove_numba import train_pairs
from nlpseq.counts.ppmi import ppmi
from nlpseq.counts.svd import train_svd
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.training.checkpoint import CheckpointConfig


def counted(num_words=7, seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    half = rng.integers(1, 40, (num_words, num_words)) * (rng.random((num_words, num_words)) < density)
    matrix = csr_array((half + half.T).astype(np.float64))
    vocab = Vocab([f"w{v}" for v in range(num_words)], np.arange(num_words, 0, -1))
    return Cooccurrence(matrix, vocab, CooccurrenceConfig(weighting="harmonic"), {"num_tokens": 99})


def test_stages_of_counts_take_settings_by_name():
    counts, config = counted(), GloveConfig(dim=4, threads=1)
    explicit = ppmi(counts, shift=1.5)
    assert explicit.meta["ppmi_config"]["shift"] == 1.5
    assert train_svd(explicit, dim=2).matrix.shape == (7, 2)
    assert train_glove(counts, config, dim=3, epochs=1).matrix.shape == (7, 3)
    with pytest.raises(ConfigError, match=r"dmi: unknown setting of SVDConfig\. Did you mean dim\?"):
        train_svd(explicit, dmi=3)


@pytest.mark.parametrize("count", [3.0, 10.0, 500.0])
def test_glove_loss_matches_numeric_gradient(count):
    config, rows_2E = GloveConfig(dim=5), np.random.default_rng(1).normal(0, 0.5, (2, 6))
    _, slopes_2E = glove_loss(*rows_2E, count, config)
    step = 1e-6
    for place in np.ndindex(2, 6):
        above, below = rows_2E.copy(), rows_2E.copy()
        above[place] += step
        below[place] -= step
        slope = (glove_loss(*above, count, config)[0] - glove_loss(*below, count, config)[0]) / (2 * step)
        assert_allclose(slope, slopes_2E[place[0]][place[1]], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 5, 16])
def test_train_pairs_matches_glove_step(dim):
    config = GloveConfig(dim=dim, x_max=20, learning_rate=0.3)
    pairs = in_blocks(counted().matrix, 1)
    fast, plain = (initial_weights(7, config) for _ in range(2))
    settings = (np.float32(20), np.float32(0.75), np.float32(0.3))
    for _ in range(3):
        loss = train_pairs(pairs, fast, *settings, 2, len(pairs.counts_N) - 1)
        wanted = sum(
            glove_step(plain, (row, column, float(count)), config)
            for row, column, count in list(zip(*pairs[:3], strict=True))[2:-1]
        )
        assert_allclose(loss, wanted, rtol=1e-4)  # float32 sums in another order
    for mine, theirs in zip(fast, plain, strict=True):
        assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("num_words, dim", [(7, 5), (1000, 3)])
def test_initial_weights_do_not_depend_on_block_size(num_words, dim):
    config, num = GloveConfig(dim=dim, seed=3), np.arange(2 * (dim + 1))
    drawn_VE = random_bits_array(
        stream_key(3, Stream.INIT, 0), np.arange(num_words)[:, None], num[None, :], np
    ) >> np.uint64(40)
    wanted_VE = ((drawn_VE * 2.0**-24 - 0.5) / dim).astype(np.float32)
    words_V2E, contexts_V2E = initial_weights(num_words, config, drawn_numbers=50)
    assert (np.hstack([words_V2E[:, 0], contexts_V2E[:, 0]]) == wanted_VE).all()
    assert (words_V2E[:, 1] == 1).all() and (contexts_V2E[:, 1] == 1).all()


def test_initial_weights_take_little_extra_memory():
    assert peak_of(lambda: initial_weights(100_000, GloveConfig(dim=100))) < 1.3 * 2 * 100_000 * 2 * 101 * 4


def test_needed_bytes_matches_memory_and_checkpoint(tmp_path):
    counts, config = counted(2000, density=0.01), GloveConfig(dim=50, epochs=1, threads=1)
    train_glove(counts, config)  # load the compiler first
    path = tmp_path / "run.glove"
    stopped = CheckpointConfig(path=path, should_stop=lambda: True)
    took = peak_of(lambda: train_glove(counts, config, checkpoint=stopped))
    assert took == pytest.approx(needed_bytes(2000, config, counts.matrix.nnz), rel=0.2)
    assert sum(file.stat().st_size for file in (path / "checkpoint").iterdir()) == pytest.approx(
        needed_bytes(2000, config), rel=0.05
    )


def peak_of(work):
    """Return the peak of memory in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_in_blocks_shuffles_and_keeps_every_pair_once():
    matrix = counted(300, density=0.4).matrix
    pairs = in_blocks(matrix, 1)
    found = csr_array((pairs.counts_N, (pairs.rows_N, pairs.columns_N)), shape=matrix.shape)
    assert len(pairs.counts_N) == matrix.nnz and (found.toarray() == matrix.toarray()).all()
    largest = np.argmax(np.diff(pairs.bounds_B))
    assert (np.diff(pairs.rows_N[slice(*pairs.bounds_B[largest : largest + 2])]) < 0).any()
    assert not np.array_equal(in_blocks(matrix, 2).rows_N, pairs.rows_N)


def test_glove_strata_share_no_row_and_cover_all_blocks():
    pairs = in_blocks(counted(300, density=0.4).matrix, 1)
    spans = [slice(*span) for span in itertools.pairwise(pairs.bounds_B)]
    for blocks in strata(1, 0):
        for of_N in (pairs.rows_N, pairs.columns_N):
            groups = [set(of_N[spans[block]].tolist()) for block in blocks]
            assert sum(map(len, groups)) == len(set().union(*groups))
    assert sorted(itertools.chain(*strata(1, 0))) == list(range(GROUPS**2))
    assert strata(1, 0) != strata(1, 1) != strata(2, 1)


def test_groups_have_equal_pairs():
    rng = np.random.default_rng(0)
    pairs_V = np.sort(rng.integers(1, 100, 5000))[::-1]
    columns_N = np.minimum(rng.geometric(0.001, pairs_V.sum()) - 1, 4999)
    indptr = np.append(0, np.cumsum(pairs_V))
    matrix = csr_array((np.ones(len(columns_N)), columns_N, indptr), shape=(5000, 5000))
    pairs_of_blocks = np.diff(in_blocks(matrix, 1).bounds_B).reshape(GROUPS, GROUPS)
    for of_group in (pairs_of_blocks.sum(axis=0), pairs_of_blocks.sum(axis=1)):
        assert abs(of_group / of_group.mean() - 1).max() < 0.05


@pytest.mark.slow
def test_train_glove_refuses_diverged_loss():
    counts = counted(12, density=0.9)
    config = GloveConfig(dim=12, epochs=50, threads=1)
    pairs, zeros_E = in_blocks(counts.matrix, 1), np.zeros(13, np.float32)
    of_zeros = [glove_loss(zeros_E, zeros_E, count, config)[0] for count in pairs.counts_N]
    assert_allclose(loss_of_zeros(pairs, config), np.mean(of_zeros), rtol=1e-5)  # float32 sums
    assert train_glove(counts, config).meta["loss"][-1] < np.mean(of_zeros)
    with pytest.raises(RunError, match=r"diverged: .* by step 32, in epoch 1\. Lower --learning-rate \(it"):
        train_glove(counts, replace(config, learning_rate=100.0))


def test_train_glove_learns_log_counts():
    counts = counted(12, density=0.9)
    vectors = train_glove(counts, GloveConfig(dim=12, epochs=60, x_max=1, learning_rate=0.2, threads=1))
    losses = vectors.meta["loss"]
    assert losses[-1] < 0.01 < losses[0] / 100 and len(losses) == 60
    assert vectors.contexts is not None and vectors.meta["model"] == "glove"


def test_train_glove_ignores_thread_count():
    seen = []

    def trained(**settings):
        config = GloveConfig(dim=4, epochs=3, **settings)
        return train_glove(counted(200), config, progress=seen.append)

    one, three, other = trained(threads=1), trained(threads=3), trained(threads=1, seed=2)
    assert np.array_equal(one.matrix, three.matrix) and np.array_equal(one.contexts, three.contexts)
    assert one.meta["loss"] == three.meta["loss"] and not np.array_equal(one.matrix, other.matrix)
    num_pairs = counted(200).matrix.nnz
    assert [report[:2] for report in seen[:3]] == [(n * num_pairs, 3 * num_pairs) for n in (1, 2, 3)]


def test_train_glove_refuses_empty_counts_and_nan_loss():
    empty = counted(3)
    nothing = Cooccurrence(csr_array((3, 3), dtype=np.float64), empty.vocab, empty.config, {})
    with pytest.raises(DataError, match="there is not one pair of words"):
        train_glove(nothing)
    with pytest.raises(RunError, match=r"the loss became (nan|inf) .*Lower --learning-rate \(it is 1e\+30\)"):
        train_glove(counted(), GloveConfig(dim=3, learning_rate=1e30, threads=1))


@pytest.mark.parametrize(
    "wrong", [{"x_max": 0}, {"alpha": 0}, {"alpha": 1.5}, {"learning_rate": 0}, {"epochs": 0}, {"dim": 0}]
)
def test_glove_config_refuses_invalid_settings(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        GloveConfig(**wrong)


@pytest.fixture
def stopped(tmp_path):
    """Train 2 of 4 epochs, and stop within the second."""
    path = tmp_path / "run.glove"
    stop = CheckpointConfig(path=path, should_stop=stop_after(GROUPS + 2))
    train_glove(counted(), GloveConfig(dim=3, epochs=4, threads=1), checkpoint=stop)
    return path


@pytest.mark.parametrize(
    "forged",
    [
        {"epoch": 0.5},
        {"epoch": math.inf},
        {"epoch": 4, "losses": [1.0] * 4},
        {"epoch": 10**6, "losses": [1.0] * 10**6},
        {"step": 1.5},
        {"step": True},
        {"step": GROUPS + 1},
        {"step": 10**9},
        {"losses": []},
        {"losses": [math.nan]},
        {"losses": ["a"]},
        {"total": math.inf},
        {"total": "x"},
        {"seconds": math.nan},
        None,
    ],
    ids=lambda forged: str(forged)[:40],
)
def test_resume_glove_refuses_forged_position(stopped, forged):
    checkpoint = stopped / "checkpoint"
    meta = json.loads((checkpoint / "meta.json").read_text())
    assert (meta["position"]["epoch"], meta["position"]["step"]) == (1, 3)
    write_sealed_meta(checkpoint, meta | {"position": forged and meta["position"] | forged})
    with pytest.raises(
        ArtifactError, match=rf"meta\.json: is not valid \(.*{next(iter(forged or ['']))}.*Train again"
    ):
        resume_glove(CheckpointConfig(path=stopped), counted())


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("name", ["training_words.npy", "training_contexts.npy"])
def test_resume_glove_refuses_forged_weights(stopped, name, wrong):
    checkpoint = stopped / "checkpoint"
    weight_V2E = np.load(checkpoint / name)
    weight_V2E[2, 1, 1] = wrong
    np.save(checkpoint / name, weight_V2E)
    seal(checkpoint, name)
    with pytest.raises(ArtifactError, match=rf"{name}: holds numbers that no training leaves\. Copy"):
        resume_glove(CheckpointConfig(path=stopped), counted())
