"""Decoding: byte order marks, wrong encodings, invalid bytes, newlines."""

import codecs
import gzip
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from support.languages import text_in
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
            assert report.notices() == []


def test_each_file_may_start_with_a_byte_order_mark(tmp_path):
    a, b = write(tmp_path, codecs.BOM_UTF8 + b"a\n", "a"), write(tmp_path, codecs.BOM_UTF8 + b"b\n", "b")
    assert text_of(a, b) == "a\nb\n"


def test_mark_settles_encoding_of_each_file(tmp_path):
    texts = {"utf-8-sig": "a 한\n", "utf-16": "b 글\n", "utf-32": "c é\n", "utf-8": "d 한\n"}
    files = [write(tmp_path, text.encode(encoding), encoding) for encoding, text in texts.items()]
    big_endian = write(tmp_path, codecs.BOM_UTF32_BE + "e ß\n".encode("utf-32-be"), "be")
    report = ReadReport()
    assert text_of(*files, big_endian, report=report) == "a 한\nb 글\nc é\nd 한\ne ß\n"
    assert report.notices() == []
    assert report.encodings == {"utf-8": 2, "utf-16-le": 1, "utf-32-le": 1, "utf-32-be": 1}


def test_mark_and_utf_8_outweigh_the_encoding_option(tmp_path):
    korean = "한국어 위키백과\n"
    files = [
        write(tmp_path, (korean * 9).encode(encoding), encoding) for encoding in ("utf-16", "utf-8", "cp949")
    ]
    report = ReadReport()
    assert text_of(*files, report=report, encoding="cp949") == korean * 27
    (notice,) = report.notices()
    assert notice.startswith(f"note: {files[0]} (utf-16-le); {files[1]} (utf-8): read in this encoding")


def test_utf_16_without_mark_is_named(tmp_path):
    with pytest.raises(DataError, match=r"has no byte order mark\. Use --encoding utf-16-le"):
        text_of(write(tmp_path, "a 한 b c\n".encode("utf-16-le")), encoding="utf-16")
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        for text in ("plain text\n", "한국어 위키백과는 한국어로 쓰인 백과사전이다.\n"):
            with pytest.raises(
                DataError, match=rf"looks like {encoding}, not utf-8.*Use --encoding {encoding}\."
            ):
                text_of(write(tmp_path, text.encode(encoding) * 20))


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("Korean", "cp949"), ("Russian", "koi8_r"), ("French", "cp1252"), ("Japanese", "iso2022_jp")],
)
def test_other_encoding_is_refused_by_name(tmp_path, language, encoding):
    content = text_in(language, encoding, 4_000)
    for before in (b"", b"plain text\n" * 9_000):  # in the first bytes of the file, and far behind
        with pytest.raises(
            DataError, match=rf"looks like {encoding}, not utf-8.*Use --encoding {encoding}\."
        ):
            text_of(write(tmp_path, before + content))
    expected = content.decode(encoding)
    assert text_of(write(tmp_path, content), encoding=encoding, normalize="none") == expected
    chunked = decode_in_chunks(content, 1, ReadReport(), encoding=encoding, encoding_errors="strict")
    assert chunked == expected


def test_option_for_another_encoding_causes_a_notice(tmp_path):
    file, report = write(tmp_path, text_in("Chinese", "gbk", 900)), ReadReport()
    text_of(file, report=report, encoding="cp1252")
    looks = f"{file}: looks like gb18030, but --encoding is cp1252. Use --encoding gb18030."
    assert report.notices()[-1] == looks
    report = ReadReport()
    text_of(file, report=report, encoding="gbk")
    assert report.notices() == []


def test_strict_error_names_place_and_encoding(tmp_path):
    file = write(tmp_path, b"plain\r\n" * 3 + text_in("Korean", "cp949", 900))
    with pytest.raises(DataError, match=r"line 4, byte 23 is invalid in utf-8\. Use --encoding cp949"):
        text_of(file, encoding_errors="strict")


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_mostly_invalid_text_is_refused_without_name(tmp_path, encoding):
    noise = bytes(range(0x80, 0x100)) * 99
    with pytest.raises(
        DataError, match=rf"\d\.\d% of the bytes are invalid in {encoding} \(line 1, byte 0\)"
    ):
        text_of(write(tmp_path, noise), encoding=encoding)
    with pytest.raises(DataError, match="Use --encoding NAME, or leave the file out"):
        text_of(write(tmp_path, b"\xff\xfc"), encoding=encoding)


def test_few_invalid_bytes_leave_utf_8(tmp_path):
    korean = "한국어 위키백과는 한국어로 쓰인 백과사전이다.\n".encode()
    for content in (korean * 99 + text_in("Korean", "cp949", 60), b"plain text\n" * 1_000 + b"\xc7\xd1\n"):
        report = ReadReport()
        assert "\ufffd" in text_of(write(tmp_path, content), report=report)
        assert report.invalid_bytes > 0


def test_nul_bytes_are_noted_or_refused(tmp_path):
    report = ReadReport()
    text_of(write(tmp_path, b"text\0" + b"text\n" * 100), report=report)
    assert report.notices()[0].endswith(
        "a.txt: contains NUL bytes, unlike text. Leave the file out if it is not text."
    )
    with pytest.raises(DataError, match=r"contains 20 NUL bytes in 120, unlike text"):
        text_of(write(tmp_path, b"\1\0\2\3\4\5" * 20))


