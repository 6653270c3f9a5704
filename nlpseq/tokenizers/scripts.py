"""The scripts of a text, and the tokenizer for a script without spaces between words."""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlpseq.reading.decode import NOTE

__all__ = [
    "UNSPACED_TEXT", "korean_notice", "script_shares", "tokenizer_for_script", "unspaced_notice",
]  # fmt: skip

UNSPACED_TEXT = "Text without spaces"  # start of the warning

_RANGES = {  # characters of Unicode blocks
    "fugashi": "ぁ-ヿｦ-ﾟ",  # kana
    "jieba": "㐀-䶿一-鿿\uf900-\ufaff\U00020000-\U0003ffff",  # Chinese characters
    "pythainlp": "\u0e01-\u0e5b",
    "kiwi": "가-힣ㄱ-ㆎ",
}
_SCRIPT = re.compile("[A-Z]+")  # first word of a letter's name in Unicode
_NAMES = {"CJK": "Han", "IDEOGRAPHIC": "Han", "FULLWIDTH": "Latin", "HALFWIDTH": "Katakana"}
_CHUNK_WORDS = 1 << 16  # in memory as code points at a time
_MIN_KANA = 0.1  # share of kana that tells Japanese from Chinese
_MAX_MEAN_LETTERS = 12  # of a word; languages with spaces have 4 to 9
_MAX_BY_SCRIPT = {"fugashi": 4, "jieba": 4, "pythainlp": 9}  # words of these languages have 2 to 5


def tokenizer_for_script(text: str) -> str:
    """Return the tokenizer for the main script of a text without spaces.

    The tokenizer is "char" if no other fits.
    """
    counts = {name: len(re.findall(f"[{chars}]", text)) for name, chars in _RANGES.items()}
    if counts["fugashi"] > _MIN_KANA * counts["jieba"]:
        counts["fugashi"] += counts["jieba"]
    name = max(counts, key=lambda name: counts[name])
    return name if counts[name] * 2 > len(text) else "char"


def script_shares(words: Sequence[str], counts: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the share of each script among the letters of a text, the largest first.

    words: of the text; counts: of each word, (len(words),). Digits and punctuation are no letters.
    """
    counts_C = np.zeros(sys.maxunicode + 1)  # of each code point
    for first in range(0, len(words), _CHUNK_WORDS):
        part = words[first : first + _CHUNK_WORDS]
        codes = np.frombuffer("".join(part).encode("utf-32-le", "surrogatepass"), "<u4")
        weights = np.repeat(counts[first : first + _CHUNK_WORDS], [*map(len, part)])
        counts_C += np.bincount(codes, weights, len(counts_C))
    letters = Counter[str]()
    for code in np.flatnonzero(counts_C).tolist():
        if chr(code).isalpha() and (name := _SCRIPT.match(unicodedata.name(chr(code), ""))):
            letters[_NAMES.get(name[0], name[0].title())] += counts_C[code]
    return {name: float(count / letters.total()) for name, count in letters.most_common()}


def unspaced_notice(
    words: Sequence[str], counts: npt.NDArray[np.int64], words_a_line: npt.NDArray[np.int64]
) -> str | None:
    """Return a warning if a sample of `word` tokens comes from text without spaces.

    counts: of each word, (len(words),). words_a_line: of some lines.
    """
    if not words or not counts.sum():
        return None
    mean = float(np.dot(counts, [len(word) for word in words]) / counts.sum())
    tokenizer = tokenizer_for_script("".join(words))
    if mean > _MAX_BY_SCRIPT.get(tokenizer, _MAX_MEAN_LETTERS):
        found = f"words have {mean:.0f} letters on average"
    elif tokenizer != "char" and np.mean(words_a_line == 1) > 1 / 2:
        found = "most lines are a single word"
    else:
        return None
    return f"{UNSPACED_TEXT}: {found}. Use --tokenizer {tokenizer}."


def korean_notice(words: Sequence[str], counts: npt.NDArray[np.int64]) -> str | None:
    """Return a note about morphemes if most tokens of a sample are Korean; counts: of each word."""
    is_korean = [re.match(f"[{_RANGES['kiwi']}]", word) is not None for word in words]
    if not words or 2 * int(counts[is_korean].sum()) <= int(counts.sum()):
        return None
    return (
        f"{NOTE}Korean text: words keep particles and endings, such as 학교에서. --tokenizer kiwi or mecab "
        "splits them off."
    )
