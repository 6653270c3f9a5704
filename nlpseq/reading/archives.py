"""Members of zip and tar archives, in stored order, as streams: nothing is extracted to disk.

Folders, links and hidden names are left out. Names are names only, never paths to write.
"""

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple, Self

from nlpseq.errors import DataError, NlpseqError
from nlpseq.reading.open import ChunkStream, RawBytes

__all__ = ["TAR_HEAD_BYTES", "Member", "is_tar", "is_zip", "tar_members", "zip_members"]

TAR_HEAD_BYTES = 512
_READ_BYTES = 1 << 16
_MAX_AFTER_END = 16  # reads of tarfile at the end of a whole archive
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError),
    *(OSError, NotImplementedError),  # of a seek to a forged offset, and of a forged version of zip
)
_BAD_HEADER = (
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]
    tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
)
_SUPPORTED = {  # methods of zip, with the bytes read together; few if zipfile inflates them all at once
    zipfile.ZIP_STORED: _READ_BYTES,
    zipfile.ZIP_DEFLATED: _READ_BYTES,
    zipfile.ZIP_BZIP2: 1 << 12,
    zipfile.ZIP_LZMA: 1 << 12,
}


class Member(NamedTuple):
    """A file in an archive."""

    path: str  # in the archive
    num_bytes: int  # as the archive says
    raw: RawBytes


def is_zip(head: bytes) -> bool:
    """Return True for the start of a zip archive."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_tar(head: bytes) -> bool:
    """Return True for the first TAR_HEAD_BYTES bytes of a tar archive."""
    return head[257:262] == b"ustar"


class _MemberStream(io.RawIOBase):
    """The bytes of a member, with the name of the member in errors."""

    def __init__(
        self, stream: IO[bytes], name: str, corrupt: type[NlpseqError], read_bytes: int = _READ_BYTES
    ) -> None:
        self._stream, self._name, self._corrupt, self._read_bytes = stream, name, corrupt, read_bytes

    def read(self, size: int = -1) -> bytes:
        with _archive_errors(self._name, self._corrupt):
            return self._stream.read(min(size, self._read_bytes))


@contextmanager
def _archive_errors(name: str, corrupt: type[NlpseqError]) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise corrupt(f"{name}: is corrupt ({error}). Copy or download the archive again.") from error


def zip_members(stream: RawBytes, name: str, corrupt: type[NlpseqError] = DataError) -> Iterator[Member]:
    """Yield each member of a zip archive; a member must be read before the next.

    stream: seekable. name: of the archive. corrupt: class of the error raised if the archive is corrupt.
    Raises DataError, before any text, if a member is encrypted or compressed by an unknown method.
    """
    with _archive_errors(name, corrupt):
        archive = zipfile.ZipFile(stream)
    members = [
        info
        for info in archive.infolist()
        if not info.filename.endswith("/") and not _is_hidden(info.filename)  # is_dir() fails on no name
    ]
    for info in members:
        is_encrypted = info.flag_bits & 1
        if is_encrypted or info.compress_type not in _SUPPORTED:
            problem = "encrypted" if is_encrypted else f"compressed by method {info.compress_type}"
            raise DataError(
                f"{name}, member {info.filename}: is {problem}. Extract the archive and name the files."
            )
    for info in members:
        member_name = f"{name}, member {info.filename}"
        with _archive_errors(member_name, corrupt):
            opened = archive.open(info)
        with opened:
            content = _MemberStream(opened, member_name, corrupt, _SUPPORTED[info.compress_type])
            raw = RawBytes(content, member_name, hashed=False)
            yield Member(info.filename, info.file_size, raw)


class _TarStream(ChunkStream):
    """The bytes of a tar archive; an error if tarfile reads on after their end, as to skip a forged size."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__(chunks)
        self._num_after_end = 0

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self._num_after_end += count == 0
        if self._num_after_end > _MAX_AFTER_END:
            raise EOFError("unexpected end of data")
        return count


class _CheckedInfo(tarfile.TarInfo):
    """A header of tar; a broken or missing header is an error, because the end of an archive is marked."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except _BAD_HEADER as error:
            raise tarfile.ReadError(str(error)) from error


def tar_members(
    chunks: Iterator[bytes], name: str, corrupt: type[NlpseqError] = DataError
) -> Iterator[Member]:
    """Yield each member of a tar archive; a member must be read before the next.

    chunks: the archive, read to the end. name: of the archive. corrupt: class of the error raised if the
    archive is corrupt. Raises DataError for a sparse file.
    """
    stream = io.BufferedReader(_TarStream(chunks))
    with (
        _archive_errors(name, corrupt),
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_CheckedInfo) as archive,
    ):
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # else the headers of all members stay in memory
            if not info.isreg() or _is_hidden(info.name):
                continue
            member_name = f"{name}, member {info.name}"
            if info.issparse():  # a few bytes may declare any number of zeros
                raise DataError(f"{member_name}: is a sparse file. Extract the archive and name the files.")
            if opened := archive.extractfile(info):
                raw = RawBytes(_MemberStream(opened, member_name, corrupt), member_name, hashed=False)
                yield Member(info.name, info.size, raw)
    for _ in chunks:  # padding behind the last member
        pass


def _is_hidden(name: str) -> bool:
    """Return True for a member that a folder would hide, and for the extra files of macOS."""
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in parts)
