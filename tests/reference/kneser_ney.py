"""Interpolated modified Kneser-Ney in plain loops."""

from collections import Counter
from collections.abc import Sequence
from math import log

__all__ = ["KneserNey", "estimate_discounts"]

Text = Sequence[Sequence[int]]  # sentences of ids
Gram = tuple[int, ...]

START = -1  # padding before a sentence


class KneserNey:
    """A model of sentences of ids, of which num_entries - 1 is <eos>."""

    def __init__(self, text: Text, num_entries: int, order: int) -> None:
        self.num_entries = num_entries
        self.uniform = 1 / num_entries
        self.order = order
        padded = [[START, *words, num_entries - 1] for words in text]
        seen = [
            Counter(
                tuple(words[end - length : end])
                for words in padded
                for end in range(2, len(words) + 1)  # because the start is never predicted
                if end >= length
            )
            for length in range(order + 2)
        ]
        self.counts = [
            {gram: self.count(gram, seen, length) for gram in seen[length]} for length in range(order + 1)
        ]
        self.tables = [estimate_discounts(list(counts.values())) for counts in self.counts]

    def count(self, gram: Gram, seen: list[Counter[Gram]], length: int) -> int:
        """Count occurrences at the highest order or sentence start, else preceding words."""
        if length == self.order or gram[:1] == (START,):
            return seen[length][gram]
        return sum(longer[1:] == gram for longer in seen[length + 1])

    def prob(self, word: int, history: Gram, length: int) -> float:
        """Return the probability of a word after the last length - 1 words of history."""
        if length == 0:
            return self.uniform
        context = history[len(history) - length + 1 :]
        lower = self.prob(word, history, length - 1)
        counts = [self.counts[length].get((*context, v), 0) for v in range(self.num_entries)]
        taken = [self.tables[length][min(count, 3)] for count in counts]
        if not sum(counts):
            return lower
        return (counts[word] - taken[word] + sum(taken) * lower) / sum(counts)

    def log_probs(self, text: Text) -> list[float]:
        """Return the log-probability of every word and <eos>."""
        found = []
        for words in text:
            history: Gram = (START,)
            for word in (*words, self.num_entries - 1):
                found.append(log(self.prob(word, history, min(self.order, len(history) + 1))))
                history = (*history, word)
        return found


def estimate_discounts(counts: list[int]) -> list[float]:
    """Return the discounts of counts 0, 1, 2, and 3 or more."""
    n = [counts.count(times) for times in range(5)]
    if n[1] and n[2] and n[3]:
        share = n[1] / (n[1] + 2 * n[2])
        estimates = [times - (times + 1) * share * n[times + 1] / n[times] for times in (1, 2, 3)]
        if min(estimates) > 0:
            return [0, *estimates]
    return [0, 0.5, 1, 1.5]
