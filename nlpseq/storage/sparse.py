"""Sparse matrices on disk as scipy's CSR: row r is data[indptr[r] : indptr[r + 1]]."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpseq.storage.arrays import load_array
from nlpseq.storage.artifact import Folder
from nlpseq.storage.manifest import corrupt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["as_csr", "load_csr", "save_csr"]

_INDEX_TYPES = {"indices": np.int32, "indptr": np.int64}


def save_csr(folder: Folder, matrix: Any, dtype: npt.DTypeLike) -> None:
    """Write data.npy of this dtype, indices.npy and indptr.npy."""
    for name, stored in {"data": dtype, **_INDEX_TYPES}.items():
        folder.write_array(f"{name}.npy", getattr(matrix, name).astype(stored, copy=False))


def load_csr(path: Path, shape: tuple[int, int], num_stored: object, dtype: npt.DTypeLike) -> "csr_array":
    """Return the matrix in a folder with memory-mapped arrays.

    num_stored: expected number of values, all positive. Raises ArtifactError for invalid CSR arrays.
    """
    types = {"data": dtype, **_INDEX_TYPES}
    data, indices, indptr = (load_array(path / f"{name}.npy", stored, 1) for name, stored in types.items())
    if not len(data) == len(indices) == num_stored:
        raise corrupt(path, f"holds {len(data)} values, {len(indices)} columns; meta.json says {num_stored}")
    spans_all = len(indptr) == shape[0] + 1 and indptr[0] == 0 and indptr[-1] == num_stored
    if not spans_all or (indptr[1:] < indptr[:-1]).any():  # because differences could overflow
        raise corrupt(path / "indptr.npy", f"does not rise from 0 to {num_stored} by row")
    if num_stored and not (indices.min() >= 0 and indices.max() < shape[1]):
        raise corrupt(path / "indices.npy", f"names columns beyond {shape[1]}")
    if num_stored and not (data.min() > 0 and data.max() < np.inf):
        raise corrupt(path / "data.npy", "holds values that are not above 0")
    return as_csr(shape, data, indices, indptr)


def as_csr(shape: tuple[int, int], data: Any, indices: Any, indptr: Any) -> "csr_array":
    """Return scipy's matrix over these arrays, without a copy of the long arrays."""
    from scipy.sparse import csr_array

    if len(data) < 2**31:  # because scipy wants indices and indptr of one type
        indptr = indptr.astype(np.int32)
    return csr_array((data, indices, indptr), shape=shape)
