"""Reading text: what is found, how it is decoded, where it is cut, what is refused."""

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import os
import random
import re
import subprocess
import sys
import threading
import time
import tracemalloc
import unicodedata
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st
from rights import lose_rights

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.errors import DataError
from nlpseq.reading import blocks as _cut, decode as _decode, open as _decompress
from nlpseq.reading.corpus import Block, ReadReport, open_corpus
from nlpseq.reading.decode import normalized

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONFIG = TextConfig(normalize="none")
COMPRESSORS = {
    ".txt": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}
TEXT = "하나 둘\nthree four\n" * 50


def read(*sources: str | Path, report: ReadReport | None = None, **settings) -> list[Block]:
    return list(open_corpus(*sources).blocks(TextConfig(**settings), report or ReadReport()))


def text_of(*sources: str | Path, report: ReadReport | None = None, **settings) -> str:
    return "".join(block.text for block in read(*sources, report=report, **settings))


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.fixture
def small_reads(monkeypatch):
    def set_sizes(read_bytes=3, block_bytes=10, line_chars=7):
        monkeypatch.setattr(_decompress, "READ_BYTES", read_bytes)
        monkeypatch.setattr(_cut, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(_cut, "LINE_CHARS", line_chars)

    return set_sizes


# what is found


def test_a_file_is_named_by_its_name_without_suffixes(tmp_path):
    corpus = open_corpus(write(tmp_path, b"a b\n", "news.2024.txt.gz"))
    assert corpus.name == "news"
    assert corpus.describe() == str(tmp_path / "news.2024.txt.gz")
    assert corpus.size_bytes() == 4


def test_a_folder_does_not_give_the_results_of_nlpseq_in_it(tmp_path):
    """Which stand there after the first command that names the current folder."""
    (tmp_path / "text.txt").write_text("words\n")
    preprocess(open_corpus(tmp_path), TextConfig(min_count=1), tmp_path / "text.tokens")
    (tmp_path / "meta.json").write_text('{"title": "mine"}')
    assert open_corpus(tmp_path).describe() == f"{tmp_path / 'meta.json'} and 1 more file"


@pytest.mark.parametrize("sources", [[""], ["", "-"]])
def test_a_corpus_without_a_name(sources):
    with pytest.raises(DataError, match="a corpus without a name was given"):
        open_corpus(*sources)


def test_a_folder_gives_all_its_files_sorted_but_no_hidden_ones(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", ".hidden", ".git/config", "a.txt"):
        write(tmp_path / "corpus.d", f"{name}\n".encode(), name)
    corpus = open_corpus(tmp_path / "corpus.d")
    assert corpus.name == "corpus.d"
    assert text_of(tmp_path / "corpus.d") == "a/b/c.txt\na/z.txt\na.txt\nb.txt\n"
    assert corpus.describe().endswith("c.txt and 3 more files")


def test_a_glob_is_sorted_and_may_be_recursive(tmp_path):
    for name in ("b.txt", "a.txt", "c.md", "sub/d.txt"):
        write(tmp_path, f"{name}\n".encode(), name)
    assert text_of(f"{tmp_path}/*.txt") == "a.txt\nb.txt\n"
    assert text_of(f"{tmp_path}/**/*.txt") == "a.txt\nb.txt\nsub/d.txt\n"
    assert open_corpus(f"{tmp_path}/*.txt").name == "a"


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path):
    write(tmp_path, b"not this\n", "1.txt")
    assert text_of(write(tmp_path, b"this\n", "[1].txt")) == "this\n"


def test_sources_keep_their_order_and_repeat(tmp_path):
    a, b = write(tmp_path, b"a\n", "a"), write(tmp_path, b"b\n", "b")
    assert text_of(b, a, b) == "b\na\nb\n"


def test_a_corpus_name_is_looked_up_where_no_such_path_exists(tmp_path, monkeypatch):
    stored = write(tmp_path, b"from the catalogue\n", "stored.txt")
    catalogue = SimpleNamespace(
        find=lambda name: stored if name == "pydocs" else None, names=lambda: [SimpleNamespace(name="pydocs")]
    )
    monkeypatch.setitem(sys.modules, "nlpseq.corpora", catalogue)
    monkeypatch.chdir(tmp_path)
    assert open_corpus("pydocs").name == "pydocs"
    assert text_of("pydocs") == "from the catalogue\n"
    with pytest.raises(DataError, match=r"pydoc is no file, folder or corpus\. Did you mean pydocs\?"):
        open_corpus("pydoc")
    with pytest.raises(DataError, match=r"missing\.txt is no file, folder or corpus\. Check the path"):
        open_corpus("missing.txt")
    write(tmp_path, b"from the folder\n", "pydocs")
    assert text_of("pydocs") == "from the folder\n"


def test_sources_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"No corpus was named"):
        open_corpus()
    with pytest.raises(DataError, match=r"\*\.txt matches no file"):
        open_corpus(f"{tmp_path}/*.txt")
    with pytest.raises(DataError, match=r"is a folder without any file"):
        open_corpus(tmp_path)
    with pytest.raises(DataError, match=r"stdin \(-\) is named more than once"):
        open_corpus("-", "-")
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        open_corpus("n" * 300)


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path, monkeypatch):
    file = write(tmp_path, b"a\n")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for reading in (lambda: text_of(file), lambda: open_corpus(file).content_key()):
        with pytest.raises(DataError, match=r"a\.txt: cannot be read \(Permission denied\)\. Check"):
            reading()


