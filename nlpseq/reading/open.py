"""Bytes of a file as its writer meant them: .gz, .bz2, .xz and .zst are recognised by their first bytes."""

import bz2
import hashlib
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from nlpseq.errors import DataError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_BYTES = 1 << 16  # small, because many short members in one file are copied once each
_INFLATED_BYTES = 1 << 20  # at most this much at a time, however well the data was compressed
_PACKED = (".gz", ".bz2", ".xz", ".zst")  # names of files that are
_XZ_BYTES = 257 << 20  # for a window of 256 MiB; xz -9 asks for 64, a forged byte for 4 GiB
_DAMAGE = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)


class RawBytes:
    """A byte stream that counts and hashes what was read of it, and whose errors name the file."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self.name = name
        self.bytes_read = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError as error:
            raise unreadable(self.name, error) from error
        self.bytes_read += len(data)
        self.sha256.update(data)
        return data


def unreadable(name: str, error: OSError) -> DataError:
    """The error to raise where the operating system refuses to read."""
    return DataError(
        f"{name} cannot be read ({error.strerror or error}). Check that it is there and that you may read it."
    )


def decompressed(raw: RawBytes) -> Iterator[bytes]:
    """Chunks of the plain content; DataError where a compressed file is damaged or ends too early."""
    head = raw.read(10)
    new_decoder = _decoder_for(head)
    if new_decoder is not None:
        yield from _inflated(raw, head, new_decoder)
        return
    if raw.name.lower().endswith(_PACKED):
        raise DataError(
            f"{raw.name} is not packed as its name says. Copy or download it again, or give it another name."
        )
    while head:
        yield head
        head = raw.read(READ_BYTES)


class _Decoder(Protocol):
    """What bz2, lzma and zstd decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _GzipDecoder:
    """zlib's decompressor with the interface of the other three."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _decoder_for(head: bytes) -> Callable[[], _Decoder] | None:
    if head.startswith(b"\x1f\x8b"):
        return _GzipDecoder
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):  # the second: nothing inside
        return bz2.BZ2Decompressor
    if head.startswith(b"\xfd7zXZ\0"):
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_BYTES)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return zstd.ZstdDecompressor  # type: ignore[no-any-return, unused-ignore]
    return None


def _inflated(raw: RawBytes, data: bytes, new_decoder: Callable[[], _Decoder]) -> Iterator[bytes]:
    """Every member of a file, one after another; what follows the last must be zeros."""
    while data:
        decoder = new_decoder()
        yield from _one_member(raw, data, decoder)
        data = decoder.unused_data.lstrip(b"\0")  # tapes and xz pad with zeros
        while not data and (padding := raw.read(READ_BYTES)):
            data = padding.lstrip(b"\0")


def _one_member(raw: RawBytes, data: bytes, decoder: _Decoder) -> Iterator[bytes]:
    while not decoder.eof:
        try:
            inflated = decoder.decompress(data, _INFLATED_BYTES)
        except _DAMAGE as error:
            raise _named(error, raw) from error
        if inflated:
            yield inflated
        data = raw.read(READ_BYTES) if decoder.needs_input and not decoder.eof else b""
        if not (data or inflated or decoder.eof):
            raise DataError(
                f"{raw.name} ends in the middle of its compressed data, after {raw.bytes_read} bytes. "
                "Copy or download it again."
            )


def _named(error: Exception, raw: RawBytes) -> Exception:
    """The error to raise where a decompressor raised this one; it says in words alone what is wrong."""
    what = str(error)
    if "not enough memory" in what:  # of zstd; the others raise MemoryError
        return MemoryError(what)
    if "Memory usage limit" in what or "too much memory" in what:
        command = "xz -d" if isinstance(error, lzma.LZMAError) else "zstd -d --long=31"
        return DataError(
            f"{raw.name} takes more memory to unpack than text should ({what}). "
            f"If it is yours, unpack it with {command} and name the file that gives."
        )
    return DataError(
        f"{raw.name} is damaged near byte {raw.bytes_read} of its compressed form ({what}). "
        "Copy or download it again."
    )
