"""The loops of counting: the words that stay, the places of each, and what is around them."""

import numpy as np
from numba import njit

from nlpseq.core.counter_rng_numba import random_bits

_HALF, _ZERO, _ONE, _SIX, _LOW_SIX = np.uint64(32), np.uint64(0), np.uint64(1), np.uint64(6), np.uint64(63)
_DE_BRUIJN = 0x03F79D71B4CB0A89  # its 64 shifts by a bit all begin with other six bits
_TOP = np.uint64(58)
_BIT = np.zeros(64, np.int64)
for _place in range(64):
    _BIT[((_DE_BRUIJN << _place) & (2**64 - 1)) >> 58] = _place
_MULTIPLIER = np.uint64(_DE_BRUIJN)


@njit(nogil=True, cache=True)
def compact(tokens, sentences, sentence, start, stop, keep_V, key, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the words of tokens[start:stop] that stay, and len(keep_V) where a sentence ends.

    sentence: the one that token `start` is in. Returns how many were filled, and the sentence of the last.
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
def find_places(stream, first, last, next_V, places):  # type: ignore[no-untyped-def]
    """Fill `places` with where the words first..last-1 are; next_V: where in it each begins, then ends."""
    for place in range(len(stream)):
        word_id = stream[place]
        if first <= word_id < last:
            places[next_V[word_id]] = place
            next_V[word_id] += 1


@njit(inline="always")
def _add(column, weight, sums_V, bits, blocks):  # type: ignore[no-untyped-def]
    """Add to a column, and mark it: a bit for each column, and one for each 64 of those."""
    sums_V[column] += weight
    bits[column >> 6] |= _ONE << (np.uint64(column) & _LOW_SIX)
    blocks[column >> 12] |= _ONE << ((np.uint64(column) >> _SIX) & _LOW_SIX)


@njit(inline="always")
def _lowest(word):  # type: ignore[no-untyped-def]
    """The place of the lowest bit that is set."""
    return _BIT[((word & (~word + _ONE)) * _MULTIPLIER) >> _TOP]


@njit(nogil=True, cache=True)
def count_rows(stream, places, starts_V, first, last, weights, left, right, num_words, columns, sums, sizes):  # type: ignore[no-untyped-def]
    """Rows first..last-1 of the counts, in order of column; returns how many columns they have together.

    starts_V: where the places of each word begin. weights: of each distance, from 0, up to the window.
    """
    sums_V = np.zeros(num_words, np.int64)
    bits = np.zeros((num_words >> 6) + 1, np.uint64)
    blocks = np.zeros((num_words >> 12) + 1, np.uint64)
    found = 0
    for row in range(first, last):
        begin = found
        for n in range(starts_V[row], starts_V[row + 1]):
            place = places[n]
            if left:
                for distance in range(1, len(weights)):
                    column = stream[place - distance]
                    if column == num_words:
                        break
                    _add(column, weights[distance], sums_V, bits, blocks)
            if right:
                for distance in range(1, len(weights)):
                    column = stream[place + distance]
                    if column == num_words:
                        break
                    _add(column, weights[distance], sums_V, bits, blocks)
        for block in range(len(blocks)):
            while blocks[block] != _ZERO:
                word = (block << 6) + _lowest(blocks[block])
                blocks[block] &= blocks[block] - _ONE
                while bits[word] != _ZERO:
                    column = (word << 6) + _lowest(bits[word])
                    bits[word] &= bits[word] - _ONE
                    columns[found], sums[found] = column, sums_V[column]
                    sums_V[column] = 0
                    found += 1
        sizes[row - first] = found - begin
    return found
