"""Optimizers, learning rate schedules and gradient clipping."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from nlpseq.config import LMConfig

__all__ = ["clip", "make_optimizer", "rate_factor"]

BETA2 = 0.999


def make_optimizer(parameters: Sequence[nn.Parameter], config: LMConfig) -> torch.optim.Optimizer:
    """Return the optimizer that config names.

    Adam with beta1 = 0 is RMSprop with bias correction (Melis et al. 2018, arXiv:1707.05589).
    """
    groups = [  # biases and norms do not decay, because the softmax bias must be far from 0
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, foreach=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, betas=(config.beta1, BETA2), fused=True)


def rate_factor(config: LMConfig, done: float) -> float:
    """Return the schedule's factor of the learning rate at `done` (0 to 1) of the training."""
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "linear":
        return min(1.0, (1 - done) / config.decay_share)
    return 1.0  # constant; the Trainer handles plateau


def clip(parameters: Sequence[nn.Parameter], config: LMConfig) -> None:
    """Clip the gradients by value, then by norm (Pascanu et al. 2013, arXiv:1211.5063)."""
    if config.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, config.clip_value)
    if config.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
