"""Phrases: counting and joining equal plain loops, scores equal hand calculation, the command."""

import math
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference.phrases import count_pairs, join_pairs

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.phrases import Phrases, find_phrases, join_known, merge_phrases
from nlpseq.errors import ConfigError
from nlpseq.reading.corpus import open_corpus

TEXTS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=6)


def flat(text):
    tokens = np.array([token for sentence in text for token in sentence], np.uint32)
    return tokens, np.array([0, *accumulate(map(len, text))], np.int64)


@given(TEXTS, st.sampled_from([1, 2, 3, 5, 1 << 22]), st.sampled_from([1, 2]))
def test_pairs_are_counted_within_sentences(text, chunk, min_count):
    tokens, sentences = flat(text)
    counts = np.bincount(tokens, minlength=4)
    config = TextConfig(phrases=1, min_count=1, phrase_min_count=min_count, phrase_threshold=-1e9)
    found = find_phrases(tokens, sentences, counts, config, chunk)
    often = {pair: number for pair, number in count_pairs(text).items() if number >= min_count}
    assert (
        dict(zip([divmod(key, 4) for key in found.keys_P.tolist()], found.counts_P.tolist(), strict=True))
        == often
    )


@given(
    TEXTS,
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1),
    st.sampled_from([1, 2, 3, 5, 1 << 22]),
)
def test_phrases_are_joined_from_left_to_right(tmp_path_factory, text, pairs, chunk):
    folder = tmp_path_factory.mktemp("merge")
    tokens, sentences = flat(text)
    np.save(folder / "t.npy", tokens)
    np.save(folder / "s.npy", sentences)
    keys = np.array(sorted(4 * a + b for a, b in pairs), np.uint64)
    ids = np.arange(100, 100 + len(keys), dtype=np.uint32)
    names = {divmod(key, 4): number for key, number in zip(keys.tolist(), ids.tolist(), strict=True)}
    phrases = Phrases(keys, np.zeros(len(keys), np.int64), np.zeros(len(keys)))
    merge_phrases(folder / "t.npy", folder / "s.npy", phrases, 4, ids, chunk)
    wanted_tokens, wanted_sentences = flat([join_pairs(sentence, names) for sentence in text])
    assert np.load(folder / "t.npy").tolist() == wanted_tokens.tolist()
    assert np.load(folder / "s.npy").tolist() == wanted_sentences.tolist()
    assert sorted(file.name for file in folder.iterdir()) == ["s.npy", "t.npy"]


def test_scores_equal_hand_calculation():
    text = [[0, 1]] * 6 + [[0, 2], [2, 1], [2, 2]] * 2  # 24 tokens: 0 8 times, 1 8, 2 8; (0, 1) 6 times
    tokens, sentences = flat(text)
    counts = np.bincount(tokens)
    common = {"phrases": 1, "min_count": 1, "phrase_min_count": 2}
    plain = find_phrases(tokens, sentences, counts, TextConfig(**common, phrase_threshold=-1e9))
    scores = dict(zip(plain.keys_P.tolist(), plain.scores_P.tolist(), strict=True))
    assert scores[0 * 3 + 1] == pytest.approx((6 - 2) * 24 / (8 * 8))
    npmi = find_phrases(
        tokens, sentences, counts, TextConfig(**common, phrase_score="npmi", phrase_threshold=0.0)
    )
    assert npmi.keys_P.tolist() == [1]  # the other pairs are rarer than chance has it
    assert npmi.scores_P[0] == pytest.approx(math.log((6 / 24) / (8 / 24) ** 2) / -math.log(6 / 24))
    strict = find_phrases(tokens, sentences, counts, TextConfig(**common, phrase_threshold=1.5))
    assert len(strict.keys_P) == 0


LINES = "he lives in new york city\nthe new york times\nold times in the city\n" * 30


def encode(folder: Path, text: str = LINES, name: str = "a", **options):
    (folder / f"{name}.txt").write_text(text)
    config = TextConfig(min_count=1, **options)
    return preprocess(open_corpus(folder / f"{name}.txt"), config, folder / f"{name}.tokens")


