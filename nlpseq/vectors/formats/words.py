"""Select the words of a vocabulary for a file format, and treat unwritable words.

A word is bad if it is empty, contains a separator of the format, or would read back as another word. Formats
with escapes of their own, .npy with vocab.tsv and the folder, hold every word.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import escape
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.formats.names import TITLES, BadTokens, Format
from nlpseq.vectors.formats.rows import decode_words, encode_word, quote_first

__all__ = ["WritableWords", "select_writable"]

_SEPARATORS: dict[Format, re.Pattern[str]] = {
    "word2vec": re.compile(r"[ \t\n\r\v\f]"),  # white space in C, without the no-break space
    "glove": re.compile(r"[ \t\n\r\v\f]"),
    "word2vec-binary": re.compile(r"[ \n]"),
    "projector": re.compile(r"[\t\n\r]"),
}
_EMPTY = "\\e"  # because no escaped word begins so


class WritableWords(NamedTuple):
    """The words in their written form, and the row of each."""

    words: Sequence[str]
    rows: npt.NDArray[np.intp]
    notices: list[str]


def select_writable(words: Sequence[str], format: Format, bad_tokens: BadTokens) -> WritableWords:
    r"""Select the words for a file of this format; bad words raise DataError unless treated.

    bad_tokens: "skip" leaves bad words out. "escape" writes every word as vocab.tsv does, a space as \u0020
    and the empty word as \e: different words stay different, and vocab.unescape restores each of them.
    """
    if bad_tokens not in ("error", "skip", "escape"):
        raise ConfigError(f"bad_tokens: {bad_tokens!r} is unknown. Choose one of error, skip, escape.")
    separators, rows = _SEPARATORS.get(format), np.arange(len(words))
    if separators is None:
        return WritableWords(words, rows, [])
    if bad_tokens == "escape":
        escaped = [separators.sub(lambda m: f"\\u{ord(m[0]):04x}", escape(word)) or _EMPTY for word in words]
        changed = [word for word, new in zip(words, escaped, strict=True) if new != word]
        notice = f"{len(changed)} words were written with escapes: {quote_first(changed)}"
        return WritableWords(escaped, rows, [notice] if changed else [])
    bad = [row for row, word in enumerate(words) if _is_bad(word, separators)]
    quoted = quote_first([words[row] for row in bad])
    if bad and bad_tokens == "error":
        raise DataError(
            f"{TITLES[format]}: cannot hold {len(bad)} of the words, which are empty, contain a separator "
            f"or are not text: {quoted}. "
            "Skip or escape them (bad_tokens, --bad-tokens), or write .npy or a folder."
        )
    rows = np.delete(rows, bad)
    kept = [words[row] for row in rows.tolist()]
    return WritableWords(kept, rows, [f"{len(bad)} words were left out: {quoted}"] if bad else [])


def _is_bad(word: str, separators: re.Pattern[str]) -> bool:
    """Tell whether a word is empty, contains a separator, or changes when written and read."""
    if not word or separators.search(word) is not None:
        return True
    try:
        return not word.isascii() and decode_words(encode_word(word)) != word
    except UnicodeEncodeError:  # a surrogate without a byte
        return True
