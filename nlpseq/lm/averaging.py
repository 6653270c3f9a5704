"""The mean of the weights over the last part of training, which predicts better than the last weights.

Polyak & Juditsky 1992 (doi:10.1137/0330046); as NT-ASGD in Merity et al. 2017, arXiv:1708.02182, section 4.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["Average", "restored"]


class Average:
    """Running mean of parameters: over all updates, or over about the last 1/(1 - decay)."""

    def __init__(self, parameters: Sequence[Tensor], decay: float = 1.0) -> None:
        self.parameters = [each.detach() for each in parameters]
        self.values = [each.clone() for each in self.parameters]
        self.decay = decay
        self.updates = 0

    def update(self) -> None:
        """Add the present parameters to the mean."""
        self.updates += 1
        torch._foreach_lerp_(self.values, self.parameters, max(1 / self.updates, 1 - self.decay))


@contextmanager
def restored(weights: list[Tensor], values: list[Tensor] | None = None) -> Iterator[list[Tensor]]:
    """Yield a copy of the weights, set to `values` if given, and restore them at the end."""
    kept = [each.clone() for each in weights]
    try:
        if values:
            torch._foreach_copy_(weights, values)
        yield kept
    finally:
        torch._foreach_copy_(weights, kept)
