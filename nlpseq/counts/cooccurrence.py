"""How often each word occurs near each other word: windowed co-occurrence counts as a sparse matrix.

count_reference says what is counted. The fast way turns every pair of near tokens into one integer, the key
(row * V + column) * slots + slot, and counts equal keys (see runs.py), whose order is that of the matrix.
Under harmonic weights the slot is the distance, so that all sums but the last are of integers: the result is
the same to the bit however the text was cut into blocks. Letters: V words.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nlpseq import artifact
from nlpseq.cache import cache_dir
from nlpseq.config import CooccurrenceConfig
from nlpseq.counts.runs import Keys, Run, Runs, first_of_equals
from nlpseq.errors import ArtifactError, ConfigError, ResourceError
from nlpseq.settings import from_dict, to_dict
from nlpseq.text.dataset import TokenDataset
from nlpseq.text.vocab import Vocab

KIND, VERSION = "cooccurrence", 1
_ARRAYS = {"data": np.float64, "indices": np.int32, "indptr": np.int64}  # of the matrix, each in its own .npy

_KEY_BYTES = 32  # that counting the keys of a block takes for each of them, at its peak

Tokens = npt.NDArray[np.integer[Any]]


class CountProgress(NamedTuple):
    """How far counting has come."""

    tokens: int  # read so far
    total: int
    spilled_bytes: int  # on disk because memory_bytes did not hold them


@dataclass(frozen=True)
class Cooccurrence:
    """Counts of neighbouring words, raw: smoothing and association measures are for those who read them.

    matrix: float64, (V, V); row v counts the contexts of word v. vocab: the words, without specials.
    """

    matrix: csr_array
    vocab: Vocab
    config: CooccurrenceConfig
    meta: artifact.Meta

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Store the counts as a folder: the arrays of the matrix, the vocabulary and how they were made."""
        made = {
            "config": to_dict(self.config),
            "num_words": len(self.vocab),
            "num_pairs": int(self.matrix.nnz),
        }
        kept = {
            key: value for key, value in self.meta.items() if key in ("text_config", "num_tokens", "notices")
        }
        with artifact.create(Path(path), KIND, VERSION, force=force) as folder:
            folder.write_meta(kept | made | {"vocab_digest": self.vocab.digest})
            self.vocab.save(folder.path / "vocab.tsv")
            for name, dtype in _ARRAYS.items():
                folder.write_array(f"{name}.npy", getattr(self.matrix, name).astype(dtype, copy=False))

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = True) -> "Cooccurrence":
        """The counts stored in a folder, their arrays memory-mapped; ArtifactError where it is damaged.

        verify=False skips the sha256 of the files.
        """
        path = Path(path)
        meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
        vocab = Vocab.load(path / "vocab.tsv")
        try:
            config = from_dict(CooccurrenceConfig, meta["config"])
        except (KeyError, TypeError, ConfigError) as error:
            raise ArtifactError(
                f"{path / 'meta.json'} has no valid config ({error}). Count again."
            ) from error
        if (len(vocab), vocab.num_specials, vocab.digest) != (
            meta.get("num_words"),
            0,
            meta.get("vocab_digest"),
        ):
            raise ArtifactError(
                f"{path / 'vocab.tsv'} is not the vocabulary that meta.json names. Count again."
            )
        arrays = {
            name: artifact.load_array(path / f"{name}.npy", dtype, 1) for name, dtype in _ARRAYS.items()
        }
        _check_arrays(path, meta, **arrays)
        return cls(_matrix(len(vocab), **arrays), vocab, config, meta)


def count_cooccurrences(
    data: TokenDataset,
    config: CooccurrenceConfig = CooccurrenceConfig(),  # noqa: B008  (frozen)
    *,
    memory_bytes: int = 2 << 30,
    progress: Callable[[CountProgress], None] | None = None,
) -> Cooccurrence:
    """Count the neighbours of every word of the vocabulary; exactly what count_reference counts.

    What memory_bytes cannot hold goes through a temporary folder in the cache, which is noted in
    meta["notices"]; the matrix itself is memory-mapped. Raises ResourceError where the disk does not suffice.
    """
    matrix, notices = count_matrix(
        data.tokens, data.sentences, data.vocab.num_words, config, memory_bytes, progress
    )
    meta = {"text_config": to_dict(data.config), "num_tokens": data.num_tokens, "notices": notices}
    return Cooccurrence(matrix, data.vocab.without_specials(), config, meta)


