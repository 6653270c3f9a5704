"""The only writer of result folders, and the loader that checks them: see README.md in this folder."""

import ctypes
import errno
import importlib.metadata
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

from nlpseq.errors import DISK_FULL, ArtifactError, ConfigError, ResourceError
from nlpseq.storage import manifest
from nlpseq.storage.arrays import npy_header
from nlpseq.storage.locks import PREFIX, REPLACED, remove_stale_temporaries, temporary
from nlpseq.storage.manifest import MANIFEST, Meta, read_json, write_json

__all__ = ["CHECKPOINT", "Folder", "Meta", "atomic_directory", "check_free_disk", "check_writable", "create"]
__all__ += ["discard", "fsync", "is_checkpoint", "is_result", "load_consistent", "load_meta", "peek_meta"]
__all__ += ["write_errors"]

T = TypeVar("T")
CHECKPOINT = "checkpoint"  # name of a run's checkpoint, inside the folder of the result
_TITLES = {
    "nlpseq-tokens": "an encoded corpus",
    "nlpseq-cooccurrence": "co-occurrence counts",
    "nlpseq-vectors": "word vectors",
    "nlpseq-export": "word vectors for another tool",
    "nlpseq-lm": "a language model",
}
_BLOCK_ROWS = 1 << 14


@contextmanager
def create(path: Path, kind: str, version: int, *, force: bool = False) -> Iterator["Folder"]:
    """Write a result folder, as `atomic_directory` does; the block must call Folder.write_meta."""
    with atomic_directory(path, force=force) as new:
        new.mkdir()
        folder = Folder(new, kind, version)
        yield folder
        folder.seal()


