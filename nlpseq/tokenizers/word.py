"""Text to tokens: with detokenize.py the only place that knows case, Unicode and punctuation.

Each tokenizer's tokens for the line     Don't pay $3.50 — it's l’été!

    word                         don't pay 3 50 it's l'été
    word, punctuation=True       don't pay $ 3 . 50 — it's l'été !
    whitespace                   don't pay $3.50 — it's l’été!
    char                         d o n ' t ␣ p a y ␣ $ 3 . 5 0 ␣ — ␣ i t ' s ␣ l ’ é t é !     (␣: a space)
    nltk                         do n't pay $ 3.50 — it 's l ’ été !
    toktok                       don ' t pay $ 3.50 — it ' s l ’ été !
    tweet                        don't pay $ 3.50 — it's l ’ été !

all lower-cased first, unless lower=False. `word` takes letters, marks, digits and connectors (_) of every
script, with single apostrophes inside; hyphens part words. `nltk`, `toktok` and `tweet` are NLTK's
NLTKWordTokenizer (word_tokenize with preserve_line), ToktokTokenizer and TweetTokenizer, which need whole
lines; none of them loads NLTK data. Every tokenizer takes linear time on any input.
"""

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.reading.decode import normalized
from nlpseq.tokenizers.nltk import nltk_tokenizer

SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)
APOSTROPHES = "'’"


def tokenize(text: str, config: TextConfig) -> list[str]:
    """The tokens of one line."""
    if config.lower:
        text = text.lower()
    if config.tokenizer == "whitespace":
        return text.split()
    if config.tokenizer == "char":
        return list(text)
    if config.tokenizer == "word":
        tokens: list[str] = _word_pattern(config.punctuation).findall(text)
        return [token.replace("’", "'") if len(token) > 1 else token for token in tokens]
    return nltk_tokenizer(config.tokenizer)(text)


def text_tokens(text: str, config: TextConfig) -> list[str]:
    """The tokens of one line of any text, brought into the Unicode normal form of the config first."""
    return tokenize(normalized(text, config.normalize), config)


@cache
def _word_pattern(punctuation: bool) -> re.Pattern[str]:
    """One token of `word`. Possessive quantifiers (++, *+): a match never goes back, so time is linear."""
    word = _ranges(_classes("word", punctuation) == WORD)
    pattern = f"[{word}]++(?:[{APOSTROPHES}][{word}]++)*+"
    if punctuation:
        pattern += f"|[{APOSTROPHES}{_ranges(_classes('word', True) == PUNCTUATION)}]"
    return re.compile(pattern)


def char_classes(config: TextConfig) -> npt.NDArray[np.uint8]:
    """The class of each code point for `word` and `whitespace`: uint8, (0x110000,), read-only.

    `word`: SEPARATOR, WORD, APOSTROPHE (part of a word between two word characters), and PUNCTUATION where
    the config keeps it. `whitespace`: SEPARATOR and WORD.
    """
    assert config.tokenizer in ("word", "whitespace"), "the other tokenizers do not go by single characters"
    return _classes(config.tokenizer, config.punctuation)


@cache
def _classes(tokenizer: Tokenizer, punctuation: bool) -> npt.NDArray[np.uint8]:
    spaces = [code for code in range(0x10000) if chr(code).isspace()]
    if tokenizer == "whitespace":
        classes = np.full(0x110000, WORD, np.uint8)
    else:
        classes = np.full(0x110000, PUNCTUATION if punctuation else SEPARATOR, np.uint8)
        for code in (*range(0x40000), *range(0xE0000, 0xE1000)):  # no character is assigned in between
            category = unicodedata.category(chr(code))
            if category[0] in "LMN" or category == "Pc":
                classes[code] = WORD
            elif category in ("Cc", "Cf"):
                classes[code] = SEPARATOR
        classes[[0x200C, 0x200D]] = WORD  # joiners: part of Persian and Indic spelling
        classes[[ord(char) for char in APOSTROPHES]] = APOSTROPHE
    classes[spaces] = SEPARATOR
    classes.flags.writeable = False
    return classes


def _ranges(members: npt.NDArray[np.bool_]) -> str:
    """The inside of a regular expression's [...] for these code points."""
    edges = np.flatnonzero(np.diff(members, prepend=False, append=False)).tolist()
    return "".join(
        f"\\U{start:08x}-\\U{end - 1:08x}" for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
