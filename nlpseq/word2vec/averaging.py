"""Average vectors over the texts of a continued training, so that a text does not displace the earlier ones.

Training on one text after another goes on with the last weights. Vectors that were just trained fit the last
text too well, so the result is the mean of the last weights after each text (Polyak & Juditsky 1992,
doi:10.1137/0330046). Later texts weigh more, because their weights have seen more text (Shamir & Zhang 2013,
arXiv:1212.1824): of equal texts the k-th has weight k. The mean is computed text by text:

    mean += w (last - mean),    w = 2 share / (1 + share)

`share` is the share of the new text in all occurrences of a word so far. So a new word begins with w = 1, and
a word that the text lacks keeps its mean. For rows of n-grams, it is the share of the text in all tokens.

Letters: V words, B buckets, R rows, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.vectors.lazy_rows import row_blocks

__all__ = ["Means", "average", "shares_of_words"]

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]


class Means(NamedTuple):
    """Means over the earlier texts, rows of the present vocabulary; a row of zeros for no mean."""

    words_VD: Any
    out_VD: Any
    ngrams_BD: Any = None


def shares_of_words(new_V: Counts, joint_V: Counts, share: float) -> npt.NDArray[np.float64]:
    """Return the share of the new text in the occurrences of each word, (V,).

    new_V: counts in the new text. joint_V: counts in all texts, -1 if unknown. share: of the new text in all
    tokens, for words of unknown count.
    """
    share_V = np.where(new_V > 0, share, 0.0)
    np.divide(new_V, joint_V, out=share_V, where=joint_V > 0)
    return share_V


def average(mean_RD: Floats, last_RD: Floats, share_R: npt.NDArray[np.float64]) -> Floats:
    """Return the mean after a new text, (R, D), in the memory of mean_RD."""
    weight_R = (2 * share_R / (1 + share_R)).astype(np.float32)
    for block in row_blocks(len(mean_RD)):
        mean_BD = mean_RD[block]
        has_mean_B = mean_BD.any(axis=1)
        weight_B = np.where(has_mean_B, weight_R[block], np.float32(1))
        mean_BD += weight_B[:, None] * (last_RD[block] - mean_BD)
    return mean_RD
