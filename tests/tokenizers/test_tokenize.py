"""Tokens and back: what each tokenizer makes of text, in linear time."""

import re
import time
import unicodedata
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.tokenizers import word as module
from nlpseq.tokenizers.detokenize import detokenize
from nlpseq.tokenizers.word import APOSTROPHE, PUNCTUATION, SEPARATOR, WORD, char_classes, tokenize

WORDS = TextConfig()
PUNCTUATED = TextConfig(punctuation=True)
WHITESPACE = TextConfig(tokenizer="whitespace")
EVERY = [PUNCTUATED, *(TextConfig(tokenizer=name) for name in get_args(Tokenizer))]
ANY_TEXT = st.text(st.sampled_from(list("abA1_'’’.-,$ \t\x00\u200d\u0301한हि\u2028😀")) | st.characters())


def name(config: TextConfig) -> str:
    return config.tokenizer + ", punctuation=True" * config.punctuation


@pytest.mark.parametrize("config", EVERY, ids=name)
def test_the_table_in_the_documentation_is_true(config):
    assert module.__doc__ is not None
    line = re.search(r"for the line {5}(.*)", module.__doc__)
    row = re.search(rf"^    {name(config)}  +(\S.*?)(?:   .*)?$", module.__doc__, re.MULTILINE)
    assert line and row
    assert " ".join(tokenize(line[1], config)) == row[1].replace("␣", " ")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop", ["don't", "stop"]),
        ("l’homme o'clock", ["l'homme", "o'clock"]),
        ("'quoted' dogs' ''x", ["quoted", "dogs", "x"]),
        ("rock''n''roll a'’b", ["rock", "n", "roll", "a", "b"]),
        ("a'b'c’d", ["a'b'c'd"]),
        ("well-known 3.14 1,000", ["well", "known", "3", "14", "1", "000"]),
        ("snake_case a‿b", ["snake_case", "a‿b"]),
        ("हिन्दी में किताब", ["हिन्दी", "में", "किताब"]),
        ("서울은 대한민국의 수도이다.", ["서울은", "대한민국의", "수도이다"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("ΟΔΟΣ ΟΔΟΣ.", ["οδος", "οδος"]),
        ("x² ½ Ⅷ ٣", ["x²", "½", "ⅷ", "٣"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("a\u2028b\x1cc\u3000d\u00ade\x00f", ["a", "b", "c", "d", "e", "f"]),
        ("", []),
        ("... !", []),
    ],
)
def test_word(text, tokens):
    assert tokenize(text, WORDS) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hi, there!", ["hi", ",", "there", "!"]),
        ("3.14", ["3", ".", "14"]),
        ("'quoted' dogs' ’", ["'", "quoted", "'", "dogs", "'", "’"]),
        ("don’t’", ["don't", "’"]),
        ("a--b…", ["a", "-", "-", "b", "…"]),
        ("😀👍🏽 \ufffd\u00ad\ufeff\x07", ["😀", "👍", "🏽", "\ufffd"]),
    ],
)
def test_word_with_punctuation(text, tokens):
    assert tokenize(text, PUNCTUATED) == tokens


def test_case_is_kept_on_request():
    for config in EVERY:
        kept = TextConfig(tokenizer=config.tokenizer, punctuation=config.punctuation, lower=False)
        assert "".join(tokenize("Ab CD", kept)).replace(" ", "") == "AbCD"
        assert "".join(tokenize("Ab CD", config)).replace(" ", "") == "abcd"


def test_char_keeps_every_character():
    assert tokenize("a  b\t한\u0301", TextConfig(tokenizer="char")) == list("a  b\t한\u0301")


@settings(deadline=None, derandomize=True)
@given(ANY_TEXT)
def test_whitespace_is_str_split(text):
    assert tokenize(text, TextConfig(tokenizer="whitespace", lower=False)) == text.split()


def test_nltk_is_word_tokenize_with_preserve_line():
    from nltk.tokenize import word_tokenize

    text = "He said: \"You can't buy John's 3.50 things.\" They (all) left..."
    config = TextConfig(tokenizer="nltk", lower=False)
    assert tokenize(text, config) == word_tokenize(text, preserve_line=True)


# classes of characters


def test_classes_of_word_are_those_of_unicode_for_every_code_point():
    plain, punctuated = char_classes(WORDS), char_classes(PUNCTUATED)
    assert plain.dtype == np.uint8 and plain.shape == (0x110000,)
    for code in range(0x110000):
        char = chr(code)
        category = unicodedata.category(char)
        if char in "'’":
            expected = APOSTROPHE, APOSTROPHE
        elif category[0] in "LMN" or category == "Pc" or char in "\u200c\u200d":
            expected = WORD, WORD
        elif char.isspace() or category in ("Cc", "Cf"):
            expected = SEPARATOR, SEPARATOR
        else:
            expected = SEPARATOR, PUNCTUATION
        assert (plain[code], punctuated[code]) == expected, hex(code)


