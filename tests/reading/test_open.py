"""Opening compressed bytes: every format, corrupt and truncated files, memory."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.config import TextConfig
from nlpseq.errors import DataError
from nlpseq.reading.blocks import BlockLimits
from nlpseq.reading.corpus import ReadReport, open_corpus
from nlpseq.reading.open import RawBytes, decompressed

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


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    return write_text(folder / name, content)


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compression_is_sniffed_from_the_content(tmp_path, suffix):
    content = COMPRESSORS[suffix](TEXT.encode())
    file = write(tmp_path, content, "corpus.dat")
    blocks = read(file)
    assert "".join(block.text for block in blocks) == TEXT
    assert blocks[-1].bytes_read == len(content) == open_corpus(file).size_bytes()


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_members_read_in_single_bytes_are_one_text(suffix):
    content = b"".join(COMPRESSORS[suffix](part.encode()) for part in ("a b\n", "", TEXT, "c"))
    chunks = decompressed(RawBytes(io.BytesIO(content), "a"), read_bytes=1)
    assert b"".join(chunks).decode() == "a b\n" + TEXT + "c"


@pytest.mark.slow
def test_high_compression_is_inflated_in_pieces(tmp_path):
    limits = BlockLimits(block_bytes=1_000_000)
    for suffix in (".gz", ".bz2", ".xz", ".zst"):
        file = write(tmp_path, COMPRESSORS[suffix](b"word " * 3_200_000), f"16MB{suffix}")
        tracemalloc.start()
        length = sum(len(block.text) for block in open_corpus(file).blocks(CONFIG, ReadReport(), limits))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert length == 16_000_000
        assert peak < 22e6  # 8 MB of it for the dictionary of xz


def test_zero_padding_is_ignored(tmp_path):
    for suffix in (".gz", ".xz"):
        content = COMPRESSORS[suffix](b"a\n") + bytes(1024) + COMPRESSORS[suffix](b"b\n") + bytes(512)
        assert text_of(write(tmp_path, content)) == "a\nb\n"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_truncated_files_are_refused_at_every_length(tmp_path, suffix):
    whole = COMPRESSORS[suffix](os.urandom(3000).hex().encode())
    for length in (*range(12, 40), len(whole) // 2, len(whole) - 5, len(whole) - 1):
        file = write(tmp_path, whole[:length], f"cut{suffix}")
        with pytest.raises(
            DataError, match=rf"cut\{suffix}: is truncated after \d+ compressed bytes\..* again"
        ):
            text_of(file)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_corrupt_files_are_refused(tmp_path, suffix):
    corrupt = bytearray(COMPRESSORS[suffix](TEXT.encode()))
    corrupt[len(corrupt) // 2] ^= 0x55
    if suffix == ".zst":  # no checksum by default: break the block header
        corrupt[6:12] = b"\xff" * 6
    with pytest.raises(DataError, match=rf"bad\{suffix}: is (corrupt|truncated)"):
        text_of(write(tmp_path, bytes(corrupt), f"bad{suffix}"))
    with pytest.raises(DataError, match=rf"bad\{suffix}: is (corrupt|truncated)"):
        text_of(write(tmp_path, COMPRESSORS[suffix](b"a\n") + b"trailing garbage", f"bad{suffix}"))


def xz_with_window(code: int) -> bytes:
    """Return TEXT as .xz with a dictionary of (2 | code & 1) << (code // 2 + 11) bytes in the header."""
    content = bytearray(lzma.compress(TEXT.encode()))
    assert content[14:16] == b"\x21\x01"  # LZMA2 with one byte of properties
    content[16] = code
    content[20:24] = zlib.crc32(content[12:20]).to_bytes(4, "little")
    return bytes(content)


def zst_with_window(log: int) -> bytes:
    """Return TEXT as a zstd frame of one raw block with a window of 1 << log bytes."""
    block = (1 | len(TEXT.encode()) << 3).to_bytes(3, "little") + TEXT.encode()
    return b"\x28\xb5\x2f\xfd\0" + bytes([(log - 10) << 3]) + block


def test_decompression_windows_above_limit_are_refused(tmp_path):
    for content in (xz_with_window(31), xz_with_window(32), zst_with_window(27)):
        assert text_of(write(tmp_path, content)) == TEXT
    for content, command in (
        *((xz_with_window(code), "xz -d") for code in (33, 40)),
        *((zst_with_window(log), "zstd -d --long=31") for log in (28, 41)),
    ):
        message = rf"a\.txt: needs too much memory .*, decompress it with {command} and name"
        with pytest.raises(DataError, match=message):
            text_of(write(tmp_path, content))


def test_lack_of_memory_raises_memory_error(tmp_path, monkeypatch):
    class Starved:
        eof = False

        def decompress(self, *_args):
            raise zstd.ZstdError("Unable to decompress Zstandard data: Allocation error : not enough memory")

    monkeypatch.setattr(zstd, "ZstdDecompressor", Starved)
    with pytest.raises(MemoryError, match="not enough memory"):
        text_of(write(tmp_path, zstd.compress(b"packed")))
