"""Continue training trained vectors: settings, initial rows of the weights, frozen words.

The start is the initial vectors. The text is encoded with the joint vocabulary of the start and the new words
(dataset/joint_vocab.py). Known words begin with their rows of the start, new words with random rows as in a
first training. A start with a vector of zeros for a word has nothing to keep, so this word begins as a new
word. Only word2vec and fastText have output vectors to continue with; other outputs begin at zero.

A start with n-grams has the vectors of words, the means of their rows, and the rows of n-grams. Known words
begin with the own row that gives this mean, new words with the mean of their n-grams.

The vectors of a continued training are means over its texts (averaging.py). The next training goes on with
the last weights, which are stored beside; with frozen words it begins with the means, because these stay.

Letters: S words of the start, V words of the joint vocabulary, N words of a block, D dimensions.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.config.fields import from_dict, from_stored
from nlpseq.dataset.joint_vocab import check_agreement, rows_of_words, text_defaults
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.vectors.lazy_rows import row_blocks
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.averaging import Means
from nlpseq.word2vec.objectives import Weights

__all__ = ["Start", "check_joint", "earlier_tokens", "has_outputs", "new_share", "word2vec_settings"]

AGREE = ("objective", "dim", "loss")  # of a start by word2vec
INHERITED = ("window", "negatives", "share_negatives", "subsample", "smoothing", "cbow_update")
SAMPLED_ROWS = 100

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Start:
    """Initial vectors of a training, and the path where they are stored, if any."""

    vectors: Vectors
    path: Path | None = None

    def __post_init__(self) -> None:
        """Raise DataError for sparse vectors, and for pruned n-grams."""
        if self.vectors.is_sparse:
            raise DataError(
                f"{self.name}: holds sparse PPMI vectors, and word2vec needs dense ones. Use other vectors."
            )
        if self.vectors.subwords is not None and self.vectors.subwords.pruned is not None:
            raise DataError(
                f"{self.name}: was quantized and lost n-grams. Use the model before quantization, or write "
                "its vectors without n-grams by nlpseq convert MODEL vectors.vec."
            )

    @classmethod
    def load(cls, source: "Vectors | str | Path | Start") -> "Start":
        """Return the start for vectors, or for the path of a model or vector file."""
        if isinstance(source, Start):
            return source
        return cls(source) if isinstance(source, Vectors) else cls(Vectors.load(source), Path(source))

    @property
    def name(self) -> str:
        """Return the path, for messages."""
        return str(self.path or "start")

    def text_defaults(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of TextConfig for a new text; see joint_vocab.text_defaults."""
        return text_defaults(self.name, self.vectors.meta.get("text_config"), settings)

    def describe(self, share: float) -> artifact.Meta:
        """Return the provenance of the start, for meta.json; share: see new_share."""
        vocab = self.vectors.vocab
        return {
            "path": None if self.path is None else str(self.path.resolve()),
            "counts_digest": vocab.counts_digest,
            "vectors_digest": self.vectors_digest,
            "words": len(vocab),
            "tokens": self.tokens,
            "share": share,
        }

    @property
    def vectors_digest(self) -> str:
        """Hash the vectors of some words, because all of a large model would take long to read."""
        ids = np.unique(np.linspace(0, len(self.vectors) - 1, SAMPLED_ROWS).astype(np.int64))
        return hashlib.sha256(self._rows(ids).tobytes()).hexdigest()

    @property
    def tokens(self) -> int | None:
        """Count the tokens that the vectors were trained on; None if unknown.

        Of vectors without all counts, the training has stored its tokens. If it had a start without counts,
        this start counts as many tokens as the text of that training, as in new_share.
        """
        counts_S, meta = self.vectors.vocab.counts, self.vectors.meta
        if (counts_S >= 0).all():
            return int(counts_S.sum())
        own, start = meta.get("tokens"), meta.get("start")
        if not isinstance(own, int):
            return None
        if start is None:
            return own
        earlier = start.get("tokens") if isinstance(start, dict) else None
        return own + (earlier if isinstance(earlier, int) else own)

    def fill(self, weights: Weights, vocab: Vocab, *, is_frozen: bool = False) -> None:
        """Overwrite the rows of known words in new weights of the joint vocabulary, and all rows of n-grams.

        is_frozen: begin with the vectors themselves, also after a continued training. Rows of new words stay
        as they are: random inputs, and outputs of zero; with n-grams the input is the mean of the rows of the
        n-grams, if this is not zero. Known words with a vector of zeros begin as new words, apart from their
        outputs.
        """
        row_V, has_vector_V = rows_of_words(vocab.words, self.vectors.vocab), self.frozen(vocab)[0]
        subwords, last = self.vectors.subwords, None if is_frozen else self.vectors.last
        for ids in _blocks(np.flatnonzero(has_vector_V)):
            rows_ND: Any = self._rows(row_V[ids]) if last is None else last.in_RD[row_V[ids]]
            if subwords is not None and last is None:
                rows_ND = subwords.own_rows([vocab.words[v] for v in ids.tolist()], rows_ND)
            _write(weights.in_VD, ids, rows_ND)
        if has_outputs(self.vectors):
            outputs_VD = self.vectors.contexts if last is None else last.out_VD
            for ids in _blocks(np.flatnonzero(row_V >= 0)):
                _write(weights.out_VD, ids, np.asarray(outputs_VD[row_V[ids]], np.float32))
        if subwords is None:
            return
        if last is not None:
            subwords = subwords._replace(rows_BD=last.in_RD[len(self.vectors) :])
        for ids in _blocks(np.flatnonzero(~has_vector_V)):
            rows_ND = subwords.vectors([vocab.words[v] for v in ids.tolist()])
            is_usable = rows_ND.any(axis=1)
            _write(weights.in_VD, ids[is_usable], rows_ND[is_usable])
        for ids in _blocks(np.arange(len(subwords.rows_BD))):
            _write(weights.in_VD, len(vocab) + ids, subwords.rows_BD[ids])

    def means(self, vocab: Vocab, tokens: int) -> Means:
        """Return the vectors as means over the earlier texts, rows of the joint vocabulary.

        tokens: of the earlier texts; without sums of weights, they are taken for one text.
        """
        row_V, is_known_V = rows_of_words(vocab.words, self.vectors.vocab), self.frozen(vocab)[0]
        words_VD, out_VD = (
            np.zeros((len(vocab), self.vectors.matrix.shape[1]), np.float32) for _ in range(2)
        )
        for ids in _blocks(np.flatnonzero(is_known_V)):
            words_VD[ids] = self._rows(row_V[ids])
        if has_outputs(self.vectors):
            for ids in _blocks(np.flatnonzero(row_V >= 0)):
                out_VD[ids] = self.vectors.contexts[row_V[ids]]
        subwords, last, sum_V = self.vectors.subwords, self.vectors.last, np.zeros(len(vocab))
        sum_V[is_known_V] = float(tokens) ** 2 if last is None else last.sum_V[row_V[is_known_V]]
        ngrams_BD = None if subwords is None else np.array(subwords.rows_BD[:], np.float32)
        return Means(words_VD, out_VD, sum_V, ngrams_BD)

    def vectors_of(self, vocab: Vocab, marked_V: Bools) -> Floats:
        """Return the vectors of marked words, all known, of the joint vocabulary."""
        return self._rows(rows_of_words(vocab.words, self.vectors.vocab)[marked_V])

    def _rows(self, row_N: npt.NDArray[np.int64]) -> Floats:
        return np.asarray(self.vectors.matrix[row_N], np.float32)

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
    return (ids[block] for block in row_blocks(len(ids)))


