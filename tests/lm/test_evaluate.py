"""Evaluation: every token once, the state carried, and figures that mean what they say."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import nlpseq as ns
from nlpseq.config import LMConfig, TextConfig
from nlpseq.lm import evaluate
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.evaluate import count_characters, judge, mean_loss, perplexity_of, text_log_probs
from nlpseq.lm.model import RecurrentLM

TEXT = "The cat sat, and sat.\nA dog!\nThe dog ran; the cat, too, ran.\n" * 9


@pytest.fixture(params=["word", "char"])
def data(request, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    config = TextConfig(
        tokenizer=request.param, lower=False, min_count=3, punctuation=request.param == "word"
    )
    return ns.preprocess(ns.open_corpus(tmp_path / "text.txt"), config, tmp_path / "text.tokens")


@pytest.fixture
def model(data):
    return RecurrentLM(LMConfig(hidden=9, dim=5, layers=2), len(data.vocab))


def plain_log_probs(model, data):
    """One token after the other, each by a pass of its own."""
    eos = len(data.vocab) - 1
    tokens = []
    for start, stop in zip(data.sentences[:-1], data.sentences[1:], strict=True):
        tokens += [*data.tokens[start:stop].tolist(), eos]
    state, before, found = model.initial_state(1), eos, []
    with torch.no_grad():
        for token in tokens:
            output = model(torch.tensor([[before]]), state)
            state, before = output.state, token
            found.append(float(F.log_softmax(model.logits(output.features_TBD[0]), 1)[0, token]))
    return np.array(found)


@pytest.mark.parametrize("rows, logits", [(1024, 1 << 23), (7, 40)], ids=["at once", "in pieces"])
def test_log_probs_of_a_text_equal_those_token_by_token(model, data, monkeypatch, rows, logits):
    monkeypatch.setattr(evaluate, "TEXT_ROWS", rows)
    monkeypatch.setattr(evaluate, "LOGITS_AT_ONCE", logits)
    found = text_log_probs(model, Stream(data))
    assert len(found) == data.num_tokens + data.num_sentences
    # float32, and other shapes of the same matrix products
    np.testing.assert_allclose(found, plain_log_probs(model, data), rtol=1e-4)


def test_figures_of_a_text(model, data):
    found, log_probs = judge(model, data), text_log_probs(model, Stream(data))
    assert found.perplexity == pytest.approx(math.exp(-log_probs.mean()))
    assert found.bits_per_token == pytest.approx(math.log2(found.perplexity))
    assert found.tokens == len(log_probs)
    assert found.unk == int((data.tokens[:] == data.vocab.num_words).sum())
    total_bits = found.bits_per_token * found.tokens
    assert found.bits_per_character * count_characters(data) == pytest.approx(total_bits)


def test_characters_are_those_of_the_text_as_it_is_written(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    for tokenizer in ("word", "char", "whitespace"):
        config = TextConfig(tokenizer=tokenizer, lower=False, min_count=1, punctuation=tokenizer == "word")
        path = tmp_path / f"{tokenizer}.tokens"
        data = ns.preprocess(ns.open_corpus(tmp_path / "text.txt"), config, path)
        assert count_characters(data) == len(TEXT)


def test_an_even_model_has_the_size_of_the_vocabulary_as_perplexity(model, data):
    with torch.no_grad():
        model.embedding.weight.zero_()
    assert judge(model, data).perplexity == pytest.approx(len(data.vocab), rel=1e-5)


def test_several_columns_are_close_to_one(model, data):
    whole = -text_log_probs(model, Stream(data)).mean()
    assert mean_loss(model, Stream(data), 16, "fp32", 10**9) == pytest.approx(whole, rel=0.02)
    assert mean_loss(model, Stream(data), 1, "fp32", 10**9) == pytest.approx(whole, rel=1e-5)


def test_of_a_long_text_the_beginning_of_each_column_is_read(model, data, monkeypatch):
    monkeypatch.setattr(evaluate, "ROWS", 8)
    found = mean_loss(model, Stream(data), 4, "fp32", 22)
    columns = Columns(Stream(data), 4)
    tokens_TB, targets_TB = (torch.from_numpy(each) for each in columns.window(0, 5))
    with torch.no_grad():
        output = model(tokens_TB, model.initial_state(4))
        wanted = F.cross_entropy(model.logits(output.features_TBD.flatten(0, 1)), targets_TB.flatten())
    assert found == pytest.approx(float(wanted), rel=1e-5)


def test_a_split_is_judged_by_its_own_sentences(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    config = TextConfig(min_count=1, test_share=0.3)
    data = ns.preprocess(ns.open_corpus(tmp_path / "text.txt"), config, tmp_path / "text.tokens")
    test = data.split("test")
    model = RecurrentLM(LMConfig(hidden=9, dim=5), len(data.vocab))
    assert judge(model, test).tokens == test.num_tokens + test.num_sentences
    np.testing.assert_allclose(text_log_probs(model, Stream(test)), plain_log_probs(model, test), rtol=1e-4)


def test_a_perplexity_is_a_number_unless_the_loss_is_none():
    assert perplexity_of(math.log(20)) == pytest.approx(20)
    assert perplexity_of(1e6) == perplexity_of(math.inf) == math.exp(700)
    assert math.isnan(perplexity_of(math.nan))
