"""Plain counterparts of the kernels that parse vector files, with the same signatures."""

import numpy as np
import numpy.typing as npt

from nlpseq.vectors.formats.text import NUMBERS_ONLY, WORD_FIRST, parse_row

Bytes = npt.NDArray[np.uint8]


def take_lines(
    block: Bytes,
    start: int,
    end: int,
    separator: int,
    has_word: bool,
    matrix: npt.NDArray[np.float32],
    filled: int,
) -> tuple[int, int, int]:
    """Parse lines by parse_row, up to the first incorrect or incomplete line, or a word with a space."""
    layout = WORD_FIRST if has_word else NUMBERS_ONLY
    assert layout.separator[0] == separator
    at, row, words = start, filled, b""
    for line in block[start:end].tobytes().splitlines(keepends=True):
        if row == len(matrix) or not line.endswith(b"\n"):
            break
        try:
            word, matrix[row] = parse_row(line, matrix.shape[1], layout)
        except (ValueError, FloatingPointError):
            break
        if b" " in word:
            break
        words += word + b"\n" if has_word else b""
        at, row = at + len(line), row + 1
    block[start : start + len(words)] = np.frombuffer(words, np.uint8)
    return row - filled, at - start, len(words)


def take_rows(
    block: Bytes, start: int, end: int, matrix: Bytes, filled: int, height: int
) -> tuple[int, int, int]:
    """Split rows of a word, a space and numbers, with or without a newline before the word."""
    content, at, row, words = block[:end].tobytes(), start, filled, b""
    while row < height:
        word = at + content[at:].startswith(b"\n")
        numbers = content.find(b" ", word) + 1
        if numbers == 0 or numbers + matrix.shape[1] > end:
            break
        words += content[word:numbers]
        at = numbers + matrix.shape[1]
        matrix[row] = np.frombuffer(content[numbers:at], np.uint8)
        row += 1
    block[start : start + len(words)] = np.frombuffer(words, np.uint8)
    return row - filled, at - start, len(words)
