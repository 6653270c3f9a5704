"""The distinct tokens of a corpus of any size: external hash aggregation.

Tokens get ids from a hash table in memory. A full table is flushed: its types go to a file, a line each, and
numbering continues with an empty table, so a token may get an id from every table. At the end the types in
the file are merged, one partition of their hashes at a time, as each partition fits a table in memory.

Letters: T types, as in the file; L lines.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.errors import DataError
from nlpseq.reading.blocks import NEWLINE
from nlpseq.reading.decode import UTF_8

__all__ = ["ExternalVocabulary", "join_lines", "line_ends", "select_lines"]

Ids = npt.NDArray[np.uint32]


class ExternalVocabulary:
    """Assigns ids to tokens; types beyond limits.memory_types go to a file.

    num_flushed: types in the file.
    """

    def __init__(self, file: Path, limits: EncodeLimits) -> None:
        use_cache_for_numba()
        from nlpseq.dataset import hash_table_numba

        self._hash_table = hash_table_numba
        self._table = hash_table_numba.empty_table()
        self._limits = limits
        self.file = file
        self.num_flushed = 0

    def assign_ids(self, lines: bytes) -> Ids:
        """Return an id for the token in each line: uint32, (L,)."""
        ids_L, self._table = self._hash_table.number_lines(lines, self._table)
        ids_L += np.uint32(self.num_flushed)
        if self._table.num >= self._limits.memory_types:
            self._flush()
        return ids_L

    def _flush(self) -> None:
        """Append the types in memory to the file and empty the table."""
        if self.num_flushed + self._table.num > 2**32 - 4 * self._limits.memory_types:
            raise DataError("corpus: has too many distinct words for 32-bit ids. Split the text.")
        with self.file.open("ab") as file:
            file.write(self._hash_table.type_lines(self._table))
        self.num_flushed += self._table.num
        self._table = self._hash_table.empty_table()

    def merge(self) -> tuple[npt.NDArray[np.uint8], Ids | None]:
        """Return the types as lines of UTF-8, and the final id of each assigned id.

        None: the assigned ids are final, because nothing was flushed.
        """
        if not self.num_flushed:
            return np.frombuffer(self._hash_table.type_lines(self._table), np.uint8), None
        self._flush()
        first_T = self._first_occurrences()
        is_first_T = first_T == np.arange(self.num_flushed, dtype=np.uint32)
        self._keep_lines(is_first_T)
        final_T = np.cumsum(is_first_T, dtype=np.uint32) - np.uint32(1)
        return np.memmap(self.file, np.uint8, "r"), final_T[first_T]

    def _first_occurrences(self) -> Ids:
        """Return for each type in the file the id of its first occurrence, partition by partition."""
        first_T = np.empty(self.num_flushed, np.uint32)
        num_partitions = -(-self.num_flushed // self._limits.memory_types)
        for partition in range(num_partitions):
            table, firsts = self._hash_table.empty_table(), np.empty(0, np.uint32)
            for start, lines in self._chunks():
                inside_L = self._hash_table.hash_partitions(lines, num_partitions) == partition
                text, num_known = np.frombuffer(lines, np.uint8), table.num
                tokens = select_lines(text, line_ends(text), inside_L)
                ids, table = self._hash_table.number_lines(tokens, table)
                numbers = (start + np.flatnonzero(inside_L)).astype(np.uint32)
                next_new = np.maximum.accumulate(np.append(num_known, ids.astype(np.int64) + 1))[:-1]
                firsts = np.append(firsts, numbers[ids >= next_new])  # because new ids appear in rising order
                first_T[numbers] = firsts[ids]
        return first_T

    def _keep_lines(self, is_kept_T: npt.NDArray[np.bool_]) -> None:
        """Rewrite the file with the chosen lines only."""
        shorter = self.file.with_suffix(".shorter")
        with shorter.open("wb") as stream:
            for start, lines in self._chunks():
                text = np.frombuffer(lines, np.uint8)
                ends = line_ends(text)
                stream.write(select_lines(text, ends, is_kept_T[start : start + len(ends)]))
        shorter.replace(self.file)

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """Yield (number of the first line, whole lines) until the file ends."""
        start, rest = 0, b""
        with self.file.open("rb") as stream:
            while chunk := stream.read(self._limits.file_bytes):
                lines, newline, rest = (rest + chunk).rpartition(b"\n")
                yield start, lines + newline
                start += lines.count(b"\n") + len(newline)
        assert not rest, "the last type has no newline"


def join_lines(tokens: Iterable[str]) -> bytes:
    """Return tokens as lines of UTF-8."""
    lines = [f"{token}\n" for token in tokens]
    assert all(line.find("\n") == len(line) - 1 > 0 for line in lines), "a token is empty or more than a line"
    return "".join(lines).encode(*UTF_8)


def line_ends(text: npt.NDArray[np.uint8], chunk_bytes: int = 1 << 24) -> npt.NDArray[np.int64]:
    """Return the offset after the newline of each line, in chunks because masks take memory."""
    starts = range(0, len(text), chunk_bytes)
    parts = [np.flatnonzero(text[start : start + chunk_bytes] == NEWLINE) + start + 1 for start in starts]
    return np.concatenate([np.empty(0, np.int64), *parts])


def select_lines(
    text: npt.NDArray[np.uint8], ends_L: npt.NDArray[np.int64], chosen_L: npt.NDArray[np.bool_]
) -> bytes:
    """Return the chosen lines of a text, with their newlines."""
    return text[np.repeat(chosen_L, np.diff(ends_L, prepend=0))].tobytes()
