"""Normalization equals unicodedata on any text, and takes linear time."""

import random
import sys
import time
import unicodedata

import pytest
from hypothesis import given, strategies as st

from nlpseq.reading.decode import UTF_8
from nlpseq.reading.normalize import normalize, normalize_block

PIECES = st.sampled_from(
    [*"ab \n", "b c", "é", "e\u0301", "\u1112\u1161\u11ab", "\U0001f600", "\u0316", "\uff9e", "ﬁ", "\u3000"]
)
LINEAR_CPU_SECONDS = 4.0  # linear time takes 0.1 s, quadratic time 10 s


@given(
    text=st.lists(PIECES, max_size=60).map("".join),
    form=st.sampled_from(["none", "NFC", "NFKC"]),
    rare_share=st.sampled_from([0.0, 2.0]),  # by lines, by words
)
def test_normalized_blocks_equal_unicodedata(text, form, rare_share):
    expected = text if form == "none" else unicodedata.normalize(form, text)
    assert normalize_block(text.encode(*UTF_8), form, rare_share).decode(*UTF_8) == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_long_runs_of_marks_equal_unicodedata(form):
    in_this_form = "\uff9e" * (form == "NFKC")  # a letter in the other
    changed = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.normalize(form, c) != c]
    many = ("\u0301\u0316\u0f73" + in_this_form) * 45
    for char in [*changed, *filter(unicodedata.combining, map(chr, range(0x20000)))]:
        text = f"a{char}{many}{char}b"
        assert normalize(text, form) == unicodedata.normalize(form, text), hex(ord(char))
    marks, letters = (
        "\u0300\u0316\u0344\u0345\u0f71\u0f73\u0f75\u0f81\u0f74\u3099\U0001e94a",
        "eé\u1100\uac00",
    )
    chance = random.Random(1)
    for number in range(300):
        chars = marks + in_this_form + letters * (number % 2)
        text = "é" + "".join(chance.choices(chars, k=600)) + "é"
        assert normalize(text, form) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize("marks", ["\u0300\u0316", "\u0f73", "\u0f75", "\u0f81", "\u0301\uff9e"])
def test_normalization_takes_linear_time(form, marks):
    start = time.process_time()  # of this process alone, whatever else the machine does
    normalize("a" + marks * 60_000, form)
    assert time.process_time() - start < LINEAR_CPU_SECONDS
