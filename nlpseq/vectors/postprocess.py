"""Improve trained vectors without training: add contexts, center, remove common directions.

Letters: V words, D dimensions.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.vectors import Vectors

__all__ = ["Matrix", "postprocess"]

Matrix = Literal["w", "w+c"]


def postprocess(
    vectors: Vectors, *, matrix: Matrix = "w", center: bool = False, remove_components: int = 0
) -> Vectors:
    """Return new vectors of the same words.

    matrix="w+c" adds to each word vector the output vector of the same word, so that words that occur
    together become similar, and not only words with similar neighbors (Pennington, Socher & Manning 2014,
    doi:10.3115/v1/D14-1162; Levy, Goldberg & Dagan 2015, doi:10.1162/tacl_a_00134). center subtracts the mean
    vector. remove_components removes the principal components of largest variance, which encode frequency
    more than meaning (Mu & Viswanath 2018, arXiv:1702.01417). Vectors of unseen words, from n-grams, are
    changed in the same way, without an output vector to add.

    Raises DataError if the vectors are sparse or have no context vectors to add, and ConfigError if
    remove_components is not below the dimension.
    """
    if (matrix, center, remove_components) == ("w", False, 0):
        return vectors
    if vectors.is_sparse:
        raise DataError(
            "these vectors: are a sparse PPMI matrix, which would become dense. Use them unchanged, "
            "or train dense ones with `nlpseq train-counts --method ppmi-svd`."
        )
    result_VD = np.asarray(vectors.matrix, np.float64)
    if matrix == "w+c":
        if vectors.contexts is None:
            raise DataError("these vectors: have no context vectors to add. Leave out --matrix w+c.")
        result_VD = result_VD + vectors.contexts
    mean_D, top_DN = np.zeros(result_VD.shape[1]), np.zeros((result_VD.shape[1], 0))
    if center:
        mean_D = result_VD.mean(axis=0)
        result_VD -= mean_D
    if remove_components:
        top_DN = _top_components(result_VD, remove_components)
        result_VD -= result_VD @ top_DN @ top_DN.T
    done = {"matrix": matrix, "center": center, "remove_components": remove_components}
    untrained = [vectors.vocab.words[word_id] for word_id in vectors.zero_ids]  # whose rows are no longer 0
    meta = vectors.meta | {"postprocessing": done, "untrained": untrained}
    subwords = vectors.subwords and vectors.subwords.transformed(
        lambda rows_ND: (rows_ND - mean_D) - (rows_ND - mean_D) @ top_DN @ top_DN.T, len(mean_D)
    )
    return Vectors(vectors.vocab, result_VD.astype(np.float32), meta=meta, subwords=subwords)


def _top_components(rows_VD: npt.NDArray[np.float64], number: int) -> npt.NDArray[np.float64]:
    """Return the principal components of largest variance, (D, number)."""
    dim = rows_VD.shape[1]
    if not 0 < number < dim:
        raise ConfigError(
            f"remove_components: {number} is out of range. Choose from 0 to below the dimension, {dim}."
        )
    centered_VD = rows_VD - rows_VD.mean(axis=0)
    _, directions_DD = np.linalg.eigh(centered_VD.T @ centered_VD)  # by rising variance
    top_DN: npt.NDArray[np.float64] = directions_DD[:, -number:]
    return top_DN
