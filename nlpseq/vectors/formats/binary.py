"""word2vec binary: a line `V D`, then V times a word, a space and D little-endian float32.

word2vec.c ends each row with a newline, as is done here, and gensim does not; both are read.
"""

from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import Header, Source, Window
from nlpseq.vectors.formats.row_buffer import RowBuffer, VectorFile, without_counts
from nlpseq.vectors.formats.writer import VectorRows, encode_word

_LONGEST_WORD = 1 << 20  # bytes


def read_binary(source: Source) -> VectorFile:
    promise = source.read_header(bytes_per_number=4)
    rows = RowBuffer(promise.dim, 0 if source.packed else promise.num_words)
    window = Window(source.stream, position=promise.num_bytes)
    _fill(rows, source, window, promise)
    if window.rest() + source.stream.read(2) not in (b"", b"\n"):
        raise source.damage(f" goes on after the {promise.num_words} vectors that line 1 promises")
    matrix_VD = rows.matrix().view("<f4").astype(np.float32, copy=False)
    return VectorFile(without_counts(rows.words(" ")), matrix_VD, TITLES["word2vec-binary"], [])


def _fill(rows: RowBuffer, source: Source, window: Window, promise: Header) -> None:
    take_rows = _kernel()
    num_words, row_bytes = promise.num_words, 4 * promise.dim
    while rows.filled < num_words:
        rows.make_room(min(num_words - rows.filled, window.num_bytes // (row_bytes + 1)))
        height = min(num_words, len(rows.matrix_VD))
        block, start = np.frombuffer(window.block, np.uint8), window.place
        matrix = rows.matrix_VD.view(np.uint8)
        taken, used, word_bytes = take_rows(block, start, window.end, matrix, rows.filled, height)
        rows.add(taken, block[start : start + word_bytes].tobytes())
        window.take(used)
        too_long = taken == 0 and window.num_bytes > row_bytes + _LONGEST_WORD
        if too_long or (rows.filled < num_words and not window.more()):
            missing = f"word {rows.filled + 1} of {num_words} and its {promise.dim} numbers"
            raise source.damage(f", byte {window.position}, holds neither as text nor as binary {missing}")


def _kernel() -> Callable[..., tuple[int, int, int]]:
    use_cache_for_numba()
    from nlpseq.vectors.formats._binary_numba import take_rows

    return take_rows


def write_binary(table: VectorRows, stream: BinaryIO) -> None:
    stream.write(b"%d %d\n" % (len(table.words), table.dim))
    for words, block_BD in table.blocks():
        rows = zip(words, block_BD.astype("<f4"), strict=True)
        stream.write(b"".join(encode_word(word) + b" " + row_D.tobytes() + b"\n" for word, row_D in rows))
