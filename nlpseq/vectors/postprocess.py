"""Improve trained vectors without training: add contexts, center, remove common directions.

Letters: V words, D dimensions, N rows taken, or components.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.compact_matrix import computed_rows, take_rows
from nlpseq.vectors.lazy_rows import LazyRows
from nlpseq.vectors.principal_components import mean_row, principal_components
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
    dim = vectors.matrix.shape[1]
    if not 0 <= remove_components < dim:
        raise ConfigError(
            f"remove_components: {remove_components} is out of range. Choose from 0 to below the dimension, "
            f"{dim}."
        )
    untrained = [vectors.vocab.words[word_id] for word_id in vectors.zero_ids]  # whose rows will not be 0
    before_VD = take_rows(vectors.matrix, slice(None)) if matrix == "w" else _with_contexts(vectors)
    mean_D = mean_row(before_VD) if center else np.zeros(dim)
    top_DN = (
        principal_components(before_VD)[:, :remove_components] if remove_components else np.zeros((dim, 0))
    )

    def change(rows_ND: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        moved_ND = rows_ND - mean_D
        return moved_ND - moved_ND @ top_DN @ top_DN.T

    done = {"matrix": matrix, "center": center, "remove_components": remove_components}
    meta = vectors.meta | {"postprocessing": done, "untrained": untrained}
    after_VD = computed_rows(vectors.matrix, lambda ids: change(before_VD[ids]), dim)
    subwords = vectors.subwords and vectors.subwords.transformed(change, dim)
    return Vectors(vectors.vocab, after_VD, meta=meta, subwords=subwords)


def _with_contexts(vectors: Vectors) -> LazyRows:
    """Return the sum of both vectors of each word; raises DataError without output vectors."""
    if vectors.contexts is None:
        raise DataError("these vectors: have no context vectors to add. Leave out --matrix w+c.")
    matrix_VD, contexts_VD = (take_rows(each, slice(None)) for each in (vectors.matrix, vectors.contexts))
    return LazyRows(matrix_VD.shape, lambda ids: matrix_VD[ids] + contexts_VD[ids])
