"""Random vectors for tests of evaluation."""

import numpy as np

from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors

__all__ = ["random_model"]


def random_model(num_words=60, dim=8, seed=0):
    """Return normally distributed vectors of the words w0, w1, ..."""
    rng = np.random.default_rng(seed)
    words = Vocab([f"w{v}" for v in range(num_words)], np.arange(num_words, 0, -1))
    return Vectors(words, rng.normal(size=(num_words, dim)).astype(np.float32))
