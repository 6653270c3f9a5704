"""Encoding equals a plain reference for every setting, block size and number of threads; cached; atomic."""

import gc
import io
import os
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from nlpseq.config import TextConfig
from nlpseq.dataset import (
    _hash_table_numba as _encode_numba,
    _lines,
    _spill,
    encode,
    external_vocab as _provisional,
    parallel as _blocks,
    vocab_builder as _choose,
)
from nlpseq.dataset.encode import EncodeProgress, cached_dataset, preprocess
from nlpseq.dataset.parallel import block_tokenizer
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import SPECIALS
from nlpseq.errors import ConfigError, DataError, ResourceError, RunError
from nlpseq.reading import blocks as _cut
from nlpseq.reading.corpus import Block, open_corpus
from nlpseq.reading.decode import UTF_8
from nlpseq.tokenizers.word import char_classes, tokenize

FAST = [
    TextConfig(tokenizer=tokenizer, lower=lower, punctuation=punctuation, min_count=1)
    for tokenizer, punctuation in (("word", False), ("word", True), ("whitespace", False), ("char", False))
    for lower in (True, False)
]
TRICKY = st.text(
    st.sampled_from("aAbÀßΣςΟİıſⅧ1_'’ʼ‘.,-\u0300\u0307\u0345\xad\u200d \t\n\r\x1c\x85\xa0\u2028😀한か")
)
ANY_TEXT = (
    st.text(st.characters()) | TRICKY | st.lists(TRICKY | st.text(st.characters(), max_size=3)).map("".join)
)


def ids_of(config: TextConfig) -> str:
    return f"{config.tokenizer}-{'lower' if config.lower else 'case'}{'-punctuation' * config.punctuation}"


