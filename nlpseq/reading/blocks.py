"""UTF-8 text cut into blocks: at newlines, in lines longer than a block at white space."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from nlpseq.config import TextConfig
from nlpseq.reading.decode import UTF_8, ReadReport
from nlpseq.reading.normalize import normalize
from nlpseq.tokenizers.base import TOKENIZERS
from nlpseq.tokenizers.bpe import last_safe_cut

__all__ = ["NEWLINE", "BlockLimits", "cut_blocks"]

NEWLINE = ord("\n")
_REACH_CHARS = 32  # seen on each side of a cut, more than any letter has marks
_MAX_CHAR_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class BlockLimits:
    """The largest block, and the longest line for tokenizers of whole lines."""

    block_bytes: int = 1 << 21
    line_chars: int = 1_000_000


def cut_blocks(
    pieces: Iterator[bytes], config: TextConfig, report: ReadReport, limits: BlockLimits
) -> Iterator[tuple[bytes, bool]]:
    """Yield (block, continues) until the text of one file ends.

    continues: the last line is longer than a block and goes on in the next block. Tokenizers of whole lines
    get a newline there instead.
    """
    max_bytes = limits.block_bytes
    if TOKENIZERS[config.tokenizer_kind].whole_lines:
        max_bytes = max(max_bytes, _MAX_CHAR_BYTES * limits.line_chars)
    pending, size = [b""], 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        while size > max_bytes:  # not >=, because a block that continues needs a next one
            text = b"".join(pending)
            cut = text.rfind(b"\n", 0, max_bytes) + 1 or _cut_in_bytes(text, max_bytes, config, report)
            continues = not text.endswith(b"\n", 0, cut)
            yield _finish_block(text[:cut], continues, config, report, limits)
            pending, size = [text[cut:]], len(text) - cut
    if size:
        yield _finish_block(b"".join(pending), False, config, report, limits)


def _finish_block(
    block: bytes, continues: bool, config: TextConfig, report: ReadReport, limits: BlockLimits
) -> tuple[bytes, bool]:
    """Break long lines for tokenizers of whole lines; return the block and if its line continues."""
    if not TOKENIZERS[config.tokenizer_kind].whole_lines:
        return block, continues
    block = _break_long_lines(block, limits.line_chars, config, report)
    if continues:
        report.cut_lines += 1
        block += b"\n"
    return block, False


def _break_long_lines(block: bytes, line_chars: int, config: TextConfig, report: ReadReport) -> bytes:
    """Insert newlines so that no line has more than line_chars characters."""
    lines = []
    for line in block.decode(*UTF_8).split("\n"):
        start = 0
        while len(line) - start > line_chars:
            report.cut_lines += 1
            cut = _cut_in_line(line[start : start + line_chars + _REACH_CHARS], line_chars, config, report)
            lines.append(line[start : start + cut])
            start += cut
        lines.append(line[start:])
    return "\n".join(lines).encode(*UTF_8)


def _cut_in_bytes(text: bytes, max_bytes: int, config: TextConfig, report: ReadReport) -> int:
    """Return where to cut the first line, at most max_bytes long, in bytes."""
    if config.tokenizer_kind == "bpe":
        if cut := last_safe_cut(text[:max_bytes]):
            return cut
        report.cut_tokens += 1
        starts = [at for at in range(max(1, max_bytes - 3), max_bytes + 1) if text[at] & 0xC0 != 0x80]
        return max(starts, default=max_bytes)  # at the start of a character
    encoding, errors = UTF_8
    decoder = codecs.getincrementaldecoder(encoding)(errors)  # because the ends may be inside characters
    head = decoder.decode(text[:max_bytes])
    ahead = decoder.decode(text[max_bytes : max_bytes + _MAX_CHAR_BYTES * _REACH_CHARS])
    cut = _cut_in_line(head + ahead, len(head), config, report)
    return len(head[:cut].encode(*UTF_8))


def _cut_in_line(text: str, limit: int, config: TextConfig, report: ReadReport) -> int:
    """Return where to cut a line, from 1 to limit: after white space, else between letters."""
    head = text[:limit]
    if head[-1].isspace():
        return limit
    cut = limit - len(head.rsplit(None, 1)[-1])
    if cut:
        return cut
    report.cut_tokens += config.tokenizer != "char"  # because there each character is its own token
    for at in range(limit, max(limit - _REACH_CHARS, 0), -1):
        left, right = text[max(at - _REACH_CHARS, 0) : at], text[at : at + _REACH_CHARS]
        parts = normalize(left, config.normalize) + normalize(right, config.normalize)
        if parts == normalize(left + right, config.normalize):  # else a letter loses its marks
            return at
    return limit
