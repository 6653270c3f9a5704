"""Go on from trained vectors: settings, first rows of the weights, frozen words, the first learning rate.

The text is encoded with the joint vocabulary of the start and the new words (dataset/joint_vocab.py). Known
words begin with their rows of the start, new words with random rows as in a first training. A start with a
vector of zeros for a word has nothing to keep, so this word begins as a new one. Only word2vec has output
vectors to go on from; the outputs of other vectors begin at zero.

Letters: S words of the start, V words of the joint vocabulary, D dimensions.
"""

from collections.abc import Mapping
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

AGREE = ("objective", "dim", "loss")  # of a start by word2vec, with these settings alone
INHERITED = ("window", "negatives", "share_negatives", "subsample", "smoothing", "cbow_update")
BLOCK_ROWS = 4096  # read at once, because a matrix may be mapped, or of int8

Bools = npt.NDArray[np.bool_]


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
        """Overwrite the rows of known words in new weights of the joint vocabulary.

        Rows of new words stay as they are: random inputs, and outputs of zero.
        """
        row_V = rows_of_words(vocab.words, self.vectors.vocab)
        known_V = np.flatnonzero(row_V >= 0)
        outputs = self.vectors.contexts if has_outputs(self.vectors) else None
        for weight_VD, matrix_SD in zip(weights, (self.vectors.matrix, outputs), strict=True):
            for first in range(0, len(known_V) if matrix_SD is not None else 0, BLOCK_ROWS):
                ids = known_V[first : first + BLOCK_ROWS]
                rows_BD = np.asarray(matrix_SD[row_V[ids]], np.float32)
                has_vector = rows_BD.any(axis=1) | (weight_VD is weights.out_VD)
                weight_VD[ids[has_vector], : rows_BD.shape[1]] = rows_BD[has_vector]

    def frozen(self, vocab: Vocab) -> Bools:
        """Mark the words of the joint vocabulary whose input, and whose output, must not change: (2, V)."""
        row_V = rows_of_words(vocab.words, self.vectors.vocab)
        in_V = (row_V >= 0) & ~np.isin(row_V, self.vectors.zero_ids)
        return np.stack([in_V, in_V & has_outputs(self.vectors)])


def has_outputs(vectors: Vectors) -> bool:
    """Return True for vectors of word2vec with their output vectors."""
    return vectors.contexts is not None and str(vectors.meta.get("model")).startswith("word2vec")


def word2vec_settings(
    start: Start, config: Word2VecConfig | None, settings: Mapping[str, Any]
) -> Word2VecConfig:
    """Return the settings of a run that goes on from a start.

    config: a whole config, or None to inherit the settings of the start. settings: explicit ones. Raises
    ConfigError for a setting that contradicts the start.
    """
    meta = start.vectors.meta
    has: dict[str, Any] = {"dim": start.vectors.matrix.shape[1]}
    if str(meta.get("model")).startswith("word2vec"):
        trained = asdict(from_stored(Word2VecConfig, meta["config"]))
        has = {name: trained[name] for name in (*AGREE, *INHERITED)} | has
    chosen = {**({} if config is None else asdict(config)), **settings}
    check_agreement(start.name, {name: has[name] for name in AGREE if name in has}, chosen)
    base = from_dict(Word2VecConfig, has) if config is None else config
    return from_dict(Word2VecConfig, settings, base)


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
