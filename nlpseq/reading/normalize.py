"""Unicode normal forms, fast on ordinary text and in linear time on any text.

Unicode Standard Annex 15; the ranges below follow from its tables and hold for all versions.
"""

import re
import unicodedata
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpseq.reading.decode import UTF_8

__all__ = ["normalize", "normalize_block"]

_FIRST_CHANGED = {"NFC": 0xCC, "NFKC": 0xC2}  # lead bytes of U+0300 and U+0080, the lowest that may change
_DECOMPOSED: dict[str, Literal["NFD", "NFKD"]] = {"NFC": "NFD", "NFKC": "NFKD"}
_SAMPLE_BYTES = 1 << 16  # of a block, to see if lines have several words
_RARE_SHARE = 0.01  # of all bytes, because then most words have none
_MARK_STEP, _MARK_STEPS = 16, 8  # more than 128 combining marks in a row are sorted here


def normalize_block(data: bytes, form: str, rare_share: float = _RARE_SHARE) -> bytes:
    """Return UTF-8 text in a Unicode normal form; only parts that may change are decoded.

    The parts are words if few bytes may change, else lines: no character combines with a space or a newline,
    and none becomes a newline; in NFC none becomes a space.
    rare_share: the highest share of bytes that counts as few.
    """
    if form == "none" or data.isascii():
        return data
    offsets = np.flatnonzero(np.frombuffer(data, np.uint8) >= _FIRST_CHANGED[form])
    has_words = data.count(b" ", 0, _SAMPLE_BYTES) > data.count(b"\n", 0, _SAMPLE_BYTES)
    by_words = form == "NFC" and has_words and len(offsets) < len(data) * rare_share
    separator = b" " if by_words else b"\n"
    spans = _spans_around(data, offsets, separator)
    before = separator.join(data[start:end] for start, end in spans)
    after = normalize(before.decode(*UTF_8), form).encode(*UTF_8)
    if after == before:
        return data
    parts, done = [], 0
    for (start, end), part in zip(spans, after.split(separator), strict=True):
        parts += [data[done:start], part]
        done = end
    return b"".join([*parts, data[done:]])


def _spans_around(data: bytes, offsets: npt.NDArray[np.int64], separator: bytes) -> list[tuple[int, int]]:
    """Return start and end of each part between separators that holds any of the offsets."""
    spans, end = list[tuple[int, int]](), -1
    for offset in offsets.tolist():
        if offset > end:
            start = max(data.rfind(separator, end + 1, offset), end) + 1
            end = data.find(separator, offset)
            end = len(data) if end < 0 else end
            spans.append((start, end))
    return spans


def normalize(text: str, form: str) -> str:
    """Return text in a Unicode normal form, in linear time; the form "none" changes nothing."""
    if form == "none" or text.isascii():
        return text
    # unicodedata sorts marks by insertion, quadratic in their number; marks sorted here stay as they are
    if _runs_of_marks(form, _MARK_STEPS).search(text[::_MARK_STEP]):  # every long run shows in this sample
        long_runs = _runs_of_marks(form, _MARK_STEPS * _MARK_STEP)
        marks = set("".join(long_runs.findall(text)))
        parts = {ord(mark): unicodedata.normalize(_DECOMPOSED[form], mark) for mark in marks}
        by_class = unicodedata.combining
        text = long_runs.sub(lambda run: "".join(sorted(run[0].translate(parts), key=by_class)), text)
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


@cache
def _runs_of_marks(form: str, min_length: int) -> re.Pattern[str]:
    """Compile a pattern for runs of characters that decompose into combining marks only.

    Normalization may reorder them. U+0F73 has combining class 0 and yet decomposes into two marks.
    """
    decomposed, combining = _DECOMPOSED[form], unicodedata.combining
    marks = "".join(
        char
        for char in map(chr, range(0x300, 0x20000))
        if combining(char)
        or (unicodedata.decomposition(char) and all(map(combining, unicodedata.normalize(decomposed, char))))
    )
    return re.compile(f"[{marks}]{{{min_length},}}")
