"""TokenDataset: an encoded corpus on disk, memory-mapped, the input of all training and counting."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_stored, is_whole
from nlpseq.core.cache_dir import cache_dir
from nlpseq.dataset.limits import CHUNK_TOKENS
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array
from nlpseq.storage.manifest import entries

__all__ = [
    "KIND",
    "SENTENCES",
    "SPLITS",
    "TOKENS",
    "VERSION",
    "VOCAB",
    "Split",
    "TokenDataset",
    "Unknown",
    "open_same",
    "split_sentences",
    "token_dtype",
]

KIND, VERSION = "tokens", 1
TOKENS, SENTENCES, VOCAB = "tokens.npy", "sentences.npy", "vocab.tsv"

SPLITS = ("train", "valid", "test")  # in order of sentences
Split = Literal["train", "valid", "test"]

_CHECK_SENTENCES = 1 << 22  # offsets checked together, so that memory does not grow with the corpus


class Unknown(NamedTuple):
    """The text behind the <unk> of a split."""

    types: int  # distinct
    characters: int  # of all tokens


def token_dtype(num_entries: int) -> type[np.uint16] | type[np.uint32]:
    """Return the smallest dtype for the ids of a vocabulary."""
    return np.uint16 if num_entries <= 1 << 16 else np.uint32


def split_sentences(sentences: npt.NDArray[np.int64], config: TextConfig, name: str) -> dict[str, list[int]]:
    """Return first sentence and end of each split, at the boundaries nearest to the shares of tokens.

    name: of the corpus, for messages. Raises DataError if there are no tokens, or a split with a share would
    be empty.
    """
    num_tokens, num_sentences = int(sentences[-1]), len(sentences) - 1
    if not num_tokens:
        raise DataError(
            f"{name}: contains no words (empty, or white space or punctuation only). Name a corpus with text."
        )
    before_test = 1 - config.test_share
    train_share = before_test - config.valid_share
    train_end = _nearest(sentences, round(num_tokens * train_share))
    valid_end = _nearest(sentences, round(num_tokens * before_test))
    splits = {"train": [0, train_end], "valid": [train_end, valid_end], "test": [valid_end, num_sentences]}
    for share, (split, (first, end)) in zip(
        (train_share, config.valid_share, config.test_share), splits.items(), strict=True
    ):
        if share and first == end:
            unit = "line" if config.sentences == "lines" else "sentence"
            raise DataError(_explain_empty_split(name, num_sentences, split, share, unit))
    return splits


def _nearest(sentences: npt.NDArray[np.int64], target: int) -> int:
    """Return the sentence whose start is nearest to a token, the earlier sentence of a tie."""
    after = int(np.searchsorted(sentences, target))
    if after and target - sentences[after - 1] <= sentences[after] - target:
        return after - 1
    return after


def _explain_empty_split(name: str, num_sentences: int, split: str, share: float, unit: str) -> str:
    if num_sentences == 1:
        way_out = "Put one sentence on a line" if unit == "line" else "Leave out --sentences"
        return (
            f"{name}: is a single {unit} and cannot be split, because a split holds whole {unit}s. "
            f"{way_out}, or use --valid-share 0 --test-share 0 (train-lm then needs --valid FILE)."
        )
    return (
        f"{name}: has {num_sentences:,} {unit}s, too few for the {split} split "
        f"({share:g} of the tokens). Use a larger share or more {unit}s."
    )


@dataclass(eq=False, repr=False)
class TokenDataset:
    """Token ids and the sentences that they form.

    tokens: uint16 or uint32, (num_tokens,); words outside the vocabulary have the id vocab.num_words.
    sentences: int64, (num_sentences + 1,); sentence s is tokens[sentences[s] : sentences[s + 1]], not empty.
    A split has the tokens of the whole corpus and its own range of sentences; `whole` is the corpus.
    digest: equal digests mean equal tokens, sentences and words of the whole corpus.
    """

    path: Path
    meta: artifact.Meta
    tokens: npt.NDArray[Any]
    sentences: npt.NDArray[np.int64]
    vocab: Vocab
    digest: str = ""
    whole: "TokenDataset | None" = None

    def __repr__(self) -> str:
        size = f"{self.num_tokens:,} tokens in {self.num_sentences:,} sentences"
        return f"TokenDataset({size}, {self.vocab.num_words:,} words, {self.name!r})"

    @property
    def config(self) -> TextConfig:
        """Return the settings of the encoding."""
        return from_stored(TextConfig, self.meta["config"])

    @property
    def num_tokens(self) -> int:
        """Count the tokens of these sentences, <unk> included."""
        return int(self.sentences[-1] - self.sentences[0])

    @property
    def num_sentences(self) -> int:
        return len(self.sentences) - 1

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Count each entry of the vocabulary in the train split, specials included: int64, (len(vocab),).

        The counts of the vocabulary may be of another text, or of earlier texts and this one; only then are
        the tokens read, once for all splits.
        """
        if self.whole is not None:
            return self.whole.counts
        train, vocab = self.split("train"), self.vocab
        known = vocab.counts[: vocab.num_words + 1]
        if "start" not in self.meta and known.sum() == train.num_tokens:
            return vocab.counts
        counts = np.zeros(len(vocab), np.int64)
        first, end = int(train.sentences[0]), int(train.sentences[-1])
        for start in range(first, end, CHUNK_TOKENS):
            part = train.tokens[start : min(start + CHUNK_TOKENS, end)]
            counts += np.bincount(part, minlength=len(counts))
        counts[-1] = train.num_sentences  # <eos> is no token
        return counts

    @property
    def word_counts(self) -> npt.NDArray[np.int64]:
        """Count each word in the train split, specials left out: int64, (V,)."""
        return self.counts[: self.vocab.num_words]

    @property
    def unknown(self) -> Unknown | None:
        """Return the text behind <unk>; None for several splits, or in a folder of an older version."""
        names = [name for name, (first, end) in self.meta["splits"].items() if first < end]
        stored = self.meta.get("unknown")
        return Unknown(*stored[names[0]]) if stored and len(names) == 1 else None

    @property
    def name(self) -> str:
        """Return what a person calls the corpus: its text if the folder is in the cache, else the folder."""
        is_cached = self.path.parent == cache_dir("tokens")
        return str(self.meta.get("corpus") if is_cached else self.path)

    @classmethod
    def open(cls, path: Path | str, verify: bool = True, vocab: Vocab | None = None) -> "TokenDataset":
        """Open the dataset of a folder; raise ArtifactError if any file is corrupt or inconsistent.

        verify: False skips the checks that read every byte: sha256, offsets and the range of ids. vocab: the
        vocabulary of the folder, if already loaded.
        """
        path = Path(path)
        return artifact.load_consistent(path, lambda: cls._open(path, verify, vocab))

    @classmethod
    def _open(cls, path: Path, verify: bool, vocab: Vocab | None) -> "TokenDataset":
        meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
        vocab = vocab or Vocab.load(path / VOCAB)
        tokens = load_array(path / TOKENS, token_dtype(len(vocab)), 1)
        sentences = load_array(path / SENTENCES, np.int64, 1)
        files = entries(path)
        digest = " ".join(str(files[name]["sha256"]) for name in (TOKENS, SENTENCES, VOCAB))
        dataset = cls(path, meta, tokens, sentences, vocab, digest)
        _check(dataset, verify)
        return dataset

    def split(self, name: Split) -> "TokenDataset":
        """Return the sentences of one split; raise DataError if the encoding has no such split."""
        if name not in SPLITS:
            raise ConfigError(f"split {name!r}: does not exist. Use one of {', '.join(SPLITS)}.")
        first, end = self.meta["splits"][name]
        if first == end:
            raise DataError(f"{self.name}: has no {name} split. Encode the text with --{name}-share 0.05.")
        bounds = {each: [0, end - first] if each == name else [0, 0] for each in SPLITS}
        meta = self.meta | {"splits": bounds}
        sentences = self.sentences[first : end + 1]
        whole = self.whole or self
        return TokenDataset(self.path, meta, self.tokens, sentences, self.vocab, self.digest, whole)


