"""Dynamic evaluation against naive code; causality; restored weights."""

import math

import numpy as np
import pytest
import torch
from reference.language_model import dynamic_evaluation_log_probs, mean_squared_gradients
from support.lm_models import changed_stream, encode, stream_position, tiny_network

from nlpseq.errors import ConfigError, DataError, RunError
from nlpseq.lm.batches import Stream
from nlpseq.lm.dynamic import (
    CONTEXT_TOKENS,
    DynamicGrid,
    DynamicSettings,
    dynamic_log_probs,
    gradient_statistics,
    tune_dynamic,
    update_scales,
)
from nlpseq.lm.evaluate import text_log_probs
from nlpseq.lm.model import RecurrentLM

SETTINGS = DynamicSettings(0.02, 0.2, 7)


@pytest.fixture
def model(data):
    return tiny_network(len(data.vocab))


@pytest.fixture
def statistics(model, stream):
    return gradient_statistics(model, stream, rows=5)


def weights_of(model):
    return [weight.detach().clone() for weight in model.parameters()]


def assert_same(weights, others):
    assert all(torch.equal(one, other) for one, other in zip(weights, others, strict=True))


@pytest.mark.parametrize(
    "settings", [{}, {"cell": "gru"}, {"cell": "rnn", "tied": False}, {"layer_norm": True}]
)
@pytest.mark.parametrize(("decay", "rows"), [(0.0, 7), (0.2, 1), (0.2, 7), (0.2, 1000), (1.0, 7)])
def test_dynamic_log_probs_match_reference(stream, data, settings, decay, rows):
    model = tiny_network(len(data.vocab), **settings)
    statistics = gradient_statistics(model, stream, rows=5)
    settings = DynamicSettings(0.02, decay, rows)
    wanted_N = dynamic_evaluation_log_probs(model, stream, statistics, settings)
    # float32, and errors add up over steps
    np.testing.assert_allclose(dynamic_log_probs(model, stream, statistics, settings), wanted_N, rtol=1e-4)


def test_gradient_statistics_match_reference(model, stream):
    wanted = mean_squared_gradients(model, stream, 4, 5, CONTEXT_TOKENS)
    for found, want in zip(gradient_statistics(model, stream, 4, 5), wanted, strict=True):
        torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-12)


def test_pull_never_overshoots_trained_weight(statistics):
    roots = [each.sqrt() for each in statistics]
    mean = sum(each.mean() for each in roots) / len(roots)
    assert any((root > 2 * mean).any() for root in roots)  # unclipped, a decay of 1 would overshoot
    _, pulls = update_scales(statistics, DynamicSettings(0.0, 1.0, 3))
    assert all(((pull >= 0) & (pull <= 1)).all() for pull in pulls)


def test_learning_rate_zero_equals_static(model, stream, statistics):
    np.testing.assert_allclose(
        dynamic_log_probs(model, stream, statistics, DynamicSettings(0.0, 0.1, 6)),
        text_log_probs(model, stream),
        rtol=1e-5,  # float32, in chunks of other lengths
    )


@pytest.mark.parametrize("rows", [1, 6])
def test_dynamic_predictions_ignore_later_words(model, data, statistics, rows):
    position = 20
    changed = changed_stream(data, position, (data.tokens[position] + 1) % 7)
    before, after = (
        dynamic_log_probs(model, each, statistics, SETTINGS._replace(rows=rows))
        for each in (Stream(data), changed)
    )
    place = stream_position(data, position)
    np.testing.assert_array_equal(after[:place], before[:place])
    assert (after[place:] != before[place:]).all()


@torch.no_grad()
def test_dynamic_evaluation_restores_weights(model, stream, statistics):
    kept = weights_of(model)
    adapted = dynamic_log_probs(model, stream, statistics, SETTINGS)
    assert adapted.mean() != text_log_probs(model, stream).mean()
    tune_dynamic(model, stream, statistics)
    assert_same(weights_of(model), kept)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_error_restores_weights(data, stream, error):
    class FailsAtFourthPass(RecurrentLM):
        passes = 0

        def forward(self, *args):
            self.passes += 1
            if self.passes == 4:
                assert not torch.equal(self.output_bias, kept[0])  # the weights have moved
                raise error
            return super().forward(*args)

    healthy = tiny_network(len(data.vocab))
    statistics = gradient_statistics(healthy, stream, rows=5)
    model = FailsAtFourthPass(healthy.config, healthy.num_entries)
    model.load_state_dict(healthy.state_dict())
    kept = weights_of(model)
    with pytest.raises(error):
        dynamic_log_probs(model, stream, statistics, SETTINGS)
    assert_same(weights_of(model), kept)


