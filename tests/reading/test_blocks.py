"""Blocks: together the whole text, cut at newlines, white space or between letters, in bounded memory."""

import itertools
import os
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.config import TextConfig
from nlpseq.reading.blocks import BlockLimits, cut_blocks
from nlpseq.reading.corpus import ReadReport, open_corpus
from nlpseq.reading.decode import decode
from nlpseq.reading.normalize import normalize

PIECES = st.sampled_from(
    [
        "a",
        "b c",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\u2028",
        "\u3000",
        "e\u0301",
        "\u1112\u1161\u11ab",
        "\U0001f600",
        "\u0316",
    ]
)


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    return write_text(folder / name, content)


@given(
    text=st.lists(PIECES, max_size=60).map("".join),
    form=st.sampled_from(["none", "NFC", "NFKC"]),
    read_bytes=st.integers(1, 9),
    block_bytes=st.integers(32, 120),
)
def test_blocks_join_to_the_text_for_any_size(text, form, read_bytes, block_bytes):
    config, report = TextConfig(normalize=form, tokenizer="whitespace"), ReadReport()
    data = text.encode()
    chunks = (data[start : start + read_bytes] for start in range(0, len(data), read_bytes))
    pieces = decode(chunks, "the file", config, report)
    blocks = list(cut_blocks(pieces, config, report, BlockLimits(block_bytes=block_bytes)))
    expected = normalize(text.replace("\r\n", "\n").replace("\r", "\n"), form)
    joined = "".join(normalize(block.decode(), form) for block, _ in blocks)
    # a character with more marks than half a block must be cut, all others stay whole
    assert joined == expected or (report.cut_tokens and "\u0316" * 3 in text)
    for (block, continues), (after, _) in itertools.pairwise(blocks):
        assert continues == (not block.endswith(b"\n"))
        assert len(block) <= block_bytes
        is_between_words = block.decode()[-1].isspace() or after.decode()[0].isspace()
        assert not continues or report.cut_tokens or is_between_words
    assert not any(continues for _, continues in blocks[-1:])


def test_end_of_file_ends_the_sentence(tmp_path):
    files = write(tmp_path, b"ab ", "a"), write(tmp_path, b"ab cd", "b")
    blocks = read(*files, limits=BlockLimits(block_bytes=4))
    assert [(block.text, block.continues) for block in blocks] == [
        ("ab ", False),
        ("ab ", True),
        ("cd", False),
    ]


def test_empty_file_has_no_blocks(tmp_path):
    assert read(write(tmp_path, b"")) == []
    assert read(write(tmp_path, b""), encoding="utf-16") == []


def test_long_line_is_cut_between_words(tmp_path):
    limits = BlockLimits(block_bytes=8)
    report = ReadReport()
    blocks = read(write(tmp_path, b"one two three four\nfive"), report=report, limits=limits)
    assert [block.text for block in blocks] == ["one two ", "three ", "four\n", "five"]
    assert [block.continues for block in blocks] == [True, True, False, False]
    assert report.notices() == []


def test_text_without_white_space_is_cut_with_notice(tmp_path):
    limits = BlockLimits(block_bytes=8)
    report = ReadReport()
    file = write(tmp_path, b"abcdefghijklmnopqrst\n")
    assert [block.text for block in read(file, report=report, limits=limits)] == [
        "abcdefgh",
        "ijklmnop",
        "qrst\n",
    ]
    assert report.cut_tokens == 2 and "cut in 2 places" in report.notices()[0]
    report = ReadReport()
    assert text_of(file, report=report, limits=limits, tokenizer="char") == "abcdefghijklmnopqrst\n"
    assert report.notices() == []


@pytest.mark.parametrize("tokenizer", ["nltk", "toktok", "tweet"])
def test_whole_line_tokenizers_get_long_lines_in_parts(tmp_path, tokenizer):
    limits = BlockLimits(block_bytes=12, line_chars=7)
    report = ReadReport()
    blocks = read(
        write(tmp_path, b"ab cd ef gh\nij kl mn op qr st uv\nwx"),
        report=report,
        limits=limits,
        tokenizer=tokenizer,
    )
    assert "".join(block.text for block in blocks).split("\n") == [
        *("ab cd ", "ef gh", "ij kl ", "mn op ", "qr st ", "uv", "wx"),
    ]
    assert not any(block.continues for block in blocks)
    assert report.cut_lines == 4 and "cut at white space in 4 places" in report.notices()[0]


def test_letters_are_cut_together_with_their_marks(tmp_path):
    limits = BlockLimits(block_bytes=100, line_chars=7)
    assert (
        text_of(write(tmp_path, "abcdefe\u0301xyz\n".encode()), limits=limits, tokenizer="nltk")
        == "abcdef\néxyz\n"
    )


def test_line_of_64_megabytes_takes_little_memory(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    def pour() -> None:
        with (tmp_path / "pipe").open("wb") as pipe:
            for _ in range(64):
                pipe.write(b"0123456789abcd \xc3\xa9" * 61_681)  # 17 bytes, 16 characters

    writer = threading.Thread(target=pour)
    tracemalloc.start()
    writer.start()
    words = characters = 0
    for block in open_corpus(tmp_path / "pipe").blocks(TextConfig(), ReadReport()):
        characters += len(block.text)
        words += block.text.count("abcd")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    writer.join()
    assert (characters, words) == (64 * 61_681 * 16, 64 * 61_681)
    assert peak < 40e6
