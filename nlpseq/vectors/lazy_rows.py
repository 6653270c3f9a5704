"""LazyRows: a float32 matrix whose rows are computed or read when they are taken.

A matrix of gigabytes in a mapped file, or of means of its rows, then takes the memory of a block of rows.

Letters: V rows, D dimensions, N rows taken.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK_ROWS", "LazyRows", "row_blocks"]

BLOCK_ROWS = 4096  # read or computed at once, so that a large matrix takes little memory

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Rows = slice | int | Sequence[int] | npt.NDArray[Any]


def row_blocks(num_rows: int) -> Iterator[slice]:
    """Yield slices of at most BLOCK_ROWS rows."""
    return (slice(first, min(first + BLOCK_ROWS, num_rows)) for first in range(0, num_rows, BLOCK_ROWS))


class LazyRows:
    """A matrix of V rows and D columns, indexed by rows.

    take: function from the numbers of rows, int64, (N,), to these rows, float32, (N, D); it gets at most
    BLOCK_ROWS numbers at once.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, int], take: Callable[[Ids], Floats]) -> None:
        self.shape = shape
        self._take = take

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows) -> Floats:
        """Return a row, or several."""
        if isinstance(rows, slice):
            return self._computed(np.arange(*rows.indices(len(self))))
        numbers = self._numbers(rows)
        return self._computed(numbers.reshape(-1)).reshape(*numbers.shape, self.shape[1])

    def select(self, rows: slice | Sequence[int] | npt.NDArray[Any]) -> "LazyRows":
        """Return some rows, which are still computed when they are taken."""
        if isinstance(rows, slice):
            chosen = range(len(self))[rows]
            shape = len(chosen), self.shape[1]
            return LazyRows(shape, lambda ids: self[chosen.start + ids * chosen.step])
        numbers = self._numbers(rows)
        return LazyRows((len(numbers), self.shape[1]), lambda ids: self[numbers[ids]])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as an array of all rows."""
        return np.asarray, (np.asarray(self),)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all rows; NumPy calls this method to convert the matrix."""
        if copy is False:
            raise ValueError("lazy rows have no array of their numbers without a copy")
        return np.asarray(self[:], dtype)

    def _numbers(self, rows: int | Sequence[int] | npt.NDArray[Any]) -> Ids:
        """Return the numbers of rows, from 0; raise IndexError for a row that does not exist."""
        numbers = np.asarray(rows)
        numbers = np.flatnonzero(numbers) if numbers.dtype == np.bool_ else numbers.astype(np.int64)
        if numbers.size and not (-len(self) <= numbers.min() and numbers.max() < len(self)):
            raise IndexError(f"row {rows!r:.40} of {len(self)}")
        return np.where(numbers < 0, numbers + len(self), numbers)

    def _computed(self, numbers_N: Ids) -> Floats:
        if len(numbers_N) <= BLOCK_ROWS:
            return self._take(numbers_N)
        rows_ND = np.empty((len(numbers_N), self.shape[1]), np.float32)
        for block in row_blocks(len(numbers_N)):
            rows_ND[block] = self._take(numbers_N[block])
        return rows_ND
