"""The rule for rows of text vectors, and plain counterparts of the kernels that parse vector files."""

import re

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Row = tuple[bytes, list[float]]

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)


def split_row(line: bytes, dim: int) -> Row | None:
    """Return the word and the last `dim` fields as numbers, None if they are not numbers."""
    found = re.fullmatch(rb"(.*?)((?:[ \t]+[^ \t]+){%d})" % dim, line.rstrip(b" \t\r"), re.DOTALL)
    fields = re.split(rb"[ \t]+", found[2])[1:] if found else []
    if found is None or not all(map(NUMBER.fullmatch, fields)):
        return None
    return found[1], [float(field) for field in fields]


def count_numbers(line: bytes) -> int:
    """Count the numbers at the end of a line, after its first field."""
    _, *fields = re.split(rb"[ \t]+", line.rstrip(b" \t\r"))
    return next((d for d, field in enumerate(reversed(fields)) if not NUMBER.fullmatch(field)), len(fields))


def read_rows(content: bytes, *, has_header: bool) -> list[Row] | None:
    """Return the rows of a file of at most seven, None if it is refused."""
    *lines, last = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\x1a").split(b"\n")
    lines, num_rows, declared = [line for line in lines if line.strip(b" \t\r")], None, None
    if has_header:
        if not lines:  # the line of sizes is cut
            return None
        num_rows, declared = map(int, lines.pop(0).split())
        if len(lines) > 1 and min(map(count_numbers, lines)) > declared:
            return None
    dim = declared or min(map(count_numbers, lines or [last]))
    lines += [last] * bool(last.strip(b" \t\r"))  # its numbers do not lower `dim`
    counts = list(map(count_numbers, lines))
    is_joined = not has_header and max(counts, default=0) > dim + 2
    if dim == 0 or is_joined or min(counts, default=dim) < dim or num_rows not in (None, len(lines)):
        return None
    return [row for line in lines if (row := split_row(line, dim))]


def take_lines(
    block: Bytes, start: int, end: int, has_word: bool, matrix: npt.NDArray[np.float32], filled: int
) -> tuple[int, int, int]:
    """Split whole lines of a word without separators and as many numbers as the matrix has columns."""
    at, row, words, dim = start, filled, b"", matrix.shape[1]
    for line in block[start:end].tobytes().splitlines(keepends=True):
        found = split_row((b"" if has_word else b" ") + line.removesuffix(b"\n"), dim)
        if row == len(matrix) or not line.endswith(b"\n") or found is None:
            break
        word, numbers = found
        if re.search(rb"[ \t]", word) or (word and not has_word):
            break
        with np.errstate(over="ignore"):
            matrix[row] = numbers
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
