"""Vectors: words and their vectors, and what a person asks of them.

Letters: V words, D dimensions.
"""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError, NlpseqError, RunError
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array
from nlpseq.storage.sparse import as_csr, load_csr, save_csr
from nlpseq.storage.stale import remove_stale_temporaries
from nlpseq.vectors.formats.names import BadTokens, Format
from nlpseq.vectors.formats.registry import Written, check_output, read_vectors, write_vectors

KIND, VERSION = "vectors", 1
_WRITTEN_ANEW = ("format", "format_version", "nlpseq_version", "num_stored", "notices")  # not carried over
_OF_A_RUN = ("complete", "position", "checkpoint")  # only in a checkpoint
_CHECKED_ROWS = 4096  # at once, so that checking a mapped matrix takes little memory
_CLOSE_ENOUGH = 20_000  # words compared letter by letter to find what was meant
_GROUPS = 16  # for each answer that is asked for
EPSILON = 1e-3  # of 3CosMul

Floats = npt.NDArray[np.float32]
Answers = list[tuple[str, float]]


class Vectors:
    """A vector for every word of a vocabulary.

    vocab: the words, without specials. matrix: float32, (V, D), a row for each of them; where it is explicit,
    with a dimension for every context word, a sparse scipy CSR. contexts: the output vectors of the same
    words, where the method has them. meta: how they came to be, stored with them.
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

    @cached_property
    def unit(self) -> Any:
        """The matrix with every row scaled to length 1; rows of zeros stay zero."""
        if self.is_sparse:
            return _unit_rows(self.matrix)
        length_V = np.sqrt(np.einsum("vd,vd->v", self.matrix, self.matrix, dtype=np.float64))
        length_V[length_V == 0] = 1
        unit_VD = np.empty(self.matrix.shape, np.float32)
        np.divide(self.matrix, length_V[:, None], out=unit_VD, casting="same_kind")
        return unit_VD

    def word_id(self, word: str) -> int:
        """The row of a word; DataError with what may have been meant where there is none."""
        word_id = self.vocab.ids.get(word)
        if word_id is None:
            close = _close_words(word, self.vocab.words)
            hint = f"Did you mean {' or '.join(close)}?" if close else "vocab.tsv lists the words there are."
            raise DataError(f"{word!r} is not among the {len(self.vocab)} words of these vectors. {hint}")
        return word_id

    def rows(self, word_ids: Sequence[int]) -> Floats:
        """The unit vectors of some words, dense, (len(word_ids), D)."""
        return _dense(self.unit[list(word_ids)])

    def similarity(self, a: str, b: str) -> float:
        """The cosine of the vectors of two words, from -1 to 1."""
        a_D, b_D = _dense(self.matrix[[self.word_id(word) for word in (a, b)]]).astype(np.float64)
        lengths = float(np.sqrt(a_D @ a_D) * np.sqrt(b_D @ b_D))
        return float(np.clip(a_D @ b_D / lengths, -1, 1)) if lengths else 0.0

    def neighbors(self, word: str, top: int = 10) -> Answers:
        """The `top` words nearest to a word by cosine, nearest first, the word itself left out."""
        word_id = self.word_id(word)
        return self._best(self.unit @ self.rows([word_id])[0], [word_id], top)

    def analogy(
        self, a: str, b: str, c: str, top: int = 10, method: Literal["3cosadd", "3cosmul"] = "3cosadd"
    ) -> Answers:
        """The `top` best answers to "a is to b as c is to ?"; a, b and c themselves never answer.

        3cosadd scores a word x by cos(x, b - a + c) (Mikolov, Yih and Zweig 2013), 3cosmul by
        cos(x, b) cos(x, c) / cos(x, a) with cosines moved to 0..1, unless the vectors are explicit and no
        cosine is negative (Levy and Goldberg 2014).
        """
        word_ids = [self.word_id(word) for word in (a, b, c)]
        a_D, b_D, c_D = self.rows(word_ids)
        if method == "3cosadd":
            query_D = b_D - a_D + c_D
            scores_V = self.unit @ (query_D / (np.linalg.norm(query_D) or 1))
        elif method == "3cosmul":
            a_V, b_V, c_V = (self._from_zero(self.unit @ word_D) for word_D in (a_D, b_D, c_D))
            scores_V = b_V * c_V / (a_V + EPSILON)
        else:
            raise ConfigError(f"method is {method!r}. It must be one of 3cosadd, 3cosmul.")
        return self._best(scores_V, word_ids, top)

    def _from_zero(self, cosines_V: Floats) -> Floats:
        return cosines_V if self.is_sparse else (cosines_V + np.float32(1)) / np.float32(2)

    def _best(self, scores_V: npt.NDArray[np.float32], left_out: Sequence[int], top: int) -> Answers:
        """The words of the highest scores, ties by id."""
        if top < 1:
            raise ConfigError(f"top is {top}. It must be at least 1.")
        scores_V[list(left_out)] = -np.inf
        top = min(top, len(scores_V) - len(set(left_out)))
        if top == 0:
            return []
        candidates = np.flatnonzero(scores_V >= _bound(scores_V, top))
        best = candidates[np.argsort(-scores_V[candidates], kind="stable")[:top]]
        return [(self.vocab.words[word_id], float(scores_V[word_id])) for word_id in best]

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Store everything as a folder; RunError where a vector is not finite, as no query could use it."""
        with artifact.create(Path(path), KIND, VERSION, force=force) as folder:
            self.fill(folder)

    def fill(self, folder: artifact.Folder, run: artifact.Meta | None = None) -> None:
        """Write everything into a new folder; run: how far it is, where this is a checkpoint."""
        if run is None:
            self._check_finite(RunError, "Nothing was written; train again with a lower learning rate.")
        num_words, dim = self.matrix.shape
        not_made = (*_WRITTEN_ANEW, *_OF_A_RUN)
        made = {key: value for key, value in self.meta.items() if key not in not_made} | (run or {})
        sizes = {"num_words": num_words, "dim": dim, "has_contexts": self.contexts is not None}
        sizes |= {"num_stored": self.matrix.nnz} if self.is_sparse else {}
        folder.write_meta(made | sizes | {"vocab_digest": self.vocab.digest})
        self.vocab.save(folder.path / "vocab.tsv")
        if self.is_sparse:
            save_csr(folder, self.matrix, np.float32)
        else:
            folder.write_array("vectors.npy", self.matrix)
        if self.contexts is not None:
            folder.write_array("contexts.npy", self.contexts)

    @classmethod
    def load(cls, path: str | Path, format: Format | None = None, *, verify: bool = True) -> "Vectors":
        """Vectors from a folder that `save` wrote (arrays stay on disk, mapped), or a file of any format.

        format: that of a file, told by its content where it is not named. Raises ArtifactError where folder
        or file is damaged. verify=False skips the sha256 of a folder's files.
        """
        path = Path(path)
        is_folder = False
        with suppress(OSError):  # what is wrong with the path is said where it is read as a file
            if not path.exists():
                remove_stale_temporaries(path.resolve().parent)  # which ends what a kill cut short
            is_folder = path.is_dir() and format in (None, "nlpseq")
        vectors = cls._load_folder(path, verify) if is_folder else cls._load_file(path, format)
        vectors._check_finite(ArtifactError, f"{path} is damaged; make it anew.")
        return vectors

    @classmethod
    def _load_folder(cls, path: Path, verify: bool) -> "Vectors":
        return artifact.load_consistent(path, lambda: cls._load_parts(path, verify))

    @classmethod
    def _load_parts(cls, path: Path, verify: bool) -> "Vectors":
        meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
        _check_notices(path, meta)
        vocab = Vocab.load(path / "vocab.tsv")
        if vocab.digest != meta.get("vocab_digest"):
            raise ArtifactError(
                f"{path / 'vocab.tsv'} does not have the digest in meta.json. Make the folder anew."
            )
        shape = (meta.get("num_words"), meta.get("dim"))
        if vocab.num_specials or len(vocab) != shape[0]:
            raise ArtifactError(f"{path / 'vocab.tsv'} does not hold {shape[0]} words. Make the folder anew.")
        if "num_stored" in meta:
            return cls(vocab, _load_explicit(path, shape, meta["num_stored"]), meta=meta)
        matrix = load_matrix(path / "vectors.npy", shape)
        contexts = load_matrix(path / "contexts.npy", shape) if meta.get("has_contexts") else None
        return cls(vocab, matrix, contexts, meta)

    @classmethod
    def _load_file(cls, file: Path, format: Format | None) -> "Vectors":
        found = read_vectors(file, format)
        meta = {"read_from": file.name, "read_format": found.format, "notices": found.notices}
        return cls(found.vocab, found.matrix_VD, meta=meta)

    def write(
        self,
        file: str | Path,
        format: Format | None = None,
        bad_tokens: BadTokens = "error",
        *,
        force: bool = False,
    ) -> Written:
        """Write a file for other tools (see formats.write_vectors), or a folder if its name ends in .w2v."""
        file = Path(file)
        self._check_finite(RunError, f"{file} was not written; train again with a lower learning rate.")
        if check_output(file, format, force=force) == "nlpseq":
            self.save(file, force=force)
            return Written((file,), len(self.vocab), [])
        if self.is_sparse:
            raise DataError(
                "PPMI vectors are one sparse matrix, which only a folder of nlpseq holds. "
                "To write other formats train dense ones, by train-counts --method ppmi-svd."
            )
        return write_vectors(file, self.vocab, self.matrix, format, bad_tokens, force=force)

    def _check_finite(self, raised: type[NlpseqError], way_out: str) -> None:
        if self.is_sparse:  # load_csr has checked what it reads
            if not np.isfinite(self.matrix.data).all():
                raise raised(f"the matrix holds numbers that are not finite. {way_out}")
            return
        for matrix in [self.matrix] if self.contexts is None else [self.matrix, self.contexts]:
            for start in range(0, len(matrix), _CHECKED_ROWS):
                finite = np.isfinite(matrix[start : start + _CHECKED_ROWS]).all(axis=1)
                if not finite.all():
                    word = self.vocab.words[start + int(np.argmin(finite))]
                    raise raised(f"the vector of {word!r} holds numbers that are not finite. {way_out}")


