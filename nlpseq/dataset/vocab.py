"""Vocab: the words of a text, their counts and their ids."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.resources import count_text
from nlpseq.errors import ArtifactError, DataError
from nlpseq.reading.decode import UTF_8
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.tokenizers.bpe import BPE, SPACE_MARK, TOKENIZER_FILE, token_name

__all__ = ["EOS", "SPECIALS", "SPECIAL_BYTES", "UNK", "Vocab", "escape", "escape_words", "prune", "unescape"]

UNK, EOS = "<unk>", "<eos>"
SPECIALS = (UNK, EOS)
SPECIAL_BYTES = tuple(special.encode() for special in SPECIALS)

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escape[1]: char for char, escape in _ESCAPES.items()} | {"e": ""}  # \\e: an empty word
_UNREADABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # control, line ends, surrogates
_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|(.?))")


class Vocab:
    """Words by falling count, ties by word, with ids from 0; then the specials, with ids from num_words.

    words: every entry, the specials last. counts: int64, (len(words),), -1 if unknown. num_words: number of
    entries without specials; if there are specials, also the id of <unk>. bpe: the tokenizer whose tokens the
    words are, in order of its ids, stored in tokenizer.json beside vocab.tsv.
    """

    def __init__(
        self,
        words: Iterable[str],
        counts: npt.NDArray[np.int64],
        num_specials: int = 0,
        bpe: BPE | None = None,
    ) -> None:
        self.words: Sequence[str] = list(words)
        self.counts = np.asarray(counts, np.int64)
        self.num_specials, self.bpe = num_specials, bpe
        self.num_words = len(self.words) - num_specials
        assert len(self.words) == len(self.counts) >= num_specials

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Map each word to its id; equal words have the id of the first."""
        return dict(zip(reversed(self.words), range(len(self.words) - 1, -1, -1), strict=True))

    @cached_property
    def absent_ids(self) -> npt.NDArray[np.intp]:
        """Return the ids of entries that do not occur in the text, as many tokens of BPE do not."""
        return np.flatnonzero(self.counts == 0)

    def find(self, word: str) -> str | None:
        """Return the entry of a word; with BPE of its token after a space, of a token, or of a label."""
        entries = [word]
        if self.bpe:
            texts = f" {word}", word.replace(SPACE_MARK, " ")
            after_space, labeled = (token_name(text.encode(*UTF_8)) for text in texts)
            entries = [after_space, word, labeled]
        return next((entry for entry in entries if entry in self.ids), None)

    def label(self, entry: str) -> str:
        """Return an entry as a person reads it: of BPE the text, with a mark for a space at its start."""
        return self.bpe.label(entry) if self.bpe else entry

    def ids_of(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word or special; unknown words get the id of <unk>."""
        return [self.ids.get(word, self.num_words) for word in words]

    @cached_property
    def digest(self) -> str:
        """Hash the words in order with sha256: equal digests mean equal ids of equal texts."""
        text = "\n".join([*escape_words(self.words), ""])
        return hashlib.sha256(text.encode() + (self.bpe.content if self.bpe else b"")).hexdigest()

    @cached_property
    def counts_digest(self) -> str:
        """Hash the words in order and their counts, without specials."""
        return hashlib.sha256(
            f"{self.without_specials().digest} {self.counts[: self.num_words].tolist()}".encode()
        ).hexdigest()

    def without_specials(self) -> "Vocab":
        """Return the words and their counts without specials."""
        return Vocab(self.words[: self.num_words], self.counts[: self.num_words], bpe=self.bpe)

    def tokenize(self, text: str, config: TextConfig) -> list[str]:
        """Return the tokens of one line, as an encoded corpus with this vocabulary has them."""
        return self.bpe.tokenize(text) if self.bpe else normalize_and_tokenize(text, config)

    def save(self, file: Path) -> None:
        """Write vocab.tsv: a header, then a line `word<TAB>count` for each id; and tokenizer.json, if any."""
        file.write_bytes(self.to_bytes())
        if self.bpe:
            file.with_name(TOKENIZER_FILE).write_bytes(self.bpe.content)

    def to_bytes(self) -> bytes:
        """Return the content of vocab.tsv."""
        rows = zip(escape_words(self.words), map(str, self.counts.tolist()), strict=True)
        header = f"word\tcount\tspecials={self.num_specials}"
        return "\n".join([header, *map("\t".join, rows), ""]).encode()

    @classmethod
    def load(cls, file: Path) -> "Vocab":
        """Read vocab.tsv and tokenizer.json; raise ArtifactError if a file is missing or corrupt."""
        try:
            vocab = cls.from_bytes(file.read_bytes(), file)
            if (tokenizer := file.with_name(TOKENIZER_FILE)).exists():
                vocab.bpe = BPE.load(tokenizer)
                if vocab.bpe.tokens != vocab.words[: vocab.num_words]:
                    raise ValueError("the words are not the tokens of tokenizer.json")
        except (OSError, ValueError, DataError) as error:
            raise _not_a_vocabulary(file, error) from error
        return vocab

    @classmethod
    def from_bytes(cls, content: bytes, file: Path) -> "Vocab":
        """Parse the content of vocab.tsv; `file` is its name in errors."""
        try:
            header, *lines, end = content.decode().split("\n")
            if end:
                raise ValueError("the last line is truncated")
            num_specials = int(header.removeprefix("word\tcount\tspecials="))
            rows = [line.split("\t") for line in lines]
            words = [unescape(word) for word, _ in rows]
            counts = np.array([int(count) for _, count in rows], np.int64)
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise _not_a_vocabulary(file, error) from error
        if not 0 <= num_specials <= len(words):
            raise ArtifactError(
                f"{file}: declares {count_text(num_specials, 'special')} in "
                f"{count_text(len(words), 'word')}. Create its folder again."
            )
        return cls(words, counts, num_specials)


def _not_a_vocabulary(file: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{file}: is not a vocabulary of nlpseq ({error}). Create its folder again.")


def prune(
    words: Sequence[bytes], counts: npt.NDArray[np.int64], max_vocab: int | None
) -> npt.NDArray[np.int64]:
    """Return the indices of the words to keep, by falling count, ties by word; specials are left out.

    words: UTF-8, because bytes sort as text does. The first eight bytes are sorted as numbers before, because
    sorting is fast on nearly sorted words.
    """
    by_start = np.argsort(np.array(words, "S8").view(">u8").astype(np.uint64)).tolist()
    kept = [n for n in sorted(by_start, key=words.__getitem__) if words[n] not in SPECIAL_BYTES]
    by_word = np.array(kept, np.int64)
    return by_word[np.argsort(-counts[by_word], kind="stable")][:max_vocab]


def escape_words(words: Sequence[str]) -> Sequence[str]:
    """Escape words; one search shows if any needs escaping, because few do."""
    return [escape(word) for word in words] if _UNREADABLE.search("".join(words)) else words


def escape(word: str) -> str:
    r"""Return a word with control characters, line ends and surrogates as \t or \u2028."""
    return _UNREADABLE.sub(lambda match: _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), word)


def unescape(word: str) -> str:
    """Return the word that `escape` wrote."""
    if "\\" not in word:
        return word
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else _UNESCAPES[match[2]], word)
