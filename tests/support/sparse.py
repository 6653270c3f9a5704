"""Compare sparse matrices with dictionaries."""

from typing import Any


def as_dict(matrix: Any) -> dict[tuple[int, int], float]:
    """Return the stored values of a sparse matrix by (row, column)."""
    coordinates = matrix.tocoo()
    pairs = zip(coordinates.row.tolist(), coordinates.col.tolist(), strict=True)
    return dict(zip(pairs, coordinates.data.tolist(), strict=True))