def test_file_that_is_no_text_is_refused_with_tool(tmp_path):
    for content in (b"%PDF-1.7\n", gzip.compress(b"%PDF-1.7\n")):
        with pytest.raises(DataError, match=r"a\.txt: is not text \(PDF document\)\. .* with pdftotext\."):
            text_of(write(tmp_path, content))


def test_invalid_bytes_are_counted_and_located(tmp_path):
    report = ReadReport()
    a = write(tmp_path, b"good\n" * 30_000, "a.txt")
    b = write(tmp_path, gzip.compress(b"x" * 70_000 + b"\xff\xfe z \xe2\x82 \xf0\x9f\x98\n"), "b.gz")
    assert text_of(a, b, report=report).endswith("x\ufffd\ufffd z \ufffd \ufffd\n")
    assert report.invalid_bytes == 7
    (notice,) = report.notices()
    assert notice.startswith(f"{b}, line 1, byte 70000 (utf-8): 7 invalid bytes")
    with pytest.raises(
        DataError, match=r"b\.gz: line 1, byte 70000 is invalid in utf-8\. Use --encoding NAME, or"
    ):
        text_of(a, b, encoding_errors="strict")


def test_invalid_byte_behind_many_lines_is_located(tmp_path):
    report = ReadReport()
    content = b"good\r\n" * 20_000 + b"good\n" * 40_000 + b"\xff\n"
    text_of(write(tmp_path, content), report=report)
    assert report.invalid.first == [f"{tmp_path}/a.txt, line 60001, byte 320000 (utf-8)"]


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
        ),
        max_size=5,  # too few bytes to be refused, or to be taken for UTF-8
    ).map(b"".join),
    encoding=st.sampled_from(["utf-8", "cp949", "ascii", "utf-16-le"]),
    read_bytes=st.integers(1, 5),
)
def test_invalid_bytes_equal_those_of_bytes_decode(content, encoding, read_bytes):
    report = ReadReport()
    content = b"...." * 25 + content
    text = decode_in_chunks(content, read_bytes, report, encoding=encoding)
    assert text == content.decode(encoding, "replace")
    try:
        content.decode(encoding)
        assert report.invalid_bytes == 0
    except UnicodeDecodeError as error:
        assert report.invalid.first == [f"the file, line {line_of(error)}, byte {error.start} ({encoding})"]
        assert report.invalid_bytes == num_invalid(content, encoding)


def line_of(error):
    return error.object[: error.start].decode(error.encoding, "ignore").count("\n") + 1


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
        text_of(write(tmp_path, b"\xc5" * 10_000 + b"text\n" * 400_000), report=report)
    finally:
        codecs.register_error("nlpseq-count", handler)
    assert report.invalid_bytes == 10_000


@pytest.mark.parametrize("read_bytes", range(1, 8))
def test_crlf_split_between_reads_is_one_newline(read_bytes):
    assert decode_in_chunks(b"ab\r\ncd\r\r\nef\r", read_bytes, ReadReport()) == "ab\ncd\n\nef\n"


def test_nul_becomes_a_space():
    assert decode_in_chunks(b"a\0b\0\0c\n", 100, ReadReport()) == "a b  c\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_bpe_keeps_bytes_of_utf_8(size):
    content = codecs.BOM_UTF8 + b"a\0b \xff\xed\xa0\x80 \xed\x95\x9c\r\nc\rd\r"
    report = ReadReport()
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    for sentences, nul in (("lines", b"\0"), ("documents", b" ")):  # NUL would end a document
        config = TextConfig(tokenizer="bpe", sentences=sentences)
        expected = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", nul)
        assert b"".join(decode(iter(chunks), "the file", config, report)) == expected
    assert report.notices() == []


def test_bpe_keeps_a_few_invalid_bytes():
    content = b"plain text \xff\xfe and more plain text\n" * 9  # 5 %
    found = decode(iter([content]), "the file", TextConfig(tokenizer="bpe"), ReadReport())
    assert b"".join(found) == content
    with pytest.raises(DataError, match="line 1, byte 11 is invalid in utf-8"):
        decode_in_chunks(content, 100, ReadReport(), tokenizer="bpe", encoding_errors="strict")
    with pytest.raises(DataError, match=r"5\.\d% of the bytes are invalid in utf-8"):
        decode_in_chunks(content, 100, ReadReport())


def test_bpe_reads_other_encodings_as_utf_8(tmp_path):
    korean = "한국어 위키백과\n" * 9
    utf_16, cp949 = write(tmp_path, korean.encode("utf-16")), write(tmp_path, korean.encode("cp949"), "b.txt")
    assert text_of(utf_16, tokenizer="bpe") == korean
    assert text_of(utf_16, cp949, tokenizer="bpe", encoding="cp949") == korean * 2
    with pytest.raises(DataError, match=r"looks like cp949, not utf-8 .* Use --encoding cp949"):
        text_of(write(tmp_path, text_in("Korean", "cp949", 900)), tokenizer="bpe")


def test_bpe_refuses_bytes_that_are_no_text(tmp_path):
    for content, said in {
        b"%PDF-1.7\n": "is not text",
        bytes(range(0x80, 0x100)) * 99: "of the bytes are invalid in utf-8",
        b"\1\0\2\3\4\5" * 20: "contains 20 NUL bytes in 120",
    }.items():
        with pytest.raises(DataError, match=said):
            text_of(write(tmp_path, content), tokenizer="bpe")
