"""Chunks of bytes to text in UTF-8: newlines made one, NUL made a space, what went wrong counted."""

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.errors import DataError

UTF_8 = ("utf-8", "surrogatepass")  # of text in memory, which may hold halves of pairs
NOTHING_HELD = (b"", 0)  # state of an incremental decoder between two characters
_HEAD_BYTES = 1 << 16  # of each file kept to guess its encoding from, once it proved wrong
_FIRST_CHANGED = {"NFC": 0xCC, "NFKC": 0xC2}  # first bytes of U+0300 and U+0080: forms leave lower ones alone
_SAMPLE = 1 << 16  # bytes of a block that tell whether lines have several words
_FEW = 0.01  # of all bytes, so that most words have none of them
_FIRST, _MORE = "\udc00", "\udc01"  # stand for invalid bytes, until they are counted
_MARK_STEP, _MARK_STEPS = 16, 8  # 128 combining marks in a row, above which they are sorted here


@dataclass
class ReadReport:
    """What a person should know about the text that was read; filled while blocks are read."""

    invalid_bytes: int = 0
    first_invalid: str | None = None  # "path, byte 123", counted in the decompressed file
    cut_lines: int = 0  # cuts in lines too long for the tokenizer
    cut_tokens: int = 0  # cuts where not even white space was near
    hint: str | None = None  # the encoding a file seems to have instead
    doubt: str | None = None  # where there is no hint: what else may be wrong with a file

    def notices(self) -> list[str]:
        """Sentences for stderr; none where all went well."""
        found = []
        if self.invalid_bytes:
            found.append(
                f"{self.invalid_bytes:,} bytes are invalid in this encoding and became U+FFFD, the first at "
                f"{self.first_invalid}. Give --encoding NAME, or --encoding-errors strict to stop there."
            )
        if said := self.hint or self.doubt:
            found.append(said)
        if self.cut_lines:
            found.append(
                f"Lines too long for this tokenizer were cut at white space, in {self.cut_lines:,} places. "
                "Put one sentence on a line to avoid it."
            )
        if self.cut_tokens:
            found.append(
                f"Text without any white space had to be cut in {self.cut_tokens:,} places, perhaps inside a "
                "word. Check that the file is text."
            )
        return found


def decoded(chunks: Iterator[bytes], name: str, config: TextConfig, report: ReadReport) -> Iterator[bytes]:
    """Text of one file in pieces of UTF-8; DataError where it cannot be in its encoding."""
    decoder = _CountingDecoder(name, config, report)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    at_start = True
    for chunk, final in _with_end(chunks):
        text = decoder.decode(chunk, final)
        is_plain = decoder.is_utf_8 and b"\r" not in chunk and b"\0" not in chunk
        if is_plain and not at_start and newlines.getstate() == NOTHING_HELD:
            yield chunk  # as it is, which most are
            continue
        text = newlines.decode(text, final)
        if text and at_start:
            text = text.removeprefix("\ufeff")
            at_start = False
        if text:
            yield text.replace("\0", " ").encode(*UTF_8)
    decoder.finish()


def normalized_block(data: bytes, form: str) -> bytes:
    """Text in UTF-8 in this Unicode normal form; only where it may change something is it looked at.

    There it goes by words where few may change, else by lines: no character combines with a space or a
    newline, and none becomes a newline; in NFC none becomes a space.
    """
    if form == "none" or data.isascii():
        return data
    places = np.flatnonzero(np.frombuffer(data, np.uint8) >= _FIRST_CHANGED[form])
    has_words = data.count(b" ", 0, _SAMPLE) > data.count(b"\n", 0, _SAMPLE)
    by_words = form == "NFC" and has_words and len(places) < len(data) * _FEW
    between = b" " if by_words else b"\n"
    spans = _spans(data, places, between)
    found = between.join(data[start:end] for start, end in spans)
    changed = normalized(found.decode(*UTF_8), form).encode(*UTF_8)
    if changed == found:
        return data
    parts, done = [], 0
    for (start, end), part in zip(spans, changed.split(between), strict=True):
        parts += [data[done:start], part]
        done = end
    return b"".join([*parts, data[done:]])


def _spans(data: bytes, places: npt.NDArray[np.int64], between: bytes) -> list[tuple[int, int]]:
    """First byte and end of every stretch between separators that some place is in."""
    spans, end = list[tuple[int, int]](), -1
    for place in places.tolist():
        if place > end:
            start = max(data.rfind(between, end + 1, place), end) + 1
            end = data.find(between, place)
            end = len(data) if end < 0 else end
            spans.append((start, end))
    return spans


def normalized(text: str, form: str) -> str:
    """`text` in this Unicode normal form, in linear time; form "none" leaves it alone."""
    if form == "none" or text.isascii():
        return text
    # unicodedata sorts marks by insertion, quadratic in their number; sorted ones stay where they are
    if _marks(form, _MARK_STEPS).search(text[::_MARK_STEP]):  # every long run shows in this sample
        many = _marks(form, _MARK_STEPS * _MARK_STEP)
        text = many.sub(lambda run: _in_order(run[0], form), text)
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


def _in_order(marks: str, form: str) -> str:
    """A run of marks taken apart, as a few are two in one, and then sorted."""
    apart = marks.translate({ord(mark): _taken_apart(mark, form) for mark in set(marks)})
    return "".join(sorted(apart, key=unicodedata.combining))


