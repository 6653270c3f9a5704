"""A corpus under provisional ids, on disk until all types are counted and their final ids are known.

Letters: T types, L lines of a block.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.dataset.external_vocab import ExternalVocabulary, join_lines, line_ends, select_lines
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.parallel import TokenBlock, submit_ahead
from nlpseq.dataset.phrases import find_phrases, merge_phrases, name_phrases
from nlpseq.dataset.token_dataset import SENTENCES
from nlpseq.dataset.vocab import EOS, SPECIALS, escape
from nlpseq.reading.corpus import Block
from nlpseq.reading.decode import UTF_8
from nlpseq.storage.arrays import NpyWriter

__all__ = ["ProvisionalText", "write_provisional"]

_PROVISIONAL = "provisional.npy"
_TYPES = "types.txt"  # written only if memory does not hold all types
_PHRASES = "phrases.tsv"
_CHUNKS_AHEAD = 3
_EOS = EOS.encode()


def write_provisional(
    folder: Path,
    blocks: Iterator[tuple[Block, TokenBlock]],
    limits: EncodeLimits,
    *,
    split_at_eos: bool = True,
) -> "ProvisionalText":
    """Write the provisional ids and sentence offsets of all blocks to a folder.

    split_at_eos: end a sentence also at the token <eos>, which is left out.
    """
    vocab = ExternalVocabulary(folder / _TYPES, limits)
    num_tokens, open_tokens, eos_ids = 0, 0, list[int]()  # several if types are flushed
    with (
        NpyWriter(folder / _PROVISIONAL, np.uint32) as tokens,
        NpyWriter(folder / SENTENCES, np.int64) as sentences,
        ThreadPoolExecutor(1) as pool,
    ):
        sentences.append(np.zeros(1, np.int64))
        writing = pool.submit(tokens.append, np.zeros(0, np.uint32))
        for block, found in blocks:
            new_ids = vocab.assign_ids(found.types)
            if split_at_eos and b"<" in found.types and _EOS in (lines := found.types.split(b"\n")):
                eos_ids.append(int(new_ids[lines.index(_EOS)]))
            ids_T = np.concatenate([*found.thread_ids, new_ids])
            found.thread_ids[:] = [ids_T]
            ids, lengths_L = _split_at_eos(ids_T[found.ids], found.lengths_L, eos_ids)
            ends, open_tokens = _sentence_ends(num_tokens, open_tokens, lengths_L, block.continues)
            sentences.append(ends)
            num_tokens += len(ids)
            writing.result()  # raises the errors of the thread
            writing = pool.submit(tokens.append, ids)
        writing.result()
    assert not open_tokens, "the last block of a corpus ends its sentence"
    types, final_T = vocab.merge()
    if final_T is not None:
        tokens_N = np.load(folder / _PROVISIONAL, mmap_mode="r")
        _replace_ids(folder / _PROVISIONAL, tokens_N, final_T, limits)
    return ProvisionalText(folder, types, limits)


def _split_at_eos(
    ids: npt.NDArray[np.uint32], lengths_L: npt.NDArray[np.int64], eos_ids: list[int]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the tokens without <eos>, and the lengths of the lines, which also end at each <eos>."""
    if not eos_ids:
        return ids, lengths_L
    is_eos = np.isin(ids, eos_ids)
    kept_before = np.append(0, np.cumsum(~is_eos))
    ends = np.sort(np.append(kept_before[np.cumsum(lengths_L)], kept_before[np.flatnonzero(is_eos)]))
    return ids[~is_eos], np.diff(ends, prepend=0)


def _sentence_ends(
    num_tokens: int, open_tokens: int, lengths_L: npt.NDArray[np.int64], continues: bool
) -> tuple[npt.NDArray[np.int64], int]:
    """Return where the sentences of a block end, and the tokens of a sentence that the next block ends.

    num_tokens, open_tokens: in the blocks before, and in their last sentence if it continues.
    """
    start = num_tokens - open_tokens
    lengths_L[0] += open_tokens
    if continues:
        lengths_L, open_tokens = lengths_L[:-1], int(lengths_L[-1])
    else:
        open_tokens = 0
    return start + np.cumsum(lengths_L[lengths_L > 0]), open_tokens


