"""Word2vec with initial vectors: first rows, frozen words, settings, rates, and stops."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.fasttext import content, random_model
from reference.joint_vocab import start_rows
from support.kernel_cases import BUCKETS, VARIANTS, make_tables, make_weights
from support.proxy import proxied, xp as proxy
from support.results import seal_tree
from support.word2vec_runs import SMALL, encode, sentences, stop_after

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.training import runner
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.training.resume import resume
from nlpseq.vectors.drift import drift
from nlpseq.vectors.subwords import mean_rows, word_bags
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec import parallel, sampling
from nlpseq.word2vec.averaging import average, shares_of_text
from nlpseq.word2vec.kernels.layered import make_layered
from nlpseq.word2vec.kernels.select import Span, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Frozen, epoch_keys, noise_weights
from nlpseq.word2vec.start import Start, earlier_tokens, word2vec_settings
from nlpseq.word2vec.train import resolve, train_word2vec
from nlpseq.word2vec.trainer import Trainer
from nlpseq.word2vec.weights import initial_weights

CASES = [
    ("skipgram-window", (7, 5, 3, 2), False),
    ("cbow-legacy", (7, 5, 3, 2), True),
    pytest.param("skipgram-pair", (7, 5, 3, 2), False, marks=pytest.mark.slow),
    pytest.param("skipgram-window", (60, 33, 13, 9), True, marks=pytest.mark.slow),
]
SETTINGS = {"min_count": 1, "threads": 1, "epochs": 3}
SIZES = {"window": 2, "negatives": 3}  # of one kernel, because each takes long to compile
NEW_WORDS = {"owl": "emu", "hen": "yak"}


def new_text(num: int = 200) -> str:
    text = sentences(num, seed=1)
    for old, new in NEW_WORDS.items():
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the initial vectors, on a text with a word that gets no pair."""
    folder = tmp_path_factory.mktemp("old")
    data = encode(folder, sentences(400) + "lone\n")
    train_word2vec(data, SMALL).save(folder / "old.w2v")
    return folder / "old.w2v"


@pytest.fixture
def data(old: Path, tmp_path: Path) -> TokenDataset:
    (tmp_path / "new.txt").write_text(new_text())
    start = Vectors.load(old).vocab
    return preprocess(
        tmp_path / "new.txt", path=tmp_path / "new.tokens", start=start, min_count=1, tokenizer="whitespace"
    )


def frozen_mask(num_words: int) -> np.ndarray:
    return np.random.default_rng(num_words).random((2, num_words)) < 0.6


