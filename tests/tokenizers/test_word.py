"""`word` and `whitespace`: tokens, and the classes of characters they follow from."""

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from reference.scan import PADDING_BYTES, find_tokens
from support.texts import ANY_TEXT, WORD_CONFIGS, config_name

from nlpseq.config import TextConfig
from nlpseq.tokenizers.base import tokenize
from nlpseq.tokenizers.word import APOSTROPHE, PUNCTUATION, SEPARATOR, WORD, char_classes

CONFIGS = [config for config in WORD_CONFIGS if not config.lower]


@settings(deadline=None, derandomize=True, max_examples=150)
@given(ANY_TEXT, st.booleans())
def test_word_pattern_equals_scan_by_classes(text, punctuation):
    config = TextConfig(punctuation=punctuation, lower=False)
    data = text.encode("utf-8", "surrogatepass")
    padded = np.frombuffer(data + b"\n" * PADDING_BYTES, np.uint8)
    classes, lengths = char_classes("word", punctuation), np.zeros(text.count("\n") + 1, np.int64)
    spans = zip(*find_tokens(padded, classes, punctuation, lengths), strict=True)
    tokens = [data[start:end].decode("utf-8", "surrogatepass") for start, end in spans]
    assert tokenize(text, config) == [t.replace("’", "'") if len(t) > 1 else t for t in tokens]


@settings(deadline=None, derandomize=True)
@given(ANY_TEXT)
def test_whitespace_equals_str_split(text):
    assert tokenize(text, TextConfig(tokenizer="whitespace", lower=False)) == text.split()


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
def test_word_tokenizer_gives_expected_tokens(text, tokens):
    assert tokenize(text, TextConfig()) == tokens


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
def test_punctuation_option_keeps_marks_as_tokens(text, tokens):
    assert tokenize(text, TextConfig(punctuation=True)) == tokens


def test_word_classes_follow_unicode_categories():
    plain, punctuated = char_classes("word", False), char_classes("word", True)
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


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_classes_agree_with_tokens_of_every_character(config):
    line = "".join(chr(code) + " " for code in range(0x110000))
    classes = char_classes(config.tokenizer, config.punctuation)
    expected = [chr(code) for code in np.flatnonzero(classes).tolist()]
    if not config.punctuation and config.tokenizer == "word":
        expected = [char for char in expected if char not in "'’"]
    assert tokenize(line, config) == expected


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_no_character_changes_class_with_case(config):
    """The scan lower-cases types instead of text."""
    classes = char_classes(config.tokenizer, config.punctuation).tolist()
    for code in range(sys.maxunicode + 1):
        for low in chr(code).lower():
            assert classes[ord(low)] == classes[code], f"U+{code:04X}"


def test_classes_look_up_assigned_planes_only(monkeypatch):
    lookups = []
    category = unicodedata.category
    monkeypatch.setattr(unicodedata, "category", lambda char: lookups.append(char) or category(char))
    char_classes.cache_clear()
    char_classes("word", True)
    char_classes("word", True)
    assert 0 < len(lookups) < 270_000, "of 1.1 million code points, once"
