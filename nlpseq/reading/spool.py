"""Texts in memory, written once to a temporary file, which is read like any other file.

A source is an iterable of texts or of lists of tokens, or a data frame or a data set of Hugging Face with a
column. Each text is a document. A list of tokens is a sentence of tokens to keep as they are.
"""

import math
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any

from nlpseq.core.cache_dir import cache_dir
from nlpseq.errors import DataError
from nlpseq.reading.columns import SAMPLE_RECORDS, choose_column
from nlpseq.reading.decode import UTF_8
from nlpseq.storage.artifact import write_errors

__all__ = ["END_OF_TEXT", "NAME", "Spool", "spool_texts"]

NAME = "texts in memory"  # for messages
END_OF_TEXT = b"\xff"  # never part of UTF-8
_BATCH_ROWS = 1000
_BLANK = "".join(map(chr, range(0x21)))  # as in blank_numba.is_blank


@dataclass(frozen=True, eq=False)
class Spool:
    """Texts in a temporary file, which vanishes with this object; END_OF_TEXT follows each text."""

    file: IO[bytes]
    is_tokens: bool  # a space stands between tokens
    num_missing: int  # None, NaN, NA or a blank text
    first_missing: int  # number of the item, from 1

    def __post_init__(self) -> None:
        weakref.finalize(self, self.file.close)


def spool_texts(source: Iterable[Any], column: str | None = None) -> Spool:
    """Write all texts of a source to a temporary file.

    column: of a data frame or data set; by default `text`, or the only column with text. Raises DataError if
    an item is no text, ResourceError if the disk is full.
    """
    num_missing, first_missing, kind = 0, 0, None
    with write_errors(cache_dir()), ExitStack() as on_error:
        file = on_error.enter_context(tempfile.TemporaryFile(dir=cache_dir()))
        for number, item in enumerate(_items(source, column), 1):
            if _is_missing(item) or (isinstance(item, str) and not item.strip(_BLANK)):
                num_missing, first_missing = num_missing + 1, first_missing or number
            if _is_missing(item):
                continue
            is_tokens = not isinstance(item, str)
            if kind not in (None, is_tokens):
                raise DataError(f"{NAME}, item {number}: mixes texts with lists of tokens. Use one kind.")
            kind = is_tokens
            file.write((_tokens(item, number) if is_tokens else _clean(item)) + END_OF_TEXT)
        file.flush()
        on_error.pop_all()
    return Spool(file, bool(kind), num_missing, first_missing)


def _items(source: Any, column: str | None) -> Iterator[Any]:
    """Yield the items of an iterable, or of a column."""
    names = _column_names(source)
    if isinstance(source, (Mapping, bytes, bytearray)) or not (names or hasattr(source, "__iter__")):
        raise DataError(
            f"corpus: is of type {type(source).__name__}. Use a path, an iterable of texts, or a data frame."
        )
    if names:
        if column not in names or not _has_text(_sample(source, column)):
            column = _choose({name: _sample(source, name) for name in names}, column, "data frame")
        yield from _column(source, column)
        return
    items = iter(source)
    first = [*islice(items, SAMPLE_RECORDS)]
    records = [item for item in first if isinstance(item, Mapping)]
    if records:
        samples = {key: [record.get(key) for record in records] for record in records for key in record}
        column = _choose(samples, column, "records")
    yield from _plain(item.get(column) if isinstance(item, Mapping) else item for item in chain(first, items))


def _column_names(source: Any) -> list[str]:
    """Return the columns of pandas, polars and pyarrow tables and of data sets, none for a plain iterable."""
    names = getattr(source, "column_names", None)
    names = getattr(source, "columns", None) if names is None else names
    return [] if names is None else list(names)


def _column(source: Any, name: str) -> Iterator[Any]:
    values: Iterable[Any]
    if hasattr(source, "iter"):  # of a data set
        batches = source.select_columns([name]).iter(batch_size=_BATCH_ROWS)
        values = (value for batch in batches for value in batch[name])
    else:
        values = source[name]
    return _plain(values)


def _plain(values: Iterable[Any]) -> Iterator[Any]:
    """Yield values of pyarrow as values of Python, and others unchanged."""
    return (value.as_py() if hasattr(value, "as_py") else value for value in values)


def _sample(source: Any, name: str) -> list[Any]:
    return [*islice(_column(source, name), SAMPLE_RECORDS)]


def _choose(samples: Mapping[str, list[Any]], wanted: str | None, name: str) -> str:
    """Return the column with the text, as choose_column; an explicit column may hold any strings.

    samples: the first values of each column. name: of the source, for messages.
    """
    texts = {
        column: ["" if _is_missing(value) else str(value) for value in values]
        for column, values in samples.items()
        if _has_text(values)
    }
    if wanted in texts:
        return wanted
    return choose_column(texts, wanted, name, others=samples.keys() - texts.keys(), is_binary=True)


def _has_text(values: Iterable[Any]) -> bool:
    """Return True if all values are strings, strings in a list, or missing."""
    return all(_is_missing(value) or isinstance(value, str) or _is_tokens(value) for value in values)


def _is_tokens(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0
    return is_list and all(isinstance(each, str) for each in value)


def _is_missing(value: Any) -> bool:
    """Return True for None, NaN and the NA of pandas."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or type(value).__name__ == "NAType"


def _clean(text: Any) -> bytes:
    r"""Return UTF-8 with \n for every newline, as in a decoded file."""
    plain = str(text)  # because the text may be of a subclass, such as that of NumPy
    if "\r" in plain:
        plain = plain.replace("\r\n", "\n").replace("\r", "\n")
    return plain.encode(*UTF_8)


def _tokens(item: Any, number: int) -> bytes:
    """Return the tokens of a sentence, joined by spaces."""
    if isinstance(item, (list, tuple)) or hasattr(item, "tolist"):
        for token in item:
            if not isinstance(token, str):
                break
            if token.split() != [token] or "\0" in token:
                raise DataError(
                    f"{NAME}, item {number}: the token {token!r:.50} is empty or has white space. "
                    "Join its parts, for example with _."
                )
        else:
            sentence: str = " ".join(item)
            return sentence.encode(*UTF_8)
    raise DataError(
        f"{NAME}, item {number}: is of type {type(item).__name__}. Give texts, or lists of tokens; "
        "name several paths as open_corpus(*paths)."
    )
