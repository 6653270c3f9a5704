"""Arrays as .npy files: written row by row or in pieces, and read without trust in their headers."""

import hashlib
import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nlpseq.storage.manifest import corrupt

__all__ = ["NpyWriter", "load_array", "npy_header"]


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the header of a .npy file, as long for any first dimension."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return header.getvalue()


class NpyWriter(AbstractContextManager["NpyWriter"]):
    """Context manager that writes a one-dimensional .npy file from appended arrays.

    length: number of elements, if known, for a sha256. over: overwrite an existing file from its start.
    """

    def __init__(
        self, path: Path, dtype: npt.DTypeLike, *, length: int | None = None, over: bool = False
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.length, self._expected_length = 0, length
        self._file: BinaryIO = path.open("r+b" if over else "wb")
        header = npy_header(self.dtype, (length or 0,))
        self._file.write(header)
        self._sum = hashlib.sha256(header)

    def append(self, array: npt.NDArray[Any]) -> None:
        """Write the elements of an array."""
        data = np.ascontiguousarray(array, self.dtype).data
        self._file.write(data)
        if self._expected_length is not None:
            self._sum.update(data)
        self.length += len(array)

    def sha256(self) -> str:
        """Return the sha256 (hex) of the closed file, if the length was known."""
        assert self.length == self._expected_length
        return self._sum.hexdigest()

    def __exit__(self, *exc: object) -> None:
        with self._file:
            self._file.truncate()
            self._file.seek(0)
            self._file.write(npy_header(self.dtype, (self.length,)))


def load_array(file: Path, dtype: npt.DTypeLike, ndim: int) -> npt.NDArray[Any]:
    """Return a memory-mapped .npy array; raise ArtifactError for another type or shape."""
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(file, mode="r")
    except Exception as error:  # any, because NumPy parses the header as Python
        raise corrupt(file, f"is not a readable .npy array ({error})", error) from error
    if array.ndim != ndim or array.dtype != np.dtype(dtype) or not array.flags.c_contiguous:
        holds = f"{array.dtype} of {array.ndim} dimensions"
        raise corrupt(file, f"holds {holds}, expected {np.dtype(dtype)} of {ndim}, row by row")
    return array
