"""Dynamic evaluation: the steps the paper takes, on words already read, and no trace of them behind it."""

import copy
import math

import numpy as np
import pytest
import torch
from support.lm_models import encode, letters
from torch.nn import functional as F

from nlpseq.config import LMConfig
from nlpseq.errors import ConfigError, DataError, RunError
from nlpseq.lm import dynamic
from nlpseq.lm.batches import Stream
from nlpseq.lm.dynamic import DynamicSettings, dynamic_log_probs, gradient_statistics, tune_dynamic
from nlpseq.lm.evaluate import text_log_probs
from nlpseq.lm.model import RecurrentLM, detach

SETTINGS = DynamicSettings(0.02, 0.2, 7)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("data"), letters(12))


@pytest.fixture
def stream(data):
    return Stream(data)


def network(num_entries, **settings):
    return RecurrentLM(LMConfig(**{"hidden": 8, "dim": 6} | settings), num_entries).eval()


@pytest.fixture
def model(data):
    return network(len(data.vocab))


@pytest.fixture
def statistics(model, stream):
    return gradient_statistics(model, stream, rows=5)


def weights_of(model):
    return [weight.detach().clone() for weight in model.parameters()]


def assert_same(weights, others):
    assert all(torch.equal(one, other) for one, other in zip(weights, others, strict=True))


def reference(model, stream, statistics, settings):
    """(N,) log-probabilities by a copy that takes one step after another, weight by weight."""
    model = copy.deepcopy(model)
    trained = weights_of(model)
    roots = [each.sqrt() for each in statistics]
    mean = sum(each.mean() for each in roots) / len(roots)
    state, log_probs = model.initial_state(1), []
    for start in range(0, len(stream), settings.rows):
        words = torch.from_numpy(stream.read(start - 1, min(start + settings.rows, len(stream))))
        output = model(words[:-1, None], state)
        chances = F.log_softmax(model.logits(output.features_TBD[:, 0]), 1)[range(len(words) - 1), words[1:]]
        model.zero_grad()
        (-chances.mean()).backward()
        for weight, first, root in zip(model.parameters(), trained, roots, strict=True):
            step = -settings.learning_rate * weight.grad / (root + mean)
            pull = (settings.decay * root / mean).clamp(max=1) * (first - weight)
            weight.data += step + pull
        log_probs += chances.tolist()
        state = detach(output.state)
    return np.array(log_probs)


