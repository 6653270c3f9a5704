"""A mapped vocabulary has the words of its file without a string of each."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from support.vocabularies import PLAIN_WORDS, random_vectors, vocab_of

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.vectors.mapped_vocab import MappedVocab, index_words


def mapped(file: Path, vocab: Vocab) -> MappedVocab:
    vocab.save(file)
    return MappedVocab(file, index_words(file))


def test_mapped_vocabulary_equals_the_loaded_one(tmp_path: Path) -> None:
    for words, _ in random_vectors():
        vocab = vocab_of(words)
        found = mapped(tmp_path / "vocab.tsv", vocab)
        assert found.words == vocab.words and list(found.words) == words
        assert [found.words[row] for row in range(-len(words), len(words))] == words + words
        assert found.words[1:3] == words[1:3] and found.words[::-2] == words[::-2]
        assert found.counts.tolist() == vocab.counts.tolist()
        assert found.digest == vocab.digest
        assert found.to_bytes() == vocab.to_bytes()


def test_lookups_find_every_word_before_and_after_the_dict(tmp_path: Path) -> None:
    words = [*PLAIN_WORDS, *(f"w{v}" for v in range(5000)), "king"]
    found = mapped(tmp_path / "vocab.tsv", Vocab(words, np.ones(len(words), np.int64)))
    first = {word: row for row, word in reversed(list(enumerate(words)))}
    for word in [*words, *words]:
        assert found.ids[word] == first[word]
        assert f"{word}?" not in found and found.ids.get(f"{word}?") is None
    assert dict(found.ids) == first


def test_needless_escapes_are_the_same_word(tmp_path: Path) -> None:
    (tmp_path / "vocab.tsv").write_bytes(
        b"word\tcount\tspecials=0\nk\\u0069ng\t2\nb\xc2\x85\t1\n" + b"x\t1\n" * 50
    )
    index = index_words(tmp_path / "vocab.tsv")
    found, loaded = MappedVocab(tmp_path / "vocab.tsv", index), Vocab.load(tmp_path / "vocab.tsv")
    assert found.digest == loaded.digest
    assert (found.ids["king"], found.ids["b\x85"], found.ids["x"]) == (0, 1, 2)
    assert "k\\u0069ng" not in found


def test_words_of_equal_hash_are_told_apart(tmp_path: Path) -> None:
    words = ["plumless", "buckeroo", *(f"w{v}" for v in range(50))]  # two words of the same CRC-32
    found = mapped(tmp_path / "vocab.tsv", vocab_of(words))
    assert (found.ids["buckeroo"], found.ids["plumless"]) == (1, 0)


@pytest.mark.slow
def test_index_of_a_long_file_is_made_in_chunks(tmp_path: Path) -> None:
    words = ["a", "x" * 5_000_000, "b", *(f"w{v}" for v in range(300_000))]
    found = mapped(tmp_path / "vocab.tsv", vocab_of(words))
    assert [len(found.words[row]) for row in range(3)] == [1, 5_000_000, 1]
    assert found.ids["w299999"] == len(words) - 1
    assert found.digest == vocab_of(words).digest


def test_mapped_vocabulary_can_be_copied(tmp_path: Path) -> None:
    found = mapped(tmp_path / "vocab.tsv", vocab_of(["a", "b"]))
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other.words == ["a", "b"] and other.ids["b"] == 1


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"word\tcount\tspecials=0", b"word\tcount\tspecials=1\na\t1\n"),
        *(
            b"word\tcount\tspecials=0\na\n",
            b"word\tcount\tspecials=0\na\t1",
            b"word\tcount\tspecials=0\na\tb\n",
        ),
        *(b"word\tcount\tspecials=0\n\xff\t1\n", b"word\tcount\tspecials=0\n\\q\t1\n", b"x" * 100),
    ],
)
def test_corrupt_words_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vocab.tsv").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"vocab\.tsv: "):
        index_words(tmp_path / "vocab.tsv")
