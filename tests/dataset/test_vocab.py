"""Vocab: exact pruning, a file for every character, a digest that depends on words and order."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nlpseq.dataset.vocab import EOS, SPECIALS, UNK, Vocab, prune
from nlpseq.errors import ArtifactError

ANY_TEXT = st.text(st.characters(), max_size=8)  # lone surrogates, control characters and astral planes too
HARD_WORDS = [
    *(
        "a\tb",
        "a\nb",
        "a\r\nb",
        "\\",
        "\\t",
        "\\\\n",
        "\\u2028",
        "\u2028",
        "\u2029",
        "\x85",
        "\xa0",
        "\u3000",
        "",
    ),
    *(" ", "\x00", "\x1b[31m", "\ud800", "\udc80", "\udcc3\udca9", "é", "\ud83d\ude00", "😀", UNK, EOS),
]


def vocab_of(words: list[str], num_specials: int = 0) -> Vocab:
    return Vocab(words, np.arange(len(words), 0, -1), num_specials)


def assert_round_trip(words: list[str], file: Path) -> None:
    vocab_of(words).save(file)
    loaded = Vocab.load(file)
    assert loaded.words == words
    assert loaded.counts.tolist() == list(range(len(words), 0, -1))
    assert len(file.read_text("utf-8").splitlines()) == 1 + len(words), "a word shows as one line everywhere"


@given(words=st.lists(ANY_TEXT, max_size=20))
def test_save_and_load_any_words(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    assert_round_trip(words, tmp_path_factory.mktemp("vocab") / "vocab.tsv")


def test_save_and_load_special_characters(tmp_path: Path) -> None:
    assert_round_trip(HARD_WORDS, tmp_path / "vocab.tsv")


def test_save_writes_readable_tsv(tmp_path: Path) -> None:
    vocab = Vocab(["the", "café\t\\", "\u2028", UNK, EOS], np.array([7, 2, 1, 3, 4]), 2)
    vocab.save(tmp_path / "vocab.tsv")
    expected = "word\tcount\tspecials=2\nthe\t7\ncafé\\t\\\\\t2\n\\u2028\t1\n<unk>\t3\n<eos>\t4\n"
    assert (tmp_path / "vocab.tsv").read_text("utf-8") == expected
    loaded = Vocab.load(tmp_path / "vocab.tsv")
    assert (loaded.num_words, len(loaded), loaded.num_specials) == (3, 5, 2)
    assert loaded.without_specials().words == ["the", "café\t\\", "\u2028"]


def test_digest_depends_on_words_and_order_only() -> None:
    assert vocab_of(["a", "b"]).digest == Vocab(["a", "b"], np.array([9, 9])).digest
    digests = {
        vocab_of(words).digest for words in (["a", "b"], ["b", "a"], ["a\nb"], ["a\\nb"], ["ab"], [], [""])
    }
    assert len(digests) == 7


@given(first=st.lists(ANY_TEXT, max_size=4), second=st.lists(ANY_TEXT, max_size=4))
def test_equal_digests_mean_equal_words(first: list[str], second: list[str]) -> None:
    assert (vocab_of(first).digest == vocab_of(second).digest) == (first == second)


def test_equal_words_have_the_id_of_the_first() -> None:
    vocab = vocab_of(["a", "b", "a"])
    assert vocab.ids == {"a": 0, "b": 1}
    assert "b" in vocab and "c" not in vocab


@given(
    tokens=st.lists(st.sampled_from([*"abBé", "zz", "eightbytes", "eightbyte", UNK, EOS]), max_size=60),
    max_vocab=st.none() | st.integers(1, 7),
)
def test_prune_keeps_the_most_frequent(tokens: list[str], max_vocab: int | None) -> None:
    counts = Counter(tokens)
    types, numbers = list(counts), np.array(list(counts.values()), np.int64)
    spelled = [word.encode() for word in types]
    words = [types[number] for number in prune(spelled, numbers, max_vocab)]
    allowed = [word for word in counts if word not in SPECIALS]
    assert len(words) == min(len(allowed), len(allowed) if max_vocab is None else max_vocab)
    rank = {word: (-counts[word], word) for word in allowed}
    assert [rank[word] for word in words] == sorted(rank.values())[: len(words)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a vocabulary"),
        (b"the\t7\n", "not a vocabulary"),
        (b"word\tcount\tspecials=0\nthe\t7\nof\t", "truncated"),
        (b"word\tcount\tspecials=0\nthe 7\n", "not a vocabulary"),
        (b"word\tcount\tspecials=0\nthe\tmany\n", "not a vocabulary"),
        (b"word\tcount\tspecials=0\nthe\t99999999999999999999\n", "not a vocabulary"),
        (b"word\tcount\tspecials=0\na\\x\t7\n", "not a vocabulary"),
        (b"word\tcount\tspecials=0\na\\\t7\n", "not a vocabulary"),
        (b"word\tcount\tspecials=0\n\xff\t7\n", "not a vocabulary"),
        (b"word\tcount\tspecials=2\nthe\t7\n", "has 2 specials among 1 words"),
        (b"word\tcount\tspecials=-1\nthe\t7\n", "has -1 specials"),
    ],
)
def test_corrupt_file_is_refused_by_name(content: bytes, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "vocab.tsv"
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=complaint) as caught:
        Vocab.load(file)
    assert str(file) in str(caught.value)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"vocab\.tsv: is not a vocabulary"):
        Vocab.load(tmp_path / "vocab.tsv")
