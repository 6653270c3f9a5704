"""Go on from trained vectors: settings, first rows of the weights, frozen words, the first learning rate.

The text is encoded with the joint vocabulary of the start and the new words (dataset/joint_vocab.py). Known
words begin with their rows of the start, new words with random rows as in a first training. A start with a
vector of zeros for a word has nothing to keep, so this word begins as a new one. Only word2vec and fastText
have output vectors to go on from; the outputs of other vectors begin at zero.

A start with n-grams has the vectors of words, the means of their rows, and the rows of n-grams. Known words
begin with the own row that gives this mean, new words with the mean of their n-grams.

Letters: S words of the start, V words of the joint vocabulary, B words of a block, D dimensions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.config.fields import from_dict, from_stored
from nlpseq.dataset.joint_vocab import check_agreement, rows_of_words, text_defaults
from nlpseq.dataset.report import word_counts
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.objectives import Weights

__all__ = ["Start", "check_joint", "has_outputs", "new_share", "word2vec_settings"]

AGREE = ("objective", "dim", "loss")  # of a start by word2vec
INHERITED = ("window", "negatives", "share_negatives", "subsample", "smoothing", "cbow_update")
BLOCK_ROWS = 4096  # read at once, because a matrix may be mapped, or of int8

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Start:
    """Trained vectors, from which training goes on, and the path where they are stored, if any."""

    vectors: Vectors
    path: Path | None = None

    @classmethod
    def load(cls, source: "Vectors | str | Path | Start") -> "Start":
        """Return the start for vectors, or for the path of a model or vector file.

        Raises DataError for sparse vectors.
        """
        if isinstance(source, Start):
            return source
        if isinstance(source, Vectors):
            start = cls(source)
        else:
            start = cls(Vectors.load(source), Path(source))
        if start.vectors.is_sparse:
            raise DataError(
                f"{start.name}: holds sparse PPMI vectors, and word2vec needs dense ones. Use other vectors."
            )
        if start.vectors.subwords is not None and start.vectors.subwords.pruned is not None:
            raise DataError(
                f"{start.name}: has lost n-grams when it was quantized. Use the model before it, or its "
                "vectors without n-grams, as .vec."
            )
        return start

    @property
    def name(self) -> str:
        """Return the path, for messages."""
        return str(self.path or "start")

    def text_defaults(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of TextConfig for a new text; see joint_vocab.text_defaults."""
        return text_defaults(self.name, self.vectors.meta.get("text_config"), settings)

    def describe(self) -> artifact.Meta:
        """Return the provenance of the start, for meta.json."""
        vocab = self.vectors.vocab
        counts_S = vocab.counts
        return {
            "path": None if self.path is None else str(self.path.resolve()),
            "vocab_digest": vocab.digest,
            "words": len(vocab),
            "tokens": int(counts_S.sum()) if (counts_S >= 0).all() else None,
        }

    def fill(self, weights: Weights, vocab: Vocab) -> None:
        """Overwrite the rows of known words in new weights of the joint vocabulary, and all rows of n-grams.

        Rows of new words stay as they are: random inputs, and outputs of zero; with n-grams the input is the
        mean of the rows of the n-grams, if this is not zero.
        """
        row_V, subwords = rows_of_words(vocab.words, self.vectors.vocab), self.vectors.subwords
        outputs = self.vectors.contexts if has_outputs(self.vectors) else None
        for ids in _blocks(np.flatnonzero(row_V >= 0)):
            rows_BD: Any = self._rows(row_V[ids])
            has_vector = rows_BD.any(axis=1)
            if subwords is not None:
                rows_BD = subwords.own_rows([vocab.words[v] for v in ids.tolist()], rows_BD)
            _write(weights.in_VD, ids[has_vector], rows_BD[has_vector])
            if outputs is not None:
                _write(weights.out_VD, ids, np.asarray(outputs[row_V[ids]], np.float32))
        if subwords is None:
            return
        for ids in _blocks(np.flatnonzero(row_V < 0)):
            rows_BD = subwords.vectors([vocab.words[v] for v in ids.tolist()])
            has_vector = rows_BD.any(axis=1)
            _write(weights.in_VD, ids[has_vector], rows_BD[has_vector])
        for ids in _blocks(np.arange(len(subwords.rows_BD))):
            _write(weights.in_VD, len(vocab) + ids, subwords.rows_BD[ids])

    def vectors_of(self, vocab: Vocab, marked_V: Bools) -> Floats:
        """Return the vectors of marked words, all known, of the joint vocabulary."""
        return self._rows(rows_of_words(vocab.words, self.vectors.vocab)[marked_V])

    def _rows(self, row_B: npt.NDArray[np.int64]) -> Floats:
        return np.asarray(self.vectors.matrix[row_B], np.float32)

    def frozen(self, vocab: Vocab) -> Bools:
        """Mark the words of the joint vocabulary whose input, and whose output, must not change: (2, V)."""
        row_V = rows_of_words(vocab.words, self.vectors.vocab)
        in_V = (row_V >= 0) & ~np.isin(row_V, self.vectors.zero_ids)
        return np.stack([in_V, in_V & has_outputs(self.vectors)])


