"""Whole tokens of `word`: <unk>, emoji, and the kinds in TextConfig.keep, such as URLs.

Words and punctuation come from the text between whole tokens.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from nlpseq.config import TextConfig
from nlpseq.tokenizers.char_classes import (
    EMOJI_JOINER,
    INVISIBLE,
    PUNCTUATION,
    WORD,
    as_ranges,
    char_classes,
    chunks_around,
    fold_text,
)

__all__ = ["MAX_LITERAL", "WholeToken", "find_whole_tokens"]

MAX_LITERAL = 20  # characters between < and >
_LITERAL = re.compile(f"(</?[A-Za-z][A-Za-z0-9_-]{{0,{MAX_LITERAL - 1}}}>)")


class WholeToken(NamedTuple):
    """Where a whole token starts and ends in a text, in characters."""

    start: int
    end: int
    is_kept: bool  # a keycap is dropped unless punctuation is kept


def find_whole_tokens(text: str, config: TextConfig) -> tuple[str, list[WholeToken]]:
    """Return the text after fold_text, and its whole tokens.

    Tokens such as <unk> are found before fold_text, as in the compiled scan.
    """
    parts, found, at = list[str](), list[WholeToken](), 0
    for number, part in enumerate(_LITERAL.split(text) if config.word_rule > 1 else [text]):
        parts.append(fold_text(part, config))
        end = at + len(parts[-1])
        if number % 2:
            found.append(WholeToken(at, end, True))
        else:
            found += [
                WholeToken(at + start, at + stop, kept) for start, stop, kept in _find(parts[-1], config)
            ]
        at = end
    return "".join(parts), found


def _find(text: str, config: TextConfig) -> Iterator[WholeToken]:
    """Yield whole tokens, which hold no white space, of a text from fold_text."""
    candidate, whole = _patterns(config.punctuation, config.word_rule, config.keep or "")
    for start, end in chunks_around(candidate, text):
        for match in whole.finditer(text, start, end):
            yield WholeToken(*match.span(), match.lastindex is None)


class _Kind(NamedTuple):
    """The regular expressions of a kind of whole tokens."""

    first: str  # characters at which a candidate starts, as the inside of [...]
    rest: str  # of a candidate, a part of the token
    whole: str  # the token; with a group if tokens are dropped


@cache
def _patterns(punctuation: bool, rule: int, keep: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile a fast pattern for candidates and the pattern of whole tokens."""
    kinds = _emoji_kinds(punctuation) if rule > 1 else []
    if keep:
        kept = _kept_kinds(punctuation)
        kinds += [kept[name] for name in keep.split(",")]
    first = "".join(kind.first for kind in kinds)  # joined, because the search for a single set is fast
    rest = "|".join(f"(?<=[{kind.first}]){kind.rest}" for kind in kinds)
    candidate = f"[{first}](?:{rest})" if kinds else "(?!)"
    return re.compile(candidate), re.compile("|".join(kind.whole for kind in kinds))


def _emoji_kinds(punctuation: bool) -> list[_Kind]:
    """Return keycaps and the sequences of Unicode Technical Standard 51, with any symbol as their base."""
    keycap = "[0-9#*]\ufe0f?\u20e3"
    if not punctuation:
        return [_Kind("\u20e3", "", f"({keycap})")]
    mark = as_ranges(char_classes("word", punctuation) == PUNCTUATION)
    selector, tone, tag = "\ufe00-\ufe0f", "\U0001f3fb-\U0001f3ff", "\U000e0020-\U000e007f"
    region = "\U0001f1e6-\U0001f1ff"
    sequence = f"[{mark}](?:[{selector}{tone}{tag}]|\u200d[{mark}])+"
    parts = f"\u200d\u20e3{selector}{tone}{tag}{region}"
    return [_Kind(parts, "", f"{keycap}|{sequence}|[{region}]{{1,2}}|[{tone}]")]


def _kept_kinds(punctuation: bool) -> dict[str, _Kind]:
    """Return the kinds for TextConfig.keep; every pattern takes linear time."""
    classes = char_classes("word", punctuation)
    w = as_ranges(classes == WORD)
    d = as_ranges(np.array([chr(code).isdecimal() for code in range(0x10000)]))  # because \d is slow
    inside = as_ranges((classes == INVISIBLE) | (classes == EMOJI_JOINER))
    word = f"[{w}]++(?:[{inside}]++[{w}]++)*+"
    in_url = "!#-;=?-Z_a-z~\u00c0-\u052f"  # ASCII and letters of Europe, because Korean particles follow URLs
    url = rf"(?:(?i:https?|ftp)://|(?i:www)\.)[{in_url}\[\]]*[#$%&*+/-9=@A-Z_a-z~\u00c0-\u052f-]"
    mail = r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@(?:[A-Za-z0-9-]++\.)+[A-Za-z]{2,}"
    return {
        "urls": _Kind(":wW@", r"(?:(?<=:)//|(?i:(?<=w)ww\.)|(?<=@))", rf"(?<![{w}]){url}|{mail}"),
        "mentions": _Kind("@", "", rf"(?<![{w}])@[A-Za-z0-9_]++"),
        "hashtags": _Kind("#", "", rf"(?<![{w}&/])#{word}"),
        "numbers": _Kind(d, f"[.,٫٬][{d}]", f"(?<![{w}])(?<![{w}][.,٫٬])[{d}]++(?:[.,٫٬][{d}]++)++"),
    }