def _check(dataset: TokenDataset, verify: bool) -> None:
    """Raise ArtifactError if the files disagree; verify: also read every offset and id."""
    path, vocab, sentences, tokens = dataset.path, dataset.vocab, dataset.sentences, dataset.tokens
    specials = tuple(vocab.words[vocab.num_words :])
    _require(specials == SPECIALS, path / VOCAB, f"does not end with {' and '.join(SPECIALS)}")
    possible = vocab.counts.min() >= -1 and vocab.counts.sum(dtype=np.float64) < 2**62
    _require(possible, path / VOCAB, "contains impossible counts")
    _check_meta(dataset)
    if verify:
        starts = range(0, len(sentences), _CHECK_SENTENCES)
        parts = (sentences[start : start + _CHECK_SENTENCES + 1] for start in starts)
        rising = all((part[1:] > part[:-1]).all() for part in parts)  # because differences could overflow
        spans_all = sentences[0] == 0 and sentences[-1] == len(tokens)
        _require(rising and spans_all, path / SENTENCES, "offsets do not rise from 0 to the number of tokens")
        _require(tokens.max() <= vocab.num_words, path / TOKENS, "contains an id outside the vocabulary")


@lru_cache(maxsize=1)
def open_same(path: Path, digest: str) -> TokenDataset:
    """Return an encoded corpus, for a task; digest: of the corpus when the work began.

    Raises DataError if another corpus has this path by now.
    """
    data = TokenDataset.open(path, verify=False)
    if data.digest != digest:
        raise DataError(f"{path}: has changed during the work. Start again, and leave the folder as it is.")
    return data


