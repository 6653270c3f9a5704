"""How far back gradients reach: the reason for gates, seen in networks as they begin."""

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
def test_over_100_steps_the_gradient_of_a_plain_rnn_vanishes_and_a_gated_one_does_not(seed):
    """The uniform rule begins recurrent matrices at a spectral radius of about 1/sqrt(3): 1e-24 in 100 steps.

    Half-open gates let as little through, a bias of 1 lets 0.73 a step, a bias of 5 lets 0.993.
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
    """Steps after which a hundredth of the gradient is left."""
    return int((flow_T < flow_T[0] / 100).double().argmax())


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_lengths_are_those_of_each_embedding_alone(cell):
    """Against autograd for one column at a time, with a leaf for each token."""
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


def test_it_leaves_the_model_as_it_was():
    model = RecurrentLM(LMConfig(hidden=7, dim=5), V)
    rows_TB = torch.zeros(4, 2, dtype=torch.long)
    with torch.no_grad():  # as in evaluation
        first = gradient_flow(model, rows_TB[:-1], rows_TB[-1])
        again = gradient_flow(model, rows_TB[:-1], rows_TB[-1])
    assert torch.equal(first, again) and first.shape == (3,)
    assert not model.embedding._forward_hooks
    assert all(weight.grad is None for weight in model.parameters())
