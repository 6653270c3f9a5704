"""Average vectors over the texts of a continued training, so that a text does not displace the earlier ones.

Training on one text after another goes on with the last weights. Vectors that were just trained fit the last
text too well, so the result is a mean of the last weights after each text (Polyak & Juditsky 1992,
doi:10.1137/0330046). Later texts weigh more, because their weights have seen more text (Shamir & Zhang 2013,
arXiv:1212.1824): the weight of a text is its number of tokens times that of all texts so far, so the k-th of
equal texts has weight k. The vector of a word is the mean over the texts that have the word:

    mean += w (last - mean),    w = weight of the text / sum of the weights of the texts with the word

So a new word begins with w = 1, and a word that the text lacks keeps its mean. The sums are stored.
Rows of n-grams have the largest of these sums, because every text has the most frequent words.

Letters: V words, B buckets, R rows, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.vectors.lazy_rows import row_blocks

__all__ = ["Means", "average", "shares_of_text"]

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


class Means(NamedTuple):
    """Means over the earlier texts, rows of the present vocabulary; a row of zeros for no mean."""

    words_VD: Any
    out_VD: Any
    sum_V: Any  # float64, sum of the weights of the texts that have the word
    ngrams_BD: Any = None


def shares_of_text(new_V: Counts, sum_V: Doubles, weight: float) -> tuple[Doubles, Doubles]:
    """Return the share of a text in the mean of each word, and the sums of weights with this text, both (V,).

    new_V: counts in the text. sum_V: sums of the weights of the earlier texts. weight: of the text.
    """
    has_V = new_V > 0
    after_V = sum_V + weight * has_V
    return weight * has_V / np.maximum(after_V, weight), after_V


def average(mean_RD: Floats, last_RD: Floats, share_R: Doubles) -> Floats:
    """Return the mean after a text, (R, D), in the memory of mean_RD; share_R: of the text in the mean."""
    for block in row_blocks(len(mean_RD)):
        mean_BD = mean_RD[block]
        has_mean_B = mean_BD.any(axis=1)
        share_B = np.where(has_mean_B, share_R[block], 1.0).astype(np.float32)
        mean_BD += share_B[:, None] * (last_RD[block] - mean_BD)
    return mean_RD
