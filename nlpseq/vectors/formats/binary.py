"""Read and write word2vec binary: a line `V D`, then V times a word, a space and D little-endian float32.

word2vec.c and nlpseq end each row with a newline, gensim does not; both are read.
"""

from typing import BinaryIO

import numpy as np

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.resources import count_text
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import Header, Source, Window
from nlpseq.vectors.formats.rows import WORD_ENCODING, RowBuffer, VectorFile, VectorRows

__all__ = ["read_binary", "write_binary"]

_MAX_WORD_BYTES = 1 << 20


def read_binary(source: Source) -> VectorFile:
    """Read the rows that the header declares; raises ArtifactError if the file has fewer or more."""
    header = source.read_header(bytes_per_number=4)
    rows = RowBuffer(header.dim, 0 if source.compressed else header.num_words)
    window = Window(source, offset=header.num_bytes)
    _read_rows(rows, source, window, header)
    if bytes(window.block[window.start : window.end]) + source.stream.read(2) not in (b"", b"\n"):
        raise source.corrupt(
            f"continues after the {count_text(header.num_words, 'vector')} that line 1 declares"
        )
    vocab, matrix_VD = rows.finish(" ")
    matrix_VD = matrix_VD.view("<f4").astype(np.float32, copy=False)
    return VectorFile(vocab, matrix_VD, TITLES["word2vec-binary"], [])


def _read_rows(rows: RowBuffer, source: Source, window: Window, header: Header) -> None:
    use_cache_for_numba()
    from nlpseq.vectors.formats.parse_numba import take_rows

    num_words, row_bytes = header.num_words, 4 * header.dim
    while rows.filled < num_words:
        rows.make_room(min(num_words - rows.filled, (window.end - window.start) // (row_bytes + 1)))
        height = min(num_words, len(rows.matrix_VD))
        block, start = np.frombuffer(window.block, np.uint8), window.start
        matrix = rows.matrix_VD.view(np.uint8)
        taken, used, word_bytes = take_rows(block, start, window.end, matrix, rows.filled, height)
        rows.add(taken, block[start : start + word_bytes].tobytes())
        window.start += used
        too_long = taken == 0 and window.end - window.start > row_bytes + _MAX_WORD_BYTES
        if too_long or (rows.filled < num_words and not window.read_more()):
            missing = f"word {rows.filled + 1:,} of {num_words:,} and its {count_text(header.dim, 'number')}"
            at = window.offset + window.start
            raise source.corrupt(f"byte {at} holds neither as text nor as binary {missing}")


def write_binary(rows: VectorRows, stream: BinaryIO) -> None:
    """Write the header and the rows."""
    stream.write(b"%d %d\n" % (len(rows.words), rows.matrix_VD.shape[1]))
    for words, block_BD in rows.blocks():
        pairs = zip(words, block_BD.astype("<f4"), strict=True)
        parts = (word.encode(*WORD_ENCODING) + b" " + row_D.tobytes() + b"\n" for word, row_D in pairs)
        stream.write(b"".join(parts))
