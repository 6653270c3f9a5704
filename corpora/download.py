"""Download corpora of the catalog into the cache: resumed after a break, checked, and unpacked.

cache/corpora/NAME/          the corpus: its files, or a folder for each part
cache/corpora/NAME.json      sha256 and bytes of the files downloaded, kept for the next time
cache/corpora/NAME.partial/  an unfinished download
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from nlpseq.core.cache_dir import cache_dir
from nlpseq.errors import DataError
from nlpseq.reading.archives import Member, tar_members, zip_members
from nlpseq.reading.http import HttpFile
from nlpseq.reading.open import RawBytes, decompressed
from nlpseq.reading.remote import RemoteStream, Retries, Version, check_online
from nlpseq.storage.artifact import check_free_disk, fsync, write_errors
from nlpseq.storage.locks import path_lock, temporary

from . import Download, Entry

__all__ = ["download", "download_bytes", "downloaded", "is_downloaded", "known_sha256"]

_CHUNK_BYTES = 1 << 16
_UNPACKED_TIMES = 4  # size of a text with its zip or tar.gz, relative to the archive

Progress = Callable[[int], None]


def is_downloaded(entry: Entry) -> bool:
    """Return True if the corpus is in the cache."""
    return _folder(entry).exists()


def downloaded(entry: Entry, part: str = "") -> Path:
    """Return the file of a downloaded corpus, or the folder of its files.

    part: default the first part. Raises DataError if the corpus is not in the cache.
    """
    if not is_downloaded(entry):
        check_online(entry.name)
        raise DataError(f"{entry.name}: is not downloaded yet. Type: nlpseq corpora get {entry.name}")
    folder = _folder(entry)
    if entry.parts:
        folder /= part or next(iter(entry.parts))
    files = sorted(folder.iterdir())
    return files[0] if len(files) == 1 else folder


def known_sha256(entry: Entry) -> list[str | None]:
    """Return the sha256 (hex) of each file, from the catalog or from an earlier download."""
    kept: list[str | None] = [None] * len(entry.downloads)
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = [each["sha256"] for each in json.loads(_record(entry).read_text("utf-8"))["files"]]
        kept = found if len(found) == len(kept) else kept
    return [file.sha256 or before for file, before in zip(entry.downloads, kept, strict=True)]


def download_bytes(entry: Entry, retries: Retries = Retries()) -> int | None:
    """Return the bytes to download, from the catalog or the servers; None if no server tells them."""
    sizes = [file.bytes or _ask_size(file, retries) for file in entry.downloads]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _ask_size(file: Download, retries: Retries) -> int | None:
    for url in file.urls:
        with suppress(DataError):  # because another server may answer
            return HttpFile(url, retries, unencrypted=True).version.num_bytes
    return None


def download(
    entry: Entry, *, progress: Progress = lambda _: None, retries: Retries = Retries()
) -> list[Download]:
    """Download a corpus into the cache, or go on with an unfinished download.

    progress: called with the number of bytes that were added. Returns the files received, none if the corpus
    was there. Raises DataError if no server delivers a file as expected, ResourceError for lack of disk,
    ConfigError if another process downloads the same corpus.
    """
    target = _folder(entry)
    with write_errors(target), path_lock(target):
        if target.exists():
            return []
        partial = target.with_name(f"{entry.name}.partial")
        partial.mkdir(exist_ok=True)
        expected, received = known_sha256(entry), list[Download]()
        for number, file in enumerate(entry.downloads):
            goal = Download(file.urls, file.bytes, expected[number])
            received.append(_fetch(entry, goal, partial / str(number), progress, retries))
        with temporary(target) as new:
            new.mkdir()
            for number, file in enumerate(received):
                _store(entry, file, partial / str(number), new)
            new.rename(target)
        files = [{"url": file.urls[0], "bytes": file.bytes, "sha256": file.sha256} for file in received]
        _record(entry).write_text(json.dumps({"files": files}, indent=2) + "\n", "utf-8")
        shutil.rmtree(partial)
    return received


def _folder(entry: Entry) -> Path:
    return cache_dir("corpora") / entry.name


def _record(entry: Entry) -> Path:
    return cache_dir("corpora") / f"{entry.name}.json"


def _fetch(entry: Entry, goal: Download, path: Path, progress: Progress, retries: Retries) -> Download:
    """Return the file received from the first server that delivers it; the bytes are in `path`."""
    problems = []
    for url in goal.urls:
        try:
            return _fetch_from(url, entry, goal, path, progress, retries)
        except DataError as error:
            problems.append(str(error))
    raise DataError(
        f"{entry.name}: was not downloaded. {' '.join(problems)} "
        f"Then type nlpseq corpora get {entry.name} to go on."
    )


def _fetch_from(
    url: str, entry: Entry, goal: Download, path: Path, progress: Progress, retries: Retries
) -> Download:
    file = HttpFile(url, retries, unencrypted=True)  # because the sha256 is checked
    size = file.version.num_bytes
    if goal.bytes is not None and size not in (None, goal.bytes):
        raise DataError(f"{url}: has {size:,} bytes, and the catalog says {goal.bytes:,}. Try again later.")
    start, digest = _find_start(url, file.version, path)
    check_free_disk(path, (size or 0) * (_UNPACKED_TIMES if entry.parts else 1) - start)
    progress(start)
    with RemoteStream(file, file.version, start, digest) as stream, path.open("ab" if start else "wb") as out:
        while data := stream.read(_CHUNK_BYTES):
            out.write(data)
            progress(len(data))
    sha256 = digest.hexdigest()
    if goal.sha256 not in (None, sha256):
        path.unlink()
        way_out = f"If the text has a new version, delete {_record(entry)}" if _record(entry).exists() else ""
        raise DataError(
            f"{url}: has the sha256 {sha256}, and {goal.sha256} is expected. {way_out or 'Try again later'}."
        )
    return Download((url,), stream.position, sha256)


def _find_start(url: str, version: Version, path: Path) -> tuple[int, Any]:
    """Return the number of bytes of this version in `path`, and their running sha256."""
    state, now = path.with_suffix(".json"), json.dumps([url, *version])
    if path.exists() and state.exists() and state.read_text("utf-8") == now and version.tag:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            if version.num_bytes is None or stream.tell() <= version.num_bytes:
                return stream.tell(), digest
    path.unlink(missing_ok=True)
    state.write_text(now, "utf-8")
    return 0, hashlib.sha256()


def _store(entry: Entry, file: Download, path: Path, folder: Path) -> None:
    """Move a file to a folder, or unpack the parts of an archive into sub-folders."""
    if not entry.parts:
        new = folder / PurePosixPath(urlsplit(file.urls[0]).path).name
        path.rename(new)
        fsync(new)
        return
    url = file.urls[0]
    try:
        for member in _members(path, url):
            for part in (part for part, pattern in entry.parts.items() if fnmatch(member.path, pattern)):
                (folder / part).mkdir(exist_ok=True)
                check_free_disk(folder / part, member.num_bytes)
                with (folder / part / PurePosixPath(member.path).name).open("xb") as out:
                    shutil.copyfileobj(member.raw, out, _CHUNK_BYTES)
                    out.flush()
                    os.fsync(out.fileno())
    except DataError:  # corrupt: the next download starts from the beginning
        path.unlink()
        raise
    missing = [pattern for part, pattern in entry.parts.items() if not (folder / part).exists()]
    if missing:
        raise DataError(f"{url}: holds no {missing[0]}. Try again later.")


def _members(path: Path, name: str) -> Iterator[Member]:
    """Yield the members of a zip or tar archive; name: of the archive, for messages."""
    with path.open("rb") as stream:
        raw = RawBytes(stream, name, hashed=False)
        yield from (
            zip_members(raw, name) if zipfile.is_zipfile(path) else tar_members(decompressed(raw), name)
        )