def test_diverged_loss_raises_run_error(model, stream, statistics):
    kept = weights_of(model)
    message = r"diverged at a learning rate of 1e\+30\. Use a lower learning rate\."
    with pytest.raises(RunError, match=message):
        dynamic_log_probs(model, stream, statistics, DynamicSettings(1e30, 0.0, 5))
    assert_same(weights_of(model), kept)


def test_statistics_of_text_shorter_than_chunk(tmp_path):
    data = encode(tmp_path, "a b")
    statistics = gradient_statistics(tiny_network(len(data.vocab)), Stream(data), rows=20)
    assert all(each.isfinite().all() for each in statistics)
    assert statistics[0].any()


def test_tuning_returns_best_settings_of_grid(model, stream, statistics):
    grid = DynamicGrid(max_tokens=40)
    found = tune_dynamic(model, stream, statistics, 5, grid)

    def loss(settings):  # of the first tokens, which later ones do not change
        return -dynamic_log_probs(model, stream, statistics, settings)[:40].mean()

    rates = [0.0, *grid.learning_rates]
    losses = {rate: loss(DynamicSettings(rate, grid.decays[0], 5)) for rate in rates}
    best_rate = min(losses, key=losses.__getitem__)
    assert found.learning_rate == best_rate > grid.learning_rates[0]  # the search went on
    by_decay = {decay: loss(DynamicSettings(best_rate, decay, 5)) for decay in grid.decays}
    assert len(set(by_decay.values())) == 3
    assert by_decay[found.decay] == min(by_decay.values())
    assert found.rows == 5


def test_tuning_uses_max_tokens_only(model, data, statistics):
    grid = DynamicGrid(max_tokens=10)
    changed = changed_stream(data, 30, (data.tokens[30] + 1) % 7)
    found = [tune_dynamic(model, each, statistics, 5, grid) for each in (Stream(data), changed)]
    assert found[0] == found[1]


def test_tuning_turns_learning_off_if_useless(model, stream, statistics):
    grid = DynamicGrid(learning_rates=(1e30, 1e31))
    assert tune_dynamic(model, stream, statistics, grid=grid).learning_rate == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((-0.1, 0.1, 5), r"learning_rate: \-0\.1 is not valid\. The value must be at least 0"),
        ((math.inf, 0.1, 5), "learning_rate: inf is not valid"),
        ((0.1, 1.5, 5), r"decay: 1\.5 is not valid\. The value must be from 0 to 1"),
        ((0.1, 0.1, 0), r"rows: 0 is not valid\. The value must be at least 1"),
    ],
)
def test_dynamic_settings_out_of_range(model, stream, statistics, settings, message):
    with pytest.raises(ConfigError, match=message):
        dynamic_log_probs(model, stream, statistics, DynamicSettings(*settings))


def test_dynamic_evaluation_of_empty_text(model, data, statistics):
    stream = Stream(data)
    stream.sentences = np.array([0])
    for call in (
        lambda: gradient_statistics(model, stream),
        lambda: tune_dynamic(model, stream, statistics),
        lambda: dynamic_log_probs(model, stream, statistics, SETTINGS),
    ):
        with pytest.raises(DataError, match="text: has no tokens"):
            call()


def test_dynamic_evaluation_learns_repeated_text(tmp_path):
    data = encode(tmp_path, "\n".join(["a b c d e f g"] * 60))
    model, stream = tiny_network(len(data.vocab), scale=4.0), Stream(data)
    statistics = gradient_statistics(model, stream, rows=5)
    learning = dynamic_log_probs(model, stream, statistics, DynamicSettings(0.03, 0.001, 5))
    assert learning.mean() > text_log_probs(model, stream).mean() + 0.5
