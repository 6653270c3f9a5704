"""Encoding with the vocabulary of earlier texts equals the reference, and joins counts."""

from pathlib import Path

import numpy as np
import pytest
from reference.joint_vocab import join
from support.texts import content, random_corpus, write_text

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.encode_cache import cached_dataset
from nlpseq.dataset.joint_vocab import join_vocab
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError
from nlpseq.reading.corpus import open_corpus

EARLIER = [("the", 40), ("b", 7), ("a", 7), ("gone", 3), ("word", 1)]
NEW = "the new c c c a the b d d\nword word word new <unk> e c\n"


def vocab_of(entries: list[tuple[str, int]]) -> Vocab:
    return Vocab([word for word, _ in entries], np.array([count for _, count in entries], np.int64))


@pytest.mark.parametrize("max_vocab", [None, 3, 1])
@pytest.mark.parametrize("min_count", [1, 2, 100])
@pytest.mark.parametrize("uncounted", ["", "the b a gone word", "b gone"])
def test_joint_vocabulary_equals_reference(
    tmp_path: Path, uncounted: str, min_count: int, max_vocab: int | None
) -> None:
    """Words without counts, as in vectors of other tools, come first."""
    earlier = [(word, -1 if word in uncounted.split() else count) for word, count in EARLIER]
    corpus = open_corpus(write_text(tmp_path / "new.txt", NEW))
    config = TextConfig(tokenizer="whitespace", min_count=min_count, max_vocab=max_vocab)
    data = preprocess(corpus, config, tmp_path / "new.tokens", start=vocab_of(earlier))
    words = data.vocab.without_specials()
    tokens = NEW.split()
    wanted = join(earlier, tokens, min_count, max_vocab)
    assert list(zip(words.words, words.counts.tolist(), strict=True)) == wanted
    ids = {word: number for number, (word, _) in enumerate(wanted)}
    assert data.tokens.tolist() == [ids.get(token, len(ids)) for token in tokens]
    unknown = sum(token not in ids for token in tokens)
    unknown += sum(max(count, 0) for word, count in earlier if word not in ids)
    assert data.vocab.counts[len(ids) :].tolist() == [unknown, 2]
    assert data.word_counts.tolist() == [tokens.count(word) for word, _ in wanted]


def test_joining_pieces_equals_one_text(tmp_path: Path) -> None:
    """Words of every piece are kept, so nothing is lost between pieces."""
    text = random_corpus(tmp_path, num_types=30, num_lines=60).read_text().splitlines(keepends=True)
    whole = preprocess(["".join(text)], path=tmp_path / "whole.tokens", min_count=1)
    start = None
    for number in range(3):
        piece = ["".join(text[20 * number : 20 * number + 20])]
        data = preprocess(piece, path=tmp_path / f"{number}.tokens", min_count=1, start=start)
        start = data.vocab
    assert content(data)[0] == content(whole)[0]  # specials too
    np.testing.assert_array_equal(data.tokens, whole.tokens[-data.num_tokens :])


def test_occurrences_of_dropped_words_are_unknown_words(tmp_path: Path) -> None:
    """Counts are the same as of both texts encoded with the joint vocabulary."""
    first = preprocess(["a a a b b c"], path=tmp_path / "first.tokens", min_count=1)
    data = preprocess(
        ["d d d d b"], path=tmp_path / "new.tokens", min_count=1, max_vocab=2, start=first.vocab
    )
    both = preprocess(["a a a b b c", "d d d d b"], path=tmp_path / "both.tokens", vocab=data.vocab)
    assert data.vocab.words[:2] == ["d", "a"]
    assert data.vocab.counts.tolist() == both.counts.tolist() == [4, 3, 4, 2]


def test_words_of_valid_split_are_known(tmp_path: Path) -> None:
    text = "a b c d\n" * 9 + "gone a b c\n"
    corpus = open_corpus(write_text(tmp_path / "new.txt", text))
    config = TextConfig(min_count=1, valid_share=0.1)
    data = preprocess(corpus, config, tmp_path / "new.tokens", start=vocab_of(EARLIER))
    gone = data.vocab.ids["gone"]
    assert gone in data.split("valid").tokens[data.split("valid").sentences[0] :]
    assert data.vocab.counts[gone] == 3


