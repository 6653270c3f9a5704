"""Vectors: a vocabulary with a vector for each word, saved, loaded and written for other tools.

Letters: V words, D dimensions.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_stored
from nlpseq.core.resources import count_text
from nlpseq.dataset.phrases import JOINT
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    NlpseqError,
    RunError,
    UnknownWord,
    advise,
)
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array
from nlpseq.storage.locks import remove_stale_temporaries
from nlpseq.storage.sparse import as_csr, load_csr, save_csr
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.vectors.formats.names import BadTokens, Format
from nlpseq.vectors.formats.registry import Written, check_output, read_vectors, write_vectors
from nlpseq.vectors.queries import COSMUL_EPSILON, AnalogyMethod, Answers, best_answers, suggest_words

__all__ = ["KIND", "VERSION", "Vectors", "load_matrix"]

KIND, VERSION = "vectors", 1
_STAMPED = ("format", "format_version", "nlpseq_version", "num_stored", "notices")  # written new by each save
_OF_A_RUN = ("complete", "position", "checkpoint")  # only in a checkpoint
_NOT_WRITTEN = "Nothing was written. Train again with a lower --learning-rate."
_BLOCK_ROWS = 4096  # checked at once, so that a mapped matrix takes little memory

Floats = npt.NDArray[np.float32]


class Vectors:
    """A vector for every word of a vocabulary.

    vocab: the words, without specials. matrix: float32, (V, D), a row a word; for explicit vectors, with a
    dimension for every context word, a sparse SciPy CSR, (V, V). contexts: output vectors of the same words,
    (V, D), if the method has them. meta: settings of the training, stored with the vectors.

    A mapping from words to vectors: vectors["king"] and "king" in vectors find a word as find() does, and
    iteration gives the words.
    """

    def __init__(
        self, vocab: Vocab, matrix: Any, contexts: Floats | None = None, meta: artifact.Meta | None = None
    ) -> None:
        assert vocab.num_specials == 0 and matrix.ndim == 2 and matrix.shape[0] == len(vocab)
        assert contexts is None or contexts.shape == matrix.shape
        self.vocab = vocab
        self.is_sparse = hasattr(matrix, "indptr")
        self.matrix: Any = matrix if self.is_sparse else np.asarray(matrix, np.float32)
        self.contexts = None if contexts is None else np.asarray(contexts, np.float32)
        self.meta = meta or {}

    def __repr__(self) -> str:
        num_words, dim = self.matrix.shape
        known = (self.meta.get(name) for name in ("model", "corpus", "read_from"))
        parts = [f"{num_words:,} words x {dim:,}", *(repr(each) for each in known if each)]
        return f"Vectors({', '.join(parts)})"

    def __len__(self) -> int:
        return len(self.vocab)

    def __iter__(self) -> Iterator[str]:
        return iter(self.vocab.words)

    def __contains__(self, word: str) -> bool:
        return self.find(word) is not None

    def __getitem__(self, word: str) -> Floats:
        """Return a copy of the vector of a word, (D,); raise UnknownWord, also a KeyError."""
        row = self.matrix[[self.word_id(word)]]
        vector: Floats = (row.toarray() if self.is_sparse else row)[0]
        return vector

    @cached_property
    def unit(self) -> Any:
        """Return the matrix with every row scaled to length 1; zero rows stay zero."""
        if self.is_sparse:
            return _unit_rows(self.matrix)
        length_V = np.sqrt(np.einsum("vd,vd->v", self.matrix, self.matrix, dtype=np.float64))
        length_V[length_V == 0] = 1
        unit_VD = np.empty(self.matrix.shape, np.float32)
        np.divide(self.matrix, length_V[:, None], out=unit_VD, casting="same_kind")
        return unit_VD

    @cached_property
    def zero_ids(self) -> npt.NDArray[np.intp]:
        """Return the ids of words whose vector is zero and so has no cosine."""
        if self.is_sparse:
            return np.flatnonzero(np.diff(self.matrix.indptr) == 0)
        ids = np.flatnonzero(self.matrix[:, 0] == 0)
        zero_ids: npt.NDArray[np.intp] = ids[~np.any(self.matrix[ids], axis=1)]
        return zero_ids

    @cached_property
    def untrained_ids(self) -> npt.NDArray[np.intp]:
        """Return the ids that never answer: of words with a zero vector, and of words not in the text."""
        untrained_ids: npt.NDArray[np.intp] = np.union1d(self.zero_ids, self.vocab.unseen_ids)
        return untrained_ids

    def word_id(self, word: str) -> int:
        """Return the row of a word as find() finds it; raises UnknownWord with a hint."""
        found = self.find(word)
        if found is None:
            raise UnknownWord(self._explain_unknown(word))
        return self.vocab.ids[found]

    def seen_id(self, word: str) -> int:
        """Return the row of a word as word_id() does; raises DataError if the text does not have the word."""
        word_id = self.word_id(word)
        if self.vocab.counts[word_id] == 0:
            raise DataError(
                f"{self.vocab.label(self.vocab.words[word_id])!r}: does not occur in the text of these "
                "vectors, so its vector was never trained. Use another word, or train on text with this word."
            )
        return word_id

    def find(self, word: str) -> str | None:
        """Return the vocabulary's form of a word: as written, else tokenized like the training text.

        With BPE, the token of a word after a space if there is one, such as Ġking for king, else as written.
        """
        if (found := self.vocab.find(word)) or self.vocab.bpe:
            return found
        phrase = JOINT.join(self._tokens(word))
        return phrase if phrase in self.vocab else None

    def _tokens(self, text: str) -> list[str]:
        """Tokenize like the training text; vectors of other tools have no tokenizer."""
        config = self.meta.get("text_config")
        return normalize_and_tokenize(text, from_stored(TextConfig, config)) if config else [text]

    def _explain_unknown(self, word: str) -> str:
        if self.vocab.bpe:
            tokens = [self.vocab.label(token) for token in self.vocab.bpe.tokenize(" " + word)]
            return f"{word!r}: is {len(tokens)} subword tokens, {' '.join(tokens)}. Name one of these tokens."
        parts = self._tokens(word)
        known = [part for part in parts if part in self.vocab]
        if len(parts) > 1 and known:
            tokenizer = self.meta["text_config"]["tokenizer"]
            why = (
                "hyphens, spaces and punctuation separate words"
                if tokenizer == "word"
                else f"`{tokenizer}` splits it"
            )
            return (
                f"{word!r}: is {len(parts)} words in the text of these vectors, because {why}. "
                f"Use one of its known words: {', '.join(known)}."
            )
        close = suggest_words(word, self.vocab.words)
        hint = f"Did you mean {' or '.join(close)}?" if close else "See vocab.tsv for all words."
        return f"{word!r}: is not among the {count_text(len(self.vocab), 'word')} of these vectors. {hint}"

    def _explain_zeros(self) -> str:
        if file := self.meta.get("read_from"):
            return f"has a vector of zeros in {file}, so that no cosine exists. Name another word."
        subsample = self.meta.get("cooccurrence_config", {}).get("subsample", 0.0)
        ways = advise({"`nlpseq train-counts --subsample 0`": (subsample, 0.0)}, "more text")
        return f"its vector is zero, because training found no pair of this word. {ways}"

    def rows(self, word_ids: Sequence[int]) -> Floats:
        """Return the unit vectors of some words, dense, (len(word_ids), D)."""
        rows = self.unit[list(word_ids)]
        dense: Floats = rows.toarray() if self.is_sparse else rows
        return dense

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of two words, from -1 to 1; 0 if a vector is zero.

        Raises DataError for a word that the training text does not have.
        """
        rows = self.matrix[[self.seen_id(word) for word in (a, b)]]
        a_D, b_D = (rows.toarray() if self.is_sparse else rows).astype(np.float64)
        lengths = float(np.sqrt(a_D @ a_D) * np.sqrt(b_D @ b_D))
        return float(np.clip(a_D @ b_D / lengths, -1, 1)) if lengths else 0.0

    def neighbors(self, word: str, top: int = 10) -> Answers:
        """Return the `top` words with the highest cosine, best first, without the word itself.

        Words without a trained vector are left out, see untrained_ids; raises DataError for such a word.
        """
        word_id = self.seen_id(word)
        if word_id in self.zero_ids:
            raise DataError(f"{self.vocab.label(self.vocab.words[word_id])!r}: {self._explain_zeros()}")
        scores_V = self.unit @ self.rows([word_id])[0]
        return best_answers(self.vocab.words, scores_V, [word_id, *self.untrained_ids.tolist()], top)

    def analogy(self, a: str, b: str, c: str, top: int = 10, method: AnalogyMethod = "3cosadd") -> Answers:
        """Return the `top` answers to "a is to b as c is to ?", best first, without a, b and c.

        3cosadd scores a word x by cos(x, b - a + c) (Mikolov, Yih & Zweig 2013, N13-1090), 3cosmul by
        cos(x, b) cos(x, c) / cos(x, a) with cosines shifted to 0..1, which explicit vectors do not need
        because their cosines are never negative (Levy & Goldberg 2014, doi:10.3115/v1/W14-1618). Words
        without a trained vector are left out; raises DataError if the text does not have a, b or c.
        """
        word_ids = [self.seen_id(word) for word in (a, b, c)]
        a_D, b_D, c_D = self.rows(word_ids)
        if method == "3cosadd":
            query_D = b_D - a_D + c_D
            scores_V = self.unit @ (query_D / (np.linalg.norm(query_D) or 1))
        elif method == "3cosmul":
            cosines = [self.unit @ word_D for word_D in (a_D, b_D, c_D)]
            if not self.is_sparse:
                cosines = [(cosine_V + np.float32(1)) / np.float32(2) for cosine_V in cosines]
            a_V, b_V, c_V = cosines
            scores_V = b_V * c_V / (a_V + COSMUL_EPSILON)
        else:
            raise ConfigError(f"method: {method!r} is unknown. Choose one of 3cosadd, 3cosmul.")
        return best_answers(self.vocab.words, scores_V, [*word_ids, *self.untrained_ids.tolist()], top)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Save everything as a folder; raises RunError if a vector is not finite."""
        with artifact.create(Path(path), KIND, VERSION, force=force) as folder:
            self.fill(folder)

    def fill(self, folder: artifact.Folder, run: artifact.Meta | None = None) -> None:
        """Write everything into a new folder; run: the state of training, for a checkpoint."""
        if run is None:
            self._check_finite(Path(folder.path.name), RunError, _NOT_WRITTEN)
        num_words, dim = self.matrix.shape
        dropped = (*_STAMPED, *_OF_A_RUN)
        kept = {key: value for key, value in self.meta.items() if key not in dropped} | (run or {})
        sizes = {"num_words": num_words, "dim": dim, "has_contexts": self.contexts is not None}
        sizes |= {"num_stored": self.matrix.nnz} if self.is_sparse else {}
        folder.write_meta(kept | sizes | {"vocab_digest": self.vocab.digest})
        self.vocab.save(folder.path / "vocab.tsv")
        if self.is_sparse:
            save_csr(folder, self.matrix, np.float32)
        else:
            folder.write_array("vectors.npy", self.matrix)
        if self.contexts is not None:
            folder.write_array("contexts.npy", self.contexts)

    @classmethod
    def load(cls, path: str | Path, format: Format | None = None, *, verify: bool = True) -> "Vectors":
        """Load a folder that `save` wrote, with mapped arrays, or a vector file.

        format: of a file, recognized by the content unless given. verify=False skips the sha256 of a folder's
        files. Raises ArtifactError if the folder or file is corrupt, DataError if it cannot be read.
        """
        path = Path(path)
        is_folder = False
        with suppress(OSError):  # because reading it as a file raises a clear error
            if not path.exists():
                remove_stale_temporaries(path.resolve().parent)  # completes an interrupted write
            is_folder = path.is_dir() and format in (None, "nlpseq")
        if is_folder:
            vectors = artifact.load_consistent(path, lambda: cls._load_folder(path, verify))
        else:
            found = read_vectors(path, format)
            meta = {"read_from": path.name, "read_format": found.format, "notices": found.notices}
            vectors = cls(found.vocab, found.matrix_VD, meta=meta)
        vectors._check_finite(path, ArtifactError, "Train or convert the vectors again.")
        return vectors

    @classmethod
    def _load_folder(cls, path: Path, verify: bool) -> "Vectors":
        meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
        notices = meta.get("notices", [])
        if not isinstance(notices, list) or not all(isinstance(notice, str) for notice in notices):
            raise ArtifactError(
                f"{path / 'meta.json'}: has notices that are not texts. Train the vectors again."
            )
        vocab = Vocab.load(path / "vocab.tsv")
        if vocab.digest != meta.get("vocab_digest"):
            raise ArtifactError(
                f"{path / 'vocab.tsv'}: does not have the digest in meta.json. Train the vectors again."
            )
        shape = (meta.get("num_words"), meta.get("dim"))
        if vocab.num_specials or len(vocab) != shape[0]:
            raise ArtifactError(
                f"{path / 'vocab.tsv'}: does not hold {shape[0]} words. Train the vectors again."
            )
        if "num_stored" in meta:  # explicit vectors, (V, V)
            if shape[0] != shape[1]:
                raise ArtifactError(
                    f"{path / 'meta.json'}: has {shape[0]} words and {shape[1]} dimensions, but PPMI "
                    "vectors are square. Run `nlpseq train-counts` again."
                )
            matrix = load_csr(path, (len(vocab), len(vocab)), meta["num_stored"], np.float32)
            return cls(vocab, matrix, meta=meta)
        vectors = load_matrix(path / "vectors.npy", shape)
        contexts = load_matrix(path / "contexts.npy", shape) if meta.get("has_contexts") else None
        return cls(vocab, vectors, contexts, meta)

    def write(
        self,
        file: str | Path,
        format: Format | None = None,
        bad_tokens: BadTokens = "error",
        *,
        force: bool = False,
    ) -> Written:
        """Write a file for other tools by registry.write_vectors, or our folder if its name ends in .w2v."""
        file = Path(file)
        self._check_finite(file, RunError, _NOT_WRITTEN)
        if check_output(file, format, force=force) == "nlpseq":
            self.save(file, force=force)
            return Written((file,), len(self.vocab), [])
        if self.is_sparse:
            raise DataError(
                f"{file}: cannot hold PPMI vectors, because they are sparse. "
                "Write a .w2v folder, or train dense vectors with `nlpseq train-counts --method ppmi-svd`."
            )
        stored = self.meta.get("text_config")
        config = from_stored(TextConfig, stored) if stored else None
        return write_vectors(file, self.vocab, self.matrix, format, bad_tokens, config=config, force=force)

    def _check_finite(self, path: Path, raised: type[NlpseqError], fix: str) -> None:
        """Raise an error about a path if a number is NaN or infinite."""
        if self.is_sparse:  # load_csr has checked its arrays
            if not np.isfinite(self.matrix.data).all():
                raise raised(f"{path}: the matrix holds numbers that are not finite. {fix}")
            return
        for matrix in [self.matrix] if self.contexts is None else [self.matrix, self.contexts]:
            for start in range(0, len(matrix), _BLOCK_ROWS):
                finite = np.isfinite(matrix[start : start + _BLOCK_ROWS]).all(axis=1)
                if not finite.all():
                    word = self.vocab.words[start + int(np.argmin(finite))]
                    raise raised(f"{path}: the vector of {word!r} holds numbers that are not finite. {fix}")


def load_matrix(file: Path, shape: tuple[object, object]) -> Floats:
    """Map a float32 matrix of this shape; raises ArtifactError for any other array."""
    matrix = load_array(file, np.float32, ndim=2)
    if matrix.shape != shape:
        raise ArtifactError(
            f"{file}: has shape {matrix.shape}, meta.json says {shape}. Train the vectors again."
        )
    return matrix


def _unit_rows(matrix: Any) -> Any:
    """Scale every row of a CSR matrix to length 1."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))  # of each stored number
    length_V = np.sqrt(np.bincount(rows, np.square(matrix.data, dtype=np.float64), matrix.shape[0]))
    length_V[length_V == 0] = 1
    data = (matrix.data / length_V[rows]).astype(np.float32)
    return as_csr(matrix.shape, data, matrix.indices, matrix.indptr)
