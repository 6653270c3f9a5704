"""Count how often each word occurs near each other word, as a sparse matrix.

Unknown words and tokens dropped by subsampling are removed first, so a window reaches over them. A window
never reaches into another sentence. tests/reference/cooccurrence.py counts the same in plain loops.

The positions of every word are listed. For a row of the matrix the kernel visits the neighbors of each
position of the word and adds to a sum for each column. Columns are marked in a bit set, so that they come out
in order without sorting. Threads share the rows, which are independent, and weights are integers, so the
result is the same to the bit for any number of threads and any memory limit.

Letters: V words.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nlpseq.config import CooccurrenceConfig, TextConfig
from nlpseq.config.fields import from_dict, split_settings
from nlpseq.core.cache_dir import cache_dir, use_cache_for_numba
from nlpseq.core.counter_rng import Stream, stream_key
from nlpseq.core.resources import available_cores, check_memory
from nlpseq.dataset.encode_cache import as_dataset
from nlpseq.dataset.joint_vocab import rows_of_words
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DISK_FULL, ArtifactError, ConfigError, ResourceError
from nlpseq.reading.corpus import Corpus, Source
from nlpseq.storage import artifact
from nlpseq.storage.arrays import NpyWriter, load_array
from nlpseq.storage.locks import remove_stale_temporaries, temporary
from nlpseq.storage.sparse import as_csr, load_csr, save_csr
from nlpseq.training.provenance import describe_source

__all__ = [
    "BLOCK_TOKENS",
    "KIND",
    "UNIT",
    "VERSION",
    "Cooccurrence",
    "Text",
    "add_counts",
    "count_cooccurrences",
    "count_matrix",
    "describe_text",
    "find_or_count",
    "join_rows",
]

KIND, VERSION = "cooccurrence", 1
UNIT = 1 << 30  # sum of a pair of weight 1, so that 1/distance is an integer, too
BLOCK_TOKENS = 1 << 20  # read at once

_POSITION_BYTES = 8  # for each occurrence of a word
_COLUMN_BYTES = 24  # for each column of a row, at the peak
_ADDED_PAIR = 50  # bytes of memory for each pair of two matrices that are added


class Text(NamedTuple):
    """Tokens to count. Ids from V up are unknown words."""

    tokens: npt.NDArray[np.integer[Any]]
    sentences: npt.NDArray[np.int64]  # start of each, and the end of the last
    keep_V: npt.NDArray[np.uint32]  # keep_thresholds of the words


@dataclass(frozen=True)
class Cooccurrence:
    """Raw counts of neighboring words, without smoothing.

    matrix: float64, (V, V); row v counts the contexts of word v. vocab: the words, without specials.
    """

    matrix: csr_array
    vocab: Vocab
    config: CooccurrenceConfig
    meta: artifact.Meta

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the matrix, the vocabulary and the settings into a folder."""
        made = {
            "config": asdict(self.config),
            "num_words": len(self.vocab),
            "num_pairs": int(self.matrix.nnz),
        }
        known = {
            key: value for key, value in self.meta.items() if key in ("text_config", "num_tokens", "cluster")
        }
        with artifact.create(Path(path), KIND, VERSION, force=force) as folder:
            folder.write_meta(known | made | {"vocab_digest": self.vocab.digest})
            self.vocab.save(folder.path / "vocab.tsv")
            save_csr(folder, self.matrix, np.float64)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = True) -> "Cooccurrence":
        """Open the counts in a folder, with memory-mapped arrays.

        verify=False skips the sha256 of the files. Raises ArtifactError if the folder is corrupt.
        """
        path = Path(path)
        return artifact.load_consistent(path, lambda: cls._load_parts(path, verify))

    @classmethod
    def _load_parts(cls, path: Path, verify: bool) -> "Cooccurrence":
        meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
        vocab = Vocab.load(path / "vocab.tsv")
        try:
            config = from_dict(CooccurrenceConfig, meta["config"])
        except (KeyError, TypeError, ConfigError) as error:
            raise ArtifactError(
                f"{path / 'meta.json'}: no valid config ({error}). Run nlpseq train-counts again."
            ) from error
        described = meta.get("num_words"), 0, meta.get("vocab_digest")
        if (len(vocab), vocab.num_specials, vocab.digest) != described:
            raise ArtifactError(
                f"{path / 'vocab.tsv'}: not the vocabulary of meta.json. Run nlpseq train-counts again."
            )
        matrix = load_csr(path, (len(vocab), len(vocab)), meta.get("num_pairs"), np.float64)
        return cls(matrix, vocab, config, meta)


