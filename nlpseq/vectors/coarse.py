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
from nlpseq.vectors.compact_matrix import CompactMatrix, compact, take_rows

__all__ = ["FLOAT32_ERROR", "CoarseUnit"]

FLOAT32_ERROR = 1e-5  # above the error of a float32 cosine
_LOADING_NUMBERS = 1 << 29  # multiplied in float32 in the time to load the compiled product
_CONVERTING_QUESTIONS = 64  # answered in float32 in the time to convert the rows, or more

Floats = npt.NDArray[np.float32]


class CoarseUnit:
    """Rows of length 1, multiplied by one vector at a time.

    The first products are in float32. If more questions come, a compiled product of int8 replaces them.
    unit_VD: float32, (V, D), an array or compact; rows of int8 are used as they are, others are copied.
    compile_after: number of questions in float32; by default as many as take the time of the change.
    """

    def __init__(self, unit_VD: Any, compile_after: int | None = None) -> None:
        num_words, dim = unit_VD.shape
        if compile_after is None:
            compile_after = max(_CONVERTING_QUESTIONS, _LOADING_NUMBERS // max(1, num_words * dim))
        self._unit_VD, self._num_left = unit_VD, compile_after

    def cosines(self, vector_D: Floats, num_words: int) -> tuple[Floats, float]:
        """Return the cosines of the first words with a vector of length 1, and the bound of their error."""
        if self._num_left > 0:
            self._num_left -= 1
            is_all = num_words == len(self._unit_VD)  # then no row of a mapped file is copied
            rows_VD = self._unit_VD if is_all else take_rows(self._unit_VD, slice(num_words))
            return rows_VD @ vector_D, FLOAT32_ERROR
        use_cache_for_numba()
        from nlpseq.vectors.coarse_numba import multiply_rows

        cosines_V = np.empty(num_words, np.float32)
        multiply_rows(self._int8_VD.codes, self._int8_VD.scales, vector_D, cosines_V)
        return cosines_V, self._int8_error

    @cached_property
    def _int8_VD(self) -> CompactMatrix:
        rows_VD: CompactMatrix = compact(self._unit_VD, "int8")
        return rows_VD

    @cached_property
    def _int8_error(self) -> float:
        """Return the largest distance of a row of int8 from the row of float32.

        By Cauchy-Schwarz a cosine, the product with a vector of length 1, differs by no more than this.
        """
        distances = [
            np.linalg.norm(self._unit_VD[block] - self._int8_VD[block], axis=1).max()
            for block in self._int8_VD.blocks()
        ]
        return FLOAT32_ERROR + float(max(distances))
