"""The text of one column of CSV or TSV, scanned by compiled code.

Fields are separated by a comma, semicolon, tab or bar; quotes and newlines inside quotes are understood. If
neither name nor settings say that a file is a table, its first 100 records must have the same two or more
fields under a heading. A heading has short, different names that are no values of the columns: no
numbers, dates, spaces around or full stops.
"""

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.resources import count_text
from nlpseq.errors import DataError
from nlpseq.reading.columns import SAMPLE_RECORDS, Bytes, choose_column, is_text, scan_chunks
from nlpseq.reading.decode import ReadReport

__all__ = ["Dialect", "choose_field", "sniff_dialect", "table_text"]

_DELIMITERS = {",": "CSV", ";": "semicolon-separated CSV", "\t": "TSV", "|": "bar-separated CSV"}
_QUOTINGS: tuple[dict[str, Any], ...] = (
    {"strict": True},
    {"quoting": csv.QUOTE_NONE},
    {},
)  # for csv.reader, the most likely first
_MIN_RECORDS = 2  # under the heading, for a file whose name says nothing
_MAX_NAME_CHARS, _MAX_NAME_WORDS = 40, 4  # of a column
_ONLY_COLUMN = ("text", "body", "content", "sentence", "document", "review", "title", "본문", "내용", "문장")


class Dialect(NamedTuple):
    """How a table is written."""

    delimiter: str
    is_quoted: bool
    has_heading: bool
    columns: list[str]  # names, or numbers from 1 without a heading
    values: list[list[str]]  # of each column, in the sample

    @property
    def title(self) -> str:
        """Return the format in words, for messages."""
        return _DELIMITERS[self.delimiter] + (" with a heading" if self.has_heading else " without a heading")


def sniff_dialect(sample: bytes, is_whole: bool, format: Literal["csv", "tsv"] | None) -> Dialect | None:
    """Return how the table at the start of a text is written, None if the text is no table.

    is_whole: the sample is the whole text. format: known from the name or the settings, if any.
    """
    text = sample.decode("utf-8", "replace")
    if format is None:
        first = text[: text.find("\n") + 1]
        if not any(_is_heading(first.rstrip("\n").replace('"', "").split(each)) for each in _DELIMITERS):
            return None  # at once, because most files are prose
    tables = [
        (delimiter, "quoting" not in how, _read_records(text, is_whole, delimiter=delimiter, **how))
        for delimiter in ("\t" if format == "tsv" else _DELIMITERS)
        for how in _QUOTINGS
    ]
    for delimiter, is_quoted, records in tables:
        widths = set(map(len, records))
        if len(widths) == 1 and widths != {1} and (format or _is_table(records)):
            return _make_dialect(delimiter, is_quoted, records)
    if format is None:
        return None
    # no delimiter fits all records: take the delimiter that fits most, else a single column
    delimiter, is_quoted, records = max(tables, key=lambda table: _num_alike(table[2]))
    return _make_dialect(delimiter, is_quoted, records)


def _read_records(text: str, is_whole: bool, **how: Any) -> list[list[str]]:
    """Return the first complete records of a sample, without empty lines; none if the quotes are wrong.

    how: arguments of csv.reader.
    """
    records = list[list[str]]()
    before = csv.field_size_limit(sys.maxsize)
    try:
        records.extend(
            islice(filter(None, csv.reader(io.StringIO(text, newline=""), **how)), SAMPLE_RECORDS + 1)
        )
    except csv.Error as error:
        if is_whole or "end of data" not in str(error):
            return []
        records.append([])  # the incomplete record
    finally:
        csv.field_size_limit(before)
    return records if is_whole or len(records) > SAMPLE_RECORDS else records[:-1]


def _num_alike(records: list[list[str]]) -> int:
    """Count the records as wide as the first, 0 if the first has a single field."""
    return Counter(map(len, records))[len(records[0])] if records and len(records[0]) > 1 else 0