def reference(text: str, config: TextConfig) -> tuple[list[tuple[str, int]], list[list[int]]]:
    """Vocabulary entries with counts, and the ids of each sentence: all of encoding, in plain Python."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " "))
    sentences = [tokens for line in text.split("\n") if (tokens := tokenize(line, config))]
    starts = np.cumsum([0, *map(len, sentences)])
    target = round(int(starts[-1]) * (1 - config.test_share - config.valid_share))
    train = sentences[: int(np.abs(starts - target).argmin())]
    counts = Counter(token for sentence in train for token in sentence)
    words = [word for word, count in counts.items() if count >= config.min_count and word not in SPECIALS]
    words = sorted(words, key=lambda word: (-counts[word], word))[: config.max_vocab]
    ids = {word: word_id for word_id, word in enumerate(words)}
    unknown = counts.total() - sum(counts[word] for word in words)
    entries = [(word, counts[word]) for word in words] + [("<unk>", unknown), ("<eos>", len(train))]
    return entries, [[ids.get(token, len(words)) for token in sentence] for sentence in sentences]


def content(data: TokenDataset) -> tuple[list[tuple[str, int]], list[list[int]]]:
    entries = list(zip(data.vocab.words, data.vocab.counts.tolist(), strict=True))
    bounds = data.sentences.tolist()
    tokens = data.tokens.tolist()
    return entries, [tokens[start:end] for start, end in pairwise(bounds)]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


# the fast tokenizers against tokenize()


def assert_tokens_of_lines(text: str, config: TextConfig) -> None:
    assert_tokens_of_blocks([text], config)


def assert_tokens_of_blocks(texts: list[str], config: TextConfig) -> None:
    tokenize_block, known = block_tokenizer(config), dict[object, list[str]]()
    for text in texts:
        found = tokenize_block(text.encode(*UTF_8))
        types = known.get(found.table, []) + found.types.decode(*UTF_8).split("\n")[:-1]
        if found.table is not None:
            known[found.table] = types
        lines = [tokenize(line, config) for line in text.split("\n")]
        assert [types[type_id] for type_id in found.ids] == list(chain.from_iterable(lines))
        assert found.lengths.tolist() == [len(line) for line in lines]


@pytest.mark.parametrize("config", FAST, ids=ids_of)
@settings(deadline=None, derandomize=True, max_examples=200)
@given(text=ANY_TEXT)
def test_a_block_gives_the_tokens_of_each_of_its_lines(text: str, config: TextConfig) -> None:
    assert_tokens_of_lines(text, config)


@pytest.mark.parametrize(
    "text", ["", "'", "a'", "a’", "a'b", "é", "한", "😀", "a'😀", "’’", "\n", "a\n", "ΑΣ.Α"]
)
@pytest.mark.parametrize("config", FAST, ids=ids_of)
def test_a_block_may_end_anywhere(text: str, config: TextConfig) -> None:
    assert_tokens_of_lines(text, config)


@pytest.mark.parametrize("config", FAST, ids=ids_of)
def test_ascii_is_cut_alike_in_stretches_and_by_characters(config: TextConfig) -> None:
    for seed in range(300):
        draw = random.Random(seed)
        text = draw.choices("abC9''. \n", k=draw.randrange(60, 600))  # all but its end is in stretches
        for _ in range(seed % 4):
            text[draw.randrange(len(text))] = draw.choice("é’\u2028한😀")  # which the next ones begin behind
        assert_tokens_of_lines("".join(text), config)


@pytest.mark.parametrize("behind", ["é", "한", "😀", "\u2028", "'", "a", "."])
@pytest.mark.parametrize("config", FAST, ids=ids_of)
def test_a_stretch_may_end_with_an_apostrophe(behind: str, config: TextConfig) -> None:
    for length in range(55, 70):
        assert_tokens_of_lines(f"{'x' * length}'{behind}b c {'d' * 80}", config)


@pytest.mark.parametrize("config", FAST, ids=ids_of)
def test_thousands_of_types_grow_the_table(config: TextConfig) -> None:
    words = (f"w{k * k % 20_011}{chr(0xAC00 + k % 9_000)}" for k in range(30_000))
    assert_tokens_of_lines(" ".join(words), config)


@pytest.mark.parametrize("config", FAST, ids=ids_of)
@settings(deadline=None, derandomize=True, max_examples=50)
@given(texts=st.lists(ANY_TEXT, max_size=6), most_types=st.sampled_from([1, 2, 5, 1000]))
def test_numbers_go_on_from_block_to_block(texts: list[str], most_types: int, config: TextConfig) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "MOST_TYPES", most_types)
        assert_tokens_of_blocks(texts, config)


@pytest.mark.parametrize("config", [c for c in FAST if c.tokenizer != "char"], ids=ids_of)
def test_tokens_about_as_long_as_their_keys_are_told_apart(config: TextConfig) -> None:
    stems, lengths = ("abcdefghijklmnopqrst", "bbcdefghijklmnopqrst"), (6, 7, 8, 13, 14, 15, 16)
    words = [stem[:length] + end for stem in stems for length in lengths for end in "xyz"]
    zeros = "\0a a \0\0a aa"
    assert_tokens_of_blocks(
        [" ".join(words), " ".join(reversed(words)), "é" * 4 + " " + "é" * 5, zeros], config
    )


def test_long_tokens_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A factor of 0 makes one hash of all."""
    monkeypatch.setattr(_encode_numba, "SECRET", (np.uint64(0), np.uint64(0)))
    words = [
        b"as long as sixteen bytes",
        b"as long as sixteen bytez",
        b"as short as 17..",
        b"and another of these",
    ]
    ids, types = _encode_numba.number_lines(b"\n".join([*words, words[1], b""]), _encode_numba.no_types())
    assert len({tuple(key) for key in types.keys_S2.tolist()}) == 2, "zeros and one hash"
    assert ids.tolist() == [0, 1, 2, 3, 1]
    assert _encode_numba.spelled(types) == b"\n".join([*words, b""])


