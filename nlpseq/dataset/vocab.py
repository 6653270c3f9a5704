"""Vocab: which words there are, how often, and the number of each."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ArtifactError

UNK, EOS = "<unk>", "<eos>"
SPECIALS = (UNK, EOS)
NO_WORDS = tuple(special.encode() for special in SPECIALS)

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escape[1]: char for char, escape in _ESCAPES.items()} | {"e": ""}  # see vectors/_words.py
_UNREADABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # control, line ends, surrogates
_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|(.?))")


class Vocab:
    """Words by falling count, ties by word, ids from 0; then the specials, ids num_words and up.

    words: every entry, the specials last. counts: int64, (len(words),); -1 where a count is unknown.
    """

    def __init__(self, words: Iterable[str], counts: npt.NDArray[np.int64], num_specials: int = 0) -> None:
        self.words = list(words)
        self.counts = np.asarray(counts, np.int64)
        self.num_specials = num_specials
        assert len(self.words) == len(self.counts) >= num_specials

    @property
    def num_words(self) -> int:
        """Entries that are words, which is also the id of <unk> where there are specials."""
        return len(self.words) - self.num_specials

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self.ids

    @cached_property
    def ids(self) -> dict[str, int]:
        """Word to id; of equal words the first keeps its id."""
        return dict(zip(reversed(self.words), range(len(self.words) - 1, -1, -1), strict=True))

    def ids_of(self, words: Iterable[str]) -> list[int]:
        """The id of each word, that of <unk> where it is unknown or written like a special."""
        unk = self.num_words
        return [min(self.ids.get(word, unk), unk) for word in words]

    @cached_property
    def digest(self) -> str:
        """sha256 of the words in order: equal digests mean equal ids."""
        text = "\n".join([*_escaped(self.words), ""])
        return hashlib.sha256(text.encode()).hexdigest()

    def without_specials(self) -> "Vocab":
        return Vocab(self.words[: self.num_words], self.counts[: self.num_words])

    def save(self, file: Path) -> None:
        """Write vocab.tsv: a header, then one `word<TAB>count` a line, in order of id."""
        file.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """What is in vocab.tsv."""
        rows = zip(_escaped(self.words), map(str, self.counts.tolist()), strict=True)
        header = f"word\tcount\tspecials={self.num_specials}"
        return "\n".join([header, *map("\t".join, rows), ""]).encode()

    @classmethod
    def load(cls, file: Path) -> "Vocab":
        try:
            return cls.from_bytes(file.read_bytes(), file)
        except OSError as error:
            raise _no_vocabulary(file, error) from error

    @classmethod
    def from_bytes(cls, content: bytes, file: Path) -> "Vocab":
        """The vocabulary in the bytes of a vocab.tsv; `file` is what an error names."""
        try:
            header, *lines, end = content.decode().split("\n")
            if end:
                raise ValueError("its last line is cut off")
            num_specials = int(header.removeprefix("word\tcount\tspecials="))
            rows = [line.split("\t") for line in lines]
            words = [unescape(word) for word, _ in rows]
            counts = np.array([int(count) for _, count in rows], np.int64)
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise _no_vocabulary(file, error) from error
        if not 0 <= num_specials <= len(words):
            raise ArtifactError(
                f"{file} claims {num_specials} specials of {len(words)} words. Make its folder anew."
            )
        return cls(words, counts, num_specials)


def _no_vocabulary(file: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{file} is not a vocabulary of nlpseq ({error}). Make its folder anew.")


def prune(
    words: Sequence[bytes], counts: npt.NDArray[np.int64], max_vocab: int | None
) -> npt.NDArray[np.int64]:
    """Which words to keep, by falling count and then by word; specials are never words.

    words: in UTF-8, which sorts as text does. Their first eight bytes are sorted as numbers, which leaves
    little to sort.
    """
    by_start = np.argsort(np.array(words, "S8").view(">u8").astype(np.uint64)).tolist()
    kept = [n for n in sorted(by_start, key=words.__getitem__) if words[n] not in NO_WORDS]
    by_word = np.array(kept, np.int64)
    return by_word[np.argsort(-counts[by_word], kind="stable")][:max_vocab]


def _escaped(words: list[str]) -> list[str]:
    """The same words where none has to be written in another way, as there seldom is one."""
    return [escape(word) for word in words] if _UNREADABLE.search("".join(words)) else words


def escape(word: str) -> str:
    """The word on one line of readable UTF-8: \\t, \\u2028; as it is where it has no such character."""
    return _UNREADABLE.sub(lambda match: _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), word)


def unescape(word: str) -> str:
    """The word that was escaped."""
    if "\\" not in word:
        return word
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else _UNESCAPES[match[2]], word)