def test_few_types_at_a_time_change_no_file(tmp_path: Path) -> None:
    corpus = open_corpus(random_corpus(tmp_path, num_types=50, num_lines=40))
    start, config = vocab_of([("wordaa", 3), ("other", 1)]), TextConfig(min_count=2, max_vocab=20)
    small = EncodeLimits(memory_types=4, chunk_types=3, write_tokens=7)
    folders = [tmp_path / name for name in ("a.tokens", "b.tokens")]
    preprocess(corpus, config, folders[0], start=start)
    preprocess(corpus, config, folders[1], start=start, limits=small)
    for name in ("tokens.npy", "vocab.tsv", "sentences.npy"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_specials_and_repeated_words_of_a_start_are_left_out() -> None:
    start = Vocab(["b", "<unk>", "a", "b"], np.full(4, -1))
    joint, ids_U = join_vocab(start, np.array([1, 0, 2, 0]), ["c", "d"], np.array([1, 2]))
    assert joint.words == ["b", "a", "d", "c"] and joint.counts.tolist() == [-1, -1, 2, 1]
    assert ids_U.tolist() == [0, -1, 1, -1, 3, 2]


def test_counts_of_bpe_tokens_add_up(tmp_path: Path) -> None:
    corpus = open_corpus(random_corpus(tmp_path, num_types=20, num_lines=50))
    config = TextConfig(tokenizer="bpe", vocab_size=280)
    first = preprocess(corpus, config, tmp_path / "a.tokens")
    again = preprocess(corpus, config, tmp_path / "b.tokens", start=first.vocab)
    assert again.vocab.words == first.vocab.words and again.vocab.digest == first.vocab.digest
    np.testing.assert_array_equal(again.vocab.counts[: again.vocab.num_words], 2 * first.vocab.counts[:-2])
    np.testing.assert_array_equal(again.tokens, first.tokens)


def test_cache_knows_the_start(tmp_path: Path) -> None:
    corpus, config = open_corpus(random_corpus(tmp_path, num_types=9, num_lines=9)), TextConfig(min_count=1)
    starts = [None, vocab_of([("wordaa", 3)]), vocab_of([("wordaa", 4)])]
    counts = [cached_dataset(corpus, config, start=start).vocab.counts.sum() for start in starts]
    assert [count - counts[0] for count in counts] == [0, 3, 4]


def test_counts_are_of_the_train_split_of_the_new_text(tmp_path: Path) -> None:
    text, start = "a b c d\n" * 9 + "gone a b c\n", vocab_of([("a", -1), ("gone", 10)])
    data = preprocess([text], path=tmp_path / "new.tokens", start=start, min_count=1, valid_share=0.1)
    wanted = {"a": 9, "b": 9, "c": 9, "d": 9, "gone": 0, "<unk>": 0, "<eos>": 9}
    assert data.vocab.counts[:-1].sum() == 36 == data.split("train").num_tokens  # by chance
    assert dict(zip(data.vocab.words, data.counts.tolist(), strict=True)) == wanted
    assert data.split("valid").counts is data.split("train").counts  # counted once
    plain = preprocess([text], path=tmp_path / "plain.tokens", min_count=1)
    np.testing.assert_array_equal(plain.counts, plain.vocab.counts)


def test_vocabulary_and_start_are_refused_together(tmp_path: Path) -> None:
    start = vocab_of(EARLIER)
    with pytest.raises(ConfigError, match=r"vocab, start: do not go together"):
        preprocess(["a b"], path=tmp_path / "x.tokens", start=start, vocab=start)


def test_phrases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"phrases: do not work with an existing vocabulary"):
        preprocess(["a b"], path=tmp_path / "x.tokens", start=vocab_of(EARLIER), phrases=1)