@pytest.mark.parametrize(
    "pattern",
    ["{}", "{:07d}", "{:x}word", "a long word in front of {}", "{:020d}", "{}a long word behind", "é{}é"],
)
def test_tokens_that_are_alike_fall_into_different_places(pattern: str) -> None:
    lines = "".join(pattern.format(number) + "\n" for number in range(1 << 16)).encode()
    places = _encode_numba.parts_of_lines(lines, 1 << 16)
    taken = len(np.unique(places)) / (1 << 16)
    assert taken == pytest.approx(1 - np.exp(-1), abs=0.01), "as many as chance would take"


def test_types_of_one_part_fill_all_of_a_table() -> None:
    lines = [f"word{number}\n".encode() for number in range(1 << 16)]
    parts = _encode_numba.parts_of_lines(b"".join(lines), 8)
    in_part = b"".join(line for line, part in zip(lines, parts, strict=True) if part == 3)
    _, types = _encode_numba.number_lines(in_part, _encode_numba.no_types())
    used = (types.keys_S2[:, 1] != 0).reshape(8, -1).sum(axis=1)
    assert used / used.mean() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("config", [c for c in FAST if c.tokenizer != "char"], ids=ids_of)
def test_very_long_tokens_grow_what_they_fill_alone(config: TextConfig) -> None:
    words = [f"{k}{'x' * 9_000}{k}" for k in range(30)]
    assert_tokens_of_blocks([" ".join(words), " ".join(reversed(words)) + " " + "y" * 50_000], config)
    types = _encode_numba.no_types()
    _, grown = _encode_numba.number_lines("".join(f"{word}\n" for word in words).encode(), types)
    assert len(grown.keys_S2) == len(types.keys_S2) and len(grown.bytes_B) > len(types.bytes_B)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("phrases", [0, 1])
def test_types_that_memory_has_no_room_for_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, phrases: int
) -> None:
    chance = random.Random(1)
    words = [f"{'long' * (number % 7)}{number:x}é" for number in range(500)]
    lines = [" ".join(chance.choices(words, k=chance.randint(1, 9))) for _ in range(900)]
    corpus = open_corpus(write(tmp_path / "corpus.txt", "\n".join(lines) + "\n"))
    config = TextConfig(min_count=2, max_vocab=200, phrases=phrases, phrase_min_count=2, phrase_threshold=1.0)
    monkeypatch.setattr(_cut, "BLOCK_BYTES", 300)
    whole = preprocess(corpus, config, tmp_path / "whole")
    monkeypatch.setattr(_spill, "MOST_HELD", 40)
    sizes, empty = [], _spill.Spill._empty

    def empty_and_look(types: _spill.Spill) -> None:
        empty(types)
        sizes.append(types.file.stat().st_size)

    monkeypatch.setattr(_spill.Spill, "_empty", empty_and_look)
    monkeypatch.setattr(_lines, "CHUNK", 1000)
    monkeypatch.setattr(_spill, "CHUNK", 1000)
    monkeypatch.setattr(_choose, "STRETCH", 50)
    spilled = preprocess(corpus, config, tmp_path / "spilled", threads=threads)
    assert len(sizes) >= 10 and sizes == sorted(set(sizes)), "every time the file of types has grown"
    assert spilled.digest == whole.digest
    assert sorted(file.name for file in spilled.path.iterdir()) == sorted(
        file.name for file in whole.path.iterdir()
    )
    given = preprocess(corpus, replace(config, phrases=0), tmp_path / "given", vocab=whole.vocab)
    monkeypatch.undo()
    again = preprocess(corpus, replace(config, phrases=0), tmp_path / "again", vocab=whole.vocab)
    assert given.digest == again.digest


@pytest.mark.parametrize("token", ["", "a\nb", "\n"])
def test_a_tokenizer_that_gives_no_line_is_noticed(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "tokenize", lambda *_: ["a", token])
    with pytest.raises(AssertionError, match="empty or more than a line"):
        block_tokenizer(TextConfig(tokenizer="toktok"))(b"some text")


