"""Find the character n-grams of words, and compute vectors of unseen words from the rows of n-grams.

In a subword model (Bojanowski et al. 2017, arXiv:1607.04606) the input vector of a word is the mean of
several rows: the own row of the word, then a row for each n-gram of `<word>`. The marks count as characters:

    <cat>, n-grams of 3 characters     <ca cat at>

A hash assigns each n-gram to one of B buckets, rows V to V + B - 1 of the matrix. Marks, hash and order of
rows are as in fastText (src/dictionary.cc, MIT).

With the units "jamo", a word with syllables of Hangul has n-grams of their letters too (jamo.py), after those
of characters: lengths as in Park et al. 2018, ACL P18-1226.

Letters: V words, B buckets, R = V + B rows, N rows of all words in one list, K buckets that are kept,
C characters, T bytes, L lengths, D dimensions.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import Ngrams
from nlpseq.reading.decode import UTF_8
from nlpseq.vectors.jamo import split_syllables
from nlpseq.vectors.lazy_rows import BLOCK_ROWS, LazyRows, row_blocks

__all__ = ["Bags", "Pruned", "SubwordVectors", "count_ngrams", "mean_rows", "sum_rows", "word_bags"]

JAMO_LENGTHS = 3, 5  # letters of an n-gram
FNV_OFFSET, FNV_PRIME = 2166136261, 16777619  # FNV-1a of 32 bits; fastText takes each byte as signed
WITHOUT_NGRAMS = "</s>"  # the end of a sentence in fastText
BLOCK_WORDS = 20_000  # hashed at once, to save memory

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint32]


class Bags(NamedTuple):
    """The rows of every word: rows_N[starts_V[v] : starts_V[v + 1]] of word v, the own row first."""

    starts_V: Ints  # (V + 1,)
    rows_N: npt.NDArray[np.uint32]


class Pruned(NamedTuple):
    """The buckets that a pruned model has kept; n-grams of other buckets do not count."""

    num_buckets: int
    buckets_K: Ints  # rising; the rows of the matrix in this order


class SubwordVectors(NamedTuple):
    """The rows of the buckets, from which the vector of an unseen word is computed."""

    rows_BD: Any  # float32, an array or LazyRows; with `pruned`, (K, D)
    ngrams: Ngrams
    pruned: Pruned | None = None

    def sizes(self) -> dict[str, int | str]:
        """Return the n-grams, the number of buckets, and of the buckets kept if some are not."""
        sizes = self.ngrams._asdict() | {"buckets": len(self.rows_BD)}
        if self.pruned is None:
            return sizes
        return sizes | {"buckets": self.pruned.num_buckets, "kept": len(self.rows_BD)}

    @property
    def lengths_text(self) -> str:
        """Return the lengths of the n-grams, for messages."""
        letters = "" if self.ngrams.units == "characters" else " or {} to {} jamo"
        return f"{self.ngrams.shortest} to {self.ngrams.longest} characters{letters.format(*JAMO_LENGTHS)}"

    def vectors(self, words: Sequence[str]) -> Floats:
        """Return the mean of the rows of n-grams for each word, (V, D); zeros for words without n-grams."""
        bags = self.ngram_rows(words)
        sums_VD = sum_rows(bags, self.rows_BD)
        sums_VD /= np.maximum(np.diff(bags.starts_V), 1).astype(np.float32)[:, None]
        return sums_VD

    def have_vectors(self, words: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return True for each word whose vector is not zero, (V,)."""
        blocks = [self.vectors(words[block]).any(axis=1) for block in row_blocks(len(words))]
        return np.concatenate([np.zeros(0, np.bool_), *blocks])

    def with_own_rows(self, words: Sequence[str], own_VD: Any) -> LazyRows:
        """Return the mean of the own row and the rows of n-grams for each word, computed when it is taken."""

        def take(ids: Ints) -> Floats:
            bags = self.ngram_rows([words[v] for v in ids.tolist()])
            sums_ND = sum_rows(bags, self.rows_BD)
            sums_ND += own_VD[ids]
            sums_ND /= (np.diff(bags.starts_V) + 1).astype(np.float32)[:, None]
            return sums_ND

        return LazyRows(own_VD.shape, take)

    def own_rows(self, words: Sequence[str], vectors_VD: Floats) -> npt.NDArray[np.float64]:
        """Return the own rows of words that, with the rows of their n-grams, have these means, (V, D).

        A word with a vector of zeros, which was never trained, gets the mean of its n-grams.
        """
        bags = self.ngram_rows(words)
        num_V1 = np.diff(bags.starts_V)[:, None]
        sums_VD = sum_rows(bags, self.rows_BD, np.float64)
        is_trained_V1 = vectors_VD.any(axis=1)[:, None]
        trained_VD = vectors_VD.astype(np.float64) * (num_V1 + 1) - sums_VD
        return np.where(is_trained_V1, trained_VD, sums_VD / np.maximum(num_V1, 1))

    def transformed(self, function: Callable[[Floats], npt.NDArray[Any]], dim: int) -> "SubwordVectors":
        """Return the subwords after an affine function of vectors, from (N, D) to (N, dim).

        Without rows of zeros the mean of the results is the result for the mean, so that unseen words follow.
        Rows of zeros, of buckets that were never trained, stay zero: a word with no other rows has no vector.
        """
        rows_BD = self.rows_BD

        def take(ids: Ints) -> Floats:
            taken_ND = rows_BD[ids]
            changed_ND = function(taken_ND).astype(np.float32)
            changed_ND[~taken_ND.any(axis=1)] = 0
            return changed_ND

        return self._replace(rows_BD=LazyRows((len(rows_BD), dim), take))

    def ngram_rows(self, words: Sequence[str]) -> Bags:
        """Return the rows in rows_BD of the n-grams of each word, without an own row."""
        sizes_V, hashes_N = _hashes(words, self.ngrams)
        starts_V = np.append(0, np.cumsum(sizes_V))
        if self.pruned is None:
            hashes_N %= np.uint32(len(self.rows_BD))
            return Bags(starts_V, hashes_N)
        num_buckets, buckets_K = self.pruned
        buckets_N = hashes_N % np.uint32(num_buckets)
        rows_N = np.searchsorted(buckets_K, buckets_N)
        is_kept_N = np.append(buckets_K, -1)[rows_N] == buckets_N
        kept_before_N = np.append(0, np.cumsum(is_kept_N))
        return Bags(kept_before_N[starts_V], rows_N[is_kept_N].astype(np.uint32))


