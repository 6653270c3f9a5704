"""Vectors as text: word2vec's, GloVe's, and the tensors of the TensorBoard projector.

    word2vec text     a line `V D`, then V lines `word number ... number`; fastText's .vec is the same
    GloVe text        such lines alone; a few words of published files hold spaces
    tensors           lines `number<TAB>...<TAB>number`; the words are elsewhere

Numbers are written as short as they read back to the bit. Letters: V words, D dimensions, B rows of a block.
"""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import LONGEST_LINE, Source, Window
from nlpseq.vectors.formats.row_buffer import RowBuffer, VectorFile, without_counts
from nlpseq.vectors.formats.writer import VectorRows, encode_word

_COMPILED_FROM = 1 << 20  # bytes into a file; a smaller one would not make up for compiling and loading that

_TakeLines = Callable[..., tuple[int, int, int]]


class Layout(NamedTuple):
    """How a line is built."""

    separator: bytes
    has_word: bool


_WORD_FIRST = Layout(b" ", has_word=True)
TENSORS = Layout(b"\t", has_word=False)


def read_word2vec(source: Source) -> VectorFile:
    promise = source.read_header(bytes_per_number=2)
    rows = RowBuffer(promise.dim, 0 if source.packed else promise.num_words)
    notices = fill(rows, source, Window(source.stream, position=promise.num_bytes), 2, _WORD_FIRST)
    if rows.filled != promise.num_words:
        raise source.damage(f" holds {rows.filled} vectors, its first line promises {promise.num_words}")
    return VectorFile(without_counts(rows.words("\n")), rows.matrix(), TITLES["word2vec"], notices)


def read_glove(source: Source) -> VectorFile:
    first = source.first_line()
    rows = RowBuffer(glove_dim(first) or 1)  # what no line of GloVe is has no number either, and is named below
    notices = fill(rows, source, Window(source.stream, first), 1, _WORD_FIRST)
    return VectorFile(without_counts(rows.words("\n")), rows.matrix(), TITLES["glove"], notices)


def glove_dim(line: bytes) -> int:
    """How many numbers a line of GloVe ends with, 0 if it is none."""
    fields = line.rstrip().split(b" ")
    return next((d for d, field in enumerate(fields[:0:-1]) if not is_number(field)), len(fields) - 1)


def fill(rows: RowBuffer, source: Source, window: Window, line: int, layout: Layout) -> list[str]:
    """Read lines to the end of the file; what a person should know of them. line: the number of the first."""
    take_lines: _TakeLines | None = None
    while True:
        if take_lines is None and window.position >= _COMPILED_FROM:
            take_lines = _kernel()
        if take_lines is not None:
            line += _take_plain(take_lines, rows, window, layout)
        row = window.line()
        if len(row) >= LONGEST_LINE:
            raise source.damage(f", line {line}, is longer than {LONGEST_LINE} bytes")
        if row.strip():
            _add_row(rows, source, line, row, layout)
        if not row.endswith(b"\n"):
            return [f"{source.file} ends without a newline and may have been cut short"] if row else []
        line += 1


def _take_plain(take_lines: _TakeLines, rows: RowBuffer, window: Window, layout: Layout) -> int:
    """Move as many lines as the compiled loop understands; how many they were."""
    if rows.filled == len(rows.matrix_VD):
        rows.make_room(window.num_bytes // (2 * rows.dim + 1))
    block, start = np.frombuffer(window.block, np.uint8), window.place
    separator, matrix_VD = layout.separator[0], rows.matrix_VD
    taken, used, word_bytes = take_lines(
        block, start, window.end, separator, layout.has_word, matrix_VD, rows.filled
    )
    rows.add(taken, block[start : start + word_bytes].tobytes())
    window.take(used)
    return taken


def _add_row(rows: RowBuffer, source: Source, line: int, row: bytes, layout: Layout) -> None:
    try:
        word, row_D = parse_row(row, rows.dim, layout)
    except (ValueError, FloatingPointError) as error:
        what = "word with" if layout.has_word else "row of"
        raise source.damage(f", line {line}, is no {what} {rows.dim} numbers: {error}") from None
    rows.make_room(1)
    rows.matrix_VD[rows.filled] = row_D
    rows.add(1, word + b"\n" if layout.has_word else b"")


def parse_row(row: bytes, dim: int, layout: Layout) -> tuple[bytes, npt.NDArray[np.float32]]:
    """Word and numbers of a line, which is split from the right: words may hold any white space."""
    fields = row.rstrip().rsplit(layout.separator, dim if layout.has_word else -1)
    word, numbers = (fields[0], fields[1:]) if layout.has_word else (b"", fields)
    if len(numbers) < dim:
        raise ValueError(f"it has {len(numbers)}")
    if len(numbers) > dim or (b" " in word and is_number(word.rsplit(b" ", 1)[1])):
        raise ValueError("it has more")
    with np.errstate(over="raise"):
        return word, np.array(numbers, np.float32)


def is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _kernel() -> _TakeLines:
    use_cache_for_numba()
    from nlpseq.vectors.formats._parse_numba import take_lines

    return take_lines


def write_word2vec(table: VectorRows, stream: BinaryIO) -> None:
    stream.write(b"%d %d\n" % (len(table.words), table.dim))
    write_glove(table, stream)


def write_glove(table: VectorRows, stream: BinaryIO) -> None:
    for words, block_BD in table.blocks():
        rows = zip(words, block_BD, strict=True)
        stream.write(b"".join(encode_word(word) + b" " + number_line(row_D, " ") for word, row_D in rows))


def number_line(row_D: npt.NDArray[np.float32], separator: str) -> bytes:
    """A line of numbers; str of a float32 is the shortest that reads back the same."""
    return (separator.join(map(str, row_D)) + "\n").encode()
