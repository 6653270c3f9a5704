"""Plain ranking of words by cosine, and the plain meaning of an expression."""

import math
from collections.abc import Collection, Mapping, Sequence

Vector = Sequence[float]

__all__ = ["cosine", "direction", "mean", "ranked", "value_of"]


def cosine(a: Vector, b: Vector) -> float:
    """Return the cosine with exact sums."""
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths


def direction(a: Vector) -> list[float]:
    length = math.sqrt(math.fsum(x * x for x in a))
    return [x / length for x in a]


def mean(vectors: Sequence[Vector]) -> list[float]:
    return [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def ranked(
    words: Mapping[str, Vector], question: Vector, excluded: Collection[str], top: int
) -> list[tuple[str, float]]:
    """Return the `top` words with the highest cosine, ties in the order of the words."""
    scores = {
        word: cosine(question, vector)
        for word, vector in words.items()
        if word not in excluded and any(vector)
    }
    return sorted(scores.items(), key=lambda item: -round(item[1], 10))[:top]  # stable


def value_of(words: Mapping[str, Vector], terms: Sequence[tuple[float, Sequence[str]]]) -> list[float]:
    """Return the sum of terms: a weight times the mean of the directions of some words."""
    parts = [
        [weight * x for x in mean([direction(words[word]) for word in group])] for weight, group in terms
    ]
    return [math.fsum(column) for column in zip(*parts, strict=True)]