class _CountingDecoder:
    """An incremental decoder that knows how many bytes were invalid and where the first one is."""

    def __init__(self, name: str, config: TextConfig, report: ReadReport) -> None:
        codec = codecs.lookup(config.encoding)
        self.name, self.config, self.report = name, config, report
        self.encoding = codec.name.removesuffix("-sig")  # the mark is taken off for every encoding
        new_decoder = codecs.getincrementaldecoder(self.encoding)
        handler = "replace" if self.encoding == "utf-8" else "nlpseq-count"
        self._strict, self._lenient = new_decoder("strict"), new_decoder(handler)
        self._head = b""
        self._offset = 0
        self._invalid = 0
        self.is_utf_8 = False  # whether what was decoded last is UTF-8 from its first byte to its last

    def decode(self, data: bytes, final: bool) -> str:
        if not self._offset:
            _check_byte_order(data, self.name, self.encoding)
        self._head += data[: _HEAD_BYTES - len(self._head)]
        state = self._strict.getstate()
        try:
            text = self._strict.decode(data, final)
            self.is_utf_8 = self.encoding == "utf-8" and state == NOTHING_HELD == self._strict.getstate()
        except UnicodeDecodeError as error:
            self.is_utf_8 = False
            self._note(self._offset - len(state[0]) + error.start)
            text = self._decode_leniently(data, final, state)
        self._offset += len(data)
        return text

    def finish(self) -> None:
        """Say what may be wrong where this encoding was, for more than a few bytes."""
        if self._invalid * 100 > self._offset or b"\0" in self._head:
            self.report.hint = self.report.hint or self._hint()
            self.report.doubt = self.report.doubt or self._doubt()

    def _note(self, offset: int) -> None:
        if self.config.encoding_errors == "strict":
            raise DataError(
                f"{self.name}: byte {offset} is invalid in {self.encoding}. "
                + (self._hint() or "Give --encoding NAME, or --encoding-errors replace to read U+FFFD there.")
            )
        if self.report.first_invalid is None:
            self.report.first_invalid = f"{self.name}, byte {offset}"

    def _decode_leniently(self, data: bytes, final: bool, state: tuple[bytes, int]) -> str:
        self._lenient.setstate(state)
        text = self._lenient.decode(data, final)
        held = self._lenient.getstate()
        self._strict.setstate(held)
        if self.encoding == "utf-8":  # no call of Python for each of what may be millions
            decoded = (state[0] + data).removesuffix(held[0])
            invalid = len(decoded) - len(decoded.decode("utf-8", "ignore").encode())
        else:
            invalid = text.count(_FIRST) + text.count(_MORE)
        self._invalid += invalid
        self.report.invalid_bytes += invalid
        return text.replace(_FIRST, "\ufffd").replace(_MORE, "")

    def _doubt(self) -> str | None:
        if self.encoding != "utf-8":
            return None
        if b"\0" in self._head:
            return f"{self.name} holds NUL bytes, as text does not. If it is no text, leave it out."
        return f"{self.name} is hardly UTF-8; older text of Western Europe has --encoding cp1252."

    def _hint(self) -> str | None:
        if self.encoding != "utf-8":
            return None
        if self._head.count(0) * 4 > len(self._head):
            order = "le" if self._head[1::2].count(0) > self._head[::2].count(0) else "be"
            return f"{self.name} looks like UTF-16; give --encoding utf-16-{order}."
        if _is_korean_cp949(self._head):
            return f"{self.name} looks like Korean in cp949; give --encoding cp949."
        return None


def _count_invalid(error: UnicodeError) -> tuple[str, int]:
    """Handler of decoding errors: one U+FFFD for each, as "replace" does, but with the bytes countable."""
    assert isinstance(error, UnicodeDecodeError)
    return _FIRST + _MORE * (error.end - error.start - 1), error.end


codecs.register_error("nlpseq-count", _count_invalid)


def _with_end(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """(chunk, False) for each, the first of at least four bytes where there are as many; then (b"", True)."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            yield head, False
            yield from ((chunk, False) for chunk in chunks)
            head = b""
    yield head, True


def _check_byte_order(head: bytes, name: str, encoding: str) -> None:
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if encoding == "utf-8" and wide:
        raise DataError(f"{name} starts with the mark of UTF-16, not UTF-8. Give --encoding utf-16.")
    wide = wide or head.startswith(codecs.BOM_UTF32_BE)
    if encoding in ("utf-16", "utf-32") and head and not wide:
        raise DataError(
            f"{name} has no mark that tells its byte order. Give --encoding {encoding}-le or {encoding}-be."
        )


def _is_korean_cp949(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("cp949")().decode(head)
    except UnicodeDecodeError:
        return False
    return re.search("[가-힣]", text) is not None


def _taken_apart(char: str, form: str) -> str:
    return unicodedata.normalize(form.replace("C", "D"), char)  # type: ignore[arg-type]


@cache
def _marks(form: str, at_least: int) -> re.Pattern[str]:
    """Runs of characters that are nothing but combining marks once they are taken apart.

    Normalisation may reorder these. U+0F73 is no mark itself, but a sign for two.
    """
    chars = map(chr, range(0x300, 0x20000))
    marks = (c for c in chars if unicodedata.combining(c) or _is_several_marks(c, form))
    return re.compile(f"[{''.join(marks)}]{{{at_least},}}")


def _is_several_marks(char: str, form: str) -> bool:
    if not unicodedata.decomposition(char):  # as of most, which saves taking them apart
        return False
    return all(map(unicodedata.combining, _taken_apart(char, form)))
