"""The tokenizers of NLTK, called on whole lines or on pieces."""

from nltk.tokenize import word_tokenize

from nlpseq.config import TextConfig
from nlpseq.tokenizers.base import tokenize


def test_nltk_equals_word_tokenize_with_preserve_line():
    text = "He said: \"You can't buy John's 3.50 things.\" They (all) left..."
    config = TextConfig(tokenizer="nltk", lower=False)
    assert tokenize(text, config) == word_tokenize(text, preserve_line=True)


def test_long_tweets_are_cut_at_white_space():
    config = TextConfig(tokenizer="tweet")
    text = "some words, in a row :-) " * 200
    assert tokenize(text, config) == ["some", "words", ",", "in", "a", "row", ":-)"] * 200
    assert tokenize("x" * 600, config) == ["x" * 250, "x" * 250, "x" * 100]
    assert "".join(tokenize(" " * 1500 + "y" * 10 + " " * 1500, config)) == "y" * 10
