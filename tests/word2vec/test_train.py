"""train_word2vec: learning, determinism, early stopping and errors."""

import time
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.word2vec_runs import GROUPS, SMALL, encode, sentences

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import DataError, RunError
from nlpseq.training import runner
from nlpseq.training.progress import TrainProgress
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec import trainer, weights
from nlpseq.word2vec.kernels.select import KernelSelection
from nlpseq.word2vec.parallel import ParallelSizes
from nlpseq.word2vec.sampling import resident
from nlpseq.word2vec.train import resolve, train_word2vec
from nlpseq.word2vec.trainer import Trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    return encode(tmp_path_factory.mktemp("train"), sentences(1000))


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "skipgram"},
        {"objective": "skipgram", "share_negatives": "pair"},
        {"objective": "cbow", "cbow_update": "corrected"},
        {"objective": "cbow", "cbow_update": "legacy"},
        {"objective": "skipgram", "loss": "softmax", "epochs": 3},
        {"objective": "cbow", "loss": "softmax", "epochs": 3},
        {"objective": "skipgram", "threads": 2},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_train_word2vec_learns_word_groups(data: TokenDataset, settings: dict[str, object]) -> None:
    vectors = train_word2vec(data, replace(SMALL, **{"epochs": 10} | settings))  # type: ignore[arg-type]
    for group in GROUPS.values():
        for word in group:
            near = [neighbor for neighbor, _ in vectors.neighbors(word, top=len(group) - 1)]
            assert not set(near) & {w for other in GROUPS.values() if other is not group for w in other}, word
    assert vectors.meta["loss"][-1] < vectors.meta["loss"][0]


@pytest.mark.parametrize(
    "settings", [{}, {"threads": 2, "deterministic": True}, {"kernel": "layers"}], ids=str
)
@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_words_without_pairs_get_a_zero_vector(tmp_path: Path, objective: Any, settings: Any) -> None:
    lines = "a b c\nlone\nc a b\nsingle\n" * 30
    data, config = encode(tmp_path, lines), replace(SMALL, objective=objective, **settings)
    vectors = train_word2vec(data, config)
    assert [vectors.vocab.words[word_id] for word_id in vectors.zero_ids] == ["lone", "single"]
    start = weights.initial_weights(len(vectors), config).in_VD[:, : config.dim]
    assert weights.initial_ids(start, config) == list(range(5))
    assert weights.initial_ids(start, replace(config, seed=9)) == []
    assert weights.initial_ids(vectors.matrix, config) == []


def test_subsampled_words_get_a_zero_vector(tmp_path: Path) -> None:
    """Leave words without pairs by a subsample that keeps few tokens; the mark survives every format."""
    data = encode(tmp_path, sentences(400))
    vectors = train_word2vec(data, replace(SMALL, subsample=1e-4, epochs=1))
    without = vectors.zero_ids.tolist()
    assert 0 < len(without) < len(vectors)
    vectors.save(tmp_path / "a.w2v")
    for name in ("b.w2v", "b.vec", "b.bin", "b.npy"):
        Vectors.load(tmp_path / "a.w2v").write(tmp_path / name)
        assert Vectors.load(tmp_path / name).zero_ids.tolist() == without


