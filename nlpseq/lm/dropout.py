"""Dropout masks of a language model.

One generator, seeded with (seed, step, part of the batch), draws all masks of a training step, so a resumed
run repeats them.

Letters: V vocabulary entries, T time steps, B columns, D features.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nlpseq.config import AUTOMATIC_RATES, LMConfig
from nlpseq.core.counter_rng import Stream, random_bits

__all__ = ["DropoutMasks", "resolve_dropout"]

BASE_RATE, MAX_RATE = 0.1, 0.5


def resolve_dropout(config: LMConfig, passes: float) -> LMConfig:
    """Choose the dropout rates left unset from the number of passes over the text.

    Few passes hardly overfit a text, so the rates stay low.
    """
    base = min(MAX_RATE, BASE_RATE * math.log2(1 + passes))
    rates: dict[str, Any] = {name: round(share * base, 3) for name, share in AUTOMATIC_RATES.items()}
    return replace(config, **{name: rate for name, rate in rates.items() if getattr(config, name) is None})


class DropoutMasks:
    """The masks of one training step, for a part of the batch. A rate of 0 or None drops nothing."""

    def __init__(self, seed: int, step: int, device: torch.device | str = "cpu", part: int = 0) -> None:
        self.generator = torch.Generator(device)
        self.generator.manual_seed(random_bits(seed, Stream.NOISE, part, step) >> 1)  # torch takes 63 bits

    def mask(self, rate: float, *shape: int) -> Tensor:
        """Return a mask of 0 (probability `rate`, a multiple of 1/65536) and 1/(1 - rate).

        Drawing random numbers is the slow part, so 64 random bits serve four elements.
        """
        count = math.prod(shape)
        bits = torch.empty(-(-count // 4), dtype=torch.int64, device=self.generator.device)
        bits.random_(-(2**63), None, generator=self.generator)
        dropped = min(round(rate * 2**16), 2**16 - 1)  # of 65536 values
        kept = bits.view(torch.int16)[:count] >= dropped - 2**15
        return kept.float().mul_(1 / (1 - rate)).view(shape)

    def variational(self, x_TBD: Tensor, rate: float | None) -> Tensor:
        """Drop the same features at every time step (Gal & Ghahramani 2016, arXiv:1512.05287)."""
        return x_TBD * self.mask(rate, 1, *x_TBD.shape[1:]) if rate else x_TBD
