"""The continuous cache: what a plain reference says, and only of words already read."""

import math

import numpy as np
import pytest
import torch
from support.lm_models import encode, letters

from nlpseq.config import LMConfig
from nlpseq.errors import ConfigError, DataError
from nlpseq.lm import neural_cache as cache
from nlpseq.lm.batches import Stream
from nlpseq.lm.evaluate import text_log_probs
from nlpseq.lm.model import RecurrentLM
from nlpseq.lm.neural_cache import CacheSettings, cache_log_probs, tune_cache


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


def network(num_entries, scale=4.0, **settings):
    """A network of random weights, large enough that it has opinions."""
    model = RecurrentLM(LMConfig(**{"hidden": 8, "dim": 6} | settings), num_entries).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(scale)
    return model


@pytest.fixture
def model(data):
    return network(len(data.vocab))


def changed(data, position, word_id):
    """The text with another word at a place of tokens.npy."""
    stream = Stream(data)
    stream.tokens = np.array(stream.tokens)
    stream.tokens[position] = word_id
    return stream


@torch.no_grad()
def reference(model, stream, settings):
    """(N, V) the whole distribution at every position, in float64, pair by pair."""
    window, theta, share = settings
    words = stream.read(0, len(stream))
    tokens_TB = torch.from_numpy(stream.read(-1, len(stream) - 1)[:, None])
    output = model(tokens_TB, model.initial_state(1))
    hidden_NH = output.hidden_TBH[:, 0].double().numpy()
    model_NV = torch.softmax(model.logits(output.features_TBD[:, 0]).double(), 1).numpy()
    mixed_NV = model_NV.copy()
    for t in range(1, len(words)):
        places = range(max(0, t - window), t)
        scores = [theta * float(hidden_NH[t] @ hidden_NH[i]) for i in places]
        total = sum(math.exp(each) for each in scores)
        mixed_NV[t] *= 1 - share
        for i, score in zip(places, scores, strict=True):
            mixed_NV[t, words[i]] += share * math.exp(score) / total
    return mixed_NV


@pytest.mark.parametrize("window", [1, 3, 5, 20, "one less", "all", "more"])
@pytest.mark.parametrize(("rows", "block"), [(1024, 256), (16, 5), (7, 7), (10, 1)])
def test_it_is_what_the_reference_says(model, stream, monkeypatch, window, rows, block):
    monkeypatch.setattr(cache, "ROWS", rows)
    monkeypatch.setattr(cache, "BLOCK", block)
    sizes = {"one less": len(stream) - 1, "all": len(stream), "more": len(stream) + 9}
    check(model, stream, CacheSettings(sizes.get(window, window), 0.7, 0.3))


def check(model, stream, settings):
    wanted_NV = reference(model, stream, settings)
    np.testing.assert_allclose(wanted_NV.sum(1), 1)
    wanted_N = np.log(wanted_NV[np.arange(len(stream)), stream.read(0, len(stream))])
    # float32 states, whose products go into an exponential
    np.testing.assert_allclose(cache_log_probs(model, stream, settings), wanted_N, rtol=1e-4)


@pytest.mark.parametrize("theta", [0.0, 3.0, 20.0])
def test_it_is_as_sharp_as_theta(model, stream, theta):
    check(model, stream, CacheSettings(20, theta, 0.5))


@pytest.mark.parametrize("settings", [{"cell": "gru"}, {"cell": "rnn"}, {"layers": 2, "residual": True}])
def test_networks_of_every_kind(stream, data, settings):
    check(network(len(data.vocab), **settings), stream, CacheSettings(9, 0.5, 0.4))


def test_a_huge_window_takes_no_more_memory_than_the_text(model, stream):
    whole, huge = (cache_log_probs(model, stream, CacheSettings(n, 1.0, 0.3)) for n in (len(stream), 10**12))
    np.testing.assert_array_equal(whole, huge)


@pytest.mark.parametrize("position", [0, 1, 20, 40])
def test_the_chances_of_all_continuations_are_one(model, data, position):
    settings = CacheSettings(15, 1.0, 0.4)
    place = position + int(np.searchsorted(data.sentences, position, "right")) - 1  # <eos> stand before it
    chances = [
        math.exp(cache_log_probs(model, changed(data, position, word_id), settings)[place])
        for word_id in range(len(data.vocab))
    ]
    assert sum(chances) == pytest.approx(1, rel=1e-5)  # float32 probabilities


def test_a_share_of_nothing_is_the_model_alone(tmp_path):
    data = encode(tmp_path, letters(400))  # longer than what is read at once
    model, stream = network(len(data.vocab)), Stream(data)
    assert len(stream) > cache.ROWS
    np.testing.assert_array_equal(
        cache_log_probs(model, stream, CacheSettings(50, 1.0, 0.0)), text_log_probs(model, stream)
    )


