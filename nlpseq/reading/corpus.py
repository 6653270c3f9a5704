"""The text of files, folders, globs, standard input, the catalog, or memory, block by block.

    stored bytes ──> text with sentence ends (formats.py) ──> cut into blocks ──> normalized

Memory grows neither with the corpus nor with its longest line.
"""

import glob
import hashlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple, cast

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.core.resources import count_text
from nlpseq.errors import ConfigError, DataError
from nlpseq.reading.blocks import BlockLimits, cut_blocks
from nlpseq.reading.decode import UTF_8, FileList, ReadReport, UnfitFile
from nlpseq.reading.formats import format_of_name, is_plain_lines, rest_of_text, spooled_text, texts_of
from nlpseq.reading.markup import MarkupSample
from nlpseq.reading.normalize import normalize_block
from nlpseq.reading.open import RawBytes, SpanOfFile, line_starts, read_errors
from nlpseq.reading.remote import RemoteFile, Version, is_remote, open_remote
from nlpseq.reading.spool import NAME, Spool, spool_texts
from nlpseq.storage.artifact import is_result

__all__ = ["Block", "Corpus", "ReadReport", "Source", "UnfitFile", "open_corpus"]

_PIPES = ("/dev/fd", "/proc/self/fd")  # where a shell puts <(command)
_PROBED_FILES = 100  # searched for the problem of another file


class Block(NamedTuple):
    r"""A part of a corpus, normalized, with \n for every newline."""

    data: bytes  # UTF-8
    continues: bool  # the last line goes on in the next block
    bytes_read: int  # of the files on disk, so far

    @property
    def text(self) -> str:
        """Return the block as a string."""
        return self.data.decode(*UTF_8)


Source = str | Path | Iterable[Any]  # a path or name; texts, lists of tokens, a data frame or a data set


@dataclass(frozen=True)
class _File:
    path: Path | None  # None: standard input, or texts in memory
    name: str  # for messages
    spool: Spool | None = None  # texts in memory
    span: tuple[int, int] | None = None  # the bytes to read; None: all

    def _stat(self) -> os.stat_result | None:
        """Return size and time of a stored file, None for a pipe or standard input."""
        if self.spool is not None:
            return os.fstat(self.spool.file.fileno())
        return self.path.stat() if self.path and self.path.is_file() else None

    @property
    def is_stored(self) -> bool:
        """True if the file can be read twice."""
        return self._stat() is not None

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Open the file at its start."""
        if self.spool is not None:
            self.spool.file.seek(0)
            return nullcontext(self.spool.file)
        if self.span is not None:
            assert self.path is not None
            return cast(AbstractContextManager[IO[bytes]], SpanOfFile(self.path, *self.span))
        return self.path.open("rb") if self.path else nullcontext(sys.stdin.buffer)

    @property
    def starts_inside(self) -> bool:
        """True for bytes that do not begin with the file, so that nothing is recognized by them."""
        return self.span is not None and self.span[0] > 0

    @property
    def bytes_to_read(self) -> int:
        """Return the bytes of the span, or of the whole file."""
        return self.span[1] - self.span[0] if self.span else self.stamp()[0]

    def absolute(self) -> "_File":
        """Return the same file for a process with another working directory."""
        return replace(self, path=self.path and self.path.absolute())

    def cut(self, config: TextConfig, max_bytes: int) -> "list[_File]":
        """Return parts of about max_bytes that end after a line, if a part of the text can be read alone."""
        if self.path is None or self.stamp()[0] <= max_bytes:
            return [self]
        with self.open() as stream:
            is_plain = is_plain_lines(stream, self.name, config)
        if not is_plain:
            return [self]
        bounds = line_starts(self.path, max_bytes)
        return [
            replace(self, span=(start, stop), name=f"{self.name} from byte {start:,}" if start else self.name)
            for start, stop in pairwise(bounds)
        ]

    def stamp(self) -> tuple[int, int]:
        """Return (bytes, modification time in ns) of a stored file."""
        stat = self._stat()
        assert stat is not None
        return stat.st_size, stat.st_mtime_ns

    def known_sha256(self) -> str | None:
        """Return the sha256 (hex) of a stored file."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _bytes_to_read(file: _File | RemoteFile) -> int:
    return file.bytes_to_read if isinstance(file, _File) else file.stamp()[0] or 0


def _spool(file: _File | RemoteFile) -> Spool | None:
    return file.spool if isinstance(file, _File) else None


def _key(file: _File | RemoteFile, sha256: bytes) -> bytes:
    """Return a sha256 and all else that decides how the content is read."""
    kind = "texts" if _spool(file) else format_of_name(file.name) or ""
    return sha256 + kind.encode()


