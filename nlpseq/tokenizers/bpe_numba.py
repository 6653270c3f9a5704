"""Byte-level BPE, compiled: learn merges from counted pre-tokens, and cut pre-tokens into tokens.

tests/reference/bpe.py does the same in a few lines of plain Python. Both keep the symbols of a text in place:
`symbols` has the id of a symbol at its first byte, `spans` has its number of bytes at its first and last
byte, so that both neighbors of a symbol are found at once. Pairs wait in a heap, and an entry whose count or
rank has changed meanwhile is skipped. Time is n log n in the bytes of a pre-token.

Letters: B bytes, T types, N pre-tokens, M merges, S slots of a hash table.
"""

from heapq import heappop, heappush

import numpy as np
from numba import njit

from nlpseq.tokenizers.bpe import train_bpe

__all__ = [
    "compile_encoding",
    "compile_training",
    "count_ids",
    "cut_into_tokens",
    "expand",
    "hash_merges",
    "learn_merges",
]

DEAD, BORDER = -2, -1  # in place of a symbol
EMPTY = -1  # key of an unused slot
KEY, COUNT, FIRST, END = range(4)  # columns of a table of pairs: count, and range of its positions
RANKED = 1  # column of a table of merges: rank, and merged symbol in the lower half
NO_MERGE = np.iinfo(np.int64).max  # in place of a rank and a merged symbol
MAX_SCANNED = 24  # symbols; the lowest rank of so few is found faster by a scan than by a heap
HALF = 32  # bits; a key has the left symbol in the upper half
RIGHT = (1 << HALF) - 1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, for Fibonacci hashing


def compile_training() -> None:
    """Compile the kernels of training."""
    train_bpe(b"aba\nabab\n", np.array([2, 3]), 300)


def compile_encoding() -> None:
    """Compile the other kernels, also the scan for pre-tokens."""
    model = train_bpe(b"", np.empty(0, np.int64), 256)
    model.encode("abab")
    ids, bounds_T = model.cut_types(b"abab\n")
    starts_T = np.append(0, bounds_T)
    for dtype in (np.uint16, np.uint32):
        count_ids(ids.astype(dtype), starts_T, np.ones(1, np.int64), 256)
        expand(np.frombuffer(bytes(4), np.uint32), starts_T, ids.astype(dtype))


@njit(inline="always")
def _slot(table_S, key):  # type: ignore[no-untyped-def]
    """Return the slot of a key, or the empty slot where it belongs."""
    mask = len(table_S) - 1
    slot = np.int64((np.uint64(key) * GOLDEN) >> np.uint64(HALF)) & mask
    while table_S[slot, KEY] != key and table_S[slot, KEY] != EMPTY:
        slot = (slot + 1) & mask
    return slot


@njit(nogil=True, cache=True)
def _grown(table_S):  # type: ignore[no-untyped-def]
    """Return a table of twice the slots with the same rows."""
    grown_S = np.full((2 * len(table_S), table_S.shape[1]), EMPTY, np.int64)
    for row in table_S:
        if row[KEY] != EMPTY:
            grown_S[_slot(grown_S, row[KEY])] = row
    return grown_S


@njit(nogil=True, cache=True)
def _add_pair(pairs_S, num_pairs, heap, key, count, first, end):  # type: ignore[no-untyped-def]
    """Store a new pair in the table and in the heap; return the table, which may have grown."""
    if 2 * num_pairs >= len(pairs_S):
        pairs_S = _grown(pairs_S)
    slot = _slot(pairs_S, key)
    pairs_S[slot, KEY], pairs_S[slot, COUNT], pairs_S[slot, FIRST], pairs_S[slot, END] = (
        key,
        count,
        first,
        end,
    )
    heappush(heap, (-count, key))  # of equal counts, the smaller key first
    return pairs_S


