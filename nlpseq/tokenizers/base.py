"""All tokenizers by name, and `tokenize` for one line of text.

The tokens of each tokenizer for the line     Don't pay $3.50 — it's l’été!

    word                         don't pay 3 50 it's l'été
    word, punctuation=True       don't pay $ 3 . 50 — it's l'été !
    whitespace                   don't pay $3.50 — it's l’été!
    char                         d o n ' t ␣ p a y ␣ $ 3 . 5 0 ␣ — ␣ i t ' s ␣ l ’ é t é !     (␣: a space)
    nltk                         do n't pay $ 3.50 — it 's l ’ été !
    toktok                       don ' t pay $ 3.50 — it ' s l ’ été !
    tweet                        don't pay $ 3.50 — it's l ’ été !

Text is lower-cased first, unless lower=False. README.md has the rule of `word`. Every tokenizer takes linear
time on any input.

A new tokenizer is one function, one line in TOKENIZERS and one name in nlpseq.config.Tokenizer.
"""

from collections.abc import Callable
from typing import NamedTuple

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.reading.normalize import normalize
from nlpseq.tokenizers.char_classes import fold_text
from nlpseq.tokenizers.nltk import split_with_nltk
from nlpseq.tokenizers.word import split_words

__all__ = ["TOKENIZERS", "TokenizerEntry", "normalize_and_tokenize", "tokenize"]


class TokenizerEntry(NamedTuple):
    """A tokenizer and its demands on the reader."""

    split: Callable[[str, TextConfig], list[str]]  # a line, from fold_text
    whole_lines: bool = False  # because tokens depend on the whole line, blocks end at newlines
    package: str | None = None  # distribution whose version may change the tokens


TOKENIZERS: dict[Tokenizer, TokenizerEntry] = {
    "word": TokenizerEntry(split_words),
    "whitespace": TokenizerEntry(lambda text, _: text.split()),
    "char": TokenizerEntry(lambda text, _: list(text)),
    "nltk": TokenizerEntry(split_with_nltk, whole_lines=True, package="nltk"),
    "toktok": TokenizerEntry(split_with_nltk, whole_lines=True, package="nltk"),
    "tweet": TokenizerEntry(split_with_nltk, whole_lines=True, package="nltk"),
}


def tokenize(text: str, config: TextConfig) -> list[str]:
    """Return the tokens of one line in the Unicode form config.normalize."""
    if config.tokenizer == "word":
        return split_words(text, config)  # calls fold_text between tokens such as <unk>
    return TOKENIZERS[config.tokenizer].split(fold_text(text, config), config)


def normalize_and_tokenize(text: str, config: TextConfig) -> list[str]:
    """Return the tokens of one line after Unicode normalization."""
    return tokenize(normalize(text, config.normalize), config)
