"""Output files of vectors: each file appears whole or not at all, and pairs of files recognize each other.

Two formats take two files, an array and its words: .npy with .vocab.tsv, .tsv with .metadata.tsv. A kill
between the two renames leaves files of different exports. Therefore the first line of the words file ends in
two more headings, `array=<sha256 of the numbers>` and `words=<sha256 of the words>`; readers compare both.

Other tools accept these headings: pandas reads two empty columns, the Embedding Projector takes a first line
with tabs as headings and skips missing values. Older versions of nlpseq refuse such a words file. Files
without digests, of older versions or other tools, are still read.
"""

import gzip
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage.artifact import fsync, write_error
from nlpseq.storage.locks import path_lock, remove_stale_temporaries, temporary
from nlpseq.vectors.formats.names import is_gzipped

__all__ = ["VectorRows", "atomic_files", "check_files", "check_pair", "digest_headings", "encode_word"]
__all__ += ["split_digests"]

_BLOCK_ROWS = 1024
_GZIP_LEVEL = 6  # because level 9 takes several times as long and saves next to nothing on such bytes
_DIGESTS = re.compile(rb"(?<=\S)\tarray=[0-9a-f]{64}\twords=[0-9a-f]{64}(?=\r?\n)")


class VectorRows(NamedTuple):
    """Words as they are written, their counts, and the row of the matrix for each word."""

    words: Sequence[str]
    counts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]
    matrix_VD: npt.NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.matrix_VD.shape[1])

    def blocks(self) -> Iterator[tuple[Sequence[str], npt.NDArray[np.float32]]]:
        """Yield words and their vectors in blocks of rows."""
        for start in range(0, len(self.words), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            yield self.words[block], self.matrix_VD[self.rows[block]]


def encode_word(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def digest_headings(words: Sequence[str], blocks: Iterable[npt.NDArray[np.float32]]) -> bytes:
    """Return the column headings that identify these words and vectors."""
    digest = sha256()
    for block_BD in blocks:
        digest.update(np.ascontiguousarray(block_BD, "<f4").data)
    word_digest = Vocab(words, np.zeros(len(words), np.int64)).digest
    return f"\tarray={digest.hexdigest()}\twords={word_digest}".encode()


def split_digests(content: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of a words file without digest headings, and the headings."""
    end_of_line = content.find(b"\n") + 1
    found = _DIGESTS.search(content, 0, end_of_line)
    return (content[: found.start()] + content[found.end() :], found[0]) if found else (content, b"")


def check_pair(
    files: tuple[Path, Path], headings: bytes, words: Sequence[str], matrix_VD: npt.NDArray[np.float32]
) -> None:
    """Raise ArtifactError if digest headings do not fit; files: of the array and of the words."""
    if headings and headings != digest_headings(words, [matrix_VD]):
        raise ArtifactError(
            f"{files[0]} and {files[1]}: do not belong together, because their digests differ. "
            "Convert the model again, or copy both files again."
        )


def check_files(files: Sequence[Path], *, force: bool) -> None:
    """Raise an error before any work if these files could not be written."""
    try:
        remove_stale_temporaries(files[-1].resolve().parent)
        _check_replaceable(files, force=force)
        with ExitStack() as stack:
            for file in reversed(files):  # because an error names the first, and the user named the last
                stack.enter_context(temporary(file))
    except OSError as error:
        raise write_error(files[-1], error) from error


def _check_replaceable(files: Sequence[Path], *, force: bool) -> None:
    """Raise ConfigError if something may not be overwritten."""
    for file in files:
        if file.is_dir():
            raise ConfigError(f"{file}: is a folder, so it is not overwritten. Choose another name.")
        if file.exists() and not file.is_file():
            raise ConfigError(f"{file}: is a device or a pipe, which cannot be overwritten. Name a file.")
        if file.exists() and not force:
            raise ConfigError(
                f"{file}: already exists. Use --force (in Python force=True) to overwrite it, "
                "or choose another name."
            )


@contextmanager
def atomic_files(files: Sequence[Path], *, force: bool = False) -> Iterator[list[BinaryIO]]:
    """Yield streams of temporary files, renamed one after the other once all are on disk.

    Files that exist, also if they appear meanwhile, need force=True.
    """
    files = [file.resolve() for file in files]  # because a link stays, and its target is overwritten
    try:
        with path_lock(files[-1]), ExitStack() as locks:
            temporaries = [locks.enter_context(temporary(file)) for file in files]
            with ExitStack() as streams:
                yield [streams.enter_context(_open_new(new, is_gzipped(new))) for new in temporaries]
            _check_replaceable(files, force=force)
            for new, file in zip(temporaries, files, strict=True):
                new.replace(file)
            with suppress(OSError):  # because the files have their names
                fsync(files[-1].parent)
    except OSError as error:
        raise write_error(files[-1], error) from error


@contextmanager
def _open_new(file: Path, gzipped: bool) -> Iterator[BinaryIO]:
    """Open a new file for writing, and flush it to disk at the end."""
    with file.open("xb") as raw:
        if gzipped:  # without a time, so that equal vectors give equal files
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as stream:
                yield cast(BinaryIO, stream)
        else:
            yield raw
        raw.flush()
        os.fsync(raw.fileno())
