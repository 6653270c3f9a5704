"""The fast path of `word` and `whitespace`: UTF-8 bytes to token numbers.

tokenize.tokenize is the specification; the classes of characters are its tokenize.char_classes. A block is
looked at three times, as three short loops take less time than one long one:

    text ──> where tokens begin and end ──> a 64-bit key of each ──> the number of each

A Types goes from block to block, so that a token has one number in all of them and is looked at once as a
string.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq._prefetch_numba import prefetch
from nlpseq.text._bits_numba import STRETCH, eight_bytes, num_ones, trailing_zeros, within

PADDING = b"\n" * 8  # behind the text: its last token ends there, and eight bytes can be had from any place

NEWLINE = 10
SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)  # as in tokenize.char_classes

SHORT = np.uint64(7)  # bytes of a token that is its own key, with its length
LONG = np.uint64(1 << 63)  # keys of longer ones are from here up
FREE = np.uint64(0)  # no key is 0
MIX = np.uint64(0xD6E8FEB86659FD93)  # odd, about as many zeros as ones
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
ZERO, ONE, EIGHT, HALF = np.uint64(0), np.uint64(1), np.uint64(8), np.uint64(32)
SIGNS = np.uint64(0x8080808080808080)
FROM_A, BEYOND_Z = np.uint64(0x3F3F3F3F3F3F3F3F), np.uint64(0x2525252525252525)  # added to "A", "[": the sign
LAST = np.uint64(STRETCH - 1)  # byte of a stretch
SOON = 16  # tokens until one is looked up, so that its slot comes near meanwhile
SIGN = np.uint8(0x80)  # of bytes beyond ASCII

Places = npt.NDArray[np.int32]


class Classes(NamedTuple):
    """The class of each code point, and the ASCII that has its low bit set and its high one, as ranges."""

    of_chars: npt.NDArray[np.uint8]
    low_R2: npt.NDArray[np.uint8]  # of each range the first, and how many
    high_R2: npt.NDArray[np.uint8]


class Types(NamedTuple):
    """The distinct tokens so far, in order of first appearance."""

    keys_S: npt.NDArray[np.uint64]  # open addressing, at most half full
    numbers_S: npt.NDArray[np.int32]  # of the type with this key
    ends_T: npt.NDArray[np.int64]  # type t is bytes_B[ends_T[t] : ends_T[t + 1] - 1], and then a newline
    bytes_B: npt.NDArray[np.uint8]
    num: int


def no_types() -> Types:
    keys_S, ends_T = np.zeros(1 << 12, np.uint64), np.zeros(1 << 11, np.int64)
    return Types(keys_S, np.empty(len(keys_S), np.int32), ends_T, np.empty(1 << 14, np.uint8), 0)


def scan(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    apostrophe_tokens: bool,
    lower: bool,
    lengths: npt.NDArray[np.int64],
    types: Types,
) -> tuple[npt.NDArray[np.uint32], Types]:
    """Number the tokens of a text, and count them line by line.

    text: valid UTF-8 followed by PADDING. lengths: receives the tokens in each line. apostrophe_tokens:
    whether an apostrophe outside a word is a token. lower: whether A-Z count as a-z. types: those so far, not
    to be used after. Returns ids (num_tokens,) and the types with those of this text.
    """
    most = len(text) - len(PADDING) + 1  # what is not written costs no memory
    starts, ends = np.empty(most, np.int32), np.empty(most, np.int32)
    of_ascii = classes[:SIGN]
    with_ranges = Classes(classes, _ranges(of_ascii % 2 == 1), _ranges(of_ascii >= 2))
    num = _cut(text, with_ranges, apostrophe_tokens, starts, ends, lengths)
    return _numbered(text, starts[:num], ends[:num], lower, types)


def _ranges(is_in: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Where it is true: uint8 (num_ranges, 2), the first place of a range and how many there are."""
    edges = np.flatnonzero(np.diff(is_in.astype(np.int8), prepend=0, append=0))
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1).astype(np.uint8)


def compile_scan() -> None:
    """Have everything compiled, by types enough to grow their table."""
    numbers = b" ".join(b"%d" % number for number in range(9999))
    classes = np.full(1 << 7, WORD, np.uint8)
    classes[[ord(" "), NEWLINE]] = SEPARATOR
    classes.flags.writeable = False
    scan(np.frombuffer(numbers + PADDING, np.uint8), classes, False, False, np.empty(1, np.int64), no_types())


def number_lines(lines: bytes, types: Types) -> tuple[npt.NDArray[np.uint32], Types]:
    """The number of the token in each line of UTF-8, and the types with those of these lines."""
    text = np.frombuffer(lines + PADDING, np.uint8)
    ends = np.flatnonzero(text[: len(lines)] == NEWLINE).astype(np.int32)
    starts = np.append(np.zeros(1, np.int32), ends + 1)[:-1]
    return _numbered(text, starts, ends, False, types)


def spelled(types: Types, first: int = 0) -> bytes:
    """The types from the first on, a line each, in UTF-8."""
    return types.bytes_B[types.ends_T[first] : types.ends_T[types.num]].tobytes()