def _check_notices(path: Path, meta: artifact.Meta) -> None:
    """ArtifactError where what a person is told of the vectors is no list of texts."""
    notices = meta.get("notices", [])
    if not isinstance(notices, list) or not all(isinstance(notice, str) for notice in notices):
        raise ArtifactError(f"{path / 'meta.json'} has notices that are no texts. Make the folder anew.")


def _bound(scores_V: npt.NDArray[np.float32], top: int) -> np.float32:
    """A score that `top` words reach and few others: the `top`-th of the highest of each group of words.

    The highest of groups are found in a fraction of the time that the `top`-th of all takes.
    """
    size = max(1, len(scores_V) // (_GROUPS * top))
    whole = len(scores_V) // size * size
    highest = scores_V[:whole].reshape(-1, size).max(axis=1)
    bound: np.float32 = np.partition(highest, -top)[-top]
    return bound


def _dense(rows: Any) -> Floats:
    dense: Floats = rows.toarray() if hasattr(rows, "toarray") else rows
    return dense


def _load_explicit(path: Path, shape: tuple[object, object], num_stored: object) -> Any:
    """A sparse matrix whose dimensions are words too."""
    if shape[0] != shape[1]:
        raise ArtifactError(
            f"{path / 'meta.json'} has {shape[0]} words and {shape[1]} dimensions, which explicit vectors "
            "have as many of. Make the folder anew."
        )
    return load_csr(path, (cast(int, shape[0]), cast(int, shape[0])), num_stored, np.float32)


def _unit_rows(matrix: Any) -> Any:
    """A CSR matrix with every row scaled to length 1."""
    squares_V = np.bincount(_row_of_each(matrix), np.square(matrix.data, dtype=np.float64), matrix.shape[0])
    length_V = np.sqrt(squares_V)
    length_V[length_V == 0] = 1
    data = (matrix.data / length_V[_row_of_each(matrix)]).astype(np.float32)
    return as_csr(matrix.shape, data, matrix.indices, matrix.indptr)


def _row_of_each(matrix: Any) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def load_matrix(file: Path, shape: tuple[object, object]) -> Floats:
    """A mapped float32 matrix of this shape; ArtifactError where it is anything else."""
    matrix = load_array(file, np.float32, ndim=2)
    if matrix.shape != shape:
        raise ArtifactError(f"{file} has shape {matrix.shape}, meta.json says {shape}. Make the folder anew.")
    return matrix


def _close_words(word: str, words: Sequence[str]) -> list[str]:
    """Up to three words a person may have meant: the same but for case, then those spelt alike.

    Only words of about the same length with the same first letter or last two are compared letter by letter,
    and of those only the most frequent, so that the answer comes at once for any vocabulary.
    """
    folded = word.casefold()
    same = [other for other in words if other.casefold() == folded]
    first, last = word[:1], word[-2:]
    nearby = range(len(word) - 2, len(word) + 3)
    alike = [w for w in words if len(w) in nearby and (w.startswith(first) or w.endswith(last))]
    found = same + get_close_matches(word, alike[:_CLOSE_ENOUGH], n=3)
    return list(dict.fromkeys(found))[:3]
