"""Approximate the cosines of one vector with all words, and bound the error.

A product of many rows with one vector takes the time to read the rows from memory, and rows of int8 have a
quarter of the bytes of float32. `queries` scores the few words whose cosine may be high enough again.

Letters: V words, D dimensions.
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.vectors.compact_matrix import CompactMatrix, quantize_units, take_rows

__all__ = ["FLOAT32_ERROR", "CoarseUnit"]

FLOAT32_ERROR = 1e-5  # above the error of a float32 cosine
_LOADING_NUMBERS = 1 << 29  # multiplied in float32 in the time to load the compiled product
_CONVERTING_QUESTIONS = 64  # answered in float32 in the time to convert the rows, or more

Floats = npt.NDArray[np.float32]


class CoarseUnit:
    """Rows of length 1, multiplied by one vector at a time.

    The first products are of float32, or of int8 if the rows have been quantized before. If more questions
    come, a compiled product of int8 replaces them. unit_VD: float32, (V, D), an array or compact.
    compile_after: number of questions before; by default as many as take the time of the change.
    """

    def __init__(self, unit_VD: Any, compile_after: int | None = None) -> None:
        num_words, dim = unit_VD.shape
        self._unit_VD, self._rows_VD, self._error = unit_VD, unit_VD, FLOAT32_ERROR
        is_quantized = isinstance(unit_VD, CompactMatrix) and unit_VD.quantized is not None
        if is_quantized:
            self._rows_VD, self._error = self._int8
        if compile_after is None:
            converting = 0 if is_quantized else _CONVERTING_QUESTIONS
            compile_after = max(converting, _LOADING_NUMBERS // max(1, num_words * dim))
        self._num_left = compile_after

    def cosines(self, vector_D: Floats, num_words: int) -> tuple[Floats, float]:
        """Return the cosines of the first words with a vector of length 1, and the bound of their error."""
        if self._num_left > 0:
            self._num_left -= 1
            is_all = num_words == len(self._rows_VD)  # then no row of a mapped file is copied
            rows_VD = self._rows_VD if is_all else take_rows(self._rows_VD, slice(num_words))
            return rows_VD @ vector_D, self._error
        use_cache_for_numba()
        from nlpseq.vectors.coarse_numba import multiply_rows

        units_VD, error = self._int8
        cosines_V = np.empty(num_words, np.float32)
        multiply_rows(units_VD.codes, units_VD.scales, vector_D, cosines_V)
        return cosines_V, error

    @cached_property
    def _int8(self) -> tuple[CompactMatrix, float]:
        """Return the rows in int8, and the bound of the error of a product with a vector of length 1.

        By Cauchy-Schwarz, the product differs by no more than the largest distance of a row from its codes.
        """
        unit_VD = self._unit_VD
        if isinstance(unit_VD, CompactMatrix) and unit_VD.codes.dtype == np.int8:
            return unit_VD, FLOAT32_ERROR
        known = unit_VD.quantized if isinstance(unit_VD, CompactMatrix) else None
        quantized = known or quantize_units(unit_VD)
        return quantized.units_VD, FLOAT32_ERROR + quantized.error