def _numbered(
    text: npt.NDArray[np.uint8], starts: Places, ends: Places, lower: bool, types: Types
) -> tuple[npt.NDArray[np.uint32], Types]:
    keys_N, ids = np.empty(len(starts), np.uint64), np.empty(len(starts), np.uint32)
    _keys(text, starts, ends, lower, keys_N)
    done = 0
    while done < len(ids):
        done, num_types = _number(text, starts, ends, lower, keys_N, ids, done, *types)
        types = types._replace(num=num_types)
        if done < len(ids):
            types = _with_room(types, int(ends[done] - starts[done]))
    return ids, types


def _with_room(types: Types, num_bytes: int) -> Types:
    """The types with twice the room for what is full, so that there is some for one more of so many bytes."""
    keys_S, numbers_S, ends_T, bytes_B, num = types
    if num < len(ends_T) - 1:
        more_B = np.empty(len(bytes_B) + num_bytes, np.uint8)
        return types._replace(bytes_B=np.append(bytes_B, more_B))
    wider_S, wider_numbers_S = np.zeros(2 * len(keys_S), np.uint64), np.empty(2 * len(keys_S), np.int32)
    _move(keys_S, numbers_S, wider_S, wider_numbers_S)
    return Types(wider_S, wider_numbers_S, np.append(ends_T, np.empty_like(ends_T)), bytes_B, num)


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


@njit(inline="always")
def _piece(text, at, end, lower):  # type: ignore[no-untyped-def]
    """The bytes from `at` to `end`, eight at the most, as a number, the first byte in its lowest digits."""
    piece = eight_bytes(text, at)
    if end - at < 8:
        piece &= (ONE << EIGHT * np.uint64(end - at)) - ONE
    if lower:
        low = piece & ~SIGNS
        capitals = (low + FROM_A) & ~(low + BEYOND_Z) & ~piece & SIGNS
        piece |= capitals >> np.uint64(2)  # 0x80 to 0x20, which is what parts "A" from "a"
    return piece


@njit(nogil=True, cache=True)
def _keys(text, starts, ends, lower, keys_N):  # type: ignore[no-untyped-def]
    """A short token with its length as a number, which no other token has; of a longer one a hash."""
    for n in range(len(starts)):
        at, end = np.int64(starts[n]), np.int64(ends[n])
        length = np.uint64(end - at)
        key = _piece(text, at, end, lower)
        if length <= SHORT:
            keys_N[n] = key | length << np.uint64(56)
            continue
        key *= MIX
        while at + 8 < end:
            at += 8
            key = ((key ^ key >> HALF) ^ _piece(text, at, end, lower)) * MIX
        keys_N[n] = key ^ key >> HALF | LONG


@njit(inline="always")
def _slot(key, keys_S):  # type: ignore[no-untyped-def]
    return (((key * GOLDEN) >> HALF) * np.uint64(len(keys_S))) >> HALF


@njit(inline="always")
def _is_type(text, start, end, lower, bytes_B, first, last):  # type: ignore[no-untyped-def]
    same = end - start == last - first
    at = 0
    while same and at < end - start:
        same = _piece(text, start + at, end, lower) == _piece(bytes_B, first + at, last, False)
        at += 8
    return same


@njit(nogil=True, cache=True)
def _number(  # type: ignore[no-untyped-def]
    text, starts, ends, lower, keys_N, ids, first, keys_S, numbers_S, ends_T, bytes_B, num
):
    """Number the tokens from the first on, up to a new one without room; its place, and how many types."""
    for n in range(first, len(keys_N)):
        key, start, end = keys_N[n], np.int64(starts[n]), np.int64(ends[n])
        if n + SOON < len(keys_N):
            soon = _slot(keys_N[n + SOON], keys_S)
            prefetch(keys_S, (soon,))
            prefetch(numbers_S, (soon,))
        slot = _slot(key, keys_S)
        while True:
            found = keys_S[slot]
            if found == key:
                number = np.int64(numbers_S[slot])
                if key < LONG or _is_type(
                    text, start, end, lower, bytes_B, ends_T[number], ends_T[number + 1] - 1
                ):
                    break
            elif found == FREE:
                number, used, needed = num, ends_T[num], ends_T[num] + end - start + 1
                if num == len(ends_T) - 1 or needed > len(bytes_B) - len(PADDING):
                    return n, num
                for k in range(end - start):
                    bytes_B[used + k] = _piece(text, start + k, start + k + 1, lower)
                bytes_B[needed - 1] = NEWLINE
                keys_S[slot], numbers_S[slot], ends_T[num + 1] = key, num, needed
                num += 1
                break
            slot = (slot + ONE) & np.uint64(len(keys_S) - 1)
        ids[n] = number
    return len(keys_N), num


@njit(nogil=True, cache=True)
def _move(keys_S, numbers_S, wider_S, wider_numbers_S):  # type: ignore[no-untyped-def]
    """Put what is in one hash table into another."""
    for old in range(len(keys_S)):
        if keys_S[old] != FREE:
            slot = _slot(keys_S[old], wider_S)
            while wider_S[slot] != FREE:
                slot = (slot + ONE) & np.uint64(len(wider_S) - 1)
            wider_S[slot], wider_numbers_S[slot] = keys_S[old], numbers_S[old]
