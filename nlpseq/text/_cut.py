"""A stream of decoded text cut into blocks, at newlines where there are any, else at white space."""

from collections.abc import Iterator

from nlpseq.config import TextConfig
from nlpseq.text._decode import ReadReport, normalized

BLOCK_CHARS = 4_000_000
LINE_CHARS = 1_000_000  # longest line for tokenizers that look at whole lines
REACH = 32  # characters seen on each side of a cut, more than one letter has marks
WHOLE_LINE_TOKENIZERS = ("nltk", "toktok", "tweet")


def cut_blocks(pieces: Iterator[str], config: TextConfig, report: ReadReport) -> Iterator[tuple[str, bool]]:
    """(text, continues) for stretches of one file, together all of it."""
    whole_lines = config.tokenizer in WHOLE_LINE_TOKENIZERS
    pending, size = [""], 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        while size > BLOCK_CHARS:  # so that something is left, and `continues` keeps its word
            text = "".join(pending)
            cut = text.rfind("\n", 0, BLOCK_CHARS) + 1
            continues = not cut
            cut = cut or _cut_in_line(text, BLOCK_CHARS, config, report)
            pending, size = [text[cut:]], len(text) - cut
            if whole_lines and continues:
                report.cut_lines += 1
                yield _cut_long_lines(text[:cut], config, report) + "\n", False
            else:
                yield _cut_long_lines(text[:cut], config, report) if whole_lines else text[:cut], continues
    if size:
        text = "".join(pending)
        yield _cut_long_lines(text, config, report) if whole_lines else text, False


def _cut_long_lines(text: str, config: TextConfig, report: ReadReport) -> str:
    """`text` with a newline wherever a line would be longer than LINE_CHARS."""
    lines = []
    for line in text.split("\n"):
        start = 0
        while len(line) - start > LINE_CHARS:
            report.cut_lines += 1
            cut = _cut_in_line(line[start : start + LINE_CHARS + REACH], LINE_CHARS, config, report)
            lines.append(line[start : start + cut])
            start += cut
        lines.append(line[start:])
    return "\n".join(lines)


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
