"""LazyRows: a float32 matrix whose rows are computed or read when they are taken.

A matrix of gigabytes in a mapped file, or of means of its rows, then takes the memory of a block of rows.

Letters: V rows, D dimensions, N rows taken.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LazyRows"]

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class LazyRows:
    """A matrix of V rows and D columns, indexed by rows.

    take: function from the numbers of rows, int64, (N,), to these rows, float32, (N, D).
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, int], take: Callable[[Ids], Floats]) -> None:
        self.shape = shape
        self._take = take

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | int | Sequence[int] | npt.NDArray[Any]) -> Floats:
        """Return a row, or several."""
        if isinstance(rows, slice):
            return self._take(np.arange(*rows.indices(len(self))))
        numbers = np.asarray(rows)
        numbers = np.flatnonzero(numbers) if numbers.dtype == np.bool_ else numbers.astype(np.int64)
        if numbers.size and not (-len(self) <= numbers.min() and numbers.max() < len(self)):
            raise IndexError(f"row {rows!r:.40} of {len(self)}")
        numbers = np.where(numbers < 0, numbers + len(self), numbers)
        taken = self._take(numbers.reshape(-1))
        return taken.reshape(*numbers.shape, self.shape[1])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as an array of all rows."""
        return np.asarray, (np.asarray(self),)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all rows; NumPy calls this method to convert the matrix."""
        if copy is False:
            raise ValueError("lazy rows have no array of their numbers without a copy")
        return np.asarray(self[:], dtype)
