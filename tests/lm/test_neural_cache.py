"""The neural cache against naive code; causality; tuning."""

import math

import numpy as np
import pytest
from reference.language_model import neural_cache_probs
from support.lm_models import changed_stream, encode, letters, stream_position, tiny_network

from nlpseq.errors import ConfigError, DataError
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.evaluate import TEXT_ROWS, read, text_log_probs
from nlpseq.lm.model import RecurrentLM
from nlpseq.lm.neural_cache import CacheGrid, CacheSettings, cache_log_probs, tune_cache

SCALE = 4.0  # of the weights, so that predictions are far from uniform


@pytest.fixture
def model(data):
    return tiny_network(len(data.vocab), SCALE)


def check(model, stream, settings, **sizes):
    wanted_NV = neural_cache_probs(model, stream, settings)
    np.testing.assert_allclose(wanted_NV.sum(1), 1)
    wanted_N = np.log(wanted_NV[np.arange(len(stream)), stream.read(0, len(stream))])
    # float32 states, whose products go into an exponential
    np.testing.assert_allclose(cache_log_probs(model, stream, settings, **sizes), wanted_N, rtol=1e-4)


@pytest.mark.parametrize("window", [1, 3, 5, 20, "one less", "all", "more"])
@pytest.mark.parametrize(("rows", "block_rows"), [(1024, 256), (16, 5), (7, 7), (10, 1)])
def test_cache_matches_reference(model, stream, window, rows, block_rows):
    sizes = {"one less": len(stream) - 1, "all": len(stream), "more": len(stream) + 9}
    settings = CacheSettings(sizes.get(window, window), 0.7, 0.3)
    check(model, stream, settings, rows=rows, block_rows=block_rows)


@pytest.mark.parametrize("theta", [0.0, 3.0, 20.0])
def test_cache_matches_reference_for_any_theta(model, stream, theta):
    check(model, stream, CacheSettings(20, theta, 0.5))


@pytest.mark.parametrize("settings", [{"cell": "gru"}, {"cell": "rnn"}, {"layers": 2, "residual": True}])
def test_cache_matches_reference_for_any_network(stream, data, settings):
    check(tiny_network(len(data.vocab), SCALE, **settings), stream, CacheSettings(9, 0.5, 0.4))


def test_huge_window_takes_memory_of_text_only(model, stream):
    whole, huge = (cache_log_probs(model, stream, CacheSettings(n, 1.0, 0.3)) for n in (len(stream), 10**12))
    np.testing.assert_array_equal(whole, huge)


@pytest.mark.parametrize("position", [0, 1, 20, 40])
def test_cache_probabilities_sum_to_one(model, data, position):
    settings, place = CacheSettings(15, 1.0, 0.4), stream_position(data, position)
    probs = [
        math.exp(cache_log_probs(model, changed_stream(data, position, word_id), settings)[place])
        for word_id in range(len(data.vocab))
    ]
    assert sum(probs) == pytest.approx(1, rel=1e-5)  # float32 probabilities


def test_cache_weight_zero_equals_model(tmp_path):
    data = encode(tmp_path, letters(400))
    model, stream = tiny_network(len(data.vocab), SCALE), Stream(data)
    assert len(stream) > TEXT_ROWS  # several passes
    np.testing.assert_array_equal(
        cache_log_probs(model, stream, CacheSettings(50, 1.0, 0.0)), text_log_probs(model, stream)
    )


def test_first_word_comes_from_model_alone(model, stream):
    alone, mixed = text_log_probs(model, stream), cache_log_probs(model, stream, CacheSettings(5, 1, 0.9))
    assert mixed[0] == alone[0]
    assert mixed[1] != alone[1]


@pytest.mark.parametrize("position", [5, 21])
def test_cache_predictions_ignore_later_words(model, data, position):
    settings, place = CacheSettings(15, 1.0, 0.4), stream_position(data, position)
    before = cache_log_probs(model, Stream(data), settings)
    changed = changed_stream(data, position, (data.tokens[position] + 1) % 7)
    after = cache_log_probs(model, changed, settings)
    np.testing.assert_array_equal(after[:place], before[:place])
    assert (after[place:] != before[place:]).any()


