"""The fast path of `word` and `whitespace`: UTF-8 bytes to token numbers.

A block is looked at step by step, as short loops take less time than one long one:

    text ──> where tokens begin and end ──> a key of each and its place in a table ──> the number of each

A Types goes from block to block, so that a token has one number in all of them and is looked at once as a
string.
"""

import os
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.core.prefetch_numba import prefetch
from nlpseq.reading.blocks import NEWLINE
from nlpseq.tokenizers._scan_numba import ONE, PADDING, SEPARATOR, WORD, ZERO, Places, find_tokens
from nlpseq.tokenizers._simd_numba import eight_bytes, folded

SHORT = np.uint64(15)  # bytes of a token that is its own key, with its length
LONG = np.uint64(1 << 63)  # in the second number of the keys of longer ones
FREE = np.uint64(0)  # no second number is 0
# Another one in every process, so that nobody can write tokens that all have the same hash.
SECRET = tuple(np.frombuffer(os.urandom(16), np.uint64))
EIGHT, HALF = np.uint64(8), np.uint64(32)
SEVEN_BYTES = np.uint64(56)  # in bits
SIGNS = np.uint64(0x8080808080808080)
FROM_A, BEYOND_Z = np.uint64(0x3F3F3F3F3F3F3F3F), np.uint64(0x2525252525252525)  # added to "A", "[": the sign
NEAR = 32  # tokens looked up together


class Types(NamedTuple):
    """The distinct tokens so far, in order of first appearance."""

    keys_S2: npt.NDArray[np.uint64]  # open addressing, at most half full
    numbers_S: npt.NDArray[np.int32]  # of the type with this key
    ends_T: npt.NDArray[np.int64]  # type t is bytes_B[ends_T[t] : ends_T[t + 1] - 1], and then a newline
    bytes_B: npt.NDArray[np.uint8]
    num: int


def no_types() -> Types:
    keys_S2, ends_T = np.zeros((1 << 12, 2), np.uint64), np.zeros(1 << 11, np.int64)
    return Types(keys_S2, np.empty(len(keys_S2), np.int32), ends_T, np.empty(1 << 14, np.uint8), 0)


def scan(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    apostrophe_tokens: bool,
    lower: bool,
    lengths: npt.NDArray[np.int64],
    types: Types,
) -> tuple[npt.NDArray[np.uint32], Types]:
    """Number the tokens of a text, and count them line by line.

    The first four are those of find_tokens. lower: whether A-Z count as a-z. types: those so far, not to be
    used after. Returns ids (num_tokens,) and the types with those of this text.
    """
    starts, ends = find_tokens(text, classes, apostrophe_tokens, lengths)
    return _numbered(text, starts, ends, lower, types)


def compile_scan() -> None:
    """Have everything compiled, by types enough to grow their table."""
    numbers = b" ".join(b"%d" % number for number in range(9999))
    classes = np.full(1 << 7, WORD, np.uint8)
    classes[[ord(" "), NEWLINE]] = SEPARATOR
    classes.flags.writeable = False
    scan(np.frombuffer(numbers + PADDING, np.uint8), classes, False, False, np.empty(1, np.int64), no_types())


def number_lines(lines: bytes, types: Types) -> tuple[npt.NDArray[np.uint32], Types]:
    """The number of the token in each line of UTF-8, and the types with those of these lines."""
    return _numbered(*_places_of_lines(lines), False, types)


def parts_of_lines(lines: bytes, num_parts: int) -> npt.NDArray[np.uint32]:
    """Into which of so many parts the token in each line of UTF-8 falls by a hash."""
    text, starts, ends = _places_of_lines(lines)
    parts = np.empty(len(starts), np.uint32)
    _place(text, starts, ends, SECRET[::-1], num_parts, parts)  # another hash than that of tables
    return parts