def _is_table(records: list[list[str]]) -> bool:
    """Return True if records of equal width stand under a heading, whose names are not values as well."""
    columns = list(zip(*records, strict=True))
    return (
        len(records) > _MIN_RECORDS
        and _is_heading(records[0])
        and all(column.count(column[0]) == 1 for column in columns)
    )


def _is_heading(names: list[str]) -> bool:
    """Return True if the fields of the first record look like names of columns."""
    if len(names) == 1:
        return names[0].lower() in _ONLY_COLUMN
    named = names[not names[0] :]  # because pandas writes an index without a name
    return len({name.lower() for name in names}) == len(names) and all(
        is_text(name)
        and name == name.strip()
        and len(name) <= _MAX_NAME_CHARS
        and len(name.split()) <= _MAX_NAME_WORDS
        and name[-1] not in ".!?…。"
        for name in named
    )


def _make_dialect(delimiter: str, is_quoted: bool, records: list[list[str]]) -> Dialect:
    has_heading = bool(records) and _is_heading(records[0])
    width = len(records[0]) if records else 1
    names = records[0] if has_heading else [str(number) for number in range(1, width + 1)]
    rows = [row for row in records[has_heading:] if len(row) == width]
    values = [[row[number] for row in rows] for number in range(width)]
    return Dialect(delimiter, is_quoted, has_heading, names, values)


def choose_field(dialect: Dialect, wanted: str | None, name: str) -> int:
    """Return the number of the column with the text, from 0.

    wanted: a name, or a number from 1. name: of the file. Raises DataError if the choice is not clear.
    """
    columns = dialect.columns
    if wanted is not None and wanted not in columns and wanted.isdecimal():
        number = int(wanted)
        wanted = columns[number - 1] if 0 < number <= len(columns) else wanted
    if len(columns) == 1 and wanted is None and not dialect.values[0]:
        return 0
    return columns.index(choose_column(dict(zip(columns, dialect.values, strict=True)), wanted, name))


def table_text(
    pieces: Iterator[bytes], dialect: Dialect, column: int, *, end: int, name: str, report: ReadReport
) -> Iterator[bytes]:
    """Yield the text of a column, each field followed by the byte `end`.

    pieces: UTF-8. column: number from 0. Records with another number of fields than the first are skipped and
    counted in the report. Raises DataError if no record is left, or if a quote never ends.
    """
    use_cache_for_numba()
    from nlpseq.reading import tables_numba as scanner

    fields = np.zeros(scanner.NUM_FIELDS, np.int64)
    fields[scanner.AFTER_HEADING] = not dialect.has_heading
    marks = np.array([ord(dialect.delimiter), ord('"' if dialect.is_quoted else "\n")], np.uint8)
    width = len(dialect.columns)

    def scan(data: Bytes, out: Bytes, size: int) -> tuple[int, int]:
        return scanner.scan_table(data, marks, column, width, end, fields, out, size)  # type: ignore[no-any-return]

    yield from scan_chunks(pieces, scan)
    place, skipped = int(fields[scanner.PLACE]), int(fields[scanner.SKIPPED])
    advice = "Correct the file, or use --format text to read the file as plain text."
    as_first = f"{count_text(width, 'field')}, as the first line"
    if fields[scanner.STEP] == scanner.QUOTED:
        raise DataError(f"{name}, record {place + 1}: has a quote that never ends. {advice}")
    if skipped and skipped == place:
        raise DataError(f"{name}: has no record with {as_first} has. {advice}")
    report.skip(f"without {as_first} has", skipped, f"{name}, record {fields[scanner.FIRST_SKIPPED]}")
    reason, place = f"without text in {dialect.columns[column]}", int(fields[scanner.FIRST_WITHOUT])
    report.skip(reason, int(fields[scanner.WITHOUT]), f"{name}, record {place}")
    if fields[scanner.FIRST_STRAY]:
        report.stray_quotes.add(f"{name}, record {fields[scanner.FIRST_STRAY]}")
