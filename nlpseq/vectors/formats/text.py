"""Read and write vectors as text: word2vec's, GloVe's, and the tensors of the TensorBoard projector.

    word2vec text     a line `V D`, then V lines `word number ... number`; also fastText's .vec
    GloVe text        the same lines without the first; a few words of published files contain spaces
    tensors           lines `number<TAB>...<TAB>number`; the words are in NAME.metadata.tsv

Without a line `V D`, D is the fewest numbers that any line ends in. The first lines give a value, and reading
starts again if a later line ends in fewer. A line far from the usual number is corrupt or of another file.

The metadata have headings for the digests of pairs.py; metadata of other tools have a single column, in which
the projector takes every line as a word.
Numbers are written with the fewest digits that read back bit for bit.
Letters: V words, D dimensions, B rows of a block.
"""

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
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
from nlpseq.vectors.formats.pairs import digest_headings, read_words_beside, words_alone
from nlpseq.vectors.formats.reader import MAX_LINE_BYTES, Source, Window
from nlpseq.vectors.formats.rows import WORD_ENCODING, RowBuffer, VectorFile, VectorRows

__all__ = [
    "FewerNumbers", "Sample", "read_glove", "read_projector", "read_word2vec", "sample_lines", "write_glove",
    "write_projector", "write_word2vec",
]  # fmt: skip

_MAX_SAMPLED = 8  # lines
_MAX_EXTRA = 2  # numbers at the end of a word; with more, the line is of a file with longer vectors
_MAX_QUOTED = 40  # bytes of a field in a message
_LENIENT = "Copy the file again, or load the lines that fit with --lenient"
_LOAD_ALL = "Copy the file again, or load the vectors there are with --lenient"
_TAKE_ROWS = (
    "Copy the file again, take D from the rows with --lenient, or, if line 1 is a row, convert the file with "
    "--from glove"
)
_FOREIGN = "Write numbers as in C, such as -0.25, or load the lines that fit with --lenient"

_TakeLines = Callable[..., tuple[int, int, int]]


