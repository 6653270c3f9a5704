"""The random masks that keep a language model from learning its text by heart.

All masks of a training step come from one generator seeded with (seed, step): a resumed run draws the same.

Letters: V vocabulary entries, T time steps, B columns, D features.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nlpseq.config import AUTOMATIC_RATES, LMConfig
from nlpseq.core.counter_rng import Stream, random_bits

COMMON_RATE, HIGHEST_RATE = 0.1, 0.5


def resolve_dropout(config: LMConfig, passes: float) -> LMConfig:
    """The config with every rate it leaves open set by how often the text will be read.

    What is read once cannot be learnt by heart, so dropping would only slow things down.
    """
    common = min(HIGHEST_RATE, COMMON_RATE * math.log2(1 + passes))
    rates: dict[str, Any] = {name: round(share * common, 3) for name, share in AUTOMATIC_RATES.items()}
    return replace(config, **{name: rate for name, rate in rates.items() if getattr(config, name) is None})


class DropoutMasks:
    """The masks of one training step. A rate of 0, or one still open, drops nothing."""

    def __init__(self, seed: int, step: int, device: torch.device | str = "cpu") -> None:
        self.generator = torch.Generator(device)
        self.generator.manual_seed(random_bits(seed, Stream.NOISE, 0, step) >> 1)  # torch takes 63 bits

    def mask(self, rate: float, *shape: int) -> Tensor:
        """0 with probability `rate`, in steps of 1/65536, else 1/(1 - rate): the expectation stays 1.

        A number of 64 random bits serves four places of the mask: drawing them is what takes the time.
        """
        count = math.prod(shape)
        draws = torch.empty(-(-count // 4), dtype=torch.int64, device=self.generator.device)
        draws.random_(-(2**63), None, generator=self.generator)
        dropped = min(round(rate * 2**16), 2**16 - 1)  # of 65536 values
        kept = draws.view(torch.int16)[:count] >= dropped - 2**15
        return kept.float().mul_(1 / (1 - rate)).view(shape)

    def locked(self, x_TBD: Tensor, rate: float | None) -> Tensor:
        """Dropout whose mask is the same at every time step (Gal & Ghahramani 2016, arXiv:1512.05287)."""
        return x_TBD * self.mask(rate, 1, *x_TBD.shape[1:]) if rate else x_TBD

    def words(self, x_TBD: Tensor, tokens_TB: Tensor, rate: float, num_entries: int) -> Tensor:
        """Dropout of whole vocabulary entries: a dropped one is zero wherever it occurs (same paper)."""
        return x_TBD * self.mask(rate, num_entries)[tokens_TB].unsqueeze(-1) if rate else x_TBD

    def weights(self, weight: Tensor, rate: float | None) -> Tensor:
        """DropConnect: single weights are dropped for the step (Merity et al. 2017, arXiv:1708.02182)."""
        return weight * self.mask(rate, *weight.shape) if rate else weight
