"""CompactMatrix: rows of numbers stored in one or two bytes each, and converted to float32 when needed.

Letters: V words, D dimensions, B rows of a block, K columns of a factor.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.lazy_rows import LazyRows

__all__ = ["COMPACT_DTYPES", "CompactMatrix", "Dtype", "QuantizedUnits", "compact", "computed_rows"]
__all__ += ["quantize_units", "take_rows"]

Dtype = Literal["float32", "float16", "int8"]
COMPACT_DTYPES = ("float16", "int8")

_MAX_CODE = 127  # of int8, symmetric, so that -x has the code of x with the other sign
_BLOCK_BYTES = 1 << 20  # of float32 rows at once, because a second-level cache holds them

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Rows = slice | int | Sequence[int] | npt.NDArray[np.intp]


class QuantizedUnits(NamedTuple):
    """Rows scaled to length 1 in int8, of rows that take long to compute or to read."""

    units_VD: "CompactMatrix"
    length_V: Floats  # of the rows
    error: float  # largest distance of a row of units_VD from the exact row of length 1


class CompactMatrix:
    """A matrix of V rows and D columns that reads as float32 and takes less memory.

    codes: int8 or float16, (V, D), perhaps memory-mapped, or LazyRows of float32. scales: float32, (V,), the
    factor of each row; None for factors of 1. Indexing by rows gives float32 arrays; a product with another
    matrix converts a block of rows at a time. quantized: the same rows, of length 1, in int8.
    """

    ndim = 2
    dtype = np.dtype(np.float32)  # of the numbers, not of the codes

    def __init__(
        self, codes: Any, scales: Floats | None = None, quantized: QuantizedUnits | None = None
    ) -> None:
        assert codes.ndim == 2 and (scales is None or scales.shape == codes.shape[:1])
        self.codes, self.scales, self.quantized = codes, scales, quantized
        self.shape: tuple[int, int] = codes.shape

    @property
    def stored_dtype(self) -> Dtype:
        """Return the type of the codes."""
        names: dict[str, Dtype] = {"int8": "int8", "float16": "float16", "float32": "float32"}
        return names[self.codes.dtype.name]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows) -> Floats:
        """Return a row, or several, as float32."""
        taken: Floats = self.codes[rows].astype(np.float32)
        if self.scales is not None:
            taken *= self.scales[rows][..., None]
        return taken

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all rows; NumPy calls this method to convert the matrix."""
        if copy is False:
            raise ValueError("a compact matrix has no array of its numbers without a copy")
        whole = np.empty(self.shape, dtype or np.float32)
        for block in self.blocks():
            whole[block] = self[block]
        return whole

    def __matmul__(self, factor: Floats) -> Floats:
        """Return the product with a vector, (D,), or a matrix, (D, K)."""
        product = np.empty((len(self), *factor.shape[1:]), np.float32)
        for block in self.blocks():
            product[block] = self.codes[block].astype(np.float32) @ factor
        if self.scales is not None:
            product *= self.scales.reshape(-1, *[1] * (product.ndim - 1))
        return product

    def blocks(self) -> Iterator[slice]:
        """Yield slices of rows that fit into a cache of the processor as float32."""
        num_rows = max(1, _BLOCK_BYTES // (4 * max(1, self.shape[1])))
        return (slice(start, start + num_rows) for start in range(0, len(self), num_rows))

    def unit(self) -> "CompactMatrix":
        """Return the matrix with every row scaled to length 1; zero rows stay zero."""
        length_V = self._code_lengths_V
        scales = np.reciprocal(length_V, out=np.ones_like(length_V), where=length_V != 0)
        return CompactMatrix(self.codes, scales, self.quantized)

    @property
    def zero_rows(self) -> npt.NDArray[np.intp]:
        """Return the numbers of the rows that are zero."""
        is_zero_V = self._code_lengths_V == 0
        return np.flatnonzero(is_zero_V if self.scales is None else is_zero_V | (self.scales == 0))

    @cached_property
    def _code_lengths_V(self) -> Floats:
        """Return the length of the codes of each row; keep lazy rows in int8 too, to take them only once."""
        if isinstance(self.codes, LazyRows):
            self.quantized = self.quantized or quantize_units(self.codes)
            return self.quantized.length_V
        length_V = np.empty(len(self), np.float32)
        for block in self.blocks():
            codes_BD = self.codes[block].astype(np.float32)
            length_V[block] = np.einsum("bd,bd->b", codes_BD, codes_BD)  # cannot overflow: see fasttext.py
        return np.sqrt(length_V, out=length_V)


def take_rows(matrix_VD: Any, rows: slice | Sequence[int] | npt.NDArray[np.intp]) -> Any:
    """Return some rows of a matrix, in the type that they are stored in."""
    if not isinstance(matrix_VD, CompactMatrix):
        return matrix_VD[rows]
    codes, scales = matrix_VD.codes, matrix_VD.scales
    chosen = codes.select(rows) if isinstance(codes, LazyRows) else codes[rows]
    return CompactMatrix(chosen, None if scales is None else scales[rows])


def computed_rows(like_VD: Any, take: Callable[[Ids], npt.NDArray[Any]], dim: int) -> Any:
    """Return computed rows as an array, or as lazy rows if like_VD, a matrix of as many rows, is compact.

    take: function from numbers of rows, (N,), to rows of any float type, (N, dim).
    """
    rows = LazyRows((len(like_VD), dim), lambda ids: take(ids).astype(np.float32, copy=False))
    return CompactMatrix(rows) if isinstance(like_VD, CompactMatrix) else rows[:]


def compact(matrix_VD: Any, dtype: Dtype) -> Any:
    """Return the matrix with its numbers stored in another type.

    matrix_VD: float32 or compact. float32 gives an array, or lazy rows as they are, the other types a
    CompactMatrix. int8 divides each row by its largest magnitude and rounds to -127..127; the stored scale
    then minimizes the squared error of the row. Raises ConfigError for another type, DataError for numbers
    that the type cannot hold.
    """
    if dtype == "float32":
        is_stored_so = isinstance(matrix_VD, CompactMatrix) and matrix_VD.stored_dtype == dtype
        return matrix_VD if is_stored_so else np.asarray(matrix_VD, np.float32)
    if dtype not in COMPACT_DTYPES:
        raise ConfigError(f"dtype: {dtype!r} is unknown. Choose one of float32, float16, int8.")
    if isinstance(matrix_VD, CompactMatrix) and matrix_VD.codes.dtype == dtype:
        return matrix_VD
    found = CompactMatrix(np.empty(matrix_VD.shape, dtype), None)
    if dtype == "int8":
        found.scales = np.empty(len(matrix_VD), np.float32)
    for block in found.blocks():
        rows_BD = matrix_VD[block].astype(np.float64)
        with np.errstate(over="ignore"):
            if found.scales is not None:
                found.codes[block], found.scales[block] = _quantize(rows_BD)
            else:
                found.codes[block] = rows_BD
            stored_BD = found[block]
        is_lost_B = rows_BD.any(axis=1) & ~stored_BD.any(axis=1)
        if is_lost_B.any() or not np.isfinite(stored_BD).all():
            raise DataError(
                f"{dtype}: cannot hold these vectors, because some numbers are too large or all numbers of a "
                f"row are too small. Use --dtype {'int8, or ' * (dtype == 'float16')}float32."
            )
    return found


def quantize_units(matrix_VD: Any) -> QuantizedUnits:
    """Return the rows of a matrix scaled to length 1, in int8; read each row once."""
    units = CompactMatrix(np.empty(matrix_VD.shape, np.int8), np.empty(len(matrix_VD), np.float32))
    length_V, error = np.empty(len(matrix_VD), np.float32), 0.0
    for block in units.blocks():
        rows_BD = matrix_VD[block].astype(np.float64)
        length_B = np.sqrt(np.einsum("bd,bd->b", rows_BD, rows_BD))
        length_B[length_B < np.finfo(np.float32).tiny] = 0  # because 1 / length would overflow
        length_V[block] = length_B
        rows_BD /= np.where(length_B == 0, 1, length_B)[:, None]
        units.codes[block], units.scales[block] = _quantize(rows_BD)  # type: ignore[index]
        error = max(error, float(np.linalg.norm(rows_BD - units[block], axis=1).max()))
    return QuantizedUnits(units, length_V, error)


def _quantize(rows_BD: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Return int8 codes and the scale of each row."""
    largest_B = np.abs(rows_BD).max(axis=1, initial=0)
    largest_B[largest_B == 0] = 1
    codes_BD = np.rint(rows_BD * (_MAX_CODE / largest_B)[:, None])
    squares_B = np.einsum("bd,bd->b", codes_BD, codes_BD)
    scale_B = np.einsum("bd,bd->b", rows_BD, codes_BD) / np.maximum(squares_B, 1)
    return codes_BD.astype(np.int8), scale_B