def test_the_first_word_is_up_to_the_model(model, stream):
    alone, beside = text_log_probs(model, stream), cache_log_probs(model, stream, CacheSettings(5, 1, 0.9))
    assert beside[0] == alone[0]
    assert beside[1] != alone[1]


@pytest.mark.parametrize("position", [5, 21])
def test_no_word_is_known_before_it_is_read(model, data, position):
    settings = CacheSettings(15, 1.0, 0.4)
    place = position + int(np.searchsorted(data.sentences, position, "right")) - 1
    before = cache_log_probs(model, Stream(data), settings)
    after = cache_log_probs(model, changed(data, position, (data.tokens[position] + 1) % 7), settings)
    np.testing.assert_array_equal(after[:place], before[:place])
    assert (after[place:] != before[place:]).any()


def test_a_text_that_repeats_itself_is_read_better(tmp_path):
    data = encode(tmp_path, "\n".join([letters(4)] * 8))
    model, stream = network(len(data.vocab)), Stream(data)
    beside = cache_log_probs(model, stream, CacheSettings(100, 3.0, 0.5))
    assert beside.mean() > text_log_probs(model, stream).mean() + 0.1


def test_tuning_finds_the_best_of_its_grid(model, tmp_path, monkeypatch):
    stream = Stream(encode(tmp_path, "\n".join([letters(6, seed=2)] * 3)))
    monkeypatch.setattr(cache, "SHARPNESS", (0.0, 1.0, 3.0))
    monkeypatch.setattr(cache, "SHARES", (0.0, 0.1, 0.5, 0.8))
    monkeypatch.setattr(cache, "BLOCK", 11)
    found = tune_cache(model, stream, windows=(4, 40, 200))
    unit = 1 / cache._mean_square(model, stream)
    losses = {
        settings: -cache_log_probs(model, stream, settings).mean()
        for settings in (
            CacheSettings(window, sharpness * unit, share)
            for window in (4, 40, 200)
            for sharpness in cache.SHARPNESS
            for share in cache.SHARES
        )
    }
    assert losses[found] == pytest.approx(min(losses.values()), rel=1e-7)
    assert found.share > 0
    assert losses[found] < max(losses.values()) - 0.1


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 4, 39])
def test_the_end_of_a_longer_cache_is_a_shorter_one(model, stream, monkeypatch, window):
    monkeypatch.setattr(cache, "BLOCK", 11)
    share = torch.tensor(0.4, dtype=torch.float64)
    longer = [
        cache._mix(block, cache._cache_probs(block, window, 0.7), share)
        for block in cache._blocks(model, stream, 40)
    ]
    wanted_N = cache_log_probs(model, stream, CacheSettings(window, 0.7, 0.4))
    np.testing.assert_allclose(torch.cat(longer).numpy(), wanted_N, rtol=1e-5)  # float32 in another order


def test_tuning_leaves_a_cache_of_no_use_out(data):
    """Every word is new, so that what was read says nothing on what comes."""
    stream = Stream(data)
    stream.tokens = np.arange(6)
    stream.sentences = np.array([0, 6])
    assert tune_cache(network(len(data.vocab)), stream).share == 0


def test_theta_is_tried_in_units_of_the_states(model, data):
    """A network whose states are half as long is given four times the theta."""

    class Halved(RecurrentLM):
        def forward(self, *args):
            output = super().forward(*args)
            return output._replace(hidden_TBH=output.hidden_TBH / 2)

    halved = Halved(model.config, model.num_entries)
    halved.load_state_dict(model.state_dict())
    one, other = (tune_cache(each, Stream(data), windows=(30,)) for each in (model, halved))
    assert other == pytest.approx(one._replace(theta=4 * one.theta))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0, 1.0, 0.1), "window: 0 is not valid. The value must be at least 1."),
        ((5, -1.0, 0.1), "theta: -1.0 is not valid. The value must be at least 0."),
        ((5, math.nan, 0.1), "theta is nan"),
        ((5, 1.0, 1.0), "share: 1.0 is not valid. The value must be at least 0 and below 1."),
    ],
)
def test_settings_that_make_no_sense(model, stream, settings, message):
    with pytest.raises(ConfigError, match=message):
        cache_log_probs(model, stream, CacheSettings(*settings))


def test_no_text(model, data):
    stream = Stream(data)
    stream.sentences = np.array([0])
    for judge in (tune_cache, lambda *args: cache_log_probs(*args, CacheSettings(5, 1.0, 0.1))):
        with pytest.raises(DataError, match="there is no text to read"):
            judge(model, stream)
