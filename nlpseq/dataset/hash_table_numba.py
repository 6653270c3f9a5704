"""A hash table of types: UTF-8 bytes of tokens to type ids, compiled.

    text ──> start and end of each token ──> key and slot of each ──> type id of each

Each arrow is one short loop, because several short loops take less time than one long loop. A TypeTable is
carried over from block to block: a type keeps its id, and is made a string only once.

Letters: N tokens, L lines, S slots of the table, T types, B bytes.
"""

import os
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.core.prefetch_numba import prefetch
from nlpseq.reading.blocks import NEWLINE
from nlpseq.tokenizers.char_classes import SEPARATOR, WORD
from nlpseq.tokenizers.scan_numba import ONE, PADDING, ZERO, Offsets, find_tokens
from nlpseq.tokenizers.simd_numba import load_uint64, multiply_fold

__all__ = [
    "TypeTable",
    "compile_scan",
    "empty_table",
    "hash_partitions",
    "number_lines",
    "number_tokens",
    "type_lines",
]

INLINE_BYTES = np.uint64(15)  # longest token that is its own key, together with its length
HASHED = np.uint64(1 << 63)  # bit set in the second half of the keys of longer tokens
EMPTY = np.uint64(0)  # because the second half of a key is never 0
# Random in every process, because nobody can then write tokens that all collide.
HASH_SEED = tuple(np.frombuffer(os.urandom(16), np.uint64))
EIGHT, HALF = np.uint64(8), np.uint64(32)
SEVEN_BYTES = np.uint64(56)  # bits
HIGH_BITS = np.uint64(0x8080808080808080)
FROM_A = np.uint64(0x3F3F3F3F3F3F3F3F)  # carries "A" to the high bit
BEYOND_Z = np.uint64(0x2525252525252525)  # carries "[" to the high bit
BATCH_TOKENS = 32  # tokens whose slots are prefetched together

Ids = npt.NDArray[np.uint32]
HashSeed = tuple[np.uint64, ...]  # two numbers


class TypeTable(NamedTuple):
    """The distinct tokens so far, in order of first appearance, with open addressing."""

    keys_S2: npt.NDArray[np.uint64]  # at most half of them in use
    ids_S: npt.NDArray[np.int32]  # the type of each key
    ends_T: npt.NDArray[np.int64]  # type t is bytes_B[ends_T[t] : ends_T[t + 1] - 1], and a newline follows
    bytes_B: npt.NDArray[np.uint8]
    num: int  # types


def empty_table() -> TypeTable:
    """Return a table without types."""
    keys_S2, ends_T = np.zeros((1 << 12, 2), np.uint64), np.zeros(1 << 11, np.int64)
    return TypeTable(keys_S2, np.empty(len(keys_S2), np.int32), ends_T, np.empty(1 << 14, np.uint8), 0)


def number_tokens(
    text: npt.NDArray[np.uint8],
    starts: Offsets,
    ends: Offsets,
    lower: bool,
    table: TypeTable,
    seed: HashSeed = HASH_SEED,
) -> tuple[Ids, TypeTable]:
    """Return the type id of each token of a text, uint32, (N,), and the table with new types.

    text, starts, ends: as find_tokens returns. The ids are written over starts to save memory. lower: read
    A-Z as a-z. table: changed.
    """
    ids_N, batch_N3 = starts.view(np.uint32), np.empty((BATCH_TOKENS, 3), np.uint64)
    done = 0
    while done < len(ids_N):
        done, num_types = _assign_ids(text, starts, ends, lower, seed, ids_N, done, batch_N3, *table)
        table = table._replace(num=num_types)
        if done < len(ids_N):
            table = _grow(table, int(ends[done] - starts[done]), seed)
    return ids_N, table


def number_lines(lines: bytes, table: TypeTable, seed: HashSeed = HASH_SEED) -> tuple[Ids, TypeTable]:
    """Return the type id of the token in each line, uint32, (L,), and the table with new types."""
    return number_tokens(*_lines_as_tokens(lines), False, table, seed)


def hash_partitions(lines: bytes, num_partitions: int, seed: HashSeed = HASH_SEED[::-1]) -> Ids:
    """Return a partition for the token in each line by its hash: uint32, (L,).

    seed: another one than that of tables, because types of one partition must spread over all slots.
    """
    text, starts, ends = _lines_as_tokens(lines)
    partitions_L = np.empty(len(starts), np.uint32)
    _find_slots(text, starts, ends, seed, num_partitions, partitions_L)
    return partitions_L


