"""Read and write models of fastText: .bin, and .ftz with quantized matrices.

    magic, version              int32; versions 11 and 12
    settings                    12 int32, a float64: see Settings
    sizes of the dictionary     int32 entries, words, labels; int64 tokens, kept buckets (-1: not pruned)
    entries                     bytes, NUL, int64 count, int8 type (0 word, 1 label); words first
    kept buckets                pairs of int32: bucket, row; only of a pruned model
    input                       bool quantized; matrix of words, then of buckets of n-grams
    output                      bool quantized; matrix of words, or of labels

A dense matrix is int64 rows, int64 columns and float32. A quantized matrix has a code for each part of a
row, which names one of 256 centroids (Jégou et al. 2011, doi:10.1109/TPAMI.2010.57). All numbers are
little-endian.

The vector of a word is the mean of its own row and of the rows of its n-grams (vectors/subwords.py). An
uncompressed file is mapped, and these means are computed when they are used, so that a model larger than
memory can be queried; a file must not be truncated meanwhile. A row with nan or inf, as fastText itself
writes for some n-grams, counts as zeros. The layout is that of fastText (src/fasttext.cc, dictionary.cc,
quantmatrix.cc and productquantizer.cc, MIT).

Letters: V words, B buckets, R rows, N rows taken, D dimensions, P parts of a row, C centroids, S numbers of a
part, K buckets that are kept.
"""

import mmap
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import MAX_NGRAM, Ngrams
from nlpseq.config.fields import is_whole
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, DataError
from nlpseq.vectors.compact_matrix import CompactMatrix
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import Source
from nlpseq.vectors.formats.rows import WORD_ENCODING, VectorFile, VectorRows
from nlpseq.vectors.lazy_rows import LazyRows, row_blocks
from nlpseq.vectors.subwords import Pruned, SubwordVectors

__all__ = ["MAGIC", "Settings", "read_fasttext", "write_fasttext"]

_NUMBER = 793712314
MAGIC = struct.pack("<i", _NUMBER)
_VERSIONS = (11, 12)
_CBOW, _SKIPGRAM, _SUPERVISED = 1, 2, 3
_MODELS = {_CBOW: "cbow", _SKIPGRAM: "skipgram", _SUPERVISED: "supervised"}
_HIERARCHICAL, _NEGATIVE_SAMPLING, _SOFTMAX, _ONE_VS_ALL = 1, 2, 3, 4
_WORD, _LABEL = 0, 1
_CENTROIDS = 256
_MAX_ENTRY_BYTES = 1 << 16
_MAX_MAGNITUDE = 1e15  # of a number; sums and squares of such numbers stay finite
_MAX_NAMED = 5  # rows in a notice

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Settings(NamedTuple):
    """Settings of the training, by the names of fastText's options, as they lie in the file."""

    dim: int
    ws: int = 5
    epoch: int = 5
    minCount: int = 1
    neg: int = 5
    wordNgrams: int = 1
    loss: int = _NEGATIVE_SAMPLING
    model: int = _SKIPGRAM
    bucket: int = 0
    minn: int = 0
    maxn: int = 0
    lrUpdateRate: int = 100
    t: float = 1e-4

    @property
    def has_ngrams(self) -> bool:
        """Tell if words have n-grams."""
        return self.maxn >= max(1, self.minn)


_SETTINGS = struct.Struct("<12id")
_SIZES = struct.Struct("<3i2q")
_ENTRY_END = struct.Struct("<qb")


class _Dictionary(NamedTuple):
    words: list[str]
    counts: Ints
    num_labels: int
    pruned: Pruned | None
    pruned_rows_K: Ints  # row of each kept bucket


