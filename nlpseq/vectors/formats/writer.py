"""Output files: each appears whole or not at all; readers refuse a pair of two different exports."""

import gzip
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from nlpseq.errors import ConfigError, ResourceError
from nlpseq.storage.artifact import fsync, write_errors
from nlpseq.storage.locks import path_lock, remove_stale_temporaries, temporary
from nlpseq.vectors.formats.names import is_gzipped

__all__ = ["atomic_files", "check_files"]

_GZIP_LEVEL = 6  # because level 9 takes several times as long and saves next to nothing on such bytes
_BACKUP = ".nlpseq-backup"  # in a temporary directory: a copy of the file to overwrite


@contextmanager
def atomic_files(files: Sequence[Path], *, force: bool = False) -> Iterator[list[BinaryIO]]:
    """Yield streams of temporary files, renamed one after the other once all are on disk.

    Files that exist, also if they appear meanwhile, need force=True.
    """
    with _locked(files, force=force) as temporaries:
        with ExitStack() as streams:
            yield [streams.enter_context(_open_new(new)) for new in temporaries]
        for new in temporaries:
            fsync(new)
        _check_replaceable(files, force=force)
        _commit(temporaries, [file.resolve() for file in files])  # because a link stays


def check_files(files: Sequence[Path], *, force: bool) -> None:
    """Raise an error before any work if these files could not be written."""
    with _locked(files, force=force):
        pass


@contextmanager
def _locked(files: Sequence[Path], *, force: bool) -> Iterator[list[Path]]:
    """Lock all files and yield temporary paths; the user named the last file."""
    with write_errors(files[-1]), ExitStack() as locks:
        remove_stale_temporaries(files[-1].resolve().parent)
        _check_replaceable(files, force=force)
        locks.enter_context(path_lock(files[-1]))  # first, because an error names the first
        yield [locks.enter_context(temporary(file)) for file in files]


def _check_replaceable(files: Sequence[Path], *, force: bool) -> None:
    """Raise ConfigError if something may not be overwritten."""
    for file in files:
        if file.is_dir():
            raise ConfigError(f"{file}: is a folder, so it is not overwritten. Choose another name.")
        if file.exists() and not file.is_file():
            raise ConfigError(f"{file}: is a device or a pipe, which cannot be overwritten. Name a file.")
        if file.exists() and not force:
            raise ConfigError(f"{file}: already exists. Use --force to overwrite it, or choose another name.")


@contextmanager
def _open_new(file: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing, gzipped if its name says so."""
    with file.open("xb") as raw:
        if is_gzipped(file):  # without a time, so that equal vectors give equal files
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as stream:
                yield cast(BinaryIO, stream)
        else:
            yield raw


def _commit(temporaries: Sequence[Path], files: Sequence[Path]) -> None:
    """Rename all files; if a rename fails, give those renamed before their old content."""
    moves = [(new, file, new.with_name(_BACKUP)) for new, file in zip(temporaries, files, strict=True)]
    for _, file, backup in moves[:-1]:
        if file.exists():
            shutil.copy2(file, backup)
    try:
        for new, file, _ in moves:
            new.replace(file)
    except BaseException:  # Ctrl-C, too
        for new, file, backup in moves if temporaries[-1].exists() else ():
            try:
                if not new.exists():
                    backup.replace(file) if backup.exists() else file.unlink()
            except OSError as error:
                raise ResourceError(
                    f"{file}: is new and {files[-1].name} is old, because a rename failed "
                    f"({error.strerror}). Export both again with --force."
                ) from error
        raise
    with suppress(OSError):  # because the files have their names
        fsync(files[-1].parent)