@pytest.mark.parametrize("config", [WORDS, PUNCTUATED, WHITESPACE], ids=name)
def test_classes_agree_with_the_reference_on_every_code_point(config):
    kept = TextConfig(tokenizer=config.tokenizer, punctuation=config.punctuation, lower=False)
    line = "".join(chr(code) + " " for code in range(0x110000))
    expected = [chr(code) for code in np.flatnonzero(char_classes(config)).tolist()]
    if not config.punctuation and config.tokenizer == "word":
        expected = [char for char in expected if char not in "'’"]
    assert tokenize(line, kept) == expected


def spans_by_classes(text: str, config: TextConfig) -> list[str]:
    """`word` once more, one character after the other, by classes alone."""
    classes = [*char_classes(config)[[ord(char) for char in text]].tolist(), SEPARATOR] if text else []
    tokens, word = [], ""
    for place, char in enumerate(text):
        inside = classes[place] == APOSTROPHE and word and classes[place + 1] == WORD
        if classes[place] == WORD or inside:
            word += "'" if inside else char
            continue
        tokens += [word] * bool(word)
        word = ""
        if config.punctuation and classes[place] in (APOSTROPHE, PUNCTUATION):
            tokens.append(char)
    return tokens + [word] * bool(word)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(ANY_TEXT, st.booleans())
def test_the_pattern_is_what_the_classes_say(text, punctuation):
    config = TextConfig(punctuation=punctuation, lower=False)
    assert tokenize(text, config) == spans_by_classes(text, config)


def test_classes_are_built_quickly():
    module._classes.cache_clear()
    start = time.process_time()
    char_classes(PUNCTUATED)
    assert time.process_time() - start < 0.3  # 0.05 s on an idle machine


# hostile input

BAITS = [
    "a",
    "'",
    ".",
    "@",
    "<",
    "a'",
    "a.",
    "1.",
    "1",
    "<a",
    "-",
    "#a",
    "(",
    '"',
    "&#",
    "a@",
    "http://",
    "\u0301",
    ". ",
    "1 ",
]


@pytest.mark.parametrize("config", EVERY, ids=name)
def test_time_is_linear_on_bait(config):
    """Four times the text may take four times as long, not sixteen times."""
    tokenize("warm up", config)
    for bait in BAITS:
        short, long = (_seconds(bait * (length // len(bait)), config) for length in (4_000, 16_000))
        assert long < 9 * short + 0.02, bait


def _seconds(text: str, config: TextConfig) -> float:
    start = time.process_time()
    tokenize(text, config)
    return time.process_time() - start


@pytest.mark.parametrize("config", EVERY, ids=name)
def test_a_megabyte_of_bait_takes_seconds_at_most(config):
    for bait in ("'", "a'"):
        assert _seconds(bait * (1_000_000 // len(bait)), config) < 10, bait


def test_tweets_are_cut_at_white_space_only_where_there_is_any():
    config = TextConfig(tokenizer="tweet")
    text = "some words, in a row :-) " * 200
    assert tokenize(text, config) == ["some", "words", ",", "in", "a", "row", ":-)"] * 200
    assert tokenize("x" * 600, config) == ["x" * 250, "x" * 250, "x" * 100]
    assert "".join(tokenize(" " * 1500 + "y" * 10 + " " * 1500, config)) == "y" * 10


# and back

SENTENCES = [
    "Don't pay $3.50 (now), it's free!",
    'He said: "I cannot go; you\'re gonna win 50% of it."',
    "The dogs' bowl is [here] and 1,000 more...",
    "We've seen 'the house' at 5 o'clock, haven't we?",
    "“Typographic quotes” are fine; so is John's “other” one.",
    "서울은 대한민국의 수도이다. 인구가 많다!",
    "Nothing special here",
    "",
]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("tokenizer", [*get_args(Tokenizer), "punctuated"])
def test_ordinary_sentences_come_back(tokenizer, sentence):
    if tokenizer == "punctuated":
        config = TextConfig(punctuation=True, lower=False)
    else:
        config = TextConfig(tokenizer=tokenizer, lower=False)
    if tokenizer == "word":  # punctuation is lost
        sentence = " ".join(tokenize(sentence, config))
    assert detokenize(tokenize(sentence, config), config) == sentence


@pytest.mark.parametrize(
    "sentence",
    ["It is 3.14 at 10:30, 1990–2000.", "A well-known and/or half-baked idea.", "인구는 1,000만 명이다."],
)
def test_what_word_takes_apart_is_joined_again(sentence):
    config = TextConfig(punctuation=True, lower=False)
    assert detokenize(tokenize(sentence, config), config) == sentence


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(["a", "1", "'", '"', ".", "(", ")", "’", "``", "''", "n't", "-", "<unk>"])))
def test_detokenizing_adds_and_loses_nothing_but_spaces(tokens):
    for tokenizer in ("word", "nltk", "toktok", "tweet"):
        written = detokenize(tokens, TextConfig(tokenizer=tokenizer))
        plain = "".join({"``": '"', "''": '"'}.get(token, token) for token in tokens)
        assert written.replace(" ", "") == plain
        assert written == written.strip() and "  " not in written
