"""Long lines in pieces, for analyzers that take quadratic time on some of them."""

import re
from collections.abc import Iterator

__all__ = ["pieces"]

PIECE_CHARS = 4000
_NOT_IN_C_STRINGS = re.compile("[\0\ud800-\udfff]")  # NUL and single surrogates


def pieces(text: str, max_chars: int = PIECE_CHARS, max_run: int = PIECE_CHARS) -> Iterator[str]:
    """Cut a line before white space into pieces of at most `max_chars`.

    A run without white space is cut after `max_run` characters. NUL and single surrogates become U+FFFD.
    """
    text = _NOT_IN_C_STRINGS.sub("\ufffd", text)
    if len(text) <= min(max_chars, max_run):
        yield text
        return
    text = re.sub(rf"\S{{{max_run}}}(?=\S)", r"\g<0> ", text)
    yield from (piece[0] for piece in re.finditer(rf"(?s:.{{1,{max_chars}}}(?!\S))", text))
