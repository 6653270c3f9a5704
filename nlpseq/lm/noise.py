"""The random masks that keep a language model from learning its text by heart.

All masks of a training step come from one generator seeded with (seed, step): a resumed run draws the same.

Letters: V vocabulary entries, T time steps, B columns, D features.
"""

import torch
from torch import Tensor

from nlpseq.draws import NOISE, draw


class Noise:
    """The masks of one training step."""

    def __init__(self, seed: int, step: int, device: torch.device | str = "cpu") -> None:
        self.generator = torch.Generator(device)
        self.generator.manual_seed(draw(seed, NOISE, 0, step) >> 1)  # torch takes 63 bits

    def mask(self, rate: float, *shape: int) -> Tensor:
        """0 with probability `rate`, else 1/(1 - rate), so that the expectation stays 1."""
        kept = torch.empty(shape, device=self.generator.device).bernoulli_(1 - rate, generator=self.generator)
        return kept.div_(1 - rate)

    def locked(self, x_TBD: Tensor, rate: float) -> Tensor:
        """Dropout whose mask is the same at every time step (Gal & Ghahramani 2016, arXiv:1512.05287)."""
        return x_TBD * self.mask(rate, 1, *x_TBD.shape[1:]) if rate else x_TBD

    def words(self, x_TBD: Tensor, tokens_TB: Tensor, rate: float, num_entries: int) -> Tensor:
        """Dropout of whole vocabulary entries: a dropped one is zero wherever it occurs (same paper)."""
        return x_TBD * self.mask(rate, num_entries)[tokens_TB].unsqueeze(-1) if rate else x_TBD

    def weights(self, weight: Tensor, rate: float) -> Tensor:
        """DropConnect: single weights are dropped for the step (Merity et al. 2017, arXiv:1708.02182)."""
        return weight * self.mask(rate, *weight.shape) if rate else weight
