"""Find the character n-grams of words, and compute vectors of unseen words from the rows of n-grams.

In a subword model (Bojanowski et al. 2017, arXiv:1607.04606) the input vector of a word is the mean of
several rows: the own row of the word, then a row for each n-gram of `<word>`. The marks count as characters:

    <cat>, n-grams of 3 characters     <ca cat at>

A hash assigns each n-gram to one of B buckets, rows V to V + B - 1 of the matrix. Marks, hash and order of
rows are as in fastText (src/dictionary.cc, MIT).

Letters: V words, B buckets, R = V + B rows, N rows of all words in one list, C characters, T bytes,
L lengths, D dimensions.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.reading.decode import UTF_8

__all__ = ["Bags", "SubwordVectors", "count_ngrams", "mean_rows", "word_bags"]

FNV_OFFSET, FNV_PRIME = 2166136261, 16777619  # FNV-1a of 32 bits; fastText takes each byte as signed
WITHOUT_NGRAMS = "</s>"  # the end of a sentence in fastText
BLOCK_WORDS = 20_000  # hashed at once, to save memory
BLOCK_ROWS = 50_000  # added at once

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint32]


class Bags(NamedTuple):
    """The rows of every word: rows_N[starts_V[v] : starts_V[v + 1]] of word v, the own row first."""

    starts_V: Ints  # (V + 1,)
    rows_N: npt.NDArray[np.uint32]


class SubwordVectors(NamedTuple):
    """The rows of the buckets, from which the vector of an unseen word is computed."""

    rows_BD: Floats
    shortest: int  # characters of an n-gram
    longest: int

    def vector(self, word: str) -> Floats | None:
        """Return the mean of the rows of a word's n-grams, (D,), or None for a word without n-grams."""
        _, hashes_N = _hash_block([word], self.shortest, self.longest)
        if not len(hashes_N):
            return None
        mean_D: Floats = self.rows_BD[hashes_N % len(self.rows_BD)].mean(axis=0)
        return mean_D


def word_bags(words: Sequence[str], shortest: int, longest: int, buckets: int) -> Bags:
    """Return the rows of each word; repeated n-grams of a word have their row several times."""
    blocks = list(_hash_blocks(words, shortest, longest))
    sizes_V = np.concatenate([np.zeros(0, np.int64), *(counts_V for counts_V, _ in blocks)]) + 1
    starts_V = np.append(0, np.cumsum(sizes_V))
    rows_N, is_ngram_N = np.empty(starts_V[-1], np.uint32), np.ones(starts_V[-1], np.bool_)
    rows_N[starts_V[:-1]] = np.arange(len(words))
    is_ngram_N[starts_V[:-1]] = False
    if blocks:
        hashes_N = np.concatenate([hashes_N for _, hashes_N in blocks])
        rows_N[is_ngram_N] = np.uint32(len(words)) + hashes_N % np.uint32(buckets)
    return Bags(starts_V, rows_N)


def count_ngrams(words: Sequence[str], shortest: int, longest: int, most: int) -> int:
    """Count the distinct n-grams of some words by their hashes, at most `most`."""
    found = np.zeros(0, np.uint32)
    for _, hashes_N in _hash_blocks(words, shortest, longest):
        found = np.union1d(found, hashes_N)
        if len(found) >= most:
            return most
    return len(found)


def mean_rows(bags: Bags, weight_RD: Floats, dim: int) -> Floats:
    """Return the mean of the rows of each word, (V, D): its vector; `dim` leaves out padding."""
    starts_V, rows_N = bags
    mean_VD = np.empty((len(starts_V) - 1, dim), np.float32)
    first = 0
    while first < len(mean_VD):
        last = int(np.searchsorted(starts_V, starts_V[first] + BLOCK_ROWS))
        last = min(max(last, first + 1), len(mean_VD))
        rows_ND = weight_RD[rows_N[starts_V[first] : starts_V[last]], :dim]
        sizes_V = np.diff(starts_V[first : last + 1]).astype(np.float32)
        mean_VD[first:last] = np.add.reduceat(rows_ND, starts_V[first:last] - starts_V[first], axis=0)
        mean_VD[first:last] /= sizes_V[:, None]
        first = last
    return mean_VD


def _hash_blocks(words: Sequence[str], shortest: int, longest: int) -> Iterator[tuple[Ints, Hashes]]:
    """Yield the result of _hash_block for all words, block by block."""
    for first in range(0, len(words), BLOCK_WORDS):
        yield _hash_block(words[first : first + BLOCK_WORDS], shortest, longest)


def _hash_block(words: Sequence[str], shortest: int, longest: int) -> tuple[Ints, Hashes]:
    """Return the number of n-grams of each word, and the hashes of all, word by word.

    N-grams of a word are ordered by their first character, then by length. All n-grams grow together, by one
    character at a time: the hash of a longer n-gram continues the hash of a shorter one.
    """
    encoded = [f"<{word}>".encode(*UTF_8) for word in words]
    byte_T = np.frombuffer(b"".join(encoded), np.int8)
    starts_C = np.append(np.flatnonzero((byte_T.view(np.uint8) & 0xC0) != 0x80), len(byte_T))
    signed_T = byte_T.astype(np.uint32)  # keeps the sign, as the conversion in fastText does
    word_ends_V = np.searchsorted(starts_C, np.cumsum([len(each) for each in encoded]))
    chars_V = np.diff(word_ends_V, prepend=0)
    ends_C = np.repeat(word_ends_V, chars_V)  # character after the word, for each character
    is_mark_C = np.zeros(len(ends_C), np.bool_)
    is_mark_C[word_ends_V - 1] = is_mark_C[word_ends_V - chars_V] = True
    hash_CL = np.zeros((len(ends_C), longest), np.uint32)
    is_ngram_CL = np.zeros(hash_CL.shape, np.bool_)
    hash_C, first_C = np.full(len(ends_C), FNV_OFFSET, np.uint32), np.arange(len(ends_C))
    for n in range(longest):
        first_C = first_C[first_C + n < ends_C[first_C]]
        hash_C[first_C] = hash_CL[first_C, n] = _add_character(
            hash_C[first_C], signed_T, starts_C[first_C + n], starts_C[first_C + n + 1]
        )
        is_ngram_CL[first_C, n] = n + 1 >= shortest
    is_ngram_CL[is_mark_C, 0] = False
    without = np.array([word == WITHOUT_NGRAMS for word in words])
    is_ngram_CL[np.repeat(without, chars_V)] = False
    counts_V = np.add.reduceat(is_ngram_CL.sum(axis=1), word_ends_V - chars_V)
    return counts_V.astype(np.int64), hash_CL[is_ngram_CL]


def _add_character(hash_C: Hashes, signed_T: Hashes, starts_C: Ints, ends_C: Ints) -> Hashes:
    """Return the hashes after one more character of one to four bytes."""
    for offset in range(int((ends_C - starts_C).max(initial=0))):
        has_C = starts_C + offset < ends_C
        byte_C = signed_T[starts_C + np.where(has_C, offset, 0)]
        hash_C = np.where(has_C, (hash_C ^ byte_C) * np.uint32(FNV_PRIME), hash_C)
    return hash_C
