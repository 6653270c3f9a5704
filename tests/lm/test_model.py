"""The network against its equations; state, initial weights, dropout masks."""

import math

import pytest
import torch
from reference.language_model import STEPS, slow_logits
from torch.nn import functional as F

from nlpseq.config import LMConfig
from nlpseq.lm.dropout import DropoutMasks, resolve_dropout
from nlpseq.lm.model import GATES, RecurrentLM, detach, num_parameters

V, T, B, D, H = 11, 6, 3, 5, 7
NO_DROPOUT = {"weight_drop": 0.0} | {
    f"dropout_{name}": 0.0 for name in ("words", "input", "hidden", "output")
}


def make(**settings):
    """Build a small model with random biases and without dropout unless set."""
    model = RecurrentLM(LMConfig(**{"hidden": H, "dim": D} | NO_DROPOUT | settings), V)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "bias" in name:
                weight.normal_(generator=generator)
    return model


def some_tokens(steps=T, columns=B, seed=2):
    return torch.randint(V, (steps, columns), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cell", STEPS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("shape", [{}, {"tied": False}, {"dim": H}], ids=["projected", "untied", "same size"])
def test_forward_matches_equations(cell, layers, shape):
    model = make(cell=cell, layers=layers, **shape)
    start = [tuple(torch.randn_like(part) for part in each) for each in model.initial_state(B)]
    output = model(some_tokens(), start)
    logits_TBV = model.logits(output.features_TBD)
    wanted_TBV, end = slow_logits(model, some_tokens(), start)
    close = {"rtol": 1e-5, "atol": 1e-6}  # float32 sums in another order
    torch.testing.assert_close(logits_TBV, wanted_TBV, **close)
    for found, wanted in zip(output.state, end, strict=True):
        for part, wanted_part in zip(found, wanted, strict=True):
            torch.testing.assert_close(part[0], wanted_part, **close)


@pytest.mark.parametrize("cell", STEPS)
def test_gradients_match_gradients_of_equations(cell):
    model = make(cell=cell, layers=2)
    targets_N = some_tokens(seed=3).flatten()
    gradients = []
    output = model(some_tokens(), model.initial_state(B))
    for logits_TBV in (
        model.logits(output.features_TBD),
        slow_logits(model, some_tokens(), model.initial_state(B))[0],
    ):
        loss = F.cross_entropy(logits_TBV.flatten(0, 1), targets_N)
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)  # float32 sums over T steps


@pytest.mark.parametrize("cell", STEPS)
def test_carried_state_matches_single_pass_loss(cell):
    """The losses are equal; gradients differ, because they end at the border of a chunk."""
    model = make(cell=cell, layers=2)
    tokens_TB, targets_TB = some_tokens(12), some_tokens(12, seed=3)
    whole, whole_gradients = losses_and_gradients(model, tokens_TB, targets_TB, chunk=12)
    chunks, chunk_gradients = losses_and_gradients(model, tokens_TB, targets_TB, chunk=5)
    torch.testing.assert_close(chunks, whole, rtol=1e-5, atol=1e-6)
    recurrent = [name for name, _ in model.named_parameters()].index("layers.0.weight_hh")
    assert not torch.allclose(chunk_gradients[recurrent], whole_gradients[recurrent], rtol=1e-3)


def losses_and_gradients(model, tokens_TB, targets_TB, chunk):
    """Return the losses of all predictions, and the gradient of their sum within chunks."""
    state, losses = model.initial_state(tokens_TB.shape[1]), []
    for tokens, targets in zip(tokens_TB.split(chunk), targets_TB.split(chunk), strict=True):
        output = model(tokens, detach(state))
        state = output.state
        logits_NV = model.logits(output.features_TBD.flatten(0, 1))
        losses.append(F.cross_entropy(logits_NV, targets.flatten(), reduction="none"))
    losses_N = torch.cat(losses)
    return losses_N, torch.autograd.grad(losses_N.sum(), list(model.parameters()))


def test_detached_state_stops_gradient():
    model = make()
    first = model(some_tokens(), model.initial_state(B))
    assert all(part.requires_grad for layer in first.state for part in layer)
    second = model(some_tokens(1), detach(first.state))
    (gradient,) = torch.autograd.grad(
        second.features_TBD.sum(), [first.hidden_TBH], allow_unused=True, materialize_grads=False
    )
    assert gradient is None


@pytest.mark.parametrize(("cell", "parts"), [("lstm", 2), ("gru", 1), ("rnn", 1)])
def test_initial_state_is_zeros_of_cell_shape(cell, parts):
    state = make(cell=cell, layers=3).initial_state(B)
    assert [len(layer) for layer in state] == [parts] * 3
    assert all(part.shape == (1, B, H) and not part.any() for layer in state for part in layer)