def _check_meta(dataset: TokenDataset) -> None:
    """Raise ArtifactError if a field of meta.json disagrees with the other files."""
    meta = dataset.meta
    file = dataset.path / "meta.json"
    try:
        from_stored(TextConfig, meta["config"])
        bounds = [meta["splits"][name] for name in SPLITS]
        edges = [0, *(end for _, end in bounds)]
        fits = {
            "num_tokens": meta["num_tokens"] == len(dataset.tokens) > 0,
            "num_sentences": meta["num_sentences"] == dataset.num_sentences > 0,
            "splits": bounds == [list(pair) for pair in pairwise(edges)]
            and all(type(bound) is int for pair in bounds for bound in pair)
            and edges == sorted(edges)
            and edges[1] > 0  # because every encoding has text to train on
            and edges[-1] == dataset.num_sentences,
            "vocab_digest": meta["vocab_digest"] == dataset.vocab.digest,
            "unknown": _are_counts(meta.get("unknown", {split: [0, 0] for split in SPLITS})),
            "read": _is_report(meta.get("read", {})),
            "start": isinstance(meta.get("start", {}), dict),
            "notices": all(isinstance(notice, str) for notice in meta["notices"]),
        }
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, ConfigError) as error:
        raise ArtifactError(
            f"{file}: is not valid ({type(error).__name__}: {error}). Encode the corpus again."
        ) from error
    for field, holds in fits.items():
        _require(holds, file, f"field {field} does not match the other files")


def _are_counts(unknown: Any) -> bool:
    """Return True for two whole numbers of each split."""
    return set(unknown) == set(SPLITS) and all(
        isinstance(counts, list) and len(counts) == 2 and all(map(is_whole, counts))
        for counts in unknown.values()
    )


def _is_report(read: Any) -> bool:
    """Return True for the counts and descriptions of a ReadReport, as far as they are used."""
    counts = [records for records, _ in read.get("skipped", {}).values()]
    texts = [*read.get("formats", {}).values()]
    return all(map(is_whole, [*counts, read.get("invalid_bytes", 0)])) and all(
        isinstance(text, str) for text in texts
    )


def _require(holds: bool, file: Path, problem: str) -> None:
    if not holds:
        raise ArtifactError(f"{file}: {problem}. Encode the corpus again.")
