"""Words that a format has no way to write, and what is done with them.

A word is bad where it is empty, holds what separates words in that format, or where its bytes would read back
as another word. Formats that escape what they must, .npy with vocab.tsv and the folder, hold every word.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import escape
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.formats.names import TITLES, BadTokens, Format
from nlpseq.vectors.formats.row_buffer import decoded, some
from nlpseq.vectors.formats.writer import encode_word

_SEPARATORS: dict[Format, re.Pattern[str]] = {
    "word2vec": re.compile(r"[ \t\n\r\v\f]"),  # what C takes for white space; a no-break space is none
    "glove": re.compile(r"[ \t\n\r\v\f]"),
    "word2vec-binary": re.compile(r"[ \n]"),
    "projector": re.compile(r"[\t\n\r]"),
}
_EMPTY = "\\e"  # no escape of a word begins so


class WritableWords(NamedTuple):
    """The words to write, as they are to be written, and the row each had."""

    words: Sequence[str]
    rows: npt.NDArray[np.intp]
    notices: list[str]


def select_writable(words: Sequence[str], format: Format, bad_tokens: BadTokens) -> WritableWords:
    """What of the words a file of this format gets; DataError for bad ones, unless told what to do with them.

    "skip" leaves them out. "escape" writes every word as vocab.tsv does, bad or not, a space as \\u0020 and
    the empty word as \\e: no two words become one, and vocab.unescape gives each of them back.
    """
    if bad_tokens not in ("error", "skip", "escape"):
        raise ConfigError(f"bad_tokens is {bad_tokens!r}. It must be one of error, skip, escape.")
    separators, rows = _SEPARATORS.get(format), np.arange(len(words))
    if separators is None:
        return WritableWords(words, rows, [])
    if bad_tokens == "escape":
        escaped = [_escaped(word, separators) for word in words]
        return WritableWords(escaped, rows, _changes(words, escaped))
    bad = [row for row, word in enumerate(words) if _is_bad(word, separators)]
    if bad and bad_tokens == "error":
        raise DataError(
            f"{TITLES[format]} cannot hold {len(bad)} of the words, which are empty, hold what separates "
            f"words or are no text: {some([words[row] for row in bad])}. "
            "Skip or escape them (bad_tokens, --bad-tokens), or write .npy or a folder."
        )
    rows = np.delete(rows, bad)
    kept = [words[row] for row in rows.tolist()]
    return WritableWords(kept, rows, _notices([words[row] for row in bad], "left out"))


def _changes(words: Sequence[str], escaped: Sequence[str]) -> list[str]:
    changed = [word for word, new in zip(words, escaped, strict=True) if new != word]
    return _notices(changed, "written with escapes")


def _notices(words: Sequence[str], fate: str) -> list[str]:
    return [f"{len(words)} words were {fate}: {some(words)}"] if words else []


def _is_bad(word: str, separators: re.Pattern[str]) -> bool:
    return not word or separators.search(word) is not None or not (word.isascii() or _comes_back(word))


def _comes_back(word: str) -> bool:
    try:
        return decoded(encode_word(word)) == word
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return False


def _escaped(word: str, separators: re.Pattern[str]) -> str:
    return separators.sub(lambda match: f"\\u{ord(match[0]):04x}", escape(word)) or _EMPTY