@pytest.mark.parametrize("config", [c for c in FAST if c.tokenizer != "char"], ids=ids_of)
def test_no_character_changes_its_class_with_its_case(config: TextConfig) -> None:
    classes = char_classes(config).tolist()
    for code in range(sys.maxunicode + 1):
        for low in chr(code).lower():
            assert classes[ord(low)] == classes[code], f"U+{code:04X}"


# the whole way against the reference


WORDS = st.sampled_from(["a", "A", "b", "b", "c", "it's", "ΟΣ", "é", "é", "한글", "😀", ",", "<unk>", "’"])
LINES = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=12)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    lines=LINES,
    newline=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    config=st.sampled_from(FAST),
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
    expected = reference(text, config)
    corpus = open_corpus(write(folder / "corpus.txt", text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cut, "BLOCK_BYTES", block_bytes)
        patch.setattr(_provisional, "CHUNK", chunk)
        patch.setattr(_provisional, "MOST", 2 * chunk)
        if len(expected[0]) == len(SPECIALS):
            with pytest.raises(DataError):
                preprocess(corpus, config, folder / "out", threads=2)
            assert not (folder / "out").exists()
        else:
            assert content(preprocess(corpus, config, folder / "out", threads=2)) == expected


def test_any_number_of_threads_writes_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cut, "BLOCK_BYTES", 97)
    text = "".join(f"w{k * 7 % 31} w{k % 5}{chr(10) * (k % 3 == 0)} " for k in range(2_000))
    corpus = open_corpus(write(tmp_path / "corpus.txt", text))
    config = TextConfig(min_count=2, valid_share=0.1, test_share=0.1)
    folders = [preprocess(corpus, config, tmp_path / f"out{n}", threads=n).path for n in (1, 2, 5)]
    for file in folders[0].iterdir():
        assert {(folder / file.name).read_bytes() for folder in folders} == {file.read_bytes()}


@pytest.mark.slow
def test_tokenizers_of_nltk_run_in_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cut, "BLOCK_BYTES", 64)
    text = "It's 3.50 $, isn't it?\nYes (it is)!\n\n" * 9
    corpus = open_corpus(write(tmp_path / "corpus.txt", text))
    config = TextConfig(tokenizer="toktok", min_count=1)
    assert content(preprocess(corpus, config, tmp_path / "out", threads=2)) == reference(text, config)
    assert content(preprocess(corpus, config, tmp_path / "alone", threads=1)) == reference(text, config)


def test_a_broken_process_says_what_to_do() -> None:
    future: Future[_blocks.TokenBlock] = Future()
    future.set_exception(BrokenProcessPool("gone"))
    with pytest.raises(RunError, match=r"memory ran out, or a script .*--threads 1"):
        _blocks._finished(future)


def test_blocks_are_taken_in_order_and_never_many_at_once() -> None:
    taken = 0

    def blocks() -> Iterator[Block]:
        nonlocal taken
        for taken in range(1, 41):
            yield Block(f"w{taken}".encode(), False, taken)

    for number, (block, found) in enumerate(_blocks.tokenized(blocks(), FAST[0], 3), 1):
        assert block.data + b"\n" == found.types == f"w{number}\n".encode()
        assert taken - number < 2 * 3


