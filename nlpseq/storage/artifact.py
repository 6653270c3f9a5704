"""The only writer of results, and the only loader that checks them.

A result is a folder a person can look into: meta.json, vocab.tsv, arrays as .npy, and MANIFEST.json with the
size and sha256 of every other file. It is written under a temporary name beside its place, flushed to
disk, sealed by the manifest and renamed, so that the final name never shows half a result.
"""

import ctypes
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nlpseq.errors import DISK_FULL, ArtifactError, ConfigError, NlpseqError, ResourceError
from nlpseq.storage.arrays import npy_header
from nlpseq.storage.manifest import (
    MANIFEST,
    Meta as Meta,
    check_manifest,
    foreign_files,
    read_json,
    write_json,
    write_manifest,
)
from nlpseq.storage.stale import PREFIX, remove_stale_temporaries, replace_files, temporary

_TITLES = {
    "nlpseq-tokens": "an encoded corpus",
    "nlpseq-cooccurrence": "co-occurrence counts",
    "nlpseq-vectors": "word vectors",
    "nlpseq-lm": "a language model",
}

T = TypeVar("T")

CHECKPOINT = "checkpoint"  # folder inside the folder of a run

_TRIES = 100  # to read a folder that is being replaced
_ROWS = 1 << 14  # of an array, written at once
_BY = ": by -o, as OUT of convert, or by NLPSEQ_CACHE_DIR for the cache"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # fcntl.h and linux/fs.h


@contextmanager
def create(path: Path, kind: str, version: int, *, force: bool = False) -> Iterator["Folder"]:
    """A folder to fill; it takes its place at `path` when the block ends well, and vanishes when not.

    The block must call Folder.write_meta. An existing `path` needs force=True and stays until the new folder
    is whole. Raises ConfigError where something is in the way, ResourceError where it cannot be written.
    """
    with beside(path, force=force) as new:
        new.mkdir()
        folder = Folder(new, kind, version)
        yield folder
        folder.seal()