def _places_of_lines(lines: bytes) -> tuple[npt.NDArray[np.uint8], Places, Places]:
    text = np.frombuffer(lines + PADDING, np.uint8)
    ends = np.flatnonzero(text[: len(lines)] == NEWLINE).astype(np.int32)
    return text, np.append(np.zeros(1, np.int32), ends + 1)[:-1], ends


def spelled(types: Types, first: int = 0) -> bytes:
    """The types from the first on, a line each, in UTF-8."""
    return types.bytes_B[types.ends_T[first] : types.ends_T[types.num]].tobytes()


def _numbered(
    text: npt.NDArray[np.uint8], starts: Places, ends: Places, lower: bool, types: Types
) -> tuple[npt.NDArray[np.uint32], Types]:
    """The number of each token, which takes the place of its start."""
    ids, near_N3 = starts.view(np.uint32), np.empty((NEAR, 3), np.uint64)
    done = 0
    while done < len(ids):
        done, num_types = _number(text, starts, ends, lower, SECRET, ids, done, near_N3, *types)
        types = types._replace(num=num_types)
        if done < len(ids):
            types = _with_room(types, int(ends[done] - starts[done]))
    return ids, types


def _with_room(types: Types, num_bytes: int) -> Types:
    """The types with twice the room for what is full, so that there is some for one more of so many bytes."""
    keys_S2, numbers_S, ends_T, bytes_B, num = types
    if num < len(ends_T) - 1:
        more_B = np.empty(len(bytes_B) + num_bytes, np.uint8)
        return types._replace(bytes_B=np.append(bytes_B, more_B))
    slots = 2 * len(keys_S2)
    wider_S2, wider_numbers_S = np.zeros((slots, 2), np.uint64), np.empty(slots, np.int32)
    _move(keys_S2, numbers_S, SECRET, wider_S2, wider_numbers_S)
    return Types(wider_S2, wider_numbers_S, np.append(ends_T, np.empty_like(ends_T)), bytes_B, num)


@njit(inline="always")
def _piece(text, at, lower):  # type: ignore[no-untyped-def]
    """Eight bytes as a number, the first in its lowest digits."""
    piece = eight_bytes(text, at)
    if lower:
        low = piece & ~SIGNS
        capitals = (low + FROM_A) & ~(low + BEYOND_Z) & ~piece & SIGNS
        piece |= capitals >> np.uint64(2)  # 0x80 to 0x20, which is what parts "A" from "a"
    return piece


@njit(inline="always")
def _up_to(piece, num):  # type: ignore[no-untyped-def]
    """Its first bytes, at most seven."""
    return piece & ((ONE << EIGHT * num) - ONE)


@njit(inline="always")
def _key(text, at, end, lower, secrets):  # type: ignore[no-untyped-def]
    """A short token with its length as two numbers, which no other token has; of a longer one a hash.

    Short ones all go the same way, as the processor could not guess their length.
    """
    length = np.uint64(end - at)
    if length > SHORT:
        return _hash(text, at, end, lower, secrets)
    beyond = EIGHT * (EIGHT - min(length, EIGHT))  # bits of the first piece
    first = _piece(text, at, lower) << beyond >> beyond
    second = _up_to(_piece(text, at + 8, lower), max(length, EIGHT) - EIGHT)
    return first, second | length << SEVEN_BYTES


@njit(inline="always")
def _hash(text, at, end, lower, secrets):  # type: ignore[no-untyped-def]
    """That of a token that is not short; the highest bit is set, as no length has it."""
    found = np.uint64(end - at)
    while at + 8 < end:
        found = folded(found ^ _piece(text, at, lower), secrets[0])
        at += 8
    last = _piece(text, end - 8, lower)
    return found, folded(found ^ last, secrets[1]) | LONG


@njit(inline="always")
def _slot(first, second, secrets, num):  # type: ignore[no-untyped-def]
    """A place below `num`, about as many keys in each."""
    mixed = folded(folded(first ^ secrets[0], second ^ secrets[1]), secrets[0])
    return ((mixed >> HALF) * np.uint64(num)) >> HALF