@pytest.mark.parametrize(("variant", "size", "subwords"), CASES, ids=str)
def test_frozen_kernel_equals_specification(
    variant: str, size: tuple[int, int, int, int], subwords: bool
) -> None:
    num_words, dim, negatives, window = size
    config = replace(VARIANTS[variant], dim=dim, negatives=negatives, window=window, freeze_known=True)
    config = replace(config, subwords="3:4", buckets=BUCKETS) if subwords else config
    fused, layered = select(config), make_layered(config, np, batch=1)
    in_V, out_V = frozen_mask(num_words)
    frozen = Frozen(np.append(in_V, np.arange(BUCKETS if subwords else 0) % 2 == 0), out_V)
    tables = make_tables(num_words, subwords=subwords)._replace(frozen=frozen)
    before, ours = (make_weights(num_words, dim, buckets=len(frozen.in_V) - num_words) for _ in range(2))
    reference = Weights(*(weight.astype(np.float64) for weight in ours))
    for start in range(0, len(tables.tokens), 20):
        span = Span(start, min(start + 20, len(tables.tokens)), np.float32(0.05))
        loss, predictions = fused.train_spans(tables, epoch_keys(3, 0), ours, [span])
        wanted, number = layered(tables, epoch_keys(3, 0), reference, span.start, span.stop, 0.05)
        assert predictions == number and loss == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    for mine, theirs, start_VD, frozen_V in zip(ours, reference, before, frozen, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
        assert mine[frozen_V].tobytes() == start_VD[frozen_V].tobytes()
        np.testing.assert_array_equal(theirs[frozen_V], start_VD[frozen_V])
        assert (mine[~frozen_V, :dim] != start_VD[~frozen_V, :dim]).any(axis=1).mean() > 0.5


def test_frozen_rows_on_another_array_module() -> None:
    config = replace(VARIANTS["skipgram-window"], dim=5, negatives=3, window=2, freeze_known=True)
    tables, here = make_tables(7)._replace(frozen=Frozen(*frozen_mask(7))), make_weights(7, 5)
    there = Weights(*(proxy.asarray(weight.copy()) for weight in here))
    tables_there = proxied(tables, streamed=False)._replace(
        frozen=Frozen(*map(proxy.asarray, frozen_mask(7)))
    )
    make_layered(config, np)(tables, epoch_keys(1, 0), here, 0, 50, np.float32(0.05))
    make_layered(config, proxy)(tables_there, epoch_keys(1, 0), there, 0, 50, np.float32(0.05))
    for mine, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(mine, theirs.host)


def test_fused_kernel_on_gpu_refuses_frozen_words() -> None:
    with pytest.raises(ConfigError, match=r"cannot freeze words with --backend cupy"):
        select(Word2VecConfig(backend="cupy", kernel="fused", freeze_known=True))


def test_first_rows_equal_reference(old: Path, data: TokenDataset) -> None:
    start, words = Start.load(old), data.vocab.without_specials()
    weights, random = (initial_weights(len(words), SMALL) for _ in range(2))
    start.fill(weights, words)
    vectors, contexts = start.vectors, start.vectors.contexts
    ids = vectors.vocab.ids
    wanted = start_rows(
        words.words,
        {word: vectors.matrix[ids[word]] for word in vectors},
        {word: contexts[ids[word]] for word in vectors},
        random.in_VD[:, : SMALL.dim],
    )
    for rows_VD, wanted_VD in zip(weights, wanted, strict=True):
        assert rows_VD[:, : SMALL.dim].tobytes() == wanted_VD.tobytes()
    in_V, out_V = start.frozen(words)
    names = np.array(words.words)
    assert {*names[~in_V]} == {*names[~out_V]} == {*NEW_WORDS.values(), "lone"}


@pytest.mark.parametrize(
    "settings",
    [
        {"threads": 1},
        {"threads": 3, "deterministic": True},
        {"threads": 2},
        {"kernel": "layers", "epochs": 1},
        {"share_negatives": "pair"},
    ],
    ids=str,
)
def test_frozen_words_keep_every_bit(old: Path, data: TokenDataset, settings: dict[str, Any]) -> None:
    before = Vectors.load(old)
    before.matrix, before.contexts = before.matrix.copy(), before.contexts.copy()
    before.matrix[before.vocab.ids["cat"], 0] = before.contexts[before.vocab.ids["dog"], 1] = -0.0
    sizes = parallel.ParallelSizes(20, 600, 2, 4, poll_seconds=0.001)
    after = train_word2vec(data, start=before, freeze_known=True, sizes=sizes, **({"epochs": 3} | settings))
    for word in before:
        if word == "lone":
            continue
        assert before[word].tobytes() == after[word].tobytes(), word
        contexts = (each.contexts[each.vocab.ids[word]] for each in (before, after))
        assert len({row.tobytes() for row in contexts}) == 1, word
    found = drift(before, after)
    assert (found.words, found.mean) == (len(before) - 1, 0.0)
    assert all(after[word].any() for word in NEW_WORDS.values())


@pytest.mark.parametrize("settings", [{"threads": 1}, {"threads": 3, "deterministic": True}], ids=str)
def test_words_that_the_text_lacks_keep_every_bit(
    old: Path, data: TokenDataset, settings: dict[str, Any]
) -> None:
    before = Vectors.load(old)
    sizes = parallel.ParallelSizes(20, 600, 2, 4, poll_seconds=0.001)
    after = train_word2vec(data, start=before, sizes=sizes, epochs=3, **settings)
    for word in [*NEW_WORDS, "cat"]:
        ids = [each.vocab.ids[word] for each in (before, after)]
        for weight in ("matrix", "contexts"):
            rows = [getattr(each, weight)[v].tobytes() for each, v in zip((before, after), ids, strict=True)]
            assert (rows[0] == rows[1]) == (word != "cat"), (word, weight)


def test_noise_of_a_start_is_of_the_new_text(data: TokenDataset, tmp_path: Path) -> None:
    counts_V = np.array([new_text().split().count(word) for word in data.vocab.words[:-2]], np.float64)
    assert not counts_V.all()
    for smoothing in (0.75, 0.0):
        wanted_V = np.where(counts_V > 0, counts_V**smoothing, 0)
        np.testing.assert_array_equal(noise_weights(data, smoothing), wanted_V)
        pairs_V = parallel.pairs_of_words(data, replace(SMALL, smoothing=smoothing))
        np.testing.assert_array_equal(pairs_V == 0, counts_V == 0)
    np.testing.assert_array_equal(
        sampling.make_tables(data, replace(SMALL, subsample=0.1), np).keep_V,
        keep_thresholds(counts_V.astype(np.int64), 0.1),
    )
    bpe = preprocess([new_text()], path=tmp_path / "bpe.tokens", tokenizer="bpe", vocab_size=280)
    assert noise_weights(bpe, 0.75).min() == 1.0  # of bytes that do not occur


def test_new_words_land_among_known_words(old: Path, data: TokenDataset) -> None:
    after = train_word2vec(data, start=old, freeze_known=True, epochs=20, threads=1)
    animals = {
        "cat",
        "dog",
        "cow",
        "hen",
        "pig",
        "owl",
        "animals0",
        "animals1",
        "animals2",
        *NEW_WORDS.values(),
    }
    for word in NEW_WORDS.values():
        assert {neighbor for neighbor, _ in after.neighbors(word, top=4)} <= animals


def test_known_words_move_without_freeze(old: Path, data: TokenDataset) -> None:
    before, after = Vectors.load(old), train_word2vec(data, start=old, **{"epochs": 3, "threads": 1})
    found = drift(before, after)
    assert found.words == len(before) - 1 and 0 < found.mean < 0.2
    assert before.vocab.counts[before.vocab.ids["owl"]] == after.vocab.counts[after.vocab.ids["owl"]]
    counts = [each.vocab.counts[each.vocab.ids["cat"]] for each in (before, after)]
    assert counts[1] - counts[0] == new_text().split().count("cat")
    assert after["lone"].any() == 0  # still without a pair
    assert after.meta["start"]["path"] == str(old)


@pytest.fixture(scope="module")
def old_ngrams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ngrams")
    data = encode(folder, sentences(400) + "lone\n")
    train_word2vec(data, replace(SMALL, subwords="3:5", buckets=40)).save(folder / "old.w2v")
    return folder / "old.w2v"


def test_first_rows_with_ngrams_give_the_vectors_of_the_start(old_ngrams: Path) -> None:
    start = Start.load(old_ngrams)
    ngrams = start.vectors.subwords
    assert ngrams is not None
    words = Vocab(["emu", *start.vectors.vocab.words, "x"], np.ones(len(start.vectors) + 2))
    config = replace(SMALL, subwords="3:5", buckets=40)
    weights, random = (initial_weights(len(words), config) for _ in range(2))
    start.fill(weights, words)
    means_VD = mean_rows(word_bags(words.words, ngrams.ngrams, 40), weights.in_VD, SMALL.dim)
    np.testing.assert_allclose(means_VD[1:-1], start.vectors.matrix, atol=1e-6)
    np.testing.assert_allclose(means_VD[0], ngrams.vectors(["emu"])[0], atol=1e-6)
    np.testing.assert_array_equal(weights.in_VD[len(words) :, : SMALL.dim], ngrams.rows_BD)
    np.testing.assert_array_equal(weights.out_VD[1:-1, : SMALL.dim], start.vectors.contexts)
    assert (weights.in_VD[-1] == random.in_VD[-1]).all() == (not ngrams.have_vectors(["x"])[0])


def test_known_word_without_a_vector_begins_as_its_ngrams(old_ngrams: Path) -> None:
    vectors = Vectors.load(old_ngrams)
    vectors.matrix = vectors.matrix.copy()
    vectors.matrix[vectors.vocab.ids["lone"]] = 0
    start, words = Start(vectors), vectors.vocab
    assert vectors.subwords is not None
    weights = initial_weights(len(words), replace(SMALL, subwords="3:5", buckets=40))
    start.fill(weights, words)
    own_D = weights.in_VD[words.ids["lone"], : SMALL.dim]
    np.testing.assert_allclose(own_D, vectors.subwords.vectors(["lone"])[0], atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"threads": 1}, {"threads": 3, "deterministic": True}, {"kernel": "layers", "epochs": 1}],
    ids=str,
)
def test_frozen_words_with_ngrams_keep_every_bit(old_ngrams: Path, settings: dict[str, Any]) -> None:
    before = Vectors.load(old_ngrams)
    after = train_word2vec([new_text()], start=before, freeze_known=True, **(SETTINGS | settings))
    known = [word for word in before if word != "lone"]
    for word in known:
        assert before[word].tobytes() == after[word].tobytes(), word
        contexts = (each.contexts[each.vocab.ids[word]] for each in (before, after))
        assert len({row.tobytes() for row in contexts}) == 1, word
    assert before.subwords and after.subwords
    np.testing.assert_array_equal(before.subwords.rows_BD, after.subwords.rows_BD)
    for word in NEW_WORDS.values():
        assert after[word].any() and not np.array_equal(after[word], before.subwords.vectors([word])[0])


