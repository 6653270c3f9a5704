"""Bytes of one file to UTF-8: encodings, byte order marks, newlines; problems go to a ReadReport.

The byte order mark of a file settles the encoding, else valid UTF-8 in the first bytes, else config.encoding.
A file without text, or mostly invalid in the encoding, is refused.
"""

import codecs
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nlpseq.config import TextConfig
from nlpseq.core.resources import count_text
from nlpseq.errors import DataError
from nlpseq.reading.encodings import marked_encoding, recognize
from nlpseq.reading.sentences import keeps_nul
from nlpseq.reading.sniff import NonText, recognize_non_text

__all__ = ["NOTE", "UTF_8", "FileList", "ReadReport", "UnfitFile", "columns_of", "decode", "refuse_non_text"]

NOTE = "note: "  # start of a notice that asks for nothing, unlike a warning
UTF_8 = ("utf-8", "surrogatepass")  # because text in memory may hold single surrogates
_BETWEEN_CHARACTERS = (b"", 0)  # state of an incremental decoder that holds back no bytes
_HEAD_BYTES = 1 << 16  # start of each file, and size of the sample from which an encoding is recognized
_FIRST, _MORE = "\udc00", "\udc01"  # stand for invalid bytes until these are counted
_MIN_UTF_8_BYTES = 16  # more than characters, evidence of UTF-8 against an explicit encoding
_MIN_INVALID = 16  # bytes, for 1 % of a whole file to be too many; of less it is 20 %
_NAMED_FILES = 3  # in a message
_TEXT_FROM = ", text from "  # before the column of a format


class UnfitFile(DataError):
    """A file without text, or with text in another encoding; kind: format or encoding of the file."""

    def __init__(self, message: str, kind: str, *, is_text: bool = True) -> None:
        super().__init__(message)
        self.kind, self.is_text = kind, is_text


@dataclass
class FileList:
    """Files with the same problem: the first few by name, and the number of all."""

    first: list[str] = field(default_factory=list)
    num_files: int = 0

    def add(self, description: str) -> None:
        """Count a file, and keep its description if it is one of the first."""
        self.num_files += 1
        self.first += [description][: _NAMED_FILES - len(self.first)]

    def extend(self, others: "FileList") -> None:
        """Count the files of another list after these."""
        self.num_files += others.num_files
        self.first += others.first[: _NAMED_FILES - len(self.first)]

    def __str__(self) -> str:
        more = self.num_files - len(self.first)
        return "; ".join(self.first) + (f" and {count_text(more, 'more file')}" if more else "")


def columns_of(formats: Iterable[str]) -> list[str]:
    """Return the columns with the text; formats: of ReadReport."""
    return sorted({column for each in formats if (column := each.partition(_TEXT_FROM)[2])})


