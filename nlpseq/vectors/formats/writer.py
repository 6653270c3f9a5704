"""Where vectors are written: what is in the way is said before, and no name shows half a file."""

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError
from nlpseq.storage.artifact import fsync_directory, write_error
from nlpseq.storage.stale import remove_stale_temporaries, replace_files, temporary, transaction_dir
from nlpseq.vectors.formats.names import is_gzipped

_ROWS = 1024  # at once
_GZIP_LEVEL = 6  # 9 takes several times as long and saves next to nothing of such bytes


class VectorRows(NamedTuple):
    """Words, as they are to be written, their counts, and which row of the matrix each has."""

    words: Sequence[str]
    counts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]
    matrix_VD: npt.NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.matrix_VD.shape[1])

    def blocks(self) -> Iterator[tuple[Sequence[str], npt.NDArray[np.float32]]]:
        """Words and their vectors, some at a time."""
        for start in range(0, len(self.words), _ROWS):
            block = slice(start, start + _ROWS)
            yield self.words[block], self.matrix_VD[self.rows[block]]


def encode_word(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def check_files(files: Sequence[Path], *, force: bool) -> None:
    """Say before any work that these files could not be written."""
    try:
        remove_stale_temporaries(files[-1].resolve().parent)  # which may end what is in the way then
        _check_replaceable(files, force=force)
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        probe = transaction_dir(files[-1]) if len(files) > 1 else temporary(files[-1])
        try:
            probe.mkdir()
        finally:  # stopped as well
            with suppress(FileNotFoundError):
                probe.rmdir()
    except OSError as error:
        raise write_error(files[-1], error) from error


def _check_replaceable(files: Sequence[Path], *, force: bool) -> None:
    for file in files:
        if file.is_dir():
            raise ConfigError(f"{file} is a folder, so it is not replaced. Choose another name.")
        if file.exists() and not file.is_file():
            raise ConfigError(f"{file} is a device or a pipe, which cannot be replaced. Name a file.")
        if file.exists() and not force:
            raise ConfigError(
                f"{file} already exists. Replace it with --force (in Python force=True), or name another."
            )


@contextmanager
def replacing(files: Sequence[Path], *, force: bool = False) -> Iterator[list[BinaryIO]]:
    """Files to fill that take their names once all of them are whole and on disk.

    What was there needs force=True, also what came there meanwhile.
    """
    files = [file.resolve() for file in files]  # a link stays, and what it points to is replaced
    temporaries = [temporary(file) for file in files]
    try:
        with ExitStack() as stack:
            pairs = zip(files, temporaries, strict=True)
            yield [stack.enter_context(_new_file(new, is_gzipped(file))) for file, new in pairs]
        _check_replaceable(files, force=force)
        if len(files) == 1:
            temporaries[0].replace(files[0])
        else:
            replace_files(temporaries, files)
        fsync_directory(files[-1].parent)
    except OSError as error:
        raise write_error(files[-1], error) from error
    finally:
        for new in temporaries:
            new.unlink(missing_ok=True)


@contextmanager
def _new_file(file: Path, packed: bool) -> Iterator[BinaryIO]:
    with file.open("xb") as raw:
        if packed:  # without a time, so that equal vectors give equal files
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as stream:
                yield cast(BinaryIO, stream)
        else:
            yield raw
        raw.flush()
        os.fsync(raw.fileno())