def words_of(data):
    return [[data.vocab.words[token] for token in data.tokens[a:b]] for a, b in pairwise(data.sentences)]


def test_preprocess_joins_phrases_in_corpus(tmp_path):
    data = encode(tmp_path, phrases=1, phrase_threshold=5.0)
    assert words_of(data)[:2] == [["he_lives", "in", "new_york", "city"], ["the", "new_york", "times"]]
    assert data.vocab.counts[data.vocab.ids["new_york"]] == 60 and "york" not in data.vocab
    header, *rows = (tmp_path / "a.tokens" / "phrases.tsv").read_text().splitlines()
    assert header == "phrase\tcount\tscore" and rows[0].startswith(("he_lives\t30\t", "old_times\t30\t"))
    assert data.meta["num_tokens"] == len(data.tokens) == int(data.sentences[-1])
    twice = encode(tmp_path, name="b", phrases=3, phrase_threshold=1.5)
    assert any(word.count("_") >= 2 for word in twice.vocab.words)
    without = encode(tmp_path, name="c")
    assert "new_york" not in without.vocab and not (tmp_path / "c.tokens" / "phrases.tsv").exists()


def test_phrases_with_existing_vocabulary_are_refused(tmp_path):
    data = encode(tmp_path, phrases=1, phrase_threshold=5.0)
    with pytest.raises(ConfigError, match="phrases: do not work with an existing vocabulary"):
        preprocess(open_corpus(tmp_path / "a.txt"), data.config, tmp_path / "b.tokens", vocab=data.vocab)


def test_no_phrase_holds_specials_or_is_rare(tmp_path):
    text = "<unk> inc said\n" * 30 + "<unk> went on\n" * 9
    data = encode(tmp_path, text, tokenizer="whitespace", phrases=1, phrase_threshold=0.0)
    assert not any("<unk>_" in word for word in data.vocab.words) and "inc_said" in data.vocab
    (tmp_path / "b.txt").write_text(text)
    config = TextConfig(tokenizer="whitespace", phrases=1, phrase_threshold=0.0, min_count=10)
    rare = preprocess(open_corpus(tmp_path / "b.txt"), config, tmp_path / "b.tokens")
    assert "went_on" not in (tmp_path / "b.tokens" / "phrases.tsv").read_text() and "inc_said" in rare.vocab


def test_join_known_joins_words_of_a_vocabulary():
    words = {"new_york", "new_york_times", "a_b", "b_c"}
    assert join_known(["the", "new", "york", "times"], words, 2) == ["the", "new_york_times"]
    assert join_known(["the", "new", "york", "times"], words, 1) == ["the", "new_york", "times"]
    assert join_known(["a", "b", "c"], words, 1) == ["a_b", "c"]
    assert join_known(["new", "york"], words, 0) == ["new", "york"]


def test_phrases_come_from_the_train_split(tmp_path):
    text = LINES + "red tape red tape red tape\n" * 40
    assert "red_tape" in encode(tmp_path, text, phrases=1, phrase_threshold=5.0).vocab
    split = encode(tmp_path, text, "b", phrases=1, phrase_threshold=5.0, test_share=0.4)
    assert "red_tape" not in split.vocab and "new_york" in split.vocab


@pytest.mark.parametrize(
    "wrong",
    [
        {"phrases": 1, "tokenizer": "char"},
        {"phrases": -1},
        {"phrases": 9},
        {"phrase_min_count": 0},
        {"phrase_threshold": math.nan},
    ],
)
def test_invalid_phrase_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TextConfig(**wrong)


def test_query_finds_phrase_by_its_separate_words(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(LINES)
    done = run_cli("preprocess", "a.txt", "--phrases", 1, "--phrase-threshold", "5", "--min-count", 1)
    assert done.exit_code == 0 and "phrases, such as " in done.stderr, done.stderr
    train = ["train-w2v", "a.tokens", "--dim", 4, "--epochs", 1, "--subsample", 0, "--threads", 1]
    assert run_cli(*train).exit_code == 0
    joint, apart = (
        run_cli("neighbors", "a.w2v", word, "--top", 2).stdout for word in ("new_york", "New York")
    )
    assert joint == apart != ""
