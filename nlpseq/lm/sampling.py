"""Sampling of the next token: filters of logits, each a plain function.

Letters: N texts, V vocabulary entries.
"""

import torch
from torch import Tensor

from nlpseq.config import Sampling
from nlpseq.core.counter_rng import Stream, random_bits

__all__ = ["NEVER", "min_p", "penalized", "sample_next", "top_k", "top_p"]

NEVER = float("-inf")  # logit of an impossible token


def sample_next(logits_NV: Tensor, seen_NV: Tensor, sampling: Sampling, seed: int, step: int) -> Tensor:
    """Sample (N,) next tokens; text n gets the same token for any N."""
    logits_NV = penalized(logits_NV.double(), seen_NV, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return logits_NV.argmax(1)
    # the highest logit becomes 0, so that no temperature makes a logit infinite or NaN but by NEVER
    logits_NV = (logits_NV - logits_NV.amax(1, keepdim=True)) / sampling.temperature
    logits_NV = top_p(top_k(logits_NV, sampling.top_k), sampling.top_p)
    sums_NV = torch.softmax(min_p(logits_NV, sampling.min_p), 1).cumsum(1)
    uniform = [
        (random_bits(seed, Stream.CHOICE, n, step) >> 11) / 2**53 for n in range(len(logits_NV))
    ]  # below 1
    uniform_N1 = torch.tensor(uniform, dtype=torch.float64, device=sums_NV.device).unsqueeze(1)
    return torch.searchsorted(sums_NV, uniform_N1 * sums_NV[:, -1:], right=True).squeeze(1)  # inverse CDF


def penalized(logits_NV: Tensor, seen_NV: Tensor, penalty: float) -> Tensor:
    """Divide positive logits of seen tokens by the penalty, and multiply negative logits.

    Keskar et al. 2019, arXiv:1909.05858, section 4.1. Logits are centered first, because a constant added to
    all logits must not change the result. (The log-probability of a certain token is near 0 and would escape
    the penalty.)
    """
    if penalty == 1:
        return logits_NV
    is_possible_NV = logits_NV > NEVER
    sums_N1 = logits_NV.masked_fill(~is_possible_NV, 0).sum(1, keepdim=True)
    centred_NV = logits_NV - sums_N1 / is_possible_NV.sum(1, keepdim=True)
    lowered_NV = torch.where(centred_NV > 0, centred_NV / penalty, centred_NV * penalty)
    return torch.where(seen_NV, lowered_NV, centred_NV)


def top_k(logits_NV: Tensor, k: int | None) -> Tensor:
    """Keep the k highest logits of each row, ties with the k-th included."""
    if k is None:
        return logits_NV
    lowest_N1 = logits_NV.topk(min(k, logits_NV.shape[1]), dim=1).values[:, -1:]
    return logits_NV.masked_fill(logits_NV < lowest_N1, NEVER)


def top_p(logits_NV: Tensor, share: float) -> Tensor:
    """Keep the fewest likeliest tokens with a total probability of at least `share`.

    Holtzman et al. 2020, arXiv:1904.09751.
    """
    if share == 1:
        return logits_NV
    probs_NV, order_NV = torch.softmax(logits_NV.double(), 1).sort(dim=1, descending=True, stable=True)
    before_NV = probs_NV.cumsum(1) - probs_NV  # total probability of likelier tokens
    is_out_NV = torch.zeros_like(before_NV, dtype=torch.bool).scatter(1, order_NV, before_NV >= share)
    return logits_NV.masked_fill(is_out_NV, NEVER)


def min_p(logits_NV: Tensor, share: float) -> Tensor:
    """Keep tokens with a share of the highest probability (Nguyen et al. 2024, arXiv:2407.01082)."""
    if share == 0:
        return logits_NV
    probs_NV = torch.softmax(logits_NV, 1)
    return logits_NV.masked_fill(probs_NV < share * probs_NV.max(1, keepdim=True).values, NEVER)
