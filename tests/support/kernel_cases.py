"""Make settings, odd sizes, a small text and weights, to compare kernels with the specification."""

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.subsample import keep_thresholds
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


def make_tables(num_words: int, dtype: type = np.uint16) -> Tables:
    """Return a random text with its tables; ids from num_words up are unknown."""
    rng = np.random.default_rng(num_words)
    sentences = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    tokens = rng.integers(0, num_words + 1, sentences[-1]).astype(dtype)  # num_words is <unk>
    tokens[60:90] = num_words  # unknown words, more than a span
    counts = np.bincount(tokens, minlength=num_words + 1)[:num_words] + 1
    tokens.flags.writeable = sentences.flags.writeable = False  # like mapped files
    return Tables(tokens, sentences, keep_thresholds(counts, 0.3), alias_table(counts**0.75))


def make_weights(num_words: int, dim: int, lanes: int = LANES) -> Weights:
    """Return random weights with padded rows."""
    rng = np.random.default_rng(dim)
    weights = Weights(*(np.zeros((num_words, padded(dim, lanes)), np.float32) for _ in range(2)))
    for weight in weights:
        weight[:, :dim] = rng.normal(size=(num_words, dim))
    return weights