@contextmanager
def atomic_directory(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Lock `path` and yield a temporary name, whose directory replaces `path` in one step at the end.

    Raises ConfigError if `path` is locked, exists without force, or is not a result; ResourceError if the
    disk is full or the folder cannot be written.
    """
    check_writable(path, force=force)
    with write_errors(path), temporary(path) as new:
        yield new
        _commit(new, path.resolve(), force=force)


def _commit(new: Path, path: Path, *, force: bool) -> None:
    """Move a new directory to its path in one step; to another name if the path is taken meanwhile."""
    try:
        _check_replaceable(path, force=force)
    except ConfigError as error:
        kept = new.rename(path.with_name(f"{path.name}-{uuid.uuid4().hex[:8]}"))
        raise ConfigError(f"{error} The new result is in {kept}.") from error
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux, on most file systems
    names = -100, os.fsencode(new), -100, os.fsencode(path)  # AT_FDCWD of fcntl.h
    if not path.exists():
        new.rename(path)
    elif not renameat2 or renameat2(*names, 2) != 0:  # RENAME_EXCHANGE of linux/fs.h
        old = new.with_name(REPLACED)
        try:
            path.rename(old)  # if a kill comes now, the next holder of the lock completes the second rename
            new.rename(path)
        except BaseException:  # Ctrl-C, too
            if old.exists() and new.exists():
                old.rename(path)
            raise
    with suppress(OSError):  # because the result has its name
        fsync(path.parent)


def discard(path: Path) -> None:
    """Remove a result in one step, if it is there."""
    with suppress(OSError, ConfigError), temporary(path) as gone:
        path.rename(gone)


def check_writable(path: Path, *, force: bool = False) -> None:
    """Raise an error before long work if `path` could not be written, and remove stale temporaries."""
    with write_errors(path):
        remove_stale_temporaries(path.resolve().parent)
        _check_replaceable(path, force=force)
        with temporary(path):  # because only an attempt shows the rights and limits of the file system
            if path.is_dir() and not os.access(path, os.W_OK):  # because the commit moves an old folder
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _check_replaceable(path: Path, *, force: bool) -> None:
    """Raise ConfigError unless `path` is free, or holds only files of nlpseq and force is on."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_result(path) and not is_checkpoint(path / CHECKPOINT):
        problem = "exists and is not a folder written by nlpseq. Remove it yourself"
    elif not force:
        problem = "already exists. Use --force to overwrite it"
    elif foreign := [*manifest.foreign_files(path), *manifest.foreign_files(path / CHECKPOINT)]:
        problem = f"holds {foreign[0]!r}, which nlpseq did not write. Move this file elsewhere"
    else:
        return
    raise ConfigError(f"{path}: {problem}, or use -o to choose another path.")


def check_free_disk(path: Path, needed_bytes: int) -> None:
    """Raise ResourceError if the disk of `path` has less room than the work will need."""
    if (free := shutil.disk_usage(path.parent).free) < needed_bytes:
        needed = f"has {free / 1e6:,.1f} MB free and this needs about {needed_bytes / 1e6:,.1f} MB"
        raise ResourceError(f"{path.parent}: {needed}. Free some space, or use -o or NLPSEQ_CACHE_DIR.")


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raise ResourceError instead of an OSError of a block that writes below a path."""
    try:
        yield
    except BrokenPipeError:  # because a pipe is not the disk
        raise
    except OSError as error:
        if error.errno in DISK_FULL:
            problem = "the disk ran full, and nothing was changed. Free some space, or choose another disk"
        else:
            problem = f"cannot be written ({error.strerror or error}). Choose another path"
        path = Path(*(part for part in path.parts if not part.startswith(PREFIX)))  # without the temporary
        way_out = "with -o, OUT of convert, or NLPSEQ_CACHE_DIR for the cache"
        raise ResourceError(f"{path}: {problem} {way_out}.") from error


class Folder:
    """A result being written: files go to Folder.path, meta.json through write_meta."""

    def __init__(self, path: Path, kind: str, version: int) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor()
        self._known_sums, self._flushed = dict[str, str](), dict[str, Future[None]]()
        self._stamp: Meta = {"format": f"nlpseq-{kind}", "format_version": version}
        with suppress(importlib.metadata.PackageNotFoundError):  # because a checkout need not be installed
            self._stamp["nlpseq_version"] = importlib.metadata.version("nlpseq")

    def write_meta(self, meta: Meta) -> None:
        write_json(self.path / "meta.json", self._stamp | meta)

    def write_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write a .npy file, in blocks because NumPy writes a column slice number by number."""
        with (self.path / name).open("wb") as file:
            file.write(npy_header(array.dtype, array.shape))
            for start in range(0, len(array), _BLOCK_ROWS):
                file.write(np.ascontiguousarray(array[start : start + _BLOCK_ROWS]).data)

    def complete(self, name: str, sha256: str) -> None:
        """Start to flush a file that will not change, whose sha256 (hex) is known."""
        self._known_sums[name] = sha256
        self._flushed[name] = self._pool.submit(fsync, self.path / name)

    def seal(self) -> None:
        """Flush every file to disk, then write the manifest that completes the folder."""
        assert (self.path / "meta.json").exists(), "a result without meta.json"
        files = sorted(file for file in self.path.iterdir() if file.name != MANIFEST)
        for file in files:
            shutil.copymode(self.path / "meta.json", file)  # because safetensors lets no others read
        with self._pool as pool:  # flush while the sums are computed
            flushed = [self._flushed.get(file.name) or pool.submit(fsync, file) for file in files]
            manifest.write_manifest(self.path, self._known_sums)
            for future in flushed:
                future.result()
        fsync(self.path / MANIFEST)
        fsync(self.path)


def load_meta(path: Path, kind: str, version: int, *, verify: bool = True) -> Meta:
    """Return meta.json of a checked result of this kind; verify=False compares sizes alone."""
    meta = peek_meta(path)
    if meta.get("format") != f"nlpseq-{kind}":
        holds = _TITLES.get(str(meta.get("format")), f"the unknown format {meta.get('format')!r}")
        wanted = _TITLES.get(f"nlpseq-{kind}", kind)
        raise ArtifactError(f"{path}: holds {holds}, not {wanted}. `nlpseq inspect` describes any folder.")
    if meta.get("format_version") != version:
        raise ArtifactError(
            f"{path}: has format version {meta.get('format_version')}, this nlpseq reads {version}. "
            f"Use the version that wrote it ({meta.get('nlpseq_version')}), or run the command again."
        )
    manifest.check_manifest(path, hashes=verify)
    return meta


def peek_meta(path: Path) -> Meta:
    """Return meta.json of any nlpseq folder, without further checks."""
    if not path.is_dir():
        raise ArtifactError(f"{path}: is not a folder written by nlpseq. Name a model or encoded corpus.")
    if is_checkpoint(path / CHECKPOINT) and not is_result(path):
        stamp = read_json(path / CHECKPOINT / "meta.json").get("checkpoint")
        command = stamp.get("command") if isinstance(stamp, dict) else "train-..."
        raise ArtifactError(
            f"{path}: unfinished run without a result. Continue with nlpseq {command} {path} --resume, "
            f"or open {path / CHECKPOINT} for the state so far."
        )
    return read_json(path / "meta.json")


def load_consistent(path: Path, load: Callable[[], T]) -> T:
    """Call `load`, and call again if another process replaced the folder meanwhile."""
    for _ in range(100):  # because another process may overwrite the folder again and again
        before = _identity(path)
        try:
            loaded = load()
        except (ArtifactError, FileNotFoundError):
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:
                return loaded
    raise ArtifactError(f"{path}: is overwritten again and again. Wait until the other process has ended.")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return numbers that change when another result gets the name, None without a result."""
    with suppress(OSError):
        stat = (path / "meta.json").stat()  # not of the folder, which each checkpoint changes
        return stat.st_dev, stat.st_ino, stat.st_ctime_ns
    return None


def is_result(path: Path) -> bool:
    """Return True for a folder written by nlpseq, also for a corrupt one."""
    with suppress(OSError):
        return (meta := path / "meta.json").is_file() and b'"nlpseq-' in meta.read_bytes()
    return False


def is_checkpoint(path: Path) -> bool:
    """Return True for the checkpoint of an unfinished run."""
    with suppress(ArtifactError):
        return is_result(path) and read_json(path / "meta.json").get("complete") is False
    return False


def fsync(path: Path) -> None:
    """Flush a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # some file systems do not sync folders
            raise
    finally:
        os.close(handle)
