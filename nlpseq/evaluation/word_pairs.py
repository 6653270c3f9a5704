"""Word pairs that people have scored: how well cosines agree with them.

A file has a pair and a score a line, parted by tabs, commas (fields may be quoted) or spaces; lines that
begin with # are remarks, and a first line without a score is a heading. The score is the first number behind
the two words. A column of numbers before the words is passed over.
"""

import csv
import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nlpseq.errors import DataError
from nlpseq.vectors.vectors import Vectors

Missing = Literal["skip", "zero"]


class Pair(NamedTuple):
    """Two words, and how alike people found them."""

    a: str
    b: str
    score: float


class Agreement(NamedTuple):
    """Correlations of cosines and scores with their two-sided p-values, NaN where too few pairs are known."""

    spearman: float
    spearman_p: float
    pearson: float
    pearson_p: float
    used: int  # pairs in the correlation
    oov: int  # pairs with a word the vectors do not have


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a file. Raises DataError, naming the line, where it holds anything else."""
    lines = enumerate(read_lines(file), 1)
    try:
        rows = [
            (number, _fields(line)) for number, line in lines if line.strip() and not line.startswith("#")
        ]
    except csv.Error as error:
        raise DataError(f"{file} cannot be read as CSV ({error}). Correct the file.") from error
    first = int(len(rows) > 1 and all(_is_numbered(fields) for _, fields in rows[1:]))
    pairs = list[Pair]()
    for place, (number, fields) in enumerate(rows):
        pair = _pair(fields[first:])
        if pair is not None:
            pairs.append(pair)
        elif place > 0:
            raise DataError(f"{file}, line {number}, is no pair of words with a score. Correct the file.")
    if not pairs:
        raise DataError(f"{file} holds no pairs of words with a score. Name another file.")
    return pairs


def read_lines(file: Path) -> list[str]:
    """The lines of a text in UTF-8; DataError where it is none."""
    try:
        return file.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(f"{file} does not exist. Check its name.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as text ({error}). Name another file.") from error


def _fields(line: str) -> list[str]:
    if "\t" in line:
        fields = line.split("\t")
    elif "," in line:
        fields = next(csv.reader([line], skipinitialspace=True))
    else:
        fields = line.split()
    return [field.strip() for field in fields]


def _is_numbered(fields: list[str]) -> bool:
    """Whether a number stands before two words and their score."""
    kinds = [_number(field) is None for field in fields[:3]]
    return len(fields) > 3 and kinds == [False, True, True]


def _pair(fields: list[str]) -> Pair | None:
    score = next((value for field in fields[2:] if (value := _number(field)) is not None), None)
    if score is None or not all(fields[:2]):
        return None
    return Pair(fields[0], fields[1], score)


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def evaluate_pairs(vectors: Vectors, pairs: list[Pair], missing: Missing = "skip") -> Agreement:
    """Spearman's and Pearson's correlation of cosines with scores.

    A word is looked up as it stands and then in lower case. Pairs with an unknown word are counted, and
    either left out or, with missing="zero", taken to have the cosine 0.
    """
    from scipy import stats

    cosines = [_cosine(vectors, pair) for pair in pairs]
    oov = sum(cosine is None for cosine in cosines)
    both = [
        (cosine or 0.0, pair.score)
        for cosine, pair in zip(cosines, pairs, strict=True)
        if cosine is not None or missing == "zero"
    ]
    if len(both) < 3 or any(np.ptp(column) == 0 for column in zip(*both, strict=True)):
        nan = math.nan
        return Agreement(nan, nan, nan, nan, len(both), oov)
    found, scores = zip(*both, strict=True)
    spearman, pearson = stats.spearmanr(found, scores), stats.pearsonr(found, scores)
    return Agreement(
        spearman=float(spearman.statistic),
        spearman_p=float(spearman.pvalue),
        pearson=float(pearson.statistic),
        pearson_p=float(pearson.pvalue),
        used=len(both),
        oov=oov,
    )


def _cosine(vectors: Vectors, pair: Pair) -> float | None:
    a, b = (found_as(vectors, word) for word in (pair.a, pair.b))
    return None if a is None or b is None else vectors.similarity(a, b)


def found_as(vectors: Vectors, word: str) -> str | None:
    """The word as the vectors have it: as it stands, or in lower case."""
    return next((form for form in (word, word.lower()) if form in vectors.vocab), None)
