"""Compute the mean and the principal components of the rows of a matrix, in blocks of rows.

Letters: V rows, D dimensions, B rows of a block.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.vectors.lazy_rows import row_blocks

__all__ = ["mean_row", "principal_components"]

Doubles = npt.NDArray[np.float64]


def mean_row(matrix_VD: Any) -> Doubles:
    """Return the mean of all rows, (D,)."""
    sum_D = np.zeros(matrix_VD.shape[1])
    for block in row_blocks(len(matrix_VD)):
        sum_D += matrix_VD[block].sum(axis=0, dtype=np.float64)
    return sum_D / max(1, len(matrix_VD))


def principal_components(matrix_VD: Any) -> Doubles:
    """Return the directions of the centered rows by falling variance, (D, D), with a definite sign."""
    num_rows, dim = matrix_VD.shape
    sum_D, squares_DD = np.zeros(dim), np.zeros((dim, dim))
    for block in row_blocks(num_rows):
        rows_BD = np.asarray(matrix_VD[block], np.float64)
        sum_D += rows_BD.sum(axis=0)
        squares_DD += rows_BD.T @ rows_BD
    _, directions_DD = np.linalg.eigh(squares_DD - np.outer(sum_D, sum_D) / num_rows)  # by rising variance
    largest_D = np.take_along_axis(directions_DD, np.abs(directions_DD).argmax(axis=0)[None], axis=0)
    signed_DD: Doubles = (directions_DD * np.sign(largest_D))[:, ::-1]
    return signed_DD
