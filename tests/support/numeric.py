"""Compute gradients by central differences."""

from collections.abc import Callable

import numpy as np


def numeric_gradient(loss: Callable[[], float], weight: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return the gradient of a loss in every number of a weight; float64 makes it good to about 1e-9."""
    gradient = np.zeros_like(weight)
    for place in np.ndindex(weight.shape):
        kept = weight[place]
        weight[place] = kept + step
        above = loss()
        weight[place] = kept - step
        gradient[place] = (above - loss()) / (2 * step)
        weight[place] = kept
    return gradient
