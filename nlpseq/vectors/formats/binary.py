"""Read and write word2vec binary: a line `V D`, then V times a word, a space and D little-endian float32.

word2vec.c and nlpseq end each row with a newline, gensim does not; both are read.
"""

from typing import BinaryIO

import numpy as np

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.resources import count_text
from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.fields import parse_sizes
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import LOAD_ALL, Source, Window
from nlpseq.vectors.formats.rows import WORD_ENCODING, RowBuffer, VectorFile, VectorRows

__all__ = ["read_binary", "write_binary"]

_TITLE = TITLES["word2vec-binary"]
_MAX_WORD_BYTES = 1 << 20
_MAX_HEADER_BYTES = 64
_NO_LIMIT = 1 << 62


def read_binary(source: Source) -> VectorFile:
    """Read the rows that the header declares.

    Raises ArtifactError if the file has fewer or more; options.lenient reads the rows there are, with
    notices.
    """
    header = source.sample[: source.sample.find(b"\n") + 1]
    num_words, dim = _sizes(source, header)
    lenient, num_rows = source.options.lenient, min(num_words, source.options.load_top or num_words)
    if not lenient:
        source.check_room(num_rows, dim, num_rows * (4 * dim + 1), LOAD_ALL)
    height = source.height(num_words, dim, 4)
    rows, window = RowBuffer(dim, height, source.options.load_top), Window(source, len(header))
    is_complete = _read_rows(rows, window, num_words)
    notices = list[str]()
    if not rows.is_full and (problem := _wrong_end(rows, window, num_words, is_complete)):
        if not lenient:
            raise source.corrupt(problem, LOAD_ALL)
        notices.append(problem)
        if is_complete and not _next_sizes(window):
            _read_rows(rows, window, _NO_LIMIT)
        if not rows.filled:
            raise source.corrupt(problem)
        notices.append(f"{count_text(rows.filled, 'vector')} loaded")
    vocab, matrix_VD = rows.finish(" ")
    return VectorFile(vocab, matrix_VD.view("<f4").astype(np.float32, copy=False), _TITLE, notices)


def _sizes(source: Source, header: bytes) -> tuple[int, int]:
    """Return V and D of the first line; raises ArtifactError without them."""
    sizes = parse_sizes(header) if len(header) <= _MAX_HEADER_BYTES else None
    if sizes is None:
        raise ArtifactError(
            f"{source.name}: line 1 is not `words dimensions`, with which this format begins. "
            "Name the right format with --from, or none."
        )
    if sizes[1] == 0:
        raise source.corrupt("line 1 declares vectors of 0 numbers")
    source.check_room(sizes[0], sizes[1], 4 * sizes[1])
    return sizes


def _read_rows(rows: RowBuffer, window: Window, limit: int) -> bool:
    """Read rows until there are `limit`; return False if the file ends before or has no word."""
    use_cache_for_numba()
    from nlpseq.vectors.formats.parse_numba import take_rows

    row_bytes = 4 * rows.dim
    while rows.filled < limit and not rows.is_full:
        rows.make_room(min(limit - rows.filled, (window.end - window.start) // (row_bytes + 1)))
        height = min(limit, len(rows.matrix_VD))
        block, start = np.frombuffer(window.block, np.uint8), window.start
        matrix = rows.matrix_VD.view(np.uint8)
        taken, used, word_bytes = take_rows(block, start, window.end, matrix, rows.filled, height)
        rows.add(taken, block[start : start + word_bytes].tobytes())
        window.start += used
        too_long = taken == 0 and window.end - window.start > row_bytes + _MAX_WORD_BYTES
        if rows.filled < limit and not rows.is_full and (too_long or not window.read_more()):
            return False
    return True


def _wrong_end(rows: RowBuffer, window: Window, num_words: int, is_complete: bool) -> str | None:
    """Return the problem if the rows end before V, or the file goes on after them."""
    at = window.offset + window.start
    if not is_complete:
        missing = f"word {rows.filled + 1:,} of {num_words:,} and its {count_text(rows.dim, 'number')}"
        return f"byte {at} does not hold {missing}: the file is truncated, or line 1 is wrong"
    while window.end - window.start < _MAX_HEADER_BYTES and window.read_more():
        pass
    if bytes(window.block[window.start : window.end]) in (b"", b"\n"):
        return None
    declared = f"continues after the {count_text(num_words, 'vector')} that line 1 declares"
    if sizes := _next_sizes(window):
        return f"{declared}: byte {at} begins a second file, of {count_text(sizes[0], 'vector')}"
    return f"{declared}: line 1 is wrong"


def _next_sizes(window: Window) -> tuple[int, int] | None:
    """Return V and D if the window begins with the first line of a file."""
    head = bytes(window.block[window.start : min(window.end, window.start + _MAX_HEADER_BYTES)]).lstrip(b"\n")
    line, end, _ = head.partition(b"\n")
    return parse_sizes(line) if end else None


def write_binary(rows: VectorRows, stream: BinaryIO) -> None:
    """Write the header and the rows."""
    stream.write(b"%d %d\n" % (len(rows.words), rows.matrix_VD.shape[1]))
    for words, block_BD in rows.blocks():
        pairs = zip(words, block_BD.astype("<f4"), strict=True)
        parts = (word.encode(*WORD_ENCODING) + b" " + row_D.tobytes() + b"\n" for word, row_D in pairs)
        stream.write(b"".join(parts))