def read_fasttext(source: Source) -> VectorFile:
    """Read a model; its vectors are computed from the file when they are used."""
    content = _Content(source)
    settings = _read_settings(content)
    dictionary = _read_dictionary(content, settings)
    num_words, dim = len(dictionary.words), settings.dim
    num_buckets = settings.bucket if dictionary.pruned is None else len(dictionary.pruned.buckets_K)
    is_quantized = content.flag("input matrix")
    if dictionary.pruned is not None and not is_quantized:
        raise source.corrupt("has pruned n-grams without quantized vectors, which fastText does not read")
    input_RD = _read_matrix(content, "input matrix", (num_words + num_buckets, dim), is_quantized)
    is_supervised = settings.model == _SUPERVISED
    num_outputs = dictionary.num_labels if is_supervised else num_words
    quantized_output = content.flag("output matrix") and is_quantized
    output_RD = _read_matrix(content, "output matrix", (num_outputs, dim), quantized_output)
    content.expect_end()
    has_contexts = not is_supervised and settings.loss in (_NEGATIVE_SAMPLING, _SOFTMAX)
    top = min(num_words, source.options.load_top or num_words)
    words, own_VD, subwords = dictionary.words[:top], input_RD.select(slice(top)), None
    vectors_VD = _usable(own_VD)
    if settings.has_ngrams:
        vectors_VD, subwords = _means(own_VD, words, _subwords(input_RD, num_words, settings, dictionary))
    parts = {"row": own_VD, "n-gram row": input_RD.select(slice(num_words, None))}
    parts |= {"output row": output_RD.select(slice(top))} if has_contexts else {}
    not_finite, notices = _check_rows(parts, words) if source.options.verify else ([], [])
    return VectorFile(
        Vocab(words, dictionary.counts[:top]),
        CompactMatrix(vectors_VD),
        TITLES["fasttext"],
        notices,
        not_finite=not_finite,
        contexts=CompactMatrix(_usable(parts["output row"])) if has_contexts else None,
        subwords=subwords,
        meta={"model": f"fastText {_MODELS[settings.model]}", "fasttext": settings._asdict()},
    )


