"""Suggestions for unknown words."""

import pytest

from nlpseq.vectors.suggestions import show_word, suggest_words

KEYS = ["/c/en/coffee_pot", "/c/en/coffee", "coffee_table", "U.S.", "king\u200b", "ｋｅｙ"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("coffee pot", "/c/en/coffee_pot"),
        ("Coffee-Pot", "/c/en/coffee_pot"),
        ("coffee", "/c/en/coffee"),
        ("coffee table", "coffee_table"),
        ("us", "U.S."),
        ("king", "king\u200b"),
        ("KEY", "ｋｅｙ"),
    ],
)
def test_key_of_the_same_letters_is_suggested_first(typed: str, meant: str) -> None:
    assert suggest_words(typed, KEYS)[0] == meant


def test_word_without_letters_has_no_equal_letters() -> None:
    assert suggest_words("?!", ["...", "--", "?"]) == ["?"]
    assert suggest_words("", ["...", "a"]) == []


def test_suggestions_compare_a_limited_number_of_words() -> None:
    words = [f"word{v:06d}" for v in range(500)]
    assert "word000200" in suggest_words("wrod000200", words)
    assert suggest_words("wrod000200", words, max_compared=150)[0] < "word000150"
    assert suggest_words("WORD000200", words, max_compared=0) == ["word000200"]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("king", "king"),
        ("왕", "왕"),
        ("new york", "new york"),
        ("king\u200b", r"'king\u200b'"),
        ("\u00a0", r"'\xa0'"),
        (" a", "' a'"),
        ("", "''"),
        ("\x1b[31m", r"'\x1b[31m'"),
    ],
)
def test_invisible_characters_are_shown_as_escapes(word: str, shown: str) -> None:
    assert show_word(word) == shown


def test_words_that_look_alike_are_shown_as_code_points() -> None:
    assert show_word("cafe\u0301", like="café") == r"'cafe\u0301'"
    assert show_word("café", like="café") == "café"


def test_usual_cases_are_found_beyond_the_scanned_words() -> None:
    words = ["apple", "KING", "King"]
    assert suggest_words("king", words, max_scanned=1) == []
    assert suggest_words("king", words, max_scanned=1, known=set(words)) == ["King", "KING"]
