"""The tokens of a corpus under provisional ids, on disk, until all are counted and the final ids known."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.dataset._lines import as_lines, ends_of_lines, lines_of
from nlpseq.dataset.parallel import Table, TokenBlock, ahead
from nlpseq.dataset.phrases import find_phrases, merge_phrases, name_phrases
from nlpseq.dataset.token_dataset import CHUNK as MOST, SENTENCES
from nlpseq.dataset.vocab import SPECIALS, escape
from nlpseq.reading.corpus import Block
from nlpseq.reading.decode import UTF_8
from nlpseq.storage.arrays import NpyWriter

PROVISIONAL = "provisional.npy"
TYPES = "types.txt"  # where memory does not hold them
PHRASES = "phrases.tsv"
CHUNK = 1 << 18  # tokens looked at together, few enough for a cache
AHEAD = 3  # chunks


class ExternalVocabulary:
    """Distinct tokens numbered as they came.

    num_types: how many. Mapped from `folder`: tokens, uint32, (num_tokens,), and sentences, int64,
    (num_sentences + 1,).
    """

    tokens: npt.NDArray[np.uint32]
    sentences: npt.NDArray[np.int64]

    def __init__(self, folder: Path, types: npt.NDArray[np.uint8]) -> None:
        """types: the token of each number, a line each, in UTF-8."""
        self.folder = folder
        self._name(types)
        self._map()

    def _name(self, types: npt.NDArray[np.uint8]) -> None:
        self._types = types
        self._bounds_T = np.append(0, ends_of_lines(types))
        self.num_types = len(self._bounds_T) - 1

    def _map(self) -> None:
        self.tokens = np.load(self.folder / PROVISIONAL, mmap_mode="r")
        self.num_tokens = len(self.tokens)
        self.sentences = np.load(self.folder / SENTENCES, mmap_mode="r")

    def types(self, chosen: npt.NDArray[np.bool_], first: int = 0) -> list[bytes]:
        """The chosen of the distinct tokens from the first on, in order, in UTF-8."""
        bounds = self._bounds_T[first : first + len(chosen) + 1]
        text = self._types[bounds[0] : bounds[-1]]
        return lines_of(text, bounds[1:] - bounds[0], chosen).split(b"\n")[:-1]

    def words(self) -> list[str]:
        """All distinct tokens, in order."""
        return self._types.tobytes().decode(*UTF_8).split("\n")[:-1]

    def join_phrases(self, config: TextConfig, train_end: int) -> None:
        """Make one token of each phrase of the train split, and list them in a file."""
        numbers = {word: number for number, word in enumerate(self.words())}
        found = list[tuple[str, int, float]]()
        for _ in range(config.phrases):
            num_types = len(numbers)
            counts = self.counts(train_end)
            counts[[numbers[special] for special in SPECIALS if special in numbers]] = 0
            train = self.tokens[: self.sentences[train_end]]
            phrases = find_phrases(train, self.sentences[: train_end + 1], counts, config)
            names = name_phrases(numbers, phrases)
            if not names:
                break
            self._name(np.frombuffer(as_lines(numbers), np.uint8))
            ids = np.array([numbers[name] for name in names], np.uint32)
            merge_phrases(self.folder / PROVISIONAL, self.folder / SENTENCES, phrases, num_types, ids)
            self._map()
            found += zip(names, phrases.counts_P.tolist(), phrases.scores_P.tolist(), strict=True)
        found.sort(key=lambda phrase: (-phrase[2], phrase[0]))
        lines = [f"{escape(name)}\t{count}\t{score:.6g}\n" for name, count, score in found]
        (self.folder / PHRASES).write_bytes(("phrase\tcount\tscore\n" + "".join(lines)).encode())

    def counts(self, num_sentences: int) -> npt.NDArray[np.int64]:
        """How often each distinct token occurs in the first sentences."""
        counts, end = np.zeros(self.num_types, np.int64), int(self.sentences[num_sentences])
        step = min(max(CHUNK, 4 * len(counts)), MOST)  # so that adding takes less time than counting
        for start in range(0, end, step):
            counts += np.bincount(self.tokens[start : min(start + step, end)], minlength=len(counts))
        return counts

    def finish(self, name: str, ids_T: npt.NDArray[Any]) -> str:
        """Write over each provisional id the final one, which is no wider, and give the file its name.

        Only `sentences` and `num_tokens` can be used after. Returns the sha256 of the file.
        """
        sha256 = _renumber(self.folder / PROVISIONAL, self.tokens, ids_T)
        del self.tokens  # whose file is shorter now
        (self.folder / PROVISIONAL).rename(self.folder / name)
        (self.folder / TYPES).unlink(missing_ok=True)
        return sha256


def _renumber(file: Path, tokens: npt.NDArray[np.uint32], ids_T: npt.NDArray[Any]) -> str:
    """Write over each token of a file, as which it is mapped, what it becomes; the sha256 of the file.

    In the same place, because a disk takes several times as long where it has to find a new one.
    """
    with (
        NpyWriter(file, ids_T.dtype, length=len(tokens), over=True) as stream,
        ThreadPoolExecutor(1) as pool,  # at rest before the file is cut off, which it reads
    ):

        def take(start: int) -> Future[npt.NDArray[Any]]:
            return pool.submit(np.take, ids_T, tokens[start : start + CHUNK])

        for _, ids in ahead(take, range(0, len(tokens), CHUNK), AHEAD):
            stream.append(ids.result())
    return stream.sha256()


def write_provisional(folder: Path, blocks: Iterator[tuple[Block, TokenBlock]]) -> ExternalVocabulary:
    """Stream provisional ids and sentence offsets to disk."""
    use_cache_for_numba()
    from nlpseq.dataset._spill import Spill

    types = Spill(folder / TYPES)
    known = WeakKeyDictionary[Table, npt.NDArray[np.uint32]]()  # the ids of the types of tables still in use
    num_tokens, unfinished = 0, 0  # of the tokens those of a sentence that goes on in the next block
    with (
        NpyWriter(folder / PROVISIONAL, np.uint32) as stream,
        NpyWriter(folder / SENTENCES, np.int64) as sentences,
        ThreadPoolExecutor(1) as pool,
    ):
        sentences.append(np.zeros(1, np.int64))
        written = pool.submit(stream.append, np.zeros(0, np.uint32))
        for block, found in blocks:
            lengths = found.lengths
            lengths[0] += unfinished
            sentence_start, unfinished = num_tokens - unfinished, 0
            if block.continues:
                unfinished, lengths = int(lengths[-1]), lengths[:-1]
            sentences.append(sentence_start + np.cumsum(lengths[lengths > 0]))
            ids = types.number(found.types)
            if found.table is not None:
                ids = known[found.table] = np.append(known.get(found.table, ids[:0]), ids)
            num_tokens += len(found.ids)
            written.result()  # raises what went wrong
            written = pool.submit(stream.append, ids[found.ids])
        written.result()
    assert not unfinished, "the last block of a corpus has no next one"
    lines, number_T = types.unite()
    if number_T is not None:
        file = folder / PROVISIONAL
        _renumber(file, np.load(file, mmap_mode="r"), number_T)
    return ExternalVocabulary(folder, lines)
