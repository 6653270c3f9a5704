"""Losses against PyTorch and numeric gradients; averages, schedules, clipping, optimizers."""

import pytest
import torch
from torch.nn import functional as F

from nlpseq.config import LMConfig
from nlpseq.lm.averaging import Average, restored
from nlpseq.lm.losses import NegativeSampler, linear_cross_entropy, sampled_cross_entropy
from nlpseq.lm.optim import clip, make_optimizer, rate_factor

N, V, D, S = 7, 5, 3, 2


def layer(dtype=torch.float64, rows=N, entries=V, seed=1):
    """Return features, weight and bias with gradients, and targets with repetitions."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((rows, D), (entries, D), (entries,))
    tensors = [torch.randn(*size, dtype=dtype, generator=generator).requires_grad_() for size in sizes]
    return *tensors, torch.randint(entries, (rows,), generator=generator)


def sampler(samples=S, entries=V):
    return NegativeSampler(torch.arange(entries, 0, -1) ** 2, samples)


@pytest.mark.parametrize("max_logits", [1, 2 * V, 3 * V + 1, 1 << 23], ids=["1 row", "2", "3", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_full_loss_matches_pytorch_for_any_block_size(max_logits, dtype):
    *tensors, targets_N = layer(dtype)
    wanted = F.cross_entropy(F.linear(*tensors), targets_N)
    found = linear_cross_entropy(*tensors, targets_N, dtype, max_logits)
    close = {"rtol": 1e-5, "atol": 1e-6}  # gradients are summed in float32
    torch.testing.assert_close(found, wanted, **close)
    upstream = 2.5  # gradient of a later operation
    for gradient, want in zip(
        torch.autograd.grad(upstream * found, tensors),
        torch.autograd.grad(upstream * wanted, tensors),
        strict=True,
    ):
        torch.testing.assert_close(gradient.to(dtype), want, **close)


def test_full_loss_matches_numeric_gradient():
    *tensors, targets_N = layer()

    def loss(*tensors):
        return linear_cross_entropy(*tensors, targets_N, torch.float64)

    for number, tensor in enumerate(tensors):
        (gradient,) = torch.autograd.grad(loss(*tensors), [tensor])
        numeric = numeric_gradient(lambda: loss(*tensors), tensors[number])
        torch.testing.assert_close(gradient.double(), numeric, rtol=0, atol=1e-4)


def numeric_gradient(loss, tensor, step=1e-2):
    """Return central differences, accurate to about 1e-4; float32 losses need a long step."""
    gradient = torch.zeros_like(tensor)
    with torch.no_grad():
        for place in range(tensor.numel()):
            flat = tensor.view(-1)
            kept = flat[place].item()
            flat[place] = kept + step
            above = loss()
            flat[place] = kept - step
            gradient.view(-1)[place] = (above.double() - loss().double()) / (2 * step)
            flat[place] = kept
    return gradient


def test_bf16_loss_is_close_with_float32_gradients():
    *tensors, targets_N = layer(torch.float32, rows=64, entries=50)
    wanted = F.cross_entropy(F.linear(*tensors), targets_N)
    found = linear_cross_entropy(*tensors, targets_N, torch.bfloat16)
    assert found.item() == pytest.approx(wanted.item(), rel=0.01)  # bf16 has 8 bits
    for gradient, want in zip(
        torch.autograd.grad(found, tensors), torch.autograd.grad(wanted, tensors), strict=True
    ):
        assert gradient.dtype == torch.float32
        assert F.cosine_similarity(gradient.flatten(), want.flatten(), dim=0) > 0.999


def test_impossible_target_has_finite_loss():
    features, weight = torch.full((1, D), 1e3), torch.tensor([[1.0] * D, [-1.0] * D])
    loss = linear_cross_entropy(features, weight, torch.zeros(2), torch.tensor([1]), torch.float32)
    assert 80 < loss < 90  # log of the smallest float32


# ---- the sampled softmax


@pytest.mark.slow
def test_inclusion_probability_matches_sampling():
    """Within 3 %; 1 - (1 - q)^S is 8 % low for rare entries, and S q 40 % high (above 1) for the first."""
    entries, samples, trials = 1000, 30, 20_000
    drawer = NegativeSampler((1e6 / torch.arange(1, entries + 1)).long(), samples)
    generator = torch.Generator().manual_seed(1)
    drawn_V = torch.zeros(entries)
    for _ in range(trials):
        negatives_S = drawer.draw(generator)
        assert len(negatives_S) == len(negatives_S.unique()) == samples
        drawn_V[negatives_S] += 1
    measured_V, stated_V = drawn_V / trials, drawer.log_inclusion_V.exp()
    for band in (*(slice(i, i + 1) for i in range(5)), slice(5, 20), slice(20, 200), slice(200, None)):
        # 1 % for the approximation by n draws with replacement, 2 % for the measurement (5000 draws or more)
        torch.testing.assert_close(measured_V[band].sum(), stated_V[band].sum(), rtol=0.03, atol=0)
    torch.testing.assert_close(stated_V.sum(), torch.tensor(float(samples)))
    assert samples * drawer.share_V[0] > 1.3 > 1 > stated_V[0]


def test_sampling_shares_are_counts_to_power_three_quarters():
    drawer = NegativeSampler(torch.tensor([16, 1, -1, 0]), 2)
    torch.testing.assert_close(drawer.share_V, torch.tensor([8.0, 1, 1, 1]) / 11)


def test_sampled_loss_matches_formula():
    *tensors, targets_N = layer()
    features_ND, weight_VD, bias_V = tensors
    drawer = sampler(samples=3)
    generator = torch.Generator()
    found = sampled_cross_entropy(*tensors, targets_N, drawer, generator.manual_seed(4), torch.float64)
    negatives = drawer.draw(generator.manual_seed(4)).tolist()
    assert any(target in negatives for target in targets_N.tolist())  # else the test shows nothing
    total = 0.0
    for h_D, target in zip(features_ND, targets_N.tolist(), strict=True):
        rivals = [target, *(each for each in negatives if each != target)]
        logits = weight_VD[rivals] @ h_D + bias_V[rivals] - drawer.log_inclusion_V[rivals]
        total += torch.logsumexp(logits, 0) - logits[0]
    torch.testing.assert_close(found, total / N, rtol=1e-5, atol=1e-6)  # the loss is summed in float32


def test_sample_of_whole_vocabulary_equals_full_softmax():
    *tensors, targets_N = layer()
    for samples in (V, V + 3):  # no more than all can be drawn
        drawer = sampler(samples=samples)
        found = sampled_cross_entropy(*tensors, targets_N, drawer, torch.Generator(), torch.float64)
        torch.testing.assert_close(
            found, F.cross_entropy(F.linear(*tensors), targets_N), rtol=1e-5, atol=1e-6
        )


@pytest.mark.slow
def test_sampled_loss_learns_log_frequencies():
    """A bias trained on samples ends at the log frequencies; corrected by log(S q), at other values."""
    entries, samples = 30, 8
    counts_V = (300 / torch.arange(1, entries + 1)).long()
    log_share_V = (counts_V / counts_V.sum()).log()
    right = NegativeSampler(counts_V, samples)
    wrong = NegativeSampler(counts_V, samples)
    wrong.log_inclusion_V = (samples * wrong.share_V).log()
    assert (learnt_bias(right, counts_V) - log_share_V).abs()[:10].max() < 0.25
    assert (learnt_bias(wrong, counts_V) - log_share_V).abs()[:10].max() > 0.25


def learnt_bias(drawer, counts_V):
    """Train a bias on samples of a text with these counts; return its mean log-probabilities."""
    targets = torch.repeat_interleave(torch.arange(len(counts_V)), counts_V)
    generator = torch.Generator().manual_seed(1)
    bias_V = torch.zeros(len(counts_V), requires_grad=True)
    features, weight = torch.zeros(len(targets), 1), torch.zeros(len(counts_V), 1)
    mean_V = torch.zeros(len(counts_V))
    for step in range(1500):
        loss = sampled_cross_entropy(features, weight, bias_V, targets, drawer, generator, torch.float32)
        (gradient,) = torch.autograd.grad(loss, [bias_V])
        with torch.no_grad():
            bias_V -= 1.0 * gradient
            mean_V += torch.log_softmax(bias_V, 0) / 500 * (step >= 1000)
    return mean_V


def test_sampled_loss_matches_numeric_gradient():
    *tensors, targets_N = layer()
    drawer = sampler(samples=3)

    def loss(*tensors):
        generator = torch.Generator().manual_seed(4)
        return sampled_cross_entropy(*tensors, targets_N, drawer, generator, torch.float64)

    for number, tensor in enumerate(tensors):
        (gradient,) = torch.autograd.grad(loss(*tensors), [tensor])
        numeric = numeric_gradient(lambda: loss(*tensors), tensors[number])
        torch.testing.assert_close(gradient, numeric, rtol=0, atol=1e-4)


# ---- averages


def steps_of(parameter, count):
    """Change a parameter at random; yield its values."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        with torch.no_grad():
            parameter.copy_(torch.randn(4, generator=generator))
        yield parameter.detach().clone()


