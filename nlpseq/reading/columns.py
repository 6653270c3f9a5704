"""Records with columns or keys: choose the column with the text, and scan chunks for the text."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from nlpseq.errors import DataError

__all__ = ["SAMPLE_RECORDS", "Bytes", "choose_column", "is_text", "scan_chunks"]

SAMPLE_RECORDS = 100  # looked at to recognize a format and its columns

_NUMBER = r"[-+]?[\d.,]*\d(?:e[-+]?\d+)?\s?%?|nan|[-+]?inf"
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ][\d:.,]+)?(?:Z|[-+][\d:]+)?|[\d:]+"
_NO_TEXT = re.compile(rf"\s*(?:{_NUMBER}|{_DATE}|true|false|null|none)?\s*", re.IGNORECASE)
Bytes = npt.NDArray[np.uint8]

_EXAMPLE_CHARS = 40
_MAX_LISTED = 20  # columns in a message


def is_text(value: str) -> bool:
    """Return False for a number, a date, a truth value and an empty string."""
    return not _NO_TEXT.fullmatch(value)


def choose_column(columns: Mapping[str, Sequence[str]], wanted: str | None, name: str) -> str:
    """Return the wanted column, else `text`, else the only column with text.

    columns: a few values of each. name: of the file, for messages. Raises DataError, with an example of each
    column, if the choice is not clear.
    """
    if wanted is not None and wanted in columns:
        return wanted
    if wanted is None:
        with_text = [column for column, values in columns.items() if any(map(is_text, values))]
        if "text" in columns or len(with_text) == 1:
            return "text" if "text" in columns else with_text[0]
        problem = f"has {len(with_text) or 'no'} columns with text and none is named text"
        way_out = "Name one with --column, or use --format text to read the file as plain text"
    else:
        problem, way_out = f"has no column {wanted!r}", "Name one of its columns with --column"
    listed = ", ".join(_with_example(*each) for each in list(columns.items())[:_MAX_LISTED])
    more = f", and {len(columns) - _MAX_LISTED} more" * (len(columns) > _MAX_LISTED)
    raise DataError(f"{name}: {problem}. {way_out}{': ' * bool(listed)}{listed}{more}.")


def _with_example(column: str, values: Sequence[str]) -> str:
    example = next((value for value in values if value.strip()), "")
    short = example if len(example) <= _EXAMPLE_CHARS else example[:_EXAMPLE_CHARS] + "..."
    return f"{column} ({short!r})"


def scan_chunks(
    chunks: Iterator[bytes], scan: Callable[[Bytes, Bytes, int], tuple[int, int]]
) -> Iterator[bytes]:
    """Yield the text of complete records; a newline follows the last chunk.

    scan(data, out, size): appends the text in `data` to `out`, which holds `size` bytes of the open record,
    and returns the bytes of complete records in `out`, and of all records.
    """
    held = np.empty(0, np.uint8)
    for chunk in chain(chunks, [b"\n"]):
        data = np.frombuffer(chunk, np.uint8)
        out = np.empty(len(held) + len(data) + 8, np.uint8)  # 8: an end of the record, and a replaced escape
        out[: len(held)] = held
        done, size = scan(data, out, len(held))
        yield out[:done].tobytes()
        held = out[done:size]
