"""Classes of characters, from which `word` and `whitespace` follow.

TextConfig.word_rule is the version of the classes: rule 1 keeps older results usable, rule 2 follows Unicode
Standard Annex 29 for characters inside words. README.md has the tokens of rule 2 in a table.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.reading.normalize import normalize

__all__ = [
    "APOSTROPHES",
    "CLASSIFIED",
    "EMOJI_JOINER",
    "EMOJI_PART",
    "INVISIBLE",
    "LESS_THAN",
    "MIDDLE",
    "PUNCTUATION",
    "SEPARATOR",
    "WORD",
    "as_ranges",
    "char_classes",
    "chunks_around",
    "fold_text",
]

CLASSIFIED = ("word", "whitespace")  # tokenizers with char_classes
SEPARATOR, WORD, MIDDLE, PUNCTUATION, INVISIBLE, EMOJI_JOINER, EMOJI_PART, LESS_THAN = range(8)
APOSTROPHES = {1: "'’", 2: "'’ʼ＇՚"}  # by word_rule
_MID_LETTERS = "·‧״׳"  # MidLetter of Annex 29 that are not punctuation elsewhere, and geresh
_NUM_CODE_POINTS = 0x110000

_MARK = (0xFEFF,)  # byte order mark
_DROPPED = (  # soft hyphen, marks of direction and order, invisible operators, tatweel of Arabic and NKo
    *(0xAD, 0x61C, 0x640, 0x7FA, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070)),
    *_MARK,
)
_JOINERS = (  # kept between letters: grapheme and zero-width joiners, fillers, Mongolian controls
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x200C, 0x3164, 0xFFA0),
    *range(0xE0100, 0xE01F0),  # variation selectors of ideographs
)
_KEYCAP = 0x20E3
_EMOJI_JOINERS = (0x200D, *range(0xFE00, 0xFE10))  # zero-width joiner, variation selectors
_EMOJI_PARTS = (*range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080))
_EMOJI_LETTERS = (0x2139,)  # a letter by category
_SPACE = re.compile("[ \n]")
_DOTTED_I = re.compile("i\u0307+")  # lower case of İ
# small letters and marks with a common code point that capital letters lack, such as ẖ of H̱; i loses a mark
_JOINING_LETTERS, _JOINING_MARKS = (
    "ihjtwyĥȟάήαηιρυωϊϋώḣḧὰὴὼᾳῃῳ",
    "\u0300\u0301\u0307\u0308\u030a\u030c\u0313\u0331\u0342\u0345",
)


@cache
def char_classes(
    tokenizer: Tokenizer, punctuation: bool, rule: int = 2, *, has_literals: bool = True
) -> npt.NDArray[np.uint8]:
    """Return the class of every code point: uint8, (0x110000,), read-only.

    `word` has the classes SEPARATOR, WORD, MIDDLE (part of a word if single between two word characters) and
    INVISIBLE (part of a word between two word characters, else nothing). If punctuation is kept, PUNCTUATION
    is a token. LESS_THAN starts a token such as <unk>, else it is like other punctuation. Outside emoji of
    several characters, EMOJI_JOINER is like INVISIBLE and EMOJI_PART like SEPARATOR.
    `whitespace` has SEPARATOR, WORD and INVISIBLE. Without has_literals no character has LESS_THAN.
    """
    assert tokenizer in CLASSIFIED, "the other tokenizers do not work by single characters"
    if not has_literals:
        classes = char_classes(tokenizer, punctuation, rule).copy()
        classes[classes == LESS_THAN] = classes[ord(">")]
        classes.flags.writeable = False
        return classes
    if tokenizer == "whitespace":
        classes = np.full(_NUM_CODE_POINTS, WORD, np.uint8)
        classes[list(_MARK)] = WORD if rule == 1 else INVISIBLE
    else:
        mark = PUNCTUATION if punctuation else SEPARATOR
        classes = np.full(_NUM_CODE_POINTS, mark, np.uint8)
        for code in (*range(0x40000), *range(0xE0000, 0xE1000)):  # because Unicode assigns none in between
            category = unicodedata.category(chr(code))
            if category[0] in "LMN" or category == "Pc":
                classes[code] = WORD
            elif category in ("Cc", "Cf"):
                classes[code] = SEPARATOR
        classes[[ord(char) for char in APOSTROPHES[rule]]] = MIDDLE
        if rule == 1:
            classes[[0x200C, 0x200D]] = WORD
        else:
            classes[[ord(char) for char in _MID_LETTERS]] = MIDDLE
            classes[list(_EMOJI_LETTERS)] = mark
            classes[[*_DROPPED, *_JOINERS]] = INVISIBLE
            classes[[*_EMOJI_JOINERS]] = EMOJI_JOINER if punctuation else INVISIBLE
            classes[[*_EMOJI_PARTS]] = EMOJI_PART if punctuation else SEPARATOR
            classes[_KEYCAP] = EMOJI_JOINER
            classes[ord("<")] = LESS_THAN
    classes[[code for code in range(0x10000) if chr(code).isspace()]] = SEPARATOR
    classes.flags.writeable = False
    return classes


def fold_text(text: str, config: TextConfig) -> str:
    """Return text without characters that tokens never hold, lower-cased if set."""
    text = text.lower() if config.lower else text
    if config.word_rule == 1 or text.isascii():
        return text
    dropped, change = _changes(config.tokenizer == "word", config.lower)
    parts, done = list[str](), 0
    for start, end in chunks_around(change, text):
        chunk = dropped.sub("", text[start:end])
        if config.lower:
            chunk = _DOTTED_I.sub("i", chunk)
        parts += [text[done:start], normalize(chunk, config.normalize)]
        done = end
    return "".join([*parts, text[done:]])


def chunks_around(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each part between spaces that has a match, in linear time."""
    done = 0
    while match := pattern.search(text, done):
        spaces = (text.rfind(space, done, match.start()) + 1 for space in (" ", "\n"))
        start = max(done, *spaces)
        space = _SPACE.search(text, match.end())
        done = space.start() if space else len(text)
        yield start, done


@cache
def _changes(is_word: bool, lower: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile the characters to drop, and a fast search for them and for marks that may join a letter."""
    is_dropped = np.zeros(_NUM_CODE_POINTS, np.bool_)
    is_dropped[list(_DROPPED if is_word else _MARK)] = True
    dropped = as_ranges(is_dropped)
    if not lower:
        return re.compile(f"[{dropped}]+"), re.compile(f"[{dropped}]")
    is_combining = [unicodedata.combining(chr(code)) > 0 for code in range(0x20000)]
    before = _JOINING_LETTERS + as_ranges(np.array(is_combining))
    change = f"[{dropped}{_JOINING_MARKS}](?:(?<=[{dropped}])|(?<=[{before}].))"
    return re.compile(f"[{dropped}]+"), re.compile(change)


def as_ranges(is_member: npt.NDArray[np.bool_]) -> str:
    """Write code points as the inside of a regular expression's [...]."""
    edges = np.flatnonzero(np.diff(is_member, prepend=False, append=False)).tolist()
    return "".join(
        f"\\U{start:08x}-\\U{end - 1:08x}" for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
