"""Count co-occurrences in plain loops: the specification of counts/cooccurrence.py."""

from collections import defaultdict
from itertools import pairwise

from nlpseq.config import CooccurrenceConfig
from nlpseq.core.counter_rng import Stream, random_bits
from nlpseq.counts.cooccurrence import UNIT, Text

Counts = dict[tuple[int, int], float]


def count_pairs(text: Text, config: CooccurrenceConfig) -> Counts:
    """Return the count of every (centre word, context word) that occurs.

    Unknown words and tokens dropped by subsampling are removed first, so a window reaches over them. A window
    never reaches into another sentence.
    """
    stream = [int(token) for token in text.tokens]

    def is_kept(pos: int) -> bool:
        word_id = stream[pos]
        if word_id >= len(text.keep_V):
            return False
        return random_bits(config.seed, Stream.KEEP, 0, pos) >> 32 <= text.keep_V[word_id]

    sums = defaultdict[tuple[int, int], int](int)
    for start, stop in pairwise(text.sentences.tolist()):
        words = [stream[pos] for pos in range(start, stop) if is_kept(pos)]
        for i, centre in enumerate(words):
            for j, context in enumerate(words):
                on_side = {"left": j < i, "right": j > i, "symmetric": j != i}
                if on_side[config.side] and abs(j - i) <= config.window:
                    sums[centre, context] += UNIT // abs(j - i) if config.weighting == "harmonic" else UNIT
    return {pair: total / UNIT for pair, total in sorted(sums.items())}
