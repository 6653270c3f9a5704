"""Training losses: full softmax, sampled softmax, and activation penalties.

Letters: N predictions, V vocabulary entries, D features, S sampled entries, C columns of a softmax.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nlpseq.config import LMConfig
from nlpseq.lm.model import Output

__all__ = ["MAX_LOGITS", "NegativeSampler", "activation_penalty", "linear_cross_entropy"]
__all__ += ["sampled_cross_entropy"]

MAX_LOGITS = 1 << 23  # per block, because the allocator reuses arrays of up to this size


def linear_cross_entropy(
    features_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    dtype: torch.dtype,
    max_logits: int = MAX_LOGITS,
) -> Tensor:
    """Return the mean log-loss of the full softmax in nats; matrices are multiplied in `dtype`.

    Equals F.cross_entropy(F.linear(features, weight, bias), targets) without holding all logits: for each
    block of rows, up to `max_logits`, the forward pass also computes the gradients.
    """
    loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features_ND, weight_VD, bias_V, targets_N, dtype, max_logits
    )
    return loss


class _MeanLoss(torch.autograd.Function):
    """A mean loss, whose forward pass saves the gradients of the sum."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        scale = grad_outputs[0] / ctx.num_predictions
        return *(grad * scale for grad in ctx.saved_tensors), None, None, None


class _LinearCrossEntropy(_MeanLoss):
    @staticmethod
    def forward(
        ctx: Any,
        features_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        dtype: torch.dtype,
        max_logits: int,
    ) -> Tensor:
        features, weight, bias = (each.detach().to(dtype) for each in (features_ND, weight_VD, bias_V))
        grads = [torch.zeros_like(each, dtype=torch.float32) for each in (features, weight, bias)]
        grad_features, grad_weight, grad_bias = grads
        loss = features_ND.new_zeros(())
        rows = max(1, max_logits // len(weight))
        for start in range(0, len(features), rows):
            block = slice(start, start + rows)
            logits_NV = torch.addmm(bias, features[block], weight.T)
            block_loss, error_NV = _softmax_error(logits_NV, targets_N[block])
            loss += block_loss
            grad_features[block] = error_NV @ weight
            grad_weight += error_NV.T @ features[block]
            grad_bias += error_NV.sum(0)
        ctx.save_for_backward(*grads)
        ctx.num_predictions = len(features)
        return loss / len(features)


class NegativeSampler:
    """Draw entries without replacement, by count ** power, and correct for the sampling.

    log_inclusion_V is the log probability of an entry to be in the sample. The common log(S q) exceeds 0 for
    frequent entries and biases their logits.
    """

    def __init__(self, counts_V: Tensor, samples: int, power: float = 0.75) -> None:
        weights_V = counts_V.double().clamp_min(1) ** power
        share_V = weights_V / weights_V.sum()
        self.samples = min(samples, len(share_V))
        self.share_V = share_V.float()
        self.log_inclusion_V = _inclusion(share_V, self.samples).log().float()

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw the ids (S,) of distinct entries, in proportion to count ** power."""
        return torch.multinomial(self.share_V, self.samples, replacement=False, generator=generator)


def _inclusion(share_V: Tensor, samples: int) -> Tensor:
    """Return (V,) inclusion probabilities 1 - (1 - q)^n, whose sum is `samples`.

    n > samples is the number of draws with replacement that give as many distinct entries, by bisection.
    """
    if samples == len(share_V):
        return torch.ones_like(share_V)
    low, high = float(samples), 1e12
    for _ in range(100):
        n = (low * high) ** 0.5
        inclusion_V = -torch.expm1(n * torch.log1p(-share_V))
        low, high = (n, high) if float(inclusion_V.sum()) < samples else (low, n)
    return inclusion_V


def sampled_cross_entropy(
    features_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    sampler: NegativeSampler,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> Tensor:
    """Return the mean log-loss in nats against one shared sample, an estimate of the full softmax.

    Bengio & Senécal 2008 (doi:10.1109/TNN.2007.912312), Jean et al. 2015 (arXiv:1412.2007), section 3.
    Matrices are multiplied in `dtype`.
    """
    loss: Tensor = _SampledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features_ND, weight_VD, bias_V - sampler.log_inclusion_V, targets_N, sampler.draw(generator), dtype
    )
    return loss


class _SampledCrossEntropy(_MeanLoss):
    """A softmax of C = 1 + S columns: each row's own target first, then the sample."""

    @staticmethod
    def forward(
        ctx: Any,
        features_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        drawn_S: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        features, weight, bias = (each.detach() for each in (features_ND, weight_VD, bias_V))
        own_ND = weight[targets_N]
        columns_CD = F.pad(weight[drawn_S].to(dtype), (0, 0, 1, 0))  # 0: the target differs by row
        logits_NC = torch.addmm(F.pad(bias[drawn_S].to(dtype), (1, 0)), features.to(dtype), columns_CD.T)
        logits_NC[:, 0] = (features * own_ND).sum(1) + bias[targets_N]
        _mask_drawn_targets(logits_NC, targets_N, drawn_S, len(weight))
        loss, error_NC = _softmax_error(logits_NC, torch.zeros_like(targets_N))

        own_error_N1 = error_NC[:, :1].to(features)
        grad_drawn_SD = (error_NC.T @ features.to(dtype))[1:].to(weight)
        grad_weight = torch.zeros_like(weight).index_copy_(0, drawn_S, grad_drawn_SD)
        grad_weight.index_add_(0, targets_N, own_error_N1 * features)
        grad_bias = torch.zeros_like(bias).index_copy_(0, drawn_S, error_NC.sum(0)[1:].to(bias))
        grad_bias.index_add_(0, targets_N, own_error_N1[:, 0])
        grad_features = (error_NC @ columns_CD).to(features).addcmul_(own_error_N1, own_ND)
        ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        ctx.num_predictions = len(features)
        return (loss / len(features)).to(features)


def _mask_drawn_targets(logits_NC: Tensor, targets_N: Tensor, drawn_S: Tensor, num_entries: int) -> None:
    """Set the logit of a drawn entry to -inf if the entry is the row's own target."""
    column_V = torch.zeros(num_entries, dtype=torch.int64, device=targets_N.device)
    column_V[drawn_S] = torch.arange(1, 1 + len(drawn_S), device=targets_N.device)
    column_N = column_V[targets_N]
    row_N = column_N.nonzero()[:, 0]
    logits_NC[row_N, column_N[row_N]] = float("-inf")


def _softmax_error(logits_NC: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed log-loss (float32) and d loss / d logits."""
    error_NC = torch.softmax(logits_NC, 1)
    row_N = torch.arange(len(targets_N), device=targets_N.device)
    target_N = error_NC[row_N, targets_N].float()
    error_NC[row_N, targets_N] -= 1
    return -target_N.clamp_min(torch.finfo(torch.float32).tiny).log().sum(), error_NC


def activation_penalty(output: Output, config: LMConfig) -> Tensor:
    """Return AR plus TAR, the penalties on activations and their changes.

    Merity et al. 2017, arXiv:1708.01009.
    """
    penalty = output.hidden_TBH.new_zeros(())
    if config.ar:
        penalty = penalty + config.ar * output.dropped_TBH.pow(2).mean()
    if config.tar and len(output.hidden_TBH) > 1:
        penalty = penalty + config.tar * output.hidden_TBH.diff(dim=0).pow(2).mean()
    return penalty
