"""Read and write the files of stored vectors; Vectors.save and Vectors.load are the way to them.

    vectors.npy   float32, int8 or float16, (V, D)     scales.npy          of int8: float32, (V,)
    contexts.npy  the same, if there are any           context_scales.npy  of int8: float32, (V,)
    vocab.tsv     a line for each row                  tokenizer.json      if the words are tokens of BPE

Sparse vectors have data.npy, indices.npy and indptr.npy instead. A subword model has ngrams.npy too:
float32, (buckets, D). If some buckets are pruned, ngrams.npy has the others alone, and ngram_buckets.npy
their numbers, int64, rising. After a continued training, whose vectors are means over the texts,
last_inputs.npy and last_outputs.npy have the last weights, to continue with, and mean_weights.npy, float64,
(V,), the sums of the weights of the texts that have a word, to average with.

The manifest, sizes and headers are checked whenever a folder is read. The sha256 of all files, all lines of
vocab.tsv and all numbers are checked the first time and after a change: see checked.py.

Letters: V words, D dimensions.
"""

from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from nlpseq.config import MAX_NGRAM, Ngrams, TextConfig, Units
from nlpseq.config.fields import from_stored, is_whole
from nlpseq.core.resources import count_text
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array
from nlpseq.storage.sparse import load_csr
from nlpseq.tokenizers.bpe import BPE, TOKENIZER_FILE
from nlpseq.vectors.checked import FolderRecord
from nlpseq.vectors.compact_matrix import COMPACT_DTYPES, CompactMatrix
from nlpseq.vectors.mapped_vocab import Ints, MappedVocab, WordIndex, index_words
from nlpseq.vectors.subwords import Pruned, SubwordVectors

__all__ = ["COMPACT_VERSION", "KIND", "MEAN_WEIGHTS", "VERSION", "LastWeights", "StoredVectors"]
__all__ += [
    "load_folder",
    "load_matrix",
    "load_mean_weights",
    "write_last",
    "write_matrices",
    "write_subwords",
]

KIND, VERSION = "vectors", 1
COMPACT_VERSION = 2  # of folders with int8 or float16
_FILES = (("vectors.npy", "scales.npy"), ("contexts.npy", "context_scales.npy"))
_NGRAMS, _NGRAM_BUCKETS = "ngrams.npy", "ngram_buckets.npy"
MEAN_WEIGHTS = "mean_weights.npy"
_LAST = ("last_inputs.npy", "last_outputs.npy", MEAN_WEIGHTS)
_AGAIN = "Train the vectors again."

Shape = tuple[object, object]


class LastWeights(NamedTuple):
    """The weights after the last text of a continued training."""

    in_RD: Any  # rows of the words, then of the n-grams if there are any
    out_VD: Any
    sum_V: Any  # sums of the weights of the texts in the means; see word2vec/averaging.py


class StoredVectors(NamedTuple):
    """The parts of a folder; table: places of the words, for the record of a check (see checked.py)."""

    vocab: MappedVocab
    matrix: Any
    contexts: Any
    subwords: SubwordVectors | None
    last: LastWeights | None
    meta: artifact.Meta
    table: Ints
    is_checked: bool  # by an earlier load of the same files


def load_folder(path: Path, record: FolderRecord, verify: bool | None) -> StoredVectors:
    """Read the parts of a folder, with mapped arrays; verify: see Vectors.load.

    Raises ArtifactError if the folder is corrupt, as far as it is checked.
    """
    table = None if verify else record.load()
    meta = artifact.peek_meta(path)
    dtype = meta["dtype"] if meta.get("dtype") in COMPACT_DTYPES else "float32"
    version = VERSION if dtype == "float32" else COMPACT_VERSION
    hashes = verify if verify is not None else table is None
    meta = artifact.load_meta(path, KIND, version, verify=hashes)
    _check_meta(path, meta)
    _check_text_config(path, meta)
    shape = (meta.get("num_words"), meta.get("dim"))
    vocab, places = _load_vocab(path / "vocab.tsv", meta, table)
    if "num_stored" in meta and dtype == "float32":  # explicit vectors, (V, V)
        matrix, contexts = _load_explicit(path, meta), None
    else:
        matrix = _load_stored(path, 0, shape, dtype)
        contexts = _load_stored(path, 1, shape, dtype) if meta.get("has_contexts") else None
    subwords = _load_subwords(path, meta)
    has_last = has_last_weights(path)
    last = _load_last(path, shape, subwords, check=hashes) if has_last else None
    return StoredVectors(vocab, matrix, contexts, subwords, last, meta, places, table is not None)