def count_reference(
    tokens: Iterable[int], sentences: Sequence[int], num_words: int, config: CooccurrenceConfig
) -> dict[tuple[int, int], float]:
    """The specification: the count of every (centre word, context word) that occurs, in plain loops.

    Tokens that are no word (ids from num_words up) are dropped first, so a window reaches over them; it
    never reaches into another sentence.
    """
    stream = list(tokens)
    times = Counter[tuple[int, int, int]]()
    for start, stop in pairwise(sentences):
        words = [int(token) for token in stream[start:stop] if token < num_words]
        for place, centre in enumerate(words):
            for other, context in enumerate(words):
                on_side = {"left": other < place, "right": other > place, "symmetric": other != place}
                if on_side[config.side] and abs(other - place) <= config.window:
                    times[centre, context, abs(other - place)] += 1
    counts: dict[tuple[int, int], float] = {}
    for (centre, context, distance), number in sorted(times.items()):
        weight = number / distance if config.weighting == "harmonic" else number
        counts[centre, context] = counts.get((centre, context), 0.0) + weight
    return counts


def count_matrix(
    tokens: Tokens,
    sentences: npt.NDArray[np.int64],
    num_words: int,
    config: CooccurrenceConfig,
    memory_bytes: int,
    progress: Callable[[CountProgress], None] | None = None,
) -> tuple[csr_array, list[str]]:
    """The (V, V) matrix of count_reference, and what a person should know of how it was made."""
    slots = config.window if config.weighting == "harmonic" else 1
    if num_words**2 * slots > 2**64:
        raise ConfigError(
            f"window is {config.window}, too wide to count harmonically over {num_words} words. "
            "Choose a narrower window, or keep fewer words with --max-vocab."
        )
    pairs_per_token = config.window * (2 if config.side == "symmetric" else 1)
    bytes_per_token = _KEY_BYTES * (pairs_per_token + 2)  # its pairs, and the token itself
    block_tokens = max(1, memory_bytes // 4 // bytes_per_token)
    begin, end = int(sentences[0]), int(sentences[-1])
    with _scratch() as folder:
        runs = Runs(folder, memory_bytes, slots)
        for block in _blocks(tokens, sentences, num_words, block_tokens, config.window):
            runs.add(_keys(block, num_words, slots, config))
            if progress is not None:
                progress(CountProgress(block.stop - begin, end - begin, runs.spilled_bytes))
        matrix = _write_matrix(folder, runs.merged(), num_words, slots)
    if not runs.spilled_bytes:
        return matrix, []
    return matrix, [
        f"counts outgrew {memory_bytes:,} bytes of memory, {runs.spilled_bytes:,} went through disk"
    ]


class _Block(NamedTuple):
    """The words of a stretch of text, with the last ones before it carried over to pair with."""

    ids: Keys
    sentence: npt.NDArray[np.int64]  # of each word
    carried: int  # how many of them are from before the stretch
    stop: int  # where the stretch ends in tokens


def _blocks(
    tokens: Tokens, sentences: npt.NDArray[np.int64], num_words: int, size: int, overlap: int
) -> Iterator[_Block]:
    ids, sentence = np.empty(0, np.uint64), np.empty(0, np.int64)
    for start in range(int(sentences[0]), int(sentences[-1]), size):
        stop = min(start + size, int(sentences[-1]))
        span = np.asarray(tokens[start:stop])
        place = np.flatnonzero(span < num_words)
        carried_ids, carried_sentence = ids[-overlap:], sentence[-overlap:]
        ids = np.concatenate([carried_ids, span[place].astype(np.uint64)])
        sentence = np.concatenate([carried_sentence, np.searchsorted(sentences, place + start, side="right")])
        yield _Block(ids, sentence, len(carried_ids), stop)


def _keys(block: _Block, num_words: int, slots: int, config: CooccurrenceConfig) -> Keys:
    """The key of every pair whose right word is new in this block, in no order."""
    ids, sentence = block.ids, block.sentence
    found = [np.empty(0, np.uint64)]
    for distance in range(1, config.window + 1):
        first = max(block.carried, distance)
        right, left = slice(first, None), slice(first - distance, len(ids) - distance)
        together = sentence[left] == sentence[right]
        if not together.any():
            break  # no sentence is longer than this
        left_ids, right_ids = ids[left][together], ids[right][together]
        slot = np.uint64(distance - 1 if slots > 1 else 0)
        if config.side != "left":
            found.append((left_ids * np.uint64(num_words) + right_ids) * np.uint64(slots) + slot)
        if config.side != "right":
            found.append((right_ids * np.uint64(num_words) + left_ids) * np.uint64(slots) + slot)
    return np.concatenate(found)


def _write_matrix(folder: Path, runs: Iterable[Run], num_words: int, slots: int) -> csr_array:
    files = {name: folder / f"{name}.npy" for name in ("data", "indices")}
    row_sizes = np.zeros(num_words + 1, np.int64)
    with (
        artifact.NpyWriter(files["data"], _ARRAYS["data"]) as data,
        artifact.NpyWriter(files["indices"], _ARRAYS["indices"]) as indices,
    ):
        for run in runs:
            pairs, weights = _weighted(run, slots)
            rows, columns = np.divmod(pairs, np.uint64(num_words))
            row_sizes[1:] += np.bincount(rows.astype(np.int64), minlength=num_words)
            data.append(weights)
            indices.append(columns)
    mapped = {name: artifact.load_array(file, _ARRAYS[name], 1) for name, file in files.items()}
    return _matrix(num_words, **mapped, indptr=np.cumsum(row_sizes))


def _weighted(run: Run, slots: int) -> tuple[Keys, npt.NDArray[np.float64]]:
    """Pairs, as row * V + column, and their weights, added up in order of distance."""
    if slots == 1:
        return run.keys, run.counts.astype(np.float64)
    pairs, slot = np.divmod(run.keys, np.uint64(slots))
    starts = first_of_equals(pairs)
    number = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(pairs)))
    weights = np.bincount(number, weights=run.counts / (slot + np.uint64(1)))  # adds one after the other
    return pairs[starts], weights.astype(np.float64, copy=False)