@njit(nogil=True, cache=True)
def learn_merges(symbols_B, words_B, counts_T, num_symbols, max_merges, min_count):  # type: ignore[no-untyped-def]
    """Return at most max_merges merges of the most frequent pairs, (M, 2); merge m makes num_symbols + m.

    symbols_B: int32, pre-tokens as ids below num_symbols, with a BORDER before, between and after them;
    overwritten. words_B: int32, the pre-token of each byte. counts_T: int64, the count of each pre-token.
    min_count: of a pair. All occurrences of a pair arise in one step, with its younger symbol, so a pair is
    stored once, with a list of positions that only loses members.
    """
    pairs_S, num_pairs = np.full((1 << 16, 4), EMPTY, np.int64), 0
    heap = [(np.int64(0), np.int64(0)) for _ in range(0)]
    positions, end = np.empty(3 * len(symbols_B), np.int32), np.int64(0)  # untouched pages take no memory
    sums, numbers = _count_pairs(symbols_B, words_B, counts_T, num_symbols)
    for left in range(num_symbols):
        for right in range(num_symbols):
            if sums[left, right] >= min_count:
                key, first = np.int64(left) << HALF | right, end
                end += numbers[left, right]
                pairs_S = _add_pair(pairs_S, num_pairs, heap, key, sums[left, right], first, first)
                num_pairs += 1
    for b in range(len(symbols_B) - 1):
        if symbols_B[b] >= 0 and symbols_B[b + 1] >= 0:
            slot = _slot(pairs_S, np.int64(symbols_B[b]) << HALF | symbols_B[b + 1])
            if pairs_S[slot, KEY] != EMPTY:
                positions[pairs_S[slot, END]] = b
                pairs_S[slot, END] += 1
    spans_B = np.ones(len(symbols_B), np.int32)
    merges, num = np.empty((max_merges, 2), np.int32), 0
    beside = np.zeros((2, num_symbols + max_merges, 3), np.int64)  # see _count_beside
    touched = np.empty((2 * (num_symbols + max_merges), 2), np.int32)
    while num < max_merges and len(heap) > 0:
        negative, key = heappop(heap)
        row = pairs_S[_slot(pairs_S, key)]
        if row[COUNT] != -negative:  # because other merges took occurrences
            if row[COUNT] >= min_count:
                heappush(heap, (-row[COUNT], key))
            continue
        new = num_symbols + num
        merges[num, 0], merges[num, 1] = key >> HALF, key & RIGHT
        num += 1
        merged = positions[row[FIRST] : row[END]]
        merged = merged[: _merge_all(key, new, merged, symbols_B, spans_B, words_B, counts_T, pairs_S)]
        num_touched = _count_beside(new, merged, symbols_B, spans_B, words_B, counts_T, beside, touched)
        for side, other in touched[:num_touched]:
            count, first = beside[side, other, 0], end
            beside[side, other, 2] = first if count >= min_count else -1
            if count >= min_count:
                key = np.int64(new) << HALF | other if side == 1 else np.int64(other) << HALF | new
                end += beside[side, other, 1]
                pairs_S = _add_pair(pairs_S, num_pairs, heap, key, count, first, end)
                num_pairs += 1
        _write_positions(new, merged, symbols_B, spans_B, beside, positions)
        for side, other in touched[:num_touched]:
            beside[side, other, 0] = beside[side, other, 1] = 0
    return merges[:num]


@njit(nogil=True, cache=True)
def _count_pairs(symbols_B, words_B, counts_T, num_symbols):  # type: ignore[no-untyped-def]
    """Return the count and the number of positions of each pair, both (num_symbols, num_symbols)."""
    sums = np.zeros((num_symbols, num_symbols), np.int64)
    numbers = np.zeros((num_symbols, num_symbols), np.int64)
    for b in range(len(symbols_B) - 1):
        if symbols_B[b] >= 0 and symbols_B[b + 1] >= 0:
            sums[symbols_B[b], symbols_B[b + 1]] += counts_T[words_B[b]]
            numbers[symbols_B[b], symbols_B[b + 1]] += 1
    return sums, numbers


@njit(nogil=True, cache=True)
def _merge_all(key, new, merged, symbols_B, spans_B, words_B, counts_T, pairs_S):  # type: ignore[no-untyped-def]
    """Merge a pair from left to right, and take its old neighbors from the counts of their pairs.

    merged: positions of the pair, some of them of the past. Those merged now are moved to its start. Returns
    their number.
    """
    left, right, num = key >> HALF, key & RIGHT, 0
    for position in merged:
        p = np.int64(position)
        q = p + spans_B[p]
        if symbols_B[p] != left or symbols_B[q] != right:
            continue
        r = q + spans_B[q]
        if symbols_B[p - 1] != BORDER:
            slot = _slot(pairs_S, np.int64(symbols_B[p - spans_B[p - 1]]) << HALF | left)
            if pairs_S[slot, KEY] != EMPTY:
                pairs_S[slot, COUNT] -= counts_T[words_B[p]]
        if symbols_B[r] != BORDER:
            slot = _slot(pairs_S, right << HALF | symbols_B[r])
            if pairs_S[slot, KEY] != EMPTY:
                pairs_S[slot, COUNT] -= counts_T[words_B[p]]
        symbols_B[p], symbols_B[q] = new, DEAD
        spans_B[p] = spans_B[r - 1] = r - p
        merged[num] = p
        num += 1
    return num


