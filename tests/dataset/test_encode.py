"""Encoding equals plain Python for every setting, limit and number of threads; results are atomic."""

import gc
import random
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from reference.encoding import encode
from support.texts import CHAR_CONFIGS, WORD_CONFIGS, content, small_corpus, write_text

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import EncodeProgress, preprocess
from nlpseq.dataset.external_vocab import ExternalVocabulary
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.vocab import SPECIALS
from nlpseq.errors import ConfigError, DataError, ResourceError
from nlpseq.reading.blocks import BlockLimits
from nlpseq.reading.corpus import Corpus, open_corpus
from nlpseq.tokenizers.base import tokenize

WORDS = st.sampled_from(
    ["a", "A", "b", "b", "c", "it's", "ΟΣ", "é", "é", "한글", "😀", ",", "<unk>", "’", "<eos>"]
)
LINES = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=12)


def small_blocks(block_bytes: int) -> EncodeLimits:
    return EncodeLimits(blocks=BlockLimits(block_bytes=block_bytes))


def refuse(*_: Any) -> None:
    raise AssertionError("no work was expected")


# equality with the reference


@settings(max_examples=settings.default.max_examples // 2)
@given(
    lines=LINES,
    newline=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    config=st.sampled_from([*WORD_CONFIGS, *CHAR_CONFIGS]),
    min_count=st.integers(1, 3),
    max_vocab=st.none() | st.integers(1, 5),
    block_bytes=st.sampled_from([7, 11, 64, 4_000_000]),
    chunk=st.sampled_from([1, 3, 1 << 18]),
)
def test_encoding_equals_the_reference(
    lines: list[str],
    newline: str,
    config: TextConfig,
    min_count: int,
    max_vocab: int | None,
    block_bytes: int,
    chunk: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("encode")
    config = replace(config, min_count=min_count, max_vocab=max_vocab)
    text = newline.join(lines)
    expected = encode(text, config)
    corpus = open_corpus(write_text(folder / "corpus.txt", text))
    blocks = BlockLimits(block_bytes=block_bytes)
    limits = EncodeLimits(blocks=blocks, write_tokens=chunk, chunk_tokens=2 * chunk, chunk_types=chunk)
    if len(expected[0]) == len(SPECIALS):
        with pytest.raises(DataError):
            preprocess(corpus, config, folder / "out", threads=2, limits=limits)
        assert not (folder / "out").exists()
    else:
        assert content(preprocess(corpus, config, folder / "out", threads=2, limits=limits)) == expected


@settings(max_examples=settings.default.max_examples // 5)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=40, max_size=80),
    valid_share=st.sampled_from([0.0, 0.1, 0.25]),
    test_share=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_splits_end_nearest_to_their_shares(
    lengths: list[int], valid_share: float, test_share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    text = "\n".join(" ".join("abc"[k % 3] for k in range(length)) for length in lengths)
    config = TextConfig(min_count=1, valid_share=valid_share, test_share=test_share)
    data = preprocess(open_corpus(write_text(folder / "corpus.txt", text)), config, folder / "out", threads=1)
    assert content(data) == encode(text, config)
    (zero, train_end), (valid_start, valid_end), (test_start, end) = data.meta["splits"].values()
    assert (zero, valid_start, test_start, end) == (0, train_end, valid_end, len(lengths))
    for boundary, share in ((train_end, 1 - valid_share - test_share), (valid_end, 1 - test_share)):
        target = share * data.num_tokens
        assert abs(data.sentences[boundary] - target) <= np.abs(data.sentences - target).min() + 1
    for name, share in (("valid", valid_share), ("test", test_share)):
        first, last = data.meta["splits"][name]
        assert (first < last) == (share > 0)


@pytest.mark.parametrize("file_bytes", [1, 7, 1 << 24])
def test_text_behind_unk_is_counted_by_split(tmp_path: Path, file_bytes: int) -> None:
    lines = ["a a b 한글 한글 é", "a b zebra", "zebra Ω zebra b", "a a 😀 한글 Ω Ω"]
    config = TextConfig(tokenizer="whitespace", min_count=2, valid_share=0.2, test_share=0.3)
    corpus = open_corpus(write_text(tmp_path / "corpus.txt", "\n".join(lines)))
    data = preprocess(corpus, config, tmp_path / "out", limits=EncodeLimits(file_bytes=file_bytes))
    assert data.vocab.words == ["a", "b", "한글", *SPECIALS]
    assert [data.split(name).unknown for name in ("train", "valid", "test")] == [(2, 6), (2, 11), (2, 3)]
    assert data.unknown is None  # of several splits together
    whole = replace(config, valid_share=0.0, test_share=0.0)
    other = open_corpus(write_text(tmp_path / "other.txt", "a <unk> ωb ωb"))
    assert preprocess(other, whole, tmp_path / "other", vocab=data.vocab).unknown == (2, 9)


# equal files for all limits, threads and processes


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("phrases", [0, 1])
def test_types_that_exceed_memory_give_same_files(
    tmp_path: Path, threads: int, phrases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    words = [f"{'long' * (number % 7)}{number:x}é" for number in range(500)]
    lines = [" ".join(chance.choices(words, k=chance.randint(1, 9))) for _ in range(900)]
    corpus = open_corpus(write_text(tmp_path / "corpus.txt", "\n".join(lines) + "\n"))
    config = TextConfig(min_count=2, max_vocab=200, phrases=phrases, phrase_min_count=2, phrase_threshold=1.0)
    limits = small_blocks(300)
    tight = replace(limits, memory_types=40, file_bytes=1000, chunk_types=50)
    flushes, merge = list[int](), ExternalVocabulary.merge

    def merge_and_count(vocab: ExternalVocabulary) -> Any:
        flushes.append(vocab.num_flushed // 40)
        return merge(vocab)

    monkeypatch.setattr(ExternalVocabulary, "merge", merge_and_count)
    whole = preprocess(corpus, config, tmp_path / "whole", limits=limits)
    flushed = preprocess(corpus, config, tmp_path / "flushed", threads=threads, limits=tight)
    assert flushes[0] == 0 and flushes[-1] >= 3, flushes
    assert flushed.digest == whole.digest
    names = [sorted(file.name for file in data.path.iterdir()) for data in (flushed, whole)]
    assert names[0] == names[1]
    config = replace(config, phrases=0)
    given = preprocess(corpus, config, tmp_path / "given", vocab=whole.vocab, limits=tight)
    again = preprocess(corpus, config, tmp_path / "again", vocab=whole.vocab)
    assert given.digest == again.digest


def test_thread_count_does_not_change_the_files(tmp_path: Path) -> None:
    text = "".join(f"w{k * 7 % 31} w{k % 5}{chr(10) * (k % 3 == 0)} " for k in range(2_000))
    corpus = open_corpus(write_text(tmp_path / "corpus.txt", text))
    config = TextConfig(min_count=2, valid_share=0.1, test_share=0.1)
    folders = [
        preprocess(corpus, config, tmp_path / f"out{n}", threads=n, limits=small_blocks(97)).path
        for n in (1, 2, 5)
    ]
    for file in folders[0].iterdir():
        assert {(folder / file.name).read_bytes() for folder in folders} == {file.read_bytes()}


@pytest.mark.slow
def test_nltk_in_processes_equals_the_reference(tmp_path: Path) -> None:
    text = "It's 3.50 $, isn't it?\nYes (it is)!\n\n" * 9
    corpus = open_corpus(write_text(tmp_path / "corpus.txt", text))
    config = TextConfig(tokenizer="toktok", min_count=1)
    limits = EncodeLimits(blocks=BlockLimits(block_bytes=64, line_chars=24))
    expected = encode(text, config)
    assert content(preprocess(corpus, config, tmp_path / "out", threads=2, limits=limits)) == expected
    assert content(preprocess(corpus, config, tmp_path / "alone", threads=1, limits=limits)) == expected


@pytest.mark.parametrize("tokenizer", ["word", "char", "nltk"])
def test_existing_vocabulary_keeps_its_ids_and_counts(tmp_path: Path, tokenizer: Any) -> None:
    config = TextConfig(tokenizer=tokenizer, min_count=1)
    text = write_text(tmp_path / "train.txt", "cat dog cat bird\n" * 6)
    other = write_text(tmp_path / "test.txt", "dog zebra\nbird\n")
    train = preprocess(open_corpus(text), config, tmp_path / "train.tokens")
    test = preprocess(open_corpus(other), config, tmp_path / "t.tokens", vocab=train.vocab)
    assert test.vocab.digest == train.vocab.digest and (test.vocab.counts == train.vocab.counts).all()
    ids = [train.vocab.ids.get(token, train.vocab.num_words) for token in tokenize("dog zebra", config)]
    assert test.tokens[: test.sentences[1]].tolist() == ids


@pytest.mark.parametrize("tokenizer", ["word", "whitespace"])
@pytest.mark.parametrize("types", [1, 1 << 20], ids=["types on disk", "types in memory"])
def test_literal_specials_of_a_text_are_special(tokenizer: Any, types: int, tmp_path: Path) -> None:
    corpus = open_corpus(
        write_text(tmp_path / "corpus.txt", "<eos> the <unk> sat <eos> <eos>\nthe <eos> cat\n" * 2)
    )
    config = TextConfig(tokenizer=tokenizer, min_count=1)
    data = preprocess(corpus, config, tmp_path / "out", limits=EncodeLimits(memory_types=types))
    entries, sentences = content(data)
    assert entries == [("the", 4), ("cat", 2), ("sat", 2), ("<unk>", 2), ("<eos>", 6)]
    assert sentences == [[0, 3, 2], [0], [1]] * 2
    given = preprocess(corpus, config, tmp_path / "given", vocab=data.vocab)
    assert content(given) == (entries, sentences)


# refusals


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ("", {}, "contains no words .empty"),
        (" \n\t\n \u3000\n", {}, "contains no words .empty, or white space"),
        ("?! ...\n", {}, "punctuation only"),
        ("", {"tokenizer": "char"}, "contains no words"),
        ("a a a b b c\n", {}, r"corpus.txt: 0 of 3 words have count >= 5\. "),
        ("a a a b b c\n", {}, "1 would keep 3, --min-count 2 would keep 2, --min-count 3 would keep 1"),
        ("a b c\n", {}, r"0 of 3 words .*--min-count 1 would keep 3\."),
        ("我们明天早上一起去北京大学图书馆看书\n", {}, r"Text without spaces: .*Use --tokenizer jieba"),
        ("<unk> <unk>\n", {"tokenizer": "whitespace"}, "no words but <unk> and <eos>"),
        ("a a a a a a\n", {"valid_share": 0.5}, "single line and cannot be split"),
        ("a a a\na a a\n", {"valid_share": 0.01}, "2 lines, too few for the valid split .0.01 of"),
        ("a\na a a a a a a a\n", {"test_share": 0.99}, "too few for the train split"),
    ],
)  # fmt: skip
def test_unusable_text_raises_data_error(
    text: str, config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    corpus = open_corpus(write_text(tmp_path / "corpus.txt", text))
    with pytest.raises(DataError, match=message) as caught:
        preprocess(corpus, TextConfig(**config), tmp_path / "out")
    assert "corpus.txt" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one_are_refused(tmp_path: Path, threads: int) -> None:
    with pytest.raises(ConfigError, match=rf"threads: is {threads}\. Use 1 or more"):
        preprocess(open_corpus(small_corpus(tmp_path)), TextConfig(), tmp_path / "out", threads=threads)


def test_changed_corpus_is_refused(tmp_path: Path) -> None:
    path = small_corpus(tmp_path)

    def grow(_: EncodeProgress) -> None:
        with path.open("a") as stream:
            stream.write("more\n")

    with pytest.raises(DataError, match="changed during reading"):
        preprocess(open_corpus(path), TextConfig(), tmp_path / "out", progress=grow)


def test_existing_output_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    before = preprocess(corpus, TextConfig(), tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(Corpus, "blocks", refuse)
        with pytest.raises(ConfigError, match=r"already exists\. .*--force"):
            preprocess(corpus, TextConfig(), tmp_path / "out")
    after = preprocess(corpus, TextConfig(max_vocab=2), tmp_path / "out", force=True)
    assert len(before.vocab) > len(after.vocab) == 4
    assert before.tokens.max() == before.vocab.num_words - 1, "an open dataset stays readable"


def test_full_disk_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    monkeypatch.setattr(Corpus, "blocks", refuse)
    with pytest.raises(ResourceError, match="needs about"):
        preprocess(corpus, TextConfig(), tmp_path / "out")


# the result


def test_preprocess_writes_expected_files(tmp_path: Path) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    config = TextConfig(min_count=1, max_vocab=3, valid_share=0.2)
    data = preprocess(corpus, config, tmp_path / "out")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["MANIFEST.json", "meta.json", "sentences.npy", "tokens.npy", "vocab.tsv"]
    assert (tmp_path / "out/vocab.tsv").read_text() == (
        "word\tcount\tspecials=2\nthe\t12\ncat\t4\nend\t4\n<unk>\t12\n<eos>\t12\n"
    )
    assert data.tokens[:8].tolist() == [0, 1, 3, 3, 0, 3, 0, 2]
    assert data.meta["splits"] == {"train": [0, 12], "valid": [12, 15], "test": [15, 15]}
    assert data.meta["content_key"] == corpus.content_key()
    assert data.config == config


def test_invalid_bytes_cause_a_notice(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_bytes(b"a b \xff c\n" * 5)
    data = preprocess(open_corpus(tmp_path / "corpus.txt"), TextConfig(), tmp_path / "out")
    assert data.meta["read"]["invalid_bytes"] == 5
    assert any("invalid" in notice for notice in data.meta["notices"])


def test_text_without_spaces_causes_a_notice(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("彼は毎朝早く起きて近くの公園を散歩します\n" * 5, "utf-8")
    corpus = open_corpus(tmp_path / "corpus.txt")
    (notice,) = preprocess(corpus, TextConfig(), tmp_path / "words").meta["notices"]
    assert notice.startswith("Text without spaces: words have 20 letters on average. Use --tokenizer fugashi")
    assert not preprocess(corpus, TextConfig(tokenizer="char"), tmp_path / "letters").meta["notices"]


def test_progress_ends_with_all_bytes_and_tokens(tmp_path: Path) -> None:
    path, seen = small_corpus(tmp_path), list[EncodeProgress]()
    corpus, limits = open_corpus(path), small_blocks(20)
    data = preprocess(corpus, TextConfig(), tmp_path / "out", progress=seen.append, limits=limits)
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == (path.stat().st_size, path.stat().st_size, data.num_tokens)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_stopped_encoding_leaves_no_files(error: type[BaseException], tmp_path: Path) -> None:
    def stop(_: EncodeProgress) -> None:
        raise error("stop")

    corpus = open_corpus(small_corpus(tmp_path))
    with pytest.raises(ResourceError if error is OSError else error):
        preprocess(corpus, TextConfig(), tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_garbage_collector_is_restored(
    tmp_path: Path, was_on: bool, error: type[BaseException] | None
) -> None:
    seen = []

    def look(_: EncodeProgress) -> None:
        seen.append(gc.isenabled())
        if error is not None:
            raise error

    corpus = open_corpus(small_corpus(tmp_path))
    (gc.enable if was_on else gc.disable)()
    try:
        with pytest.raises(error) if error else nullcontext():
            preprocess(corpus, TextConfig(), tmp_path / "out", progress=look)
        assert (seen[0], gc.isenabled()) == (False, was_on)
    finally:
        gc.enable()


INTERRUPTED_WRITE = """
import time
import numpy as np
from nlpseq import TextConfig, open_corpus, preprocess
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.storage.arrays import NpyWriter

def stop(*_):
    raise KeyboardInterrupt

def take_late(ids, tokens, take=np.take):
    NpyWriter.append = stop
    time.sleep(0.2)
    return take(ids, tokens)

np.take = take_late
limits = EncodeLimits(write_tokens=1 << 14)
preprocess(open_corpus("corpus.txt"), TextConfig(min_count=1), "out", limits=limits)
"""


@pytest.mark.slow
def test_interrupt_during_final_ids_reads_no_truncated_file(tmp_path: Path) -> None:
    """A thread that reads a mapped file after its truncation would die of SIGBUS."""
    write_text(tmp_path / "corpus.txt", "a b c d e f g h\n" * 9000)
    command = [sys.executable, "-c", INTERRUPTED_WRITE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in done.stderr and done.returncode != -signal.SIGBUS
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.txt"]


@pytest.mark.parametrize(
    ("settings", "num_notices"), [({}, 1), ({"tokenizer": "whitespace"}, 0), ({"tokenizer": "char"}, 0)]
)
def test_korean_words_are_noted_for_the_word_tokenizer(
    tmp_path: Path, settings: Any, num_notices: int
) -> None:
    corpus = open_corpus(write_text(tmp_path / "a.txt", "나는 학교에서 밥을 먹었다 then\n" * 30))
    data = preprocess(corpus, TextConfig(**settings), tmp_path / "out")
    assert [each.startswith("note: Korean text") for each in data.meta["notices"]] == [True] * num_notices
    again = preprocess(corpus, TextConfig(**settings), tmp_path / "again", vocab=data.vocab)
    assert again.meta["notices"] == []  # because the vocabulary decides the tokenizer
