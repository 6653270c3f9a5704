"""Tokens back to text: as a person would write them, at once or as they come."""

import re
from collections.abc import Iterator, Sequence

from nlpseq.config import TextConfig

_CLOSING = frozenset(".,;:!?)]}%’”»…、。，．！？；：）」』】") | {"...", "''"}  # no space before these
_OPENING = frozenset("([{$£€¥₩#@‘“«„¿¡（「『【") | {"``"}  # and none after these
_CLITICS = frozenset(["n't", "'s", "'m", "'d", "'re", "'ve", "'ll"])
_SPLIT_WORDS = frozenset(
    {("can", "not"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("wan", "na")}
)


def detokenize(tokens: Sequence[str], config: TextConfig) -> str:
    """Tokens of one line as a person would write them: punctuation stands where it belongs.

    Exact for `char`; for the others white space is guessed, and what `tokenize` dropped stays lost.
    """
    return "".join(_written(tokens, config))


class Detokenizer:
    """Writes a line while its tokens come: what it has given out, no later token would change.

    tokens: those the line begins with, which are written already.
    """

    def __init__(self, config: TextConfig, tokens: Sequence[str] = ()) -> None:
        self._config = config
        self._tokens = list(tokens)
        self._given = len(self._tokens)

    def push(self, token: str) -> str:
        """Take the next token; the text that is certain now."""
        self._tokens.append(token)
        return self._give(_settled(self._tokens, self._config))

    def finish(self) -> str:
        """What is left of the line."""
        return self._give(len(self._tokens))

    def _give(self, until: int) -> str:
        if until <= self._given:
            return ""
        written = _written(self._tokens, self._config)[self._given : until]
        self._given = until
        return "".join(written)


def _settled(tokens: Sequence[str], config: TextConfig) -> int:
    """How many tokens are written in the same way however the line goes on.

    The last one never is, as it may be bound to the next; nor what follows an opening quotation mark that
    would be an apostrophe if no other came.
    """
    if config.tokenizer in ("char", "whitespace"):
        return len(tokens)
    opened = None
    for i in range(len(tokens) - 1):
        if tokens[i] == "'" and not _is_inside_word(tokens[i - 1] if i else "", tokens[i + 1]):
            opened = i if opened is None else None
    return len(tokens) - 1 if opened is None else opened


def _written(tokens: Sequence[str], config: TextConfig) -> list[str]:
    """Each token as it is written, with the space before it if there is one."""
    if config.tokenizer == "char":
        return list(tokens)
    if config.tokenizer == "whitespace":
        return [" " * (i > 0) + token for i, token in enumerate(tokens)]
    written = []
    space = ""
    for token, (joins_left, joins_right) in zip(tokens, _joints(tokens, config), strict=True):
        written.append(("" if joins_left else space) + {"``": '"', "''": '"'}.get(token, token))
        space = "" if joins_right else " "
    return written


def _joints(tokens: Sequence[str], config: TextConfig) -> Iterator[tuple[bool, bool]]:
    """For each token, whether it is written without a space before it and after it."""
    is_open = {'"': False, "'": False}
    left = {quote: tokens.count(quote) for quote in is_open}
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token in ("'", "’") and _is_inside_word(before, after):
            yield True, True
        elif token in is_open:
            is_closing = is_open[token] or (token == "'" and left[token] == 1)  # alone: the dogs' bowl
            is_open[token] = not is_closing
            yield is_closing, not is_closing
        elif (config.tokenizer == "word" or token == ":") and _binds(before, token, after):
            yield True, True
        else:
            joins_left = token in _CLOSING or token.lower().replace("’", "'") in _CLITICS
            joins_left = joins_left or (
                config.tokenizer == "nltk" and (before.lower(), token.lower()) in _SPLIT_WORDS
            )
            yield joins_left, token in _OPENING
        left[token] = left.get(token, 0) - 1


def _is_inside_word(before: str, after: str) -> bool:
    """Whether an apostrophe between these was inside a word: it ' s, l ' été."""
    return before.isalpha() and (
        "'" + after.lower() in _CLITICS or after == "t" or (len(before) == 1 and after.isalpha())
    )


def _binds(before: str, token: str, after: str) -> bool:
    """Whether `word` took one written thing apart here: 3.14, 10:30, 1,000, well-known, and/or."""
    if before[-1:].isdigit() and after[:1].isdigit():
        return token in (".", ":", "-", "–", "/") or (
            token == "," and re.match(r"\d{3}(?!\d)", after) is not None
        )
    return token in ("-", "/") and before[-1:].isalnum() and after[:1].isalnum()
