"""The fast path of `word` and `whitespace`: UTF-8 bytes to token numbers in one pass.

tokenize.tokenize is the specification; the classes of characters are its tokenize.char_classes.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

PADDING = b"\n\n\n\n"  # behind the text, so that looking one character ahead stays inside the array

NEWLINE = 10
SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)  # as in tokenize.char_classes
FNV_BASIS, FNV_PRIME = (
    np.int64(-3750763034362895579),
    np.int64(1099511628211),
)  # FNV-1a, signed


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
def _same_bytes(text, a, b, length):  # type: ignore[no-untyped-def]
    same = 0
    while same < length and text[a + same] == text[b + same]:
        same += 1
    return same == length


@njit(nogil=True, cache=True)
def _grow(slots, hashes, spans, num_types):  # type: ignore[no-untyped-def]
    """The hash table at twice its size."""
    wider = np.full(2 * len(slots), -1, np.int32)
    more_hashes = np.empty(len(slots), np.int64)
    more_spans = np.empty((len(slots), 2), np.int64)
    more_hashes[:num_types] = hashes[:num_types]
    more_spans[:num_types] = spans[:num_types]
    for type_id in range(num_types):
        slot = (hashes[type_id] ^ hashes[type_id] >> 32) & (len(wider) - 1)
        while wider[slot] >= 0:
            slot = (slot + 1) & (len(wider) - 1)
        wider[slot] = type_id
    return wider, more_hashes, more_spans


@njit(nogil=True, cache=True)
def scan(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    apostrophe_tokens: bool,
    lengths: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Number the tokens of a text in order of first appearance, and count them line by line.

    text: valid UTF-8 followed by PADDING. lengths: zeros, one for each line; receives the tokens in it.
    apostrophe_tokens: whether an apostrophe outside a word is a token.
    Returns ids (num_tokens,) and spans (num_types, 2): where in text each type first stands, in bytes.
    """
    num_bytes = len(text) - len(PADDING)
    ids = np.empty(num_bytes, np.uint32)  # a token has a byte at least; what is not written costs no memory
    slots = np.full(1 << 12, -1, np.int32)  # open addressing, at most half full
    hashes = np.empty(len(slots) // 2, np.int64)
    spans = np.empty((len(slots) // 2, 2), np.int64)
    num_tokens, num_types, line, at = 0, 0, 0, 0

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

        token_hash = FNV_BASIS
        for k in range(start, at):
            token_hash = (token_hash ^ np.int64(text[k])) * FNV_PRIME
        slot = (token_hash ^ token_hash >> 32) & (len(slots) - 1)
        type_id = int(slots[slot])
        while type_id >= 0:
            first, end = spans[type_id, 0], spans[type_id, 1]
            if (
                hashes[type_id] == token_hash
                and end - first == at - start
                and _same_bytes(text, first, start, at - start)
            ):
                break
            slot = (slot + 1) & (len(slots) - 1)
            type_id = int(slots[slot])
        if type_id < 0:
            type_id = num_types
            slots[slot], hashes[type_id] = type_id, token_hash
            spans[type_id, 0], spans[type_id, 1] = start, at
            num_types += 1
            if num_types == len(hashes):
                slots, hashes, spans = _grow(slots, hashes, spans, num_types)
        ids[num_tokens] = type_id
        num_tokens += 1
        lengths[line] += 1

    return ids[:num_tokens].copy(), spans[:num_types].copy()