def word_bags(words: Sequence[str], ngrams: Ngrams, buckets: int) -> Bags:
    """Return the rows of each word; repeated n-grams of a word have their row several times."""
    sizes_V, hashes_N = _hashes(words, ngrams)
    starts_V = np.append(0, np.cumsum(sizes_V + 1))
    rows_N, is_ngram_N = np.empty(starts_V[-1], np.uint32), np.ones(starts_V[-1], np.bool_)
    rows_N[starts_V[:-1]] = np.arange(len(words))
    is_ngram_N[starts_V[:-1]] = False
    rows_N[is_ngram_N] = np.uint32(len(words)) + hashes_N % np.uint32(buckets)
    return Bags(starts_V, rows_N)


def count_ngrams(words: Sequence[str], ngrams: Ngrams, max_count: int) -> int:
    """Count the distinct n-grams of some words by their hashes, at most `max_count`."""
    found = np.zeros(0, np.uint32)
    for _, hashes_N in _hash_blocks(words, ngrams):
        found = np.union1d(found, hashes_N)
        if len(found) >= max_count:
            return max_count
    return len(found)


def mean_rows(bags: Bags, weight_RD: Floats, dim: int) -> Floats:
    """Return the mean of the rows of each word, (V, D): its vector; `dim` leaves out padding."""
    mean_VD = sum_rows(bags, weight_RD[:, :dim])
    mean_VD /= np.diff(bags.starts_V).astype(np.float32)[:, None]
    return mean_VD


