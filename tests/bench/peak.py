"""Measure the limits of this machine: multiply-adds from the first-level cache, and copied memory."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit

Figures = dict[str, Any]
X_ROWS, Y_ROWS, FLOATS = 3, 4, 512  # 12 sums of products fit 16 registers, operands included
TURNS = 200_000
COPIED = 1 << 27  # bytes, more than any cache holds
FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(nogil=True, fastmath=FAST, error_model="numpy")
def multiply_add(x_RF, y_RF, turns):  # type: ignore[no-untyped-def]
    """Return the sum of the products of three rows with four others, `turns` times."""
    total = np.float32(0)
    for turn in range(turns):
        x0, x1, x2 = x_RF[turn % 2], x_RF[1 + turn % 2], x_RF[2]
        y0, y1, y2, y3 = y_RF[0], y_RF[1], y_RF[2], y_RF[3]
        s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = np.float32(0)
        s20 = s21 = s22 = s23 = np.float32(0)
        for f in range(FLOATS):
            s00 += x0[f] * y0[f]
            s01 += x0[f] * y1[f]
            s02 += x0[f] * y2[f]
            s03 += x0[f] * y3[f]
            s10 += x1[f] * y0[f]
            s11 += x1[f] * y1[f]
            s12 += x1[f] * y2[f]
            s13 += x1[f] * y3[f]
            s20 += x2[f] * y0[f]
            s21 += x2[f] * y1[f]
            s22 += x2[f] * y2[f]
            s23 += x2[f] * y3[f]
        total += s00 + s01 + s02 + s03 + s10 + s11 + s12 + s13
        total += s20 + s21 + s22 + s23
    return total


def measure_peak(job: Figures) -> Figures:
    """Return FLOP/s and bytes/s (read and written) of all threads together."""
    x_RF, y_RF = (np.ones((rows, FLOATS), np.float32) for rows in (X_ROWS, Y_ROWS))
    multiply_add(x_RF, y_RF, 1)
    parts = [(np.ones(COPIED, np.uint8), np.empty(COPIED, np.uint8)) for _ in range(job["threads"])]

    def compute(_: Any) -> None:
        multiply_add(x_RF, y_RF, TURNS)

    def copy(part: tuple[Any, Any]) -> None:
        np.copyto(part[1], part[0])

    flops = 2 * X_ROWS * Y_ROWS * FLOATS * TURNS * job["threads"]
    return {
        "flops_per_second": flops / fastest(compute, parts),
        "bytes_per_second": 2 * COPIED * len(parts) / fastest(copy, parts),
    }


def fastest(work: Callable[[Any], None], parts: list[Any]) -> float:
    """Return the least of five times for all parts together, in seconds."""
    found = []
    with ThreadPoolExecutor(len(parts)) as pool:
        for _ in range(5):
            started = time.perf_counter()
            list(pool.map(work, parts))
            found.append(time.perf_counter() - started)
    return min(found)
