"""Decoding: byte order marks, wrong encodings, invalid bytes, newlines."""

import codecs
import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from support.texts import text_of, write_text

from nlpseq.config import TextConfig
from nlpseq.errors import DataError
from nlpseq.reading.decode import ReadReport, decode


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    return write_text(folder / name, content)


def decode_in_chunks(content: bytes, size: int, report: ReadReport, **config) -> str:
    """Decode bytes that arrive `size` at a time."""
    chunks = (content[start : start + size] for start in range(0, len(content), size))
    return b"".join(decode(chunks, "the file", TextConfig(**config), report)).decode()


def test_byte_order_mark_is_removed():
    for size in (1, 2, 3, 4, 100):
        for encoding, content in {
            "utf-8": codecs.BOM_UTF8 + b"a \xed\x95\x9c",
            "utf-8-sig": codecs.BOM_UTF8 + b"a \xed\x95\x9c",
            "utf-16": "a 한".encode("utf-16"),
            "utf-16-le": codecs.BOM_UTF16_LE + "a 한".encode("utf-16-le"),
            "utf-16-be": "\ufeffa 한".encode("utf-16-be"),
            "utf-32": "a 한".encode("utf-32"),
        }.items():
            report = ReadReport()
            assert decode_in_chunks(content, size, report, encoding=encoding) == "a 한", encoding
            assert report == ReadReport()


def test_each_file_may_start_with_a_byte_order_mark(tmp_path):
    a, b = write(tmp_path, codecs.BOM_UTF8 + b"a\n", "a"), write(tmp_path, codecs.BOM_UTF8 + b"b\n", "b")
    assert text_of(a, b) == "a\nb\n"


def test_utf_16_file_suggests_encoding(tmp_path):
    with pytest.raises(
        DataError, match=r"a\.txt: starts with a UTF-16 byte order mark\. Use --encoding utf-16\."
    ):
        text_of(write(tmp_path, "a 한".encode("utf-16")))
    with pytest.raises(
        DataError, match=r"a\.txt: has no byte order mark\. .*--encoding utf-16-le or --encoding utf-16-be"
    ):
        text_of(write(tmp_path, "a 한".encode("utf-16-le")), encoding="utf-16")
    for order in ("le", "be"):
        report = ReadReport()
        text_of(write(tmp_path, b"".join(c.encode(f"utf-16-{order}") for c in "plain text\n")), report=report)
        assert f"looks like UTF-16. Use --encoding utf-16-{order}." in " ".join(report.notices())


def test_cp949_file_suggests_encoding(tmp_path):
    korean = "한국어 위키백과는 한국어로 쓰인 백과사전이다.\n똠방각하 펲시콜라\n" * 20
    file = write(tmp_path, korean.encode("cp949"))
    report = ReadReport()
    text_of(file, report=report)
    assert report.notices()[1] == f"{file}: looks like Korean in cp949. Use --encoding cp949."
    with pytest.raises(DataError, match=r"byte 0 is invalid in utf-8.*Use --encoding cp949"):
        text_of(file, encoding_errors="strict")
    few = ReadReport()
    text_of(write(tmp_path, b"plain text\n" * 1000 + "한글\n".encode("cp949"), "few.txt"), report=few)
    assert few.invalid_bytes > 0 and few.hint is None
    chunked = decode_in_chunks(korean.encode("cp949"), 1, few, encoding="cp949", encoding_errors="strict")
    assert chunked == korean


def test_latin_1_is_not_taken_for_korean(tmp_path):
    report = ReadReport()
    text_of(write(tmp_path, "déjà vu à la crème brûlée, garçon\n".encode("latin-1") * 20), report=report)
    assert report.invalid_bytes == 140 and report.hint is None
    assert report.notices()[1].endswith(
        "mostly invalid as UTF-8. Use --encoding cp1252 for older Western European text."
    )


def test_nul_bytes_give_a_notice(tmp_path):
    report = ReadReport()
    text_of(write(tmp_path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "a.png"), report=report)
    assert report.notices()[1].endswith(
        "a.png: contains NUL bytes, unlike text. Leave the file out if it is not text."
    )


def test_invalid_bytes_are_counted_and_located(tmp_path):
    report = ReadReport()
    a = write(tmp_path, b"good\n" * 30_000, "a.txt")
    b = write(tmp_path, gzip.compress(b"x" * 70_000 + b"\xff\xfe z \xe2\x82 \xf0\x9f\x98\n"), "b.gz")
    assert text_of(a, b, report=report).endswith("x\ufffd\ufffd z \ufffd \ufffd\n")
    assert report.invalid_bytes == 7
    assert report.first_invalid == f"{b}, byte 70000"
    assert len(report.notices()) == 1 and f"{b}, byte 70000: 7 bytes are invalid" in report.notices()[0]
    with pytest.raises(DataError, match=r"b\.gz: byte 70000 is invalid in utf-8\. Use --encoding NAME, or"):
        text_of(a, b, encoding_errors="strict")


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    content=st.lists(
        st.sampled_from(
            [
                b"a",
                b"\n",
                b"\xed",
                b"\x95",
                b"\x9c",
                b"\xf0\x9f\x98\x80",
                b"\xe2\x82",
                b"\xff",
                b"\xc8\xad",
                b"\xfe",
            ]
        )
    ).map(b"".join),
    encoding=st.sampled_from(["utf-8", "cp949", "ascii", "utf-16-le"]),
    read_bytes=st.integers(1, 5),
)
def test_invalid_bytes_equal_those_of_bytes_decode(content, encoding, read_bytes):
    report = ReadReport()
    content = b"...." + content  # no byte order mark
    text = decode_in_chunks(content, read_bytes, report, encoding=encoding)
    assert text == content.decode(encoding, "replace")
    try:
        content.decode(encoding)
        assert report == ReadReport()
    except UnicodeDecodeError as error:
        assert report.first_invalid == f"the file, byte {error.start}"
        assert report.invalid_bytes == num_invalid(content, encoding)


def num_invalid(content, encoding):
    """Count the bytes that whole decodings refuse, one error after the other."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return error.end - error.start + num_invalid(content[error.end :], encoding)
    return 0


def test_invalid_utf_8_takes_no_call_for_each_byte(tmp_path):
    def refuse(error):
        raise AssertionError(error)

    handler = codecs.lookup_error("nlpseq-count")
    codecs.register_error("nlpseq-count", refuse)
    try:
        report = ReadReport()
        text_of(write(tmp_path, b"\xc5" * 10_000 + b"\n"), report=report)
    finally:
        codecs.register_error("nlpseq-count", handler)
    assert report.invalid_bytes == 10_000


@pytest.mark.parametrize("read_bytes", range(1, 8))
def test_crlf_split_between_reads_is_one_newline(read_bytes):
    assert decode_in_chunks(b"ab\r\ncd\r\r\nef\r", read_bytes, ReadReport()) == "ab\ncd\n\nef\n"


def test_nul_becomes_a_space():
    assert decode_in_chunks(b"a\0b\0\0c\n", 100, ReadReport()) == "a b  c\n"