def sum_rows(bags: Bags, weight_RD: Any, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return the sum of the rows of each word, (V, D), computed in float32 or float64."""
    from scipy.sparse import csr_array

    starts_V, rows_N = bags
    sum_VD = np.zeros((len(starts_V) - 1, weight_RD.shape[1]), dtype)
    first = 0
    while starts_V[first] < starts_V[-1]:
        last = max(int(np.searchsorted(starts_V, starts_V[first] + BLOCK_ROWS, "right")) - 1, first + 1)
        if starts_V[last] - starts_V[first] > BLOCK_ROWS:  # one word of very many n-grams
            long_N = rows_N[starts_V[first] : starts_V[last]]
            parts = (weight_RD[long_N[block]] for block in row_blocks(len(long_N)))
            sum_VD[first] = sum(part_ND.sum(axis=0, dtype=dtype) for part_ND in parts)
            first = last
            continue
        rows_ND = weight_RD[rows_N[starts_V[first] : starts_V[last]]].astype(dtype, copy=False)
        starts, number = starts_V[first : last + 1] - starts_V[first], len(rows_ND)
        adds_BN = csr_array((np.ones(number, dtype), np.arange(number), starts), (last - first, number))
        sum_VD[first:last] = adds_BN @ rows_ND  # faster than np.add.reduceat
        first = last
    return sum_VD


def _hashes(words: Sequence[str], ngrams: Ngrams) -> tuple[Ints, Hashes]:
    """Return the number of n-grams of each word, and the hashes of all, word by word."""
    blocks = [(np.zeros(0, np.int64), np.zeros(0, np.uint32)), *_hash_blocks(words, ngrams)]
    counts, hashes = zip(*blocks, strict=True)
    return np.concatenate(counts), np.concatenate(hashes)


def _hash_blocks(words: Sequence[str], ngrams: Ngrams) -> Iterator[tuple[Ints, Hashes]]:
    """Yield the number of n-grams of each word, and the hashes of all, word by word, for blocks of words."""
    for first in range(0, len(words), BLOCK_WORDS):
        block = words[first : first + BLOCK_WORDS]
        found = _hash_block(block, ngrams.shortest, ngrams.longest)
        yield found if ngrams.units == "characters" else _with_jamo(block, *found)


def _with_jamo(words: Sequence[str], counts_V: Ints, hashes_N: Hashes) -> tuple[Ints, Hashes]:
    """Add the n-grams of letters of each word with syllables after its other n-grams."""
    split = [split_syllables(word) for word in words]
    split = [
        WITHOUT_NGRAMS if letters == word else letters for letters, word in zip(split, words, strict=True)
    ]
    more_V, more_N = _hash_block(split, *JAMO_LENGTHS)
    word_N = np.concatenate([np.repeat(np.arange(len(words)), each_V) for each_V in (counts_V, more_V)])
    return counts_V + more_V, np.concatenate([hashes_N, more_N])[np.argsort(word_N, kind="stable")]


def _hash_block(words: Sequence[str], shortest: int, longest: int) -> tuple[Ints, Hashes]:
    """Return the number of n-grams of each word, and the hashes of all, word by word.

    N-grams of a word are ordered by their first character, then by length. All n-grams grow together, by one
    character at a time: the hash of a longer n-gram continues the hash of a shorter one.
    """
    encoded = [b"<%b>" % _encode(word) for word in words]
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


def _encode(word: str) -> bytes:
    """Encode as UTF-8; an invalid byte, read as a surrogate of Python, becomes the byte again."""
    try:
        return word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate without a byte
        return word.encode(*UTF_8)


def _add_character(hash_C: Hashes, signed_T: Hashes, starts_C: Ints, ends_C: Ints) -> Hashes:
    """Return the hashes after one more character: one to four bytes, or more if they are no UTF-8."""
    hash_C = (hash_C ^ signed_T[starts_C]) * np.uint32(FNV_PRIME)
    for offset in range(1, int((ends_C - starts_C).max(initial=0))):
        longer = np.flatnonzero(starts_C + offset < ends_C)
        hash_C[longer] = (hash_C[longer] ^ signed_T[starts_C[longer] + offset]) * np.uint32(FNV_PRIME)
    return hash_C
