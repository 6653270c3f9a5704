"""Files on a web server or in a cloud store, read as streams that survive a broken connection.

    address ──> HttpFile (http.py) or CloudFile (cloud.py) ──> RemoteStream: retries, checks ──> bytes

A stream goes on from the byte reached. A change of the file meanwhile is an error.
"""

import glob
import hashlib
import io
import json
import os
import re
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast
from urllib.parse import unquote, urlsplit

from nlpseq.core.cache_dir import cache_dir
from nlpseq.errors import DataError

__all__ = ["Answer", "RemoteFile", "RemoteStream", "Retries", "Version", "check_online", "is_remote"]
__all__ += ["open_remote"]

_BUFFER_BYTES = 1 << 18
Result = TypeVar("Result")
_TRY_AGAIN = "Check the network and the address, then try again"


class Retries(NamedTuple):
    """How long a stream waits for a server, and how often it connects again."""

    attempts: int = 5  # in a row without a new byte
    wait_s: float = 0.5  # before the second attempt; doubles before each further attempt
    timeout_s: float = 30.0  # of an attempt, without a byte


class Version(NamedTuple):
    """Size and state of a file, from its server."""

    num_bytes: int | None
    tag: str | None  # ETag, else the date of the last change


class Answer(NamedTuple):
    """An open connection that delivers a file."""

    version: Version
    start: int  # first byte delivered
    read: Callable[[int], bytes]  # up to so many bytes, at the end none
    close: Callable[[], None]


class RemoteFile(ABC):
    """A file on another machine. name: for messages."""

    def __init__(self, address: str, name: str, retries: Retries) -> None:
        self.address = address
        self.name = name
        self.retries = retries

    @abstractmethod
    def connect(self, start: int, version: Version | None) -> Answer:
        """Return a connection for the bytes from `start` on, or for all bytes.

        version: the version being read, None at first. Raises OSError or HTTPException for a passing problem,
        DataError for any other.
        """

    @cached_property
    def version(self) -> Version:
        """Version of the file when it was first looked at."""
        with RemoteStream(self) as stream:
            return stream.connected_version()

    @property
    def is_stored(self) -> bool:
        """True, because a server delivers a file more than once."""
        return True

    def stamp(self) -> Version:
        """Return the version."""
        return self.version

    def open(self) -> BinaryIO:
        """Return the file as a buffered stream."""
        return cast(BinaryIO, io.BufferedReader(RemoteStream(self, self.version), _BUFFER_BYTES))

    def known_sha256(self) -> str | None:
        """Return the sha256 (hex) of an earlier reading of this version, without reading the file."""
        with suppress(OSError, ValueError, TypeError):
            known = json.loads(self._record().read_text("utf-8"))
            if self.version.tag and known["version"] == [*self.version]:
                return str(known["sha256"])
        return None

    def keep_sha256(self, sha256: str) -> None:
        """Store the sha256 (hex) of this version in the cache."""
        record = self._record()
        with suppress(OSError):  # a full disk costs the next run time, nothing else
            new = record.with_suffix(f".{uuid.uuid4().hex}")
            new.write_text(json.dumps({"version": self.version, "sha256": sha256}), "utf-8")
            new.replace(record)

    def _record(self) -> Path:
        # The address may hold a signature, so the cache stores its digest.
        return cache_dir("remote") / f"{hashlib.sha256(self.address.encode()).hexdigest()[:32]}.json"