@pytest.mark.parametrize("mode", [0o000, 0o444])  # may not be listed; may be listed and not searched
@pytest.mark.parametrize("closed", ["closed", "closed/within"])
def test_a_closed_folder_is_refused_by_name(tmp_path, closed, mode):
    write(tmp_path, b"a\n", "closed/within/a.txt")
    write(tmp_path, b"a\n", "closed/a.txt")
    (tmp_path / closed).chmod(mode)
    opening = f"from nlpseq.reading.corpus import *; open_corpus('{tmp_path}/closed')"
    done = subprocess.run(
        [sys.executable, "-c", opening], preexec_fn=lose_rights, capture_output=True, text=True, check=False
    )
    (tmp_path / closed).chmod(0o755)
    named = re.escape(str(tmp_path / closed))
    assert re.search(rf"DataError: {named}.*: cannot be read \(Permission denied\)\. Check", done.stderr)


# keys


def test_the_content_key_knows_bytes_and_boundaries_but_no_names(tmp_path):
    key = open_corpus(write(tmp_path, b"a\nb\n", "one")).content_key()
    assert key is not None and len(key) == 64
    assert open_corpus(write(tmp_path, b"a\nb\n", "two")).content_key() == key
    assert open_corpus(write(tmp_path, b"a\nc\n", "three")).content_key() != key
    parts = [write(tmp_path, b"a\n", "x"), write(tmp_path, b"b\n", "y")]
    assert open_corpus(*parts).content_key() != key
    assert open_corpus(*reversed(parts)).content_key() != open_corpus(*parts).content_key()


# what can be read only once


def test_stdin_is_read_once_and_has_no_key(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"a b\r\nc"))))
    corpus = open_corpus("-")
    assert (corpus.name, corpus.describe()) == ("stdin", "stdin")
    assert corpus.content_key() is None and corpus.size_bytes() is None
    assert [block.text for block in corpus.blocks(CONFIG, ReadReport())] == ["a b\nc"]
    with pytest.raises(DataError, match=r"stdin can be read only once\. Save it to a file"):
        corpus.blocks(CONFIG, ReadReport())
    assert not sys.stdin.buffer.closed


def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"through a pipe\n",))
    writer.start()
    corpus = open_corpus(tmp_path / "pipe")
    assert corpus.content_key() is None
    assert [block.text for block in corpus.blocks(CONFIG, ReadReport())] == ["through a pipe\n"]
    writer.join()
    with pytest.raises(DataError, match="only once"):
        corpus.blocks(CONFIG, ReadReport())


def test_a_file_is_read_as_often_as_one_likes(tmp_path):
    corpus = open_corpus(write(tmp_path, TEXT.encode()))
    assert list(corpus.blocks(CONFIG, ReadReport())) == list(corpus.blocks(CONFIG, ReadReport()))