def count_cooccurrences(
    data: TokenDataset | Corpus | Source,
    config: CooccurrenceConfig | None = None,
    *,
    threads: int | None = None,
    memory_bytes: int = 2 << 30,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Cooccurrence:
    """Count the neighbors of every word of the vocabulary.

    data: an encoded corpus, or a source as in open_corpus. settings: fields of config, and of TextConfig for
    a source. threads: default all cores of this process; the counts do not depend on the number. progress:
    called with words done and words in total. memory_bytes: limit of the memory, besides memory-mapped files
    in the cache; with less memory the text is read more often. Raises ResourceError if the disk is full.
    """
    counting, text = split_settings(CooccurrenceConfig, config, settings, TextConfig)
    data = as_dataset(data, text, threads=threads)
    vocab = data.vocab.without_specials()
    tokens = Text(data.tokens, data.sentences, keep_thresholds(data.word_counts, counting.subsample))
    matrix = count_matrix(tokens, counting, threads or available_cores(), memory_bytes, progress)
    return Cooccurrence(matrix, vocab, counting, describe_text(data))


def find_or_count(
    data: TokenDataset,
    config: CooccurrenceConfig,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    notice: Callable[[str], None] = lambda message: None,
    count: Callable[[TokenDataset], Cooccurrence] | None = None,
) -> Cooccurrence:
    """Return the counts of the train split, from the folder of the corpus if the same are stored there.

    notice: told which stored counts are used or not. count: counts the train split of a corpus, in place of
    count_cooccurrences. meta has `count_seconds`. Raises ConfigError for other
    settings than of the counts in a corpus with a start, because these cannot be counted again.
    """
    started, stored, counts = time.perf_counter(), data.path / "cooccurrence", None
    if stored.exists():
        counts = _find(stored, data, config, notice)
    elif "start" in data.meta:
        notice(f"{data.name}: has no counts of earlier texts, so only this text is counted")
    if counts is None and count is not None:
        counts = count(data)
    elif counts is None:
        counts = count_cooccurrences(data.split("train"), config, threads=threads, progress=progress)
    counts.meta["count_seconds"] = time.perf_counter() - started
    return counts


def _find(
    stored: Path, data: TokenDataset, config: CooccurrenceConfig, notice: Callable[[str], None]
) -> Cooccurrence | None:
    """Return the counts stored in a corpus, or None if they have other settings; see find_or_count."""
    found = Cooccurrence.load(stored)
    has, wanted = asdict(found.config), asdict(config)
    is_random = config.subsample > 0  # else the seed has no effect
    names = [name for name in has if has[name] != wanted[name] and (is_random or name != "seed")]
    differences = [f"{name} {has[name]} (not {wanted[name]})" for name in names]
    if found.vocab.digest != data.vocab.without_specials().digest:
        differences = ["another vocabulary"]
    if not differences:
        notice(f"counts of {stored}")
        return Cooccurrence(
            found.matrix, found.vocab, config, found.meta | describe_text(data.split("train"))
        )
    if "start" in data.meta:
        options = " ".join(f"--{name.replace('_', '-')} {has[name]}" for name in names)
        raise ConfigError(
            f"{stored}: has {', '.join(differences)}, and the earlier texts cannot be counted again. Use "
            + (options or "the texts themselves, or encode them again")
            + "."
        )
    notice(f"counts of {stored} have {', '.join(differences)}; counting again")
    return None


def add_counts(earlier: Cooccurrence, new: Cooccurrence) -> Cooccurrence:
    """Return the sum of the counts of earlier texts and of a new text with their joint vocabulary.

    The result is the same to the bit as a count of all texts at once with this vocabulary and without
    subsampling, if no new word occurs in the earlier texts, where it would be an unknown word, no word was
    dropped, and no pair occurs 2^23 times or more. Raises ConfigError for other settings.
    """
    has, wanted = asdict(earlier.config), asdict(new.config)
    for name in has:
        if has[name] != wanted[name]:
            raise ConfigError(
                f"{name}: is {has[name]} in the earlier counts, not {wanted[name]}. Use the same settings."
            )
    check_memory(_ADDED_PAIR * (earlier.matrix.nnz + new.matrix.nnz), "--max-vocab")
    matrix = _renumbered(earlier, new.vocab) + new.matrix
    matrix.sort_indices()
    tokens = {"num_tokens": earlier.meta.get("num_tokens", 0) + new.meta.get("num_tokens", 0)}
    return Cooccurrence(matrix, new.vocab, new.config, new.meta | tokens)


def _renumbered(counts: Cooccurrence, vocab: Vocab) -> csr_array:
    """Return the matrix with the ids of another vocabulary, without words that it lacks."""
    ids_S = rows_of_words(counts.vocab.words, vocab).astype(np.int32)
    known_S, num_words = np.flatnonzero(ids_S >= 0), len(vocab)
    rows = counts.matrix[known_S[np.argsort(ids_S[known_S])]]  # the known words, in their new order
    column_N = ids_S[rows.indices]
    is_kept_N = column_N >= 0
    kept_before_N = np.append(0, np.cumsum(is_kept_N))
    sizes_V = np.zeros(num_words, np.int64)
    sizes_V[np.sort(ids_S[known_S])] = np.diff(kept_before_N[rows.indptr])
    starts_V = np.append(0, np.cumsum(sizes_V))
    matrix = as_csr((num_words, num_words), rows.data[is_kept_N], column_N[is_kept_N], starts_V)
    matrix.sort_indices()
    return matrix


def describe_text(data: TokenDataset) -> artifact.Meta:
    """Return fields of meta.json about the corpus that was counted."""
    return {
        "text_config": asdict(data.config),
        "num_tokens": data.num_tokens,
        "corpus": data.meta.get("corpus"),
        "data_digest": data.digest,
        "data_vocab_digest": data.vocab.digest,
        "source": describe_source(data),
    }


def count_matrix(
    text: Text,
    config: CooccurrenceConfig,
    threads: int,
    memory_bytes: int,
    progress: Callable[[int, int], None] | None = None,
    block_tokens: int = BLOCK_TOKENS,
    *,
    in_units: bool = False,
) -> csr_array:
    """Return the counts of a text as a (V, V) matrix, in blocks of tokens.

    in_units: int64, to be divided by UNIT, so that counts of parts of a text can be added without rounding.
    """
    use_cache_for_numba()
    num_words = len(text.keep_V)
    with _scratch() as folder, ThreadPoolExecutor(threads) as pool:
        key = stream_key(config.seed, Stream.KEEP, 0)
        stream, counts_V = _compact(folder / "stream.npy", text, key, block_tokens)
        starts_V = np.cumsum([0, *counts_V])

        def blocks() -> Iterator[tuple[Any, Any, Any]]:
            for rows in _counted(stream, starts_V, config, pool, threads, memory_bytes):
                yield rows.sums if in_units else rows.sums / UNIT, rows.columns, rows.sizes
                if progress is not None:
                    progress(int(starts_V[rows.last]), int(starts_V[-1]))

        return join_rows(blocks(), num_words, np.int64 if in_units else np.float64)


def join_rows(
    blocks: Iterable[tuple[npt.NDArray[Any], npt.NDArray[np.int32], npt.NDArray[np.int64]]],
    num_words: int,
    dtype: type[np.generic],
) -> csr_array:
    """Return a (V, V) matrix, mapped from deleted files; blocks: data, columns and sizes of rows."""
    sizes = [np.zeros(1, np.int64)]
    with _scratch() as folder:
        files = {name: folder / f"{name}.npy" for name in ("data", "indices")}
        with NpyWriter(files["data"], dtype) as data, NpyWriter(files["indices"], np.int32) as indices:
            for data_N, columns_N, sizes_R in blocks:
                data.append(data_N)
                indices.append(columns_N)
                sizes.append(sizes_R)
        mapped = load_array(files["data"], dtype, 1), load_array(files["indices"], np.int32, 1)
    return as_csr((num_words, num_words), *mapped, np.cumsum(np.concatenate(sizes)))


class _Rows(NamedTuple):
    """Consecutive rows of the matrix."""

    last: int  # exclusive
    columns: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def _compact(
    file: Path, text: Text, key: int, block_tokens: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Write the kept words to a file, with the id V before and after each sentence.

    Return the ids, mapped from the file, and the count of each word.
    """
    from nlpseq.counts.cooccurrence_numba import compact

    tokens, sentences = np.asarray(text.tokens), np.asarray(text.sentences)
    separator = np.array([len(text.keep_V)], np.uint32)
    filled = np.empty(2 * block_tokens, np.uint32)  # because every token may end a sentence
    counts_V, sentence = np.zeros(len(text.keep_V) + 1, np.int64), 0
    with NpyWriter(file, np.uint32) as stream:
        stream.append(separator)
        for start in range(int(sentences[0]), int(sentences[-1]), block_tokens):
            stop = min(start + block_tokens, int(sentences[-1]))
            span = sentence, start, stop, text.keep_V, np.uint64(key), filled
            count, sentence = compact(tokens, sentences, *span)
            stream.append(filled[:count])
            counts_V += np.bincount(filled[:count], minlength=len(counts_V))
        stream.append(separator)
    return np.asarray(load_array(file, np.uint32, 1)), counts_V[:-1]


def _counted(
    stream: npt.NDArray[np.uint32],
    starts_V: npt.NDArray[np.int64],
    config: CooccurrenceConfig,
    pool: ThreadPoolExecutor,
    threads: int,
    memory_bytes: int,
) -> Iterator[_Rows]:
    """Count and yield all rows in order.

    memory_bytes: half for the word positions of a group of rows, half for the counted rows.
    """
    from nlpseq.counts.cooccurrence_numba import count_rows, find_positions

    num_words, sides = len(starts_V) - 1, (config.side != "right", config.side != "left")
    distances, is_harmonic = range(1, config.window + 1), config.weighting == "harmonic"
    weights = np.array([0, *(UNIT // distance if is_harmonic else UNIT for distance in distances)])
    max_columns_V = np.minimum(np.diff(starts_V) * config.window * sum(sides), num_words)

    def count(
        positions: npt.NDArray[np.int64], first_V: npt.NDArray[np.int64], span: tuple[int, int]
    ) -> _Rows:
        first, last = span
        capacity = int(max_columns_V[first:last].sum())
        columns, sums = np.empty(capacity, np.int32), np.empty(capacity, np.int64)
        sizes = np.empty(last - first, np.int64)
        found = count_rows(
            stream, positions, first_V, first, last, weights, *sides, num_words, columns, sums, sizes
        )
        return _Rows(last, columns[:found], sums[:found], sizes)

    task_bytes = max(1, memory_bytes // 2 // (2 * threads))
    for first, last in _spans(np.diff(starts_V) * _POSITION_BYTES, memory_bytes // 2):
        first_V = starts_V - starts_V[first]
        positions = np.empty(int(first_V[last]), np.int64)
        find_positions(stream, first, last, first_V[:-1].copy(), positions)
        spans = _spans(max_columns_V[first:last] * _COLUMN_BYTES, task_bytes)
        tasks = [(first + begin, first + end) for begin, end in spans]
        for start in range(0, len(tasks), 2 * threads):  # because results take memory
            yield from pool.map(partial(count, positions, first_V), tasks[start : start + 2 * threads])


def _spans(bytes_N: npt.NDArray[np.int64], max_bytes: int) -> list[tuple[int, int]]:
    """Cut items into spans of at most max_bytes; a larger item is a span of its own."""
    ends_N = np.cumsum(bytes_N)
    spans, first = list[tuple[int, int]](), 0
    while first < len(bytes_N):
        before = int(ends_N[first] - bytes_N[first])
        last = max(first + 1, int(np.searchsorted(ends_N, before + max_bytes, side="right")))
        spans.append((first, last))
        first = last
    return spans


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a temporary folder in the cache; arrays mapped from its files survive the removal."""
    parent = cache_dir()
    try:
        remove_stale_temporaries(parent)
        with temporary(parent / uuid.uuid4().hex) as folder:
            folder.mkdir()
            yield folder
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise ResourceError(
            f"{parent}: the disk ran full while counting. "
            "Free some space, choose another disk with NLPSEQ_CACHE_DIR, or raise memory_bytes."
        ) from error
