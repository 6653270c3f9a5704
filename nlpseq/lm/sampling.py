"""Which tokens may come next, and one of them: filters of logits, each a plain function.

Letters: N texts written side by side, V vocabulary entries.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nlpseq.config.fields import check
from nlpseq.core.counter_rng import Stream, random_bits

NEVER = float("-inf")


class Sampling(NamedTuple):
    """How the next token is chosen."""

    temperature: float = 1.0  # below 1 likely tokens become likelier; 0 takes the likeliest
    top_k: int | None = None  # among so many of the likeliest
    top_p: float = 1.0  # among the likeliest that have so much of the probability together
    min_p: float = 0.0  # among those at least so likely, as a share of the likeliest
    repetition_penalty: float = 1.0  # above 1 tokens already there become less likely

    def check(self) -> "Sampling":
        """The same; ConfigError where a value cannot be."""
        check(0 <= self.temperature < float("inf"), self, "temperature", "at least 0")
        check(self.top_k is None or self.top_k >= 1, self, "top_k", "at least 1")
        check(0 < self.top_p <= 1, self, "top_p", "above 0 and at most 1")
        check(0 <= self.min_p <= 1, self, "min_p", "from 0 to 1")
        check(0 < self.repetition_penalty < float("inf"), self, "repetition_penalty", "above 0")
        return self


def choose(logits_NV: Tensor, seen_NV: Tensor, sampling: Sampling, seed: int, step: int) -> Tensor:
    """(N,) the next token of each text; the n-th does not depend on how many there are."""
    logits_NV = penalized(logits_NV, seen_NV, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return logits_NV.argmax(1)
    logits_NV = logits_NV / sampling.temperature
    if sampling.top_k is not None:
        logits_NV = top_k(logits_NV, sampling.top_k)
    logits_NV = min_p(top_p(logits_NV, sampling.top_p), sampling.min_p)
    draws = [
        (random_bits(seed, Stream.CHOICE, n, step) >> 11) / 2**53 for n in range(len(logits_NV))
    ]  # all below 1
    return inverse_cdf(logits_NV, torch.tensor(draws, dtype=torch.float64))


def penalized(logits_NV: Tensor, seen_NV: Tensor, penalty: float) -> Tensor:
    """Logits of tokens seen before, divided by the penalty, or multiplied where below 0.

    Keskar et al. 2019, arXiv:1909.05858, section 4.1; but of logits whose mean is 0, since one that all share
    changes no probability and should not change this either. (Log-probabilities would not do: that of a token
    the model is sure of is nearly 0, and so would be the penalty.)
    """
    if penalty == 1:
        return logits_NV
    may_come_NV = logits_NV > NEVER
    sums_N1 = logits_NV.masked_fill(~may_come_NV, 0).sum(1, keepdim=True)
    centred_NV = logits_NV - sums_N1 / may_come_NV.sum(1, keepdim=True)
    lowered_NV = torch.where(centred_NV > 0, centred_NV / penalty, centred_NV * penalty)
    return torch.where(seen_NV, lowered_NV, centred_NV)


def top_k(logits_NV: Tensor, k: int) -> Tensor:
    """The k highest logits of each row, and those equal to the k-th; the others never."""
    least_N1 = logits_NV.topk(min(k, logits_NV.shape[1]), dim=1).values[:, -1:]
    return logits_NV.masked_fill(logits_NV < least_N1, NEVER)


def top_p(logits_NV: Tensor, share: float) -> Tensor:
    """The likeliest tokens that together reach a share of the probability (Holtzman et al. 2020)."""
    if share == 1:
        return logits_NV
    probs_NV, order_NV = torch.softmax(logits_NV.double(), 1).sort(dim=1, descending=True, stable=True)
    before_NV = probs_NV.cumsum(1) - probs_NV  # of those likelier
    is_out_NV = torch.zeros_like(before_NV, dtype=torch.bool).scatter(1, order_NV, before_NV >= share)
    return logits_NV.masked_fill(is_out_NV, NEVER)


def min_p(logits_NV: Tensor, share: float) -> Tensor:
    """Tokens at least so likely, as a share of the likeliest (Nguyen et al. 2024, arXiv:2407.01082)."""
    if share == 0:
        return logits_NV
    probs_NV = torch.softmax(logits_NV, 1)
    return logits_NV.masked_fill(probs_NV < share * probs_NV.max(1, keepdim=True).values, NEVER)


def inverse_cdf(logits_NV: Tensor, uniform_N: Tensor) -> Tensor:
    """(N,) the token of each row at which the summed probability first exceeds a number from 0 to 1."""
    sums_NV = torch.softmax(logits_NV.double(), 1).cumsum(1)
    targets_N1 = uniform_N.to(sums_NV.device).unsqueeze(1) * sums_NV[:, -1:]
    return torch.searchsorted(sums_NV, targets_N1, right=True).squeeze(1)
