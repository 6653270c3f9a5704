"""Figures of an encoded corpus, from its vocabulary and meta.json; no second pass over the text.

Letters: V words of the vocabulary, R ranks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import DataError
from nlpseq.tokenizers.scripts import script_shares

__all__ = ["CorpusReport", "ZipfLine", "report_corpus", "zipf_line"]

TOP = 10  # words
MAX_SHOWN = 24  # characters of a word
MIN_SHARE = 0.0005  # of a script, 0.1 % when rounded
MAX_SCRIPTS = 4
MAX_RANKS = 1000  # in a picture
ENTRIES = {"char": "character", "bpe": "subword token"}  # of a vocabulary, by tokenizer


@dataclass(frozen=True)
class CorpusReport:
    """Figures of an encoded corpus; types, shares and words are of the train split.

    splits: sentences of each. types: distinct tokens, None if an older version encoded the corpus. scripts:
    shares of the letters in the vocabulary, the largest first. skipped: records by reason.
    """

    corpus: str
    sentences: int
    tokens: int
    tokens_per_sentence: float
    splits: dict[str, int]
    entries: str  # kind of the words: word, character, subword token
    vocabulary: int
    types: int | None
    unk_share: float
    scripts: dict[str, float]
    most_frequent: list[str]
    skipped: dict[str, int]
    invalid_bytes: int

    def rows(self) -> list[tuple[str, str]]:
        """Return (title, text) pairs for a person, without empty rows; skipped records are in the notices."""
        source = "the train split" if len(self.splits) > 1 else "the text"
        types = "" if self.types is None else f"{count_text(self.types, 'type')} in {source}, "
        counts = f"{count_text(self.sentences, 'sentence')}, {count_text(self.tokens, 'token')}"
        rows = [
            ("corpus", f"{self.corpus}: {counts}; {self.tokens_per_sentence:.1f} tokens a sentence"),
            (
                "vocabulary",
                f"{count_text(self.vocabulary, self.entries)}; {types}{self.unk_share:.2%} of {source} <unk>",
            ),
            ("scripts", _scripts_text(self.scripts)),
            ("most frequent", " ".join(map(_shortened, self.most_frequent))),
        ]
        if len(self.splits) > 1:
            parts = (f"{name} {count_text(size, 'sentence')}" for name, size in self.splits.items())
            rows.append(("splits", ", ".join(parts)))
        if self.invalid_bytes:
            rows.append(("replaced", f"{count_text(self.invalid_bytes, 'invalid byte')}, by U+FFFD"))
        return [(title, text) for title, text in rows if text]


class ZipfLine(NamedTuple):
    """Ranks of words and their counts, and the line frequency = top * rank ** slope through them."""

    ranks_R: npt.NDArray[np.int64]
    counts_R: npt.NDArray[np.int64]
    slope: float
    top: float


def report_corpus(data: TokenDataset) -> CorpusReport:
    """Return the figures of an encoded corpus."""
    vocab, train, read = data.vocab, data.split("train"), data.meta.get("read", {})
    counts_V = data.word_counts
    num_unknown = train.num_tokens - int(counts_V.sum())
    words = vocab.words[: vocab.num_words]
    bpe, letters = vocab.bpe, words
    if bpe:
        letters = [bpe.token_bytes(word).decode(errors="ignore") for word in words]
    order = np.argsort(-counts_V, kind="stable")[:TOP]
    types = None
    if (unknown := train.unknown) or not num_unknown:
        types = int(np.count_nonzero(counts_V)) + (unknown.types if unknown else 0)
    splits = {name: end - first for name, (first, end) in data.meta["splits"].items()}
    return CorpusReport(
        corpus=str(data.meta.get("corpus", data.name)),
        sentences=data.num_sentences,
        tokens=data.num_tokens,
        tokens_per_sentence=data.num_tokens / data.num_sentences,
        splits={name: size for name, size in splits.items() if size},
        entries=ENTRIES.get(data.config.tokenizer_kind, "word"),
        vocabulary=vocab.num_words,
        types=types,
        unk_share=num_unknown / train.num_tokens,
        scripts=script_shares(letters, counts_V),
        most_frequent=[vocab.label(words[word]) for word in order.tolist() if counts_V[word]],
        skipped={reason: records for reason, (records, _) in read.get("skipped", {}).items()},
        invalid_bytes=read.get("invalid_bytes", 0),
    )


def zipf_line(counts_V: npt.NDArray[np.int64]) -> ZipfLine:
    """Return up to MAX_RANKS ranks, evenly spaced in their logarithm, and the line fitted to them.

    Zipf's law is a slope of -1. counts_V: of words, in any order. Raises DataError if all are 0.
    """
    counts_V = -np.sort(-counts_V[counts_V > 0])
    if not len(counts_V):
        raise DataError("corpus: has no word of its vocabulary. Encode the text without a vocabulary.")
    ranks_R = np.unique(np.geomspace(1, len(counts_V), MAX_RANKS).round().astype(np.int64))
    counts_R = counts_V[ranks_R - 1]
    slope, top = 0.0, float(np.log(counts_R[0]))
    if len(ranks_R) > 1:
        slope, top = np.polyfit(np.log(ranks_R), np.log(counts_R), 1).tolist()
    return ZipfLine(ranks_R, counts_R, slope, float(np.exp(top)))


def _scripts_text(shares: dict[str, float]) -> str:
    """Write shares of scripts as text, the small ones together."""
    shown = [(name, share) for name, share in shares.items() if share >= MIN_SHARE][:MAX_SCRIPTS]
    other = sum(shares.values()) - sum(share for _, share in shown)
    shown += [("other", other)] * (other >= MIN_SHARE)
    return ", ".join(f"{name} {share:.1%}" for name, share in shown)


def _shortened(word: str) -> str:
    """Return a word, not longer than MAX_SHOWN characters, and white space in quotes."""
    short = word if len(word) <= MAX_SHOWN else f"{word[:MAX_SHOWN]}..."
    return repr(short) if short.isspace() else short
