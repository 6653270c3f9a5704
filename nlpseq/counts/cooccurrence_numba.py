"""Run the loops of counting: keep words, list the positions of each word, count its neighbors."""

import numpy as np
from numba import njit

from nlpseq.core.counter_rng_numba import random_bits

__all__ = ["compact", "count_rows", "find_positions", "lowest_bit"]

_HALF, _ZERO, _ONE, _SIX, _LOW_SIX = np.uint64(32), np.uint64(0), np.uint64(1), np.uint64(6), np.uint64(63)

# A de Bruijn sequence: the top six bits differ for each of its 64 left shifts. Leiserson, Prokop & Randall
# 1998, Using de Bruijn sequences to index a 1 in a computer word; this sequence is common in chess programs.
_DE_BRUIJN = 0x03F79D71B4CB0A89
_TOP_SIX = np.uint64(58)
_BIT = np.zeros(64, np.int64)
for _shift in range(64):
    _BIT[((_DE_BRUIJN << _shift) & (2**64 - 1)) >> 58] = _shift
_MULTIPLIER = np.uint64(_DE_BRUIJN)


@njit(nogil=True, cache=True)
def compact(tokens, sentences, sentence, start, stop, keep_V, key, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the kept words of tokens[start:stop], and len(keep_V) at the end of each sentence.

    sentence: number of the sentence of token `start`. Returns how many ids were filled, and the sentence of
    the last token.
    """
    count = 0
    for pos in range(start, stop):
        while pos >= sentences[sentence + 1]:
            out[count] = len(keep_V)
            count += 1
            sentence += 1
        word_id = tokens[pos]
        if word_id < len(keep_V) and (random_bits(key, np.uint64(pos), _ZERO) >> _HALF) <= keep_V[word_id]:
            out[count] = word_id
            count += 1
    return count, sentence


@njit(nogil=True, cache=True)
def find_positions(stream, first, last, next_V, positions):  # type: ignore[no-untyped-def]
    """Fill the positions of the words first..last-1, grouped by word.

    next_V: where the positions of each word start; afterwards, where they end.
    """
    for pos in range(len(stream)):
        word_id = stream[pos]
        if first <= word_id < last:
            positions[next_V[word_id]] = pos
            next_V[word_id] += 1


@njit(inline="always")
def _add(column, weight, sums_V, bits, blocks):  # type: ignore[no-untyped-def]
    """Add to a column, and mark it: one bit for each column, and one for each word of 64 columns."""
    sums_V[column] += weight
    bits[column >> 6] |= _ONE << (np.uint64(column) & _LOW_SIX)
    blocks[column >> 12] |= _ONE << ((np.uint64(column) >> _SIX) & _LOW_SIX)


@njit(inline="always")
def lowest_bit(word):  # type: ignore[no-untyped-def]
    """Return the index of the lowest bit that is set."""
    return _BIT[((word & (~word + _ONE)) * _MULTIPLIER) >> _TOP_SIX]


@njit(nogil=True, cache=True)
def count_rows(  # type: ignore[no-untyped-def]
    stream, positions, starts_V, first, last, weights, left, right, num_words, columns, sums, sizes
):
    """Fill the sparse counts of rows first to last - 1, with sorted columns. Return the number of entries.

    starts_V: start of the positions of each word in `positions`, with the end of the last word.
    weights: weight of each distance, from 0 to the window. columns, sums: one for each entry.
    sizes: receives the number of entries of each row.
    """
    sums_V = np.zeros(num_words, np.int64)
    bits = np.zeros((num_words >> 6) + 1, np.uint64)
    blocks = np.zeros((num_words >> 12) + 1, np.uint64)
    found = 0
    for row in range(first, last):
        begin = found
        for n in range(starts_V[row], starts_V[row + 1]):
            pos = positions[n]
            if left:
                for distance in range(1, len(weights)):
                    column = stream[pos - distance]
                    if column == num_words:
                        break
                    _add(column, weights[distance], sums_V, bits, blocks)
            if right:
                for distance in range(1, len(weights)):
                    column = stream[pos + distance]
                    if column == num_words:
                        break
                    _add(column, weights[distance], sums_V, bits, blocks)
        for block in range(len(blocks)):
            while blocks[block] != _ZERO:
                word = (block << 6) + lowest_bit(blocks[block])
                blocks[block] &= blocks[block] - _ONE
                while bits[word] != _ZERO:
                    column = (word << 6) + lowest_bit(bits[word])
                    bits[word] &= bits[word] - _ONE
                    columns[found], sums[found] = column, sums_V[column]
                    sums_V[column] = 0
                    found += 1
        sizes[row - first] = found - begin
    return found
