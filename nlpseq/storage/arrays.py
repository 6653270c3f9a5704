"""Arrays as .npy files: written row by row or as they grow, and read without trusting what they say."""

import hashlib
import io
import tokenize
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nlpseq.errors import SHORTAGE, ArtifactError

# What NumPy raises on a damaged .npy file; its header is parsed as Python.
NO_ARRAY = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError),
    *(SyntaxError, tokenize.TokenError, RecursionError, MemoryError),  # the last by Python's parser, too
)


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What an .npy file of an array by rows begins with; NumPy pads it for the longest first dimension."""
    header = io.BytesIO()
    layout = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, layout)
    return header.getvalue()


class NpyWriter:
    """A one-dimensional .npy file that grows: append arrays, then close.

    length: how long it will be, where that is known, which makes its sha256 known as well. over: write over
    the file that is there, and cut off what is left of it.
    """

    def __init__(
        self, path: Path, dtype: npt.DTypeLike, *, length: int | None = None, over: bool = False
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.length, self._promised = 0, length
        self._file: BinaryIO = path.open("r+b" if over else "wb")
        self._sum = None if length is None else hashlib.sha256()
        self._write(npy_header(self.dtype, (length or 0,)))

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        if self._sum is not None:
            self._sum.update(data)

    def append(self, array: npt.NDArray[Any]) -> None:
        self._write(np.ascontiguousarray(array, self.dtype).data)
        self.length += len(array)

    def close(self) -> None:
        with self._file:
            self._file.truncate()
            self._file.seek(0)
            self._file.write(npy_header(self.dtype, (self.length,)))  # which is as long as the first

    def sha256(self) -> str:
        """That of the file, once it is closed, if its length was given."""
        assert self._sum is not None and self.length == self._promised
        return self._sum.hexdigest()

    def __enter__(self) -> "NpyWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def load_array(file: Path, dtype: npt.DTypeLike, ndim: int) -> npt.NDArray[Any]:
    """A memory-mapped .npy array of the expected type; ArtifactError where it is anything else."""
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(file, mode="r")
    except NO_ARRAY as error:
        if isinstance(error, OSError) and error.errno in SHORTAGE:
            raise
        raise ArtifactError(
            f"{file} is not a readable .npy array ({error}). Make the folder anew."
        ) from error
    if array.ndim != ndim or array.dtype != np.dtype(dtype):
        raise ArtifactError(
            f"{file} holds {array.dtype} of {array.ndim} dimensions, expected {np.dtype(dtype)} of {ndim}. "
            "Make the folder anew."
        )
    if not array.flags.c_contiguous:
        raise ArtifactError(f"{file} holds its numbers column by column. Make the folder anew.")
    return array
