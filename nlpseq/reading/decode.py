"""Bytes of one file to UTF-8: encodings, byte order marks, newlines; problems go to a ReadReport."""

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from nlpseq.config import TextConfig
from nlpseq.errors import DataError

__all__ = ["UTF_8", "ReadReport", "decode"]

UTF_8 = ("utf-8", "surrogatepass")  # because text in memory may hold single surrogates
_BETWEEN_CHARACTERS = (b"", 0)  # state of an incremental decoder that holds back no bytes
_HEAD_BYTES = 1 << 16  # start of each file, kept to guess its encoding
_FIRST, _MORE = "\udc00", "\udc01"  # stand for invalid bytes until these are counted


@dataclass
class ReadReport:
    """Problems found in a text, filled while its blocks are read."""

    invalid_bytes: int = 0
    first_invalid: str | None = None  # "path, byte 123", counted in the decompressed file
    cut_lines: int = 0  # cuts in lines too long for the tokenizer
    cut_tokens: int = 0  # cuts in text without white space nearby
    hint: str | None = None  # the encoding that a file seems to have instead
    doubt: str | None = None  # other likely problem of a file

    def notices(self) -> list[str]:
        """Return a sentence for stderr about each kind of problem."""
        notices = []
        if self.invalid_bytes:
            notices.append(
                f"{self.first_invalid}: {self.invalid_bytes:,} bytes are invalid in this encoding, "
                "and were read as U+FFFD; the first is here. "
                "Use --encoding NAME, or --encoding-errors strict to stop there."
            )
        if problem := self.hint or self.doubt:
            notices.append(problem)
        if self.cut_lines:
            notices.append(
                f"Lines too long for this tokenizer: cut at white space in {self.cut_lines:,} places. "
                "Put one sentence on a line to avoid the cuts."
            )
        if self.cut_tokens:
            notices.append(
                f"Text without white space: cut in {self.cut_tokens:,} places, perhaps inside words. "
                "Check that the file is text."
            )
        return notices


def decode(chunks: Iterator[bytes], name: str, config: TextConfig, report: ReadReport) -> Iterator[bytes]:
    r"""Yield the text of one file as pieces of UTF-8, with \n for every newline and a space for NUL.

    name: of the file, for messages. With the tokenizer `bpe`, all bytes of a UTF-8 file but newlines stay as
    they are. Raises DataError for invalid bytes if config.encoding_errors is strict.
    """
    keeps_bytes = config.tokenizer_kind == "bpe" and codecs.lookup(config.encoding).name == "utf-8"
    own = ReadReport() if keeps_bytes else report  # because no byte is replaced
    decoder = _CountingDecoder(name, config, own)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    at_start = True
    for chunk, is_end in _with_end(chunks):
        text = decoder.decode(chunk, is_end)
        is_plain = keeps_bytes or (decoder.is_utf_8 and b"\0" not in chunk and not at_start)
        if is_plain and b"\r" not in chunk and newlines.getstate() == _BETWEEN_CHARACTERS:
            yield chunk  # unchanged, the fast path of most text
            continue
        if keeps_bytes:
            yield newlines.decode(chunk.decode("latin-1"), is_end).encode("latin-1")
            continue
        text = newlines.decode(text, is_end)
        if text and at_start:
            text = text.removeprefix("\ufeff")
            at_start = False
        if text:
            yield text.replace("\0", " ").encode(*UTF_8)
    decoder.finish()
    report.hint, report.doubt = report.hint or own.hint, report.doubt or own.doubt