def test_tied_weights_are_stored_once():
    tied, same, untied = make(), make(dim=H), make(tied=False)
    assert tied.softmax_weight is tied.embedding.weight
    sizes = {name: tuple(weight.shape) for name, weight in tied.named_parameters()}
    assert sorted(size for size in sizes.values() if V in size) == [(V,), (V, D)]
    assert sizes["projection.weight"] == (D, H)
    assert same.projection is None
    assert untied.projection is None and untied.output_weight.shape == (V, H)
    assert set(dict(untied.named_parameters())) - set(sizes) == {"output_weight"}


def test_residual_adds_input_except_in_first_layer():
    plain, residual = make(layers=3), make(layers=3, residual=True)
    residual.load_state_dict(plain.state_dict())
    x_TBD = plain.embedding(some_tokens())
    for i, layer in enumerate(plain.layers):
        hidden_TBH, _ = layer(x_TBD, plain.initial_state(B)[i], None, 0.0)
        x_TBD = hidden_TBH + x_TBD if i else hidden_TBH
    output = residual(some_tokens(), residual.initial_state(B))
    torch.testing.assert_close(output.hidden_TBH, x_TBD)
    assert not torch.allclose(output.hidden_TBH, plain(some_tokens(), plain.initial_state(B)).hidden_TBH)


def test_layer_norm_changes_output_and_not_state():
    normed, plain = make(layer_norm=True), make()
    plain.load_state_dict({k: v for k, v in normed.state_dict().items() if "norms" not in k})
    normed.norms[0].bias.data.zero_()
    output, wanted = (each(some_tokens(), each.initial_state(B)) for each in (normed, plain))
    torch.testing.assert_close(output.hidden_TBH, F.layer_norm(wanted.hidden_TBH, (H,)))
    torch.testing.assert_close(output.state, wanted.state)


def test_matrices_are_initialized_gate_by_gate():
    for cell, gates in GATES.items():
        for rule, bound in (("xavier", math.sqrt(6 / (40 + 60))), ("uniform", 40**-0.5)):
            model = RecurrentLM(LMConfig(cell=cell, hidden=60, dim=40, init=rule), V)
            largest = model.layers[0].weight_ih.abs().max().item()
            assert 0.98 * bound < largest <= bound  # the largest of at least 2400 uniform numbers
        model = RecurrentLM(LMConfig(cell=cell, hidden=60, dim=40, init="orthogonal"), V)
        for gate in model.layers[0].weight_hh.chunk(gates):
            torch.testing.assert_close(gate @ gate.T, torch.eye(60), rtol=0, atol=1e-5)


def test_initial_biases_are_zero_except_forget_gate():
    model = RecurrentLM(LMConfig(hidden=H, dim=D, layers=2, forget_bias=1.5, tied=False), V)
    for weight in (model.embedding.weight, model.output_weight):
        assert 0.08 < weight.abs().max() <= 0.1
    assert not model.output_bias.any()
    for layer in model.layers:
        assert (layer.bias_ih + layer.bias_hh).tolist() == [0] * H + [1.5] * H + [0] * 2 * H
    for cell in ("gru", "rnn"):
        layer = RecurrentLM(LMConfig(cell=cell, hidden=H, dim=D), V).layers[0]
        assert not layer.bias_ih.any() and not layer.bias_hh.any()


def test_initial_weights_depend_on_seed_only():
    torch.manual_seed(1)
    first = RecurrentLM(LMConfig(hidden=H, dim=D, seed=3), V)
    torch.manual_seed(2)
    again = RecurrentLM(LMConfig(hidden=H, dim=D, seed=3), V)
    other = RecurrentLM(LMConfig(hidden=H, dim=D, seed=4), V)
    for name, weight in first.named_parameters():
        assert torch.equal(weight, again.get_parameter(name))
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    assert not torch.equal(first.layers[0].weight_hh, other.layers[0].weight_hh)


# ---- dropout


def test_open_dropout_rates_follow_passes():
    rates = [resolve_dropout(LMConfig(), passes).dropout_input for passes in (0.1, 1, 7, 31, 1000)]
    assert rates == pytest.approx([0.014, 0.1, 0.3, 0.5, 0.5])
    found = resolve_dropout(LMConfig(dropout_output=0.0, weight_drop=0.7), 1)
    assert (found.dropout_output, found.weight_drop, found.dropout_hidden) == (0.0, 0.7, 0.06)
    assert resolve_dropout(found, 50) == found  # no rate is open


