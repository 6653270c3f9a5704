"""Open a vector file for reading: decompress, check the sizes in the header, name corrupt lines."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from nlpseq.core.resources import count_text
from nlpseq.errors import ArtifactError, DataError
from nlpseq.reading.open import HEAD_BYTES, ChunkStream, RawBytes, decoder_for, decompressed, read_errors

__all__ = [
    "DEFAULT_SIZES", "MAX_LINE_BYTES", "Header", "ReadSizes", "Source", "Window", "open_source",
    "parse_sizes", "path_exists",
]  # fmt: skip

MAX_LINE_BYTES = 1 << 22  # 10,000 numbers take a few hundred thousand
_MAX_EXPANSION = 200  # plain bytes out of a compressed one: vectors give 2 or 3, deflate can give 1032
_MIN_INFLATED_BYTES = 1 << 24  # allowed for any file


class ReadSizes(NamedTuple):
    """Sizes of reading, without influence on the result."""

    block_bytes: int = 1 << 20  # read at once
    compile_after: int = 1 << 20  # bytes of text; loading the compiled parser pays off later


DEFAULT_SIZES = ReadSizes()


class Header(NamedTuple):
    """The first line `V D` of a file, and its length."""

    num_words: int
    dim: int
    num_bytes: int


class Source(NamedTuple):
    """An open file of vectors."""

    file: Path
    stream: io.BufferedReader  # of plain bytes
    size: int  # bytes on disk
    compressed: bool
    sizes: ReadSizes = DEFAULT_SIZES

    def read_line(self) -> bytes:
        """Read up to the next newline, or MAX_LINE_BYTES."""
        return self.stream.readline(MAX_LINE_BYTES)

    def read_header(self, bytes_per_number: int) -> Header:
        """Read the first line `V D`; raises ArtifactError if missing or too large for the file."""
        line = self.read_line()
        sizes = parse_sizes(line)
        if sizes is None:
            raise ArtifactError(
                f"{self.file}: line 1 is not `words dimensions`, with which this format begins. "
                "Name the right format with --from, or none."
            )
        num_words, dim = sizes
        if dim == 0:
            raise self.corrupt("line 1 declares vectors of 0 numbers")
        self.check_room(num_words, dim, num_words * (bytes_per_number * dim + 1))
        return Header(num_words, dim, len(line))

    def check_room(self, num_words: int, dim: int, num_bytes: int) -> None:
        """Raise ArtifactError if the file cannot hold this many bytes, before they are allocated."""
        if num_bytes > (_MIN_INFLATED_BYTES + _MAX_EXPANSION * self.size if self.compressed else self.size):
            raise self.corrupt(
                f"line 1 declares {count_text(num_words, 'vector')} of {count_text(dim, 'number')}, more "
                "than the file can hold"
            )

    def corrupt(self, problem: str) -> ArtifactError:
        """Return the error for a corrupt file."""
        return ArtifactError(f"{self.file}: {problem}. Copy the file again, or write a new one.")


@contextmanager
def open_source(file: Path, sizes: ReadSizes = DEFAULT_SIZES) -> Iterator[Source]:
    """Open a file, decompressed if its content is compressed; translate errors of the operating system."""
    with read_errors(str(file)):
        try:
            size = _regular_size(file)
            with file.open("rb") as raw:
                compressed = decoder_for(raw.peek(HEAD_BYTES)[:HEAD_BYTES]) is not None
                stream = raw
                if compressed:
                    stream = io.BufferedReader(ChunkStream(_inflate(raw, file)), sizes.block_bytes)
                yield Source(file, stream, size, compressed, sizes)
        except FileNotFoundError:
            raise DataError(f"{file}: does not exist. Name a model or a file of vectors.") from None
        except IsADirectoryError:
            raise ArtifactError(
                f"{file}: is a folder, not a file. Leave its format out if nlpseq wrote it."
            ) from None


def _inflate(raw: io.BufferedReader, file: Path) -> Iterator[bytes]:
    """Yield the plain bytes of a file up to a ratio beyond all vectors."""
    stored, num_bytes = RawBytes(raw, str(file), hashed=False), 0
    for chunk in decompressed(stored, corrupt=ArtifactError):
        num_bytes += len(chunk)
        if num_bytes > _MIN_INFLATED_BYTES + _MAX_EXPANSION * stored.bytes_read:
            raise ArtifactError(
                f"{file}: decompresses to more than {_MAX_EXPANSION} times its size, unlike any vectors. "
                "If you trust the file, decompress it by hand and name the result."
            )
        yield chunk


def path_exists(file: Path) -> bool:
    """Tell whether a file exists; False for an impossible name."""
    try:
        return file.exists()
    except OSError:
        return False


def _regular_size(file: Path) -> int:
    """Return the bytes on disk; raises DataError for pipes and devices."""
    status = file.stat()
    if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        raise DataError(
            f"{file}: is a pipe or a device, which cannot be read twice. Save the vectors to a file."
        )
    return status.st_size


def parse_sizes(line: bytes) -> tuple[int, int] | None:
    """Return V and D of a line `V D`, None for any other line."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return int(fields[0]), int(fields[1])


class Window:
    """Bytes read and not yet consumed: block[start:end].

    `offset` is that of the block in the plain file.
    """

    def __init__(self, source: Source, head: bytes = b"", offset: int = 0) -> None:
        self._stream = source.stream
        self.block = bytearray(max(source.sizes.block_bytes, len(head)))
        self.block[: len(head)] = head
        self.start, self.end, self.offset = 0, len(head), offset

    def read_more(self) -> bool:
        """Read on, into a doubled block if full; return False at the end of the file."""
        left = self.block[self.start : self.end]
        self.offset += self.start
        if 2 * len(left) > len(self.block):
            self.block = bytearray(2 * len(self.block))
        self.block[: len(left)] = left
        self.start, self.end = 0, len(left)
        with memoryview(self.block) as block:
            count = self._stream.readinto(block[self.end :])
        self.end += count
        return count > 0

    def take_line(self) -> bytes:
        """Consume a line; at the end of the file, or beyond MAX_LINE_BYTES, without a newline."""
        while (end := self.block.find(b"\n", self.start, self.end)) < 0:
            if self.end - self.start >= MAX_LINE_BYTES or not self.read_more():
                end = self.end - 1
                break
        line = bytes(self.block[self.start : end + 1])
        self.start += len(line)
        return line
