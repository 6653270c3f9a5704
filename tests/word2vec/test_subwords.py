"""Subwords: numeric gradients, the fused kernel against the layers, and vectors of unseen words."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from reference import subwords as plain
from support.kernel_cases import BUCKETS, VARIANTS, make_tables, make_weights
from support.numeric import numeric_gradient
from support.proxy import xp as proxy
from support.word2vec_runs import GROUPS, SMALL, encode, sentences, stop_after

from nlpseq.config import Ngrams, Word2VecConfig
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.vectors.subwords import Bags, word_bags
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec import parallel
from nlpseq.word2vec.kernels.layered import make_layered
from nlpseq.word2vec.kernels.select import Span, padded, select
from nlpseq.word2vec.memory import count_rows, needed_bytes
from nlpseq.word2vec.objectives import Weights, cbow_step
from nlpseq.word2vec.sampling import Windows, epoch_keys
from nlpseq.word2vec.subwords import cbow_rows, flatten, skipgram_rows
from nlpseq.word2vec.train import choose_buckets, resolve, resume_word2vec, train_word2vec

V, R, D = 7, 12, 5
RATE = 1e-2
# Rows repeat within a bag; word 5 has its own row alone.
BAGS = Bags(
    np.array([0, 3, 5, 9, 11, 13, 14, 16]),
    np.array([0, 7, 7, 1, 8, 2, 9, 8, 9, 3, 10, 4, 11, 5, 6, 7], np.uint32),
)
WINDOWS = Windows(
    centres_B=np.array([2, 5]),
    pos_B=np.array([10, 11]),
    contexts_P=np.array([1, 3, 1, 4, 0]),
    window_P=np.array([0, 0, 0, 1, 1]),
    slot_P=np.array([0, 1, 2, 1, 2]),
)
NEGATIVES_BK = np.array([[5, 5, 3], [0, 6, 4]])
ROWS: dict[str, Callable[..., Windows]] = {"cbow": cbow_rows, "skipgram": skipgram_rows}
SUBWORDS = replace(SMALL, subwords="3:5")


def random_weights() -> Weights:
    rng = np.random.default_rng(0)
    return Weights(rng.normal(size=(R, D)), rng.normal(size=(V, D)))


def step(weights: Weights, objective: str, rate: float, *, sampled: bool = True) -> Any:
    negatives = NEGATIVES_BK[WINDOWS.window_P] if objective == "skipgram" else NEGATIVES_BK
    rows = ROWS[objective](WINDOWS, BAGS, np)
    return cbow_step(weights, rows, negatives if sampled else None, rate, np, corrected=True)


@pytest.mark.parametrize("objective", ROWS)
@pytest.mark.parametrize("sampled", [True, False])
def test_subword_step_matches_numeric_gradient(objective: str, sampled: bool) -> None:
    weights = random_weights()

    def loss() -> float:
        return float(step(Weights(*(w.copy() for w in weights)), objective, 0.0, sampled=sampled).sum())

    numeric = [numeric_gradient(loss, weight) for weight in weights]
    stepped = Weights(*(w.copy() for w in weights))
    step(stepped, objective, RATE, sampled=sampled)
    for before, after, gradient in zip(weights, stepped, numeric, strict=True):
        np.testing.assert_allclose((before - after) / RATE, gradient, atol=2e-8)
        assert gradient.any()


def test_skipgram_rows_get_whole_gradient_as_in_fasttext() -> None:
    corrected, whole = random_weights(), random_weights()
    only = WINDOWS._replace(contexts_P=WINDOWS.contexts_P[:3], window_P=WINDOWS.window_P[:3])
    only = only._replace(slot_P=WINDOWS.slot_P[:3])  # the pairs of word 2, which has 4 rows
    for weights, divided in ((corrected, True), (whole, False)):
        rows = skipgram_rows(only, BAGS, np)
        cbow_step(weights, rows, NEGATIVES_BK[only.window_P], RATE, np, corrected=divided)
    before = random_weights()
    np.testing.assert_allclose(whole.in_VD - before.in_VD, 4 * (corrected.in_VD - before.in_VD), atol=1e-12)
    np.testing.assert_allclose(whole.out_VD, corrected.out_VD)


def test_flatten_lists_rows_word_by_word() -> None:
    words = np.array([5, 0, 0, 6])
    rows_N, pair_N = flatten(BAGS, words, np)
    assert rows_N.tolist() == [5, 0, 7, 7, 0, 7, 7, 6, 7]
    assert pair_N.tolist() == [0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert [len(each) for each in flatten(BAGS, words[:0], np)] == [0, 0]
    there = Bags(*(proxy.asarray(each) for each in BAGS))
    for ours, theirs in zip(flatten(there, proxy.asarray(words), proxy), (rows_N, pair_N), strict=True):
        np.testing.assert_array_equal(ours.host, theirs)


FUSED_CASES = [
    *((variant, (7, 5, 3, 2)) for variant in ("skipgram-window", "cbow-corrected", "cbow-legacy")),
    pytest.param("skipgram-window", (60, 33, 13, 9), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("variant", "size"), FUSED_CASES, ids=str)
def test_fused_kernel_equals_layers(variant: str, size: tuple[int, int, int, int]) -> None:
    num_words, dim, negatives, window = size
    config = replace(VARIANTS[variant], dim=dim, negatives=negatives, window=window)
    config = replace(config, subwords="3:4", buckets=BUCKETS)
    fused, layered = select(config), make_layered(config, np, batch=1)
    assert fused.kernel == "fused"
    tables, ours = make_tables(num_words, subwords=True), make_weights(num_words, dim, buckets=BUCKETS)
    reference = Weights(*(weight.astype(np.float64) for weight in ours))
    total = 0
    for start in range(0, len(tables.tokens), 20):
        span = start, min(start + 20, len(tables.tokens))
        loss, predictions = fused.train_spans(tables, epoch_keys(3, 0), ours, [Span(*span, np.float32(0.01))])
        wanted_loss, wanted = layered(tables, epoch_keys(3, 0), reference, *span, 0.01)
        assert predictions == wanted
        assert loss == pytest.approx(wanted_loss, rel=1e-5, abs=1e-5)
        total += predictions
    assert total > 20
    for mine, theirs in zip(ours, reference, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
        assert (mine[:, dim:] == 0).all()  # the padding is never written


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    return encode(tmp_path_factory.mktemp("train"), sentences(1000), valid_share=0.1)


@pytest.fixture(scope="module")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    """Encode a text for array code, which is slow."""
    return encode(tmp_path_factory.mktemp("little"), sentences(150), valid_share=0.1)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "skipgram"},
        {"objective": "cbow"},
        {"threads": 2},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_subwords_learn_groups_and_unseen_words(data: TokenDataset, settings: dict[str, Any]) -> None:
    vectors = train_word2vec(data, replace(SUBWORDS, **{"epochs": 10} | settings))
    for name, group in GROUPS.items():
        for word in group:
            near = [neighbor for neighbor, _ in vectors.neighbors(word, top=len(group) - 1)]
            assert not set(near) & {w for other in GROUPS.values() if other is not group for w in other}, word
        assert f"{name}9" not in vectors.vocab
        unseen = vectors[f"{name}9"]
        alike = {known: cosine(unseen, vectors[f"{known}1"]) for known in GROUPS}
        assert max(alike, key=alike.__getitem__) == name
    held_out = vectors.meta["valid_loss"]
    assert held_out[-1] == min(held_out)


def cosine(a_D: np.ndarray, b_D: np.ndarray) -> float:
    return float(a_D @ b_D / np.linalg.norm(a_D) / np.linalg.norm(b_D))


def test_saved_subwords_load_again(data: TokenDataset, tmp_path: Path) -> None:
    vectors = train_word2vec(data, replace(SUBWORDS, buckets=30))
    vectors.save(tmp_path / "corpus.w2v")
    loaded = Vectors.load(tmp_path / "corpus.w2v")
    assert loaded.meta["subwords"] == {"shortest": 3, "longest": 5, "units": "characters", "buckets": 30}
    np.testing.assert_array_equal(loaded.matrix, vectors.matrix)
    assert loaded.subwords and vectors.subwords
    np.testing.assert_array_equal(loaded.subwords.vectors(["catty"]), vectors.subwords.vectors(["catty"]))
    words_only = Vectors(loaded.vocab, loaded.matrix, meta=loaded.meta)
    words_only.save(tmp_path / "plain.w2v")  # without the rows of n-grams
    assert Vectors.load(tmp_path / "plain.w2v").subwords is None


def test_jamo_ngrams_are_trained_saved_and_refused_by_fasttext(tmp_path: Path) -> None:
    text = sentences(200).replace("cat", "고양이").replace("dog", "강아지")
    korean = encode(tmp_path, text)
    vectors = train_word2vec(korean, replace(SUBWORDS, subword_units="jamo", epochs=1))
    vectors.save(tmp_path / "korean.w2v")
    loaded = Vectors.load(tmp_path / "korean.w2v")
    assert loaded.subwords and loaded.subwords.ngrams == (3, 5, "jamo")
    characters = loaded.subwords._replace(ngrams=Ngrams(3, 5))
    assert not np.array_equal(*(each.vectors(["고양이는"]) for each in (loaded.subwords, characters)))
    with pytest.raises(DataError, match=r"no place for n-grams of jamo.*Write a \.w2v folder"):
        loaded.write(tmp_path / "korean.bin", "fasttext")
    assert not (tmp_path / "korean.bin").exists()


def test_vector_of_known_word_is_mean_of_rows(data: TokenDataset, tmp_path: Path) -> None:
    stop = CheckpointConfig(path=tmp_path / "run.w2v", should_stop=stop_after(1))
    train_word2vec(data, replace(SUBWORDS, buckets=30), checkpoint=stop)
    vectors = Vectors.load(stop.path / "checkpoint")
    parts = [np.load(stop.path / "checkpoint" / name) for name in ("inputs.npy", "ngrams.npy")]
    inputs_RD = np.concatenate(parts)
    for vector_D, rows in zip(vectors.matrix, plain.rows(vectors.vocab.words, 3, 5, 30), strict=True):
        np.testing.assert_allclose(vector_D, inputs_RD[rows].mean(axis=0), atol=1e-5)
        assert not np.allclose(vector_D, inputs_RD[rows[0]], atol=1e-3)


def test_buckets_without_ngrams_are_zero(data: TokenDataset) -> None:
    vectors = train_word2vec(data, replace(SUBWORDS, buckets=1000, epochs=1))
    bags = word_bags(vectors.vocab.words, Ngrams(3, 5), 1000)
    used = np.unique(bags.rows_N[bags.rows_N >= len(vectors)]) - len(vectors)
    assert vectors.subwords is not None
    np.testing.assert_array_equal(np.flatnonzero(vectors.subwords.rows_BD.any(axis=1)), used)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 6},
        {"epochs": 30, "early_stop": True, "learning_rate": 0.05},
        {"epochs": 8, "threads": 3, "deterministic": True},
        pytest.param({"epochs": 2, "kernel": "layers"}, marks=pytest.mark.slow),
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_resumed_subwords_give_same_bytes(
    data: TokenDataset,
    little_data: TokenDataset,
    tmp_path: Path,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = little_data if "kernel" in settings else data
    monkeypatch.setattr(parallel, "DEFAULT_SIZES", parallel.ParallelSizes(20, 600, 2, 4, poll_seconds=0.001))
    config, path = replace(SUBWORDS, **settings), tmp_path / "parts.w2v"
    whole = train_word2vec(data, config)
    parts = train_word2vec(data, config, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    stops = 0
    while not parts.meta["complete"]:
        stops += 1
        assert Vectors.load(path / "checkpoint").matrix.shape == whole.matrix.shape
        parts = resume_word2vec(CheckpointConfig(path=path, should_stop=stop_after(2)), data)
    assert stops > 0
    loaded = Vectors.load(path)
    assert whole.subwords and loaded.subwords
    np.testing.assert_array_equal(loaded.matrix, whole.matrix)
    np.testing.assert_array_equal(loaded.subwords.rows_BD, whole.subwords.rows_BD)
    np.testing.assert_array_equal(loaded.contexts, whole.contexts)
    assert parts.meta["loss"] == whole.meta["loss"]


def test_rows_are_averaged_by_use() -> None:
    pairs_V = np.array([5.0, 3.0, 2.0, 1.0, 1.0, 1.0, 0.5])
    pairs_R = parallel.pairs_of_rows(pairs_V, BAGS, R)
    assert pairs_R[:V].tolist() == pairs_V.tolist()
    assert pairs_R[V:].tolist() == [5 + 5 + 0.5, 3 + 2, 2 + 2, 1, 1]


@pytest.mark.parametrize("units", ["characters", "jamo"])
def test_needed_memory_has_room_for_ngrams(units: Any) -> None:
    words, ngrams = ["a", "", "hahaha", "강아지", "the", "고양이는", "dog강"], Ngrams(2, 5, units)
    found = len(word_bags(words, ngrams, 9).rows_N) - len(words)
    assert found <= count_rows(words, ngrams) <= 2 * found
    config = Word2VecConfig(subwords="2:5", subword_units=units, buckets=9, threads=1)
    without = replace(config, subwords=None, subword_units="characters", buckets=None)
    more = needed_bytes(config, words).memory - needed_bytes(without, words).memory
    rows = 9 * (100 + padded(100)) + len(words) * 100  # of n-grams, stored and trained, and means
    assert more == 4 * rows + 18 * (len(words) + count_rows(words, ngrams))


@pytest.mark.parametrize("has_start", [False, True])
def test_needed_memory_holds_the_peak(tmp_path: Path, has_start: bool) -> None:
    data, small = encode(tmp_path, sentences(200)), replace(SUBWORDS, dim=60, epochs=1)
    train_word2vec(data, small, buckets=9)  # compiles
    config = resolve(replace(small, buckets=100_000), len(data.vocab), data.num_tokens)
    start = train_word2vec(data, config) if has_start else None
    text = data if start is None else [sentences(200)]
    tracemalloc.start()
    try:
        train_word2vec(text, config, start=start, checkpoint=CheckpointConfig(path=tmp_path / "run.w2v"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    needed = needed_bytes(config, data.vocab.words, has_start=has_start).memory
    assert needed / 2 < peak < needed


def test_default_buckets_are_distinct_ngrams(data: TokenDataset) -> None:
    vocab = data.vocab.without_specials()
    config = choose_buckets(Word2VecConfig(subwords="3:3"), vocab)
    marked = [f"<{word}>" for word in vocab.words]
    assert config.buckets == len({each[i : i + 3] for each in marked for i in range(len(each) - 2)})
    assert choose_buckets(Word2VecConfig(subwords="9:9", buckets=4), vocab).buckets == 4
    assert choose_buckets(Word2VecConfig(subwords="20:20"), vocab).buckets == 1
    assert choose_buckets(Word2VecConfig(), vocab).buckets is None


def test_subwords_refuse_bpe() -> None:
    vocab = Vocab(["a"], np.array([1]), bpe=SimpleNamespace())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"--subwords: the tokens of byte-level BPE are parts of words"):
        choose_buckets(SUBWORDS, vocab)


@pytest.mark.parametrize("value", ["", "3", "3:", "6:3", "0:3", "3:21", "3:6:9", "-1:3", " 3:6", "３:6", 36])
def test_config_refuses_lengths(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"subwords: .* is not valid\. The value must be (two|of type)"):
        Word2VecConfig(subwords=value)


def test_config_refuses_buckets_without_subwords() -> None:
    with pytest.raises(ConfigError, match=r"buckets: has no effect without subwords\. Add --subwords"):
        Word2VecConfig(buckets=9)
    with pytest.raises(ConfigError, match=r"subword_units: has no effect without subwords"):
        Word2VecConfig(subword_units="jamo")


SIZES = {"shortest": 3, "longest": 5, "buckets": 30}


@pytest.mark.parametrize(
    "sizes", [None, {}, SIZES | {"buckets": 31}, {"buckets": 30}, SIZES | {"units": "x"}, SIZES | {"kept": 9}]
)
def test_load_refuses_forged_sizes(data: TokenDataset, tmp_path: Path, sizes: Any) -> None:
    from support.results import write_sealed_meta

    path = tmp_path / "corpus.w2v"
    train_word2vec(data, replace(SUBWORDS, buckets=30, epochs=1)).save(path)
    write_sealed_meta(path, Vectors.load(path).meta | {"subwords": sizes})
    with pytest.raises(
        ArtifactError, match=r"(sizes of n-grams|ngrams\.npy: has shape|ngram_buckets\.npy: is not)"
    ):
        Vectors.load(path)