class ProvisionalText:
    """A corpus under provisional ids, in order of first appearance of the types.

    num_types: number of types. Memory-mapped: tokens, uint32, (num_tokens,), and sentences, int64,
    (num_sentences + 1,).
    """

    tokens: npt.NDArray[np.uint32]
    sentences: npt.NDArray[np.int64]

    def __init__(self, folder: Path, types: npt.NDArray[np.uint8], limits: EncodeLimits) -> None:
        """Open the text of a folder; types: lines of UTF-8 in order of id."""
        self.folder = folder
        self.limits = limits
        self._open(types)

    def _open(self, types: npt.NDArray[np.uint8]) -> None:
        self._types = types
        self._bounds_T = np.append(0, line_ends(types))
        self.num_types = len(self._bounds_T) - 1
        self.tokens = np.load(self.folder / _PROVISIONAL, mmap_mode="r")
        self.num_tokens = len(self.tokens)
        self.sentences = np.load(self.folder / SENTENCES, mmap_mode="r")

    def type_chunks(self, chosen_T: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, list[bytes]]]:
        """Yield (first, end, chosen types as UTF-8) for consecutive ranges of ids, few types at a time."""
        for first in range(0, self.num_types, self.limits.chunk_types):
            end = min(first + self.limits.chunk_types, self.num_types)
            bounds = self._bounds_T[first : end + 1]
            text = self._types[bounds[0] : bounds[-1]]
            lines = select_lines(text, bounds[1:] - bounds[0], chosen_T[first:end])
            yield first, end, lines.split(b"\n")[:-1]

    def count(self, last: int, first: int = 0) -> npt.NDArray[np.int64]:
        """Count each type in sentences `first` to `last`, exclusive: int64, (num_types,)."""
        counts_T, end = np.zeros(self.num_types, np.int64), int(self.sentences[last])
        # at least 4 tokens a type, so that adding takes less time than counting
        step = min(max(self.limits.write_tokens, 4 * len(counts_T)), self.limits.chunk_tokens)
        for start in range(int(self.sentences[first]), end, step):
            counts_T += np.bincount(self.tokens[start : min(start + step, end)], minlength=len(counts_T))
        return counts_T

    def count_characters(self, counts_T: npt.NDArray[np.int64]) -> int:
        """Count the characters of all tokens, if each type occurs counts_T times."""
        total, first = 0, 0
        while first < self.num_types:
            end_byte = self._bounds_T[first] + self.limits.file_bytes
            end = max(first + 1, int(np.searchsorted(self._bounds_T, end_byte, "right")) - 1)
            bounds = self._bounds_T[first : end + 1]
            is_start = (self._types[bounds[0] : bounds[-1]] & 0xC0) != 0x80  # of a character in UTF-8
            lengths = np.add.reduceat(is_start, bounds[:-1] - bounds[0], dtype=np.int64) - 1  # newline
            total, first = total + int(lengths @ counts_T[first:end]), end
        return total

    def join_phrases(self, config: TextConfig, train_end: int) -> None:
        """Replace each phrase of the train split by one token, and list the phrases in a file."""
        words = self._types.tobytes().decode(*UTF_8).split("\n")[:-1]
        type_ids = {word: type_id for type_id, word in enumerate(words)}
        rows = list[tuple[str, int, float]]()
        for _ in range(config.phrases):
            num_types, counts_T = len(type_ids), self.count(train_end)
            counts_T[[type_ids[special] for special in SPECIALS if special in type_ids]] = 0
            train = self.tokens[: self.sentences[train_end]]
            ends = self.sentences[: train_end + 1]
            phrases = find_phrases(train, ends, counts_T, config, self.limits.chunk_tokens)
            names = name_phrases(type_ids, phrases)
            if not names:
                break
            ids_P = np.array([type_ids[name] for name in names], np.uint32)
            files = self.folder / _PROVISIONAL, self.folder / SENTENCES
            merge_phrases(*files, phrases, num_types, ids_P, self.limits.chunk_tokens)
            self._open(np.frombuffer(join_lines(type_ids), np.uint8))
            rows += zip(names, phrases.counts_P.tolist(), phrases.scores_P.tolist(), strict=True)
        rows.sort(key=lambda row: (-row[2], row[0]))
        lines = [f"{escape(name)}\t{count}\t{score:.6g}\n" for name, count, score in rows]
        (self.folder / _PHRASES).write_bytes(("phrase\tcount\tscore\n" + "".join(lines)).encode())

    def type_bytes(self) -> npt.NDArray[np.int64]:
        """Return the number of bytes of each type, newline included: (T,)."""
        return np.diff(self._bounds_T)

    def type_lines(self) -> Iterator[bytes]:
        """Yield all types as lines, few types at a time."""
        for first in range(0, self.num_types, self.limits.line_types):
            end = min(first + self.limits.line_types, self.num_types)
            yield self._types[self._bounds_T[first] : self._bounds_T[end]].tobytes()

    def expand(
        self,
        name: str,
        ids: npt.NDArray[Any],
        starts_T: npt.NDArray[np.int64],
        counts_T: npt.NDArray[np.int64],
        threads: int,
    ) -> str:
        """Write the ids of each type in place of its provisional id, and move the sentences accordingly.

        ids, starts_T: type t becomes ids[starts_T[t] : starts_T[t + 1]]. counts_T: of all types in the text.
        Only `sentences` and `num_tokens` remain usable. Returns the sha256 of the new file.
        """
        from nlpseq.tokenizers.bpe_numba import expand

        num_ids, num_tokens, sentence = int((counts_T * np.diff(starts_T)).sum()), 0, 0
        with (
            NpyWriter(self.folder / name, ids.dtype, length=num_ids) as stream,
            NpyWriter(self.folder / SENTENCES, np.int64, over=True) as sentences,
            ThreadPoolExecutor(threads) as pool,
        ):
            starts = range(0, len(self.tokens), self.limits.write_tokens)
            chunks = (self.tokens[start : start + self.limits.write_tokens] for start in starts)
            submitted = submit_ahead(
                lambda part: pool.submit(expand, part, starts_T, ids), chunks, _CHUNKS_AHEAD + threads
            )
            for start, (_, future) in zip(starts, submitted, strict=True):
                part, bounds_N = future.result()
                stream.append(part)
                rest = self.sentences[sentence:]  # not written over yet
                inside = rest[: np.searchsorted(rest, start + len(bounds_N), "right")] - start
                sentences.append(num_tokens + np.append(0, bounds_N)[inside])
                num_tokens, sentence = num_tokens + len(part), sentence + len(inside)
        self.num_tokens = num_ids
        del self.tokens
        (self.folder / _PROVISIONAL).unlink()
        (self.folder / _TYPES).unlink(missing_ok=True)
        return stream.sha256()

    def finish(self, name: str, ids_T: npt.NDArray[Any]) -> str:
        """Overwrite provisional ids by final ones, which are no wider, and rename the file.

        Only `sentences` and `num_tokens` remain usable. Returns the sha256 of the file.
        """
        sha256 = _replace_ids(self.folder / _PROVISIONAL, self.tokens, ids_T, self.limits)
        del self.tokens  # because the mapped file is shorter now
        (self.folder / _PROVISIONAL).rename(self.folder / name)
        (self.folder / _TYPES).unlink(missing_ok=True)
        return sha256


def _replace_ids(
    file: Path, tokens: npt.NDArray[np.uint32], ids_T: npt.NDArray[Any], limits: EncodeLimits
) -> str:
    """Write ids_T[tokens] over the file that `tokens` maps; return its new sha256.

    In place, because new space on a disk takes several times as long.
    """
    with (
        NpyWriter(file, ids_T.dtype, length=len(tokens), over=True) as stream,
        ThreadPoolExecutor(1) as pool,  # closed first, because it reads the file that is truncated then
    ):
        starts = range(0, len(tokens), limits.write_tokens)
        chunks = (tokens[start : start + limits.write_tokens] for start in starts)
        for _, ids in submit_ahead(lambda part: pool.submit(np.take, ids_T, part), chunks, _CHUNKS_AHEAD):
            stream.append(ids.result())
    return stream.sha256()