def _write(weight_VD: Floats, ids: npt.NDArray[np.int64], rows_ND: npt.NDArray[Any]) -> None:
    """Overwrite rows, which may be padded."""
    weight_VD[ids, : rows_ND.shape[1]] = rows_ND


def word2vec_settings(
    start: Start, config: Word2VecConfig | None, settings: Mapping[str, Any]
) -> Word2VecConfig:
    """Return the settings of a run with a start.

    config: a whole config, or None to inherit the settings of the start. settings: explicit ones. Raises
    ConfigError for a setting that contradicts the start, and ArtifactError if its own are not valid.
    """
    try:
        has = _settings_of(start.vectors)
    except (KeyError, ConfigError) as error:
        raise ArtifactError(
            f"{start.name}: the settings in meta.json are not valid ({error}). Train the vectors again."
        ) from error
    chosen = {**({} if config is None else asdict(config)), **settings}
    if chosen.get("buckets") is None:
        chosen.pop("buckets", None)
    agreed = {name: has[name] for name in (*AGREE, "subwords", "subword_units", "buckets") if name in has}
    check_agreement(start.name, agreed, chosen)
    base = from_dict(Word2VecConfig, has) if config is None else config
    return from_dict(Word2VecConfig, {**settings, **agreed}, base)


def _settings_of(vectors: Vectors) -> dict[str, Any]:
    """Return the settings that vectors were trained with, as far as they are known."""
    meta, subwords, model = vectors.meta, vectors.subwords, str(vectors.meta.get("model"))
    has: dict[str, Any] = {}
    if model.startswith("word2vec"):
        trained = asdict(from_stored(Word2VecConfig, meta["config"]))
        has = {name: trained[name] for name in (*AGREE, *INHERITED)}
        if subwords is not None:
            del has["smoothing"]  # because it follows from the length of all texts, as the learning rate does
    elif model.startswith("fastText") and has_outputs(vectors):
        stored = meta["fasttext"] if isinstance(meta.get("fasttext"), dict) else {}
        named = {"window": stored.get("ws"), "negatives": stored.get("neg"), "subsample": stored.get("t")}
        has = {name: value for name, value in named.items() if _is_valid(name, value)}
        has["objective"] = model.removeprefix("fastText ")
    has |= {"dim": vectors.matrix.shape[1], "subwords": None}
    if subwords is not None:
        shortest, longest, units = subwords.ngrams
        has |= {"subwords": f"{shortest}:{longest}", "subword_units": units, "buckets": len(subwords.rows_BD)}
    return has