def has_last_weights(path: Path) -> bool:
    """Return True for a folder of vectors with the last weights of a continued training."""
    return (path / _LAST[0]).exists()


def _check_meta(path: Path, meta: artifact.Meta) -> None:
    """Raise ArtifactError unless the fields of meta.json that queries read have their types."""
    for name in ("notices", "untrained", "not_finite"):
        listed = meta.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise ArtifactError(f"{path / 'meta.json'}: has {name} that are not texts. {_AGAIN}")
    for name in ("config", "cooccurrence_config"):
        if not isinstance(meta.get(name, {}), dict):
            raise ArtifactError(f"{path / 'meta.json'}: has a {name} without settings. {_AGAIN}")
    if not (isinstance(dim := meta.get("dim"), int) and dim > 0):
        raise ArtifactError(f"{path / 'meta.json'}: has {dim} dimensions. {_AGAIN}")


def _check_text_config(path: Path, meta: artifact.Meta) -> None:
    """Raise ArtifactError unless the stored settings of the text are valid.

    The tokenizer may be of a package that is not installed, because only unknown words need the tokenizer.
    """
    stored: Any = meta.get("text_config")
    try:
        if stored is not None:
            from_stored(TextConfig, stored)
    except (ConfigError, TypeError) as error:
        if str(error).startswith("tokenizer: ") and isinstance(stored["tokenizer"], str):
            return
        problem = f"has a text_config that is not valid ({str(error).rstrip('.')})"
        raise ArtifactError(f"{path / 'meta.json'}: {problem}. {_AGAIN}") from error


def _load_vocab(file: Path, meta: artifact.Meta, table: Ints | None) -> tuple[MappedVocab, Ints]:
    """Return the vocabulary, and the table of its index; parse all lines unless given a table."""
    try:
        tokenizer = file.with_name(TOKENIZER_FILE)
        bpe = BPE.load(tokenizer) if tokenizer.exists() else None
    except DataError as error:
        raise ArtifactError(f"{file}: is not a vocabulary of nlpseq ({error}). {_AGAIN}") from error
    if table is None or table.shape[1] != meta.get("num_words"):
        index = index_words(file, bpe)
        if index.digest != meta.get("vocab_digest"):
            raise ArtifactError(f"{file}: does not have the digest in meta.json. {_AGAIN}")
    else:
        index = WordIndex(table, str(meta.get("vocab_digest")))
    vocab = MappedVocab(file, index, bpe)
    if len(vocab) != meta.get("num_words"):
        raise ArtifactError(f"{file}: does not hold {meta.get('num_words')} words. {_AGAIN}")
    if bpe and index.table is not table and vocab.words != bpe.tokens:
        raise ArtifactError(f"{file}: does not hold the tokens of {TOKENIZER_FILE}. {_AGAIN}")
    return vocab, index.table


def _load_explicit(path: Path, meta: artifact.Meta) -> Any:
    num_words, dim = meta.get("num_words"), meta.get("dim")
    if num_words != dim or not isinstance(num_words, int):
        raise ArtifactError(
            f"{path / 'meta.json'}: has {num_words} words and {dim} dimensions, but PPMI vectors are square. "
            "Run `nlpseq train-counts` again."
        )
    return load_csr(path, (num_words, num_words), meta["num_stored"], np.float32)


def _load_stored(path: Path, place: int, shape: Shape, dtype: str) -> Any:
    """Map the words' vectors (place 0) or the contexts (place 1)."""
    name, scales_name = _FILES[place]
    if dtype == "float32":
        return load_matrix(path / name, shape)
    codes = load_matrix(path / name, shape, dtype)
    if dtype == "float16":
        return CompactMatrix(codes)
    scales = load_array(path / scales_name, np.float32, ndim=1)
    if scales.shape != codes.shape[:1] or not (np.isfinite(scales) & (scales >= 0)).all():
        raise ArtifactError(f"{path / scales_name}: is not a finite scale for each word. {_AGAIN}")
    return CompactMatrix(codes, scales)


