"""Read the rows of text vectors: compiled code for plain lines, Python for the others.

A line that is not a row is an error, or is counted and left out if the person asked for lenient reading.
Letters: V words, D dimensions.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.formats.fields import (
    BLANK,
    Ending,
    count_numbers,
    parse_numbers,
    parse_row,
    parse_sizes,
    split_ending,
)
from nlpseq.vectors.formats.names import TITLES, Format
from nlpseq.vectors.formats.reader import LOAD_ALL, MAX_LINE_BYTES, Source, Window
from nlpseq.vectors.formats.rows import WORD_ENCODING, RowBuffer, VectorFile

__all__ = ["MAX_EXTRA", "FewerNumbers", "RowReader", "TextLayout"]

MAX_EXTRA = 2  # numbers at the end of a word; with more, the line is of a file with longer vectors
_MAX_QUOTED = 40  # bytes of a field in a message
_WRITE_DECIMAL = "Write numbers such as -0.25"
_OR_LENIENT = ", or load the vectors there are with --lenient"

_TakeLines = Callable[..., tuple[int, int, int]]


class FewerNumbers(Exception):
    """A line ends in fewer numbers than the first lines: read the file again with `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.dim = dim


class TextLayout(NamedTuple):
    """Sizes of the rows, and the place of the first."""

    dim: int
    usual: int  # numbers at the end of most lines
    is_declared: bool  # dim is in line 1
    num_words: int | None  # in line 1
    num_bytes: int  # before the first row
    line: int  # number of the first row


class RowReader:
    """Reads rows of text to the end of the file, or up to the rows that were asked for."""

    def __init__(self, source: Source, layout: TextLayout, *, has_word: bool = True) -> None:
        self._source, self._layout, self._has_word = source, layout, has_word
        height = source.height(layout.num_words or 0, layout.dim, 2)
        self._rows = RowBuffer(layout.dim, height, source.options.load_top)
        self._window = Window(source, layout.num_bytes)
        self._line = layout.line
        self._first_lines = list[tuple[int, int]]()
        self._notices = list[str]()
        self._left_out = list[int]()  # lines
        self._first_problem = ""  # of the first line left out
        self._long_rows = list[int]()  # rows whose word ends in too many numbers
        self._numbered, self._num_numbered = "", 0  # words that end in a number: the first, and how many
        self._is_longer = False  # after a second line of sizes, with a larger D

    def read(self) -> None:
        """Read the rows."""
        take_lines: _TakeLines | None = None
        while not self._rows.is_full:
            window = self._window
            if take_lines is None and window.offset + window.start >= self._source.sizes.compile_after:
                use_cache_for_numba()
                from nlpseq.vectors.formats import parse_numba

                take_lines = parse_numba.take_lines
            if take_lines and self._take_plain(take_lines) + window.read_to_line_end():
                continue
            row = window.take_line()
            if len(row) >= MAX_LINE_BYTES:
                raise self._source.too_long(self._line)
            if row.endswith(b"\x1a"):  # the end of a file of old Windows programs
                row = row.rstrip(b"\x1a") + b"\n"
            if row.strip(BLANK):
                self._take_row(row)
            if not row.endswith(b"\n"):
                self._note_open_end(row)
                return
            self._line += 1

    def _take_plain(self, take_lines: _TakeLines) -> int:
        """Parse lines until the first that is not plain, and return how many were plain."""
        rows, window = self._rows, self._window
        if rows.filled == len(rows.matrix_VD):
            rows.make_room((window.end - window.start) // (2 * rows.dim + 1))
        block, start = np.frombuffer(window.block, np.uint8), window.start
        taken, used, word_bytes = take_lines(
            block, start, window.end, self._has_word, rows.matrix_VD, rows.filled
        )
        self._note_line(taken)
        rows.add(taken, block[start : start + word_bytes].tobytes())
        window.start += used
        self._line += taken
        return taken

    def _note_line(self, num_rows: int) -> None:
        """Remember the line of the next row, if lines were left out before it."""
        row, line = self._first_lines[-1] if self._first_lines else (0, -1)
        if num_rows and self._line - self._rows.filled != line - row:
            self._first_lines.append((self._rows.filled, self._line))

    def _take_row(self, line: bytes) -> None:
        dim = self._rows.dim
        if self._has_word:
            found = parse_row(line, dim)
        else:
            numbers = parse_numbers(b" " + line.strip(BLANK))
            found = None if numbers is None or len(numbers) != dim else (b"", numbers)
        if found is None:
            self._leave_out(line)
            return
        word, row_D = found
        extra = split_ending(word).num_numbers if b" " in word or b"\t" in word else 0
        if extra and (self._is_longer or (extra > MAX_EXTRA and not self._layout.is_declared)):
            self._leave_out(line)
            return
        if extra:
            self._note_numbers_in_word(word, extra)
        self._note_line(1)
        self._rows.make_room(1)
        self._rows.matrix_VD[self._rows.filled] = row_D
        self._rows.add(1, word + b"\n" if self._has_word else b"")

    def _note_numbers_in_word(self, word: bytes, extra: int) -> None:
        """Count a word that ends in a number; D of line 1 explains such words, unless V is wrong."""
        if self._layout.is_declared and extra > MAX_EXTRA:
            self._long_rows.append(self._rows.filled)
        else:
            self._numbered = self._numbered or f"{word.decode(*WORD_ENCODING)!r} in line {self._line:,}"
            self._num_numbered += 1

    def _note_open_end(self, row: bytes) -> None:
        if row.strip(BLANK) and self._line not in self._left_out[-1:]:
            self._notices.append(f"{self._source.name} ends without a newline and may be truncated")

    def _leave_out(self, line: bytes) -> None:
        """Raise the error for a line that is not a row; with options.lenient, count the line."""
        layout, ending = self._layout, split_ending(line)
        is_open = not line.endswith(b"\n")
        may_be_dim = max(1, layout.usual - MAX_EXTRA) <= ending.num_numbers < layout.dim
        if may_be_dim and not (layout.is_declared or is_open or ending.foreign):
            raise FewerNumbers(ending.num_numbers)
        problem = self._problem(line, ending) if self._has_word else self._problem_of_numbers(line)
        if not (self._source.options.lenient and self._has_word):
            fix = LOAD_ALL
            if ending.foreign:
                fix = _WRITE_DECIMAL + _OR_LENIENT * (self._rows.filled > 0)
            raise self._source.corrupt(problem, fix) if self._has_word else self._source.corrupt(problem)
        if self._rows.dim > 1 and (sizes := parse_sizes(line)):
            self._is_longer = sizes[1] > self._rows.dim
        if not self._left_out:
            self._first_problem = problem
        self._left_out.append(self._line)

    def _problem(self, line: bytes, ending: Ending) -> str:
        """Return how a line differs from a word with D numbers."""
        dim, found = self._rows.dim, ending.num_numbers
        if found < dim and not line.endswith(b"\n"):
            return f"line {self._line} is truncated: it ends in {found:,} of {count_text(dim, 'number')}"
        if dim > 1 and parse_sizes(line):
            return f"line {self._line} is a second line of sizes, as after joining two files"
        if found > dim:
            return (
                f"line {self._line} ends in {count_text(found, 'number')}, other lines in {dim:,}, as after "
                "joining two files"
            )
        if found and not ending.before and not self._layout.is_declared:
            return (
                f"line {self._line} ends in {count_text(found, 'number')}, other lines in {dim:,}, as after "
                "joining two files or losing a part of the line"
            )
        before = repr(ending.before[:_MAX_QUOTED].decode("utf-8", "replace"))
        if not ending.before:
            reason = f"{found:,} found"
        elif found == 0 or ending.foreign:
            reason = f"{before} {ending.foreign or 'is not a number'}"
        else:
            reason = f"{found:,} found, after {before}"
        is_guess = dim == 1 and ending.foreign and not self._layout.is_declared
        numbers = "numbers" if is_guess else count_text(dim, "number")
        return f"line {self._line} is not a word with {numbers}: {reason}"

    def _problem_of_numbers(self, line: bytes) -> str:
        """Return how a line differs from D numbers."""
        wrong = [field for field in line.split() if parse_numbers(b" " + field) is None]
        quoted = [repr(field[:_MAX_QUOTED].decode("utf-8", "replace")) for field in wrong[:1]]
        reason = f"{quoted[0]} is not a number" if quoted else f"{count_numbers(line):,} found"
        return f"line {self._line} is not {count_text(self._rows.dim, 'number')}: {reason}"

    def finish(self, format: Format, notices: Sequence[str] = ()) -> VectorFile:
        """Return the rows, after a check of their number."""
        layout, was_stopped = self._layout, self._rows.is_full
        vocab, matrix_VD = self._rows.finish("\n")
        found = VectorFile(
            vocab, matrix_VD, TITLES[format], [*notices, *self._notices], tuple(self._first_lines)
        )
        if not len(matrix_VD):
            self._refuse_no_rows()
        if self._left_out:
            found.notices.append(f"{count_text(len(self._left_out), 'line')} left out: {self._first_problem}")
        is_count_right = len(matrix_VD) == layout.num_words or was_stopped
        if self._numbered and not (layout.is_declared and is_count_right):
            only = "line 1 declares" if layout.is_declared else "another line has only"
            found.notices.append(
                f"{count_text(self._num_numbered, 'word')} with a number at the end, such as "
                f"{self._numbered}, because {only} {count_text(layout.dim, 'number')}"
            )
        if layout.num_words is None or is_count_right:
            return found
        problem = self._wrong_count(len(matrix_VD))
        if not self._source.options.lenient:
            raise self._source.corrupt(problem, LOAD_ALL)
        found.notices.append(problem)
        return self._without_long_rows(found) if self._long_rows else found

    def _refuse_no_rows(self) -> None:
        """Raise ArtifactError, unless line 1 declares 0 vectors."""
        if self._left_out:
            raise self._source.corrupt(f"has no line that fits: {self._first_problem}")
        if self._layout.num_words is None:
            raise self._source.corrupt("holds no vectors")
        if self._layout.num_words:
            raise self._source.corrupt("ends before the first vector: the file is truncated")

    def _wrong_count(self, num_rows: int) -> str:
        """Return how the number of rows differs from V."""
        declared = self._layout.num_words or 0
        holds = f"holds {count_text(num_rows, 'vector')}, but line 1 declares {declared:,}"
        if self._long_rows:
            return f"{holds}, as after joining files with vectors of two sizes"
        if num_rows > declared:
            return f"{holds}: line 1 is wrong, or another file was joined"
        return f"{holds}: the file is truncated, or line 1 is wrong"

    def _without_long_rows(self, found: VectorFile) -> VectorFile:
        """Leave out the rows of a file with longer vectors."""
        kept = np.delete(np.arange(len(found.vocab)), self._long_rows)
        vocab = Vocab([found.vocab.words[row] for row in kept.tolist()], found.vocab.counts[kept])
        notice = f"{count_text(len(self._long_rows), 'row')} left out, with more numbers"
        return VectorFile(vocab, found.matrix_VD[kept], found.format, [*found.notices, notice])
