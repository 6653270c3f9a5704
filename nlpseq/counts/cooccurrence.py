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
from nlpseq.csr import as_csr, load_csr, save_csr
from nlpseq.draws import KEEP, draw, stream_key
from nlpseq.errors import ArtifactError, ConfigError, ResourceError
from nlpseq.settings import from_dict, to_dict
from nlpseq.text.dataset import TokenDataset
from nlpseq.text.subsample import HALF, keep_thresholds, kept
from nlpseq.text.vocab import Vocab

KIND, VERSION = "cooccurrence", 1
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
        known = {
            key: value for key, value in self.meta.items() if key in ("text_config", "num_tokens", "notices")
        }
        with artifact.create(Path(path), KIND, VERSION, force=force) as folder:
            folder.write_meta(known | made | {"vocab_digest": self.vocab.digest})
            self.vocab.save(folder.path / "vocab.tsv")
            save_csr(folder, self.matrix, np.float64)

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
        matrix = load_csr(path, (len(vocab), len(vocab)), meta.get("num_pairs"), np.float64)
        return cls(matrix, vocab, config, meta)


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
    vocab = data.vocab.without_specials()
    keep_V = keep_thresholds(vocab.counts, config.subsample)
    matrix, notices = count_matrix(data.tokens, data.sentences, keep_V, config, memory_bytes, progress)
    meta = {"text_config": to_dict(data.config), "num_tokens": data.num_tokens, "notices": notices}
    return Cooccurrence(matrix, vocab, config, meta)


def count_reference(
    tokens: Iterable[int],
    sentences: Sequence[int],
    keep_V: Sequence[int] | npt.NDArray[np.uint32],
    config: CooccurrenceConfig,
) -> dict[tuple[int, int], float]:
    """The specification: the count of every (centre word, context word) that occurs, in plain loops.

    Tokens that are no word (ids from len(keep_V) up) or that subsampling leaves out (keep_thresholds) are
    dropped first, so a window reaches over them; it never reaches into another sentence.
    """
    stream = [int(token) for token in tokens]
    times = Counter[tuple[int, int, int]]()

    def stays(pos: int) -> bool:
        word_id = stream[pos]
        return word_id < len(keep_V) and draw(config.seed, KEEP, 0, pos) >> HALF <= keep_V[word_id]

    for start, stop in pairwise(sentences):
        words = [stream[pos] for pos in range(start, stop) if stays(pos)]
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
    keep_V: npt.NDArray[np.uint32],
    config: CooccurrenceConfig,
    memory_bytes: int,
    progress: Callable[[CountProgress], None] | None = None,
) -> tuple[csr_array, list[str]]:
    """The (V, V) matrix of count_reference, and what a person should know of how it was made."""
    num_words = len(keep_V)
    key = stream_key(config.seed, KEEP, 0)
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
        for block in _blocks(tokens, sentences, keep_V, key, block_tokens, config.window):
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
    tokens: Tokens,
    sentences: npt.NDArray[np.int64],
    keep_V: npt.NDArray[np.uint32],
    key: int,
    size: int,
    overlap: int,
) -> Iterator[_Block]:
    ids, sentence = np.empty(0, np.uint64), np.empty(0, np.int64)
    for start in range(int(sentences[0]), int(sentences[-1]), size):
        stop = min(start + size, int(sentences[-1]))
        span = np.asarray(tokens[start:stop])
        place = np.flatnonzero(kept(span, start, keep_V, key, np))
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
        artifact.NpyWriter(files["data"], np.float64) as data,
        artifact.NpyWriter(files["indices"], np.int32) as indices,
    ):
        for run in runs:
            pairs, weights = _weighted(run, slots)
            rows, columns = np.divmod(pairs, np.uint64(num_words))
            row_sizes[1:] += np.bincount(rows.astype(np.int64), minlength=num_words)
            data.append(weights)
            indices.append(columns)
    data_N = artifact.load_array(files["data"], np.float64, 1)
    indices_N = artifact.load_array(files["indices"], np.int32, 1)
    return as_csr((num_words, num_words), data_N, indices_N, np.cumsum(row_sizes))


def _weighted(run: Run, slots: int) -> tuple[Keys, npt.NDArray[np.float64]]:
    """Pairs, as row * V + column, and their weights, added up in order of distance."""
    if slots == 1:
        return run.keys, run.counts.astype(np.float64)
    pairs, slot = np.divmod(run.keys, np.uint64(slots))
    starts = first_of_equals(pairs)
    number = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(pairs)))
    weights = np.bincount(number, weights=run.counts / (slot + np.uint64(1)))  # adds one after the other
    return pairs[starts], weights.astype(np.float64, copy=False)


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