class RemoteStream(io.RawIOBase):
    """The bytes of a remote file, with a new connection after each break.

    version: the version expected, None for any. start, sha256: number of bytes that the caller has, and their
    running sha256. Reading raises DataError if the file is another version, ends early or cannot be read.
    """

    def __init__(
        self, file: RemoteFile, version: Version | None = None, start: int = 0, sha256: Any = None
    ) -> None:
        self.version = version
        self.position = start
        self.sha256 = hashlib.sha256() if sha256 is None else sha256  # of all bytes before the position
        self._file = file
        self._answer: Answer | None = None
        self._is_complete = False

    def readable(self) -> bool:
        """Return True: the stream is made for reading."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next bytes, as many as have arrived; return 0 at the end."""
        data = self._with_retries(lambda: self._read(len(buffer)))
        buffer[: len(data)] = data
        self.position += len(data)
        self.sha256.update(data)
        return len(data)

    def connected_version(self) -> Version:
        """Return the version of the file after a connection to its server."""
        return self._with_retries(self._connect).version

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()
        super().close()

    def _with_retries(self, work: Callable[[], Result]) -> Result:
        retries = self._file.retries
        for attempt in range(retries.attempts):
            if attempt:
                time.sleep(retries.wait_s * 2 ** (attempt - 1))
            try:
                return work()
            except (OSError, HTTPException) as error:
                self._disconnect()
                problem = error
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise DataError(f"{self._file.name}: cannot be read ({reason}). {_TRY_AGAIN}.") from problem

    def _read(self, size: int) -> bytes:
        if self._is_complete:
            return b""
        is_at_end = self.version is not None and self.version.num_bytes == self.position
        data = b"" if is_at_end else self._connect().read(size)
        if not data:
            self._check_complete()
        return data

    def _connect(self) -> Answer:
        """Return the open connection, or connect at the position."""
        if self._answer is None:
            self._answer = self._file.connect(self.position, self.version)
            self._check_version(self._answer)
            if self._answer.start < self.position:
                self._skip(self._answer)
        return self._answer

    def _check_version(self, answer: Answer) -> None:
        """Raise DataError for another version; a server may tell the size in some answers only."""
        expected = self.version or answer.version
        found = answer.version.num_bytes
        num_bytes = expected.num_bytes if found is None else found
        if answer.version.tag != expected.tag or expected.num_bytes not in (None, num_bytes):
            raise self._changed()
        self.version = Version(num_bytes, expected.tag)

    def _skip(self, answer: Answer) -> None:
        """Read the bytes before the position again, and compare their sha256."""
        again, left = hashlib.sha256(), self.position
        while left:
            data = answer.read(min(left, _BUFFER_BYTES))
            if not data:
                raise ConnectionError(f"the connection ended before byte {self.position:,}")
            again.update(data)
            left -= len(data)
        if again.digest() != self.sha256.digest():
            raise self._changed()

    def _check_complete(self) -> None:
        """Check the length, and the version by a last connection."""
        total = self.version and self.version.num_bytes
        if total is not None and self.position < total:
            raise ConnectionError(f"the connection ended after {self.position:,} of {total:,} bytes")
        self._disconnect()
        last = self._file.connect(0, None)
        last.close()
        self._check_version(last)
        self._is_complete = True

    def _changed(self) -> DataError:
        return DataError(
            f"{self._file.name}: changed on the server while it was read. "
            "Start again, or download the file and name it."
        )

    def _disconnect(self) -> None:
        if self._answer is not None:
            with suppress(OSError, HTTPException):
                self._answer.close()
        self._answer = None


def is_remote(source: str) -> bool:
    """Return True for an address such as https://example.org/a.txt."""
    return re.match(r"[a-z][a-z0-9+.-]*://", source, re.IGNORECASE) is not None


def check_online(name: str) -> None:
    """Raise DataError if NLPSEQ_OFFLINE forbids the network."""
    if os.environ.get("NLPSEQ_OFFLINE", "0") not in ("", "0"):
        raise DataError(
            f"{name}: needs the network, and NLPSEQ_OFFLINE forbids it. "
            "Unset NLPSEQ_OFFLINE, or name a local file."
        )


def open_remote(address: str) -> tuple[str, list[RemoteFile]]:
    """Return a name without suffixes and the files of an address; a web server is not asked yet.

    Raises DataError for an unknown scheme, and if a cloud store holds no such file; MissingExtra if a library
    for the scheme is not installed.
    """
    from nlpseq.reading.cloud import SCHEMES, find_files
    from nlpseq.reading.http import HttpFile

    scheme = address.partition("://")[0].lower()
    if scheme in SCHEMES:
        files: list[RemoteFile] = [*find_files(address)]
    elif scheme in ("https", "http"):
        files = [HttpFile(address)]
    else:
        known = ", ".join(f"{each}://" for each in ("https", *SCHEMES))
        raise DataError(f"{address}: starts with an unknown scheme. Use {known}, or name a local file.")
    named = files[0].name if glob.has_magic(address) and scheme in SCHEMES else address
    path = PurePosixPath(unquote(urlsplit(named).path))
    return re.sub(r"\W+", "-", path.name.lstrip(".").partition(".")[0]) or "corpus", files
