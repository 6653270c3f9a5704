"""Open compressed bytes: .gz, .bz2, .xz and .zst, recognized by their first bytes.

Corpora and vector files are read by `decompressed`. Memory stays at a few blocks for any compression ratio,
and an .xz or .zst file whose window exceeds 257 or 128 MiB is refused.
"""

import bz2
import hashlib
import io
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOMEM
from pathlib import Path
from typing import IO, Any

from nlpseq.core.cache_dir import cache_dir
from nlpseq.errors import DataError, NlpseqError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "COMPRESSED_ENDINGS", "HEAD_BYTES", "READ_BYTES", "ChunkStream", "RawBytes", "SpanOfFile", "decoder_for",
    "decompressed", "line_starts", "read_errors",
]  # fmt: skip

COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz", ".zst")
HEAD_BYTES = 10  # enough to recognize a compression
READ_BYTES = 1 << 16  # small, because many short members in one file are copied once each
_HASHED_BYTES = 1 << 20
_MAX_INFLATED_BYTES = 1 << 20  # of one step of a decompressor
_MAX_XZ_BYTES = 257 << 20  # for a window of 256 MiB; xz -9 asks for 64, a forged byte for 4 GiB
_CORRUPT = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)


class RawBytes:
    """A stream of stored bytes that counts what is read, hashes it if asked, and names the file in errors."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase, name: str, *, hashed: bool = True) -> None:
        self._stream = stream
        self._hashed = hashed
        self.name = name
        self.head = b""  # the bytes read first
        self.bytes_read = 0
        self.sha256 = hashlib.sha256()

    closed = False  # for pyarrow; the caller closes the stream

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; raises DataError if the operating system refuses."""
        with read_errors(self.name):
            data = self._stream.read(size)
        self.head = self.head or data
        self.bytes_read += len(data)
        if self._hashed:
            self.sha256.update(data)
        return data

    def seekable(self) -> bool:
        """Return True if seek() works."""
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte of the file and return its offset."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset of the next byte to read."""
        return self._stream.tell()

    @contextmanager
    def random_access(self, content: Iterator[bytes], *, is_plain: bool) -> Iterator["RawBytes"]:
        """Yield the content as a seekable file: these bytes, or a temporary file with what they hold.

        content: the decompressed bytes, from the start. is_plain: they are the stored bytes. The whole file
        is hashed afterwards.
        """
        if is_plain and self.seekable():
            self._hashed = False
            yield self
            self._hashed, self.bytes_read, self.sha256 = True, 0, hashlib.sha256()
            self.seek(0)
            while self.read(_HASHED_BYTES):
                pass
            return
        with tempfile.TemporaryFile(dir=cache_dir()) as copy:
            for chunk in content:
                copy.write(chunk)
            yield RawBytes(copy, self.name, hashed=False)