def test_one_thread_gives_same_bits_again(data: TokenDataset) -> None:
    first, second = (train_word2vec(data, SMALL) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    assert first.meta["loss"] == second.meta["loss"]


def test_seed_changes_vectors(data: TokenDataset) -> None:
    assert (train_word2vec(data, SMALL).matrix != train_word2vec(data, replace(SMALL, seed=2)).matrix).any()


def test_progress_reports_mean_loss_and_words(data: TokenDataset) -> None:
    reports: list[TrainProgress] = []
    vectors = train_word2vec(data, SMALL, progress=reports.append)
    assert reports[-1].done == reports[-1].total == 3 * data.num_tokens
    assert all(a.done <= b.done for a, b in pairwise(reports))
    assert all(a.learning_rate >= b.learning_rate for a, b in pairwise(reports))
    assert min(vectors.meta["loss"]) <= reports[-1].loss <= max(vectors.meta["loss"]) * 1.05


def test_train_word2vec_uses_train_split_only(tmp_path: Path) -> None:
    text = sentences(300) + "\n".join(["zebra yak"] * 100) + "\n"
    split = encode(tmp_path, text, test_share=0.077)
    assert "zebra" not in split.vocab
    whole = train_word2vec(split, SMALL)
    assert whole.meta["tokens"] == split.split("train").num_tokens < split.num_tokens
    alone = train_word2vec(split.split("train"), SMALL)
    np.testing.assert_array_equal(whole.matrix, alone.matrix)


@pytest.mark.slow
def test_valid_loss_matches_layers_and_changes_nothing(tmp_path: Path) -> None:
    split = encode(tmp_path, sentences(500), valid_share=0.2)
    vectors = train_word2vec(split, replace(SMALL, epochs=3))
    alone = train_word2vec(split.split("train"), replace(SMALL, epochs=3))
    np.testing.assert_array_equal(vectors.matrix, alone.matrix)
    assert vectors.meta["loss"] == alone.meta["loss"] and alone.meta["valid_loss"] == []
    held_out = vectors.meta["valid_loss"]
    assert len(held_out) == 3 and held_out[-1] == min(held_out)
    assert held_out[-1] == pytest.approx(vectors.meta["loss"][-1], rel=0.05)  # as the text is all alike
    by_layers = train_word2vec(split, replace(SMALL, epochs=3, kernel="layers")).meta["valid_loss"]
    assert held_out == pytest.approx(by_layers, rel=1e-3)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    """Encode few random words, so that overfitting makes the validation loss rise."""
    rng = np.random.default_rng(3)
    text = "\n".join(" ".join(f"w{rng.integers(40)}" for _ in range(8)) for _ in range(60))
    return encode(tmp_path_factory.mktemp("noise"), text, valid_share=0.3)


@pytest.mark.parametrize("kernel", ["fused", pytest.param("layers", marks=pytest.mark.slow)])
def test_early_stop_ends_after_best_epoch(noise: TokenDataset, kernel: Any) -> None:
    config = replace(SMALL, epochs=30, learning_rate=0.2, dim=64, kernel=kernel)
    stopped = train_word2vec(noise, replace(config, early_stop=True)).meta
    held_out, best = stopped["valid_loss"], stopped["best_epoch"]
    assert held_out[best] == min(held_out) and stopped["epochs"] == len(held_out) == best + 3 < 30
    whole = train_word2vec(noise, config).meta
    assert whole["valid_loss"][: len(held_out)] == held_out and len(whole["valid_loss"]) == 30


def test_early_stop_returns_vectors_of_best_epoch(noise: TokenDataset) -> None:
    config = replace(SMALL, epochs=30, learning_rate=0.2, dim=64, early_stop=True)
    vectors = train_word2vec(noise, config)
    best = vectors.meta["best_epoch"]
    course = Trainer(noise, resolve(config, 100, 1))
    after_epoch = []
    with course.running():
        while course.state.epoch <= best + 1:
            before = course.state.epoch
            course.step()
            if course.state.epoch > before:
                after_epoch.append(course.weights.in_VD[:, :64].copy())
    np.testing.assert_array_equal(vectors.matrix, after_epoch[best])
    assert not np.array_equal(vectors.matrix, after_epoch[-1])


def test_early_stop_needs_valid_split(data: TokenDataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no valid split.*--valid-share"):
        train_word2vec(data, replace(SMALL, early_stop=True))
    lonely = encode(tmp_path, sentences(100) + "dog\ncat\n" * 30, valid_share=0.05)
    with pytest.raises(DataError, match="valid split: no word in it has a neighbor"):
        train_word2vec(lonely, replace(SMALL, early_stop=True))
    assert train_word2vec(lonely, SMALL).meta["valid_loss"] == []


def test_resolve_picks_learning_rate_and_epochs() -> None:
    assert resolve(Word2VecConfig(), 10, 17_000_000).learning_rate == 0.025
    assert resolve(Word2VecConfig(objective="cbow"), 10, 17_000_000).learning_rate == 0.075
    assert resolve(Word2VecConfig(objective="cbow", cbow_update="corrected"), 10, 10).learning_rate == 0.15
    assert resolve(Word2VecConfig(subwords="3:6"), 10, 17_000_000).learning_rate == 0.04
    assert resolve(Word2VecConfig(subwords="3:6", epochs=1), 10, 17_000_000).learning_rate == 0.06
    assert resolve(Word2VecConfig(subwords="3:6", objective="cbow"), 10, 10).learning_rate == 0.05
    assert resolve(Word2VecConfig(), 10, 17_000_000).epochs == 5
    assert resolve(Word2VecConfig(), 10, 10_000).epochs == 20
    assert resolve(Word2VecConfig(epochs=1), 10, 10_000).epochs == 1


def test_initial_weights_are_small_padded_and_aligned() -> None:
    in_VD, out_VD = weights.initial_weights(1000, Word2VecConfig(dim=20))
    assert in_VD.shape == (1000, 32)
    assert in_VD.ctypes.data % 64 == 0
    assert np.abs(in_VD[:, :20]).max() <= 0.5 / 20
    assert in_VD[:, :20].std() == pytest.approx(1 / 20 / np.sqrt(12), rel=0.02)
    assert not in_VD[:, 20:].any() and not out_VD.any()


@pytest.mark.parametrize("dim", [1, 30, 32])
def test_without_padding_works_block_by_block(dim: int) -> None:
    padded_VP = np.random.default_rng(dim).normal(size=(10, 32)).astype(np.float32)
    expected = padded_VP[:, :dim].copy()
    found = weights.without_padding(padded_VP, dim, block_rows=3)
    assert found.flags.c_contiguous and np.shares_memory(found, padded_VP)
    np.testing.assert_array_equal(found, expected)


def test_meta_counts_predictions_of_all_epochs(data: TokenDataset) -> None:
    one, three = (
        train_word2vec(data, replace(SMALL, epochs=epochs, window=1, negatives=1)) for epochs in (1, 3)
    )
    pairs = 2 * (data.num_tokens - data.num_sentences)  # each word with both neighbors
    assert [one.meta["predictions"], three.meta["predictions"]] == [pairs, 3 * pairs]


def test_train_word2vec_refuses_one_word(tmp_path: Path) -> None:
    data = encode(tmp_path, "word word word\n")
    with pytest.raises(DataError, match=r"vocabulary has 1 word and .* at least 2"):
        train_word2vec(data, SMALL)


def test_train_word2vec_refuses_one_word_sentences(tmp_path: Path) -> None:
    data = encode(tmp_path, "one\ntwo\none\ntwo\n")
    with pytest.raises(DataError, match=r"no word has a neighbor, .* vocabulary\. Use longer sentences\."):
        train_word2vec(data, SMALL)
    with pytest.raises(DataError, match=r"Use --subsample 0 \(it is 0\.1\), or longer sentences\."):
        train_word2vec(data, replace(SMALL, subsample=0.1))


def test_corpus_without_pairs_blames_min_count_that_cut(tmp_path: Path) -> None:
    data = encode(tmp_path, "one rare\ntwo odd\none few\ntwo more\n", min_count=2)
    with pytest.raises(DataError, match=r"Use a lower --min-count \(it is 2\), or longer sentences\."):
        train_word2vec(data, SMALL)


def test_epoch_without_pairs_is_skipped_in_loss(tmp_path: Path) -> None:
    """Subsample two words so much that most epochs have no pair."""
    data = encode(tmp_path, "one two\n" * 5)
    seldom = replace(SMALL, subsample=0.02, epochs=40)
    vectors = train_word2vec(data, seldom)
    assert 0 < len(vectors.meta["loss"]) < 40 and vectors.matrix.any()


def test_window_may_exceed_sentence(tmp_path: Path) -> None:
    data = encode(tmp_path, "one two\nthree one two\n" * 50)
    vectors = train_word2vec(data, replace(SMALL, window=5, negatives=5))
    assert np.isfinite(vectors.matrix).all()


def test_train_word2vec_refuses_infinite_loss(data: TokenDataset) -> None:
    with pytest.raises(RunError, match=r"loss became .* Lower --learning-rate"):
        train_word2vec(data, replace(SMALL, learning_rate=1e30))


def test_divergence_test_takes_ten_times_uniform_loss(data: TokenDataset) -> None:
    course = new_trainer(data)
    assert course.uniform_loss == pytest.approx((1 + SMALL.negatives) * np.log(2))
    runner.check_not_diverged(course, 9.9 * course.uniform_loss, 1)
    for loss in (11 * course.uniform_loss, np.nan):
        with pytest.raises(RunError, match=r"the loss became (30\.5|nan) by step 1, in epoch 1\. Lower"):
            runner.check_not_diverged(course, loss, 1)


def new_trainer(data: TokenDataset, **sizes: Any) -> Trainer:
    return Trainer(data, replace(SMALL, learning_rate=0.1), **sizes)


def test_failing_progress_callback_stops_threads(data: TokenDataset) -> None:
    def interrupt(_: TrainProgress) -> None:
        raise KeyboardInterrupt

    started = time.process_time()
    with pytest.raises(KeyboardInterrupt):  # because threads would be busy for minutes
        train_word2vec(data, replace(SMALL, epochs=1_000_000), progress=interrupt)
    assert time.process_time() - started < 30


def test_chunks_are_shuffled_and_rate_falls(data: TokenDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, float]] = []
    real = trainer.select

    def selected(config: Word2VecConfig) -> KernelSelection:
        choice = real(config)

        def noting(*args: Any) -> Any:
            seen.extend((span.start, float(span.learning_rate)) for span in args[3])
            return choice.train_spans(*args)

        return choice._replace(train_spans=noting)

    monkeypatch.setattr(trainer, "select", selected)
    train_word2vec(data, replace(SMALL, epochs=2), sizes=ParallelSizes(500))
    starts, rates = zip(*seen[1:], strict=True)  # without the span that compiles
    chunks = len(range(0, data.num_tokens, 500))
    first, second = list(starts[:chunks]), list(starts[chunks:])
    assert sorted(first) == sorted(second) == list(range(0, data.num_tokens, 500))
    assert first != sorted(first) and first != second
    assert list(rates) == sorted(rates, reverse=True) and len(set(rates)) == 2 * chunks
    assert rates[0] == pytest.approx(0.025) and rates[-1] < 0.05 * rates[0]


def test_order_shuffles_long_text_part_by_part(data: TokenDataset) -> None:
    course = new_trainer(data, sizes=ParallelSizes(200), part_tokens=1000)
    orders = []
    for course.state.epoch in range(2):
        starts = course.order()
        parts = [(start - course.start) // 1000 for start in starts]
        assert sorted(starts) == list(range(course.start, course.stop, 200))
        in_turn = [number for number, _ in groupby(parts)]
        assert sorted(in_turn) == list(range(max(parts) + 1)) != in_turn, "one after another, and shuffled"
        assert starts[:5] != sorted(starts[:5]), "and so is each"
        orders.append(starts)
    assert orders[0] != orders[1]


def test_resident_keeps_tokens_too_large_for_gpu() -> None:
    tokens = np.zeros(100, np.uint16)
    gpu = SimpleNamespace(asarray=lambda array: "on the device")
    for free, wanted in ((400, "on the device"), (399, tokens)):
        gpu.cuda = SimpleNamespace(runtime=SimpleNamespace(memGetInfo=lambda free=free: (free, 1000)))
        assert resident(tokens, gpu) is wanted