class Corpus:
    """A named sequence of files; every call of blocks() starts at the beginning."""

    def __init__(self, name: str, files: Sequence[_File | RemoteFile]) -> None:
        self.name = name
        self._files = files
        self._is_stored = all(file.is_stored for file in files)
        self.is_spooled = any(_spool(file) for file in files)  # texts in memory
        self.has_tokens = any(
            (spool := _spool(file)) and spool.is_tokens for file in files
        )  # lists of tokens
        self._was_read = False
        self.read_key: str | None = None  # content_key of the bytes read, once blocks() has ended

    def __repr__(self) -> str:
        return f"Corpus({self.describe()!r})"

    @property
    def file_names(self) -> list[str]:
        """Return the names of the files, for messages."""
        return [file.name for file in self._files]

    def text_config(
        self, settings: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
    ) -> TextConfig:
        """Return the text settings by name, with defaults that keep the tokens of lists as they are."""
        kept = {"tokenizer": "whitespace", "lower": False, "punctuation": False, "normalize": "none"}
        return from_dict(TextConfig, {**defaults, **(kept if self.has_tokens else {}), **settings})

    def describe(self) -> str:
        """Name the corpus in a few words, for messages."""
        more = len(self._files) - 1
        return self._files[0].name + (f" and {count_text(more, 'more file')}" if more else "")

    def content_key(self) -> str | None:
        """Return the sha256 (hex) of bytes and file boundaries.

        None for a pipe, standard input, and a remote file whose present version was not read before.
        """
        if not self._is_stored:
            return None
        digest = hashlib.sha256()
        for file in self._files:
            with read_errors(file.name):
                sha256 = file.known_sha256()
            if sha256 is None:
                return None
            digest.update(_key(file, bytes.fromhex(sha256)))
        return digest.hexdigest()

    def stamp(self) -> list[tuple[int, int] | Version]:
        """Return size and state of each file that can be read twice, to detect a change."""
        stamps = list[tuple[int, int] | Version]()
        for file in self._files:
            with read_errors(file.name):
                if file.is_stored:
                    stamps.append(file.stamp())
        return stamps

    def size_bytes(self) -> int | None:
        """Return the stored bytes; None for a pipe, standard input, or a server that does not tell them."""
        sizes = [size for size, _ in self.stamp() if size is not None]
        return sum(sizes) if self._is_stored and len(sizes) == len(self._files) else None

    def bytes_to_read(self) -> int:
        """Return the bytes of all spans of stored files, 0 for remote files of unknown size."""
        return sum(_bytes_to_read(file) for file in self._files)

    def shards(self, config: TextConfig, max_bytes: int) -> "list[Corpus]":
        """Cut the corpus into parts of about max_bytes, which one after another have the same sentences.

        Only plain text in UTF-8 with a sentence on each line is cut within a file. Raises ConfigError for
        text that can be read only once.
        """
        if not self._is_stored or self.is_spooled:
            raise ConfigError(f"{self.describe()}: is not in files. Save the text to files and name these.")
        files = list[_File | RemoteFile]()
        for file in self._files:
            with read_errors(file.name):
                files += file.absolute().cut(config, max_bytes) if isinstance(file, _File) else [file]
        shards, sizes = [list[_File | RemoteFile]()], [0]
        for file in files:
            size = _bytes_to_read(file)
            if shards[-1] and sizes[-1] + size > max_bytes:
                shards.append([])
                sizes.append(0)
            shards[-1].append(file)
            sizes[-1] += size
        return [Corpus(self.name, each) for each in shards]

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
        bytes_before, digest, markup = 0, hashlib.sha256(), MarkupSample()
        names = dict[bytes, str]()  # of the files read, by content
        for number, file in enumerate(self._files):
            with read_errors(file.name):
                opened = file.open()
            with opened as stream:
                raw = RawBytes(stream, file.name)
                is_part = isinstance(file, _File) and file.starts_inside
                texts = rest_of_text(raw, config, report) if is_part else texts_of(raw, config, report)
                if spool := _spool(file):
                    texts = iter([spooled_text(raw, spool, config, report)])
                try:
                    for pieces in texts:
                        for text, continues in cut_blocks(pieces, config, report, limits):
                            data = normalize_block(text, config.normalize)
                            report.markup = markup.add(data, file.name)
                            yield Block(data, continues, bytes_before + raw.bytes_read)
                except UnfitFile as error:
                    error.args = (str(error) + self._more_unfit(number + 1, config),)
                    raise
            bytes_before += raw.bytes_read
            digest.update(key := _key(file, raw.sha256.digest()))
            if key in names and raw.bytes_read:
                is_again = file.name == names[key]
                report.copies.add(f"{file.name} ({'named again' if is_again else f'copy of {names[key]}'})")
            names.setdefault(key, file.name)
            if isinstance(file, RemoteFile):
                file.keep_sha256(raw.sha256.hexdigest())
        self.read_key = digest.hexdigest() if self._is_stored else None

    def _more_unfit(self, first: int, config: TextConfig) -> str:
        """Return a sentence about further files that are not text in their encoding, by their first bytes."""
        found = FileList()
        for file in self._files[first : first + _PROBED_FILES] if self._is_stored else ():
            try:
                with file.open() as stream:
                    raw = RawBytes(stream, file.name, hashed=False)
                    for pieces in islice(texts_of(raw, config, ReadReport()), 1):
                        next(pieces, None)
            except UnfitFile as error:
                found.add(f"{file.name} ({error.kind})")
            except (DataError, OSError):  # another problem
                pass
        if len(self._files) == 1:
            return ""
        also = f" Also unfit: {found}." if found.num_files else ""
        return f"{also} To leave files out, name the others, or a pattern such as 'folder/*.txt'."


