"""The tokenizers `word` and `whitespace`: the specification of the compiled scan in scan_numba.py.

A token of `word` is a run of letters, marks, digits and connectors (_) of any script, with single apostrophes
inside. Hyphens separate words. With punctuation=True every other visible character is a token.
"""

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig

__all__ = [
    "APOSTROPHE",
    "CLASSIFIED",
    "PUNCTUATION",
    "SEPARATOR",
    "WORD",
    "char_classes",
    "split_words",
]

CLASSIFIED = ("word", "whitespace")  # tokenizers with char_classes
SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)
_APOSTROPHES = "'’"
_NUM_CODE_POINTS = 0x110000


def split_words(text: str, config: TextConfig) -> list[str]:
    """Return the `word` tokens of a line, with ' for ’ inside words."""
    tokens: list[str] = _word_pattern(config.punctuation).findall(text)
    return [token.replace("’", "'") if len(token) > 1 else token for token in tokens]


@cache
def _word_pattern(punctuation: bool) -> re.Pattern[str]:
    """Compile one token of `word`; possessive quantifiers (++, *+) never backtrack, so time is linear."""
    classes = char_classes("word", punctuation)
    word = _as_ranges(classes == WORD)
    pattern = f"[{word}]++(?:[{_APOSTROPHES}][{word}]++)*+"
    if punctuation:
        pattern += f"|[{_APOSTROPHES}{_as_ranges(classes == PUNCTUATION)}]"
    return re.compile(pattern)


@cache
def char_classes(tokenizer: str, punctuation: bool) -> npt.NDArray[np.uint8]:
    """Return the class of every code point: uint8, (0x110000,), read-only.

    `word` has the classes SEPARATOR, WORD, APOSTROPHE (part of a word if between two word characters) and, if
    punctuation is kept, PUNCTUATION. `whitespace` has SEPARATOR and WORD.
    """
    assert tokenizer in CLASSIFIED, "the other tokenizers do not work by single characters"
    if tokenizer == "whitespace":
        classes = np.full(_NUM_CODE_POINTS, WORD, np.uint8)
    else:
        classes = np.full(_NUM_CODE_POINTS, PUNCTUATION if punctuation else SEPARATOR, np.uint8)
        for code in (*range(0x40000), *range(0xE0000, 0xE1000)):  # because Unicode assigns none in between
            category = unicodedata.category(chr(code))
            if category[0] in "LMN" or category == "Pc":
                classes[code] = WORD
            elif category in ("Cc", "Cf"):
                classes[code] = SEPARATOR
        classes[[0x200C, 0x200D]] = WORD  # joiners, because Persian and Indic words contain them
        classes[[ord(char) for char in _APOSTROPHES]] = APOSTROPHE
    classes[[code for code in range(0x10000) if chr(code).isspace()]] = SEPARATOR
    classes.flags.writeable = False
    return classes


def _as_ranges(is_member: npt.NDArray[np.bool_]) -> str:
    """Write code points as the inside of a regular expression's [...]."""
    edges = np.flatnonzero(np.diff(is_member, prepend=False, append=False)).tolist()
    return "".join(
        f"\\U{start:08x}-\\U{end - 1:08x}" for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
