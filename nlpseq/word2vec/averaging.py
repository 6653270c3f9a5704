"""Average vectors over the texts of a continued training, so that a text does not displace the earlier ones.

Training on one text after another goes on with the last weights, at the usual rate. Vectors that were just
trained fit the last text too well, so the result is the mean of the last weights after each text (Polyak &
Juditsky 1992, doi:10.1137/0330046). Later texts weigh more, as their vectors know more (Shamir & Zhang 2013,
arXiv:1212.1824): of equal texts the k-th has weight k. The mean is computed text by text:

    mean += w (last - mean),    w = 2 share / (1 + share)

`share` is the share of the new text in all tokens so far. A new word begins with w = 1.

Letters: R rows, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.vectors.lazy_rows import row_blocks

__all__ = ["Means", "average", "weight_of_new"]

Floats = npt.NDArray[np.float32]


class Means(NamedTuple):
    """Means over the earlier texts, rows of the present vocabulary; a row of zeros for no mean."""

    words_VD: Any
    out_VD: Any
    ngrams_BD: Any = None


def weight_of_new(share: float) -> float:
    """Return the weight w of a new text; share: of its tokens in all."""
    return 2 * share / (1 + share)


def average(mean_RD: Floats, last_RD: Floats, weight: float) -> Floats:
    """Return the mean after a new text, (R, D), in the memory of mean_RD."""
    for block in row_blocks(len(mean_RD)):
        mean_BD = mean_RD[block]
        weight_B = np.where(mean_BD.any(axis=1, keepdims=True), np.float32(weight), np.float32(1))
        mean_BD += weight_B * (last_RD[block] - mean_BD)
    return mean_RD
