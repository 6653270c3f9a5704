"""The text of files, folders, globs, standard input, the catalog, or memory, block by block.

    stored bytes ──> text with sentence ends (formats.py) ──> cut into blocks ──> normalized

Memory grows neither with the corpus nor with its longest line.
"""

import glob
import hashlib
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.errors import ConfigError, DataError
from nlpseq.reading.blocks import BlockLimits, cut_blocks
from nlpseq.reading.decode import UTF_8, ReadReport
from nlpseq.reading.formats import format_of_name, spooled_text, texts_of
from nlpseq.reading.normalize import normalize_block
from nlpseq.reading.open import RawBytes, read_errors
from nlpseq.reading.spool import NAME, Spool, spool_texts
from nlpseq.storage.artifact import is_result

__all__ = ["Block", "Corpus", "ReadReport", "Source", "open_corpus"]


class Block(NamedTuple):
    r"""A part of a corpus, normalized, with \n for every newline."""

    data: bytes  # UTF-8
    continues: bool  # the last line goes on in the next block
    bytes_read: int  # of the files on disk, so far

    @property
    def text(self) -> str:
        return self.data.decode(*UTF_8)


Source = str | Path | Iterable[Any]  # a path or name; texts, lists of tokens, a data frame or a data set


@dataclass(frozen=True)
class _File:
    path: Path | None  # None: standard input, or texts in memory
    name: str  # for messages
    spool: Spool | None = None  # texts in memory

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Open the file at its start."""
        if self.spool is not None:
            self.spool.file.seek(0)
            return nullcontext(self.spool.file)
        return self.path.open("rb") if self.path else nullcontext(sys.stdin.buffer)

    def stat(self) -> os.stat_result | None:
        """Return size and time of a stored file, None for a pipe or standard input."""
        if self.spool is not None:
            return os.fstat(self.spool.file.fileno())
        return self.path.stat() if self.path and self.path.is_file() else None

    def key(self, sha256: bytes) -> bytes:
        """Return the sha256 and all else that decides how the content is read."""
        kind = "texts" if self.spool is not None else format_of_name(self.name) or ""
        return sha256 + kind.encode()


class Corpus:
    """A named sequence of files; every call of blocks() starts at the beginning."""

    def __init__(self, name: str, files: list[_File]) -> None:
        self.name = name
        self._files = files
        self._is_stored = all(file.stat() for file in files)  # can be read twice
        self.is_spooled = any(file.spool for file in files)  # texts in memory
        self.has_tokens = any(file.spool and file.spool.is_tokens for file in files)  # lists of tokens
        self._was_read = False
        self.read_key: str | None = None  # content_key of the bytes read, once blocks() has ended

    def text_config(
        self, settings: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
    ) -> TextConfig:
        """Return the text settings by name, with defaults that keep the tokens of lists as they are."""
        kept = {"tokenizer": "whitespace", "lower": False, "punctuation": False, "normalize": "none"}
        return from_dict(TextConfig, {**defaults, **(kept if self.has_tokens else {}), **settings})

    def describe(self) -> str:
        """Name the corpus in a few words, for messages."""
        more = len(self._files) - 1
        return self._files[0].name + (f" and {more} more file{'s' * (more > 1)}" if more else "")

    def content_key(self) -> str | None:
        """Return the sha256 (hex) of bytes and file boundaries; None for a pipe or standard input."""
        if not self._is_stored:
            return None
        digest = hashlib.sha256()
        for file in self._files:
            with read_errors(file.name), file.open() as stream:
                digest.update(file.key(hashlib.file_digest(stream, "sha256").digest()))  # type: ignore[arg-type]
        return digest.hexdigest()

    def stamp(self) -> list[tuple[int, int]]:
        """Return (bytes, modification time in ns) of each stored file, to detect a change."""
        stamps = []
        for file in self._files:
            with read_errors(file.name):
                if stat := file.stat():
                    stamps.append((stat.st_size, stat.st_mtime_ns))
        return stamps

    def size_bytes(self) -> int | None:
        """Return the bytes on disk; None for a pipe or standard input."""
        return sum(size for size, _ in self.stamp()) if self._is_stored else None

    def blocks(
        self, config: TextConfig, report: ReadReport, limits: BlockLimits = BlockLimits()
    ) -> Iterator[Block]:
        """Yield the text in blocks of at most 2 MB of UTF-8 before normalization.

        A block ends after a newline or with its file. Only a line longer than a block is cut, after white
        space if possible, and `continues` is set; tokenizers of whole lines get a newline there instead.
        report: filled with the problems of the text. Raises DataError if a file is unreadable, corrupt or
        wrongly encoded, and if standard input or a pipe is read again.
        """
        if self._was_read and not self._is_stored:
            raise DataError(
                f"{self.describe()}: can be read only once. Save the text to a file and name the file."
            )
        if self.has_tokens and config.tokenizer != "whitespace":
            raise ConfigError(
                f"tokenizer: is {config.tokenizer}, and {NAME} are lists of tokens. Use the tokenizer "
                '`whitespace`, which keeps them, with lower=False and normalize="none" to keep their letters.'
            )
        self._was_read, self.read_key = True, None
        return self._read(config, report, limits)

    def _read(self, config: TextConfig, report: ReadReport, limits: BlockLimits) -> Iterator[Block]:
        bytes_before, digest = 0, hashlib.sha256()
        for file in self._files:
            with read_errors(file.name):
                opened = file.open()
            with opened as stream:
                raw = RawBytes(stream, file.name)
                texts = texts_of(raw, config, report)
                if file.spool is not None:
                    texts = iter([spooled_text(raw, file.spool, config, report)])
                for pieces in texts:
                    for text, continues in cut_blocks(pieces, config, report, limits):
                        data = normalize_block(text, config.normalize)
                        yield Block(data, continues, bytes_before + raw.bytes_read)
            bytes_before += raw.bytes_read
            digest.update(file.key(raw.sha256.digest()))
        self.read_key = digest.hexdigest() if self._is_stored else None


def open_corpus(*sources: Source, column: str | None = None) -> Corpus:
    """Return the corpus in files, folders, globs, "-" (stdin), names from nlpseq.corpora, or texts in memory.

    Sources keep their order and may repeat. A folder means all files below, hidden ones and results of nlpseq
    left out. No file is read yet. A source that is no path is an iterable of texts or of lists of tokens, a
    data frame or a data set of Hugging Face with a column, and is written to a temporary file at once.
    column: of data frames and data sets. Raises DataError if a source does not exist or holds no text.
    """
    if not sources:
        raise DataError("corpus: missing. Name a file, a folder, a glob, - for stdin, or a corpus name.")
    found = [
        _find(str(source))
        if isinstance(source, (str, Path))
        else ("texts", [_File(None, NAME, spool_texts(source, column))])
        for source in sources
    ]
    files = [file for _, group in found for file in group]
    if sum(file.path is None and file.spool is None for file in files) > 1:
        raise DataError("stdin (-): named more than once. Name stdin once, because it can be read only once.")
    return Corpus(found[0][0], files)


def _find(source: str) -> tuple[str, list[_File]]:
    """Return the name and the files of one source."""
    if not source:
        raise DataError("corpus: has an empty name. Name a file, a folder, a glob or - for stdin.")
    if source == "-":
        return "stdin", [_File(None, "stdin")]
    path = Path(source)
    with read_errors(source):  # no permission for a parent folder, or a name too long
        is_folder, exists = path.is_dir(), path.exists()
    if is_folder:
        return path.resolve().name or "corpus", _files_below(path)
    if exists:
        return path.name.lstrip(".").partition(".")[0] or "corpus", [_File(path, str(path))]
    if glob.has_magic(source):
        return _expand(source)
    return source, _from_catalogue(source)


def _files_below(folder: Path) -> list[_File]:
    """Return the files below a folder, sorted; no hidden ones, linked folders or results of nlpseq."""

    def refuse(error: OSError) -> None:  # no permission to list or to enter a folder
        raise error

    paths = list[Path]()
    with read_errors(str(folder)):
        for parent, folders, names in os.walk(folder, onerror=refuse):
            folders[:] = [
                name for name in folders if not name.startswith(".") and not is_result(Path(parent, name))
            ]
            paths += [Path(parent, name) for name in _without_state(names) if not name.startswith(".")]
        files = [_File(path, str(path)) for path in sorted(paths) if path.is_file()]
    if not files:
        raise DataError(f"{folder}: contains no file to read. Name a folder with text files.")
    return files


def _without_state(names: list[str]) -> list[str]:
    """Leave out the files in which Hugging Face `datasets` describes the Arrow files of a folder."""
    if "state.json" in names and "dataset_info.json" in names:
        return [name for name in names if name.endswith(".arrow") and not name.startswith("cache-")]
    return [name for name in names if name != "dataset_dict.json"]


def _expand(pattern: str) -> tuple[str, list[_File]]:
    matches = [_find(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # absolute ones too
    if not matches:
        raise DataError(
            f"{pattern}: matches no file. Check the pattern; quote it to keep the shell from expanding it."
        )
    return matches[0][0], [file for _, group in matches for file in group]


def _from_catalogue(name: str) -> list[_File]:
    corpora = importlib.import_module("nlpseq.corpora")
    path: Path | None = corpora.find(name)
    if path is not None:
        return _files_below(path) if path.is_dir() else [_File(path, name)]
    close = get_close_matches(name, [entry.name for entry in corpora.names()], n=1)
    hint = (
        f"Did you mean {close[0]}?" if close else "Check the path, or use a name from `nlpseq corpora list`."
    )
    raise DataError(f"{name}: no such file, folder or corpus. {hint}")