def has_outputs(vectors: Vectors) -> bool:
    """Return True for vectors of word2vec or fastText with their output vectors."""
    is_trained_so = str(vectors.meta.get("model")).startswith(("word2vec", "fastText"))
    return vectors.contexts is not None and is_trained_so


def _blocks(ids: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    return (ids[first : first + BLOCK_ROWS] for first in range(0, len(ids), BLOCK_ROWS))


def _write(weight_VD: Floats, ids: npt.NDArray[np.int64], rows_BD: npt.NDArray[Any]) -> None:
    """Overwrite rows, which may be padded."""
    weight_VD[ids, : rows_BD.shape[1]] = rows_BD


def word2vec_settings(
    start: Start, config: Word2VecConfig | None, settings: Mapping[str, Any]
) -> Word2VecConfig:
    """Return the settings of a run that goes on from a start.

    config: a whole config, or None to inherit the settings of the start. settings: explicit ones. Raises
    ConfigError for a setting that contradicts the start.
    """
    meta = start.vectors.meta
    subwords, model = start.vectors.subwords, str(meta.get("model"))
    has: dict[str, Any] = {"dim": start.vectors.matrix.shape[1], "subwords": None}
    if subwords is not None:
        shortest, longest, units = subwords.ngrams
        has |= {"subwords": f"{shortest}:{longest}", "subword_units": units, "buckets": len(subwords.rows_BD)}
    if model.startswith("word2vec"):
        trained = asdict(from_stored(Word2VecConfig, meta["config"]))
        has = {name: trained[name] for name in (*AGREE, *INHERITED)} | has
    if model.startswith("fastText") and has_outputs(start.vectors):
        has["objective"] = model.removeprefix("fastText ")
    chosen = {**({} if config is None else asdict(config)), **settings}
    if chosen.get("buckets") is None:
        chosen.pop("buckets", None)
    agreed = {name: has[name] for name in (*AGREE, "subwords", "subword_units", "buckets") if name in has}
    check_agreement(start.name, agreed, chosen)
    base = from_dict(Word2VecConfig, has) if config is None else config
    return from_dict(Word2VecConfig, {**settings, **agreed}, base)


def check_joint(data: TokenDataset, start: Start) -> None:
    """Raise ConfigError unless a corpus was encoded with the vocabulary of the start."""
    if data.meta.get("start", {}).get("vocab_digest") != start.vectors.vocab.digest:
        raise ConfigError(
            f"{data.name}: was not encoded with the vocabulary of {start.name}. Name the text itself, or "
            f"encode the text with nlpseq preprocess --start {start.name}."
        )


def new_share(start: Start, data: TokenDataset) -> float:
    """Return the share of the new text in all tokens of earlier texts and this one, or 1/2 if unknown.

    Unknown words are left out. The rate of a run falls linearly, so by the start of the new text the rate of
    one run over all texts would have fallen to this share of the first rate.
    """
    earlier, new = start.describe()["tokens"], int(word_counts(data).sum())
    return 0.5 if earlier is None else new / max(1, earlier + new)
