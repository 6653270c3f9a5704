"""Detokenizing restores ordinary sentences and adds nothing but spaces."""

import pytest
from hypothesis import given, strategies as st
from support.analyzers import CORE

from nlpseq.config import TextConfig
from nlpseq.tokenizers.base import tokenize
from nlpseq.tokenizers.detokenize import Detokenizer, detokenize

TOKENS = st.lists(st.sampled_from(["a", "1", "'", '"', ".", "(", ")", "’", "``", "''", "n't", "-", "<unk>"]))
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
COMPOUNDS = [
    "It is 3.14 at 10:30, 1990–2000.",
    "A well-known and/or half-baked idea.",
    "인구는 1,000만 명이다.",
]


@given(TOKENS)
def test_detokenize_adds_only_spaces(tokens):
    for tokenizer in ("word", "nltk", "toktok", "tweet"):
        written = detokenize(tokens, TextConfig(tokenizer=tokenizer))
        plain = "".join({"``": '"', "''": '"'}.get(token, token) for token in tokens)
        assert written.replace(" ", "") == plain
        assert written == written.strip() and "  " not in written


@given(TOKENS, st.sampled_from(CORE))
def test_detokenizer_writes_what_detokenize_writes(tokens, tokenizer):
    config = TextConfig(tokenizer=tokenizer)
    writer = Detokenizer(config)
    assert "".join(map(writer.push, [*tokens, None])) == detokenize(tokens, config)


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("tokenizer", [*CORE, "punctuated"])
def test_detokenize_restores_ordinary_sentences(tokenizer, sentence):
    if tokenizer == "punctuated":
        config = TextConfig(punctuation=True, lower=False)
    else:
        config = TextConfig(tokenizer=tokenizer, lower=False)
    if tokenizer == "word":  # punctuation is lost
        sentence = " ".join(tokenize(sentence, config))
    assert detokenize(tokenize(sentence, config), config) == sentence


@pytest.mark.parametrize("sentence", COMPOUNDS)
def test_detokenize_joins_compounds_of_word(sentence):
    config = TextConfig(punctuation=True, lower=False)
    assert detokenize(tokenize(sentence, config), config) == sentence
