"""The loss of a chunk: a few rows of the columns, read from the state after the last chunk.

Letters: T time steps, B columns, N = T * B predictions, D features.
"""

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from nlpseq.lm.device import DTYPES, Precision
from nlpseq.lm.dropout import DropoutMasks
from nlpseq.lm.losses import NegativeSampler, activation_penalty, linear_cross_entropy, sampled_cross_entropy
from nlpseq.lm.model import RecurrentLM, State

__all__ = ["chunk_losses"]


def chunk_losses(
    model: RecurrentLM,
    window: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    carried: State,
    masks: DropoutMasks,
    sampler: NegativeSampler | None,
    precision: Precision,
) -> tuple[Tensor, Tensor, State]:
    """Return the mean log-loss in nats, the penalty of regularizers, and the recurrent state.

    window: tokens and targets, both (T, B). carried: the state before. sampler: None for the full softmax.
    """
    device = model.output_bias.device
    tokens_TB, targets_TB = (torch.from_numpy(each).to(device) for each in window)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        output = model(tokens_TB, carried, masks)
        features_ND, targets_N = output.features_TBD.flatten(0, 1), targets_TB.flatten()
        layer = model.softmax_weight, model.output_bias, targets_N
        dtype = DTYPES[precision]
        if sampler is not None:
            loss = sampled_cross_entropy(features_ND, *layer, sampler, masks.generator, dtype)
        else:
            loss = linear_cross_entropy(features_ND, *layer, dtype)
    return loss, activation_penalty(output, model.config), output.state