class _Content:
    """The bytes of a file, mapped unless compressed, read from the front with every size checked."""

    def __init__(self, source: Source) -> None:
        self.source, self._offset = source, 0
        if source.compressed or source.size == 0:  # because an empty file cannot be mapped
            self._data: Any = source.stream.read()
        else:
            with source.file.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def take(self, fields: struct.Struct, what: str) -> tuple[Any, ...]:
        """Return the next fields."""
        return fields.unpack_from(self._data, self._advance(fields.size, what))

    def array(self, dtype: str, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
        """Return the next numbers, without a copy."""
        count = int(np.prod([*map(float, shape)]))  # float, because the product may exceed int64
        start = self._advance(count * np.dtype(dtype).itemsize, what)
        return np.frombuffer(self._data, dtype, count, start).reshape(shape)

    def flag(self, what: str) -> bool:
        """Return the next byte, 0 or 1."""
        (value,) = self.take(struct.Struct("<B"), what)
        if value > 1:
            raise self.source.corrupt(f"byte {self._offset - 1} before the {what} is {value}, not 0 or 1")
        return bool(value)

    def text(self, what: str) -> bytes:
        """Return the bytes before the next NUL."""
        end = self._data.find(b"\0", self._offset, self._offset + _MAX_ENTRY_BYTES)
        if end < 0:
            raise self.source.corrupt(f"byte {self._offset} does not begin {what}: the file is truncated")
        start, self._offset = self._offset, end + 1
        return bytes(self._data[start:end])

    def expect_end(self) -> None:
        if left := len(self._data) - self._offset:
            raise self.source.corrupt(f"continues after the model by {count_text(left, 'byte')}")

    def _advance(self, num_bytes: int, what: str) -> int:
        """Return the offset of the next bytes; raise ArtifactError if the file has fewer."""
        start, left = self._offset, len(self._data) - self._offset
        if num_bytes > left:
            raise self.source.corrupt(
                f"ends in the {what}, which declares {num_bytes:,} bytes and has {left:,}: the file is "
                "truncated, or a size is wrong"
            )
        self._offset += num_bytes
        return start


def _read_settings(content: _Content) -> Settings:
    """Return the settings; raises ArtifactError for a version or settings that cannot be."""
    source = content.source
    magic, version = content.take(struct.Struct("<2i"), "header")
    if magic != _NUMBER:
        raise ArtifactError(
            f"{source.name}: does not begin as a model of fastText. "
            "Name the right format with --from, or none."
        )
    if version not in _VERSIONS:
        raise DataError(
            f"{source.name}: is a fastText model of version {version}, and nlpseq reads 11 and 12. "
            "Write the model again with fastText 0.9.2 or later."
        )
    settings = Settings(*content.take(_SETTINGS, "settings"))
    if settings.model not in _MODELS or not _HIERARCHICAL <= settings.loss <= _ONE_VS_ALL:
        raise source.corrupt(f"has the unknown model {settings.model} or loss {settings.loss}")
    if version == 11 and settings.model == _SUPERVISED:  # had no n-grams of characters
        settings = settings._replace(maxn=0)
    if settings.dim < 1 or settings.bucket < 0 or settings.minn < 0 or settings.maxn < 0:
        raise source.corrupt(
            f"declares {settings.dim} dimensions, {settings.bucket} buckets and n-grams of {settings.minn} "
            f"to {settings.maxn} characters"
        )
    if settings.has_ngrams and settings.bucket == 0:
        raise source.corrupt(f"declares n-grams of up to {settings.maxn} characters without a bucket")
    if settings.has_ngrams and settings.maxn > MAX_NGRAM:
        raise DataError(
            f"{source.name}: has n-grams of up to {settings.maxn} characters, and nlpseq reads n-grams up to "
            f"{MAX_NGRAM}. Train the model again with -maxn {MAX_NGRAM}, or use its .vec file."
        )
    return settings


def _read_dictionary(content: _Content, settings: Settings) -> _Dictionary:
    """Return words, counts and kept buckets; labels are only counted."""
    source = content.source
    num_entries, num_words, num_labels, _, num_pruned = content.take(_SIZES, "sizes of the dictionary")
    if num_words < 1 or num_labels < 0 or num_entries != num_words + num_labels or num_pruned < -1:
        raise source.corrupt(
            f"declares {num_entries} entries, of which {num_words} are words and {num_labels} labels"
        )
    words, counts = list[str](), array("q")
    for row in range(num_entries):
        word = content.text(f"entry {row + 1:,} of {num_entries:,}")
        count, kind = content.take(_ENTRY_END, f"entry {row + 1:,} of {num_entries:,}")
        if kind != (_WORD if row < num_words else _LABEL) or count < 0:
            raise source.corrupt(f"entry {row + 1:,} has the count {count} and the type {kind}")
        if row < num_words:
            words.append(word.decode(*WORD_ENCODING))
            counts.append(count)
    if len(set(words)) != num_words:
        raise source.corrupt("has a word twice in its dictionary")
    pruned, rows_K = None, np.zeros(0, np.int64)
    if num_pruned >= 0:
        pruned, rows_K = _read_pruned(content, num_pruned, settings)
    return _Dictionary(words, np.array(counts, np.int64), num_labels, pruned, rows_K)


def _read_pruned(content: _Content, number: int, settings: Settings) -> tuple[Pruned, Ints]:
    """Return the kept buckets, rising, and the row of each."""
    pairs_K2 = content.array("<i4", (number, 2), "list of pruned n-grams").astype(np.int64)
    pairs_K2 = pairs_K2[np.argsort(pairs_K2[:, 0], kind="stable")]
    buckets_K, rows_K = pairs_K2.T
    are_buckets = (np.diff(buckets_K, prepend=-1) > 0).all() and (buckets_K < settings.bucket).all()
    if not are_buckets or (np.sort(rows_K) != np.arange(number)).any():
        raise content.source.corrupt("has a list of pruned n-grams that repeats or exceeds its buckets")
    return Pruned(settings.bucket, buckets_K), rows_K


def _read_matrix(content: _Content, what: str, shape: tuple[int, int], is_quantized: bool) -> LazyRows:
    """Return a matrix whose rows are read when they are taken, not yet checked."""
    norm_of = None
    if is_quantized:
        has_norms = content.flag(f"norms of the {what}")
    declared = content.take(struct.Struct("<2q"), what)
    if declared != shape:
        raise content.source.corrupt(
            f"has an {what} of {declared[0]:,} x {declared[1]:,} numbers, not of {shape[0]:,} x {shape[1]:,}"
        )
    if not is_quantized:
        table_RD = content.array("<f4", shape, what)
        return LazyRows(shape, lambda ids: table_RD[ids].astype(np.float32, copy=False))
    (num_codes,) = content.take(struct.Struct("<i"), what)
    codes = content.array("u1", (max(0, num_codes),), what)
    decode, num_parts = _read_quantizer(content, what, shape[1])
    if len(codes) != shape[0] * num_parts:
        raise content.source.corrupt(f"has {len(codes):,} codes in the {what}, not {num_parts} for each row")
    codes_RP = codes.reshape(shape[0], num_parts)
    if has_norms:
        norm_codes_R1 = content.array("u1", (shape[0], 1), f"norms of the {what}")
        norm_of, _ = _read_quantizer(content, f"norms of the {what}", 1)

    def take(ids: Ints) -> Floats:
        rows_ND = decode(codes_RP[ids])
        return rows_ND if norm_of is None else rows_ND * norm_of(norm_codes_R1[ids])

    return LazyRows(shape, take)


def _read_quantizer(
    content: _Content, what: str, dim: int
) -> tuple[Callable[[npt.NDArray[np.uint8]], Floats], int]:
    """Return a function from codes, (N, P), to numbers, (N, D), and the number of parts."""
    sizes = content.take(struct.Struct("<4i"), f"centroids of the {what}")
    declared_dim, num_parts, size, last_size = sizes
    is_sound = size >= 1 and num_parts == -(-dim // size) and last_size == dim - (num_parts - 1) * size
    if declared_dim != dim or not is_sound:
        raise content.source.corrupt(
            f"divides {declared_dim} numbers of the {what} into {num_parts} parts of {size}, the last of "
            f"{last_size}"
        )
    flat = content.array("<f4", (_CENTROIDS * dim,), f"centroids of the {what}").astype(np.float32)
    before = (num_parts - 1) * size
    first_PCS = flat[: _CENTROIDS * before].reshape(num_parts - 1, _CENTROIDS, size)
    last_CS = flat[_CENTROIDS * before :].reshape(_CENTROIDS, last_size)

    def decode(codes_NP: npt.NDArray[np.uint8]) -> Floats:
        rows_ND = np.empty((len(codes_NP), dim), np.float32)
        for p in range(num_parts - 1):
            rows_ND[:, p * size : (p + 1) * size] = first_PCS[p, codes_NP[:, p]]
        rows_ND[:, before:] = last_CS[codes_NP[:, -1]]
        return rows_ND

    return decode, num_parts


def _subwords(
    input_RD: LazyRows, num_words: int, settings: Settings, dictionary: _Dictionary
) -> SubwordVectors:
    """Return the rows of n-grams."""
    ngrams = Ngrams(max(1, settings.minn), settings.maxn)
    if dictionary.pruned is None:
        return SubwordVectors(input_RD.select(slice(num_words, None)), ngrams)
    kept_KD = input_RD.select(num_words + dictionary.pruned_rows_K)
    return SubwordVectors(kept_KD, ngrams, dictionary.pruned)


def _means(
    own_VD: LazyRows, words: Sequence[str], subwords: SubwordVectors
) -> tuple[LazyRows, SubwordVectors]:
    """Return the vectors of words, and the rows of n-grams with zeros for unusable rows."""
    usable = subwords._replace(rows_BD=_usable(subwords.rows_BD))
    return usable.with_own_rows(words, _usable(own_VD)), usable


def _check_rows(parts: Mapping[str, LazyRows], words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Read all rows; return the words whose own row is unusable, and a notice for each part with such rows.

    parts: rows by a name for the notice.
    """
    found = {name: _find_unusable(rows_RD) for name, rows_RD in parts.items()}
    notices = [
        f"{count_text(len(rows), name)} not finite or too large, read as zeros: {_named(name, rows, words)}"
        for name, rows in found.items()
        if rows
    ]
    return [words[row] for row in found["row"]], notices


def _named(name: str, rows: list[int], words: Sequence[str]) -> str:
    """Return the numbers of the first rows, of words with the word."""
    shown = [f"row {row + 1:,}" for row in rows[:_MAX_NAMED]]
    if name != "n-gram row":
        shown = [f"{text} ({words[row]!r})" for text, row in zip(shown, rows, strict=False)]
    return ", ".join(shown) + ", ..." * (len(rows) > _MAX_NAMED)


def _find_unusable(rows_RD: LazyRows) -> list[int]:
    found = list[int]()
    with np.errstate(over="ignore", invalid="ignore"):
        for block in row_blocks(len(rows_RD)):
            found += (np.flatnonzero(~_are_usable(rows_RD[block])) + block.start).tolist()
    return found


def _are_usable(rows_ND: Floats) -> npt.NDArray[np.bool_]:
    """Return True for each row whose numbers are finite and not too large."""
    return np.asarray((np.abs(rows_ND) < _MAX_MAGNITUDE).all(axis=1))


def _usable(rows_RD: LazyRows) -> LazyRows:
    """Return the same rows, with zeros for those not finite or with a number too large."""

    def take(ids: Ints) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            taken = rows_RD[ids]
        is_usable_N = _are_usable(taken)
        if not is_usable_N.all():
            taken[~is_usable_N] = 0
        return taken

    return LazyRows(rows_RD.shape, take)


def write_fasttext(rows: VectorRows, stream: BinaryIO) -> None:
    """Write an unsupervised model of version 12, without quantization.

    The own row of a word is chosen so that the mean of its rows is the vector of the word. Words without
    counts have the count 1, and vectors without contexts an output matrix of zeros.
    """
    subwords, dim = rows.model.subwords, rows.matrix_VD.shape[1]
    if subwords is not None and subwords.pruned is not None:
        raise DataError(
            f"{TITLES['fasttext']}: cannot hold a model whose n-grams were pruned by quantization. Write a "
            ".w2v folder, or the vectors of words alone, with --no-oov."
        )
    if subwords is not None and subwords.ngrams.units == "jamo":
        raise DataError(
            f"{TITLES['fasttext']}: has no place for n-grams of jamo, the letters of Hangul, so unseen words "
            "would get other vectors. Write a .w2v folder, or the vectors of words alone, with --no-oov."
        )
    num_words, num_buckets = len(rows.words), 0 if subwords is None else len(subwords.rows_BD)
    counts_V = np.where(rows.counts[rows.rows] < 0, 1, rows.counts[rows.rows])
    stream.write(struct.pack("<2i", _NUMBER, _VERSIONS[-1]))
    stream.write(_SETTINGS.pack(*_settings_to_write(rows.model.meta, subwords, dim)))
    stream.write(_SIZES.pack(num_words, num_words, 0, int(counts_V.sum()), -1))
    for word, count in zip(rows.words, counts_V.tolist(), strict=True):
        stream.write(word.encode(*WORD_ENCODING) + b"\0" + _ENTRY_END.pack(count, _WORD))
    stream.write(b"\0" + struct.pack("<2q", num_words + num_buckets, dim))
    for words, block_BD in rows.blocks():
        _write_rows(stream, block_BD if subwords is None else subwords.own_rows(words, block_BD))
    for block in row_blocks(num_buckets):
        _write_rows(stream, subwords.rows_BD[block])  # type: ignore[union-attr]
    stream.write(b"\0" + struct.pack("<2q", num_words, dim))
    contexts = rows.model.contexts
    for block in row_blocks(num_words):
        ids = rows.rows[block]
        _write_rows(stream, np.zeros((len(ids), dim)) if contexts is None else contexts[ids])


def _settings_to_write(meta: Mapping[str, Any], subwords: SubwordVectors | None, dim: int) -> Settings:
    """Return the settings of an earlier fastText or nlpseq training, as far as they are known."""
    stored, own = (each if isinstance(each, dict) else {} for each in map(meta.get, ("fasttext", "config")))
    names = {"ws": "window", "epoch": "epochs", "neg": "negatives"}
    known: dict[str, Any] = {name: own.get(theirs) for name, theirs in names.items()} | stored
    kept = {
        name: known[name]
        for name in ("ws", "epoch", "minCount", "neg", "lrUpdateRate")
        if is_whole(known.get(name)) and 0 <= known[name] < 1 << 31
    }
    is_cbow = known.get("model") == _CBOW or own.get("objective") == "cbow"
    settings = Settings(dim, **kept, model=_CBOW if is_cbow else _SKIPGRAM)
    if subwords is None:
        return settings
    shortest, longest, _ = subwords.ngrams
    return settings._replace(bucket=len(subwords.rows_BD), minn=shortest, maxn=longest)


def _write_rows(stream: BinaryIO, rows_ND: Any) -> None:
    stream.write(np.ascontiguousarray(rows_ND, "<f4").data)
