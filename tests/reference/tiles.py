"""Compute tiles in plain NumPy: the functions of kernels/tiles_numba.py, same signatures."""

import ctypes
from typing import Any

import numpy as np

from nlpseq.word2vec.kernels.tiles_numba import TILE


def address(matrix: Any, row: int) -> int:
    """Return the address of a row of a matrix."""
    return int(matrix.ctypes.data + row * matrix.strides[0])


def products(x_C: Any, num: int, y_J: Any, first: int, out_N: Any, stride: int, D: int) -> None:
    """Fill the logits of TILE outputs from `first` on."""
    for j in range(first, first + TILE):
        for c in range(num):
            product = row_at(x_C[c], D) @ row_at(y_J[j], D)
            out_N[j * stride + c] = product if j == 0 else -product


def step(
    x_C: Any, from_C: Any, to_C: Any, num: int, y_J: Any, first: int, g_N: Any, stride: int, D: int
) -> None:
    """Run to_c = from_c + sum of g y_j and y_j += sum of g x_c, for TILE outputs from `first` on."""
    outputs = range(first, first + TILE)
    y_TD = [row_at(y_J[j], D).copy() for j in outputs]
    for c in range(num):
        x_D, changed_D = row_at(x_C[c], D).copy(), row_at(from_C[c], D).copy()
        for j, y_D in zip(outputs, y_TD, strict=True):
            changed_D += g_N[j * stride + c] * y_D
            row_at(y_J[j], D)[:] += g_N[j * stride + c] * x_D
        row_at(to_C[c], D)[:] = changed_D


def row_at(address: int, D: int) -> Any:
    """Return the D floats at an address as an array that shares the memory."""
    return np.ctypeslib.as_array((ctypes.c_float * D).from_address(int(address)))