@dataclass
class ReadReport:
    """Problems found in a text, filled while its blocks are read."""

    invalid_bytes: int = 0
    invalid: FileList = field(default_factory=FileList)  # "path, line 3, byte 123 (utf-8)", decompressed
    nul: FileList = field(default_factory=FileList)  # with NUL bytes
    other: FileList = field(default_factory=FileList)  # not read in config.encoding
    doubt: str | None = None  # about config.encoding, from the first file
    encodings: dict[str, int] = field(default_factory=dict)  # number of files
    cut_lines: int = 0  # cuts in lines too long for the tokenizer
    cut_tokens: int = 0  # cuts in text without white space nearby
    formats: dict[str, str] = field(default_factory=dict)  # of JSON and tables: first file, by description
    lone_surrogates: int = 0  # in escapes of JSON
    stray_quotes: FileList = field(default_factory=FileList)  # "a.csv, record 3"
    skipped: dict[str, tuple[int, str]] = field(default_factory=dict)  # records and first place, by reason
    copies: FileList = field(default_factory=FileList)  # "b.txt (copy of a.txt)"
    markup: str | None = None  # warning about HTML
    as_text: FileList = field(default_factory=FileList)  # "a.html (HTML page)", read because of --format text

    def skip(self, reason: str, records: int, place: str) -> None:
        """Count skipped records.

        reason: such as "without text in body", also of an empty or blank text. place: of the first record,
        such as "a.jsonl, line 3".
        """
        if records:
            before, first = self.skipped.get(reason, (0, place))
            self.skipped[reason] = before + records, first

    def add(self, later: "ReadReport") -> None:
        """Add what was found in a later part of the text."""
        for name in ("invalid_bytes", "cut_lines", "cut_tokens", "lone_surrogates"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for name in ("invalid", "nul", "other", "stray_quotes", "copies", "as_text"):
            getattr(self, name).extend(getattr(later, name))
        for encoding, files in later.encodings.items():
            self.encodings[encoding] = self.encodings.get(encoding, 0) + files
        for reason, (records, place) in later.skipped.items():
            self.skip(reason, records, place)
        self.formats = later.formats | self.formats
        self.doubt, self.markup = self.doubt or later.doubt, self.markup or later.markup

    def note_format(self, title: str, column: str, name: str) -> None:
        """Note that a file is read as JSON or a table, with the text in a column."""
        self.formats.setdefault(f"{title}{_TEXT_FROM}{column}" if column else title, name)

    def notices(self) -> list[str]:
        """Return a sentence for stderr about each kind of problem."""
        notices = []
        if self.invalid_bytes:
            notices.append(
                f"{self.invalid}: {count_text(self.invalid_bytes, 'invalid byte')} for this encoding, read "
                "as U+FFFD; the first is here. Use --encoding NAME, or --encoding-errors strict to stop "
                "there."
            )
        if self.nul.num_files:
            notices.append(
                f"{self.nul}: contains NUL bytes, unlike text. Leave the file out if it is not text."
            )
        if self.other.num_files:
            notices.append(
                f"{NOTE}{self.other}: read in this encoding, which the file shows. --encoding is for files "
                "without a byte order mark that are not UTF-8."
            )
        if self.as_text.num_files:
            notices.append(
                f"{NOTE}{self.as_text}: read as plain text, as --format text asks, so markup becomes words. "
                "Leave out --format to have such files refused, with a tool that extracts the text."
            )
        for reason, (records, place) in self.skipped.items():
            notices.append(f"skipped {count_text(records, 'record')} {reason}; the first is {place}.")
        if self.stray_quotes.num_files:
            notices.append(
                f"{self.stray_quotes}: has text behind a closing quote. Check the quotes there, because a "
                "single quote at the start of a field joins records."
            )
        if self.lone_surrogates:
            notices.append(
                f"JSON escapes: {count_text(self.lone_surrogates, 'single surrogate')}, read as U+FFFD."
            )
        if self.copies.num_files:
            notices.append(
                f"{self.copies}: the same text as a file before, so its words count more than once. "
                "Leave the copies out."
            )
        notices += [each for each in (self.markup, self.doubt) if each]
        if self.cut_lines:
            notices.append(
                f"Lines too long for this tokenizer: cut in {count_text(self.cut_lines, 'place')}, at white "
                "space. Put one sentence on a line to avoid the cuts."
            )
        if self.cut_tokens:
            notices.append(
                f"Text without white space: cut in {count_text(self.cut_tokens, 'place')}, perhaps inside "
                "words. Check that the file is text."
            )
        return notices


def decode(
    chunks: Iterator[bytes], name: str, config: TextConfig, report: ReadReport, *, is_start: bool = True
) -> Iterator[bytes]:
    r"""Yield the text of one file as pieces of UTF-8, with \n for every newline and a space for NUL.

    name: of the file, for messages. is_start: the first bytes may be a byte order mark, or show a format
    without text; False for a later part of a file. With the tokenizer `bpe`, the bytes of a UTF-8 file stay
    as they are, and are only checked. Raises UnfitFile for a file without text or in another encoding, and
    DataError for invalid bytes if config.encoding_errors is strict.
    """
    head, chunks = _read_head(chunks)
    encoding = _codec_name(config.encoding)
    if is_start:
        if kind := refuse_non_text(head, name, config):
            report.as_text.add(f"{name} ({kind.name})")
        encoding = _choose_encoding(head, name, config.encoding)
        _note_encoding(head, name, encoding, _codec_name(config.encoding), report)
    if config.tokenizer_kind == "bpe" and encoding == "utf-8":
        yield from _keep_bytes(_with_end(head, chunks), name, config)
        return
    decoder = _CountingDecoder(name, encoding, config, report)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    at_start = is_start
    for chunk, is_end in _with_end(head, chunks):
        text = decoder.decode(chunk, is_end)
        is_plain = decoder.is_utf_8 and b"\r" not in chunk and b"\0" not in chunk
        if is_plain and not at_start and newlines.getstate() == _BETWEEN_CHARACTERS:
            decoder.lines += _num_lines(chunk)
            yield chunk  # unchanged, the fast path of most text
            continue
        text = newlines.decode(text, is_end)
        decoder.lines += text.count("\n")
        if text and at_start:
            text = text.removeprefix("\ufeff")
            at_start = False
        if text:
            yield text.replace("\0", " ").encode(*UTF_8)


def _keep_bytes(chunks: Iterator[tuple[bytes, bool]], name: str, config: TextConfig) -> Iterator[bytes]:
    r"""Yield the bytes of a file with \n for every newline, and a space for NUL that would end a document."""
    checker = _CountingDecoder(name, "utf-8", config, ReadReport(), keeps_bytes=True)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    for chunk, is_end in chunks:
        checker.decode(chunk, is_end)
        if b"\r" in chunk or newlines.getstate() != _BETWEEN_CHARACTERS:
            chunk = newlines.decode(chunk.decode("latin-1"), is_end).encode("latin-1")
        checker.lines += _num_lines(chunk)
        yield chunk if keeps_nul(config) else chunk.replace(b"\0", b" ")


def _num_lines(chunk: bytes) -> int:
    """Count newlines, faster than bytes.count."""
    return int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")))


def refuse_non_text(head: bytes, name: str, config: TextConfig) -> NonText | None:
    """Raise UnfitFile if the first bytes of a file show a format without plain text.

    Returns the format of a readable file, such as HTML, that config.format "text" lets pass.
    """
    kind = recognize_non_text(head)
    if kind is None or (kind.is_readable and config.format == "text"):
        return kind
    advice = f"Make text of it with {kind.tool}" if kind.tool else "Leave the file out"
    advice += ", or use --format text to read the file as it is" * kind.is_readable
    raise UnfitFile(f"{name}: is not text ({kind.name}). {advice}.", kind.name, is_text=False)


def _read_head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first _HEAD_BYTES bytes or more, less of a shorter file, and the other chunks."""
    head, size = list[bytes](), 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size >= _HEAD_BYTES:
            break
    return b"".join(head), chunks


def _with_end(head: bytes, chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield (chunk, False) pairs, and at the end a pair with True."""
    yield head, False
    yield from ((chunk, False) for chunk in chunks)
    yield b"", True


def _codec_name(encoding: str) -> str:
    return codecs.lookup(encoding).name.removesuffix("-sig")  # because decode() removes every byte order mark


def _choose_encoding(head: bytes, name: str, wanted: str) -> str:
    """Return the encoding of a file, from its byte order mark, its bytes, or the setting."""
    wanted = _codec_name(wanted)
    if marked := marked_encoding(head):
        return marked
    if wanted != "utf-8" and _is_utf_8(head):
        return "utf-8"
    if wanted in ("utf-16", "utf-32") and head:
        options = recognize(head) or f"{wanted}-le or --encoding {wanted}-be"
        raise UnfitFile(f"{name}: has no byte order mark. Use --encoding {options}.", "no byte order mark")
    return wanted


def _note_encoding(head: bytes, name: str, encoding: str, wanted: str, report: ReadReport) -> None:
    """Count the file, and report an encoding other than the setting, or a doubt about the setting."""
    if wanted != "utf-8" and not encoding.startswith(wanted):
        report.other.add(f"{name} ({encoding})")
    elif wanted != "utf-8" and not report.encodings:
        likely = recognize(head)
        if likely and head.decode(likely, "replace") != head.decode(encoding, "replace"):
            looks = f"{name}: looks like {likely}, but --encoding is {encoding}."
            report.doubt = f"{looks} Use --encoding {likely}."
    report.encodings[encoding] = report.encodings.get(encoding, 0) + 1


def _is_utf_8(head: bytes) -> bool:
    """Tell if bytes are UTF-8, with too many characters beyond ASCII for chance."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return len(head) - len(text) >= _MIN_UTF_8_BYTES and b"\0" not in head and b"\x1b" not in head


class _CountingDecoder:
    """An incremental decoder: counts invalid bytes, locates the first, and refuses too many.

    keeps_bytes: invalid bytes are part of the text, so that a few per cent are not too many.
    """

    def __init__(
        self, name: str, encoding: str, config: TextConfig, report: ReadReport, *, keeps_bytes: bool = False
    ) -> None:
        self.name, self.encoding, self.config, self.report = name, encoding, config, report
        self._min_invalid = math.inf if keeps_bytes else _MIN_INVALID
        new_decoder = codecs.getincrementaldecoder(encoding)
        handler = "replace" if encoding == "utf-8" else "nlpseq-count"
        self._strict, self._lenient = new_decoder("strict"), new_decoder(handler)
        self._offset = self._invalid = self._beyond_ascii = 0
        self._place = ""  # of the first invalid byte
        self._sample: bytes | None = None  # begins at the first chunk unlike UTF-8 text
        self._is_checked = False  # the sample
        self.lines = 0  # newlines so far
        self.is_utf_8 = False  # the last chunk is valid UTF-8 by itself

    def decode(self, data: bytes, is_end: bool) -> str:
        state = self._strict.getstate()
        try:
            text = self._strict.decode(data, is_end)
            after = self._strict.getstate()
            self.is_utf_8 = self.encoding == "utf-8" and state == _BETWEEN_CHARACTERS == after
            is_strange = self.encoding == "utf-8" and (b"\0" in data or b"\x1b" in data)
            self._beyond_ascii += len(data) - len(text)
        except UnicodeDecodeError as error:
            self.is_utf_8, is_strange = False, True
            self._locate(error, self._offset - len(state[0]))
            text = self._decode_leniently(data, is_end, state)
        self._offset += len(data)
        if is_strange or self._sample is not None:
            self._take_sample(data, is_end)
        return text

    def _take_sample(self, data: bytes, is_end: bool) -> None:
        """Extend the sample, and check it once it is full and at the end of the file."""
        if self._sample is None:
            is_start = self._offset == len(data)
            self._sample = data if is_start else data[data.find(b"\n", 0, 1 << 12) + 1 :]
        else:
            self._sample += data[: max(0, _HEAD_BYTES - len(self._sample))]
        is_full = len(self._sample) >= _HEAD_BYTES and not self._is_checked
        if is_full or is_end:
            self._is_checked = True
            self._check(self._sample[:_HEAD_BYTES], is_end)

    def _check(self, sample: bytes, is_end: bool) -> None:
        """Raise UnfitFile if the file is not text in this encoding."""
        is_mostly_utf_8 = self.encoding == "utf-8" and self._beyond_ascii > self._invalid
        num_nul = sample.count(0) if self.encoding == "utf-8" else 0
        share = self._invalid / max(1, self._offset)
        is_doubtful = not is_mostly_utf_8 if self.encoding == "utf-8" else share > 0.01
        if is_doubtful or num_nul * 100 > len(sample):
            likely = recognize(sample)
            if likely and likely != self.encoding:
                problem = f"looks like {likely}, not {self.encoding}" + (self._place and f" ({self._place})")
                raise UnfitFile(f"{self.name}: {problem}. Use --encoding {likely}.", likely)
        if num_nul * 100 > len(sample) and num_nul >= _MIN_INVALID:
            raise UnfitFile(
                f"{self.name}: contains {count_text(num_nul, 'NUL byte')} in {len(sample):,}, unlike text. "
                "Leave the file out, or use --encoding NAME.",
                "binary",
                is_text=False,
            )
        if not is_mostly_utf_8 and share > (0.01 if is_end and self._invalid >= self._min_invalid else 0.2):
            raise UnfitFile(
                f"{self.name}: {share:.1%} of the bytes are invalid in {self.encoding} ({self._place}). "
                "Use --encoding NAME, or leave the file out if it is not text.",
                f"not {self.encoding}",
            )
        if is_end and num_nul:
            self.report.nul.add(self.name)

    def _locate(self, error: UnicodeDecodeError, offset: int) -> None:
        """Record the first invalid byte; raise DataError if the config is strict.

        offset: of error.object in the file.
        """
        if self._place:
            return
        before = error.object[: error.start].decode(self.encoding, "ignore")
        line = self.lines + before.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        self._place = f"line {line}, byte {offset + error.start}"
        if self.config.encoding_errors == "strict":
            likely = recognize(error.object)
            raise DataError(
                f"{self.name}: {self._place} is invalid in {self.encoding}. "
                + (
                    f"Use --encoding {likely}."
                    if likely
                    else "Use --encoding NAME, or --encoding-errors replace."
                )
            )
        self.report.invalid.add(f"{self.name}, {self._place} ({self.encoding})")

    def _decode_leniently(self, data: bytes, is_end: bool, state: tuple[bytes, int]) -> str:
        """Decode with U+FFFD for invalid bytes, and count these."""
        self._lenient.setstate(state)
        text = self._lenient.decode(data, is_end)
        held = self._lenient.getstate()
        self._strict.setstate(held)
        if self.encoding == "utf-8":  # counted at once, because a Python call for each byte would be slow
            decoded = (state[0] + data).removesuffix(held[0])
            valid = decoded.decode("utf-8", "ignore")
            invalid = len(decoded) - len(valid.encode())
            self._beyond_ascii += len(decoded) - invalid - len(valid)
        else:
            invalid = text.count(_FIRST) + text.count(_MORE)
        self._invalid += invalid
        self.report.invalid_bytes += invalid
        return text.replace(_FIRST, "\ufffd").replace(_MORE, "")


def _count_invalid(error: UnicodeError) -> tuple[str, int]:
    """Return one character for each invalid byte, and where decoding continues."""
    assert isinstance(error, UnicodeDecodeError)
    return _FIRST + _MORE * (error.end - error.start - 1), error.end


codecs.register_error("nlpseq-count", _count_invalid)
