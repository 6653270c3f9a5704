"""Cut UTF-8 text into the pre-tokens of byte-level BPE, 64 bytes at a time.

bpe.py has the rule as a regular expression, and tests/reference/bpe.py applies this expression.

Pre-tokens cover a line without gaps, so a scan only has to find the characters that begin one:

    a letter, number or other character     if the class before differs and is not a space (which begins it)
    white space after other text            always
    white space after white space           if it is the last before other text

An apostrophe that begins a pre-token begins a contraction if one of s t m d re ve ll follows.

Letters: N pre-tokens, L lines.
"""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.tokenizers.bpe import BLANK, BREAK, LETTER, NUMBER, OTHER, SPACE
from nlpseq.tokenizers.scan_numba import ONE, PADDING, ZERO, Offsets, append_bits, count_in_lines
from nlpseq.tokenizers.simd_numba import VECTOR_BYTES, bytes_in_range, trailing_zeros

__all__ = ["find_pretokens", "find_spans"]

LAST_BIT = np.uint64(VECTOR_BYTES - 1)
ASCII_BYTES = np.uint8(0x80)
APOSTROPHE, NEWLINE, TAB = np.uint8(ord("'")), np.uint8(ord("\n")), np.uint8(ord("\t"))
LOWER_A, UPPER_A, DIGIT = np.uint8(ord("a")), np.uint8(ord("A")), np.uint8(ord("0"))


class Progress(NamedTuple):
    """State of a scan after a character."""

    begun: np.uint64  # pre-tokens
    ended: np.uint64  # pre-tokens
    line: np.uint64  # lines ended
    before_line: np.uint64  # pre-tokens ended before the current line
    before: np.int64  # class of the character
    contraction: np.int64  # offset after the last contraction


def find_pretokens(
    text: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8], lengths_L: npt.NDArray[np.int64]
) -> tuple[Offsets, Offsets]:
    """Return where each pre-token starts and ends: two int32 arrays, (N,), in bytes.

    text: any bytes followed by PADDING. classes: of every code point; a newline of class BREAK ends a line
    and belongs to no pre-token, a newline of class SPACE is white space. lengths_L: receives the number of
    pre-tokens in each line.
    """
    max_tokens = len(text) - len(PADDING) + 1  # untouched pages of these arrays take no memory
    starts, ends = np.empty(max_tokens, np.int32), np.empty(max_tokens, np.int32)
    num = _scan(text, classes, starts, ends, lengths_L)
    return starts[:num], ends[:num]


def find_spans(
    data: bytes, classes: npt.NDArray[np.uint8], added: re.Pattern[bytes] | None
) -> tuple[npt.NDArray[np.uint8], Offsets, Offsets, npt.NDArray[np.int64]]:
    """Return padded text, start and end of each pre-token, and pre-tokens in each line.

    added: tokens that are found first, wherever they stand, because pre-tokens end before and after them.
    """
    text = np.frombuffer(data + PADDING, np.uint8)
    edges = [0, *(edge for match in added.finditer(data) for edge in match.span())] if added else [0]
    parts, lengths = list[Offsets](), np.zeros(1, np.int64)
    for start, end in zip(edges, [*edges[1:], len(data)], strict=True):
        if len(parts) % 4 == 2:  # an added token
            parts += [np.array([start], np.int32), np.array([end], np.int32)]
            lengths[-1] += 1
            continue
        part = text if len(edges) == 1 else np.frombuffer(data[start:end] + PADDING, np.uint8)
        lengths_L = np.zeros(np.count_nonzero(part[: end - start] == NEWLINE) + 1, np.int64)
        starts, ends = find_pretokens(part, classes, lengths_L)
        parts += [starts + np.int32(start), ends + np.int32(start)] if start else [starts, ends]
        lengths_L[0] += lengths[-1]
        lengths = np.append(lengths[:-1], lengths_L)
    if len(parts) == 2:
        return text, parts[0], parts[1], lengths
    return text, np.concatenate(parts[::2]), np.concatenate(parts[1::2]), lengths


@njit(nogil=True, cache=True)
def _scan(text, classes, starts, ends, lengths_L):  # type: ignore[no-untyped-def]
    """Write starts, ends and line lengths; return the number of pre-tokens."""
    progress = Progress(ZERO, ZERO, ZERO, ZERO, np.int64(BREAK), np.int64(-1))
    at, last = 0, len(text) - len(PADDING)
    while at <= last:
        stop = min(at + VECTOR_BYTES, last + 1)
        if stop <= last and ~bytes_in_range(text, at, np.uint8(0), ASCII_BYTES) == ZERO:  # all ASCII
            progress = _scan_ascii(text, at, last, classes, starts, ends, lengths_L, progress)
            at = stop
        else:
            at, progress = _scan_characters(text, at, stop, last, classes, starts, ends, lengths_L, progress)
    return np.int64(progress.ended)


