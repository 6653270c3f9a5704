"""Tokens as lines of UTF-8: one text instead of many strings."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nlpseq.reading.blocks import NEWLINE
from nlpseq.reading.decode import UTF_8

CHUNK = 1 << 24  # bytes looked at together


def as_lines(tokens: Iterable[str]) -> bytes:
    """A line in UTF-8 for each token."""
    lines = [f"{token}\n" for token in tokens]
    assert all(line.find("\n") == len(line) - 1 > 0 for line in lines), "a token is empty or more than a line"
    return "".join(lines).encode(*UTF_8)


def ends_of_lines(text: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where each line ends, behind its newline."""
    starts = range(0, len(text), CHUNK)
    parts = [np.flatnonzero(text[start : start + CHUNK] == NEWLINE) + start + 1 for start in starts]
    return np.concatenate([np.empty(0, np.int64), *parts])


def lines_of(
    text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]
) -> bytes:
    """The chosen lines of a text, newlines and all; ends: of all its lines."""
    return text[np.repeat(chosen, np.diff(ends, prepend=0))].tobytes()
