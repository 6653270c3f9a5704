"""The fast path of `word` and `whitespace`: UTF-8 bytes to token numbers in one pass.

tokenize.tokenize is the specification; the classes of characters are its tokenize.char_classes. A Types goes
from block to block, so that a token has one number in all of them and is looked at once as a string.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

PADDING = b"\n\n\n\n"  # behind the text, so that looking one character ahead stays inside the array

NEWLINE = 10
SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)  # as in tokenize.char_classes

SHORT = 7  # bytes of a token that is its own key
LONG = np.uint64(1 << 63)  # keys of longer ones are from here up
FNV_PRIME = np.uint64(1099511628211)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
BYTE, HALF = np.uint64(8), np.uint64(32)


class Types(NamedTuple):
    """The distinct tokens so far, in order of first appearance."""

    slots_S: npt.NDArray[np.int32]  # open addressing, at most half full: the number of a type, or -1
    keys_T: npt.NDArray[np.uint64]
    ends_T: npt.NDArray[np.int64]  # type t is bytes_B[ends_T[t] : ends_T[t + 1]]
    bytes_B: npt.NDArray[np.uint8]
    num: int


def no_types() -> Types:
    slots_S = np.full(1 << 12, -1, np.int32)
    num_T = len(slots_S) // 2
    return Types(
        slots_S, np.empty(num_T, np.uint64), np.zeros(num_T + 1, np.int64), np.empty(1 << 14, np.uint8), 0
    )


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


@njit(inline="always")
def _key(text, start, end):  # type: ignore[no-untyped-def]
    """A short token as a number, which no other token has; of a longer one a hash (FNV-1a)."""
    key = np.uint64(1)  # so that leading zeros count
    if end - start <= SHORT:
        for k in range(start, end):
            key = key << BYTE | np.uint64(text[k])
        return key
    for k in range(start, end):
        key = (key ^ np.uint64(text[k])) * FNV_PRIME
    return key | LONG


@njit(inline="always")
def _slot(key, slots_S):  # type: ignore[no-untyped-def]
    return np.int64((((key * GOLDEN) >> HALF) * np.uint64(len(slots_S))) >> HALF)


@njit(inline="always")
def _is_type(text, start, end, bytes_B, first, last):  # type: ignore[no-untyped-def]
    if end - start != last - first:
        return False
    same = 0
    while same < end - start and text[start + same] == bytes_B[first + same]:
        same += 1
    return same == end - start


@njit(nogil=True, cache=True)
def _more_types(slots_S, keys_T, ends_T):  # type: ignore[no-untyped-def]
    """The hash table at twice its size."""
    num = len(keys_T)
    wider_S = np.full(2 * len(slots_S), -1, np.int32)
    for type_id in range(num):
        slot = _slot(keys_T[type_id], wider_S)
        while wider_S[slot] >= 0:
            slot = (slot + 1) & (len(wider_S) - 1)
        wider_S[slot] = type_id
    return wider_S, np.append(keys_T, np.empty_like(keys_T)), np.append(ends_T, np.empty(num, np.int64))


@njit(nogil=True, cache=True)
def scan(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    apostrophe_tokens: bool,
    lengths: npt.NDArray[np.int64],
    types: Types,
) -> tuple[npt.NDArray[np.uint32], Types]:
    """Number the tokens of a text, and count them line by line.

    text: valid UTF-8 followed by PADDING. lengths: zeros, one for each line; receives the tokens in it.
    apostrophe_tokens: whether an apostrophe outside a word is a token. types: those so far, not to be used
    after. Returns ids (num_tokens,) and the types with those of this text.
    """
    slots_S, keys_T, ends_T, bytes_B, num_types = types
    num_bytes = len(text) - len(PADDING)
    ids = np.empty(num_bytes, np.uint32)  # a token has a byte at least; what is not written costs no memory
    num_tokens, line, at = 0, 0, 0

    while at < num_bytes:
        start = at
        char, width = _char_at(text, at)
        at += width
        char_class = classes[char]
        if char == NEWLINE:
            line += 1
        if char_class == SEPARATOR or (char_class == APOSTROPHE and not apostrophe_tokens):
            continue
        while char_class == WORD:  # to the end of the word, over single apostrophes between word characters
            char, width = _char_at(text, at)
            if classes[char] == APOSTROPHE:
                char, next_width = _char_at(text, at + width)
                width += next_width
            if classes[char] != WORD:
                break
            at += width

        key = _key(text, start, at)
        slot = _slot(key, slots_S)
        type_id = np.int64(slots_S[slot])
        while type_id >= 0:
            if keys_T[type_id] == key and (
                key < LONG or _is_type(text, start, at, bytes_B, ends_T[type_id], ends_T[type_id + 1])
            ):
                break
            slot = (slot + 1) & (len(slots_S) - 1)
            type_id = np.int64(slots_S[slot])
        if type_id < 0:
            type_id = np.int64(num_types)
            slots_S[slot], keys_T[type_id] = type_id, key
            used, needed = ends_T[type_id], ends_T[type_id] + at - start
            if needed > len(bytes_B):
                bytes_B = np.append(bytes_B, np.empty(needed, np.uint8))
            bytes_B[used:needed] = text[start:at]
            ends_T[type_id + 1] = needed
            num_types += 1
            if num_types == len(keys_T):
                slots_S, keys_T, ends_T = _more_types(slots_S, keys_T, ends_T)
        ids[num_tokens] = type_id
        num_tokens += 1
        lengths[line] += 1

    return ids[:num_tokens].copy(), Types(slots_S, keys_T, ends_T, bytes_B, num_types)