# splits


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=40, max_size=80),
    valid_share=st.sampled_from([0.0, 0.1, 0.25]),
    test_share=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_splits_are_neighbours_nearest_to_their_shares(
    lengths: list[int], valid_share: float, test_share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    text = "\n".join(" ".join("abc"[k % 3] for k in range(length)) for length in lengths)
    config = TextConfig(min_count=1, valid_share=valid_share, test_share=test_share)
    data = preprocess(open_corpus(write(folder / "corpus.txt", text)), config, folder / "out", threads=1)
    assert content(data) == reference(text, config)
    (zero, train_end), (valid_start, valid_end), (test_start, end) = data.meta["splits"].values()
    assert (zero, valid_start, test_start, end) == (0, train_end, valid_end, len(lengths))
    for boundary, share in ((train_end, 1 - valid_share - test_share), (valid_end, 1 - test_share)):
        target = share * data.num_tokens
        assert abs(data.sentences[boundary] - target) <= np.abs(data.sentences - target).min() + 1
    for name, share in (("valid", valid_share), ("test", test_share)):
        first, last = data.meta["splits"][name]
        assert (first < last) == (share > 0)


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ("", {}, "holds no words: it is empty"),
        (" \n\t\n \u3000\n", {}, "holds no words: it is empty, or white space"),
        ("?! ...\n", {}, "punctuation only"),
        ("", {"tokenizer": "char"}, "holds no words"),
        ("a a a b b c\n", {}, r"0 of 3 words of .*corpus.txt have count >= 5\. "),
        ("a a a b b c\n", {}, "1 would keep 3, --min-count 2 would keep 2, --min-count 3 would keep 1"),
        ("a b c\n", {}, r"0 of 3 words .*--min-count 1 would keep 3\."),
        ("<unk> <unk>\n", {"tokenizer": "whitespace"}, "no words but <unk> and <eos>"),
        ("a a a a a a\n", {"valid_share": 0.5}, "single line and cannot be split"),
        ("a a a\na a a\n", {"valid_share": 0.01}, "2 lines, which leaves none for the valid split .0.01 of"),
        ("a\na a a a a a a a\n", {"test_share": 0.99}, "none for the train split"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_used_says_why(
    text: str, config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    corpus = open_corpus(write(tmp_path / "corpus.txt", text))
    with pytest.raises(DataError, match=message) as caught:
        preprocess(corpus, TextConfig(**config), tmp_path / "out")
    assert "corpus.txt" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


# the folder


def small_corpus(tmp_path: Path) -> Path:
    return write(tmp_path / "corpus.txt", "the cat sat\non the mat\n\nthe end\n" * 5)


def refuse(*_: Any) -> None:
    raise AssertionError("no work was expected")


def test_the_files_are_what_a_person_expects(tmp_path: Path) -> None:
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


def test_invalid_bytes_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_bytes(b"a b \xff c\n" * 5)
    data = preprocess(open_corpus(tmp_path / "corpus.txt"), TextConfig(), tmp_path / "out")
    assert data.meta["read"]["invalid_bytes"] == 5
    assert any("invalid" in notice for notice in data.meta["notices"])


def test_progress_ends_with_all_bytes_and_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cut, "BLOCK_BYTES", 20)
    path = small_corpus(tmp_path)
    heard: list[EncodeProgress] = []
    data = preprocess(open_corpus(path), TextConfig(), tmp_path / "out", progress=heard.append)
    assert len(heard) > 5
    assert heard == sorted(heard)
    assert heard[-1] == (path.stat().st_size, path.stat().st_size, data.num_tokens)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_what_is_stopped_halfway_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    def stop(_: EncodeProgress) -> None:
        raise error("stop")

    corpus = open_corpus(small_corpus(tmp_path))
    with pytest.raises(ResourceError if error is OSError else error):
        preprocess(corpus, TextConfig(), tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_unused_objects_are_searched_for_again_afterwards(
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


STOPPED_WHILE_OTHERS_READ = """
import time
import numpy as np
from nlpseq import TextConfig, open_corpus, preprocess
from nlpseq.storage import arrays as npy
from nlpseq.dataset import external_vocab as _provisional

def stop(*_):
    raise KeyboardInterrupt

def take_late(ids, tokens, take=np.take):
    npy.NpyWriter.append = stop
    time.sleep(0.2)
    return take(ids, tokens)

_provisional.CHUNK, _provisional.np.take = 1 << 14, take_late
preprocess(open_corpus("corpus.txt"), TextConfig(min_count=1), "out")
"""


def test_stopping_while_ids_are_made_final_cuts_no_file_that_is_read(tmp_path: Path) -> None:
    write(tmp_path / "corpus.txt", "a b c d e f g h\n" * 9000)
    command = [sys.executable, "-c", STOPPED_WHILE_OTHERS_READ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.txt"]


def test_an_existing_output_is_kept_without_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    before = preprocess(corpus, TextConfig(), tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(encode, "tokenized", refuse)
        with pytest.raises(ConfigError, match=r"already exists\. Use --force"):
            preprocess(corpus, TextConfig(), tmp_path / "out")
    after = preprocess(corpus, TextConfig(max_vocab=2), tmp_path / "out", force=True)
    assert len(before.vocab) > len(after.vocab) == 4
    assert before.tokens.max() == before.vocab.num_words - 1, "what was open stays readable"


def test_a_full_disk_is_noticed_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    monkeypatch.setattr(encode, "tokenized", refuse)
    with pytest.raises(ResourceError, match="needs about"):
        preprocess(corpus, TextConfig(), tmp_path / "out")


def test_a_corpus_that_changes_under_way_is_refused(tmp_path: Path) -> None:
    path = small_corpus(tmp_path)

    def grow(_: EncodeProgress) -> None:
        with path.open("a") as stream:
            stream.write("more\n")

    with pytest.raises(DataError, match="changed while it was read"):
        preprocess(open_corpus(path), TextConfig(), tmp_path / "out", progress=grow)


def test_no_thread_is_no_number_of_threads(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads is 0"):
        preprocess(open_corpus(small_corpus(tmp_path)), TextConfig(), tmp_path / "out", threads=0)


# the cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache/tokens"


def test_a_text_that_is_gone_is_named(cache: Path, tmp_path: Path) -> None:
    path = small_corpus(tmp_path)
    corpus = open_corpus(path)
    path.unlink()
    with pytest.raises(DataError, match=r"corpus\.txt cannot be read"):
        cached_dataset(corpus, TextConfig())


def test_a_second_run_reads_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_corpus(tmp_path)
    first = cached_dataset(open_corpus(path), TextConfig())
    inode = first.path.stat().st_ino
    monkeypatch.setattr(encode, "tokenized", refuse)
    second = cached_dataset(open_corpus(write(tmp_path / "same.txt", path.read_text())), TextConfig())
    assert content(second) == content(first)
    assert second.path.stat().st_ino == inode
    assert len(list(cache.iterdir())) == 1


def test_another_text_or_setting_is_another_entry(cache: Path, tmp_path: Path) -> None:
    path = small_corpus(tmp_path)
    first = cached_dataset(open_corpus(path), TextConfig())
    stat = path.stat()
    write(path, path.read_text().replace("cat", "rat", 1))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    changed = cached_dataset(open_corpus(path), TextConfig(min_count=1))
    assert "rat" in changed.vocab and "rat" not in first.vocab
    cached_dataset(open_corpus(path), TextConfig())
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("name", ["tokens.npy", "meta.json", "MANIFEST.json"])
def test_a_damaged_entry_is_made_anew_with_a_notice(name: str, cache: Path, tmp_path: Path) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    first = cached_dataset(corpus, TextConfig())
    expected = content(first)
    damaged = (first.path / name).read_bytes()
    (first.path / name).unlink()
    (first.path / name).write_bytes(damaged[:-1] + bytes([damaged[-1] ^ 1]))
    second = cached_dataset(corpus, TextConfig())
    assert content(second) == expected
    assert any("damaged" in notice and name in notice for notice in second.meta["notices"])
    assert cached_dataset(corpus, TextConfig()).meta["notices"] == []
    assert len(list(cache.iterdir())) == 1


def test_the_slower_of_two_runs_takes_what_the_faster_made(cache: Path, tmp_path: Path) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    faster = []

    def overtake(_: EncodeProgress) -> None:
        faster.append(cached_dataset(corpus, TextConfig()))

    slower = cached_dataset(corpus, TextConfig(), progress=overtake)
    assert slower.path == faster[0].path
    assert content(slower) == content(faster[0])
    assert [path.name for path in cache.iterdir()] == [slower.path.name]


def test_text_that_changes_once_it_was_looked_up_gets_its_own_entry(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_corpus(tmp_path)
    text = path.read_text()
    cached_dataset(open_corpus(path), TextConfig())
    write(path, text.replace("cat", "rat"))
    corpus = open_corpus(path)
    look_up = corpus.content_key

    def change_after() -> str | None:
        key = look_up()
        write(path, text.replace("cat", "bat"))
        return key

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "content_key", change_after)
        assert "bat" in cached_dataset(corpus, TextConfig()).vocab
    for word in ("cat", "rat", "bat"):
        write(path, text.replace("cat", word))
        assert word in cached_dataset(open_corpus(path), TextConfig()).vocab


def test_a_text_of_another_size_is_not_read_twice(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_corpus(tmp_path)
    cached_dataset(open_corpus(path), TextConfig())
    write(path, path.read_text() + "one more line\n")
    corpus = open_corpus(path)
    monkeypatch.setattr(corpus, "content_key", refuse)
    assert cached_dataset(corpus, TextConfig()).num_sentences
    with pytest.raises(AssertionError):
        cached_dataset(corpus, TextConfig())


def test_the_same_text_from_a_pipe_is_stored_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = content(preprocess(open_corpus(small_corpus(tmp_path)), TextConfig(), tmp_path / "out"))
    for _ in range(2):
        text = io.TextIOWrapper(io.BytesIO((tmp_path / "corpus.txt").read_bytes()))
        monkeypatch.setattr(sys, "stdin", text)
        data = cached_dataset(open_corpus("-"), TextConfig())
        assert content(data) == expected
        assert [path.name for path in cache.iterdir()] == [data.path.name]


def test_a_copy_of_a_text_in_the_cache_is_called_by_its_own_name(tmp_path):
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("some words of a copy\n" * 6)
    found = [cached_dataset(open_corpus(tmp_path / name), TextConfig()) for name in ("one.txt", "two.txt")]
    assert found[0].path == found[1].path
    assert [each.meta["corpus"] for each in found] == [str(tmp_path / "one.txt"), str(tmp_path / "two.txt")]


@pytest.mark.parametrize("tokenizer", ["word", "char", "nltk"])
def test_a_vocabulary_that_is_given_is_used_as_it_is(tmp_path, tokenizer):
    """Words it has not are <unk>, those the text has not keep their ids, and its counts stay."""
    (tmp_path / "train.txt").write_text("cat dog cat bird\n" * 6)
    (tmp_path / "test.txt").write_text("dog zebra\nbird\n")
    config = TextConfig(tokenizer=tokenizer, min_count=1)
    train = preprocess(open_corpus(tmp_path / "train.txt"), config, tmp_path / "train.tokens")
    test = preprocess(open_corpus(tmp_path / "test.txt"), config, tmp_path / "t.tokens", vocab=train.vocab)
    assert test.vocab.digest == train.vocab.digest and (test.vocab.counts == train.vocab.counts).all()
    ids = [train.vocab.ids.get(token, train.vocab.num_words) for token in tokenize("dog zebra", config)]
    assert test.tokens[: test.sentences[1]].tolist() == ids
    cached = cached_dataset(open_corpus(tmp_path / "test.txt"), config, vocab=train.vocab)
    own = cached_dataset(open_corpus(tmp_path / "test.txt"), config)
    assert cached.path != own.path and cached.vocab.digest != own.vocab.digest
