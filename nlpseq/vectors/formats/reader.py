"""Open a vector file for reading: decompress, check the sizes in the header, name corrupt lines."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from nlpseq.core.resources import count_text
from nlpseq.errors import ArtifactError, DataError
from nlpseq.reading.open import HEAD_BYTES, ChunkStream, RawBytes, decoder_for, decompressed, read_errors

__all__ = [
    "DEFAULT_OPTIONS", "DEFAULT_SIZES", "LOAD_ALL", "MAX_LINE_BYTES", "ReadOptions", "ReadSizes", "Source",
    "Window", "open_source", "path_exists", "plain_stream",
]  # fmt: skip

MAX_LINE_BYTES = 1 << 22  # 10,000 numbers take a few hundred thousand
LOAD_ALL = "Copy the file again, or load the vectors there are with --lenient"
_COPY = "Copy the file again, or write a new one"
_SAMPLE_BYTES = 1 << 16
_SAMPLE_LINES = 4  # for which more bytes are sampled, up to MAX_LINE_BYTES
_MAX_EXPANSION = 200  # plain bytes out of a compressed one: vectors give 2 or 3, deflate can give 1032
_MIN_INFLATED_BYTES = 1 << 24  # allowed for any file


class ReadSizes(NamedTuple):
    """Sizes of reading, without influence on the result."""

    block_bytes: int = 1 << 20  # read at once
    compile_after: int = 1 << 20  # bytes of text; loading the compiled parser pays off later


DEFAULT_SIZES = ReadSizes()


class ReadOptions(NamedTuple):
    """Choices of the person who reads a file."""

    lenient: bool = False  # load the rows there are, and count the others
    load_top: int | None = None  # rows to read; None: all
    verify: bool = False  # read all numbers of a file that is mapped


DEFAULT_OPTIONS = ReadOptions()


class Source(NamedTuple):
    """An open file of vectors, or a member of an archive."""

    file: Path
    name: str  # for errors: of the file, with the member if it is an archive
    stream: io.BufferedReader  # of plain bytes
    sample: bytes  # the first bytes of the stream
    is_whole: bool  # the sample is the whole stream
    size: int  # bytes on disk
    compressed: bool
    sizes: ReadSizes = DEFAULT_SIZES
    options: ReadOptions = DEFAULT_OPTIONS
    max_dim: int | None = None  # numbers of a row, if a first attempt found fewer than in the first lines

    def check_room(self, num_words: int, dim: int, num_bytes: int, fix: str = _COPY) -> None:
        """Raise ArtifactError if the file cannot hold this many bytes, before they are allocated."""
        if num_bytes > (_MIN_INFLATED_BYTES + _MAX_EXPANSION * self.size if self.compressed else self.size):
            raise self.corrupt(
                f"line 1 declares {count_text(num_words, 'vector')} of {count_text(dim, 'number')}, more "
                "than the file can hold: the file is truncated, or line 1 is wrong",
                fix,
            )

    def height(self, num_words: int, dim: int, bytes_per_number: int) -> int:
        """Return how many rows to allocate: as declared, if the file may hold them.

        Memory that is not written takes no room, but a matrix that grows is cleared and moved.
        """
        row_bytes = dim if self.compressed else bytes_per_number * dim + 1  # numbers hardly compress to less
        return min(num_words, self.size // row_bytes)

    def too_long(self, line: int) -> ArtifactError:
        """Return the error for a line of more than MAX_LINE_BYTES."""
        return self.corrupt(f"line {line} is longer than {MAX_LINE_BYTES:,} bytes")

    def corrupt(self, problem: str, fix: str = _COPY) -> ArtifactError:
        """Return the error for a corrupt file."""
        return ArtifactError(f"{self.name}: {problem}. {fix}.")


@contextmanager
def open_source(
    file: Path, sizes: ReadSizes = DEFAULT_SIZES, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[Source]:
    """Open a file, decompressed if its content is compressed; translate errors of the operating system."""
    with read_errors(str(file)):
        try:
            size = _regular_size(file)
            with file.open("rb") as raw:
                compressed = decoder_for(raw.peek(HEAD_BYTES)[:HEAD_BYTES]) is not None
                stream = raw
                if compressed:
                    stored = RawBytes(raw, str(file), hashed=False)
                    stream, sample, is_whole = plain_stream(stored, lambda: stored.bytes_read, sizes)
                else:
                    sample, is_whole = _read_sample(raw.read)
                    raw.seek(0)
                yield Source(file, str(file), stream, sample, is_whole, size, compressed, sizes, options)
        except FileNotFoundError:
            raise DataError(f"{file}: does not exist. Name a model or a file of vectors.") from None
        except IsADirectoryError:
            raise ArtifactError(
                f"{file}: is a folder, not a file. Leave its format out if nlpseq wrote it."
            ) from None


def plain_stream(
    stored: RawBytes, bytes_read: Callable[[], int], sizes: ReadSizes
) -> tuple[io.BufferedReader, bytes, bool]:
    """Decompress stored bytes; return the plain stream, its first bytes, and True if these are all.

    bytes_read: of the file on disk, for the limit of the ratio.
    """
    chunks = _limited(decompressed(stored, corrupt=ArtifactError), bytes_read, stored.name)
    taken = list[bytes]()

    def read(_: int) -> bytes:
        taken.append(next(chunks, b""))
        return taken[-1]

    sample, is_whole = _read_sample(read)
    stream: io.BufferedReader = io.BufferedReader(ChunkStream(chain(taken, chunks)), sizes.block_bytes)
    return stream, sample, is_whole


def _read_sample(read: Callable[[int], bytes]) -> tuple[bytes, bool]:
    """Read some lines, and at most a line that is too long; return True if they are the whole file."""
    sample = b""
    while len(sample) < MAX_LINE_BYTES and not (
        len(sample) >= _SAMPLE_BYTES and sample.count(b"\n") > _SAMPLE_LINES
    ):
        block = read(max(_SAMPLE_BYTES, len(sample)))
        if not block:
            return sample, True
        sample += block
    return sample, False


def _limited(chunks: Iterator[bytes], bytes_read: Callable[[], int], name: str) -> Iterator[bytes]:
    """Yield the plain bytes of a file up to a ratio beyond all vectors."""
    num_bytes = 0
    for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > _MIN_INFLATED_BYTES + _MAX_EXPANSION * bytes_read():
            raise ArtifactError(
                f"{name}: decompresses to more than {_MAX_EXPANSION} times its size, unlike any vectors. "
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


class Window:
    """Bytes read and not yet consumed: block[start:end].

    `offset` is that of the block in the plain file. skipped: bytes of the stream to leave out.
    """

    def __init__(self, source: Source, skipped: int) -> None:
        self._stream = source.stream
        self._stream.read(skipped)
        self.block = bytearray(source.sizes.block_bytes)
        self.start, self.end, self.offset = 0, 0, skipped

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

    def read_to_line_end(self) -> bool:
        """Read on if no whole line is left; return True if bytes were read."""
        if self.block.find(b"\n", self.start, self.end) >= 0 or self.end - self.start >= MAX_LINE_BYTES:
            return False
        return self.read_more()

    def take_line(self) -> bytes:
        """Consume a line; at the end of the file, or beyond MAX_LINE_BYTES, without a newline."""
        while (end := self.block.find(b"\n", self.start, self.end)) < 0:
            if self.end - self.start >= MAX_LINE_BYTES or not self.read_more():
                end = self.end - 1
                break
        line = bytes(self.block[self.start : end + 1])
        self.start += len(line)
        return line
