"""Counting and joining pairs of neighbors in plain Python."""

from itertools import pairwise

Text = list[list[int]]


def count_pairs(text: Text) -> dict[tuple[int, int], int]:
    """Count the pairs of neighbors inside sentences."""
    pairs = [pair for sentence in text for pair in pairwise(sentence)]
    return {pair: pairs.count(pair) for pair in sorted(set(pairs))}


def join_pairs(sentence: list[int], ids: dict[tuple[int, int], int]) -> list[int]:
    """Replace pairs by their ids, from left to right."""
    joined, at = list[int](), 0
    while at < len(sentence):
        first, *second = sentence[at : at + 2]
        pair = (first, second[0]) if second else None
        joined.append(ids.get(pair, first) if pair else first)
        at += 2 if pair in ids else 1
    return joined
