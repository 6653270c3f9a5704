"""Records with columns or keys: choose the column with the text, and scan chunks for the text."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from nlpseq.errors import DataError

__all__ = [
    "SAMPLE_RECORDS",
    "Bytes",
    "UnclearColumn",
    "choose_column",
    "is_text",
    "require_columns",
    "scan_chunks",
]

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


class UnclearColumn(DataError):
    """A file without a clear column of text; problem and way_out: the sentences of the message."""

    def __init__(self, problem: str, way_out: str) -> None:
        super().__init__(f"{problem} {way_out}")
        self.problem, self.way_out = problem, way_out


def choose_column(
    columns: Mapping[str, Sequence[str]],
    wanted: str | None,
    name: str,
    *,
    others: Collection[str] = (),
    is_binary: bool = False,
) -> str:
    """Return the wanted column, else `text`, else the only column with text.

    columns: a few values of each. name: of the file, for messages. others: columns that cannot hold text.
    is_binary: the file cannot be read as plain text. Raises UnclearColumn, with an example of each column
    with text, if the choice is not clear or the wanted column holds no text.
    """
    with_text = [column for column, values in columns.items() if any(map(is_text, values))]
    if wanted is None:
        if "text" in columns or len(with_text) == 1:
            return "text" if "text" in columns else with_text[0]
        named = " and none is named text" * bool(with_text)
        problem = f"has {len(with_text) or 'no'} columns with text{named}"
    elif wanted in with_text or (wanted in columns and not "".join(columns[wanted]).strip()):
        return wanted  # perhaps without text in the sample alone
    elif wanted in columns or wanted in others:
        problem = f"column {wanted!r} holds no text"
    else:
        problem = f"has no column {wanted!r}{_suggestion(wanted, with_text)}"
    way_out = "Name one with --column" if with_text else "Name another file"
    if wanted is None and not is_binary:
        way_out += ", or use --format text to read the file as plain text"
    end = "" if problem.endswith("?") else "."
    raise UnclearColumn(f"{name}: {problem}{end}", f"{way_out}{_examples(columns, with_text or columns)}.")


def _suggestion(wanted: str, columns: Collection[str]) -> str:
    """Return the question for the most similar column behind a full stop, "" without one."""
    by_lower = {str(column).lower(): column for column in columns}  # because a data frame may have numbers
    close = get_close_matches(str(wanted).lower(), by_lower, n=1)
    return f". Did you mean {by_lower[close[0]]}?" if close else ""


def require_columns(formats: Mapping[str, str], name: str) -> None:
    """Raise DataError if all files are plain text.

    formats: of ReadReport. name: of the corpus.
    """
    if not formats:
        raise DataError(
            f"{name}: has no columns, because all files are plain text. "
            "Leave out --column, or name the format with --format."
        )


def _examples(columns: Mapping[str, Sequence[str]], names: Collection[str]) -> str:
    """Return a list of columns with a value of each, behind a colon."""
    listed = ", ".join(_with_example(name, columns[name]) for name in islice(names, _MAX_LISTED))
    more = f", and {len(names) - _MAX_LISTED} more" * (len(names) > _MAX_LISTED)
    return f"{': ' * bool(listed)}{listed}{more}"


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