class SpanOfFile(io.RawIOBase):
    """Bytes start to stop - 1 of a file, as a stream."""

    def __init__(self, path: Path, start: int, stop: int) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._left = stop - start

    def readable(self) -> bool:
        """Return True: the stream is made for reading."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next bytes; return their number, 0 at the end."""
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def line_starts(path: Path, distance: int) -> list[int]:
    """Return 0, the starts of lines about `distance` bytes apart, and the size of a file."""
    starts, size = [0], path.stat().st_size
    with path.open("rb") as file:
        while starts[-1] + distance < size:
            file.seek(starts[-1] + distance)
            while (chunk := file.read(READ_BYTES)) and b"\n" not in chunk:
                pass
            if not chunk:
                break
            starts.append(file.tell() - len(chunk) + chunk.index(b"\n") + 1)
    return [*starts, size] if starts[-1] < size else starts


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Raise DataError instead of an OSError of a block that reads a file or lists a folder."""
    try:
        yield
    except OSError as error:
        if error.errno == ENOMEM:  # says nothing about the file
            raise MemoryError(f"{name}: could not be read") from error
        raise DataError(
            f"{error.filename or name}: cannot be read ({error.strerror or error}). "
            "Check that the path exists and is readable."
        ) from error


def decompressed(
    raw: RawBytes, read_bytes: int = READ_BYTES, corrupt: type[NlpseqError] = DataError
) -> Iterator[bytes]:
    """Yield the plain content in chunks of at most 1 MiB.

    raw: the stored bytes, from their start. read_bytes: how many are read at once. corrupt: class of the
    error raised if the data are corrupt or truncated, or if a name ends like a compressed file's and the
    content is plain.
    """
    head = raw.read(HEAD_BYTES)
    new_decoder = decoder_for(head)
    if new_decoder is None and raw.name.lower().endswith(COMPRESSED_ENDINGS):
        raise corrupt(
            f"{raw.name}: is not compressed as its name says. Copy or download the file again, or rename it."
        )
    while head and new_decoder is None:
        yield head
        head = raw.read(read_bytes)
    while head and new_decoder is not None:  # one member after another
        decoder = new_decoder()
        yield from _inflate(raw, head, decoder, read_bytes, corrupt)
        head = decoder.unused_data.lstrip(b"\0")  # tapes and xz pad with zeros
        while not head and (padding := raw.read(read_bytes)):
            head = padding.lstrip(b"\0")


class ChunkStream(io.RawIOBase):
    """Chunks of bytes as a binary stream, for io.BufferedReader."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True: the stream is made for reading."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer from the current chunk, or from the next; return 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _GzipDecoder:
    """zlib's decompressor with the interface of the other three."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.eof, self.needs_input, self.unused_data = False, True, b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        plain = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.eof, self.unused_data = self._zlib.eof, self._zlib.unused_data
        self.needs_input = not self._zlib.unconsumed_tail
        return plain


_Decoder = _GzipDecoder | bz2.BZ2Decompressor | lzma.LZMADecompressor | zstd.ZstdDecompressor


def decoder_for(head: bytes) -> Callable[[], _Decoder] | None:
    """Return the decompressor that the first HEAD_BYTES bytes of a file ask for, None for a plain file."""
    if head.startswith(b"\x1f\x8b"):
        return _GzipDecoder
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):  # the second: an empty file
        return bz2.BZ2Decompressor
    if head.startswith(b"\xfd7zXZ\0"):
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MAX_XZ_BYTES)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return zstd.ZstdDecompressor  # type: ignore[no-any-return, unused-ignore]
    return None


def _inflate(
    raw: RawBytes, data: bytes, decoder: _Decoder, read_bytes: int, corrupt: type[NlpseqError]
) -> Iterator[bytes]:
    """Yield the plain content of one member of a compressed file."""
    while not decoder.eof:
        try:
            inflated = decoder.decompress(data, _MAX_INFLATED_BYTES)
        except _CORRUPT as error:
            raise _corrupt_error(error, raw, corrupt) from error
        if inflated:
            yield inflated
        data = raw.read(read_bytes) if decoder.needs_input and not decoder.eof else b""
        if not (data or inflated or decoder.eof):
            raise corrupt(
                f"{raw.name}: is truncated after {raw.bytes_read} compressed bytes. "
                "Copy or download the file again."
            )


def _corrupt_error(error: Exception, raw: RawBytes, corrupt: type[NlpseqError]) -> Exception:
    """Return the error to raise for an error of a decompressor, whose text alone tells the cause."""
    reason = str(error)
    if "not enough memory" in reason:  # of zstd; the others raise MemoryError
        return MemoryError(reason)
    if "Memory usage limit" in reason or "too much memory" in reason:
        command = "xz -d" if isinstance(error, lzma.LZMAError) else "zstd -d --long=31"
        return corrupt(
            f"{raw.name}: needs too much memory to decompress ({reason}). "
            f"If you trust the file, decompress it with {command} and name the result."
        )
    return corrupt(
        f"{raw.name}: is corrupt near byte {raw.bytes_read} of the compressed data ({reason}). "
        "Copy or download the file again."
    )
