"""All tokenizers by name, and `tokenize` for one line of text.

The tokens of each tokenizer for the line     Don't pay $3.50 — it's l’été!

    word                         don't pay 3 50 it's l'été
    word, punctuation=True       don't pay $ 3 . 50 — it's l'été !
    whitespace                   don't pay $3.50 — it's l’été!
    char                         d o n ' t ␣ p a y ␣ $ 3 . 5 0 ␣ — ␣ i t ' s ␣ l ’ é t é !     (␣: a space)
    nltk                         do n't pay $ 3.50 — it 's l ’ été !
    toktok                       don ' t pay $ 3.50 — it ' s l ’ été !
    tweet                        don't pay $ 3.50 — it's l ’ été !
    bpe                          bytes, in pieces learned from the corpus (bpe.py)

Text is lower-cased first, unless lower=False. Every tokenizer takes linear time on any input.

A new tokenizer is one function, one line in TOKENIZERS and one name in nlpseq.config.Tokenizer.
"""

from collections.abc import Callable
from typing import NamedTuple

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.errors import DataError
from nlpseq.reading.normalize import normalize
from nlpseq.tokenizers.nltk import split_with_nltk
from nlpseq.tokenizers.word import split_words

__all__ = ["TOKENIZERS", "TokenizerEntry", "normalize_and_tokenize", "tokenize"]


class TokenizerEntry(NamedTuple):
    """A tokenizer and its demands on the reader."""

    split: Callable[[str, TextConfig], list[str]]  # a line, lower-cased already
    whole_lines: bool = False  # because tokens depend on the whole line, blocks end at newlines
    package: str | None = None  # distribution whose version may change the tokens


def _need_vocabulary(text: str, config: TextConfig) -> list[str]:
    raise DataError(
        "tokenizer bpe: has no tokenizer.json. Use the vocabulary in the folder of an nlpseq result."
    )


TOKENIZERS: dict[Tokenizer, TokenizerEntry] = {
    "word": TokenizerEntry(split_words),
    "whitespace": TokenizerEntry(lambda text, _: text.split()),
    "char": TokenizerEntry(lambda text, _: list(text)),
    "nltk": TokenizerEntry(split_with_nltk, whole_lines=True, package="nltk"),
    "toktok": TokenizerEntry(split_with_nltk, whole_lines=True, package="nltk"),
    "tweet": TokenizerEntry(split_with_nltk, whole_lines=True, package="nltk"),
    "bpe": TokenizerEntry(_need_vocabulary),
}


def tokenize(text: str, config: TextConfig) -> list[str]:
    """Return the tokens of one line, whose Unicode form is kept."""
    if config.lower:
        text = text.lower()
    return TOKENIZERS[config.tokenizer_kind].split(text, config)


def normalize_and_tokenize(text: str, config: TextConfig) -> list[str]:
    """Return the tokens of one line after Unicode normalization."""
    return tokenize(normalize(text, config.normalize), config)