def _with_end(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield (chunk, False) pairs, and at the end a pair with True.

    The first chunk has at least four bytes. The last pair holds b"", or the whole content if shorter.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            yield head, False
            yield from ((chunk, False) for chunk in chunks)
            head = b""
    yield head, True


class _CountingDecoder:
    """An incremental decoder that counts invalid bytes and locates the first."""

    def __init__(self, name: str, config: TextConfig, report: ReadReport) -> None:
        codec = codecs.lookup(config.encoding)
        self.name, self.config, self.report = name, config, report
        self.encoding = codec.name.removesuffix("-sig")  # because decode() removes every byte order mark
        new_decoder = codecs.getincrementaldecoder(self.encoding)
        handler = "replace" if self.encoding == "utf-8" else "nlpseq-count"
        self._strict, self._lenient = new_decoder("strict"), new_decoder(handler)
        self._head = b""
        self._offset = 0
        self._invalid = 0
        self.is_utf_8 = False  # the last chunk is valid UTF-8 by itself

    def decode(self, data: bytes, is_end: bool) -> str:
        if not self._offset:
            _check_byte_order(data, self.name, self.encoding)
        self._head += data[: _HEAD_BYTES - len(self._head)]
        state = self._strict.getstate()
        try:
            text = self._strict.decode(data, is_end)
            after = self._strict.getstate()
            self.is_utf_8 = self.encoding == "utf-8" and state == _BETWEEN_CHARACTERS == after
        except UnicodeDecodeError as error:
            self.is_utf_8 = False
            self._locate(self._offset - len(state[0]) + error.start)
            text = self._decode_leniently(data, is_end, state)
        self._offset += len(data)
        return text

    def finish(self) -> None:
        """Report a hint or doubt if the encoding of the file seems wrong."""
        has_nul = b"\0" in self._head
        if self._invalid * 100 <= self._offset and not has_nul:
            return
        self.report.hint = self.report.hint or self._hint()
        if self.report.doubt is None and self.encoding == "utf-8":
            self.report.doubt = f"{self.name}: " + (
                "contains NUL bytes, unlike text. Leave the file out if it is not text."
                if has_nul
                else "mostly invalid as UTF-8. Use --encoding cp1252 for older Western European text."
            )

    def _locate(self, offset: int) -> None:
        """Record the first invalid byte; raise DataError if the config is strict."""
        if self.config.encoding_errors == "strict":
            raise DataError(
                f"{self.name}: byte {offset} is invalid in {self.encoding}. "
                + (self._hint() or "Use --encoding NAME, or --encoding-errors replace to read U+FFFD there.")
            )
        if self.report.first_invalid is None:
            self.report.first_invalid = f"{self.name}, byte {offset}"

    def _decode_leniently(self, data: bytes, is_end: bool, state: tuple[bytes, int]) -> str:
        """Decode with U+FFFD for invalid bytes, and count these."""
        self._lenient.setstate(state)
        text = self._lenient.decode(data, is_end)
        held = self._lenient.getstate()
        self._strict.setstate(held)
        if self.encoding == "utf-8":  # counted at once, because a Python call for each byte would be slow
            decoded = (state[0] + data).removesuffix(held[0])
            invalid = len(decoded) - len(decoded.decode("utf-8", "ignore").encode())
        else:
            invalid = text.count(_FIRST) + text.count(_MORE)
        self._invalid += invalid
        self.report.invalid_bytes += invalid
        return text.replace(_FIRST, "\ufffd").replace(_MORE, "")

    def _hint(self) -> str | None:
        """Return a sentence about the likely encoding of a file that is not UTF-8."""
        if self.encoding != "utf-8":
            return None
        if self._head.count(0) * 4 > len(self._head):
            order = "le" if self._head[1::2].count(0) > self._head[::2].count(0) else "be"
            return f"{self.name}: looks like UTF-16. Use --encoding utf-16-{order}."
        with suppress(UnicodeDecodeError):
            if re.search("[가-힣]", codecs.getincrementaldecoder("cp949")().decode(self._head)):
                return f"{self.name}: looks like Korean in cp949. Use --encoding cp949."
        return None


def _count_invalid(error: UnicodeError) -> tuple[str, int]:
    """Return one character for each invalid byte, and where decoding continues."""
    assert isinstance(error, UnicodeDecodeError)
    return _FIRST + _MORE * (error.end - error.start - 1), error.end


codecs.register_error("nlpseq-count", _count_invalid)


def _check_byte_order(head: bytes, name: str, encoding: str) -> None:
    is_utf_16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if encoding == "utf-8" and is_utf_16:
        raise DataError(f"{name}: starts with a UTF-16 byte order mark. Use --encoding utf-16.")
    has_mark = is_utf_16 or head.startswith(codecs.BOM_UTF32_BE)
    if encoding in ("utf-16", "utf-32") and head and not has_mark:
        raise DataError(
            f"{name}: has no byte order mark. Use --encoding {encoding}-le or --encoding {encoding}-be."
        )
