"""A stream of text in UTF-8 cut into blocks, at newlines where there are any, else at white space."""

from collections.abc import Iterator

from nlpseq.config import TextConfig
from nlpseq.reading.decode import UTF_8, ReadReport, normalized

BLOCK_BYTES = 1 << 21
NEWLINE = ord("\n")
LINE_CHARS = 1_000_000  # longest line for tokenizers that look at whole lines
REACH = 32  # characters seen on each side of a cut, more than one letter has marks
WHOLE_LINE_TOKENIZERS = ("nltk", "toktok", "tweet")


def cut_blocks(
    pieces: Iterator[bytes], config: TextConfig, report: ReadReport
) -> Iterator[tuple[bytes, bool]]:
    """(text, continues) for stretches of one file, together all of it."""
    whole_lines = config.tokenizer in WHOLE_LINE_TOKENIZERS
    most = max(BLOCK_BYTES, 4 * LINE_CHARS) if whole_lines else BLOCK_BYTES  # 4: the longest character
    pending, size = [b""], 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        while size > most:  # so that something is left, and `continues` keeps its word
            text = b"".join(pending)
            cut = text.rfind(b"\n", 0, most) + 1
            continues = not cut
            cut = cut or _cut_in_long_line(text, most, config, report)
            pending, size = [text[cut:]], len(text) - cut
            if whole_lines and continues:
                report.cut_lines += 1
                yield _cut_long_lines(text[:cut], config, report) + b"\n", False
            else:
                yield _cut_long_lines(text[:cut], config, report) if whole_lines else text[:cut], continues
    if size:
        text = b"".join(pending)
        yield _cut_long_lines(text, config, report) if whole_lines else text, False


def _cut_in_long_line(data: bytes, most: int, config: TextConfig, report: ReadReport) -> int:
    """Where to cut the line at the beginning, after so many bytes at most."""
    limit = _between_characters(data, most)
    reach = _between_characters(data, limit + 4 * REACH)
    head, ahead = data[:limit].decode(*UTF_8), data[limit:reach].decode(*UTF_8)
    cut = _cut_in_line(head + ahead, len(head), config, report)
    return len(head[:cut].encode(*UTF_8))


def _between_characters(data: bytes, at: int) -> int:
    """The last place up to `at` where a character starts, or the end."""
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return min(at, len(data))


def _cut_long_lines(data: bytes, config: TextConfig, report: ReadReport) -> bytes:
    """The same text with a newline wherever a line would be longer than LINE_CHARS."""
    lines = []
    for line in data.decode(*UTF_8).split("\n"):
        start = 0
        while len(line) - start > LINE_CHARS:
            report.cut_lines += 1
            cut = _cut_in_line(line[start : start + LINE_CHARS + REACH], LINE_CHARS, config, report)
            lines.append(line[start : start + cut])
            start += cut
        lines.append(line[start:])
    return "\n".join(lines).encode(*UTF_8)


def _cut_in_line(text: str, limit: int, config: TextConfig, report: ReadReport) -> int:
    """Where to cut a line, from 1 to limit: after the last white space, or where no character is split."""
    head = text[:limit]
    if head[-1].isspace():
        return limit
    cut = limit - len(head.rsplit(None, 1)[-1])
    if cut:
        return cut
    report.cut_tokens += config.tokenizer != "char"  # there each character is a token of its own
    return next(
        (at for at in range(limit, max(limit - REACH, 0), -1) if _parts_cleanly(text, at, config)), limit
    )


def _parts_cleanly(text: str, at: int, config: TextConfig) -> bool:
    """Whether both sides can be normalised apart: no letter loses its marks, no Hangul syllable is split."""
    left, right = text[max(at - REACH, 0) : at], text[at : at + REACH]
    form = config.normalize
    return normalized(left, form) + normalized(right, form) == normalized(left + right, form)