@njit(nogil=True, cache=True)
def _place(text, starts, ends, secrets, num, places):  # type: ignore[no-untyped-def]
    """Which of `num` places each token has."""
    for n in range(len(places)):
        first, second = _key(text, np.int64(starts[n]), np.int64(ends[n]), False, secrets)
        places[n] = _slot(first, second, secrets, num)


@njit(inline="always")
def _is_type(text, start, end, lower, bytes_B, first, last):  # type: ignore[no-untyped-def]
    """Whether a token that is not short has the same bytes."""
    same = end - start == last - first
    at = 0
    while same and at < end - start:
        at = min(at, end - start - 8)
        same = _piece(text, start + at, lower) == _piece(bytes_B, first + at, False)
        at += 8
    return same


@njit(inline="always")
def _write_line(text, start, end, lower, bytes_B, at):  # type: ignore[no-untyped-def]
    """Copy a token and end the line; where the next one begins."""
    for k in range(end - start):
        bytes_B[at + k] = _up_to(_piece(text, start + k, lower), ONE)
    bytes_B[at + end - start] = NEWLINE
    return at + end - start + 1


@njit(nogil=True, cache=True)
def _number(  # type: ignore[no-untyped-def]
    text, starts, ends, lower, secrets, ids, done, near_N3, keys_S2, numbers_S, ends_T, bytes_B, num
):
    """Number the tokens that are not done, up to a new one without room; its place, and how many types.

    ids: may be the same memory as starts. near_N3: for the keys and slots of some tokens, computed before
    they are looked up so that the slots come near meanwhile.
    """
    for begin in range(done, len(ids), len(near_N3)):
        stop = min(begin + len(near_N3), len(ids))
        for n in range(begin, stop):
            first, second = _key(text, np.int64(starts[n]), np.int64(ends[n]), lower, secrets)
            slot = _slot(first, second, secrets, len(keys_S2))
            prefetch(keys_S2, (slot, ZERO))
            prefetch(numbers_S, (slot,))
            near_N3[n - begin, 0], near_N3[n - begin, 1], near_N3[n - begin, 2] = first, second, slot
        for n in range(begin, stop):
            first, second, slot = near_N3[n - begin, 0], near_N3[n - begin, 1], near_N3[n - begin, 2]
            while True:
                number = np.int64(numbers_S[slot])
                start, end = np.int64(starts[n]), np.int64(ends[n])
                if keys_S2[slot, 0] == first and keys_S2[slot, 1] == second:
                    if second < LONG or _is_type(
                        text, start, end, lower, bytes_B, ends_T[number], ends_T[number + 1] - 1
                    ):
                        break
                elif keys_S2[slot, 1] == FREE:
                    room = len(bytes_B) - len(PADDING) - ends_T[num]
                    if num == len(ends_T) - 1 or end - start + 1 > room:
                        return n, num
                    keys_S2[slot, 0], keys_S2[slot, 1], numbers_S[slot] = first, second, num
                    ends_T[num + 1] = _write_line(text, start, end, lower, bytes_B, ends_T[num])
                    number, num = num, num + 1
                    break
                slot = (slot + ONE) & np.uint64(len(keys_S2) - 1)
            ids[n] = number
    return len(ids), num


@njit(nogil=True, cache=True)
def _move(keys_S2, numbers_S, secrets, wider_S2, wider_numbers_S):  # type: ignore[no-untyped-def]
    """Put what is in one hash table into another."""
    for old in range(len(keys_S2)):
        if keys_S2[old, 1] != FREE:
            slot = _slot(keys_S2[old, 0], keys_S2[old, 1], secrets, len(wider_S2))
            while wider_S2[slot, 1] != FREE:
                slot = (slot + ONE) & np.uint64(len(wider_S2) - 1)
            wider_S2[slot, 0], wider_S2[slot, 1] = keys_S2[old, 0], keys_S2[old, 1]
            wider_numbers_S[slot] = numbers_S[old]