def mean_square_state(model, stream):
    """Return the mean |h|^2 at the start of a text."""
    first = next(read(model, Columns(stream), rows=TEXT_ROWS))
    return float(first.hidden_TBH.square().sum(2).mean())


def test_tuning_returns_best_settings_of_grid(model, tmp_path):
    """All windows are computed from the largest, so each must equal a cache of that size."""
    stream = Stream(encode(tmp_path, "\n".join([letters(6, seed=2)] * 3)))
    grid = CacheGrid((4, 40, 200), (0.0, 1.0, 3.0), (0.0, 0.1, 0.5, 0.8))
    found = tune_cache(model, stream, grid, block_rows=11)
    unit = 1 / mean_square_state(model, stream)
    losses = {
        settings: -cache_log_probs(model, stream, settings).mean()
        for settings in (
            CacheSettings(window, sharpness * unit, cache_weight)
            for window in grid.windows
            for sharpness in grid.sharpness
            for cache_weight in grid.cache_weights
        )
    }
    assert losses[found] == pytest.approx(min(losses.values()), rel=1e-7)
    assert found.cache_weight > 0
    assert losses[found] < max(losses.values()) - 0.1


@pytest.mark.parametrize("window", [1, 4, 39])
def test_tuning_weighs_short_window_like_evaluation(model, stream, window):
    """The long window has theta 0 and weight 0 only; the best weight of the short one must be found."""
    weights = (0.0, 0.2, 0.4, 0.6)
    unit = 1 / mean_square_state(model, stream)
    found = tune_cache(model, stream, CacheGrid((window, 40), (2.0,), weights), block_rows=11)
    losses = {
        settings: -cache_log_probs(model, stream, settings).mean()
        for settings in (
            CacheSettings(each, 2.0 * unit, weight) for each in (window, 40) for weight in weights
        )
    }
    assert losses[found] == pytest.approx(min(losses.values()), rel=1e-6)


def test_tuning_turns_useless_cache_off(data):
    """Every word is new, so the cache is of no help."""
    stream = Stream(data)
    stream.tokens = np.arange(6)
    stream.sentences = np.array([0, 6])
    assert tune_cache(tiny_network(len(data.vocab), SCALE), stream).cache_weight == 0


def test_tuning_scales_theta_by_size_of_states(model, data):
    """States half as long get four times the theta."""

    class Halved(RecurrentLM):
        def forward(self, *args):
            output = super().forward(*args)
            return output._replace(hidden_TBH=output.hidden_TBH / 2)

    halved = Halved(model.config, model.num_entries)
    halved.load_state_dict(model.state_dict())
    one, other = (tune_cache(each, Stream(data), CacheGrid(windows=(30,))) for each in (model, halved))
    assert other == pytest.approx(one._replace(theta=4 * one.theta))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0, 1.0, 0.1), r"window: 0 is not valid\. The value must be at least 1"),
        ((5, -1.0, 0.1), r"theta: \-1\.0 is not valid\. The value must be at least 0"),
        ((5, math.nan, 0.1), "theta: nan is not valid"),
        ((5, 1.0, 1.0), r"cache_weight: 1\.0 is not valid\. The value must be at least 0 and below 1"),
    ],
)
def test_cache_settings_out_of_range(model, stream, settings, message):
    with pytest.raises(ConfigError, match=message):
        cache_log_probs(model, stream, CacheSettings(*settings))


def test_cache_of_empty_text(model, data):
    stream = Stream(data)
    stream.sentences = np.array([0])
    for evaluate in (tune_cache, lambda *args: cache_log_probs(*args, CacheSettings(5, 1.0, 0.1))):
        with pytest.raises(DataError, match="text: has no tokens"):
            evaluate(model, stream)


def test_cache_helps_on_repeated_text(tmp_path):
    data = encode(tmp_path, "\n".join([letters(4)] * 8))
    model, stream = tiny_network(len(data.vocab), SCALE), Stream(data)
    mixed = cache_log_probs(model, stream, CacheSettings(100, 3.0, 0.5))
    assert mixed.mean() > text_log_probs(model, stream).mean() + 0.1