def type_lines(table: TypeTable, first: int = 0) -> bytes:
    """Return the types from number `first` on as lines of UTF-8."""
    return table.bytes_B[table.ends_T[first] : table.ends_T[table.num]].tobytes()


def compile_scan() -> None:
    """Compile all kernels, also those that grow the table."""
    numbers = b" ".join(b"%d" % number for number in range(9999))
    classes = np.full(1 << 7, WORD, np.uint8)
    classes[[ord(" "), NEWLINE]] = SEPARATOR
    classes.flags.writeable = False
    text = np.frombuffer(numbers + PADDING, np.uint8)
    starts, ends, _ = find_tokens(text, classes, False, np.empty(1, np.int64))
    number_tokens(text, starts, ends, False, empty_table())


def _lines_as_tokens(lines: bytes) -> tuple[npt.NDArray[np.uint8], Offsets, Offsets]:
    """Return padded text, and the start and end of each line."""
    text = np.frombuffer(lines + PADDING, np.uint8)
    ends = np.flatnonzero(text[: len(lines)] == NEWLINE).astype(np.int32)
    return text, np.append(np.zeros(1, np.int32), ends + 1)[:-1], ends


def _grow(table: TypeTable, num_bytes: int, seed: HashSeed) -> TypeTable:
    """Double the full array, so that one more type of num_bytes fits."""
    keys_S2, ids_S, ends_T, bytes_B, num = table
    if num < len(ends_T) - 1:
        more_B = np.empty(len(bytes_B) + num_bytes, np.uint8)
        return table._replace(bytes_B=np.append(bytes_B, more_B))
    slots = 2 * len(keys_S2)
    wider_S2, wider_ids_S = np.zeros((slots, 2), np.uint64), np.empty(slots, np.int32)
    _rehash(keys_S2, ids_S, seed, wider_S2, wider_ids_S)
    return TypeTable(wider_S2, wider_ids_S, np.append(ends_T, np.empty_like(ends_T)), bytes_B, num)


@njit(inline="always")
def _eight_bytes(text, at, lower):  # type: ignore[no-untyped-def]
    """Load eight bytes as a little-endian number, with A-Z as a-z if `lower`."""
    eight = load_uint64(text, at)
    if lower:
        low = eight & ~HIGH_BITS
        capitals = (low + FROM_A) & ~(low + BEYOND_Z) & ~eight & HIGH_BITS
        eight |= capitals >> np.uint64(2)  # 0x80 to 0x20, because "a" is "A" + 0x20
    return eight


@njit(inline="always")
def _key(text, at, end, lower, seed):  # type: ignore[no-untyped-def]
    """Return the key of a token as two numbers: bytes and length if short, else a hash.

    Short tokens all take the same path, because the processor could not predict their length.
    """
    length = np.uint64(end - at)
    if length > INLINE_BYTES:
        return _hash(text, at, end, lower, seed)
    beyond = EIGHT * (EIGHT - min(length, EIGHT))  # bits of the first eight bytes
    first = _eight_bytes(text, at, lower) << beyond >> beyond
    second = _eight_bytes(text, at + 8, lower) & ((ONE << EIGHT * (max(length, EIGHT) - EIGHT)) - ONE)
    return first, second | length << SEVEN_BYTES


@njit(inline="always")
def _hash(text, at, end, lower, seed):  # type: ignore[no-untyped-def]
    """Hash a long token to two numbers; the highest bit of the second is set, as no length sets it."""
    mixed = np.uint64(end - at)
    while at + 8 < end:
        mixed = multiply_fold(mixed ^ _eight_bytes(text, at, lower), seed[0])
        at += 8
    last = _eight_bytes(text, end - 8, lower)
    return mixed, multiply_fold(mixed ^ last, seed[1]) | HASHED


@njit(inline="always")
def _slot(first, second, seed, num):  # type: ignore[no-untyped-def]
    """Return the slot of a key, from 0 to num - 1."""
    mixed = multiply_fold(multiply_fold(first ^ seed[0], second ^ seed[1]), seed[0])
    return ((mixed >> HALF) * np.uint64(num)) >> HALF


