"""The reach of gradients in untrained networks: the reason for gates."""

import pytest
import torch
from torch.nn import functional as F

from nlpseq.config import LMConfig
from nlpseq.lm.gradients import gradient_flow
from nlpseq.lm.model import RecurrentLM

V, STEPS, COLUMNS = 50, 101, 8


def flow(seed=1, **settings):
    model = RecurrentLM(LMConfig(**{"hidden": 64, "dim": 32, "seed": seed} | settings), V)
    rows_TB = torch.randint(V, (STEPS + 1, COLUMNS), generator=torch.Generator().manual_seed(seed))
    return gradient_flow(model, rows_TB[:-1], rows_TB[-1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gradient_vanishes_in_plain_rnn_and_not_in_lstm(seed):
    """Over 100 steps, a spectral radius of about 1/sqrt(3) (uniform initialization) leaves 1e-24.

    Half-open gates leave as little; a forget bias of 1 keeps 0.73 per step, a bias of 5 keeps 0.993.
    """
    plain, shut, lstm, wide = (
        flow(seed, **settings)
        for settings in (
            {"cell": "rnn"},
            {"cell": "lstm", "forget_bias": 0.0},
            {"cell": "lstm"},
            {"cell": "lstm", "forget_bias": 5.0},
        )
    )
    left = [float(each[100] / each[0]) for each in (plain, shut, lstm, wide)]
    assert left[0] < 1e-15 and left[1] < 1e-15  # about 1e-20
    assert 1e-9 < left[2] < 1e-3  # about 1e-6
    assert left[3] > 1
    assert reach(lstm) > 2 * reach(plain)


def reach(flow_T):
    """Return the number of steps after which a hundredth of the gradient is left."""
    return int((flow_T < flow_T[0] / 100).double().argmax())


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gradient_flow_matches_autograd_per_column(cell):
    """Autograd runs on one column at a time, with a leaf per token."""
    model = RecurrentLM(LMConfig(cell=cell, hidden=7, dim=5, layers=2), V)
    rows_TB = torch.randint(V, (6, 3), generator=torch.Generator().manual_seed(1))
    found_T = gradient_flow(model, rows_TB[:-1], rows_TB[-1])
    lengths = []
    for column in range(3):
        leaves = [model.embedding.weight[each].detach().requires_grad_() for each in rows_TB[:-1, column]]
        x_TBD = torch.stack(leaves).unsqueeze(1)
        for layer, start in zip(model.layers, model.initial_state(1), strict=True):
            x_TBD, _ = layer(x_TBD, start, None, 0.0)
        logits_BV = model.logits(model.projection(x_TBD[-1]))
        gradients = torch.autograd.grad(F.cross_entropy(logits_BV, rows_TB[-1:, column]), leaves)
        lengths.append(torch.stack([each.norm() for each in reversed(gradients)]))
    torch.testing.assert_close(found_T, torch.stack(lengths).mean(0).double(), rtol=1e-4, atol=1e-9)


def test_gradient_flow_leaves_no_hook_or_gradient():
    model = RecurrentLM(LMConfig(hidden=7, dim=5), V)
    rows_TB = torch.zeros(4, 2, dtype=torch.long)
    with torch.no_grad():  # as in evaluation
        first = gradient_flow(model, rows_TB[:-1], rows_TB[-1])
        again = gradient_flow(model, rows_TB[:-1], rows_TB[-1])
    assert torch.equal(first, again) and first.shape == (3,)
    assert not model.embedding._forward_hooks  # of PyTorch, which has no public list of hooks
    assert all(weight.grad is None for weight in model.parameters())
