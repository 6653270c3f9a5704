"""Read and write vectors as text: word2vec's, GloVe's, and the tensors of the TensorBoard projector.

    word2vec text     a line `V D`, then V lines `word number ... number`; also fastText's .vec
    GloVe text        the same lines without the first; a few words of published files contain spaces
    tensors           lines `number<TAB>...<TAB>number`; the words are in NAME.metadata.tsv

The metadata have headings for the digests of pairs.py; metadata of other tools have a single column, in which
the projector takes every line as a word.
Numbers are written with the fewest digits that read back bit for bit.
Letters: V words, D dimensions, B rows of a block.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.pairs import digest_headings, read_words_beside
from nlpseq.vectors.formats.reader import MAX_LINE_BYTES, Source, Window
from nlpseq.vectors.formats.rows import UNKNOWN_COUNT, WORD_ENCODING, RowBuffer, VectorFile, VectorRows

__all__ = [
    "NUMBERS_ONLY", "WORD_FIRST", "LineLayout", "count_numbers", "is_number", "parse_row", "read_glove",
    "read_projector", "read_word2vec", "write_glove", "write_projector", "write_word2vec",
]  # fmt: skip

_TakeLines = Callable[..., tuple[int, int, int]]


class LineLayout(NamedTuple):
    """The fields of a line."""

    separator: bytes
    has_word: bool


WORD_FIRST = LineLayout(b" ", has_word=True)
NUMBERS_ONLY = LineLayout(b"\t", has_word=False)


def read_word2vec(source: Source) -> VectorFile:
    """Read the rows that the header declares; raises ArtifactError if the file has fewer or more."""
    header = source.read_header(bytes_per_number=2)
    rows = RowBuffer(header.dim, 0 if source.compressed else header.num_words)
    notices = _read_lines(rows, source, Window(source, offset=header.num_bytes), 2, WORD_FIRST)
    vocab, matrix_VD = rows.finish("\n")
    if len(vocab) != header.num_words:
        raise source.corrupt(
            f"holds {count_text(len(vocab), 'vector')}, but line 1 declares {header.num_words:,}"
        )
    return VectorFile(vocab, matrix_VD, TITLES["word2vec"], notices)


def read_glove(source: Source) -> VectorFile:
    """Read lines with as many numbers as the first."""
    vocab, matrix_VD, notices = _read_without_header(source, WORD_FIRST)
    return VectorFile(vocab, matrix_VD, TITLES["glove"], notices)


def read_projector(source: Source) -> VectorFile:
    """Read lines of numbers and the words beside them."""
    _, matrix_VD, notices = _read_without_header(source, NUMBERS_ONLY)
    vocab = read_words_beside(source, "projector", matrix_VD, _parse_metadata)
    return VectorFile(vocab, matrix_VD, TITLES["projector"], notices)


def _parse_metadata(content: bytes, has_heading: bool, file: Path) -> Vocab:
    """Read a word a line, without the heading."""
    if b"\t" in content:
        raise ArtifactError(f"{file}: has several columns. Keep the words alone, without a heading.")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    words = [line.removesuffix(b"\r").decode(*WORD_ENCODING) for line in lines[has_heading:]]
    return Vocab(words, np.full(len(words), UNKNOWN_COUNT))


def count_numbers(line: bytes, layout: LineLayout) -> int:
    """Count the numbers of a line, after a word those at the end; 0 for any other line."""
    fields = line.rstrip().split(layout.separator)
    if layout.has_word:
        return next((d for d, field in enumerate(fields[:0:-1]) if not is_number(field)), len(fields) - 1)
    return len(fields) if all(map(is_number, fields)) else 0


def _read_without_header(
    source: Source, layout: LineLayout
) -> tuple[Vocab, npt.NDArray[np.float32], list[str]]:
    """Read a file without a header, whose first line sets D; return words, (V, D) float32 and notices."""
    first = source.read_line()
    rows = RowBuffer(count_numbers(first, layout) or 1)  # 1, so that the parser refuses the line
    notices = _read_lines(rows, source, Window(source, first), 1, layout)
    return *rows.finish("\n"), notices


def _read_lines(rows: RowBuffer, source: Source, window: Window, line: int, layout: LineLayout) -> list[str]:
    """Read rows to the end of the file and return notices; line: number of the first line."""
    take_lines: _TakeLines | None = None
    while True:
        if take_lines is None and window.offset + window.start >= source.sizes.compile_after:
            use_cache_for_numba()
            from nlpseq.vectors.formats import parse_numba

            take_lines = parse_numba.take_lines
        if take_lines is not None:
            line += _take_plain(take_lines, rows, window, layout)
        row = window.take_line()
        if len(row) >= MAX_LINE_BYTES:
            raise source.corrupt(f"line {line} is longer than {MAX_LINE_BYTES:,} bytes")
        if row.strip():
            _add_row(rows, source, line, row, layout)
        if not row.endswith(b"\n"):
            return [f"{source.file} ends without a newline and may be truncated"] if row else []
        line += 1


def _take_plain(take_lines: _TakeLines, rows: RowBuffer, window: Window, layout: LineLayout) -> int:
    """Parse lines until the first that is not plain, and return how many were plain."""
    if rows.filled == len(rows.matrix_VD):
        rows.make_room((window.end - window.start) // (2 * rows.dim + 1))
    block, start = np.frombuffer(window.block, np.uint8), window.start
    separator, matrix_VD = layout.separator[0], rows.matrix_VD
    taken, used, word_bytes = take_lines(
        block, start, window.end, separator, layout.has_word, matrix_VD, rows.filled
    )
    rows.add(taken, block[start : start + word_bytes].tobytes())
    window.start += used
    return taken


def _add_row(rows: RowBuffer, source: Source, line: int, row: bytes, layout: LineLayout) -> None:
    try:
        word, row_D = parse_row(row, rows.dim, layout)
    except (ValueError, FloatingPointError) as error:
        expected = "a word with " * layout.has_word + count_text(rows.dim, "number")
        raise source.corrupt(f"line {line} is not {expected}: {error}") from None
    rows.make_room(1)
    rows.matrix_VD[rows.filled] = row_D
    rows.add(1, word + b"\n" if layout.has_word else b"")


def parse_row(row: bytes, dim: int, layout: LineLayout) -> tuple[bytes, npt.NDArray[np.float32]]:
    """Split a line into word and numbers, from the right, because words may contain white space.

    Raises ValueError or FloatingPointError if the line does not hold `dim` finite numbers.
    """
    fields = row.rstrip().rsplit(layout.separator, dim if layout.has_word else -1)
    word, numbers = (fields[0], fields[1:]) if layout.has_word else (b"", fields)
    if len(numbers) < dim:
        raise ValueError(f"{len(numbers)} found")
    if len(numbers) > dim or (b" " in word and is_number(word.rsplit(b" ", 1)[1])):
        raise ValueError("more found")
    with np.errstate(over="raise"):
        return word, np.array(numbers, np.float32)


def is_number(field: bytes) -> bool:
    """Tell whether Python reads a field as a float."""
    try:
        float(field)
    except ValueError:
        return False
    return True


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
