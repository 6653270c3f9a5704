"""Compute PPMI pair by pair: the specification of counts/ppmi.py."""

import math
from collections import defaultdict
from collections.abc import Mapping

from nlpseq.config import PPMIConfig

Pair = tuple[int, int]


def ppmi(counts: Mapping[Pair, float], config: PPMIConfig) -> dict[Pair, float]:
    """Return the PPMI of each pair by the formula. Pairs below min_pairs are dropped first."""
    pairs = {pair: count for pair, count in counts.items() if count >= config.min_pairs}
    word, context = defaultdict[int, float](float), defaultdict[int, float](float)
    for (w, c), count in pairs.items():
        word[w] += count
        context[c] += count
    smoothed = {c: count**config.smoothing for c, count in context.items()}
    total = sum(smoothed.values())
    values = {
        (w, c): math.log(count * total / (word[w] * smoothed[c])) - math.log(config.shift)
        for (w, c), count in pairs.items()
    }
    return {pair: value for pair, value in values.items() if value > 0}
