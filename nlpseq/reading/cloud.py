"""Files in cloud stores, and in the memory of this process, opened by fsspec."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nlpseq.errors import DataError, NlpseqError, missing_extra
from nlpseq.reading.remote import Answer, RemoteFile, Retries, Version, check_online

__all__ = ["SCHEMES", "CloudFile", "find_files"]

SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface_hub", "memory": ""}  # package that fsspec needs
_TAGS = (
    "ETag",
    "etag",
    "blob_id",
    "generation",
    "LastModified",
    "last_modified",
    "mtime",
    "updated",
    "created",
)


class CloudFile(RemoteFile):
    """A file of a file system of fsspec."""

    def __init__(self, filesystem: Any, path: str, retries: Retries = Retries()) -> None:
        address = filesystem.unstrip_protocol(path)
        super().__init__(address, address, retries)
        self._filesystem, self._path = filesystem, path

    def connect(self, start: int, version: Version | None) -> Answer:
        """Open the file at a byte; see RemoteFile.connect."""
        with _errors(self.name):
            self._filesystem.invalidate_cache()  # because a listing may be older than the file
            info = self._filesystem.info(self._path)
            stream = self._filesystem.open(self._path, "rb")
            stream.seek(start)
        tag = next((str(info[key]) for key in _TAGS if info.get(key)), None)

        def read(size: int) -> bytes:
            with _errors(self.name):
                return bytes(stream.read(size))

        return Answer(Version(info["size"], tag), start, read, stream.close)


def find_files(address: str, retries: Retries = Retries()) -> list[CloudFile]:
    """Return the file of an address, the files below a folder, or the matches of a glob, sorted."""
    scheme = address.partition("://")[0].lower()
    if scheme != "memory":
        check_online(address)
    filesystem, path = _open_filesystem(address, scheme)
    try:
        paths = _list_files(filesystem, path, address)
    except OSError as error:
        raise DataError(
            f"{address}: cannot be listed ({error}). Check the network and the address."
        ) from error
    if not paths:
        raise DataError(f"{address}: no such file. Check the address; quote a pattern for the shell.")
    return [CloudFile(filesystem, each, retries) for each in sorted(paths)]


def _list_files(filesystem: Any, path: str, address: str) -> list[str]:
    with _errors(address):
        if glob.has_magic(path):
            return [each for each in filesystem.glob(path) if filesystem.isfile(each)]
        if filesystem.isdir(path):  # without hidden files
            return [each for each in filesystem.find(path) if "/." not in each.removeprefix(path)]
        return [path] if filesystem.exists(path) else []


def _open_filesystem(address: str, scheme: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        with _errors(address):
            filesystem, path = url_to_fs(address)
            return filesystem, path
    except ImportError as error:
        package = SCHEMES[scheme]
        raise missing_extra(address, package or "fsspec", "data", package) from error


@contextmanager
def _errors(name: str) -> Iterator[None]:
    """Raise DataError for a missing file, and ConnectionError for errors of a store's own library."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        reason = error.strerror or "no such file"
        raise DataError(f"{name}: cannot be read ({reason}). Check the address and your rights.") from error
    except (OSError, ImportError, MemoryError, NlpseqError):
        raise
    except Exception as error:  # each store has its own classes
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
