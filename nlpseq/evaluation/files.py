"""Read evaluation files: lines of fields, and the lines without use, by reason.

Fields are separated by tabs, semicolons, commas or spaces; the separator with the most items is chosen for
the whole file. Fields may be quoted. A column of line numbers before the fields is skipped if most items have
a number in front.
"""

import csv
import math
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from nlpseq.errors import DataError
from nlpseq.reading.encodings import marked_encoding, recognize
from nlpseq.vectors.vectors import FoundWord, Vectors

__all__ = ["COMMENT", "SPACE", "Line", "Missing", "Unused", "arrange", "line_numbers", "number_in"]
__all__ += ["read_lines", "split_comments", "unseen_words", "word_finder"]

SPACE = " "
SEPARATORS = ("\t", ";", ",", SPACE)  # in the order of preference
COMMENT, NO_LINE_NUMBER = "comment", "no line number"

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LINE_NUMBER = re.compile(r"\d+\.?", re.ASCII)
_LINE_END = re.compile(r"\r\n|\n|\r")  # not str.splitlines, because words may hold U+2028

Missing = Literal["skip", "zero"]
Judge = Callable[[Sequence[str], str], str | None]
"""From the fields of a line and the separator, the reason why the line is not an item, or None."""


class Line(NamedTuple):
    """Line of a file."""

    number: int  # from 1
    text: str


Unused = dict[str, list[Line]]
"""Unused lines by reason."""


def read_lines(file: Path) -> list[Line]:
    """Read the lines of a UTF-8 text, without empty lines; raises DataError if there is no such text."""
    try:
        data = file.read_bytes()
        text = data.decode(marked_encoding(data) or "utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        raise DataError(f"{file}: does not exist. Check its name.") from None
    except UnicodeDecodeError as error:
        line, likely = data.count(b"\n", 0, error.start) + 1, recognize(data) or "ENCODING"
        raise DataError(
            f"{file}: line {line}, byte {error.start} is invalid in {error.encoding}. "
            f"Convert the file: iconv -f {likely} -t utf-8 {shlex.quote(str(file))} > NEW"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as text ({error}). Name another file.") from error
    lines = (Line(number, line.strip(" ")) for number, line in enumerate(_LINE_END.split(text), 1))
    return [line for line in lines if line.text.strip()]


def split_comments(lines: Sequence[Line]) -> tuple[list[Line], Unused]:
    """Return the lines without comments, which begin with #, and the comments."""
    comments = [line for line in lines if line.text.lstrip().startswith("#")]
    rest = [line for line in lines if not line.text.lstrip().startswith("#")]
    return rest, {COMMENT: comments} if comments else {}


def arrange(lines: Sequence[Line], judge: Judge) -> tuple[list[tuple[Line, list[str]]], Unused]:
    """Return the lines that are items, with their fields, and the other lines."""
    layouts = [_arrange_by(separator, lines, judge) for separator in SEPARATORS]
    items, unused = max(layouts, key=lambda layout: len(layout[0]))
    if not items:  # no separator fits, so the reasons come from the separator of most fields
        sizes = [sum(len(_fields(line.text, each)) for line in lines) for each in SEPARATORS]
        return layouts[sizes.index(max(sizes))]
    return items, unused


def _arrange_by(
    separator: str, lines: Sequence[Line], judge: Judge
) -> tuple[list[tuple[Line, list[str]]], Unused]:
    rows = [_fields(line.text, separator) for line in lines]
    items = [judge(fields, separator) is None for fields in rows]
    numbered = [_is_numbered(fields) and judge(fields[1:], separator) is None for fields in rows]
    are_numbered = 2 * sum(numbered) > sum(map(max, items, numbered))
    found, unused = list[tuple[Line, list[str]]](), Unused()
    for line, fields in zip(lines, rows, strict=True):
        if are_numbered:
            has_number = bool(fields and _LINE_NUMBER.fullmatch(fields[0]))
            reason = judge(fields[1:], separator) if has_number else NO_LINE_NUMBER
            fields = fields[1:]
        else:
            reason = judge(fields, separator)
        if reason is None:
            found.append((line, fields))
        else:
            unused.setdefault(reason, []).append(line)
    return found, unused


def _is_numbered(fields: Sequence[str]) -> bool:
    """Return True for a line number before two words that are no numbers."""
    first, *words = fields[:3]
    return bool(_LINE_NUMBER.fullmatch(first)) and all(number_in(word) is None for word in words)


def _fields(text: str, separator: str) -> list[str]:
    """Split a line at a separator, into one field if there is none."""
    if separator == SPACE:
        if re.search(r"[,;] ", text):  # the comma or semicolon separates
            return [text]
        text = text.replace("\t", SPACE).strip(SPACE)
    try:
        fields = next(csv.reader([text], delimiter=separator, skipinitialspace=True))
    except csv.Error:  # such as a field beyond the limit of the module
        return [text]
    return [field.strip(" ") for field in fields]


def number_in(field: str) -> float | None:
    """Parse a finite number with a decimal point or comma; return None for other text."""
    number = float(field.replace(",", ".")) if _NUMBER.fullmatch(field) else math.inf
    return number if math.isfinite(number) else None


def line_numbers(unused: Unused) -> dict[str, list[int]]:
    """Return the numbers of unused lines by reason."""
    return {reason: [line.number for line in lines] for reason, lines in unused.items()}


def word_finder(vectors: Vectors) -> Callable[[str], FoundWord | None]:
    """Return a function from a word to the word with a vector, None without one.

    A word is looked up as Vectors.find does, then in lower case; then its n-grams give a vector, if the
    vectors have subwords.
    """

    @cache
    def find(word: str) -> FoundWord | None:
        found = vectors.find_vector(word)
        form = vectors.vocab.find(word.lower())
        if form is None or (found is not None and found.row is not None):
            return found
        lower = vectors.find_tokens([form]).get(form)
        return found if lower is None or lower.row is None else lower

    return find


def unseen_words(vectors: Vectors, words: Iterable[str]) -> dict[str, list[str]]:
    """Return the different words without a vector, and those whose vector is made from their n-grams.

    The keys are those of the JSON of eval-w2v. Words are looked up by word_finder.
    """
    find = word_finder(vectors)
    found = {word: find(word) for word in dict.fromkeys(words)}
    return {
        "oov_words": [word for word, each in found.items() if each is None],
        "from_subwords": [word for word, each in found.items() if each is not None and each.row is None],
    }