def _matrix(num_words: int, data: Any, indices: Any, indptr: Any) -> csr_array:
    if len(data) < 2**31:  # scipy wants indices and indptr of one type; so it need not copy the long one
        indptr = indptr.astype(np.int32)
    return csr_array((data, indices, indptr), shape=(num_words, num_words))


def _check_arrays(path: Path, meta: artifact.Meta, data: Any, indices: Any, indptr: Any) -> None:
    """Hold the arrays of a stored matrix to what scipy takes for granted."""
    num_words, num_pairs = meta["num_words"], meta.get("num_pairs")
    if not len(data) == len(indices) == num_pairs:
        sizes = f"{len(data)} counts and {len(indices)} columns"
        raise ArtifactError(f"{path} holds {sizes}, meta.json says {num_pairs}. Count again.")
    whole = len(indptr) == num_words + 1 and indptr[0] == 0 and indptr[-1] == num_pairs
    if not whole or (np.diff(indptr) < 0).any():
        raise ArtifactError(f"{path / 'indptr.npy'} does not rise from 0 to {num_pairs} by row. Count again.")
    if num_pairs and not (indices.min() >= 0 and indices.max() < num_words):
        raise ArtifactError(f"{path / 'indices.npy'} names columns beyond {num_words} words. Count again.")
    if num_pairs and not (data.min() > 0 and data.max() < np.inf):
        raise ArtifactError(f"{path / 'data.npy'} holds counts that are no positive numbers. Count again.")


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder in the cache for the time of the count; what is mapped from it outlives it."""
    parent = cache_dir()
    try:
        with TemporaryDirectory(prefix=artifact.TEMPORARY, dir=parent) as name:
            yield Path(name)
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT, EFBIG):
            raise
        raise ResourceError(
            f"the disk of {parent} ran full while counting. "
            "Free some space there, name another place with NLPSEQ_CACHE_DIR, or give more memory_bytes."
        ) from error