@pytest.mark.parametrize(
    "settings", [{}, {"cell": "gru"}, {"cell": "rnn", "tied": False}, {"layer_norm": True}]
)
@pytest.mark.parametrize("decay", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_it_takes_the_steps_of_the_reference(stream, data, settings, decay, rows):
    model = network(len(data.vocab), **settings)
    statistics = gradient_statistics(model, stream, rows=5)
    settings = DynamicSettings(0.02, decay, rows)
    wanted_N = reference(model, stream, statistics, settings)
    # float32, and errors go from step to step
    np.testing.assert_allclose(dynamic_log_probs(model, stream, statistics, settings), wanted_N, rtol=1e-4)


def test_weights_are_drawn_back_all_the_way_at_most(model, stream, statistics):
    """Some weights move more than the mean one, and at a decay of 1 would be drawn too far."""
    roots = [each.sqrt() for each in statistics]
    assert any((root > 2 * sum(each.mean() for each in roots) / len(roots)).any() for root in roots)
    settings = DynamicSettings(0.0, 1.0, 3)
    with torch.no_grad():
        moved = [each + 1 for each in model.parameters()]
    with dynamic._borrowed(model) as (weights, trained):
        torch._foreach_copy_(weights, moved)
        torch._foreach_lerp_(weights, trained, dynamic._scales(statistics, settings)[1])
        for weight, first in zip(weights, trained, strict=True):
            assert (weight >= first - 1e-6).all()


def test_a_model_that_does_not_learn_is_static(model, stream, statistics):
    np.testing.assert_allclose(
        dynamic_log_probs(model, stream, statistics, DynamicSettings(0.0, 0.1, 6)),
        text_log_probs(model, stream),
        rtol=1e-5,  # float32, in pieces of other lengths
    )


@pytest.mark.parametrize("rows", [1, 6])
def test_no_word_is_known_before_it_is_read(model, data, statistics, rows):
    position = 20
    place = position + int(np.searchsorted(data.sentences, position, "right")) - 1  # <eos> stand before it
    changed = Stream(data)
    changed.tokens = np.array(changed.tokens)
    changed.tokens[position] = (changed.tokens[position] + 1) % 7
    before, after = (
        dynamic_log_probs(model, each, statistics, SETTINGS._replace(rows=rows))
        for each in (Stream(data), changed)
    )
    np.testing.assert_array_equal(after[:place], before[:place])
    assert (after[place:] != before[place:]).all()


@torch.no_grad()
def test_the_model_is_left_as_it_was(model, stream, statistics):
    kept = weights_of(model)
    assert (
        dynamic_log_probs(model, stream, statistics, SETTINGS).mean() != text_log_probs(model, stream).mean()
    )
    tune_dynamic(model, stream, statistics)
    assert_same(weights_of(model), kept)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_model_is_left_as_it_was_when_something_goes_wrong(model, stream, statistics, monkeypatch, error):
    kept, predict, calls = weights_of(model), dynamic._predict, []

    def fail_at_last(*args):
        calls.append(args)
        if len(calls) == 4:
            assert not torch.equal(model.output_bias, kept[0])
            raise error
        return predict(*args)

    monkeypatch.setattr(dynamic, "_predict", fail_at_last)
    with pytest.raises(error):
        dynamic_log_probs(model, stream, statistics, SETTINGS)
    assert_same(weights_of(model), kept)


def test_a_loss_that_runs_off_is_an_error(model, stream, statistics):
    kept = weights_of(model)
    with pytest.raises(RunError, match=r"no longer finite at a learning rate of 1e\+30. Take less."):
        dynamic_log_probs(model, stream, statistics, DynamicSettings(1e30, 0.0, 5))
    assert_same(weights_of(model), kept)


def test_a_text_that_repeats_itself_is_learnt(tmp_path):
    data = encode(tmp_path, "\n".join(["a b c d e f g"] * 60))
    model, stream = network(len(data.vocab)), Stream(data)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # so that it has opinions to change
    statistics = gradient_statistics(model, stream, rows=5)
    learning = dynamic_log_probs(model, stream, statistics, DynamicSettings(0.03, 0.001, 5))
    assert learning.mean() > text_log_probs(model, stream).mean() + 0.5


def test_statistics_are_mean_squares_over_chunks_of_all_the_text(model, stream):
    count, rows = 4, 5
    sums = [torch.zeros_like(each) for each in model.parameters()]
    for number in range(count):
        start = number * len(stream) // count
        before = torch.from_numpy(stream.read(start - dynamic.CONTEXT - 1, start - 1))[:, None]
        words = torch.from_numpy(stream.read(start - 1, start + rows))
        state = detach(model(before, model.initial_state(1)).state)
        output = model(words[:-1, None], state)
        model.zero_grad()
        F.cross_entropy(model.logits(output.features_TBD[:, 0]), words[1:]).backward()
        for total, weight in zip(sums, model.parameters(), strict=True):
            total += weight.grad.square() / count
    model.zero_grad()
    for found, wanted in zip(gradient_statistics(model, stream, count, rows), sums, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-12)


def test_statistics_of_a_text_shorter_than_a_chunk(tmp_path):
    data = encode(tmp_path, "a b")
    model = network(len(data.vocab))
    statistics = gradient_statistics(model, Stream(data), rows=20)
    assert all(each.isfinite().all() for each in statistics)
    assert statistics[0].any()


def test_tuning_finds_the_best_of_what_it_tries(model, stream, statistics, monkeypatch):
    tried, learn = {}, dynamic._learn

    def noting(*args):
        log_probs_N = learn(*args)
        tried[args[3]] = log_probs_N.mean()
        assert len(log_probs_N) == 40
        return log_probs_N

    monkeypatch.setattr(dynamic, "TUNING_TOKENS", 40)
    monkeypatch.setattr(dynamic, "_learn", noting)
    found = tune_dynamic(model, stream, statistics, rows=5)
    assert tried[found] == max(tried.values())
    assert found.rows == 5
    assert len({each.learning_rate for each in tried}) > 2
    assert len({each.decay for each in tried}) > 2


def test_tuning_does_not_learn_where_that_is_of_no_use(model, stream, statistics, monkeypatch):
    monkeypatch.setattr(dynamic, "LEARNING_RATES", (1e30, 1e31))
    assert tune_dynamic(model, stream, statistics).learning_rate == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((-0.1, 0.1, 5), "learning_rate: -0.1 is not valid. The value must be at least 0."),
        ((math.inf, 0.1, 5), "learning_rate is inf"),
        ((0.1, 1.5, 5), "decay: 1.5 is not valid. The value must be from 0 to 1."),
        ((0.1, 0.1, 0), "rows: 0 is not valid. The value must be at least 1."),
    ],
)
def test_settings_that_make_no_sense(model, stream, statistics, settings, message):
    with pytest.raises(ConfigError, match=message):
        dynamic_log_probs(model, stream, statistics, DynamicSettings(*settings))


def test_no_text(model, data, statistics):
    stream = Stream(data)
    stream.sentences = np.array([0])
    for call in (
        lambda: gradient_statistics(model, stream),
        lambda: tune_dynamic(model, stream, statistics),
        lambda: dynamic_log_probs(model, stream, statistics, SETTINGS),
    ):
        with pytest.raises(DataError, match="there is no text to read"):
            call()
