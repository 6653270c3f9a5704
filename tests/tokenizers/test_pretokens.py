"""The compiled scan finds the pre-tokens of the reference, in any bytes."""

import random
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference import bpe as plain

from nlpseq.tokenizers.bpe import BREAK, SPACE, pretoken_classes
from nlpseq.tokenizers.pretokens_numba import find_spans

PIECES = [
    *(b"a", b"B", b"7", b" ", b"  ", b"'", b"'s", b"'re", b"'l", b"'ll", b"'d", b"!", b"\t", b"\r", b"\0"),
    *(each.encode() for each in "é한😀²\u00a0\u3000\u0301\u200d\ufeff\x1c"),
    *(b"\xff", b"\xe2\x82", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xf0\x80\x80\xaf"),
]


def found(data: bytes, newline: int) -> tuple[list[bytes], list[int]]:
    text, starts, ends, lengths_L = find_spans(data, pretoken_classes(newline), None)
    return [text[a:b].tobytes() for a, b in zip(starts, ends, strict=True)], lengths_L.tolist()


def assert_same(data: bytes) -> None:
    assert found(data, SPACE)[0] == plain.pretokens(data)
    lines = [plain.pretokens(line) for line in data.split(b"\n")]
    assert found(data, BREAK) == ([*chain.from_iterable(lines)], [len(line) for line in lines])


@pytest.mark.parametrize("seed", range(8))
def test_pretokens_of_mixed_bytes_equal_reference(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(120):
        pieces = draw.choices(PIECES[: draw.choice((8, 15, 99))] + [b"\n"] * draw.randrange(3), k=90)
        assert_same(b"".join(pieces))


@given(data=st.binary(max_size=200))
def test_pretokens_of_any_bytes_equal_reference(data: bytes) -> None:
    assert_same(data)


@pytest.mark.parametrize("piece", [b"'s", b"'ll", b"'re", b"'vx", b" ", b"  ", b"\n", b"'s's"])
@pytest.mark.parametrize("behind", [b"", b"a", b"'s", b" ", b"7", b"\n", "é".encode(), b"\xff"])
def test_pretokens_at_end_of_vector_equal_reference(piece: bytes, behind: bytes) -> None:
    for length in range(60, 66):
        assert_same(b"x" * length + piece + behind + b"b c" + b"d" * 80)


def test_classes_have_the_letters_of_unicode_16() -> None:
    classes = pretoken_classes(BREAK)
    counts = np.bincount(classes, minlength=6).tolist()
    assert classes[[0x1C89, 0x323AF, 0x1E5F1]].tolist() == [1, 1, 2]
    assert counts[:3] + counts[4:] == [23, 141_028, 1_911, 1, 1]