@njit(inline="always")
def _neighbors(p, new, symbols_B, spans_B):  # type: ignore[no-untyped-def]
    """Return the position of the left neighbor, and both neighbors; BORDER for `new` as left neighbor."""
    o, r = p - spans_B[p - 1], p + spans_B[p]
    left = np.int64(symbols_B[o] if symbols_B[p - 1] != BORDER and symbols_B[o] != new else BORDER)
    return o, left, np.int64(symbols_B[r])


@njit(nogil=True, cache=True)
def _count_beside(new, merged, symbols_B, spans_B, words_B, counts_T, beside, touched):  # type: ignore[no-untyped-def]
    """Count the pairs (other, new) in beside[0, other] and (new, other) in beside[1, other].

    Columns of beside: count, number of positions, next free place in the list of positions. touched: receives
    the pairs of side and other. Returns their number.
    """
    num = 0
    for p in merged:
        _, left, right = _neighbors(np.int64(p), new, symbols_B, spans_B)
        for side, other in ((np.int64(0), left), (np.int64(1), right)):
            if other != BORDER:
                if beside[side, other, 1] == 0:
                    touched[num, 0], touched[num, 1] = side, other
                    num += 1
                beside[side, other, 0] += counts_T[words_B[p]]
                beside[side, other, 1] += 1
    return num


@njit(nogil=True, cache=True)
def _write_positions(new, merged, symbols_B, spans_B, beside, positions):  # type: ignore[no-untyped-def]
    """Write the positions of the new pairs that are frequent enough."""
    for p in merged:
        o, left, right = _neighbors(np.int64(p), new, symbols_B, spans_B)
        for side, other, at in ((np.int64(0), left, o), (np.int64(1), right, np.int64(p))):
            if other != BORDER and beside[side, other, 2] >= 0:
                positions[beside[side, other, 2]] = at
                beside[side, other, 2] += 1


@njit(nogil=True, cache=True)
def hash_merges(merges_M2, merged_M):  # type: ignore[no-untyped-def]
    """Return a table of merges: key, then rank and merged symbol; of equal pairs the last counts."""
    table_S = np.full((1 << 9, 2), EMPTY, np.int64)
    while len(table_S) < 4 * len(merges_M2):
        table_S = _grown(table_S)
    for rank in range(len(merges_M2)):
        key = np.int64(merges_M2[rank, 0]) << HALF | merges_M2[rank, 1]
        slot = _slot(table_S, key)
        table_S[slot, KEY], table_S[slot, RANKED] = key, rank << HALF | merged_M[rank]
    return table_S


@njit(nogil=True, cache=True)
def cut_into_tokens(text, starts_N, ends_N, whole_N, byte_ids, table_S):  # type: ignore[no-untyped-def]
    """Return ids for pre-tokens, int32, and where the ids of each pre-token end, int64, (N,).

    whole_N: int32, the id of a pre-token that is a token without merging, else -1. byte_ids: (256,). table_S:
    of hash_merges.
    """
    num_bytes, longest = np.int64(0), np.int64(MAX_SCANNED)
    for n in range(len(starts_N)):
        num_bytes += ends_N[n] - starts_N[n]
        longest = max(longest, ends_N[n] - starts_N[n])
    ids, num, bounds_N = np.empty(num_bytes, np.int32), np.int64(0), np.empty(len(starts_N), np.int64)
    spans, ranked = np.empty(longest, np.int32), np.empty(MAX_SCANNED, np.int64)
    heap = [np.int64(0) for _ in range(0)]  # rank and position of each known pair
    for n in range(len(starts_N)):
        start, size = starts_N[n], ends_N[n] - starts_N[n]
        symbols = ids[num : num + size]
        for p in range(size):
            symbols[p] = byte_ids[text[start + p]]
        if whole_N[n] >= 0:
            symbols[0], size = whole_N[n], 1
        elif size <= MAX_SCANNED:
            size = _merge_by_scan(symbols, ranked, table_S)
        else:
            size = _merge_by_heap(symbols, spans, table_S, heap)
        num += size
        bounds_N[n] = num
    return ids[:num].copy(), bounds_N


