"""Sparse matrices on disk: the three arrays of scipy's CSR, each in an .npy of its own.

Row r has the values data[indptr[r] : indptr[r + 1]] in the columns indices[indptr[r] : indptr[r + 1]].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ArtifactError
from nlpseq.storage import artifact
from nlpseq.storage.arrays import load_array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

INDEX_TYPES = {"indices": np.int32, "indptr": np.int64}  # on disk; `data` has a type of its own


def save_csr(folder: artifact.Folder, matrix: Any, dtype: npt.DTypeLike) -> None:
    """Write data.npy, of this type, indices.npy and indptr.npy."""
    for name, stored in {"data": dtype, **INDEX_TYPES}.items():
        folder.write_array(f"{name}.npy", getattr(matrix, name).astype(stored, copy=False))


def load_csr(path: Path, shape: tuple[int, int], num_stored: object, dtype: npt.DTypeLike) -> csr_array:
    """The matrix in a folder, its arrays memory-mapped; ArtifactError where they are no such matrix.

    num_stored: how many values it must have. All of them are positive, as counts and PPMI are.
    """
    arrays = {
        name: load_array(path / f"{name}.npy", stored, 1)
        for name, stored in {"data": dtype, **INDEX_TYPES}.items()
    }
    _check(path, shape, num_stored, **arrays)
    return as_csr(shape, **arrays)


def as_csr(shape: tuple[int, int], data: Any, indices: Any, indptr: Any) -> csr_array:
    """scipy's matrix over these arrays, without a copy of the long ones."""
    from scipy.sparse import csr_array

    if len(data) < 2**31:  # scipy wants indices and indptr of one type
        indptr = indptr.astype(np.int32)
    return csr_array((data, indices, indptr), shape=shape)


def _check(
    path: Path, shape: tuple[int, int], num_stored: object, data: Any, indices: Any, indptr: Any
) -> None:
    """Hold stored arrays to what scipy takes for granted."""
    rows, columns = shape
    if not len(data) == len(indices) == num_stored:
        sizes = f"{len(data)} values and {len(indices)} columns"
        raise ArtifactError(f"{path} holds {sizes}, meta.json says {num_stored}. Make the folder anew.")
    whole = len(indptr) == rows + 1 and indptr[0] == 0 and indptr[-1] == num_stored
    if not whole or (indptr[1:] < indptr[:-1]).any():  # differences could overflow
        raise ArtifactError(
            f"{path / 'indptr.npy'} does not rise from 0 to {num_stored} by row. Make the folder anew."
        )
    if num_stored and not (indices.min() >= 0 and indices.max() < columns):
        raise ArtifactError(f"{path / 'indices.npy'} names columns beyond {columns}. Make the folder anew.")
    if num_stored and not (data.min() > 0 and data.max() < np.inf):
        raise ArtifactError(f"{path / 'data.npy'} holds values that are not above 0. Make the folder anew.")