def open_corpus(*sources: Source, column: str | None = None) -> Corpus:
    """Return the corpus in files, folders, globs, addresses, "-" (stdin), names, or texts in memory.

    Sources keep their order and may repeat. A folder means all files below, hidden ones and results of nlpseq
    left out. An address starts with https://, s3://, gs://, hf:// or memory://; names are of nlpseq.corpora.
    No file is read yet. A source that is no path is an iterable of texts or of lists of tokens, a data frame
    or a data set of Hugging Face with a column, and is written to a temporary file at once.
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
    if files.count(_File(None, "stdin")) > 1:
        raise DataError("stdin (-): named more than once. Name stdin once, because it can be read only once.")
    return Corpus(found[0][0], files)


def _find(source: str) -> tuple[str, Sequence[_File | RemoteFile]]:
    """Return the name and the files of one source."""
    if not source:
        raise DataError("corpus: has an empty name. Name a file, a folder, a glob or - for stdin.")
    if source == "-":
        return "stdin", [_File(None, "stdin")]
    if is_remote(source):
        return open_remote(source)
    path = Path(source)
    with read_errors(source):  # no permission for a parent folder, or a name too long
        is_folder, exists = path.is_dir(), path.exists()
    if is_folder:
        return path.resolve().name or "corpus", _files_below(path)
    if exists and str(path.parent) in _PIPES:
        return "pipe", [_File(path, str(path))]
    if exists:
        return path.name.lstrip(".").partition(".")[0] or "corpus", [_File(path, str(path))]
    if glob.has_magic(source):
        return _expand(source)
    return source.replace("/", "-"), _from_catalogue(source)


def _files_below(folder: Path) -> list[_File]:
    """Return the files below a folder, sorted; no hidden ones or results of nlpseq.

    Linked folders, links to nothing, pipes and devices are left out with a warning.
    """

    def refuse(error: OSError) -> None:  # no permission to list or to enter a folder
        raise error

    paths, left_out = list[Path](), FileList()
    with read_errors(str(folder)):
        for parent, folders, names in os.walk(folder, onerror=refuse):
            folders[:] = [
                name for name in folders if not name.startswith(".") and not is_result(Path(parent, name))
            ]
            paths += [Path(parent, name) for name in _without_state(names) if not name.startswith(".")]
            paths += [Path(parent, name) for name in folders if Path(parent, name).is_symlink()]
        files = list[_File]()
        for path in sorted(paths):
            if path.is_file():
                files.append(_File(path, str(path)))
            else:
                left_out.add(str(path))
    if left_out.num_files:
        warnings.warn(
            f"{left_out}: left out of {folder}, because a folder is read without linked folders, links to "
            "nothing, pipes and devices. Name each to read it.",
            stacklevel=2,
        )
    if not files:
        raise DataError(f"{folder}: contains no file to read. Name a folder with text files.")
    return files


def _without_state(names: list[str]) -> list[str]:
    """Leave out the files in which Hugging Face `datasets` describes the Arrow files of a folder."""
    if "state.json" in names and "dataset_info.json" in names:
        return [name for name in names if name.endswith(".arrow") and not name.startswith("cache-")]
    return [name for name in names if name != "dataset_dict.json"]


def _expand(pattern: str) -> tuple[str, list[_File | RemoteFile]]:
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