def _load_subwords(path: Path, meta: artifact.Meta) -> SubwordVectors | None:
    """Map the rows of n-grams, if a folder has them; raises ArtifactError if meta.json does not fit."""
    if "subwords" not in meta:
        return None
    sizes = meta["subwords"]
    names = ("shortest", "longest", "buckets")
    if not isinstance(sizes, dict) or not all(is_whole(sizes.get(name)) for name in names):
        raise ArtifactError(f"{path / 'meta.json'}: has no sizes of n-grams. {_AGAIN}")
    shortest, longest, buckets = (sizes[name] for name in names)
    units = sizes.get("units", "characters")
    if not 1 <= shortest <= longest <= MAX_NGRAM or buckets < 1 or units not in get_args(Units):
        raise ArtifactError(f"{path / 'meta.json'}: has sizes of n-grams that are not valid. {_AGAIN}")
    ngrams = Ngrams(shortest, longest, units)
    if "kept" not in sizes:
        return SubwordVectors(load_matrix(path / _NGRAMS, (buckets, meta.get("dim"))), ngrams)
    buckets_K = load_array(path / _NGRAM_BUCKETS, np.int64, ndim=1).view(np.ndarray)
    if not (np.diff(buckets_K, prepend=-1, append=buckets) > 0).all():
        raise ArtifactError(f"{path / _NGRAM_BUCKETS}: does not rise from 0 to below {buckets}. {_AGAIN}")
    rows_KD = load_matrix(path / _NGRAMS, (len(buckets_K), meta.get("dim")))
    return SubwordVectors(rows_KD, ngrams, Pruned(buckets, buckets_K))


def _load_last(path: Path, shape: Shape, subwords: SubwordVectors | None, *, check: bool) -> LastWeights:
    num_words, dim = shape
    assert isinstance(num_words, int)  # as the vocabulary has
    num_rows = num_words + (0 if subwords is None else len(subwords.rows_BD))
    in_RD = load_matrix(path / _LAST[0], (num_rows, dim))
    out_VD = load_matrix(path / _LAST[1], (num_words, dim))
    return LastWeights(in_RD, out_VD, load_mean_weights(path, num_words, check=check))


def load_mean_weights(path: Path, num_words: int, *, check: bool = True) -> npt.NDArray[np.float64]:
    """Return the sums of weights of a folder; raise ArtifactError unless each word has one from 0 on.

    check=False checks their number alone, because a check of the numbers reads the whole file.
    """
    sum_V = load_array(path / MEAN_WEIGHTS, np.float64, ndim=1)
    if len(sum_V) != num_words or (check and not (np.isfinite(sum_V) & (sum_V >= 0)).all()):
        raise ArtifactError(
            f"{path / MEAN_WEIGHTS}: does not have a finite weight from 0 on for each of the "
            f"{count_text(num_words, 'word')}. {_AGAIN}"
        )
    return np.asarray(sum_V)


def load_matrix(file: Path, shape: Shape, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Map a matrix of this shape and type; raises ArtifactError for any other array."""
    matrix = load_array(file, dtype, ndim=2)
    if matrix.shape != shape:
        raise ArtifactError(f"{file}: has shape {matrix.shape}, meta.json says {shape}. {_AGAIN}")
    return matrix


def write_matrices(folder: artifact.Folder, matrix: Any, contexts: Any) -> None:
    """Write dense vectors and contexts, if any, in the type that they are stored in."""
    for (name, scales_name), each in zip(_FILES, (matrix, contexts), strict=True):
        if isinstance(each, CompactMatrix):
            folder.write_array(name, each.codes)
            if each.scales is not None:
                folder.write_array(scales_name, each.scales)
        elif each is not None:
            folder.write_array(name, each)


def write_last(folder: artifact.Folder, last: LastWeights) -> None:
    """Write the last weights of a continued training."""
    for name, weight in zip(_LAST, last, strict=True):
        folder.write_array(name, weight)


def write_subwords(folder: artifact.Folder, subwords: SubwordVectors) -> dict[str, int | str]:
    """Write the rows of n-grams; return the sizes for meta.json."""
    folder.write_array(_NGRAMS, subwords.rows_BD)
    if subwords.pruned is not None:
        folder.write_array(_NGRAM_BUCKETS, subwords.pruned.buckets_K)
    return subwords.sizes()
