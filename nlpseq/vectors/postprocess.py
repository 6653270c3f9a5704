"""What can be done to trained vectors without training again.

Letters: V words, D dimensions.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.vectors import Vectors

Matrix = Literal["w", "w+c"]


def postprocess(
    vectors: Vectors, *, matrix: Matrix = "w", center: bool = False, remove_components: int = 0
) -> Vectors:
    """New vectors of the same words.

    matrix="w+c" adds to each word vector the vector of the same word as a context, which makes words alike
    that occur together and not only those with like neighbours (Pennington, Socher & Manning 2014; Levy,
    Goldberg & Dagan 2015). center subtracts the mean vector, remove_components the directions in which all
    vectors vary most and which tell frequency more than meaning (Mu & Viswanath 2018, arXiv:1702.01417).

    Raises DataError for vectors that lack what is asked for.
    """
    if (matrix, center, remove_components) == ("w", False, 0):
        return vectors
    if vectors.is_sparse:
        raise DataError(
            "PPMI vectors are one sparse matrix, which would no longer be sparse. Use them as they are, "
            "or train dense ones with `nlpseq train-counts --method ppmi-svd`."
        )
    result_VD = _with_contexts(vectors) if matrix == "w+c" else vectors.matrix.astype(np.float64)
    if center:
        result_VD -= result_VD.mean(axis=0)
    if remove_components:
        result_VD -= _in_top_components(result_VD, remove_components)
    done = {"matrix": matrix, "center": center, "remove_components": remove_components}
    return Vectors(vectors.vocab, result_VD.astype(np.float32), meta=vectors.meta | {"postprocessing": done})


def _with_contexts(vectors: Vectors) -> npt.NDArray[np.float64]:
    if vectors.contexts is None:
        raise DataError("these vectors have no context vectors to add. Leave out --matrix w+c.")
    both: npt.NDArray[np.float64] = vectors.matrix.astype(np.float64) + vectors.contexts
    return both


def _in_top_components(rows_VD: npt.NDArray[np.float64], number: int) -> npt.NDArray[np.float64]:
    """What of each row lies in the principal components of largest variance."""
    dim = rows_VD.shape[1]
    if not 0 < number < dim:
        raise ConfigError(f"remove_components is {number}. It must be from 0 to below the dimension, {dim}.")
    spread_VD = rows_VD - rows_VD.mean(axis=0)
    _, directions_DD = np.linalg.eigh(spread_VD.T @ spread_VD)  # by rising variance
    top_DN = directions_DD[:, -number:]
    within: npt.NDArray[np.float64] = rows_VD @ top_DN @ top_DN.T
    return within