@pytest.mark.parametrize(
    "settings", [{}, {"threads": 3, "deterministic": True}, {"kernel": "layers"}], ids=str
)
def test_frozen_rows_with_ngrams_are_never_trained(
    old_ngrams: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Compare the weights themselves, because the result takes frozen words from the start."""
    start = Start.load(old_ngrams)
    data = preprocess(
        [new_text()],
        path=tmp_path / "new.tokens",
        start=start.vectors.vocab,
        min_count=1,
        tokenizer="whitespace",
    )
    words = data.vocab.without_specials()
    chosen = {"freeze_known": True, "epochs": 1, "threads": 1} | settings
    config = resolve(word2vec_settings(start, None, chosen), len(words), data.num_tokens)
    sizes = parallel.ParallelSizes(20, 600, 2, 4, poll_seconds=0.001)
    course = Trainer(data, config, start=start, sizes=sizes)
    before = [weight.copy() for weight in course.weights]
    runner.run(course, None, None)
    in_V, out_V = start.frozen(words)
    frozen = np.append(in_V, np.ones(40, np.bool_)), out_V
    assert all(not marked.all() and marked.any() for marked in (in_V, out_V))
    for was, now, marked in zip(before, course.weights, frozen, strict=True):
        assert was[marked].tobytes() == now[marked].tobytes()
        assert (was[~marked] != now[~marked]).any(axis=1).sum() >= len(NEW_WORDS)


def test_start_with_ngrams_goes_on_with_them(old_ngrams: Path) -> None:
    before = Vectors.load(old_ngrams)
    after = train_word2vec([new_text()], start=old_ngrams, **SETTINGS)
    assert before.subwords and after.subwords and after.subwords.ngrams == before.subwords.ngrams
    assert 0 < drift(before, after).mean < 0.2
    assert not np.array_equal(before.subwords.rows_BD, after.subwords.rows_BD)
    assert after.meta["config"]["buckets"] == 40


def test_output_of_other_tools_begins_at_zero(old: Path, data: TokenDataset, tmp_path: Path) -> None:
    Vectors.load(old).write(tmp_path / "old.vec")
    start = Start.load(tmp_path / "old.vec")
    assert (start.vectors.vocab.counts == -1).all()
    words = data.vocab.without_specials()
    weights = initial_weights(len(words), SMALL)
    start.fill(weights, words)
    assert not weights.out_VD.any()
    in_V, out_V = start.frozen(words)
    assert in_V.sum() == len(start.vectors) - 1 and not out_V.any()
    after = train_word2vec(
        [new_text()],
        start=tmp_path / "old.vec",
        freeze_known=True,
        tokenizer="whitespace",
        **SETTINGS,
        **SIZES,
    )
    assert after.contexts[after.vocab.ids["cat"]].any()
    assert after["cat"].tobytes() == start.vectors["cat"].tobytes()
    assert after.vocab.counts[after.vocab.ids["cat"]] == -1 and after.vocab.counts[-1] > 0


def test_compact_vectors_are_a_start(old: Path, tmp_path: Path) -> None:
    from nlpseq.vectors.shrink import shrink

    small = shrink(Vectors.load(old), dtype="int8")
    after = train_word2vec([new_text()], start=small, freeze_known=True, **SETTINGS)
    np.testing.assert_array_equal(after["cat"], small["cat"])


@pytest.mark.parametrize(
    "settings",
    [
        {"threads": 3, "deterministic": True, "freeze_known": True},
        {"early_stop": True, "valid_share": 0.1, "epochs": 40, "learning_rate": 0.05},
        pytest.param({"start": "n-grams", "freeze_known": True}, marks=pytest.mark.slow),
        {"start": "n-grams"},
        {"start": "chain"},
    ],
    ids=str,
)
def test_resume_of_a_start_gives_same_bytes(
    old: Path, old_ngrams: Path, tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop at different places, with the encoded text deleted once."""
    sizes = parallel.ParallelSizes(20, 600, 2, 4, poll_seconds=0.001)
    monkeypatch.setattr(parallel, "DEFAULT_SIZES", sizes)
    text = tmp_path / "new.txt"
    text.write_text(new_text())
    chosen = SETTINGS | {"epochs": 16} | settings
    if settings.get("start") == "chain":
        train_word2vec([new_text(50)], start=old, **SETTINGS).save(tmp_path / "chain.w2v")
    chosen["start"] = {"n-grams": old_ngrams, "chain": tmp_path / "chain.w2v"}.get(settings.get("start"), old)
    whole = train_word2vec(text, **chosen)
    whole.save(tmp_path / "whole.w2v")
    path, stops = tmp_path / "parts.w2v", 0
    source = {"sources": [str(text)], "encoded": str(tmp_path / "gone"), "valid": None}
    config = CheckpointConfig(path=path, should_stop=stop_after(1), provenance=source)
    vectors = train_word2vec(text, checkpoint=config, **chosen)
    while not vectors.meta["complete"]:
        stops += 1
        vectors = resume(path, should_stop=stop_after(1 + stops // 2 % 3))  # type: ignore[assignment]
    assert stops > 2
    assert learnt(path) == learnt(tmp_path / "whole.w2v")
    assert ("last_inputs.npy" in learnt(path)) == ("freeze_known" not in settings)
    assert vectors.meta["start"] == whole.meta["start"]


def learnt(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in (".npy", ".tsv")}


def test_resume_names_a_start_that_changed(old: Path, tmp_path: Path) -> None:
    start, text = tmp_path / "old.w2v", tmp_path / "new.txt"
    shutil.copytree(old, start)
    text.write_text(new_text())
    source = {"sources": [str(text)], "encoded": str(tmp_path / "gone"), "valid": None}
    config = CheckpointConfig(path=tmp_path / "a.w2v", should_stop=stop_after(0), provenance=source)
    train_word2vec(text, checkpoint=config, start=start, **SETTINGS)
    Vectors(Vocab(["cat"], np.ones(1)), np.ones((1, 3))).save(start, force=True)
    with pytest.raises(ArtifactError, match=r"old\.w2v: has changed since training started"):
        resume(tmp_path / "a.w2v")


def test_resume_names_a_start_in_memory(old: Path, tmp_path: Path) -> None:
    text = tmp_path / "new.txt"
    text.write_text(new_text())
    source = {"sources": [str(text)], "encoded": str(tmp_path / "gone"), "valid": None}
    config = CheckpointConfig(path=tmp_path / "a.w2v", should_stop=stop_after(0), provenance=source)
    train_word2vec(text, checkpoint=config, start=Vectors.load(old), **SETTINGS)
    for sources in ((), str(text)):
        with pytest.raises(ArtifactError, match=r"a\.w2v: .* in memory only\. Train again with --force"):
            resume(tmp_path / "a.w2v", sources)


def test_settings_of_fasttext_are_inherited(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(content(random_model()))
    config = word2vec_settings(Start.load(tmp_path / "a.bin"), None, {})
    assert (config.window, config.negatives, config.subsample) == (3, 6, 1e-4)
    assert (config.objective, config.subwords, config.buckets) == ("skipgram", "2:4", 11)
    (tmp_path / "b.bin").write_bytes(content(random_model(), ws=0))
    assert word2vec_settings(Start.load(tmp_path / "b.bin"), None, {}).window == 5


def test_settings_come_from_the_start(old: Path) -> None:
    after = train_word2vec([new_text()], start=old, **SETTINGS)
    config, text = after.meta["config"], after.meta["text_config"]
    assert [config[name] for name in ("dim", "window", "negatives", "subsample")] == [16, 2, 3, 0]
    assert (text["tokenizer"], text["min_count"]) == ("whitespace", 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 17}, r"dim: 17 contradicts .*old\.w2v, which has 16"),
        ({"objective": "cbow"}, "objective: cbow contradicts"),
        ({"loss": "softmax"}, "loss: softmax contradicts"),
        ({"subwords": "3:6"}, r"subwords: 3:6 contradicts .*old\.w2v, which has none"),
        ({"lower": False}, "lower: False contradicts"),
        ({"tokenizer": "char"}, "tokenizer: char contradicts"),
        ({"phrases": 1}, "phrases: 1 contradicts"),
        ({"config": Word2VecConfig()}, "dim: 100 contradicts"),
    ],
    ids=str,
)
def test_contradicting_settings_are_refused(old: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train_word2vec(["a b"], start=old, **settings)


def test_other_starts_are_refused(old: Path, tmp_path: Path) -> None:
    from scipy.sparse import csr_array

    sparse = Vectors(Vocab(["a", "b"], np.ones(2)), csr_array(np.ones((2, 2), np.float32)))
    for make in (Start, Start.load):
        with pytest.raises(DataError, match="start: holds sparse PPMI vectors"):
            make(sparse)
    with pytest.raises(ConfigError, match="freeze_known: has no effect without a start"):
        train_word2vec(["a b"], freeze_known=True)
    with pytest.raises(ConfigError, match=r"was not encoded with the words and counts of .*old\.w2v"):
        train_word2vec(encode(tmp_path, new_text()), start=old)
    phrases = Vectors.load(old)
    phrases.meta["text_config"] = phrases.meta["text_config"] | {"phrases": 1}
    with pytest.raises(ConfigError, match="start: was made with --phrases"):
        train_word2vec(["a b"], start=phrases)


def test_initial_rate_is_higher_for_means_of_skipgram(old: Path, data: TokenDataset) -> None:
    rates = {
        name: train_word2vec(data, start=old, epochs=1, threads=1, **settings).meta["config"]["learning_rate"]
        for name, settings in (
            ("default", {}),
            ("explicit", {"learning_rate": 0.01}),
            ("frozen", {"freeze_known": True}),
        )
    }
    assert rates == {"default": pytest.approx(0.0375), "explicit": 0.01, "frozen": 0.025}
    for objective, usual in (("cbow", 0.075), ("skipgram", 0.025)):
        assert resolve(Word2VecConfig(objective=objective), 2, 1).learning_rate == usual
        ngrams = Word2VecConfig(objective=objective, subwords="3:6")
        rate = resolve(ngrams, 2, 10**8, has_start=True).learning_rate
        assert rate == (0.05 if objective == "cbow" else 0.04)
    assert resolve(Word2VecConfig(objective="cbow"), 2, 1, has_start=True).learning_rate == 0.075


def test_noise_words_follow_the_length_of_all_texts() -> None:
    """With n-grams, as the learning rate does."""
    for subwords, smoothing in (("3:6", 0.3), (None, 0.75)):
        config = Word2VecConfig(subwords=subwords, buckets=5 if subwords else None, epochs=5)
        first = train_word2vec([new_text()], config, min_count=1, threads=1)
        assert first.meta["config"]["smoothing"] == 0.75
        chosen = word2vec_settings(Start(first), None, {})
        assert resolve(chosen, 2, 10**8, has_start=True).smoothing == smoothing


def test_start_without_valid_settings_is_refused(old: Path) -> None:
    for config in ({"dim": "x"}, None):
        vectors = Vectors.load(old)
        del vectors.meta["config"]
        vectors.meta |= {"config": config} if config else {}
        with pytest.raises(ArtifactError, match=r"start: the settings in meta\.json are not valid"):
            train_word2vec([new_text()], start=vectors)


def test_tokens_of_a_start_are_those_of_its_training(old: Path) -> None:
    vectors = Vectors.load(old)
    tokens = Start(vectors).tokens
    assert tokens == vectors.meta["tokens"] == vectors.vocab.counts.sum()
    counts = np.append(vectors.vocab.counts[:-1], -1)  # as of an unseen word of convert --words
    some = Vectors(Vocab(vectors.vocab.words, counts), vectors.matrix, vectors.contexts, vectors.meta)
    assert Start(some).tokens == tokens


def test_noise_words_have_another_power_with_ngrams() -> None:
    powers = [
        resolve(Word2VecConfig(**settings), 2, 7_000_001).smoothing
        for settings in (
            {},
            {"subwords": "3:6"},
            {"subwords": "3:6", "objective": "cbow"},
            {"subwords": "3:6", "smoothing": 0.75},
            {"smoothing": 0.0},
        )
    ]
    assert powers == [0.75, 0.3, 0.5, 0.75, 0.0]


def test_epochs_are_those_of_all_texts_together(old: Path, data: TokenDataset) -> None:
    vectors = Vectors.load(old)
    counts = np.full(len(vectors), 10_000_000 // len(vectors))
    larger = Vectors(Vocab(vectors.vocab.words, counts), vectors.matrix, vectors.contexts, vectors.meta)
    assert train_word2vec([new_text(9)], start=larger, min_count=1, threads=1).meta["epochs"] == 8
    assert train_word2vec([new_text(9)], start=old, min_count=1, threads=1).meta["epochs"] == 20
    uncounted = Vectors(Vocab(vectors.vocab.words, np.full(len(vectors), -1)), vectors.matrix)
    assert earlier_tokens(Start(uncounted), data) == data.word_counts.sum()
    assert earlier_tokens(Start(larger), data) == counts.sum()


@pytest.mark.parametrize("has_ngrams", [False, True])
def test_vectors_of_a_chain_are_means_over_its_texts(
    old: Path, old_ngrams: Path, tmp_path: Path, has_ngrams: bool
) -> None:
    """Compare with means of the last weights after each text, computed word by word."""
    chain = Vectors.load(old_ngrams if has_ngrams else old)
    texts = [new_text(60), new_text(90).replace("cow", "cat") + "lone cat\n" * 9]
    means = {
        name: dict(zip(chain.vocab.words, getattr(chain, name), strict=True))
        for name in ("matrix", "contexts")
    }
    ngrams_BD = None if chain.subwords is None else np.array(chain.subwords.rows_BD)
    num_tokens = int(chain.vocab.counts.sum())
    sums = {word: num_tokens**2 * bool(chain[word].any()) for word in chain.vocab.words}
    for number, text in enumerate(texts):
        before, counts = chain, Counter(text.split())
        chain = train_word2vec([text], start=chain, seed=number, **SETTINGS)
        chain.save(tmp_path / f"{number}.w2v")
        chain = Vectors.load(tmp_path / f"{number}.w2v")
        assert chain.last is not None
        last = {"matrix": chain.last.in_RD, "contexts": chain.last.out_VD}
        num_tokens += counts.total()
        weight = counts.total() * num_tokens
        for word in counts:
            sums[word] = sums.get(word, 0) + weight
        assert chain.last.sum_V.tolist() == [sums[word] for word in chain.vocab.words]
        if chain.subwords:
            rows_BD = chain.last.in_RD[len(chain) :]
            share = weight / max(sums.values())
            ngrams_BD = [mixed(*each, share) for each in zip(ngrams_BD, rows_BD, strict=True)]
            np.testing.assert_allclose(chain.subwords.rows_BD, ngrams_BD, atol=1e-6)
            bags = word_bags(chain.vocab.words, chain.subwords.ngrams, len(rows_BD))
            last["matrix"] = mean_rows(bags, chain.last.in_RD, chain.matrix.shape[1])
        for name, mean in means.items():
            for row, word in enumerate(chain.vocab.words):
                share = weight / sums[word] if word in counts else 0
                mean[word] = mixed(mean.get(word, 0 * chain[word]), last[name][row], share)
                np.testing.assert_allclose(getattr(chain, name)[row], mean[word], atol=1e-6)
    assert "cow" in texts[0] and before["cow"].tobytes() == chain["cow"].tobytes(), "not in the last text"
    row = chain.vocab.ids["cow"]
    assert has_ngrams or not np.allclose(chain["cow"], last["matrix"][row], atol=1e-3)


def mixed(mean_D: np.ndarray, last_D: np.ndarray, share: float) -> np.ndarray:
    """Return the mean after a text with this share."""
    return mean_D + share * (last_D - mean_D) if mean_D.any() else last_D


def test_next_training_goes_on_with_the_last_weights(old: Path, data: TokenDataset) -> None:
    after = train_word2vec(data, start=old, epochs=2, threads=1)
    words = after.vocab
    weights = initial_weights(len(words), SMALL)
    Start(after).fill(weights, words)
    assert after.last is not None
    known_V = after.matrix.any(axis=1)
    np.testing.assert_array_equal(weights.in_VD[known_V, :16], after.last.in_RD[known_V])
    np.testing.assert_array_equal(weights.out_VD[:, :16], after.last.out_VD)
    Start(after).fill(weights, words, is_frozen=True)
    np.testing.assert_array_equal(weights.in_VD[known_V, :16], after.matrix[known_V])
    np.testing.assert_array_equal(weights.out_VD[:, :16], after.contexts)
    assert train_word2vec(data, start=old, epochs=2, threads=1, freeze_known=True).last is None


@pytest.mark.parametrize("name", ["last_inputs.npy", "last_outputs.npy"])
def test_forged_last_weights_are_refused(old: Path, data: TokenDataset, tmp_path: Path, name: str) -> None:
    path = tmp_path / "after.w2v"
    train_word2vec(data, start=old, epochs=1, threads=1).save(path)
    weight = np.load(path / name)
    for wrong, message in ((weight[:-1], "has shape"), (weight * np.nan, "last weights is not finite")):
        np.save(path / name, wrong)
        seal_tree(path)
        with pytest.raises(ArtifactError, match=message):
            Vectors.load(path)


def test_mean_of_equal_texts_has_rising_weights() -> None:
    """The k-th of equal texts has weight k."""
    mean, row, sums = np.zeros((1, 5), np.float32), np.eye(5, dtype=np.float32), np.zeros(1)
    for number in range(5):
        shares, sums = shares_of_text(np.array([3]), sums, 70.0 * 70 * (number + 1))
        mean = average(mean, row[[number]], shares)
    np.testing.assert_allclose(mean[0], [number / 15 for number in range(1, 6)], atol=1e-6)


def test_text_counts_for_the_words_that_it_has() -> None:
    shares, sums = shares_of_text(np.array([3, 0, 2, 0]), np.array([12.0, 7.0, 0.0, 0.0]), 4.0)
    assert shares.tolist() == [0.25, 0, 1, 0]
    assert sums.tolist() == [16, 7, 4, 0]


def test_forged_weights_of_means_are_refused(old: Path, data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "after.w2v"
    train_word2vec(data, start=old, epochs=1, threads=1).save(path)
    sums = np.load(path / "mean_weights.npy")
    for wrong in (sums[:-1], -sums, sums + np.inf):
        np.save(path / "mean_weights.npy", wrong)
        seal_tree(path)
        with pytest.raises(ArtifactError, match=r"mean_weights\.npy: does not have a finite weight"):
            Vectors.load(path)


def test_many_small_pieces_do_not_grow(tmp_path: Path) -> None:
    """Words enter and leave, and vocabulary, folder and meta.json keep their sizes."""
    vectors, sizes, days = None, list[int](), list[set[str]]()
    settings = SETTINGS | SIZES | {"max_vocab": 12, "tokenizer": "whitespace", "dim": 16, "epochs": 1}
    for number in range(6):
        text = new_text(30) + f"day{number} cat day{number} dog\n" * 9 * (number + 1)
        vectors = train_word2vec([text], start=vectors, **settings)
        vectors.save(tmp_path / f"{number}.w2v")
        sizes.append(sum(file.stat().st_size for file in (tmp_path / f"{number}.w2v").iterdir()))
        assert len(vectors) == 12
        days.append({word for word in vectors if word[:3] == "day" and word[3].isdigit()})
    assert len(set.union(*days)) == 6 and "day0" not in days[-1], days
    assert max(sizes[1:]) - sizes[1] < 500, sizes  # longer numbers