# compression


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compression_is_told_by_the_content_whatever_the_name(tmp_path, suffix):
    content = COMPRESSORS[suffix](TEXT.encode())
    file = write(tmp_path, content, "corpus.dat")
    blocks = read(file)
    assert "".join(block.text for block in blocks) == TEXT
    assert blocks[-1].bytes_read == len(content) == open_corpus(file).size_bytes()


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_several_members_in_small_reads_are_one_text(tmp_path, small_reads, suffix):
    small_reads(read_bytes=1, block_bytes=50)
    content = b"".join(COMPRESSORS[suffix](part.encode()) for part in ("a b\n", "", TEXT, "c"))
    assert text_of(write(tmp_path, content)) == "a b\n" + TEXT + "c"


def test_highly_compressed_text_is_inflated_piece_by_piece(tmp_path, small_reads):
    small_reads(read_bytes=1 << 16, block_bytes=1_000_000)
    for suffix in (".gz", ".bz2", ".xz", ".zst"):
        file = write(tmp_path, COMPRESSORS[suffix](b"word " * 3_200_000), f"16MB{suffix}")
        tracemalloc.start()
        length = sum(len(block.text) for block in open_corpus(file).blocks(CONFIG, ReadReport()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert length == 16_000_000
        assert peak < 20e6  # of which 8 MB are the dictionary of xz


def test_padding_with_zeros_is_no_text_and_no_damage(tmp_path):
    for suffix in (".gz", ".xz"):
        content = COMPRESSORS[suffix](b"a\n") + bytes(1024) + COMPRESSORS[suffix](b"b\n") + bytes(512)
        assert text_of(write(tmp_path, content)) == "a\nb\n"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_truncated_compressed_files_are_refused_at_every_length(tmp_path, suffix):
    whole = COMPRESSORS[suffix](os.urandom(3000).hex().encode())
    for length in (*range(12, 40), len(whole) // 2, len(whole) - 5, len(whole) - 1):
        file = write(tmp_path, whole[:length], f"cut{suffix}")
        with pytest.raises(
            DataError, match=rf"cut\{suffix}: is truncated after \d+ compressed bytes\..* again"
        ):
            text_of(file)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_damaged_compressed_files_are_refused(tmp_path, suffix):
    damaged = bytearray(COMPRESSORS[suffix](TEXT.encode()))
    damaged[len(damaged) // 2] ^= 0x55
    if suffix == ".zst":  # whose checksum is off by default; damage its block header
        damaged[6:12] = b"\xff" * 6
    with pytest.raises(DataError, match=rf"bad\{suffix}: is (corrupt|truncated)"):
        text_of(write(tmp_path, bytes(damaged), f"bad{suffix}"))
    with pytest.raises(DataError, match=rf"bad\{suffix}: is (corrupt|truncated)"):
        text_of(write(tmp_path, COMPRESSORS[suffix](b"a\n") + b"trailing garbage", f"bad{suffix}"))


def xz_with_window(code: int) -> bytes:
    """TEXT in .xz, whose header asks for (2 | code & 1) << (code // 2 + 11) bytes."""
    content = bytearray(lzma.compress(TEXT.encode()))
    assert content[14:16] == b"\x21\x01"  # LZMA2, and one byte for it
    content[16] = code
    content[20:24] = zlib.crc32(content[12:20]).to_bytes(4, "little")
    return bytes(content)


def zst_with_window(log: int) -> bytes:
    """TEXT in a frame of one block, as it is, that asks for 1 << log bytes."""
    block = (1 | len(TEXT.encode()) << 3).to_bytes(3, "little") + TEXT.encode()
    return b"\x28\xb5\x2f\xfd\0" + bytes([(log - 10) << 3]) + block


def test_large_windows_are_unpacked_but_none_beyond_measure(tmp_path):
    for content in (xz_with_window(31), xz_with_window(32), zst_with_window(27)):
        assert text_of(write(tmp_path, content)) == TEXT
    for content, command in (
        *((xz_with_window(code), "xz -d") for code in (33, 40)),
        *((zst_with_window(log), "zstd -d --long=31") for log in (28, 41)),
    ):
        message = rf"a\.txt: needs too much memory .*, decompress it with {command} and name"
        with pytest.raises(DataError, match=message):
            text_of(write(tmp_path, content))


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    class Starved:
        eof = False

        def decompress(self, *_args):
            raise zstd.ZstdError("Unable to decompress Zstandard data: Allocation error : not enough memory")

    monkeypatch.setattr(_decompress, "_decoder_for", lambda _: Starved)
    with pytest.raises(MemoryError, match="not enough memory"):
        text_of(write(tmp_path, b"packed"))


# encodings


def test_a_byte_order_mark_is_no_text(tmp_path, small_reads):
    for size in (1, 2, 3, 4, 100):
        small_reads(read_bytes=size)
        for encoding, content in {
            "utf-8": codecs.BOM_UTF8 + b"a \xed\x95\x9c",
            "utf-8-sig": codecs.BOM_UTF8 + b"a \xed\x95\x9c",
            "utf-16": "a 한".encode("utf-16"),
            "utf-16-le": codecs.BOM_UTF16_LE + "a 한".encode("utf-16-le"),
            "utf-16-be": "\ufeffa 한".encode("utf-16-be"),
            "utf-32": "a 한".encode("utf-32"),
        }.items():
            report = ReadReport()
            assert text_of(write(tmp_path, content), report=report, encoding=encoding) == "a 한", encoding
            assert report == ReadReport()


def test_each_file_may_have_its_own_mark(tmp_path):
    a, b = write(tmp_path, codecs.BOM_UTF8 + b"a\n", "a"), write(tmp_path, codecs.BOM_UTF8 + b"b\n", "b")
    assert text_of(a, b) == "a\nb\n"


def test_utf16_is_recognised(tmp_path):
    with pytest.raises(DataError, match=r"a\.txt starts with the mark of UTF-16.*Give --encoding utf-16\."):
        text_of(write(tmp_path, "a 한".encode("utf-16")))
    with pytest.raises(DataError, match=r"a\.txt has no mark.*--encoding utf-16-le or utf-16-be"):
        text_of(write(tmp_path, "a 한".encode("utf-16-le")), encoding="utf-16")
    for order in ("le", "be"):
        report = ReadReport()
        text_of(write(tmp_path, b"".join(c.encode(f"utf-16-{order}") for c in "plain text\n")), report=report)
        assert f"looks like UTF-16; give --encoding utf-16-{order}." in " ".join(report.notices())


def test_cp949_is_recognised(tmp_path, small_reads):
    korean = "한국어 위키백과는 한국어로 쓰인 백과사전이다.\n똠방각하 펲시콜라\n" * 20
    file = write(tmp_path, korean.encode("cp949"))
    report = ReadReport()
    text_of(file, report=report)
    assert report.notices()[1] == f"{file} looks like Korean in cp949; give --encoding cp949."
    with pytest.raises(DataError, match=r"byte 0 is invalid in utf-8.*give --encoding cp949"):
        text_of(file, encoding_errors="strict")
    few = ReadReport()
    text_of(write(tmp_path, b"plain text\n" * 1000 + "한글\n".encode("cp949"), "few.txt"), report=few)
    assert few.invalid_bytes > 0 and few.hint is None
    small_reads(read_bytes=1, block_bytes=20)
    assert text_of(file, encoding="cp949", encoding_errors="strict") == korean


def test_latin1_is_not_taken_for_korean(tmp_path):
    report = ReadReport()
    text_of(write(tmp_path, "déjà vu à la crème brûlée, garçon\n".encode("latin-1") * 20), report=report)
    assert report.invalid_bytes == 140 and report.hint is None
    assert report.notices()[1].endswith(
        "is hardly UTF-8; older text of Western Europe has --encoding cp1252."
    )


def test_what_is_no_text_is_pointed_out(tmp_path):
    report = ReadReport()
    text_of(write(tmp_path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "a.png"), report=report)
    assert report.notices()[1].endswith(
        "a.png holds NUL bytes, as text does not. If it is no text, leave it out."
    )


def test_invalid_bytes_are_counted_and_the_first_one_is_located(tmp_path):
    report = ReadReport()
    a = write(tmp_path, b"good\n" * 30_000, "a.txt")
    b = write(tmp_path, gzip.compress(b"x" * 70_000 + b"\xff\xfe z \xe2\x82 \xf0\x9f\x98\n"), "b.gz")
    assert text_of(a, b, report=report).endswith("x\ufffd\ufffd z \ufffd \ufffd\n")
    assert report.invalid_bytes == 7
    assert report.first_invalid == f"{b}, byte 70000"
    assert len(report.notices()) == 1 and "7 bytes are invalid" in report.notices()[0]
    with pytest.raises(DataError, match=r"b\.gz: byte 70000 is invalid in utf-8\. Give --encoding NAME, or"):
        text_of(a, b, encoding_errors="strict")


@settings(deadline=None, derandomize=True, max_examples=300)
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
def test_first_invalid_byte_is_the_one_a_whole_decoding_reports(
    tmp_path_factory, content, encoding, read_bytes
):
    report = ReadReport()
    content = b"...." + content  # no mark in front
    file = write(tmp_path_factory.getbasetemp(), content, "invalid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_decompress, "READ_BYTES", read_bytes)
        assert text_of(file, report=report, normalize="none", encoding=encoding) == content.decode(
            encoding, "replace"
        )
    try:
        content.decode(encoding)
        assert report == ReadReport()
    except UnicodeDecodeError as error:
        assert report.first_invalid == f"{file}, byte {error.start}"
        assert report.invalid_bytes == num_invalid(content, encoding)


def num_invalid(content, encoding):
    """Bytes that whole decodings refuse, from each one to what is behind it."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return error.end - error.start + num_invalid(content[error.end :], encoding)
    return 0


def test_much_that_is_no_utf_8_takes_no_call_for_each_byte(tmp_path):
    def refuse(error):
        raise AssertionError(error)

    codecs.register_error("nlpseq-count", refuse)
    try:
        report = ReadReport()
        text_of(write(tmp_path, b"\xc5" * 10_000 + b"\n"), report=report)
    finally:
        codecs.register_error("nlpseq-count", _decode._count_invalid)
    assert report.invalid_bytes == 10_000


def test_progress_counts_bytes_on_disk_over_all_files(tmp_path):
    a, b = write(tmp_path, "가나\n".encode(), "a"), write(tmp_path, bz2.compress(b"c\n"), "b")
    assert [block.bytes_read for block in read(a, b)] == [7, open_corpus(a, b).size_bytes()]


# newlines, white space, normal forms, blocks

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


@settings(deadline=None, derandomize=True, max_examples=400)
@given(
    text=st.lists(PIECES, max_size=60).map("".join),
    form=st.sampled_from(["none", "NFC", "NFKC"]),
    read_bytes=st.integers(1, 9),
    block_bytes=st.integers(32, 120),
    few=st.sampled_from([0.0, 2.0]),  # normalised by lines, and by words
)
def test_blocks_are_the_text_whatever_the_sizes(tmp_path_factory, text, form, read_bytes, block_bytes, few):
    file = write(tmp_path_factory.getbasetemp(), text.encode(), "blocks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_decompress, "READ_BYTES", read_bytes)
        patch.setattr(_cut, "BLOCK_BYTES", block_bytes)
        patch.setattr(_decode, "_FEW", few)
        report = ReadReport()
        blocks = read(file, report=report, normalize=form, tokenizer="whitespace")
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    expected = expected if form == "none" else unicodedata.normalize(form, expected)
    joined = "".join(block.text for block in blocks)
    # a character with more marks than half a block has to be cut, the others are whole
    assert joined == expected or (report.cut_tokens and "\u0316" * 3 in text)
    for block, after in itertools.pairwise(blocks):
        assert block.continues == (not block.text.endswith("\n"))
        assert len(block.data) <= block_bytes
        assert not block.continues or report.cut_tokens or block.text[-1].isspace() or after.text[0].isspace()
    assert not any(block.continues for block in blocks[-1:])


def test_a_carriage_return_at_the_end_of_a_read_is_one_newline_with_the_next(tmp_path, small_reads):
    for size in range(1, 8):
        small_reads(read_bytes=size)
        assert text_of(write(tmp_path, b"ab\r\ncd\r\r\nef\r")) == "ab\ncd\n\nef\n"


def test_the_end_of_a_file_ends_the_sentence(tmp_path, small_reads):
    small_reads(block_bytes=4)
    blocks = read(write(tmp_path, b"ab ", "a"), write(tmp_path, b"ab cd", "b"))
    assert [(block.text, block.continues) for block in blocks] == [
        ("ab ", False),
        ("ab ", True),
        ("cd", False),
    ]


def test_nul_is_white_space(tmp_path):
    assert text_of(write(tmp_path, b"a\0b\0\0c\n")) == "a b  c\n"


def test_text_is_composed_unless_told_otherwise(tmp_path):
    decomposed = unicodedata.normalize("NFD", "한글 é ﬁ")
    file = write(tmp_path, decomposed.encode())
    assert text_of(file) == "한글 é ﬁ"
    assert text_of(file, normalize="NFKC") == "한글 é fi"
    assert text_of(file, normalize="none") == decomposed


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_many_marks_are_normalised_as_few_are(form):
    in_this_form = "\uff9e" * (form == "NFKC")  # a letter in the other
    changed = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.normalize(form, c) != c]
    many = ("\u0301\u0316\u0f73" + in_this_form) * 45
    for char in [*changed, *filter(unicodedata.combining, map(chr, range(0x20000)))]:
        text = f"a{char}{many}{char}b"
        assert normalized(text, form) == unicodedata.normalize(form, text), hex(ord(char))
    marks, letters = (
        "\u0300\u0316\u0344\u0345\u0f71\u0f73\u0f75\u0f81\u0f74\u3099\U0001e94a",
        "eé\u1100\uac00",
    )
    chance = random.Random(1)
    for number in range(300):
        chars = marks + in_this_form + letters * (number % 2)
        text = "é" + "".join(chance.choices(chars, k=600)) + "é"
        assert normalized(text, form) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize("marks", ["\u0300\u0316", "\u0f73", "\u0f75", "\u0f81", "\u0301\uff9e"])
def test_normalisation_takes_linear_time(form, marks):
    start = time.process_time()
    normalized("a" + marks * 60_000, form)  # 10 s where it is quadratic
    assert time.process_time() - start < 2


def test_an_empty_file_has_no_blocks(tmp_path):
    assert read(write(tmp_path, b"")) == []
    assert read(write(tmp_path, b""), encoding="utf-16") == []


def test_a_long_line_is_cut_between_words_and_goes_on(tmp_path, small_reads):
    small_reads(read_bytes=5, block_bytes=8)
    report = ReadReport()
    blocks = read(write(tmp_path, b"one two three four\nfive"), report=report)
    assert [block.text for block in blocks] == ["one two ", "three ", "four\n", "five"]
    assert [block.continues for block in blocks] == [True, True, False, False]
    assert report.notices() == []


def test_what_has_no_white_space_is_cut_anywhere_and_said_so(tmp_path, small_reads):
    small_reads(block_bytes=8)
    report = ReadReport()
    file = write(tmp_path, b"abcdefghijklmnopqrst\n")
    assert [block.text for block in read(file, report=report)] == ["abcdefgh", "ijklmnop", "qrst\n"]
    assert report.cut_tokens == 2 and "cut in 2 places" in report.notices()[0]
    report = ReadReport()
    assert text_of(file, report=report, tokenizer="char") == "abcdefghijklmnopqrst\n"
    assert report.notices() == []


@pytest.mark.parametrize("tokenizer", ["nltk", "toktok", "tweet"])
def test_tokenizers_of_whole_lines_get_long_ones_as_several(tmp_path, small_reads, tokenizer):
    small_reads(read_bytes=5, block_bytes=12, line_chars=7)
    report = ReadReport()
    blocks = read(
        write(tmp_path, b"ab cd ef gh\nij kl mn op qr st uv\nwx"), report=report, tokenizer=tokenizer
    )
    assert "".join(block.text for block in blocks).split("\n") == [
        *("ab cd ", "ef gh", "ij kl ", "mn op ", "qr st ", "uv", "wx"),
    ]
    assert not any(block.continues for block in blocks)
    assert report.cut_lines == 4 and "cut at white space, in 4 places" in report.notices()[0]


def test_no_letter_is_cut_off_its_marks(tmp_path, small_reads):
    small_reads(block_bytes=100, line_chars=7)
    assert text_of(write(tmp_path, "abcdefe\u0301xyz\n".encode()), tokenizer="nltk") == "abcdef\néxyz\n"


def test_a_line_of_64_megabytes_is_read_in_bounded_memory(tmp_path):
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
