"""Fields of a line of text vectors: a word and its numbers, separated by spaces and tabs.

Several separators count as one. Separators and a carriage return at the end of a line have no meaning. The
last D fields are the numbers and the text before them is the word: it may contain separators, and a line that
begins with a separator may have the empty word. A number is a decimal number of C, nan or inf.

tests/reference/vector_rows.py holds the rule in plain Python.
"""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["BLANK", "Ending", "count_numbers", "parse_numbers", "parse_row", "parse_sizes", "split_ending"]

BLANK = b" \t\r\n\x1a"  # bytes of a line without content; Control-Z ends files of old Windows programs
_LINE_END = b" \t\r\n"
_SEPARATORS = (b" ", b"\t")
_PLAIN = b"0123456789+-.eE \t"  # bytes of plain numbers and their separators
_GAP = re.compile(rb"[ \t]+")
_NUMBER = rb"[-+]?+(?:(?:\d++\.?+\d*+|\.\d++)(?:[eE][-+]?+\d++)?+|(?i:nan|inf(?:inity)?+))"
_ONE = re.compile(_NUMBER)
_SEVERAL = re.compile(rb"(?:[ \t]++" + _NUMBER + rb"(?![^ \t]))++")
_FOREIGN = {  # number of another notation: the reason why it is refused
    rb"[-+]?+\d*+,\d[\d,]*+(?:[eE][-+]?+\d++)?+": "has a decimal comma",
    rb"[-+]?+(?=[\d.]*_)\d[\d_.]*+(?:[eE][-+]?+[\d_]++)?+": "has an underscore",
    rb"[-+]?+\d[\d,]*+\.\d*+": "has a comma between its digits",
    rb"[-+]?+[\d.]++(?:,[-+]?+[\d.]++)++": "has commas between its numbers",
    rb"[-+]?+0[xX][0-9a-fA-F.]++(?:[pP][-+]?+\d++)?+": "is hexadecimal",
    rb"[-+]?+[\d.]++[dD][-+]?+\d++": "has an exponent of Fortran",
    rb"\xe2\x88\x92[\d.]++(?:[eE][-+]?+\d++)?+": "begins with a minus sign that is not the hyphen of ASCII",
    rb"[-+]?+(?:\d++\.?+\d*+#[A-Za-z]++\d*+|nan\([a-z]++\))": "is not a number but a mark of Windows",
}
_FOREIGN_NUMBERS = [(re.compile(pattern), reason) for pattern, reason in _FOREIGN.items()]


class Ending(NamedTuple):
    """The end of a line: how many numbers there are, and the field before them."""

    num_numbers: int
    before: bytes  # empty if the field is the first of the line

    @property
    def foreign(self) -> str | None:
        """Return why the field before is no number, if it is one of another notation."""
        reasons = (reason for pattern, reason in _FOREIGN_NUMBERS if pattern.fullmatch(self.before))
        return next(reasons, None)


def split_ending(line: bytes) -> Ending:
    """Count the numbers at the end of a line, after the word or its first field."""
    text = line.rstrip(BLANK)
    first = _GAP.search(text)
    rest = text[first.start() :] if first else b""
    if _SEVERAL.fullmatch(rest):
        return Ending(len(rest.split()), b"")
    _, *fields = _GAP.split(text)
    for count, field in enumerate(reversed(fields)):
        if not _ONE.fullmatch(field):
            return Ending(count, field)
    return Ending(len(fields), b"")


def count_numbers(line: bytes) -> int:
    """Count the numbers of a line without a word; 0 for any other line."""
    text = line.rstrip(BLANK).lstrip(_LINE_END)
    return len(text.split()) if _SEVERAL.fullmatch(b" " + text) else 0


def parse_row(line: bytes, dim: int) -> tuple[bytes, npt.NDArray[np.float32]] | None:
    """Split a line into its word and `dim` numbers; None if the line does not end so.

    A number too large for float32 becomes infinite.
    """
    text = line.rstrip(_LINE_END)
    fields = text.rsplit(None, dim)  # fast, but other white space also separates
    word = fields.pop(0) if len(fields) > dim else b""
    if _is_plain(text[len(word) :]):
        row_D = _floats(fields)
    else:
        gaps = [gap.start() for gap in _GAP.finditer(text)]
        word = text[: gaps[-dim]] if len(gaps) >= dim else text
        row_D = parse_numbers(text[len(word) :])
    return None if row_D is None or len(row_D) != dim else (word, row_D)


def parse_numbers(text: bytes) -> npt.NDArray[np.float32] | None:
    """Return the numbers of a text that begins with a separator; None for any other text."""
    return _floats(text.split()) if _SEVERAL.fullmatch(text) else None


def _is_plain(text: bytes) -> bool:
    """Tell if a text begins with a separator and has only bytes of decimal numbers."""
    return text[:1] in _SEPARATORS and not text.translate(None, _PLAIN)


def _floats(fields: list[bytes]) -> npt.NDArray[np.float32] | None:
    try:
        with np.errstate(over="ignore"):
            return np.array(fields, np.float32)
    except ValueError:  # such as 1e or 1-2
        return None


def parse_sizes(line: bytes) -> tuple[int, int] | None:
    """Return V and D of a line `V D`, None for any other line."""
    fields = _GAP.split(line.strip(BLANK))
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return int(fields[0]), int(fields[1])