def test_masks_depend_on_seed_and_step():
    masks = [DropoutMasks(*key).mask(0.5, 100) for key in ((1, 1), (1, 1), (1, 2), (2, 1))]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2]) and not torch.equal(masks[0], masks[3])
    masks = DropoutMasks(1, 1)
    assert not torch.equal(masks.mask(0.5, 100), masks.mask(0.5, 100))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_mask_drops_its_rate_and_keeps_expectation(rate):
    mask = DropoutMasks(1, 1).mask(rate, 100_000)
    torch.testing.assert_close(mask.unique(), torch.tensor([0, 1 / (1 - rate)]))
    spread = math.sqrt(rate * (1 - rate) / mask.numel())
    assert abs((mask == 0).double().mean() - rate) < 4 * spread
    assert abs(mask.double().mean() - 1) < 4 * spread / (1 - rate)


def test_variational_dropout_is_same_at_every_step():
    dropped_TBD = DropoutMasks(1, 1).variational(torch.ones(T, B, 200), 0.5)
    assert torch.equal(dropped_TBD, dropped_TBD[:1].expand(T, -1, -1))
    assert not torch.equal(dropped_TBD[0, 0], dropped_TBD[0, 1])


def test_embedding_dropout_drops_all_uses_of_entry():
    tokens_TB = some_tokens(50)
    model, inputs = make(dropout_words=0.4), []
    with torch.no_grad():
        model.embedding.weight.fill_(1)
    model.layers[0].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    model(tokens_TB, model.initial_state(B), DropoutMasks(1, 1))
    (dropped_TBD,) = inputs
    values = []
    for word_id in range(V):
        (value,) = (
            dropped_TBD[tokens_TB == word_id].unique().tolist()
        )  # the same at all positions and features
        values.append(value)
    assert sorted(set(values)) == pytest.approx([0, 1 / 0.6])


def test_each_dropout_rate_acts_at_its_place():
    plain = make(layers=2)
    for name in ("words", "input", "hidden", "output"):
        dropped = make(layers=2, **{f"dropout_{name}": 0.5})
        wanted, found = (
            each(some_tokens(), each.initial_state(B), DropoutMasks(1, 1)) for each in (plain, dropped)
        )
        assert torch.equal(wanted.hidden_TBH, found.hidden_TBH) == (name == "output")
        assert torch.equal(wanted.state[0][0], found.state[0][0]) == (name in ("hidden", "output"))
        assert torch.equal(found.dropped_TBH, found.hidden_TBH) == (name != "output")
        without = dropped(some_tokens(), dropped.initial_state(B))
        assert torch.equal(without.features_TBD, wanted.features_TBD)


def test_rates_of_zero_drop_nothing():
    model = make(layers=2)
    outputs = [model(some_tokens(), model.initial_state(B), masks) for masks in (None, DropoutMasks(1, 1))]
    assert torch.equal(outputs[0].features_TBD, outputs[1].features_TBD)


@pytest.mark.parametrize("cell", STEPS)
def test_weight_drop_acts_on_recurrent_weights(cell):
    """The first step, from a zero state, does not use them; b_hh is not dropped."""
    dropping, plain = make(cell=cell, weight_drop=0.999), make(cell=cell)
    dropped = dropping(some_tokens(), dropping.initial_state(B), DropoutMasks(1, 1)).hidden_TBH
    wanted = plain(some_tokens(), plain.initial_state(B)).hidden_TBH
    torch.testing.assert_close(dropped[0], wanted[0])
    assert not torch.allclose(dropped[1], wanted[1], rtol=1e-2)
    with torch.no_grad():  # nearly all recurrent weights are 0
        plain.layers[0].weight_hh.mul_(DropoutMasks(1, 1).mask(0.999, *plain.layers[0].weight_hh.shape))
    torch.testing.assert_close(dropped, plain(some_tokens(), plain.initial_state(B)).hidden_TBH)


@pytest.mark.parametrize("cell", STEPS)
def test_weight_drop_gradient_reaches_kept_weights_only(cell):
    model = make(cell=cell, weight_drop=0.5)
    output = model(some_tokens(), model.initial_state(B), DropoutMasks(1, 1))
    (gradient,) = torch.autograd.grad(output.hidden_TBH.sum(), [model.layers[0].weight_hh])
    kept = DropoutMasks(1, 1).mask(0.5, *gradient.shape) != 0
    assert gradient[kept].all() and not gradient[~kept].any()


def test_weight_drop_needs_masks():
    model = make(weight_drop=0.9)
    first, again = (model(some_tokens(), model.initial_state(B)).features_TBD for _ in range(2))
    wanted = make()(some_tokens(), model.initial_state(B)).features_TBD
    assert torch.equal(first, again) and torch.equal(first, wanted)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("shape", [{"hidden": 7, "dim": 5}, {"hidden": 6, "dim": 6, "layers": 3}])
@pytest.mark.parametrize("extra", [{}, {"tied": False}, {"layer_norm": True, "residual": True}])
def test_num_parameters_matches_model(cell, shape, extra):
    config = LMConfig(cell=cell, **shape, **extra)
    made = sum(weight.numel() for weight in RecurrentLM(config, 11).parameters())
    assert num_parameters(config, 11) == made
