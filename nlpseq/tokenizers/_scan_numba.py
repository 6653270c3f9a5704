"""Where the tokens of `word` and `whitespace` begin and end in UTF-8.

tokenize.tokenize is the specification; the classes of characters are its tokenize.char_classes.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.reading.blocks import NEWLINE
from nlpseq.tokenizers._simd_numba import STRETCH, num_ones, trailing_zeros, within

PADDING = b"\n" * 16  # behind a text: its last token ends there, and 16 bytes can be had from any place

SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)  # as in tokenize.char_classes

ZERO, ONE = np.uint64(0), np.uint64(1)
LAST = np.uint64(STRETCH - 1)  # byte of a stretch
SIGN = np.uint8(0x80)  # of bytes beyond ASCII

Places = npt.NDArray[np.int32]


class Classes(NamedTuple):
    """The class of each code point, and the ASCII that has its low bit set and its high one, as ranges."""

    of_chars: npt.NDArray[np.uint8]
    low_R2: npt.NDArray[np.uint8]  # of each range the first, and how many
    high_R2: npt.NDArray[np.uint8]


def find_tokens(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    apostrophe_tokens: bool,
    lengths: npt.NDArray[np.int64],
) -> tuple[Places, Places]:
    """Where each token of a text starts and where it ends.

    text: valid UTF-8 followed by PADDING. apostrophe_tokens: whether an apostrophe outside a word is a token.
    lengths: receives the tokens in each line.
    """
    most = len(text) - len(PADDING) + 1  # what is not written costs no memory
    starts, ends = np.empty(most, np.int32), np.empty(most, np.int32)
    of_ascii = classes[:SIGN]
    with_ranges = Classes(classes, _ranges(of_ascii % 2 == 1), _ranges(of_ascii >= 2))
    num = _cut(text, with_ranges, apostrophe_tokens, starts, ends, lengths)
    return starts[:num], ends[:num]


def _ranges(is_in: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Where it is true: uint8 (num_ranges, 2), the first place of a range and how many there are."""
    edges = np.flatnonzero(np.diff(is_in.astype(np.int8), prepend=0, append=0))
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1).astype(np.uint8)


@njit(inline="always")
def _char_at(text, at):  # type: ignore[no-untyped-def]
    """Code point and number of bytes of the character that starts here; the text is valid UTF-8."""
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


class Found(NamedTuple):
    """How far the cutting of a text is."""

    started: np.uint64  # tokens
    ended: np.uint64
    line: np.uint64
    before_line: np.uint64  # tokens that had ended when it began
    inside: np.uint64  # 1 where a word goes on, else 0


@njit(nogil=True, cache=True)
def _cut(text, classes, apostrophe_tokens, starts, ends, lengths):  # type: ignore[no-untyped-def]
    """Where each token starts and ends, and how many there are in each line; how many in all.

    A stretch of ASCII is looked at as numbers with a bit for each of its bytes, other text by characters.
    """
    found = Found(ZERO, ZERO, ZERO, ZERO, ZERO)
    at, last = 0, len(text) - len(PADDING)
    while at <= last:
        stop = min(at + STRETCH, last + 1)
        if stop <= last and _is_ascii(text, at):
            found = _cut_ascii(text, at, classes, apostrophe_tokens, starts, ends, lengths, found)
            at = stop
        else:
            at, found = _cut_characters(
                text, at, stop, classes, apostrophe_tokens, starts, ends, lengths, found
            )
    return np.int64(found.ended)


@njit(inline="always")
def _cut_characters(  # type: ignore[no-untyped-def]
    text, at, stop, classes, apostrophe_tokens, starts, ends, lengths, found
):
    """Go on character by character, at least to `stop`; where that ends, and what was found."""
    started, ended, line, before_line, inside = found
    while at < stop:
        char, width = _char_at(text, at)
        kind = classes.of_chars[char]
        if kind == APOSTROPHE:
            is_letter = inside != 0 and classes.of_chars[_char_at(text, at + width)[0]] == WORD
            kind = np.uint8(WORD if is_letter else PUNCTUATION if apostrophe_tokens else SEPARATOR)
        starts[started], ends[ended] = at, at  # which count only if a token starts or ends here
        if kind == WORD:
            started, inside = started + ONE - inside, ONE
        else:
            ended, inside = ended + inside, ZERO
            if kind == PUNCTUATION:
                starts[started], ends[ended] = at, at + width
                started, ended = started + ONE, ended + ONE
            if char == NEWLINE:
                lengths[line] = np.int64(ended - before_line)
                line, before_line = line + ONE, ended
        at += width
    return at, Found(started, ended, line, before_line, inside)


@njit(inline="always")
def _is_ascii(text, at):  # type: ignore[no-untyped-def]
    """Whether a stretch is."""
    return ~within(text, at, np.uint8(0), SIGN) == ZERO


@njit(inline="always")
def _cut_ascii(  # type: ignore[no-untyped-def]
    text, at, classes, apostrophe_tokens, starts, ends, lengths, found
):
    """Go on over a stretch of ASCII; what was found then."""
    started, ended, line, before_line, inside = found
    low, high = _bits_within(text, at, classes.low_R2), _bits_within(text, at, classes.high_R2)
    newlines = within(text, at, np.uint8(NEWLINE), np.uint8(1))
    words, apostrophes, marks = low & ~high, high & ~low, low & high
    if apostrophes != 0:
        letter_behind = np.uint64(classes.of_chars[_char_at(text, at + STRETCH)[0]] == WORD)
        letters = apostrophes & (words << ONE | inside) & (words >> ONE | letter_behind << LAST)
        words |= letters
        if apostrophe_tokens:
            marks |= apostrophes & ~letters
    before = words << ONE | inside
    finished = before & ~words | marks << ONE
    while newlines != 0:
        through = newlines ^ (newlines - ONE)  # the bits up to the lowest one
        tokens = ended + num_ones(finished & through)
        lengths[line] = np.int64(tokens - before_line)
        line, before_line = line + ONE, tokens
        newlines &= newlines - ONE
    started = _write_places(words & ~before | marks, at, starts, started)
    ended = _write_places(finished, at, ends, ended)
    if marks >> LAST != 0:
        ends[ended] = at + STRETCH
        ended += ONE
    return Found(started, ended, line, before_line, words >> LAST)


@njit(inline="always")
def _bits_within(text, at, ranges_R2):  # type: ignore[no-untyped-def]
    """A bit for each byte of a stretch that is in any of the ranges."""
    bits = ZERO
    for r in range(len(ranges_R2)):
        bits |= within(text, at, ranges_R2[r, 0], ranges_R2[r, 1])
    return bits


@njit(inline="always")
def _write_places(bits, at, places, num):  # type: ignore[no-untyped-def]
    """Write down the place of each bit, the first at `at`; how many places there are then."""
    while bits != 0:
        places[num] = at + np.int64(trailing_zeros(bits))
        num += ONE
        bits &= bits - ONE
    return num
