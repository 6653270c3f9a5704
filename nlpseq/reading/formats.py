"""The text of a stored file, whose format is recognized by its content.

    stored bytes ──> decompressed ──> decoded to UTF-8 ──> text of each record ──> sentences

A format that the config names is not doubted. A document is a record or a plain file; line ends inside a
record are line ends of the text. So the same text in another format gives the same tokens.
"""

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO

from nlpseq.config import FORMATS, Format, TextConfig
from nlpseq.errors import DataError
from nlpseq.reading.archives import TAR_HEAD_BYTES, is_tar, is_zip, tar_members, zip_members
from nlpseq.reading.decode import ReadReport, UnfitFile, decode, refuse_non_text
from nlpseq.reading.jsonl import choose_path, json_text, sniff_json
from nlpseq.reading.open import COMPRESSED_ENDINGS, READ_BYTES, RawBytes, decoder_for, decompressed
from nlpseq.reading.parquet import column_path, column_text, sniff_arrow
from nlpseq.reading.sentences import document_end, end_sentences, keeps_nul
from nlpseq.reading.spool import END_OF_TEXT, Spool
from nlpseq.reading.tables import choose_field, sniff_dialect, table_text

__all__ = ["format_of_name", "is_plain_lines", "rest_of_text", "spooled_text", "texts_of"]

_FORMATS_OF_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
_SAMPLE_BYTES = 1 << 18  # of UTF-8, looked at to recognize a format


def texts_of(
    raw: RawBytes, config: TextConfig, report: ReadReport, *, is_member: bool = False
) -> Iterator[Iterator[bytes]]:
    r"""Yield the text of a file as pieces of UTF-8, with \n after each sentence.

    An archive has a text for each member; read each before the next. raw: the stored bytes, from their start.
    is_member: the file is part of an archive. Raises DataError if the file is corrupt, or has no text in the
    format of the config.
    """
    head, chunks, _ = _take_sample(decompressed(raw), TAR_HEAD_BYTES)
    refuse_non_text(head, raw.name, config)
    if is_tar(head):
        _refuse_nested(raw, is_member)
        for member in tar_members(chunks, raw.name):
            yield from texts_of(member.raw, config, report, is_member=True)
    elif is_zip(head):
        _refuse_nested(raw, is_member)
        with raw.random_access(chunks, is_plain=raw.head == head[: len(raw.head)]) as file:
            for member in zip_members(file, raw.name):
                yield from texts_of(member.raw, config, report, is_member=True)
    elif (found := sniff_arrow(head)) and (config.format != "text" or b"\0" in head):
        _check_format(config, found, raw.name)
        with raw.random_access(chunks, is_plain=raw.head == head[: len(raw.head)]) as file:
            path = column_path(file, head, config.column)
            report.note_format(FORMATS[found], ".".join(path), raw.name)
            end = document_end(config.sentences)
            values = column_text(file, head, path, end, report, keep_nul=keeps_nul(config))
            yield end_sentences(values, config.sentences)
    else:
        pieces = decode(chunks, raw.name, config, report)
        yield end_sentences(_record_text(pieces, raw.name, config, report), config.sentences)


def is_plain_lines(stream: IO[bytes], name: str, config: TextConfig) -> bool:
    """Return True for plain text in UTF-8 with a sentence on each line; stream: the file, from its start.

    Such a file can be cut at line ends; see rest_of_text.
    """
    head = stream.read(TAR_HEAD_BYTES)
    is_stored_otherwise = decoder_for(head) or is_tar(head) or is_zip(head) or sniff_arrow(head)
    if config.sentences != "lines" or is_stored_otherwise:
        return False
    stream.seek(0)
    report = ReadReport()
    for pieces in texts_of(RawBytes(stream, name, hashed=False), config, report):
        next(pieces, None)
    return not report.formats and [*report.encodings] == ["utf-8"]


def rest_of_text(raw: RawBytes, config: TextConfig, report: ReadReport) -> Iterator[Iterator[bytes]]:
    """Yield the text of a file for which is_plain_lines is True, from a line after the first on."""
    pieces = iter(lambda: raw.read(READ_BYTES), b"")
    yield decode(pieces, raw.name, replace(config, encoding="utf-8"), report, is_start=False)


def spooled_text(raw: RawBytes, spool: Spool, config: TextConfig, report: ReadReport) -> Iterator[bytes]:
    """Return texts in memory as pieces of UTF-8; raw: the spool's file, from its start."""
    report.skip("without text", spool.num_missing, f"{raw.name}, item {spool.first_missing}")
    pieces = iter(lambda: raw.read(READ_BYTES), b"")
    nul, end = b"\0" if keeps_nul(config) else b" ", bytes([document_end(config.sentences)])
    table = bytes.maketrans(b"\0" + END_OF_TEXT, nul + end)
    return end_sentences((piece.translate(table) for piece in pieces), config.sentences)


def _check_format(config: TextConfig, found: Format, name: str) -> None:
    """Raise DataError if the config names another format than the content has."""
    if config.format not in ("auto", found):
        raise DataError(
            f"{name}: is {FORMATS[found]}, not {FORMATS[config.format]}. Leave out --format to read the file."
        )


def _refuse_nested(raw: RawBytes, is_member: bool) -> None:
    if is_member:
        raise UnfitFile(
            f"{raw.name}: is an archive in an archive. Extract the inner archive and name it.",
            "archive",
            is_text=False,
        )


def _record_text(
    pieces: Iterator[bytes], name: str, config: TextConfig, report: ReadReport
) -> Iterator[bytes]:
    """Yield the text of records, or the pieces unchanged if the file is plain text."""
    if config.format == "text":
        return pieces
    end = document_end(config.sentences)
    sample, pieces, is_whole = _take_sample(pieces, _SAMPLE_BYTES)
    sample = sample.removeprefix(BOM_UTF8)  # which decode() leaves for BPE
    format: Format | None = config.format if config.format != "auto" else format_of_name(name)
    dialect = None
    if config.format == "auto" and (format is None or sample.lstrip()[:1] in (b"{", b"[")):
        format = sniff_json(sample, is_whole) or format
    if format in ("parquet", "arrow"):
        raise DataError(f"{name}: is not {FORMATS[format]}. Leave out --format to read the file as it is.")
    if format in (None, "csv", "tsv"):
        dialect = sniff_dialect(sample, is_whole, format)
    if format in ("jsonl", "json"):
        is_lines = format == "jsonl"
        path = choose_path(sample, config.column, name, is_lines=is_lines)
        report.note_format(FORMATS[format], ".".join(path), name)
        return json_text(_without_mark(pieces), path, is_lines=is_lines, end=end, name=name, report=report)
    if dialect is not None:
        column = choose_field(dialect, config.column, name)
        report.note_format(dialect.title, dialect.columns[column], name)
        return table_text(_without_mark(pieces), dialect, column, end=end, name=name, report=report)
    return pieces


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces without a byte order mark at the start."""
    yield next(pieces, b"").removeprefix(BOM_UTF8)
    yield from pieces


def format_of_name(name: str) -> Format | None:
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