def test_uniform_average_is_mean_of_all_updates():
    weight = torch.nn.Parameter(torch.full((4,), 100.0))  # before the first update: not part of it
    average, seen = Average([weight]), []
    for value in steps_of(weight, 9):
        seen.append(value)
        average.update()
        torch.testing.assert_close(average.values[0], torch.stack(seen).mean(0))


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_ema_starts_as_mean_and_then_decays(decay):
    weight = torch.nn.Parameter(torch.zeros(4))
    average, wanted = Average([weight], decay), torch.zeros(4)
    for number, value in enumerate(steps_of(weight, 30), start=1):
        average.update()
        keep = min(1 - 1 / number, decay)
        wanted = keep * wanted + (1 - keep) * value
        torch.testing.assert_close(average.values[0], wanted)


def test_average_restores_weights_after_use():
    weight = torch.nn.Parameter(torch.zeros(4))
    average = Average([weight])
    for _ in steps_of(weight, 3):
        average.update()
    before = weight.detach().clone()
    with pytest.raises(KeyError), restored(average.parameters, average.values):
        assert torch.equal(weight, average.values[0]) and not torch.equal(weight, before)
        raise KeyError
    assert torch.equal(weight, before)
    with torch.no_grad():
        weight.zero_()
    assert average.values[0].any()  # a copy of its own