def _is_valid(name: str, value: object) -> bool:
    """Return True if a setting of Word2VecConfig may have this value, from a file of another tool."""
    try:
        from_dict(Word2VecConfig, {name: value})
    except ConfigError:
        return False
    return True


def check_joint(data: TokenDataset, start: Start) -> None:
    """Raise ConfigError unless a corpus was encoded with the vocabulary of the start."""
    if data.meta.get("start", {}).get("counts_digest") != start.vectors.vocab.counts_digest:
        raise ConfigError(
            f"{data.name}: was not encoded with the words and counts of {start.name}. Name the text itself, "
            f"or encode the text with nlpseq preprocess --start {start.name}."
        )


def earlier_tokens(start: Start, data: TokenDataset) -> int:
    """Return the tokens of the earlier texts: as many as of the new text if the start has no counts."""
    return int(data.word_counts.sum()) if start.tokens is None else start.tokens


def new_share(start: Start, data: TokenDataset) -> float:
    """Return the share of the new text in all tokens of earlier texts and this one.

    Unknown words are left out. Raises DataError for a text without a word of the vocabulary.
    """
    new = int(data.word_counts.sum())
    if new == 0:
        raise DataError(
            f"{data.name}: has no word of {start.name}, and no new word with enough occurrences. Use a lower "
            "--min-count, or more text."
        )
    return new / (earlier_tokens(start, data) + new)
