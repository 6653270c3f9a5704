"""A file of vectors being read: its bytes unpacked, what it may promise, and damage named."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOMEM
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, NamedTuple, cast

from nlpseq.errors import ArtifactError, DataError

LONGEST_LINE = 1 << 22  # bytes; 10,000 numbers take a few hundred thousand
_BLOCK = 1 << 20  # bytes read at once
_GZIP = b"\x1f\x8b"
_MOST_UNPACKED = 200  # bytes out of one: vectors give 2 or 3, deflate can give 1032
_ANY_UNPACKED = 1 << 24  # bytes that may come out of any file


class Header(NamedTuple):
    """What the first line of a file says is in it, and the bytes of that line."""

    num_words: int
    dim: int
    num_bytes: int


class Source(NamedTuple):
    """An open file; size is that on disk."""

    file: Path
    stream: io.BufferedReader
    size: int
    packed: bool

    def first_line(self) -> bytes:
        return self.stream.readline(LONGEST_LINE)

    def read_header(self, bytes_per_number: int) -> Header:
        """The first line `V D`; ArtifactError where there is none, or where the file has no room for them."""
        line = self.first_line()
        sizes = sizes_in(line)
        if sizes is None:
            raise ArtifactError(
                f"{self.file}, line 1, is not `words dimensions`, with which this format begins. "
                "Name the right format, or none."
            )
        num_words, dim = sizes
        if dim == 0:
            raise self.damage(", line 1, promises vectors of 0 numbers")
        self.check_room(num_words, dim, num_words * (bytes_per_number * dim + 1))
        return Header(num_words, dim, len(line))

    def check_room(self, num_words: int, dim: int, num_bytes: int) -> None:
        """Raise ArtifactError where the file cannot hold so many bytes; call it before they are allocated."""
        if num_bytes > (_most_unpacked(self.size) if self.packed else self.size):
            promise = f"{num_words} vectors of {dim} numbers"
            raise self.damage(f", line 1, promises {promise}, more than the file can hold")

    def damage(self, what: str) -> ArtifactError:
        return _damage(self.file, what)


@contextmanager
def opened(file: Path) -> Iterator[Source]:
    """The file, unpacked where it is gzip by its content; what goes wrong inside names the file."""
    try:
        size = _size_of(file)
        with file.open("rb") as raw:
            packed = raw.peek(len(_GZIP)).startswith(_GZIP)
            stream = io.BufferedReader(cast(Any, _Unpacked(raw, file)), _BLOCK) if packed else raw
            yield Source(file, stream, size, packed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damage(file, f" is damaged gzip ({error})") from error
    except FileNotFoundError:
        raise DataError(f"{file} does not exist. Name a model or a file of vectors.") from None
    except IsADirectoryError:
        raise ArtifactError(
            f"{file} cannot be read as a file, as it is a folder. Leave its format out if nlpseq wrote it."
        ) from None
    except OSError as error:
        if error.errno == ENOMEM:  # which says nothing of the file
            raise MemoryError(f"{file} could not be read") from error
        raise DataError(
            f"{file} cannot be read ({error.strerror or error}). Check its name, and that you may read it."
        ) from error


def is_there(file: Path) -> bool:
    """Whether there is such a file; no where there cannot be one, as its name would be too long."""
    try:
        return file.exists()
    except OSError:
        return False


def _size_of(file: Path) -> int:
    """Its bytes; DataError where it is a pipe or a device, from which even opening may take something.

    Files are opened twice, once to tell their format, and what a pipe gave is gone by then.
    """
    status = file.stat()
    if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        raise DataError(
            f"{file} cannot be read as vectors, as it is a pipe or a device. Save it to a file and name that."
        )
    return status.st_size


def sizes_in(line: bytes) -> tuple[int, int] | None:
    """V and D of a line `V D`, None of any other."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return int(fields[0]), int(fields[1])


class _Unpacked(io.RawIOBase):
    """What gzip packed, as long as it is not out of all proportion."""

    def __init__(self, raw: io.BufferedReader, file: Path) -> None:
        self._raw = raw
        self._file = file
        self._gzip = gzip.GzipFile(fileobj=raw, mode="rb")
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self._gzip.readinto(buffer)
        self._num_bytes += count
        if self._num_bytes > _most_unpacked(self._raw.tell()):
            raise ArtifactError(
                f"{self._file} unpacks to more than {_MOST_UNPACKED} times its size, as no vectors do. "
                "Unpack it with gunzip if that is as it should be."
            )
        return count


def _most_unpacked(size: int) -> int:
    return _ANY_UNPACKED + _MOST_UNPACKED * size


def _damage(file: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{file}{what}. Copy the file again, or make it anew.")


class Window:
    """The bytes that were read from a stream and not yet taken: block[place:end].

    `position` is where in the unpacked file they begin.
    """

    def __init__(self, stream: io.BufferedReader, head: bytes = b"", position: int = 0) -> None:
        self._stream = stream
        self.block = bytearray(max(_BLOCK, len(head)))
        self.block[: len(head)] = head
        self.place, self.end, self.position = 0, len(head), position

    @property
    def num_bytes(self) -> int:
        return self.end - self.place

    def more(self) -> bool:
        """Read on, into a block twice as large where this one is full; False at the end of the file."""
        left = self.rest()
        if 2 * len(left) > len(self.block):
            self.block = bytearray(2 * len(self.block))
        self.block[: len(left)] = left
        self.place, self.end = 0, len(left)
        with memoryview(self.block) as block:
            count = self._stream.readinto(block[self.end :])
        self.end += count
        return count > 0

    def line(self) -> bytes:
        """Take the next line with its end, or what there is where the file ends or the line does not."""
        while (end := self.block.find(b"\n", self.place, self.end)) < 0:
            if self.num_bytes >= LONGEST_LINE or not self.more():
                end = self.end - 1
                break
        line = bytes(self.block[self.place : end + 1])
        self.take(len(line))
        return line

    def rest(self) -> bytes:
        return bytes(self.block[self.place : self.end])

    def take(self, num_bytes: int) -> None:
        self.place += num_bytes
        self.position += num_bytes