@njit(inline="always")
def _ranked(left, right, table_S):  # type: ignore[no-untyped-def]
    """Return rank and merged symbol of a pair of symbols, or NO_MERGE."""
    slot = _slot(table_S, np.int64(left) << HALF | right)
    return table_S[slot, RANKED] if table_S[slot, KEY] != EMPTY else NO_MERGE


@njit(inline="always")
def _merge_by_scan(symbols, ranked, table_S):  # type: ignore[no-untyped-def]
    """Merge the pair of the lowest rank, of several the leftmost, until no pair has a rank.

    symbols: at most MAX_SCANNED; overwritten. ranked: scratch for the pair at each position. Returns the
    number of symbols left.
    """
    num = len(symbols)
    for p in range(num - 1):
        ranked[p] = _ranked(symbols[p], symbols[p + 1], table_S)
    while num > 1:
        at = 0
        for p in range(1, num - 1):
            at = p if ranked[p] < ranked[at] else at
        if ranked[at] == NO_MERGE:
            break
        symbols[at] = ranked[at] & RIGHT
        num -= 1
        for p in range(at + 1, num):
            symbols[p], ranked[p - 1] = symbols[p + 1], ranked[p]
        if at > 0:
            ranked[at - 1] = _ranked(symbols[at - 1], symbols[at], table_S)
        if at < num - 1:
            ranked[at] = _ranked(symbols[at], symbols[at + 1], table_S)
    return num


@njit(nogil=True, cache=True)
def _merge_by_heap(symbols, spans, table_S, heap):  # type: ignore[no-untyped-def]
    """Merge as _merge_by_scan, in n log n; spans: scratch, the number of bytes of each symbol."""
    size, num = len(symbols), 0
    spans[:size] = 1
    for p in range(size - 1):
        _push_pair(symbols, p, p + 1, table_S, heap)
    while len(heap) > 0:
        entry = heappop(heap)
        rank, p = entry >> HALF, entry & RIGHT
        q = p + spans[p]
        if symbols[p] == DEAD or q >= size:
            continue
        ranked = _ranked(symbols[p], symbols[q], table_S)
        if ranked >> HALF != rank:  # because one of the two has merged with another symbol
            continue
        r = q + spans[q]
        symbols[p], symbols[q] = ranked & RIGHT, DEAD
        spans[p] = spans[r - 1] = r - p
        if p > 0:
            _push_pair(symbols, p - spans[p - 1], p, table_S, heap)
        if r < size:
            _push_pair(symbols, p, r, table_S, heap)
    at = np.int64(0)
    while at < size:
        symbols[num], at = symbols[at], at + spans[at]
        num += 1
    return num


@njit(inline="always")
def _push_pair(symbols, p, q, table_S, heap):  # type: ignore[no-untyped-def]
    """Push the pair of symbols at two positions if it has a rank."""
    ranked = _ranked(symbols[p], symbols[q], table_S)
    if ranked != NO_MERGE:
        heappush(heap, (ranked >> HALF) << HALF | np.int64(p))


@njit(nogil=True, cache=True)
def count_ids(ids, starts_T, counts_T, num_ids):  # type: ignore[no-untyped-def]
    """Return the count of each id in a text with counts_T[t] pre-tokens of type t; starts_T: see expand."""
    counts = np.zeros(num_ids, np.int64)
    for t in range(len(counts_T)):
        for k in range(starts_T[t], starts_T[t + 1]):
            counts[ids[k]] += counts_T[t]
    return counts


@njit(nogil=True, cache=True)
def expand(types_N, starts_T, ids):  # type: ignore[no-untyped-def]
    """Return ids for the pre-tokens of a text, and where the ids of each end, int64, (N,).

    types_N: type of each. starts_T: int64, (T + 1,); type t has ids[starts_T[t] : starts_T[t + 1]].
    """
    bounds_N, num = np.empty(len(types_N), np.int64), np.int64(0)
    for n in range(len(types_N)):
        num += starts_T[types_N[n] + 1] - starts_T[types_N[n]]
        bounds_N[n] = num
    expanded, num = np.empty(num, ids.dtype), np.int64(0)
    for n in range(len(types_N)):
        for k in range(starts_T[types_N[n]], starts_T[types_N[n] + 1]):
            expanded[num] = ids[k]
            num += 1
    return expanded, bounds_N
