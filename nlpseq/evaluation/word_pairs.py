"""Evaluate vectors on word pairs that people scored for similarity or relatedness.

A file has a pair and a score a line, separated by tabs, commas (fields may be quoted) or spaces. Lines that
begin with # are comments, and a first line without a score is a heading. The score is the first number after
the two words. A column of line numbers before the words is skipped.
"""

import csv
import math
import shlex
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nlpseq.errors import DataError
from nlpseq.reading.encodings import marked_encoding, recognize
from nlpseq.vectors.vectors import Vectors

__all__ = [
    "Agreement", "Missing", "Pair", "evaluate_pairs", "find_form", "read_pairs", "read_text_lines",
]  # fmt: skip

Missing = Literal["skip", "zero"]


class Pair(NamedTuple):
    """Two words with the score of human judges."""

    a: str
    b: str
    score: float


class Agreement(NamedTuple):
    """Correlations of cosines and scores with two-sided p-values; NaN if too few pairs are known."""

    spearman: float
    spearman_p: float
    pearson: float
    pearson_p: float
    used: int  # pairs in the correlation
    oov: int  # pairs with an unknown word


def read_pairs(file: Path) -> list[Pair]:
    """Read the pairs of a file; raises DataError with the number of a malformed line."""
    lines = enumerate(read_text_lines(file), 1)
    try:
        rows = [
            (number, _fields(line)) for number, line in lines if line.strip() and not line.startswith("#")
        ]
    except csv.Error as error:
        raise DataError(f"{file}: cannot be read as CSV ({error}). Correct the file.") from error
    are_numbered = (
        len(rows) > 1
        and all(  # a number before two words and their score
            len(fields) > 3 and [_number(field) is None for field in fields[:3]] == [False, True, True]
            for _, fields in rows[1:]
        )
    )
    first = int(are_numbered)  # column of the pair
    pairs = list[Pair]()
    for row, (number, fields) in enumerate(rows):
        a, b, *rest = [*fields[first:], "", ""]
        score = next((value for field in rest if (value := _number(field)) is not None), None)
        if a and b and score is not None:
            pairs.append(Pair(a, b, score))
        elif row > 0:  # because row 0 may be a heading
            raise DataError(f"{file}: line {number} is not a word pair with a score. Correct the file.")
    if not pairs:
        raise DataError(f"{file}: holds no word pairs with a score. Name another file.")
    return pairs


def read_text_lines(file: Path) -> list[str]:
    """Read the lines of a UTF-8 text; raises DataError if the file is missing or not UTF-8."""
    try:
        data = file.read_bytes()
        return data.decode(marked_encoding(data) or "utf-8").removeprefix("\ufeff").splitlines()
    except FileNotFoundError:
        raise DataError(f"{file}: does not exist. Check its name.") from None
    except UnicodeDecodeError as error:
        line, likely = data.count(b"\n", 0, error.start) + 1, recognize(data) or "ENCODING"
        raise DataError(
            f"{file}: line {line}, byte {error.start} is invalid in {error.encoding}. "
            f"Convert the file: iconv -f {likely} -t utf-8 {shlex.quote(str(file))} > NEW"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as text ({error}). Name another file.") from error


def _fields(line: str) -> list[str]:
    if "\t" in line:
        fields = line.split("\t")
    elif "," in line:
        fields = next(csv.reader([line], skipinitialspace=True))
    else:
        fields = line.split()
    return [field.strip() for field in fields]


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def evaluate_pairs(vectors: Vectors, pairs: list[Pair], missing: Missing = "skip") -> Agreement:
    """Compute Spearman's and Pearson's correlation of cosines with scores.

    A word is looked up as written, then in lower case. Pairs with an unknown word are counted as oov, and
    left out or, with missing="zero", given the cosine 0.
    """
    from scipy import stats

    cosines = list[float | None]()
    for pair in pairs:
        a, b = (find_form(vectors, word) for word in (pair.a, pair.b))
        cosines.append(None if a is None or b is None else vectors.similarity(a, b))
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


def find_form(vectors: Vectors, word: str) -> str | None:
    """Return the form in the vocabulary, as Vectors.find or in lower case.

    None if both are unknown, or the training text does not have the word.
    """
    forms, vocab = (vectors.find(word), vectors.vocab.find(word.lower())), vectors.vocab
    return next((each for each in forms if each is not None and vocab.counts[vocab.ids[each]]), None)
