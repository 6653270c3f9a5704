"""Evaluate vectors on word pairs that people scored for similarity or relatedness.

A file has a pair and a score a line; see files.py for separators, quotes and line numbers. The score is the
first number after the two words; 7.35 may be written 7,35. Lines that begin with # are comments. A first line
that is no pair and does not end in a number is a heading. In a file with spaces as separators only numbers
may follow the two words, because nothing tells a phrase such as `ice cream` from two words.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlpseq.core.resources import count_text
from nlpseq.errors import DataError
from nlpseq.evaluation.files import (
    SPACE,
    Line,
    Missing,
    Unused,
    arrange,
    number_in,
    read_lines,
    split_comments,
    word_finder,
)
from nlpseq.vectors.vectors import Vectors

__all__ = [
    "DECIMAL_COMMA",
    "HEADING",
    "TOO_MANY_WORDS",
    "Agreement",
    "Pair",
    "PairFile",
    "evaluate_pairs",
    "read_pairs",
]

COMMA = ","
DECIMAL_COMMA = "two whole numbers, perhaps a score with a decimal comma"
HEADING, TOO_MANY_WORDS = "heading", "too many words"
MIN_PAIRS = 3  # of a correlation


class Pair(NamedTuple):
    """Two words with the score of human judges."""

    a: str
    b: str
    score: float


class PairFile(NamedTuple):
    """Content of a file of word pairs."""

    pairs: list[Pair]
    unused: Unused


class Agreement(NamedTuple):
    """Correlations of cosines and scores with two-sided p-values; NaN if undefined."""

    spearman: float
    spearman_p: float
    pearson: float
    pearson_p: float
    used: int  # pairs in the correlation
    oov: int  # pairs with a word that has no vector
    reason: str | None  # why the correlations are undefined


def read_pairs(file: Path) -> PairFile:
    """Read the pairs of a file; raises DataError if there are none."""
    lines, comments = split_comments(read_lines(file))
    items, unused = arrange(lines, _reason_without_pair)
    if lines:
        unused = _with_heading(unused, lines[0])
    if not items:
        found = ", ".join(f"{reason} (line {of[0].number})" for reason, of in unused.items())
        raise DataError(
            f"{file}: holds no word pairs with a score{found and ', but ' + found}. Name another file, or "
            "write two words and a number on each line, separated by tabs."
        )
    return PairFile([_pair(fields) for _, fields in items], comments | unused)


def _reason_without_pair(fields: Sequence[str], separator: str) -> str | None:
    """Return the reason why fields are no pair with a score, None if they are."""
    numbers = [number_in(field) for field in fields[2:]]
    if len(fields) < 2 or not (fields[0] and fields[1]):
        return "fewer than two words"
    if all(number is None for number in numbers):
        return "no score"
    if separator == COMMA and len(fields) == 4 and all(map(str.isdigit, fields[2:])):
        return DECIMAL_COMMA
    return TOO_MANY_WORDS if separator == SPACE and None in numbers else None


def _pair(fields: Sequence[str]) -> Pair:
    score = next(number for field in fields[2:] if (number := number_in(field)) is not None)
    return Pair(fields[0], fields[1], score)


def _with_heading(unused: Unused, first: Line) -> Unused:
    """Return unused lines with the first line of a file as a heading, unless it ends in a number."""
    last = re.split(r"[\s,;]", first.text.strip())[-1].strip('"')
    if number_in(last) is not None or not any(lines[0] == first for lines in unused.values()):
        return unused
    rest = {reason: [line for line in lines if line != first] for reason, lines in unused.items()}
    return {HEADING: [first]} | {reason: lines for reason, lines in rest.items() if lines}


def evaluate_pairs(vectors: Vectors, pairs: Sequence[Pair], missing: Missing = "skip") -> Agreement:
    """Compute Spearman's and Pearson's correlation of cosines with scores.

    A word is looked up as written, then in lower case; an unseen word gets the vector of its n-grams, if the
    vectors have subwords. Pairs with a word that has no vector are counted as oov, and left out or, with
    missing="zero", given the cosine 0.
    """
    from scipy import stats

    find = word_finder(vectors)
    both, oov = list[tuple[float, float]](), 0
    for pair in pairs:
        a, b = find(pair.a), find(pair.b)
        if a is not None and b is not None:
            both.append((vectors.similarity(a, b), pair.score))
            continue
        oov += 1
        if missing == "zero":
            both.append((0.0, pair.score))
    if reason := _reason_undefined(both):
        nan = math.nan
        return Agreement(nan, nan, nan, nan, len(both), oov, reason)
    found, scores = zip(*both, strict=True)
    spearman, pearson = stats.spearmanr(found, scores), stats.pearsonr(found, scores)
    return Agreement(
        spearman=float(spearman.statistic),
        spearman_p=float(spearman.pvalue),
        pearson=float(pearson.statistic),
        pearson_p=float(pearson.pvalue),
        used=len(both),
        oov=oov,
        reason=None,
    )


def _reason_undefined(both: Sequence[tuple[float, float]]) -> str | None:
    """Return the reason why cosines and scores have no correlation, None if they have."""
    if len(both) < MIN_PAIRS:
        return f"{count_text(len(both), 'pair')} used, and a correlation needs {MIN_PAIRS}"
    cosines, scores = zip(*both, strict=True)
    if np.ptp(scores) == 0:
        return "all scores are equal"
    return "all cosines are equal" if np.ptp(cosines) == 0 else None
