"""Tokens back to text: a whole line, or token by token during generation."""

import codecs
import re
from collections.abc import Iterator, Sequence

from nlpseq.config import TextConfig
from nlpseq.config.text import KOREAN
from nlpseq.errors import DataError
from nlpseq.tokenizers.bpe import BPE
from nlpseq.tokenizers.korean import space_before

__all__ = ["Detokenizer", "detokenize"]

_CLOSING = frozenset(".,;:!?)]}%’”»…、。，．！？；：）」』】") | {"...", "''"}  # no space before
_OPENING = frozenset("([{$£€¥₩#@‘“«„¿¡（「『【") | {"``"}  # no space after
_CLITICS = frozenset(["n't", "'s", "'m", "'d", "'re", "'ve", "'ll"])
_SPLIT_WORDS = frozenset(
    {("can", "not"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("wan", "na")}
)


def detokenize(tokens: Sequence[str], config: TextConfig, bpe: BPE | None = None) -> str:
    """Write the tokens of one line as text, with punctuation spaced as in prose.

    bpe: of the vocabulary, needed for tokens of `bpe`.
    Exact for `char`, and for `bpe` with valid UTF-8; other bytes become U+FFFD. For other tokenizers
    white space is a guess, and text dropped by `tokenize` stays lost. Written morphemes of Korean are spaced
    by Kiwi. Raises MissingExtra, and DataError for `bpe` without its tokenizer.
    """
    _require_bpe(config, bpe)
    if bpe:
        return b"".join(map(bpe.token_bytes, tokens)).decode(errors="replace")
    return "".join(_written(tokens, config))


class Detokenizer:
    """Write a line token by token; no later token changes text returned before.

    tokens: the beginning of the line, already written. bpe: of the vocabulary, needed for tokens of `bpe`.
    """

    def __init__(self, config: TextConfig, tokens: Sequence[str] = (), bpe: BPE | None = None) -> None:
        _require_bpe(config, bpe)
        self._config, self._bpe = config, bpe
        self._tokens = list(tokens)
        self._num_written = len(self._tokens)
        self._decoder = None
        if bpe:  # which holds back the first bytes of a character
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            self._decoder.decode(b"".join(map(bpe.token_bytes, tokens)))

    def push(self, token: str | None) -> str:
        """Add a token, or None at the end; return the text that no later token can change."""
        if self._bpe and self._decoder:
            return self._decoder.decode(self._bpe.token_bytes(token or ""), token is None)
        until = len(self._tokens)
        if token is not None:
            self._tokens.append(token)
            until = _num_final(self._tokens, self._config)
        if until <= self._num_written:
            return ""
        written = _written(self._tokens, self._config)[self._num_written : until]
        self._num_written = until
        return "".join(written)


def _require_bpe(config: TextConfig, bpe: BPE | None) -> None:
    if config.tokenizer_kind == "bpe" and bpe is None:
        raise DataError("tokenizer bpe: has no tokenizer.json. Give bpe=, such as bpe=vocab.bpe of a result.")


def _num_final(tokens: Sequence[str], config: TextConfig) -> int:
    """Count the first tokens whose text no later token can change.

    The last token may join the next. A single quote may still turn out to be an apostrophe, and with it the
    spaces after it may change.
    """
    if config.tokenizer in ("char", "whitespace"):
        return len(tokens)
    if _is_spaced_by_kiwi(config):  # from the whole line
        return 0
    opened = None
    for i in range(len(tokens) - 1):
        if tokens[i] == "'" and not _is_inside_word(tokens[i - 1] if i else "", tokens[i + 1]):
            opened = i if opened is None else None
    return len(tokens) - 1 if opened is None else opened


def _written(tokens: Sequence[str], config: TextConfig) -> list[str]:
    """Return the text of each token, with the space before it if any."""
    if config.tokenizer == "char":
        return list(tokens)
    if config.tokenizer == "whitespace":
        return [" " * (i > 0) + token for i, token in enumerate(tokens)]
    spaces, may_follow = list[bool](), False
    for joins_left, joins_right in _joins(tokens, config):
        spaces.append(may_follow and not joins_left)
        may_follow = not joins_right
    if _is_spaced_by_kiwi(config):
        spaces = space_before(tokens, spaces, config)
    quotes = {"``": '"', "''": '"'}
    return [" " * space + quotes.get(token, token) for space, token in zip(spaces, tokens, strict=True)]


def _is_spaced_by_kiwi(config: TextConfig) -> bool:
    """Return True if the tokens are the whole text in pieces, written morphemes of Korean."""
    return config.tokenizer in KOREAN and config.morphemes == "written" and config.pos is None


def _joins(tokens: Sequence[str], config: TextConfig) -> Iterator[tuple[bool, bool]]:
    """Yield (joins_left, joins_right) for each token: no space before, no space after."""
    is_open = {'"': False, "'": False}
    left = {quote: tokens.count(quote) for quote in is_open}
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token in ("'", "’") and _is_inside_word(before, after):
            yield True, True
        elif token in is_open:
            is_closing = is_open[token] or (token == "'" and left[token] == 1)  # single: the dogs' bowl
            is_open[token] = not is_closing
            yield is_closing, not is_closing
        elif (config.tokenizer in ("word", *KOREAN) or token == ":") and _is_compound(before, token, after):
            yield True, True
        else:
            joins_left = token in _CLOSING or token.lower().replace("’", "'") in _CLITICS
            joins_left = joins_left or (
                config.tokenizer == "nltk" and (before.lower(), token.lower()) in _SPLIT_WORDS
            )
            yield joins_left, token in _OPENING
        left[token] = left.get(token, 0) - 1


def _is_inside_word(before: str, after: str) -> bool:
    """Return True if an apostrophe between two tokens belongs inside a word: it ' s, l ' été."""
    return before.isalpha() and (
        "'" + after.lower() in _CLITICS or after == "t" or (len(before) == 1 and after.isalpha())
    )


def _is_compound(before: str, token: str, after: str) -> bool:
    """Return True if the tokens were written together: 3.14, 10:30, 1,000, well-known, and/or."""
    if before[-1:].isdigit() and after[:1].isdigit():
        return token in (".", ":", "-", "–", "/") or (
            token == "," and re.match(r"\d{3}(?!\d)", after) is not None
        )
    return token in ("-", "/") and before[-1:].isalnum() and after[:1].isalnum()
