"""Find the tokens of `word` and `whitespace` in UTF-8 text, 64 bytes at a time.

word.py is the specification, by char_classes; tests/reference/scan.py is the same scan in plain Python.

Letters: N tokens, L lines, R ranges of ASCII characters.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.reading.blocks import NEWLINE
from nlpseq.tokenizers.char_classes import (
    EMOJI_JOINER,
    EMOJI_PART,
    INVISIBLE,
    LESS_THAN,
    MIDDLE,
    PUNCTUATION,
    SEPARATOR,
    WORD,
)
from nlpseq.tokenizers.simd_numba import VECTOR_BYTES, bytes_in_range, popcount, trailing_zeros
from nlpseq.tokenizers.whole_tokens import MAX_LITERAL

__all__ = ["ONE", "PADDING", "ZERO", "Offsets", "append_bits", "count_in_lines", "find_tokens"]

PADDING = b"\n" * 16  # after a text, because it ends the last token and may be read from any offset

ZERO, ONE = np.uint64(0), np.uint64(1)
LAST_BIT = np.uint64(VECTOR_BYTES - 1)
ASCII_END = np.uint8(0x80)
MAX_CHAR_BYTES = 4
LESS = np.uint8(ord("<"))

Offsets = npt.NDArray[np.int32]


class Classes(NamedTuple):
    """The class of every code point, and the ASCII characters of classes with a set low or high bit."""

    of_chars: npt.NDArray[np.uint8]
    low_R2: npt.NDArray[np.uint8]  # first character and length of each range
    high_R2: npt.NDArray[np.uint8]
    less_than: np.uint8  # 1 if < has the class LESS_THAN, else 0


def find_tokens(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    middle_tokens: bool,
    lengths_L: npt.NDArray[np.int64],
) -> tuple[Offsets, Offsets, bool]:
    """Return where each token of a text starts and ends: two int32 arrays, (N,), in bytes.

    Also return if the text may hold emoji of several characters, which the scan does not find.
    text: valid UTF-8 followed by PADDING. middle_tokens: a MIDDLE character outside a word is a token.
    lengths_L: receives the number of tokens in each line.
    """
    max_tokens = len(text) - len(PADDING) + 1  # untouched pages of these arrays take no memory
    starts, ends = np.empty(max_tokens, np.int32), np.empty(max_tokens, np.int32)
    ascii_classes = classes[:ASCII_END]
    ranges = []
    for is_member in (ascii_classes % 2 == 1, ascii_classes >= 2):
        edges = np.flatnonzero(np.diff(is_member.astype(np.int8), prepend=0, append=0))
        ranges.append(np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1).astype(np.uint8))
    less_than = np.uint8(classes[LESS] == LESS_THAN)
    scan_classes = Classes(classes, ranges[0], ranges[1], less_than)
    num, has_emoji = _scan(text, scan_classes, middle_tokens, starts, ends, lengths_L)
    return starts[:num], ends[:num], has_emoji


@njit(inline="always")
def _char_at(text, at):  # type: ignore[no-untyped-def]
    """Decode the character that starts at an offset: its code point and its number of bytes."""
    lead = np.int64(text[at])
    if lead < 0x80:
        return lead, 1
    second = np.int64(text[at + 1]) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, 2
    third = np.int64(text[at + 2]) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, 3
    return (lead & 0x07) << 18 | second << 12 | third << 6 | np.int64(text[at + 3]) & 0x3F, 4


@njit(nogil=True, cache=True)
def _letter_after(text, at, of_chars):  # type: ignore[no-untyped-def]
    """Return the offset of the letter after INVISIBLE characters and at most one MIDDLE, or -1."""
    middles = 0
    while True:
        char, width = _char_at(text, at)
        kind = of_chars[char]
        if kind == MIDDLE:
            middles += 1
        elif kind != INVISIBLE and kind != EMOJI_JOINER:
            return at if kind == WORD and middles <= 1 else -1
        at += width


@njit(nogil=True, cache=True)
def _literal_width(text, at):  # type: ignore[no-untyped-def]
    """Return the number of bytes of a token such as <unk> or </s>, or 0."""
    first = at + 1 + (text[at + 1] == ord("/"))
    end = first
    while text[end] != ord(">"):
        is_letter = ord("a") <= text[end] | 0x20 <= ord("z")
        is_other = text[end] == ord("_") or text[end] == ord("-") or ord("0") <= text[end] <= ord("9")
        if end - first == MAX_LITERAL or not (is_letter or (is_other and end > first)):
            return 0
        end += 1
    return end + 1 - at if end > first else 0


@njit(nogil=True, cache=True)
def _in_context(text, at, of_chars, inside, middle_tokens):  # type: ignore[no-untyped-def]
    """Return the class WORD, PUNCTUATION or SEPARATOR of what starts at an offset, and its bytes."""
    char, width = _char_at(text, at)
    kind = of_chars[char]
    if kind == LESS_THAN:
        literal = _literal_width(text, at)
        if literal > 0:
            return PUNCTUATION, literal
    elif inside != 0:
        letter = _letter_after(text, at, of_chars)
        if letter > at:
            return WORD, letter - at
    is_token = middle_tokens and kind in (MIDDLE, LESS_THAN)
    return PUNCTUATION if is_token else SEPARATOR, width


class Progress(NamedTuple):
    """Counts of a scan so far."""

    started: np.uint64  # tokens
    ended: np.uint64  # tokens
    line: np.uint64  # lines ended
    before_line: np.uint64  # tokens ended before the current line
    inside: np.uint64  # 1 inside a word, else 0
    emoji: np.uint64  # 1 after a part of an emoji of several characters, else 0


@njit(nogil=True, cache=True)
def _scan(text, classes, middle_tokens, starts, ends, lengths_L):  # type: ignore[no-untyped-def]
    """Write starts, ends and line lengths; return the number of tokens, and if emoji were seen.

    64 bytes of ASCII are handled as bit masks, other text character by character.
    """
    progress = Progress(ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)
    at, last = 0, len(text) - len(PADDING)
    while at <= last:
        stop = min(at + VECTOR_BYTES, last + 1)
        is_ascii = stop <= last and ~bytes_in_range(text, at, np.uint8(0), ASCII_END) == ZERO
        if is_ascii and bytes_in_range(text, at, LESS, classes.less_than) == ZERO:
            progress = _scan_ascii(text, at, classes, middle_tokens, starts, ends, lengths_L, progress)
            at = stop
        else:
            at, progress = _scan_characters(
                text, at, stop, classes, middle_tokens, starts, ends, lengths_L, progress
            )
    return np.int64(progress.ended), progress.emoji != ZERO


@njit(inline="always")
def _scan_characters(  # type: ignore[no-untyped-def]
    text, at, stop, classes, middle_tokens, starts, ends, lengths_L, progress
):
    """Scan whole characters until `stop` is reached; return the offset after them and the progress."""
    started, ended, line, before_line, inside, emoji = progress
    while at < stop:
        char, width = _char_at(text, at)
        kind = classes.of_chars[char]
        if kind > WORD and kind != PUNCTUATION:
            is_part = kind in (EMOJI_JOINER, EMOJI_PART)
            kind, width = _in_context(text, at, classes.of_chars, inside, middle_tokens)
            is_run = kind == WORD and width > MAX_CHAR_BYTES  # which may have parts
            emoji |= np.uint64(is_part or is_run)
        starts[started], ends[ended] = at, at  # counted below only if a token starts or ends here
        if kind == WORD:
            started, inside = started + ONE - inside, ONE
        else:
            ended, inside = ended + inside, ZERO
            if kind == PUNCTUATION:
                starts[started], ends[ended] = at, at + width
                started, ended = started + ONE, ended + ONE
            if char == NEWLINE:
                lengths_L[line] = np.int64(ended - before_line)
                line, before_line = line + ONE, ended
        at += width
    return at, Progress(started, ended, line, before_line, inside, emoji)


@njit(inline="always")
def _scan_ascii(  # type: ignore[no-untyped-def]
    text, at, classes, middle_tokens, starts, ends, lengths_L, progress
):
    """Scan VECTOR_BYTES bytes of ASCII as bit masks; return the progress."""
    started, ended, line, before_line, inside, emoji = progress
    low, high = _bits_in_ranges(text, at, classes.low_R2), _bits_in_ranges(text, at, classes.high_R2)
    newlines = bytes_in_range(text, at, np.uint8(NEWLINE), np.uint8(1))
    words, middles, marks = low & ~high, high & ~low, low & high
    if middles != 0:
        letter_behind = np.uint64(_letter_after(text, at + VECTOR_BYTES - 1, classes.of_chars) > 0)
        letters = middles & (words << ONE | inside) & (words >> ONE | letter_behind << LAST_BIT)
        words |= letters
        if middle_tokens:
            marks |= middles & ~letters
    before = words << ONE | inside
    finished = before & ~words | marks << ONE
    line, before_line = count_in_lines(newlines, finished, ended, line, before_line, lengths_L)
    started = append_bits(words & ~before | marks, at, starts, started)
    ended = append_bits(finished, at, ends, ended)
    if marks >> LAST_BIT != 0:
        ends[ended] = at + VECTOR_BYTES
        ended += ONE
    return Progress(started, ended, line, before_line, words >> LAST_BIT, emoji)


@njit(inline="always")
def _bits_in_ranges(text, at, ranges_R2):  # type: ignore[no-untyped-def]
    """Return a bit for each of VECTOR_BYTES bytes, set if any range holds the byte."""
    bits = ZERO
    for r in range(len(ranges_R2)):
        bits |= bytes_in_range(text, at, ranges_R2[r, 0], ranges_R2[r, 1])
    return bits


@njit(inline="always")
def count_in_lines(newlines, finished, ended, line, before_line, lengths_L):  # type: ignore[no-untyped-def]
    """Write the number of tokens of each line that ends; return the next line and the tokens before it."""
    while newlines != 0:
        through = newlines ^ (newlines - ONE)  # the bits up to the lowest newline
        tokens = ended + popcount(finished & through)
        lengths_L[line] = np.int64(tokens - before_line)
        line, before_line = line + ONE, tokens
        newlines &= newlines - ONE
    return line, before_line


@njit(inline="always")
def append_bits(bits, at, offsets, num):  # type: ignore[no-untyped-def]
    """Append the offset of each set bit, the first bit at `at`; return the new number of offsets."""
    while bits != 0:
        offsets[num] = at + np.int64(trailing_zeros(bits))
        num += ONE
        bits &= bits - ONE
    return num
