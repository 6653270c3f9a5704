"""Equality of the compiled parsers with plain Python, and blocks that end anywhere."""

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference import vector_rows
from support.vocabularies import PLAIN_WORDS, same_bits, write

from nlpseq.vectors.formats.parse_numba import take_lines, take_rows
from nlpseq.vectors.formats.reader import ReadSizes
from nlpseq.vectors.formats.registry import read_vectors
from nlpseq.vectors.formats.rows import VectorRows
from nlpseq.vectors.formats.text import write_word2vec

COMPILED = ReadSizes(compile_after=0)


def halfway(number: float) -> str:
    """Return a decimal halfway to the next float32, decided by the last bit of a double."""
    return repr((number + float(np.nextafter(np.float32(number), np.float32(np.inf)))) / 2)


NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, min_value=-1e38, max_value=1e38).map(repr),
    st.from_regex(r"[+-]?([0-9]{1,25}|[0-9]{0,22}\.[0-9]{1,25})([eE][+-]?0{0,3}[0-9]{1,2})?", fullmatch=True),
    st.floats(2.0**-99, 2.0**99, width=32).map(halfway),
    st.sampled_from(
        [
            *("0", "-0", "-0.0", ".5", "5.", "+", "-", ".", "e5", "1e", "1e+", "1_0", "0x1", "nan", "-inf"),
            *("1e39", "3.4028235e38", "3.4028236e38", "1e-45", "7e-46", "1e-99", "1-2", "--1", "1,5"),
            *("16777217", "16777217.000000001", "1e0000000001", "0.1000000000000000055511151231257827"),
        ]
    ),
)


@given(
    st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["", " ", "\r", " \t"]),
    st.sampled_from([" ", "\t", "  ", "\t "]),
    st.booleans(),
    st.integers(0, 5),
)
def test_take_lines_matches_reference(
    rows: list[list[str]], end: str, separator: str, has_word: bool, missing_bytes: int
) -> None:
    lines = [separator.join((["a\u00a0b"] if has_word else []) + numbers) + end for numbers in rows]
    content = b"xy" + "".join(line + "\n" for line in lines).encode()
    stop = len(content) - missing_bytes

    def run(kernel):
        block = np.frombuffer(bytearray(content), np.uint8)
        matrix = np.full((len(rows) + 1, 3), np.nan, np.float32)
        return block, matrix, kernel(block, 2, stop, has_word, matrix, 1)

    block, matrix, (taken, used, word_bytes) = run(take_lines)
    _, expected, (plain, _, _) = run(vector_rows.take_lines)
    assert taken <= plain
    assert same_bits(matrix[1 : 1 + taken], expected[1 : 1 + taken])
    assert used == sum(len(line.encode()) + 1 for line in lines[:taken])
    assert block[2 : 2 + word_bytes].tobytes() == ("a\u00a0b\n".encode() * taken if has_word else b"")
    if taken < plain:
        plain_numbers = [re.fullmatch(r"-?\d{1,7}\.\d{1,7}", number) for number in rows[taken]]
        assert not all(plain_numbers), "the kernel stopped at a plain line"


@given(
    st.lists(st.sampled_from([b"", b"a", b"\xff\xfe", b"word"]), min_size=1, max_size=4),
    st.sampled_from([b"", b"\n"]),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
def test_take_rows_matches_reference(words: list[bytes], newline: bytes, missing_bytes: int, random) -> None:
    content = b"xy" + b"".join(word + b" " + random.randbytes(12) + newline for word in words)
    stop = max(2, len(content) - missing_bytes)

    def run(kernel):
        block = np.frombuffer(bytearray(content), np.uint8)
        matrix = np.zeros((len(words) + 1, 12), np.uint8)
        taken, used, word_bytes = kernel(block, 2, stop, matrix, 1, len(words) + 1)
        return block[2 : 2 + word_bytes].tobytes(), matrix[: 1 + taken].tobytes(), (taken, used, word_bytes)

    assert run(take_rows) == run(vector_rows.take_rows)


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.tsv"])
def test_parsers_accept_blocks_of_any_size(tmp_path: Path, name: str, block_bytes: int) -> None:
    words, matrix = list(PLAIN_WORDS), np.arange(len(PLAIN_WORDS) * 3, dtype=np.float32).reshape(-1, 3) / 7
    write(tmp_path / name, words, matrix)
    found = read_vectors(tmp_path / name, sizes=ReadSizes(block_bytes, compile_after=0))
    assert (found.vocab.words, found.notices) == (words, [])
    assert same_bits(found.matrix_VD, matrix)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_binary_vectors_of_many_blocks_load(tmp_path: Path, newline: bytes, gzipped: bool) -> None:
    words = [f"word{v}" for v in range(9000)]
    matrix = np.random.default_rng(1).normal(size=(9000, 61)).astype("<f4")
    rows = [word.encode() + b" " + row.tobytes() + newline for word, row in zip(words, matrix, strict=True)]
    content = b"%d %d\n" % matrix.shape + b"".join(rows)
    (tmp_path / "a.bin").write_bytes(gzip.compress(content, 1) if gzipped else content)
    found = read_vectors(tmp_path / "a.bin")
    assert found.vocab.words == words
    assert same_bits(found.matrix_VD, matrix)


def test_vector_text_of_many_blocks_loads(tmp_path: Path) -> None:
    words = ["a b" if v == 3000 else f"word{v}" for v in range(6000)]  # a line with a space in the word
    matrix = np.random.default_rng(1).normal(size=(6000, 40)).astype(np.float32)
    text = io.BytesIO()
    write_word2vec(VectorRows(words, np.zeros(6000, np.int64), np.arange(6000), matrix), text)
    for content in (text.getvalue(), gzip.compress(text.getvalue(), 1)):
        (tmp_path / "a.vec").write_bytes(content)
        found = read_vectors(tmp_path / "a.vec", sizes=COMPILED)
        assert (found.vocab.words, found.notices) == (words, [])
        assert same_bits(found.matrix_VD, matrix)
