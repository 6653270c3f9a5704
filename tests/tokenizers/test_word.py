"""`word` and `whitespace`: tokens, and the classes of characters they follow from."""

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference.scan import PADDING_BYTES, find_tokens
from support.texts import ANY_TEXT, WORD_CONFIGS, config_name

from nlpseq.config import TextConfig
from nlpseq.tokenizers.base import normalize_and_tokenize, tokenize
from nlpseq.tokenizers.char_classes import MIDDLE, PUNCTUATION, SEPARATOR, WORD, char_classes, fold_text
from nlpseq.tokenizers.word import fold_apostrophes

CONFIGS = [config for config in WORD_CONFIGS if not config.lower]


@pytest.mark.parametrize("rule", [1, 2])
@given(text=ANY_TEXT, punctuation=st.booleans())
def test_word_pattern_equals_scan_by_classes(text, punctuation, rule):
    config = TextConfig(punctuation=punctuation, lower=False, word_rule=rule)
    data = fold_text(text, config).encode("utf-8", "surrogatepass")
    padded = np.frombuffer(data + b"\n" * PADDING_BYTES, np.uint8)
    classes, lengths = char_classes("word", punctuation, rule), np.zeros(text.count("\n") + 1, np.int64)
    starts, ends, has_emoji = find_tokens(padded, classes, punctuation, lengths)
    spans = zip(starts, ends, strict=True)
    tokens = [data[start:end].decode("utf-8", "surrogatepass") for start, end in spans]
    if not has_emoji:
        assert tokenize(text, config) == [fold_apostrophes(token, config) for token in tokens]


@given(text=ANY_TEXT, config=st.sampled_from(WORD_CONFIGS))
def test_tokens_of_a_token_are_itself(text, config):
    if not config.keep and config.word_rule > 1:  # a number may be kept only without its neighbors
        for token in normalize_and_tokenize(text, config):
            assert normalize_and_tokenize(token, config) == [token]


@given(ANY_TEXT)
def test_whitespace_equals_str_split(text):
    config = TextConfig(tokenizer="whitespace", lower=False, normalize="none")
    assert tokenize(text, config) == text.replace("\ufeff", "").split()


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
        ("a\u2028b\x1cc\u3000d\u200be\x00f", ["a", "b", "c", "d", "e", "f"]),
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
        ("😀👍🏽 \ufffd\u00ad\ufeff\x07", ["😀", "👍🏽", "\ufffd"]),
    ],
)
def test_punctuation_option_keeps_marks_as_tokens(text, tokens):
    assert tokenize(text, TextConfig(punctuation=True)) == tokens


def test_word_classes_of_rule_1_follow_unicode_categories():
    plain, punctuated = char_classes("word", False, 1), char_classes("word", True, 1)
    assert plain.dtype == np.uint8 and plain.shape == (0x110000,)
    for code in range(0x110000):
        char = chr(code)
        category = unicodedata.category(char)
        if char in "'’":
            expected = MIDDLE, MIDDLE
        elif category[0] in "LMN" or category == "Pc" or char in "\u200c\u200d":
            expected = WORD, WORD
        elif char.isspace() or category in ("Cc", "Cf"):
            expected = SEPARATOR, SEPARATOR
        else:
            expected = SEPARATOR, PUNCTUATION
        assert (plain[code], punctuated[code]) == expected, hex(code)


def test_rule_2_changes_the_class_of_few_characters():
    changed = np.flatnonzero(char_classes("word", True, 1) != char_classes("word", True, 2))
    assert len(changed) < 600
    letters = [chr(code) for code in changed if chr(code).isalpha()]
    assert letters == list("ʼـߺ\u115f\u1160ℹ\u3164\uffa0")


def test_parts_of_a_version_are_no_kept_number():
    config = TextConfig(keep="numbers")
    assert tokenize("v1.2.3 1.2.3", config) == ["v1", "2", "3", "1.2.3"]


@pytest.mark.parametrize("punctuation", [False, True])
def test_no_invisible_character_is_a_token(punctuation):
    config = TextConfig(punctuation=punctuation)
    invisible = "\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u202a\u2060\u2066\u3164"
    invisible += "\ufe0f\ufeff\U000e0041\U000e0100"
    assert tokenize(" ".join(invisible) + invisible, config) == []
    assert all(tokenize(f"{char}a{char}", config) == ["a"] for char in invisible)


@pytest.mark.slow
def test_small_letters_join_the_marks_of_capitals():
    for code in range(0x20000):
        if chr(code).lower() != chr(code):
            for mark in "\u0300\u0301\u0307\u0308\u030a\u030c\u0313\u0331\u0342\u0345":
                small = fold_text(unicodedata.normalize("NFC", chr(code) + mark), TextConfig())
                assert small == unicodedata.normalize("NFC", small), (hex(code), ascii(mark))


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_no_character_changes_class_with_case(config):
    """The scan lower-cases types instead of text."""
    classes = char_classes(config.tokenizer, config.punctuation, config.word_rule).tolist()
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