@contextmanager
def beside(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A name under which the block makes a folder, for which holds what `create` says of one."""
    check_writable(path, force=force)
    path = path.resolve()  # a link to a folder stays, and what it points to is replaced
    new = temporary(path)
    try:
        yield new
        _swap_in(new, path, force=force)
    except BrokenPipeError:  # of what the block writes to, not of the disk
        raise
    except OSError as error:
        raise write_error(path, error) from error
    except ResourceError as error:  # of a folder in the new one
        raise ResourceError(str(error).replace(str(new), str(path))) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a result, no part of which a kill leaves under its name."""
    gone = temporary(path)
    try:
        path.rename(gone)
    except OSError:  # it is not there, or not ours to remove
        return
    shutil.rmtree(gone, ignore_errors=True)


def check_writable(path: Path, *, force: bool = False) -> None:
    """Say before long work, not after it, that its result could not be stored at `path`.

    Clears its folder of what processes that were killed have left there.
    """
    try:
        remove_stale_temporaries(path.resolve().parent)
        _check_replaceable(path, force=force)
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = temporary(path)
        try:
            probe.mkdir()
        finally:  # stopped as well
            with suppress(FileNotFoundError):
                probe.rmdir()
    except OSError as error:
        raise write_error(path, error) from error


def _check_replaceable(path: Path, *, force: bool) -> None:
    """Only what nlpseq wrote, or an empty folder, may be deleted to make room, and only if that was asked."""
    if not path.exists() or _holds_only_checkpoint(path):
        return
    if not (path.is_dir() and (is_result(path) or not any(path.iterdir()))):
        raise ConfigError(
            f"{path} exists and is not a folder written by nlpseq, so it is not replaced. "
            "Choose another place with -o, or remove it yourself."
        )
    if not force:
        raise ConfigError(
            f"{path} already exists. Replace it with --force (in Python force=True), or choose another place."
        )
    if foreign := foreign_files(path):
        raise ConfigError(
            f"{path} holds {foreign[0]!r}, which is not nlpseq's, so it is not replaced. "
            "Move that elsewhere, or choose another place with -o."
        )


def _holds_only_checkpoint(path: Path) -> bool:
    """Return True if a folder holds a checkpoint, or what a killed process left of one, and no more."""
    if not path.is_dir():
        return False
    names = {each.name for each in path.iterdir() if not each.name.startswith(PREFIX)}
    return names == {CHECKPOINT} and is_result(path / CHECKPOINT)


def check_free_disk(path: Path, needed_bytes: int) -> None:
    """Raise ResourceError where the disk of `path` has less room than the work will need."""
    free = shutil.disk_usage(path.parent).free
    if free < needed_bytes:
        raise ResourceError(
            f"{path.parent} has {free / 1e6:,.1f} MB free and this needs about {needed_bytes / 1e6:,.1f} MB. "
            "Free some space, or choose another disk with -o or NLPSEQ_CACHE_DIR."
        )


def write_error(path: Path, error: OSError) -> NlpseqError:
    """The error to raise where writing below `path` failed."""
    if error.errno in DISK_FULL:
        return ResourceError(
            f"the disk ran full while writing {path}; nothing was changed there. "
            f"Free some space, or name another place{_BY}."
        )
    return ResourceError(f"{path} cannot be written: {error.strerror or error}. Name another place{_BY}.")


class Folder:
    """A result being written: files go to Folder.path, meta.json through write_meta."""

    def __init__(self, path: Path, kind: str, version: int) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor()
        self._sums: dict[str, str] = {}
        self._flushed: dict[str, Future[None]] = {}
        self._stamp = {"format": f"nlpseq-{kind}", "format_version": version}

    def write_meta(self, meta: Meta) -> None:
        write_json(self.path / "meta.json", self._stamp | {"nlpseq_version": _own_version()} | meta)

    def write_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """A .npy file. Of a part of wider rows NumPy would write each number by itself."""
        with (self.path / name).open("wb") as file:
            file.write(npy_header(array.dtype, array.shape))
            for start in range(0, len(array), _ROWS):
                file.write(np.ascontiguousarray(array[start : start + _ROWS]).data)

    def complete(self, name: str, sha256: str) -> None:
        """Have the disk begin with a file that will not change, whose sha256 (hex) is known."""
        self._sums[name] = sha256
        self._flushed[name] = self._pool.submit(_fsync, self.path / name)

    def seal(self) -> None:
        """Flush every file to disk, then write the manifest that makes the folder whole."""
        assert (self.path / "meta.json").exists(), "a result without meta.json"
        files = sorted(file for file in self.path.iterdir() if file.name != MANIFEST)
        for file in files:
            shutil.copymode(self.path / "meta.json", file)  # safetensors lets nobody but the owner read
        with self._pool as pool:  # the disk writes while sums are taken
            flushed = [self._flushed.get(file.name) or pool.submit(_fsync, file) for file in files]
            write_manifest(self.path, self._sums)
            for each in flushed:
                each.result()  # raises what went wrong
        _fsync(self.path / MANIFEST)
        _fsync(self.path)


def load_meta(path: Path, kind: str, version: int, *, verify: bool = True) -> Meta:
    """meta.json of a sealed folder of this kind, after every file was checked against the manifest."""
    meta = peek_meta(path)
    if meta.get("format") != f"nlpseq-{kind}":
        raise ArtifactError(
            f"{path} holds {_title(meta.get('format'))}, not {_title(f'nlpseq-{kind}')}. "
            "Name the right folder; `nlpseq inspect` tells what one holds."
        )
    if meta.get("format_version") != version:
        raise ArtifactError(
            f"{path} has format version {meta.get('format_version')} and this nlpseq reads {version}. "
            f"Use the version that wrote it ({meta.get('nlpseq_version')}), or make it anew."
        )
    check_manifest(path, hashes=verify)
    return meta


def peek_meta(path: Path) -> Meta:
    """meta.json of any nlpseq folder, unchecked but for being one."""
    if not path.is_dir():
        raise ArtifactError(
            f"{path} is not a folder written by nlpseq. "
            "Name the folder of a trained model or an encoded corpus."
        )
    if _holds_only_checkpoint(path):
        command = read_json(path / CHECKPOINT / "meta.json").get("checkpoint", {}).get("command", "train-...")
        raise ArtifactError(
            f"{path}: unfinished run without a result. Continue with nlpseq {command} {path} --resume, "
            f"or open {path / CHECKPOINT} for the state so far."
        )
    return read_json(path / "meta.json")


def load_consistent(path: Path, load: Callable[[], T]) -> T:
    """What `load` makes of a folder, all of it of one result, though another process may replace it."""
    for _ in range(_TRIES):
        before = _identity(path)
        try:
            found = load()
        except (ArtifactError, FileNotFoundError):
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:
                return found
    raise ArtifactError(f"{path} is being replaced again and again. Wait until that has ended.")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Changes when another folder gets the name; None where there is none."""
    with suppress(OSError):
        stat = path.stat()
        return stat.st_dev, stat.st_ino, stat.st_ctime_ns  # which renaming changes
    return None


def _title(format: object) -> str:
    """What a person calls a folder of this format."""
    return _TITLES.get(str(format), f"the unknown format {format!r}")


def _swap_in(new: Path, path: Path, *, force: bool) -> None:
    """Give the new folder its name; an old one ends under the temporary name, which create() removes.

    What is in the way only now, or may not be removed any more, stays, and the new folder gets another name.
    """
    try:
        _check_replaceable(path, force=force)
    except ConfigError as error:
        kept = path.with_name(f"{path.name}-{uuid.uuid4().hex[:8]}")
        new.rename(kept)
        raise ConfigError(f"{error} What was made meanwhile is in {kept}.") from error
    if not path.exists():
        new.rename(path)
    elif not _exchanged(new, path):
        replace_files([new], [path])
    fsync_directory(path.parent)


def _exchanged(new: Path, path: Path) -> bool:
    """Swap two names in one step, so that no kill finds one without a folder; False where that cannot be."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux, on most file systems
    if renameat2 is None:
        return False
    names = _AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(path)
    return bool(renameat2(*names, _RENAME_EXCHANGE) == 0)


def is_result(path: Path) -> bool:
    """Whether a folder was written by nlpseq, damaged or not."""
    meta = path / "meta.json"
    with suppress(OSError):
        return meta.is_file() and b'"nlpseq-' in meta.read_bytes()
    return False


def fsync_directory(folder: Path) -> None:
    """Have names that were given in a folder outlive a failure of power, where the disk can do that."""
    with suppress(OSError):  # what has them is whole and in its place
        _fsync(folder)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # some file systems do not sync folders
            raise
    finally:
        os.close(handle)


def _own_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nlpseq")
    except PackageNotFoundError:
        return "unknown"
