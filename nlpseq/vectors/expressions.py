"""Expressions of words with weights, such as `king - man + 2*woman` and `"new york" - city`.

    expression = [sign] term {sign term}
    sign       = "+" | "-"
    term       = [number "*"] (word | quoted)

Signs stand between spaces, so that a word may hold or begin with any sign. A quoted text may hold spaces,
and "" for a quotation mark.
"""

import math
import re
from typing import NamedTuple

from nlpseq.errors import ConfigError

__all__ = ["Term", "parse_expression", "spaced_signs"]

_ITEM = re.compile(
    r"""(?P<sign>[+-])(?=[ \t\r\n]|$)
    | (?:(?P<weight>[^ \t\r\n*"]*)\*)?
      (?:"(?P<quoted>(?:[^"]|"")*)"(?=[ \t\r\n]|$) | (?P<word>[^ \t\r\n]*))""",
    re.VERBOSE,
)
_SPACES = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_EXAMPLE = "Write words with + and - between, such as `king - man + 2*woman`."


class Term(NamedTuple):
    """A word or a quoted text with its weight."""

    weight: float
    text: str
    is_quoted: bool = False


def spaced_signs(term: Term) -> str | None:
    """Return a word with spaces around the signs in it, or None for a word without signs."""
    spaced = re.sub(r"(?<=.)\s*([+-])\s*", r" \1 ", term.text)
    return None if term.is_quoted or spaced == term.text else spaced


def parse_expression(expression: str) -> list[Term]:
    """Return the terms of an expression; raises ConfigError unless it follows the grammar above."""
    terms, sign, place = list[Term](), "+", _SPACES.match(expression).end()  # type: ignore[union-attr]
    expects_term = False  # because the first sign may be left out
    while place < len(expression):
        item = _ITEM.match(expression, place)
        assert item is not None
        if item["sign"] and not expects_term:
            sign, expects_term = item["sign"], True
        elif terms and not expects_term:
            raise ConfigError(
                f"expression: {item[0]} is not + or -. Put + or - between words, or quotation marks around a "
                f'phrase, "{terms[-1].text} {item[0]}".'
            )
        else:
            terms.append(_term(sign, item))
            expects_term = False
        place = _SPACES.match(expression, item.end()).end()  # type: ignore[union-attr]
    if expects_term or not terms:
        problem = f"ends with {sign}" if expects_term else "is empty"
        raise ConfigError(f"expression: {problem}. {_EXAMPLE}")
    _check_repetition(terms)
    return terms


def _term(sign: str, item: re.Match[str]) -> Term:
    """Return the term of a match."""
    if item["sign"]:
        raise ConfigError(
            f"expression: {item[0]} stands where a word is expected. Put quotation marks around a sign that "
            f'is a word, "{item[0]}".'
        )
    weight = 1.0
    if item["weight"] is not None:
        weight = float(item["weight"]) if _NUMBER.fullmatch(item["weight"]) else math.nan
        if not math.isfinite(weight):
            raise ConfigError(
                f"expression: the weight of {item[0]} is not a finite number. Write `2*king`, or quotation "
                f'marks around a word that holds *, "{item[0]}".'
            )
    is_quoted = item["quoted"] is not None
    text = item["quoted"].replace('""', '"') if is_quoted else item["word"]
    if not text:
        raise ConfigError(f"expression: {item[0]} has no word. {_EXAMPLE}")
    return Term(-weight if sign == "-" else weight, text, is_quoted)


def _check_repetition(terms: list[Term]) -> None:
    """Raise ConfigError if a word or phrase occurs twice."""
    seen = set[str]()
    for term in terms:
        if term.text in seen:
            raise ConfigError(
                f"expression: {term.text} occurs twice. Name it once, with a weight: `2*{term.text}`."
            )
        seen.add(term.text)
