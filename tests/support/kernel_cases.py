"""Make settings, odd sizes, a small text and weights, to compare kernels with the specification."""

import numpy as np

from nlpseq.config import Ngrams, Word2VecConfig
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.vectors.subwords import word_bags
from nlpseq.word2vec.kernels.select import LANES, padded
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, alias_table

VARIANTS = {
    "skipgram-window": Word2VecConfig(objective="skipgram"),
    "skipgram-pair": Word2VecConfig(objective="skipgram", share_negatives="pair"),
    "cbow-corrected": Word2VecConfig(objective="cbow", cbow_update="corrected"),
    "cbow-legacy": Word2VecConfig(objective="cbow", cbow_update="legacy"),
}
# A kernel is compiled for each variant, padded D, K and window: other tests reuse the sizes here if they can.
SIZES = [(7, 5, 3, 2), (50, 17, 5, 5)]  # V, D, K, window
CASES = [(variant, size) for variant in VARIANTS for size in SIZES]
CASES += [("skipgram-window", (2, 1, 1, 1))]
CASES += [(variant, (60, 33, 13, 9)) for variant in ("skipgram-pair", "cbow-legacy")]
LENGTHS = [1, 3, 40, 1, 2, 100, 7]  # tokens of each sentence


BUCKETS = 5  # few, so that n-grams of a word share rows
SPELLINGS = ["a", "", "hahaha", "강아지", "</s>", "the", "other"]  # one letter, no n-gram, repeated n-grams


def make_tables(num_words: int, dtype: type = np.uint16, *, subwords: bool = False) -> Tables:
    """Return a random text with its tables; ids from num_words up are unknown."""
    rng = np.random.default_rng(num_words)
    sentences = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    tokens = rng.integers(0, num_words + 1, sentences[-1]).astype(dtype)  # num_words is <unk>
    tokens[60:90] = num_words  # unknown words, more than a span
    counts = np.bincount(tokens, minlength=num_words + 1)[:num_words] + 1
    tokens.flags.writeable = sentences.flags.writeable = False  # like mapped files
    words = (SPELLINGS + [f"word{number}" for number in range(num_words)])[:num_words]
    bags = word_bags(words, Ngrams(3, 4), BUCKETS) if subwords else None
    return Tables(tokens, sentences, keep_thresholds(counts, 0.3), alias_table(counts**0.75), bags)


def make_weights(num_words: int, dim: int, lanes: int = LANES, *, buckets: int = 0) -> Weights:
    """Return random weights with padded rows."""
    rng = np.random.default_rng(dim)
    sizes = (num_words + buckets, num_words)
    weights = Weights(*(np.zeros((size, padded(dim, lanes)), np.float32) for size in sizes))
    for weight in weights:
        weight[:, :dim] = rng.normal(size=(len(weight), dim))
    return weights