@njit(inline="always")
def _class_at(text, at, last, classes):  # type: ignore[no-untyped-def]
    """Return the class of the character that starts at an offset, and its number of bytes.

    A byte that is not part of valid UTF-8 counts as a character of the class OTHER.
    """
    lead = np.int64(text[at])
    if lead < 0x80:
        return (BREAK if at == last else np.int64(classes[lead])), 1
    second, third, fourth = np.int64(text[at + 1]), np.int64(text[at + 2]), np.int64(text[at + 3])
    if second & 0xC0 == 0x80:
        code = (lead & 0x1F) << 6 | second & 0x3F
        if 0xC2 <= lead < 0xE0:
            return np.int64(classes[code]), 2
        if third & 0xC0 == 0x80 and lead >= 0xE0:
            code = (lead & 0x0F) << 12 | (second & 0x3F) << 6 | third & 0x3F
            if lead < 0xF0 and code >= 0x800 and not 0xD800 <= code < 0xE000:
                return np.int64(classes[code]), 3
            code = (lead & 0x07) << 18 | (code & 0xFFF) << 6 | fourth & 0x3F
            if 0xF0 <= lead < 0xF5 and fourth & 0xC0 == 0x80 and 0x10000 <= code < 0x110000:
                return np.int64(classes[code]), 4
    return np.int64(OTHER), 1


@njit(inline="always")
def _contraction_end(text, at):  # type: ignore[no-untyped-def]
    """Return the offset after the contraction that starts at an apostrophe, -1 if there is none."""
    first, second = text[at + 1], text[at + 2]
    if first == ord("s") or first == ord("t") or first == ord("m") or first == ord("d"):
        return at + 2
    if (first == ord("r") or first == ord("v")) and second == ord("e"):
        return at + 3
    if first == ord("l") and second == ord("l"):
        return at + 3
    return -1


@njit(inline="always")
def _scan_characters(  # type: ignore[no-untyped-def]
    text, at, stop, last, classes, starts, ends, lengths_L, progress
):
    """Scan whole characters until `stop` is reached; return the offset after them and the progress."""
    begun, ended, line, before_line, before, contraction = progress
    while at < stop:
        kind, width = _class_at(text, at, last, classes)
        starts[begun], ends[ended] = at, at  # counted below only if a pre-token begins or ends here
        if kind == BREAK:
            begins = False
            ended += np.uint64(before != BREAK)
            lengths_L[line] = np.int64(ended - before_line)
            line, before_line = line + ONE, ended
        elif at <= contraction:
            begins = at == contraction
        elif kind in (SPACE, BLANK):
            begins = before not in (SPACE, BLANK)
            if not begins:
                behind, _ = _class_at(text, at + width, last, classes)
                begins = behind not in (SPACE, BLANK, BREAK)
        else:
            begins = before != kind and before != BLANK
        if begins:
            begun += ONE
            ended += np.uint64(before != BREAK)
            if text[at] == APOSTROPHE:
                contraction = _contraction_end(text, at)
        before = kind
        at += width
    return at, Progress(begun, ended, line, before_line, before, contraction)


@njit(inline="always")
def _scan_ascii(text, at, last, classes, starts, ends, lengths_L, progress):  # type: ignore[no-untyped-def]
    """Scan VECTOR_BYTES bytes of ASCII as bit masks; return the progress."""
    begun, ended, line, before_line, before, contraction = progress
    letters = bytes_in_range(text, at, LOWER_A, np.uint8(26)) | bytes_in_range(
        text, at, UPPER_A, np.uint8(26)
    )
    numbers = bytes_in_range(text, at, DIGIT, np.uint8(10))
    blanks = bytes_in_range(text, at, np.uint8(ord(" ")), np.uint8(1))
    breaks = ZERO
    if classes[NEWLINE] == BREAK:
        breaks = bytes_in_range(text, at, NEWLINE, np.uint8(1))
    spaces = (bytes_in_range(text, at, TAB, np.uint8(5)) | blanks) & ~breaks
    others = ~(letters | numbers | spaces | breaks)
    behind, _ = _class_at(text, at + VECTOR_BYTES, last, classes)
    text_behind = np.uint64(behind not in (SPACE, BLANK, BREAK))
    after_break = breaks << ONE | np.uint64(before == BREAK)
    after_space = spaces << ONE | np.uint64(before in (SPACE, BLANK))
    after_blank = blanks << ONE | np.uint64(before == BLANK)
    begins = (
        letters & ~(letters << ONE | np.uint64(before == LETTER))
        | numbers & ~(numbers << ONE | np.uint64(before == NUMBER))
        | others & ~(others << ONE | np.uint64(before == OTHER))
    ) & ~after_blank
    text_after = (letters | numbers | others) >> ONE | text_behind << LAST_BIT
    begins |= spaces & (~after_space | text_after)
    if contraction >= at:  # of the bytes before
        begins = _cut_contraction(begins, breaks, np.uint64(0), np.uint64(contraction - at))
    marks = bytes_in_range(text, at, APOSTROPHE, np.uint8(1)) & begins
    while marks != 0:
        first = trailing_zeros(marks)
        end = _contraction_end(text, at + np.int64(first))
        if end >= 0:
            contraction = end
            begins = _cut_contraction(begins, breaks, first + ONE, np.uint64(end - at))
        marks &= marks - ONE
    finished = (begins | breaks) & ~after_break
    line, before_line = count_in_lines(breaks, finished, ended, line, before_line, lengths_L)
    begun = append_bits(begins, at, starts, begun)
    ended = append_bits(finished, at, ends, ended)
    before = np.int64(classes[text[at + VECTOR_BYTES - 1]])
    return Progress(begun, ended, line, before_line, before, contraction)


@njit(inline="always")
def _cut_contraction(begins, breaks, first, end):  # type: ignore[no-untyped-def]
    """Let no pre-token begin from bit `first` to `end`, and let one begin at `end`."""
    if end > LAST_BIT:
        return begins & ((ONE << first) - ONE) if first <= LAST_BIT else begins
    inside = ((ONE << end) - ONE) & ~((ONE << first) - ONE)
    return (begins & ~inside) | (ONE << end) & ~breaks
