"""MappedVocab: a vocabulary whose words stay in the mapped vocab.tsv, found by an index of hashes.

Opening makes no string of any word, so millions of words open at once.

Letters: V words.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, overload
from zlib import crc32

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab, escape, escape_words, unescape
from nlpseq.storage.manifest import corrupt
from nlpseq.tokenizers.bpe import BPE

__all__ = ["MappedVocab", "WordIndex", "index_words"]

_CHUNK_BYTES = 1 << 18  # of vocab.tsv, parsed at once
_CHUNK_WORDS = 4096  # read at once by an iteration
_WORDS_PER_LOOKUP = 8  # with more lookups than this share of the words, a dict takes less time
_ROW_BITS = 32
_HEADER_BYTES = 64  # that a header cannot reach

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class WordIndex(NamedTuple):
    """Places of all words in a vocab.tsv.

    table: int64, (3, V): sorted keys, the first byte of each line, the count of each word. A key has the hash
    of a word in its upper half, and the number of the line in its lower half. digest: as Vocab.digest.
    """

    table: Ints
    digest: str


def index_words(file: Path, bpe: BPE | None = None) -> WordIndex:
    """Parse vocab.tsv in chunks; raise ArtifactError if the file is corrupt.

    bpe: the tokenizer whose tokens the words are, if any.
    """
    content = _map_bytes(file)
    header = b"".join(content[:_HEADER_BYTES].tobytes().partition(b"\n")[:2])
    Vocab.from_bytes(header, file)  # refuses specials, which vectors do not have
    digest = hashlib.sha256()
    none = np.empty(0, np.int64)
    hashes, lengths, counts = [none], [none], [none]
    for chunk in _chunks_of_lines(content[len(header) :]):
        vocab = Vocab.from_bytes(header + chunk, file)
        counts.append(vocab.counts)
        words = "\n".join([*escape_words(vocab.words), ""]).encode()
        digest.update(words)
        hashes.append(np.array([_hash(word) for word in words.split(b"\n")[:-1]], np.int64))
        lines = chunk.split(b"\n")[:-1]
        lengths.append(np.array([len(line) + 1 for line in lines], np.int64))
    digest.update(bpe.content if bpe else b"")
    hash_V, length_V = np.concatenate(hashes), np.concatenate(lengths)
    table = np.empty((3, len(hash_V)), np.int64)
    table[0] = np.sort(hash_V << _ROW_BITS | np.arange(len(hash_V)))
    table[1] = len(header) + length_V.cumsum() - length_V
    table[2] = np.concatenate(counts)
    return WordIndex(table, digest.hexdigest())


def _chunks_of_lines(content: Bytes) -> Iterator[bytes]:
    """Yield the content in chunks that end with a line, the last perhaps not."""
    start = 0
    while start < len(content):
        chunk = content[start : start + _CHUNK_BYTES].tobytes()
        if start + len(chunk) < len(content):
            chunk = chunk[: chunk.rfind(b"\n") + 1] or content[start:].tobytes()
        yield chunk
        start += len(chunk)


def _map_bytes(file: Path) -> Bytes:
    try:
        return np.memmap(file, np.uint8, "r").view(np.ndarray)
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise corrupt(file, f"cannot be read ({error})", error) from error


def _hash(word: bytes) -> int:
    """Return 31 bits, so that a key is positive."""
    return crc32(word) >> 1


class MappedVocab(Vocab):
    """The vocabulary in a vocab.tsv without specials, read word by word.

    bpe: the tokenizer whose tokens the words are, if any.
    """

    def __init__(self, file: Path, index: WordIndex, bpe: BPE | None = None) -> None:
        keys, starts, self.counts = index.table
        words = _MappedWords(_map_bytes(file), starts)
        self.words = words
        self.num_specials, self.num_words, self.bpe = 0, len(words), bpe
        self.ids, self.digest = _MappedIds(words, keys), index.digest


class _MappedWords(Sequence[str]):
    """The words of a mapped vocab.tsv; equal to a list of the same words."""

    def __init__(self, content: Bytes, starts: Ints) -> None:
        self._content, self._starts = content, starts

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if not isinstance(row, slice):
            row = range(len(self))[row]  # raises IndexError, and counts a negative row from the end
            return self._read(row, row + 1)[0]
        start, stop, step = row.indices(len(self))
        if step == 1:
            return self._read(start, stop)
        return [self[each] for each in range(start, stop, step)]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _CHUNK_WORDS):
            yield from self._read(start, min(start + _CHUNK_WORDS, len(self)))

    def _read(self, start: int, stop: int) -> list[str]:
        if start >= stop:
            return []
        end = self._starts[stop] if stop < len(self) else len(self._content)
        lines = self._content[self._starts[start] : end].tobytes().decode().split("\n")[:-1]
        return [unescape(line.partition("\t")[0]) for line in lines]


class _MappedIds(Mapping[str, int]):
    """The id of each word, by a search in sorted keys; after many searches by a dict."""

    def __init__(self, words: _MappedWords, keys: Ints) -> None:
        self._words, self._keys, self._lookups = words, keys, 0
        self._ids: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self._dict())

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict())

    def __getitem__(self, word: str) -> int:
        self._lookups += 1
        if self._ids is not None or self._lookups * _WORDS_PER_LOOKUP > len(self._words):
            return self._dict()[word]
        return self._search(word)

    def _search(self, word: str) -> int:
        """Return the first line of a word; raise KeyError if no line holds the word."""
        bits = _hash(escape(word).encode())
        place = int(np.searchsorted(self._keys, bits << _ROW_BITS))
        while place < len(self._keys):
            key = int(self._keys[place])
            row = key & ((1 << _ROW_BITS) - 1)
            if key >> _ROW_BITS != bits:
                break
            if self._words[row] == word:
                return row
            place += 1
        raise KeyError(word)

    def _dict(self) -> dict[str, int]:
        if self._ids is None:
            words = list(self._words)
            self._ids = dict(zip(reversed(words), range(len(words) - 1, -1, -1), strict=True))
        return self._ids