@njit(nogil=True, cache=True)
def _find_slots(text, starts, ends, seed, num, slots_N):  # type: ignore[no-untyped-def]
    """Write the slot of each token among `num`."""
    for n in range(len(slots_N)):
        first, second = _key(text, np.int64(starts[n]), np.int64(ends[n]), False, seed)
        slots_N[n] = _slot(first, second, seed, num)


@njit(inline="always")
def _is_type(text, start, end, lower, bytes_B, first, last):  # type: ignore[no-untyped-def]
    """Return True if a long token has the bytes bytes_B[first:last]."""
    same = end - start == last - first
    at = 0
    while same and at < end - start:
        at = min(at, end - start - 8)
        same = _eight_bytes(text, start + at, lower) == _eight_bytes(bytes_B, first + at, False)
        at += 8
    return same


@njit(inline="always")
def _write_line(text, start, end, lower, bytes_B, at):  # type: ignore[no-untyped-def]
    """Write a token and a newline; return the offset behind them."""
    for k in range(end - start):
        bytes_B[at + k] = _eight_bytes(text, start + k, lower) & np.uint64(0xFF)
    bytes_B[at + end - start] = NEWLINE
    return at + end - start + 1


@njit(nogil=True, cache=True)
def _assign_ids(  # type: ignore[no-untyped-def]
    text, starts, ends, lower, seed, ids_N, done, batch_N3, keys_S2, ids_S, ends_T, bytes_B, num
):
    """Write the type ids of the tokens from number `done` on.

    Stop when the table has no room for a new type.

    ids_N: may be the same memory as starts. batch_N3: scratch for the keys and slots of a batch of tokens;
    all keys come before the first lookup, so that the slots are prefetched in the meantime.
    Returns the number of tokens with an id and the number of types.
    """
    for begin in range(done, len(ids_N), len(batch_N3)):
        stop = min(begin + len(batch_N3), len(ids_N))
        for n in range(begin, stop):
            first, second = _key(text, np.int64(starts[n]), np.int64(ends[n]), lower, seed)
            slot = _slot(first, second, seed, len(keys_S2))
            prefetch(keys_S2, (slot, ZERO))
            prefetch(ids_S, (slot,))
            batch_N3[n - begin, 0], batch_N3[n - begin, 1], batch_N3[n - begin, 2] = first, second, slot
        for n in range(begin, stop):
            first, second, slot = batch_N3[n - begin, 0], batch_N3[n - begin, 1], batch_N3[n - begin, 2]
            while True:
                type_id = np.int64(ids_S[slot])
                start, end = np.int64(starts[n]), np.int64(ends[n])
                if keys_S2[slot, 0] == first and keys_S2[slot, 1] == second:
                    if second < HASHED or _is_type(
                        text, start, end, lower, bytes_B, ends_T[type_id], ends_T[type_id + 1] - 1
                    ):
                        break
                elif keys_S2[slot, 1] == EMPTY:
                    room = len(bytes_B) - len(PADDING) - ends_T[num]
                    if num == len(ends_T) - 1 or end - start + 1 > room:
                        return n, num
                    keys_S2[slot, 0], keys_S2[slot, 1], ids_S[slot] = first, second, num
                    ends_T[num + 1] = _write_line(text, start, end, lower, bytes_B, ends_T[num])
                    type_id, num = num, num + 1
                    break
                slot = (slot + ONE) & np.uint64(len(keys_S2) - 1)
            ids_N[n] = type_id
    return len(ids_N), num


@njit(nogil=True, cache=True)
def _rehash(keys_S2, ids_S, seed, wider_S2, wider_ids_S):  # type: ignore[no-untyped-def]
    """Insert all keys of a hash table into a larger one."""
    for old in range(len(keys_S2)):
        if keys_S2[old, 1] != EMPTY:
            slot = _slot(keys_S2[old, 0], keys_S2[old, 1], seed, len(wider_S2))
            while wider_S2[slot, 1] != EMPTY:
                slot = (slot + ONE) & np.uint64(len(wider_S2) - 1)
            wider_S2[slot, 0], wider_S2[slot, 1] = keys_S2[old, 0], keys_S2[old, 1]
            wider_ids_S[slot] = ids_S[old]
