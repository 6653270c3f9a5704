"""The text of a stored file, whose format is recognized by its content.

    stored bytes ──> decompressed ──> decoded to UTF-8 ──> text of each record ──> sentences

A format that the config names is not doubted. A document is a record or a plain file; line ends inside a
record are line ends of the text. So the same text in another format gives the same tokens.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from nlpseq.config import FORMATS, Format, TextConfig
from nlpseq.reading.decode import ReadReport, decode
from nlpseq.reading.jsonl import choose_path, json_text, sniff_json
from nlpseq.reading.open import COMPRESSED_ENDINGS, RawBytes, decompressed
from nlpseq.reading.sentences import document_end, end_sentences
from nlpseq.reading.tables import choose_field, sniff_dialect, table_text

__all__ = ["texts_of"]

_FORMATS_OF_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
_SAMPLE_BYTES = 1 << 18  # of UTF-8, looked at to recognize a format


def texts_of(raw: RawBytes, config: TextConfig, report: ReadReport) -> Iterator[Iterator[bytes]]:
    r"""Yield the text of a file as pieces of UTF-8, with \n after each sentence.

    raw: the stored bytes, from their start. Raises DataError if the file is corrupt, or has no text in the
    format of the config.
    """
    pieces = decode(decompressed(raw), raw.name, config, report)
    yield end_sentences(_record_text(pieces, raw.name, config, report), config.sentences)


def _record_text(
    pieces: Iterator[bytes], name: str, config: TextConfig, report: ReadReport
) -> Iterator[bytes]:
    """Yield the text of records, or the pieces unchanged if the file is plain text."""
    if config.format == "text":
        return pieces
    end = document_end(config.sentences)
    sample, pieces, is_whole = _take_sample(pieces, _SAMPLE_BYTES)
    format: Format | None = config.format if config.format != "auto" else _format_of_name(name)
    dialect = None
    if format is None:
        format = sniff_json(sample, is_whole)
    if format in (None, "csv", "tsv"):
        dialect = sniff_dialect(sample, is_whole, format)
    if format in ("jsonl", "json"):
        path, is_lines = choose_path(sample, config.column, name), format == "jsonl"
        report.note_format(FORMATS[format], ".".join(path), name)
        return json_text(pieces, path, is_lines=is_lines, end=end, name=name, report=report)
    if dialect is not None:
        column = choose_field(dialect, config.column, name)
        report.note_format(dialect.title, dialect.columns[column], name)
        return table_text(pieces, dialect, column, end=end, name=name, report=report)
    return pieces


def _format_of_name(name: str) -> Format | None:
    """Return the format that the ending of a name asks for, before the ending of a compression."""
    endings = [each for each in Path(name.lower()).suffixes if each not in COMPRESSED_ENDINGS]
    return _FORMATS_OF_ENDINGS.get(endings[-1]) if endings else None


def _take_sample(pieces: Iterator[bytes], num_bytes: int) -> tuple[bytes, Iterator[bytes], bool]:
    """Return the start of a text, all of its pieces, and True if the start is the whole text."""
    taken, size = list[bytes](), 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size >= num_bytes:
            return b"".join(taken), chain(taken, pieces), False
    return b"".join(taken), iter(taken), True
