"""The tokenizer `word`: the specification of the compiled scan in scan_numba.py.

A token is a run of letters, marks, digits and connectors (_) of any script, with single apostrophes and other
middle characters inside. Hyphens separate words. With punctuation=True every other visible character is a
token. README.md has examples of the whole rule.
"""

import re
from functools import cache

import numpy as np

from nlpseq.config import TextConfig
from nlpseq.tokenizers.char_classes import (
    APOSTROPHES,
    EMOJI_JOINER,
    INVISIBLE,
    LESS_THAN,
    MIDDLE,
    PUNCTUATION,
    WORD,
    as_ranges,
    char_classes,
)
from nlpseq.tokenizers.whole_tokens import find_whole_tokens

__all__ = ["fold_apostrophes", "split_words"]


def split_words(text: str, config: TextConfig) -> list[str]:
    """Return the `word` tokens of a line, with ' for other apostrophes inside words."""
    pattern = _word_pattern(config.punctuation, config.word_rule)
    text, whole_tokens = find_whole_tokens(text, config)
    tokens, done = list[str](), 0
    for start, end, is_kept in whole_tokens:
        tokens += pattern.findall(text, done, start)
        tokens += [text[start:end]] * is_kept
        done = end
    tokens += pattern.findall(text, done)
    return [fold_apostrophes(token, config) for token in tokens]


def fold_apostrophes(lines: str, config: TextConfig) -> str:
    """Write ' for other apostrophes inside `word` tokens.

    lines: one token each. A token ’ stays.
    """
    return _inner_apostrophe(config.word_rule).sub("'", lines)


@cache
def _inner_apostrophe(rule: int) -> re.Pattern[str]:
    return re.compile(f"[{APOSTROPHES[rule]}](?<=..)")  # the set first, because the search for it is fast


@cache
def _word_pattern(punctuation: bool, rule: int) -> re.Pattern[str]:
    """Compile one token of `word`; possessive quantifiers (++, *+) never backtrack, so time is linear."""
    classes = char_classes("word", punctuation, rule)
    word, middle = as_ranges(classes == WORD), as_ranges(classes == MIDDLE)
    is_invisible = np.isin(classes, [INVISIBLE, EMOJI_JOINER])
    invisible = f"[{as_ranges(is_invisible)}]*+" if is_invisible.any() else ""
    pattern = f"[{word}]++(?:{invisible}[{middle}]?+{invisible}[{word}]++)*+"
    if punctuation:
        pattern += f"|[{middle}{as_ranges(np.isin(classes, [PUNCTUATION, LESS_THAN]))}]"
    return re.compile(pattern)
