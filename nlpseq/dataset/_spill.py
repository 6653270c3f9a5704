"""Distinct tokens that there is no room for in memory: on disk, and then each under one number again.

Tokens are numbered with a table. When it is full its types go to a file, a line each, and numbering goes on
with an empty one, so that a token may get a number from every table. What is left to do is to find the first
of them: types are taken part by part, those of a part being told by a hash and few enough for a table.

Letters: T types, as they lie in the file.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpseq.dataset._hash_table_numba import no_types, number_lines, parts_of_lines, spelled
from nlpseq.dataset._lines import CHUNK, ends_of_lines, lines_of
from nlpseq.errors import DataError

MOST_HELD = 3 << 20  # types in a table: some 200 MB, as one more would not yet make it grow
MOST_NUMBERS = 2**32 - 4 * MOST_HELD  # that are given, so that those of a table more fit 32 bits

Numbers = npt.NDArray[np.uint32]


class Spill:
    """Types numbered one after another, those of full tables in a file.

    num_before: how many numbers the types in the file have.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.types = no_types()
        self.num_before = 0

    def number(self, lines: bytes) -> Numbers:
        """A number for the token in each line."""
        ids, self.types = number_lines(lines, self.types)
        ids += np.uint32(self.num_before)
        if self.types.num >= MOST_HELD:
            self._empty()
        return ids

    def _empty(self) -> None:
        if self.num_before + self.types.num > MOST_NUMBERS:
            raise DataError("the text has more different words than can be told apart. Split it.")
        with self.file.open("ab") as file:
            file.write(spelled(self.types))
        self.num_before += self.types.num
        self.types = no_types()

    def unite(self) -> tuple[npt.NDArray[np.uint8], Numbers | None]:
        """The types, a line each, and the number each number becomes; None where every type had only one."""
        if not self.num_before:
            return np.frombuffer(spelled(self.types), np.uint8), None
        self._empty()
        first_T = _first_numbers(self.file, self.num_before)
        is_first_T = first_T == np.arange(self.num_before, dtype=np.uint32)
        _keep_lines(self.file, is_first_T)
        ranks_T = np.cumsum(is_first_T, dtype=np.uint32) - np.uint32(1)
        return np.memmap(self.file, np.uint8, "r"), ranks_T[first_T]


def _first_numbers(file: Path, num_types: int) -> Numbers:
    """For each type the number of the first one that is the same."""
    first_T = np.empty(num_types, np.uint32)
    num_parts = -(-num_types // MOST_HELD)
    for part in range(num_parts):
        types, firsts = no_types(), np.empty(0, np.uint32)
        for number, lines in _chunks(file):
            in_part = parts_of_lines(lines, num_parts) == part
            text = np.frombuffer(lines, np.uint8)
            known = types.num
            ids, types = number_lines(lines_of(text, ends_of_lines(text), in_part), types)
            numbers = (number + np.flatnonzero(in_part)).astype(np.uint32)
            firsts = np.append(firsts, numbers[_are_new(ids, known)])
            first_T[numbers] = firsts[ids]
    return first_T


def _are_new(ids: Numbers, known: int) -> npt.NDArray[np.bool_]:
    """Which ids occur for the first time, where those below `known` are old and new ones come in order."""
    highest = np.maximum.accumulate(np.append(known, ids.astype(np.int64) + 1))
    return ids >= highest[:-1]


def _keep_lines(file: Path, is_kept_T: npt.NDArray[np.bool_]) -> None:
    shorter = file.with_suffix(".shorter")
    with shorter.open("wb") as stream:
        for number, lines in _chunks(file):
            text = np.frombuffer(lines, np.uint8)
            ends = ends_of_lines(text)
            stream.write(lines_of(text, ends, is_kept_T[number : number + len(ends)]))
    shorter.replace(file)


def _chunks(file: Path) -> Iterator[tuple[int, bytes]]:
    """The number of the first line, and whole lines."""
    number, rest = 0, b""
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            yield number, lines + newline
            number += lines.count(b"\n") + len(newline)
    assert not rest, "a type without an end"
