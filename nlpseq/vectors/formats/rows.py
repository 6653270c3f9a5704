"""Words and vectors, as they are collected from a file and as they are written to one.

A format cannot hold a word that is empty, contains a separator of the format, or would read back as another
word. Formats with escapes of their own, .npy with vocab.tsv and the folder, hold every word.

Letters: V words, D dimensions, B rows of a block.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab, escape
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.formats.names import TITLES, BadTokens, Format
from nlpseq.vectors.subwords import SubwordVectors

__all__ = ["UNKNOWN_COUNT", "WORD_ENCODING", "RowBuffer", "VectorFile", "VectorRows", "quote_first"]
__all__ += ["WholeModel", "select_writable"]

UNKNOWN_COUNT = -1
WORD_ENCODING = ("utf-8", "surrogateescape")  # keeps invalid bytes, because word2vec.c cuts inside characters
_BLOCK_ROWS = 1024
_SEPARATORS: dict[Format, re.Pattern[str]] = {
    "word2vec": re.compile(r"[ \t\n\r\v\f]"),  # white space in C, without the no-break space
    "glove": re.compile("[ \t\n\r\v\f]|^\ufeff"),  # a byte order mark, at the start of a file
    "word2vec-binary": re.compile(r"[ \n]"),
    "projector": re.compile(r"[\t\n\r]"),
    "fasttext": re.compile("\0"),
    "parquet": re.compile(r"[\ud800-\udfff]"),  # these three hold UTF-8 alone
    "static": re.compile(r"[\ud800-\udfff]"),
    "spacy": re.compile(r"[\ud800-\udfff]"),
}
_EMPTY = "\\e"  # because no escaped word begins so


class VectorFile(NamedTuple):
    """The content of a vector file.

    first_lines: the row and the line of the first vector, and of each vector before which lines were left
    out; empty if the format has no lines. not_finite: words whose vectors were not finite and became zero.
    contexts, subwords, meta: see Vectors.
    """

    vocab: Vocab
    matrix_VD: Any  # an array of float32, or a CompactMatrix
    format: str
    notices: list[str]  # for the user, such as about repeated words
    first_lines: Sequence[tuple[int, int]] = ()
    not_finite: Sequence[str] = ()
    contexts: Any = None
    subwords: SubwordVectors | None = None
    meta: Mapping[str, Any] = {}


class RowBuffer:
    """Words and vectors read so far, in a matrix that grows if `height` was too low.

    height: rows to allocate at once. Pass 0 if the file size does not bound the number of rows, so that
    memory follows the bytes that were read. max_rows: rows to read, None for all.
    """

    def __init__(self, dim: int, height: int = 0, max_rows: int | None = None) -> None:
        self.dim = dim
        self._max_rows = max_rows
        self.matrix_VD = np.empty((self._limited(height), dim), np.float32)
        self.filled = 0
        self._words = list[bytes]()

    @property
    def is_full(self) -> bool:
        """True if all rows to read have been read."""
        return self.filled == self._max_rows

    def _limited(self, height: int) -> int:
        return height if self._max_rows is None else min(height, self._max_rows)

    def make_room(self, num_rows: int) -> None:
        """Grow the matrix to at least `num_rows` free rows."""
        height = len(self.matrix_VD)
        if self.filled + num_rows > height:
            height = self._limited(max(self.filled + num_rows, height + height // 4))
            self.matrix_VD.resize((height, self.dim), refcheck=False)  # in place: no view outlives this call

    def add(self, num_rows: int, words: bytes) -> None:
        """Count rows as filled; words: their words, each followed by a separator."""
        self.filled += num_rows
        self._words.append(words)

    def finish(self, separator: str) -> tuple[Vocab, npt.NDArray[np.float32]]:
        """Return the words, without counts, and the filled rows, float32, (V, D)."""
        text = b"".join(self._words).decode(*WORD_ENCODING)  # at once, because the separator is ASCII
        words = text.split(separator)[:-1]
        self.matrix_VD.resize((self.filled, self.dim), refcheck=False)
        return Vocab(words, np.full(len(words), UNKNOWN_COUNT)), self.matrix_VD


class WholeModel(NamedTuple):
    """Parts of a model that few formats hold: contexts, rows of n-grams, and settings (see Vectors)."""

    contexts: Any = None
    subwords: SubwordVectors | None = None
    meta: Mapping[str, Any] = {}


class VectorRows(NamedTuple):
    """Words as they are written, their counts, and the row of the matrix for each word."""

    words: Sequence[str]
    counts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]
    matrix_VD: npt.NDArray[np.float32]
    model: WholeModel = WholeModel()

    def blocks(self) -> Iterator[tuple[Sequence[str], npt.NDArray[np.float32]]]:
        """Yield words and their vectors in blocks of rows."""
        for start in range(0, len(self.words), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            yield self.words[block], self.matrix_VD[self.rows[block]]


def quote_first(words: Sequence[str]) -> str:
    """Quote the first five words for a message."""
    return ", ".join(map(repr, words[:5])) + (", ..." if len(words) > 5 else "")


def select_writable(
    words: Sequence[str], format: Format, bad_tokens: BadTokens
) -> tuple[Sequence[str], npt.NDArray[np.intp], list[str]]:
    r"""Return the words as a file of this format holds them, the row of each, and notices.

    Bad words raise DataError unless treated.

    bad_tokens: "skip" leaves bad words out. "escape" writes every word as vocab.tsv does, a space as \u0020
    and the empty word as \e: different words stay different, and vocab.unescape restores each of them.
    """
    if bad_tokens not in ("error", "skip", "escape"):
        raise ConfigError(f"bad_tokens: {bad_tokens!r} is unknown. Choose one of error, skip, escape.")
    separators, rows = _SEPARATORS.get(format), np.arange(len(words))
    if separators is None:
        return words, rows, []
    if bad_tokens == "escape":
        escaped = [separators.sub(lambda m: f"\\u{ord(m[0]):04x}", escape(word)) or _EMPTY for word in words]
        changed = [word for word, new in zip(words, escaped, strict=True) if new != word]
        notice = f"{count_text(len(changed), 'word')} written with escapes: {quote_first(changed)}"
        return escaped, rows, [notice] if changed else []
    bad = [row for row, word in enumerate(words) if _is_bad(word, separators)]
    quoted = quote_first([words[row] for row in bad])
    if bad and bad_tokens == "error":
        raise DataError(
            f"{TITLES[format]}: cannot hold {len(bad):,} of the words, which are empty, contain a separator "
            f"or are not text: {quoted}. "
            "Skip or escape them (bad_tokens, --bad-tokens), or write .npy or a folder."
        )
    rows = np.delete(rows, bad)
    kept = [words[row] for row in rows.tolist()]
    return kept, rows, [f"{count_text(len(bad), 'word')} left out: {quoted}"] if bad else []


def _is_bad(word: str, separators: re.Pattern[str]) -> bool:
    """Return True for a word that is empty, contains a separator, or changes when written and read."""
    if not word or separators.search(word) is not None:
        return True
    try:
        return not word.isascii() and word.encode(*WORD_ENCODING).decode(*WORD_ENCODING) != word
    except UnicodeEncodeError:  # a surrogate without a byte
        return True
