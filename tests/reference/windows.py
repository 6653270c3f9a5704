"""Form the windows of word2vec in plain loops: the specification of word2vec/sampling.py."""

from nlpseq.core.counter_rng import Stream, random_bits
from nlpseq.word2vec.sampling import Tables


def window_pairs(tables: Tables, seed: int, window: int, start: int, stop: int) -> list[tuple[int, ...]]:
    """Return (centre, its position, context, slot) of every pair whose centre is in start..stop."""
    pairs = []
    for first, last in zip(tables.sentences[:-1], tables.sentences[1:], strict=True):
        kept = [
            pos
            for pos in range(first, last)
            if tables.tokens[pos] < len(tables.keep_V)
            and random_bits(seed, Stream.KEEP, 0, pos) >> 32 <= tables.keep_V[tables.tokens[pos]]
        ]
        for i, pos in enumerate(kept):
            width = 1 + ((random_bits(seed, Stream.WIDTH, 0, pos) >> 32) * window >> 32)
            for j in range(max(i - width, 0), min(i + width + 1, len(kept))):
                if j != i and start <= pos < stop:
                    slot = j - i + window - (j > i)
                    pairs.append((int(tables.tokens[pos]), pos, int(tables.tokens[kept[j]]), slot))
    return pairs