class FewerNumbers(Exception):
    """A line ends in fewer numbers than the first lines: read the file again with `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.dim = dim


class Sample(NamedTuple):
    """The first lines that are not blank, each with its number and the offset of its end."""

    lines: list[bytes]
    numbers: list[int]
    ends: list[int]
    start: int  # bytes of a byte order mark

    @property
    def first(self) -> bytes:
        """The first line, empty in an empty file."""
        return self.lines[0] if self.lines else b""


class _Layout(NamedTuple):
    """Sizes of the rows, and the place of the first."""

    dim: int
    usual: int  # numbers at the end of most lines
    is_declared: bool  # dim is in line 1
    num_words: int | None  # in line 1
    num_bytes: int  # before the first row
    line: int  # number of the first row


def sample_lines(source: Source) -> Sample:
    """Return the first whole lines; a last line without its end counts only if it is the only row."""
    sample = source.sample
    has_mark = sample.startswith(BOM_UTF8) and sample[3:4] not in (b" ", b"\t")  # else the mark is the word
    start = end = len(BOM_UTF8) if has_mark else 0
    found = Sample([], [], [], start)
    for number, line in enumerate(sample[start:].split(b"\n"), 1):
        end += len(line) + 1
        is_open = end > len(sample)
        has_rows = len(found.lines) > (parse_sizes(found.first) is not None)
        if len(found.lines) == _MAX_SAMPLED or (is_open and has_rows):
            break
        if line.strip(BLANK):
            found.lines.append(line)
            found.numbers.append(number)
            found.ends.append(min(end, len(sample)))
    if found.lines and len(found.lines[-1]) >= MAX_LINE_BYTES:
        raise _too_long(source, found.numbers[-1])
    return found


def _too_long(source: Source, line: int) -> ArtifactError:
    return source.corrupt(f"line {line} is longer than {MAX_LINE_BYTES:,} bytes")


def read_word2vec(source: Source) -> VectorFile:
    """Read the rows after a line `V D`.

    Raises ArtifactError if there are fewer or more than V, or if D does not fit the rows; options.lenient
    reads the rows there are, with notices.
    """
    sample = sample_lines(source)
    sizes = parse_sizes(sample.first)
    if sizes is None:
        raise ArtifactError(
            f"{source.name}: line 1 is not `words dimensions`, with which this format begins. "
            "Name the right format with --from, or none."
        )
    num_words, dim = sizes
    if dim == 0:
        raise source.corrupt("line 1 declares vectors of 0 numbers")
    endings = list(map(split_ending, sample.lines[1:]))
    layout = _Layout(dim, dim, True, num_words, sample.ends[0], sample.numbers[0] + 1)
    notices = list[str]()
    if problem := _misfit(dim, endings, sample):
        if not source.options.lenient:
            raise source.corrupt(problem, _TAKE_ROWS)
        notices.append(problem)
        layout = _without_declared(layout, endings, source)
    source.check_room(1, layout.dim, 2 * layout.dim)
    if not source.options.lenient:
        num_rows = min(num_words, source.options.load_top or num_words)
        source.check_room(num_rows, dim, num_rows * (2 * dim + 1), _LOAD_ALL)
    reader = _RowReader(source, layout)
    reader.read()
    return reader.finish("word2vec", notices)


def _misfit(dim: int, endings: list[Ending], sample: Sample) -> str | None:
    """Return how the D of line 1 differs from the numbers of all sampled rows, None if it may fit."""
    counts = [ending.num_numbers for ending in endings if not ending.foreign]
    is_open = len(endings) == 1 and sample.ends[0] + len(sample.lines[1]) >= sample.ends[1]
    if not any(counts) or is_open or not (max(counts) < dim or (min(counts) > dim and len(counts) > 1)):
        return None
    row = next(row for row, count in enumerate(counts) if count)
    return (
        f"line {sample.numbers[0]} declares vectors of {count_text(dim, 'number')}, but line "
        f"{sample.numbers[row + 1]} ends in {counts[row]:,}"
    )


def read_glove(source: Source) -> VectorFile:
    """Read lines without a line of sizes before them; raises FewerNumbers to be read again."""
    sample = sample_lines(source)
    layout = _Layout(0, 0, False, None, sample.start, 1)
    layout = _without_declared(layout, list(map(split_ending, sample.lines)), source)
    reader = _RowReader(source, layout)
    reader.read()
    return reader.finish("glove")


def _without_declared(layout: _Layout, endings: list[Ending], source: Source) -> _Layout:
    """Take D from the numbers at the ends of lines."""
    counts = [ending.num_numbers for ending in endings if not ending.foreign]
    ranked = sorted(Counter(counts).items(), key=lambda item: (-item[1], item[0]))
    usual = ranked[0][0] if ranked else 0
    dim = source.max_dim or min((n for n in counts if n >= max(1, usual - _MAX_EXTRA)), default=1)
    return layout._replace(dim=dim, usual=usual, is_declared=False)


def read_projector(source: Source) -> VectorFile:
    """Read lines of as many numbers as the first, and the words beside them."""
    sample = sample_lines(source)
    dim = count_numbers(sample.first) or 1  # 1, so that the first line is refused
    reader = _RowReader(source, _Layout(dim, dim, True, None, sample.start, 1), has_word=False)
    reader.read()
    found = reader.finish("projector")
    num_words = None if len(found.matrix_VD) == source.options.load_top else len(found.matrix_VD)
    vocab, notices = read_words_beside(source, "projector", found.matrix_VD, words_alone, num_words)
    return found._replace(vocab=vocab, notices=[*found.notices, *notices])


class _RowReader:
    """Reads rows of text to the end of the file, or up to the rows that were asked for."""

    def __init__(self, source: Source, layout: _Layout, *, has_word: bool = True) -> None:
        self._source, self._layout, self._has_word = source, layout, has_word
        row_bytes = 2 * layout.dim + 1
        height = 0 if source.compressed else min(layout.num_words or 0, source.size // row_bytes)
        self._rows = RowBuffer(layout.dim, height, source.options.load_top)
        self._window = Window(source, layout.num_bytes)
        self._line = layout.line
        self._first_lines = list[tuple[int, int]]()
        self._notices = list[str]()
        self._left_out = list[int]()  # lines
        self._first_problem = ""  # of the first line left out
        self._long_rows = list[int]()  # rows whose word ends in too many numbers
        self._numbered, self._num_numbered = "", 0  # words that end in a number: the first, and how many

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
                raise _too_long(self._source, self._line)
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
        if extra > _MAX_EXTRA and not self._layout.is_declared:
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
        if self._layout.is_declared:
            self._long_rows += [self._rows.filled] * (extra > _MAX_EXTRA)
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
        may_be_dim = max(1, layout.usual - _MAX_EXTRA) <= ending.num_numbers < layout.dim
        if may_be_dim and not (layout.is_declared or is_open or ending.foreign):
            raise FewerNumbers(ending.num_numbers)
        problem = self._problem(line, ending) if self._has_word else self._problem_of_numbers(line)
        if not (self._source.options.lenient and self._has_word):
            fix = _FOREIGN if ending.foreign else _LENIENT
            raise self._source.corrupt(problem, fix) if self._has_word else self._source.corrupt(problem)
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
        before = repr(ending.before[:_MAX_QUOTED].decode("utf-8", "replace"))
        if found == 0 or ending.foreign:
            reason = f"{before} {ending.foreign or 'is not a number'}"
        else:
            reason = f"{found:,} found" + (f", after {before}" if ending.before else "")
        return f"line {self._line} is not a word with {count_text(dim, 'number')}: {reason}"

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
        if self._left_out:
            found.notices.append(f"{count_text(len(self._left_out), 'line')} left out: {self._first_problem}")
            if not len(matrix_VD):
                raise self._source.corrupt(f"has no line that fits: {self._first_problem}")
        if self._numbered:
            found.notices.append(
                f"{count_text(self._num_numbered, 'word')} with a number at the end, such as "
                f"{self._numbered}, because another line has {count_text(layout.dim, 'number')} only"
            )
        if layout.num_words is None or len(matrix_VD) == layout.num_words or was_stopped:
            return found
        problem = self._wrong_count(len(matrix_VD))
        if not self._source.options.lenient:
            raise self._source.corrupt(problem, _LOAD_ALL)
        found.notices.append(problem)
        return self._without_long_rows(found) if self._long_rows else found

    def _wrong_count(self, num_rows: int) -> str:
        """Return how the number of rows differs from V."""
        declared = self._layout.num_words or 0
        holds = f"holds {count_text(num_rows, 'vector')}, but line 1 declares {declared:,}"
        if self._long_rows:
            return f"{holds}, as after joining files with vectors of two sizes"
        return f"{holds}: {'the file is truncated, or ' * (num_rows < declared)}line 1 is wrong"

    def _without_long_rows(self, found: VectorFile) -> VectorFile:
        """Leave out the rows of a file with longer vectors."""
        kept = np.delete(np.arange(len(found.vocab)), self._long_rows)
        vocab = Vocab([found.vocab.words[row] for row in kept.tolist()], found.vocab.counts[kept])
        notice = f"{count_text(len(self._long_rows), 'row')} left out, with more numbers"
        return VectorFile(vocab, found.matrix_VD[kept], found.format, [*found.notices, notice])


def write_word2vec(rows: VectorRows, stream: BinaryIO) -> None:
    """Write the header and the rows."""
    stream.write(b"%d %d\n" % (len(rows.words), rows.matrix_VD.shape[1]))
    write_glove(rows, stream)


def write_glove(rows: VectorRows, stream: BinaryIO) -> None:
    """Write a line `word number ... number` for each row."""
    for words, block_BD in rows.blocks():
        pairs = zip(words, block_BD, strict=True)
        lines = (f"{word} {' '.join(map(str, row_D))}\n" for word, row_D in pairs)
        stream.write("".join(lines).encode(*WORD_ENCODING))


def write_projector(rows: VectorRows, metadata: BinaryIO, tensors: BinaryIO) -> None:
    """Write the numbers, and a word a line under the digests of both."""
    digests = digest_headings(rows.words, (block_BD for _, block_BD in rows.blocks()))
    metadata.write(b"word" + digests + b"\n")
    for words, block_BD in rows.blocks():
        metadata.write("".join(f"{word}\n" for word in words).encode(*WORD_ENCODING))
        tensors.write("".join("\t".join(map(str, row_D)) + "\n" for row_D in block_BD).encode())