# ---- optimizers


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"schedule": "constant"}, [1, 1, 1, 1, 1]),
        ({"schedule": "plateau"}, [1, 1, 1, 1, 1]),  # its cuts come from validation
        ({"schedule": "cosine"}, [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0]),
        ({"schedule": "linear", "decay_share": 0.5}, [1, 1, 1, 0.5, 0]),
        ({"schedule": "linear", "decay_share": 1.0}, [1, 0.75, 0.5, 0.25, 0]),
    ],
)
def test_learning_rate_schedules(settings, wanted):
    config = LMConfig(**settings)
    assert [rate_factor(config, done / 4) for done in range(5)] == pytest.approx(wanted, abs=1e-12)


def gradients(*values):
    parameters = [torch.nn.Parameter(torch.zeros(len(each))) for each in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor(value)
    return parameters


def test_clipping_shortens_long_gradients_only():
    long = gradients([3.0, 0.0], [0.0, -4.0])
    clip(long, LMConfig(clip_norm=2.5))
    torch.testing.assert_close(long[0].grad, torch.tensor([1.5, 0.0]))  # one length for all, same direction
    torch.testing.assert_close(long[1].grad, torch.tensor([0.0, -2.0]))
    for config, wanted in (
        (LMConfig(clip_norm=6.0), [3.0, -4.0]),
        (LMConfig(clip_norm=None), [3.0, -4.0]),
        (LMConfig(clip_norm=None, clip_value=3.5), [3.0, -3.5]),
        (LMConfig(clip_norm=2.5, clip_value=2.0), [2.0 * 2.5 / 8**0.5, -2.0 * 2.5 / 8**0.5]),  # value first
    ):
        (parameter,) = gradients([3.0, -4.0])
        clip([parameter], config)
        torch.testing.assert_close(parameter.grad, torch.tensor(wanted))


def test_adamw_decays_weights_apart_from_gradient():
    for name, wanted in (("adamw", 1 - 0.1 * 0.01), ("sgd", 1 - 0.1 * 0.01), ("adam", 1 - 0.1)):
        matrix, bias = (torch.nn.Parameter(torch.ones(shape)) for shape in ((1, 1), (1,)))
        matrix.grad, bias.grad = torch.zeros(1, 1), torch.zeros(1)
        make_optimizer([matrix, bias], LMConfig(optimizer=name, learning_rate=0.1, weight_decay=0.01)).step()
        assert matrix.item() == pytest.approx(wanted, rel=1e-4), name
        assert bias.item() == 1, name
