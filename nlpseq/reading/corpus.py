"""Corpus: the text of files, folders, globs, standard input or a corpus known by name, block by block.

    raw bytes ──> decompressed ──> made UTF-8 ──> cut into blocks ──> normalised

Memory does not grow with the corpus, nor with a line of it.
"""

import glob
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nlpseq.config import TextConfig
from nlpseq.errors import DataError
from nlpseq.reading.blocks import cut_blocks
from nlpseq.reading.decode import UTF_8, ReadReport, decoded, normalized_block
from nlpseq.reading.open import RawBytes, decompressed, unreadable
from nlpseq.storage.artifact import is_result
from nlpseq.storage.manifest import file_sha256

__all__ = ["Block", "Corpus", "ReadReport", "open_corpus"]


class Block(NamedTuple):
    """A stretch of text with "\\n" between its lines, not lower-cased."""

    data: bytes  # in UTF-8
    continues: bool  # the last line goes on in the next block
    bytes_read: int  # of the corpus as it lies on disk, so far

    @property
    def text(self) -> str:
        return self.data.decode(*UTF_8)


@dataclass(frozen=True)
class _File:
    path: Path | None  # None: standard input
    label: str = ""  # what it is called, where that is not its path

    def __str__(self) -> str:
        return self.label or str(self.path)

    @property
    def is_stored(self) -> bool:
        """Whether it can be read twice: no pipe, no terminal."""
        return self.path is not None and self.path.is_file()

    def open(self) -> AbstractContextManager[BinaryIO]:
        if self.path is None:
            return nullcontext(sys.stdin.buffer)
        try:
            return self.path.open("rb")
        except OSError as error:
            raise unreadable(str(self), error) from error


class Corpus:
    """A named sequence of files; blocks() starts at the beginning each time it is called."""

    def __init__(self, name: str, files: list[_File]) -> None:
        self.name = name
        self._files = files
        self._is_stored = all(file.is_stored for file in files)
        self._was_read = False
        self.read_key: str | None = None  # the content_key of what blocks() gave, once it gave all

    def describe(self) -> str:
        """The corpus in a few words, for messages."""
        more = len(self._files) - 1
        return str(self._files[0]) + (f" and {more} more file{'s' * (more > 1)}" if more else "")

    def content_key(self) -> str | None:
        """sha256 (hex) of the bytes on disk and of where files end; None for what can be read only once."""
        if not self._is_stored:
            return None
        digests = []
        for file in self._files:
            assert file.path is not None
            try:
                digests.append(file_sha256(file.path))
            except OSError as error:
                raise unreadable(str(file), error) from error
        return _key_of(digests)

    def stamp(self) -> list[tuple[int, int]]:
        """Size and time of change of each stored file; where they differ later, one of them has changed."""
        stamps = []
        for file in self._files:
            try:
                if file.path is not None and file.is_stored:
                    stat = file.path.stat()
                    stamps.append((stat.st_size, stat.st_mtime_ns))
            except OSError as error:
                raise unreadable(str(file), error) from error
        return stamps

    def size_bytes(self) -> int | None:
        """Bytes on disk; None for what can be read only once."""
        return sum(size for size, _ in self.stamp()) if self._is_stored else None

    def blocks(self, config: TextConfig, report: ReadReport) -> Iterator[Block]:
        """All text in blocks of at most 2 MB of UTF-8 (before normalisation).

        A block ends after a newline or with its file; inside a line only where that line is longer than a
        block: then after white space if there is any, and `continues` is set. Tokenizers that need whole
        lines get the end of a sentence there instead. Raises DataError for unreadable, damaged or wrongly
        encoded files, and when standard input or a pipe is read again.
        """
        if self._was_read and not self._is_stored:
            raise DataError(f"{self.describe()} can be read only once. Save it to a file and name that.")
        self._was_read, self.read_key = True, None
        return self._read(config, report)

    def _read(self, config: TextConfig, report: ReadReport) -> Iterator[Block]:
        bytes_before, digests = 0, []
        for file in self._files:
            with file.open() as stream:
                raw = RawBytes(stream, str(file))
                pieces = decoded(decompressed(raw), str(file), config, report)
                for data, continues in cut_blocks(pieces, config, report):
                    data = normalized_block(data, config.normalize)
                    yield Block(data, continues, bytes_before + raw.bytes_read)
            bytes_before += raw.bytes_read
            digests.append(raw.sha256.hexdigest())
        self.read_key = _key_of(digests) if self._is_stored else None


def _key_of(digests: list[str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def open_corpus(*sources: str | Path) -> Corpus:
    """The corpus in these files, folders (all files below, hidden ones left out), globs, "-" for standard
    input, or the name of a corpus in nlpseq.corpora; in this order, each as often as it is named.

    Nothing is read yet. Raises DataError where a source does not exist or holds no file.
    """
    if not sources:
        raise DataError("No corpus was named. Give a file, a folder, a glob, - for stdin, or a corpus name.")
    found = [_find(str(source)) for source in sources]
    files = [file for _, group in found for file in group]
    if sum(file.path is None for file in files) > 1:
        raise DataError("stdin (-) is named more than once. It can be read only once, so name it once.")
    return Corpus(found[0][0], files)


def _find(source: str) -> tuple[str, list[_File]]:
    """Name and files of one source."""
    if not source:
        raise DataError("a corpus without a name was given. Name a file, a folder, a glob or - for stdin.")
    if source == "-":
        return "stdin", [_File(None, "stdin")]
    path = Path(source)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a folder on the way that may not be searched, a name too long
        raise unreadable(source, error) from error
    if is_folder:
        return path.resolve().name or "corpus", _files_below(path)
    if exists:
        return _stem(path), [_File(path)]
    if glob.has_magic(source):
        return _expand(source)
    return source, _from_catalogue(source)


def _stem(path: Path) -> str:
    """The file's name without any suffix: "news.2024.txt.gz" is "news"."""
    return path.name.lstrip(".").partition(".")[0] or "corpus"


def _files_below(folder: Path) -> list[_File]:
    """Files of a folder, sorted by path; hidden ones, links to folders and results of nlpseq are left out."""
    try:
        files = [_File(path) for path in sorted(_paths_below(folder)) if path.is_file()]
    except OSError as error:  # of a folder that may not be listed, or listed and not searched
        raise unreadable(str(error.filename), error) from error
    if not files:
        raise DataError(f"{folder} is a folder without any file to read. Name one that holds text.")
    return files


def _paths_below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [
            name for name in folders if not name.startswith(".") and not is_result(Path(parent, name))
        ]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _expand(pattern: str) -> tuple[str, list[_File]]:
    matches = [_find(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # absolute ones too
    if not matches:
        raise DataError(
            f"{pattern} matches no file. Check the pattern; quote it if the shell should not see it."
        )
    return matches[0][0], [file for _, group in matches for file in group]


def _from_catalogue(name: str) -> list[_File]:
    corpora = importlib.import_module("nlpseq.corpora")
    path: Path | None = corpora.find(name)
    if path is not None:
        return _files_below(path) if path.is_dir() else [_File(path, name)]
    close = get_close_matches(name, [entry.name for entry in corpora.names()], n=1)
    hint = (
        f"Did you mean {close[0]}?"
        if close
        else "Check the path; `nlpseq corpora list` shows corpora by name."
    )
    raise DataError(f"{name} is no file, folder or corpus. {hint}")
