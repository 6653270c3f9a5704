"""Fast counts equal the plain reference to the bit, for any blocks, threads and memory."""

import json
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from numba import njit
from reference.cooccurrence import count_pairs
from support.results import seal
from support.sparse import as_dict

from nlpseq.config import CooccurrenceConfig, TextConfig
from nlpseq.counts.cooccurrence import Cooccurrence, Text, add_counts, count_cooccurrences, count_matrix
from nlpseq.counts.cooccurrence_numba import lowest_bit
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.errors import ArtifactError, ConfigError, ResourceError
from nlpseq.storage.arrays import NpyWriter
from nlpseq.storage.manifest import write_json

ENOUGH = 1 << 24  # bytes
ALWAYS = 2**32 - 1  # threshold of a word that subsampling always keeps
CONFIGS = st.builds(
    CooccurrenceConfig,
    window=st.one_of(st.integers(1, 12), st.just(1000)),
    side=st.sampled_from(["symmetric", "left", "right"]),
    weighting=st.sampled_from(["flat", "harmonic"]),
    seed=st.integers(0, 3),
)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("NLPSEQ_CACHE_DIR", str(folder))
        yield folder


@st.composite
def streams(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Draw sentences of known and unknown words, and a split of them."""
    num_words = draw(st.sampled_from([1, 2, 7]))
    sentence = st.lists(st.integers(0, num_words), min_size=1, max_size=25)
    text = draw(st.lists(sentence, min_size=1, max_size=6))
    tokens = np.array(
        [token for words in text for token in words], draw(st.sampled_from([np.uint16, np.uint32]))
    )
    sentences = np.array([0, *accumulate(map(len, text))], np.int64)
    first = draw(st.integers(0, len(text) - 1))
    keep_V = np.array([draw(st.sampled_from([ALWAYS, ALWAYS // 2])) for _ in range(num_words)], np.uint32)
    return tokens, sentences[first : draw(st.integers(first + 2, len(text) + 1))], keep_V


def count(
    stream: Any, config: CooccurrenceConfig, memory_bytes: int = ENOUGH, threads: int = 2, **sizes: int
) -> Any:
    return count_matrix(Text(*stream), config, threads, memory_bytes, **sizes)


def all_kept(num_words: int) -> Any:
    return np.broadcast_to(np.uint32(ALWAYS), num_words)


ONE_SENTENCE = (np.array([0, 1, 2, 0, 1], np.uint16), np.array([0, 5]), all_kept(2))  # 0 1 <unk> 0 1


@njit
def lowest_bits(words):
    return [lowest_bit(word) for word in words]


def test_lowest_bit_equals_python_on_every_bit() -> None:
    rng = np.random.default_rng(1)
    words = [1 << bit for bit in range(64)] + rng.integers(1, 2**63, 100).tolist() + [2**64 - 1]
    found = lowest_bits(np.array(words, np.uint64))
    assert found == [(word & -word).bit_length() - 1 for word in words]


@given(streams(), CONFIGS)
@example(ONE_SENTENCE, CooccurrenceConfig(window=2, weighting="harmonic"))
def test_counts_equal_reference(stream: Any, config: CooccurrenceConfig) -> None:
    assert as_dict(count(stream, config)) == count_pairs(Text(*stream), config)


@pytest.mark.slow
@given(streams(), CONFIGS, st.sampled_from([1, 200, 1000, 4000]), st.sampled_from([1, 3]), st.integers(1, 9))
def test_memory_threads_and_blocks_change_no_bit(
    stream: Any, config: CooccurrenceConfig, memory_bytes: int, threads: int, block: int
) -> None:
    plenty = count(stream, config)
    little = count(stream, config, memory_bytes, threads, block_tokens=block)
    for array in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(plenty, array), getattr(little, array))


def long_stream(num_tokens: int = 3000, num_words: int = 40) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(11)
    tokens = np.minimum(rng.zipf(1.3, num_tokens) - 1, num_words).astype(np.uint16)
    ends = np.unique(rng.integers(1, num_tokens, 60))
    return tokens, np.array([0, *ends, num_tokens], np.int64), all_kept(num_words)


@pytest.mark.parametrize("weighting", ["flat", "harmonic"])
@pytest.mark.parametrize("num_words", [40, 130, 9000])  # bits in one word, in some words, in several blocks
@pytest.mark.parametrize("threads", [1, 3])
def test_counts_of_longer_text_equal_reference(
    weighting: str, num_words: int, threads: int, own_cache: Path
) -> None:
    config, text = CooccurrenceConfig(window=9, weighting=weighting), long_stream(3000, num_words)
    assert as_dict(count(text, config, 30_000, threads)) == count_pairs(Text(*text), config)
    assert list(own_cache.iterdir()) == []


@pytest.mark.slow
@given(streams(), CONFIGS)
def test_left_counts_are_transposed_right_counts(stream: Any, config: CooccurrenceConfig) -> None:
    settings_of = asdict(config)
    left, right, both = (
        count(stream, CooccurrenceConfig(**settings_of | {"side": side})).toarray()
        for side in ("left", "right", "symmetric")
    )
    assert np.array_equal(left, right.T)
    assert np.array_equal(both, both.T)
    assert np.array_equal(both, left + right)


def test_counts_of_sentence_equal_hand_calculation() -> None:
    right = CooccurrenceConfig(window=2, side="right", weighting="harmonic")
    assert count(ONE_SENTENCE, right).toarray().tolist() == [[0.5, 2.0], [1.0, 0.5]]
    flat = CooccurrenceConfig(window=1)
    assert count(ONE_SENTENCE, flat).toarray().tolist() == [[0, 3], [3, 0]]


def test_text_without_pairs_has_no_counts() -> None:
    lone_words = (np.array([0, 1, 0], np.uint16), np.array([0, 1, 2, 3]), all_kept(2))
    assert count(lone_words, CooccurrenceConfig()).nnz == 0
    only_unknown = (np.array([2, 2], np.uint16), np.array([0, 2]), all_kept(2))
    assert count(only_unknown, CooccurrenceConfig(), 1).nnz == 0


def test_full_disk_raises_resource_error(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(NpyWriter, "append", full)
    with pytest.raises(ResourceError, match=r": the disk ran full while counting\. .*NLPSEQ_CACHE_DIR"):
        count(long_stream(), CooccurrenceConfig())
    assert list(own_cache.iterdir()) == []


def dataset(stream: tuple[Any, Any, Any]) -> TokenDataset:
    tokens, sentences, keep_V = stream
    counts = np.bincount(tokens, minlength=len(keep_V) + 2)
    vocab = Vocab([*(f"w{v}" for v in range(len(keep_V))), *SPECIALS], counts, 2)
    num = len(sentences) - 1
    splits = {"train": [0, num], "valid": [num, num], "test": [num, num]}
    meta = {"config": asdict(TextConfig(min_count=3)), "splits": splits}
    return TokenDataset(Path("corpus.tokens"), meta, tokens, sentences, vocab)


def test_dataset_counts_and_reports_progress() -> None:
    config, seen = CooccurrenceConfig(window=3), []
    counts = count_cooccurrences(
        dataset(long_stream()), config, memory_bytes=6_000, progress=lambda *done: seen.append(done)
    )
    assert as_dict(counts.matrix) == count_pairs(Text(*long_stream()), config)
    assert counts.vocab.words == [f"w{v}" for v in range(40)]
    assert counts.meta["text_config"]["min_count"] == 3
    assert counts.meta["num_tokens"] == 3000
    known = int((long_stream()[0] < 40).sum())
    assert seen == sorted(seen) and len(seen) > 1 and seen[-1] == (known, known)


def test_dataset_is_subsampled_by_its_own_counts() -> None:
    data, config = dataset(long_stream()), CooccurrenceConfig(subsample=0.01, seed=3)
    keep_V = keep_thresholds(data.vocab.counts[:-2], 0.01)
    stream = data.tokens, data.sentences, keep_V
    counts = count_cooccurrences(data, config).matrix
    assert as_dict(counts) == count_pairs(Text(*stream), config)
    assert counts.sum() < count_cooccurrences(data, CooccurrenceConfig()).matrix.sum() / 2


def test_text_with_a_start_is_subsampled_by_its_own_counts(tmp_path: Path) -> None:
    rng, config = np.random.default_rng(0), CooccurrenceConfig(subsample=0.05, seed=3)
    lines = [" ".join(f"w{number}" for number in rng.zipf(1.5, 12) if number < 50) for _ in range(100)]
    start = Vocab(["w2", "w1", "gone"], np.array([-1, -1, 10**6]))
    data = preprocess(lines, path=tmp_path / "new.tokens", start=start, min_count=2)
    num_words = data.vocab.num_words
    keep_V = keep_thresholds(np.bincount(data.tokens, minlength=num_words)[:num_words], 0.05)
    wanted = count_pairs(Text(data.tokens, data.sentences, keep_V), config)
    assert as_dict(count_cooccurrences(data, config).matrix) == wanted


@pytest.mark.parametrize("side", get_args(CooccurrenceConfig.__annotations__["side"]))
def test_saved_counts_load_again(tmp_path: Path, side: Any) -> None:
    counts = count_cooccurrences(
        dataset(long_stream()), CooccurrenceConfig(window=4, side=side, weighting="harmonic")
    )
    counts.save(tmp_path / "a.counts")
    loaded = Cooccurrence.load(tmp_path / "a.counts")
    assert as_dict(loaded.matrix) == as_dict(counts.matrix)
    assert (loaded.config, loaded.vocab.words) == (counts.config, counts.vocab.words)
    assert loaded.meta["num_tokens"] == 3000
    assert {file.name for file in (tmp_path / "a.counts").glob("*.npy")} == {
        "data.npy",
        "indices.npy",
        "indptr.npy",
    }
    with pytest.raises(ConfigError, match="--force"):
        loaded.save(tmp_path / "a.counts")
    loaded.save(tmp_path / "a.counts", force=True)  # overwrites the mapped files
    assert as_dict(Cooccurrence.load(tmp_path / "a.counts").matrix) == as_dict(counts.matrix)


def test_empty_counts_load_again(tmp_path: Path) -> None:
    lone_words = (np.array([0, 1, 0], np.uint16), np.array([0, 1, 2, 3]), all_kept(2))
    count_cooccurrences(dataset(lone_words)).save(tmp_path / "a.counts")
    assert Cooccurrence.load(tmp_path / "a.counts").matrix.nnz == 0


def changed(path: Path, name: str, place: int, value: float) -> None:
    array = np.load(path / name)
    array[place] = value
    np.save(path / name, array)


def first_cut(path: Path, name: str) -> None:
    np.save(path / name, np.load(path / name)[1:])


CORRUPT = {
    "falling indptr": (lambda p: changed(p, "indptr.npy", 1, 10**6), "indptr.npy: does not rise from 0"),
    "late start": (lambda p: changed(p, "indptr.npy", 0, 1), "indptr.npy: does not rise from 0"),
    "early end": (lambda p: changed(p, "indptr.npy", -1, 1), "indptr.npy: does not rise from 0"),
    "a row missing": (lambda p: first_cut(p, "indptr.npy"), "indptr.npy: does not rise from 0"),
    "column too far": (lambda p: changed(p, "indices.npy", 3, 40), "indices.npy: names columns beyond 40"),
    "column below 0": (lambda p: changed(p, "indices.npy", 3, -1), "indices.npy: names columns beyond 40"),
    "not a number": (lambda p: changed(p, "data.npy", 3, np.nan), "data.npy: holds values that are not"),
    "negative": (lambda p: changed(p, "data.npy", 3, -1), "data.npy: holds values that are not above 0"),
    "too few": (lambda p: first_cut(p, "data.npy"), "meta.json says"),
    "other type": (lambda p: np.save(p / "data.npy", np.ones(9, np.int64)), "data.npy: holds int64"),
    "other words": (
        lambda p: Vocab(["a"], np.ones(1)).save(p / "vocab.tsv"),
        "vocab.tsv: not the vocabulary of meta.json",
    ),
}


@pytest.mark.parametrize(("corrupt", "message"), CORRUPT.values(), ids=CORRUPT.keys())
def test_load_refuses_corrupt_file(tmp_path: Path, corrupt: Any, message: str) -> None:
    path = tmp_path / "a.counts"
    count_cooccurrences(dataset(long_stream())).save(path)
    corrupt(path)
    with pytest.raises(ArtifactError, match=r"its manifest says|sha256"):
        Cooccurrence.load(path)
    seal(path)
    with pytest.raises(ArtifactError, match=message):
        Cooccurrence.load(path)


def test_load_refuses_corrupt_config(tmp_path: Path) -> None:
    path = tmp_path / "a.counts"
    count_cooccurrences(dataset(long_stream())).save(path)
    meta = json.loads((path / "meta.json").read_text("utf-8"))
    for config in ({"window": 0}, {"width": 3}, None):
        write_json(path / "meta.json", meta | {"config": config})
        seal(path)
        with pytest.raises(ArtifactError, match=r"meta\.json: no valid config"):
            Cooccurrence.load(path)


@pytest.mark.parametrize("weighting", ["flat", "harmonic"])
@pytest.mark.parametrize("pieces", [2, 5])
def test_added_counts_equal_counts_of_all_texts(tmp_path: Path, pieces: int, weighting: Any) -> None:
    """Encode each text with the vocabulary of all texts before."""
    rng, config = np.random.default_rng(pieces), CooccurrenceConfig(window=4, weighting=weighting)
    lines = [" ".join(f"w{number}" for number in rng.zipf(1.5, 12) if number < 200) for _ in range(100)]
    total, start = None, None
    for number, part in enumerate(np.array_split(np.array(lines), pieces)):
        data = preprocess([*part.tolist()], path=tmp_path / str(number), start=start, min_count=1)
        counts = count_cooccurrences(data, config)
        total = counts if total is None else add_counts(total, counts)
        start = data.vocab
    assert total is not None and start is not None
    whole = preprocess(lines, path=tmp_path / "whole", vocab=start, min_count=1)
    at_once = count_cooccurrences(whole, config)
    total.save(tmp_path / "total")
    at_once.save(tmp_path / "at_once")
    for name in ("data.npy", "indices.npy", "indptr.npy", "vocab.tsv"):
        assert (tmp_path / "total" / name).read_bytes() == (tmp_path / "at_once" / name).read_bytes()
    assert total.meta["num_tokens"] == at_once.meta["num_tokens"] == whole.num_tokens


def test_added_counts_drop_words_beyond_max_vocab(tmp_path: Path) -> None:
    first = preprocess(["a a b b b c\n"], path=tmp_path / "1", min_count=1)
    second = preprocess(["d d d d b a\n"], path=tmp_path / "2", min_count=1, max_vocab=2, start=first.vocab)
    counts = [count_cooccurrences(data, CooccurrenceConfig(window=1)) for data in (first, second)]
    total = add_counts(*counts)
    assert total.vocab.words == ["b", "d"]
    assert total.matrix.toarray().tolist() == [[4, 1], [1, 6]]


def test_counts_of_other_settings_are_not_added(tmp_path: Path) -> None:
    data = preprocess(["a b\n"], path=tmp_path / "1", min_count=1)
    counts = [count_cooccurrences(data, CooccurrenceConfig(window=window)) for window in (1, 2)]
    with pytest.raises(ConfigError, match=r"window: is 1 in the earlier counts, not 2"):
        add_counts(*counts)
