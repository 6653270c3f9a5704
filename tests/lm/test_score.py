"""Scores of sentences: each by itself, the same in any company, from the tokens a corpus would have."""

import math
import random

import numpy as np
import pytest
import torch
from support import lm_models
from torch.nn import functional as F

import nlpseq as ns
from nlpseq.config import TextConfig
from nlpseq.lm import score
from nlpseq.lm.score import score_sentences

LINES = ["The cat sat.", "", "a", "zebra café ... zebra", "the " * 40, "It’s a CAFE\u0301 on the mat", "!?"]


def some_sentences(count, longest=12, seed=1):
    chance = random.Random(seed)
    words = [*lm_models.WORDS, "zebra"]
    return [" ".join(chance.choices(words, k=chance.randint(0, longest))) for _ in range(count)]


def plain_log_probs(model, ids):
    """One token after the other from the zero state, each by a pass of its own."""
    network, eos = model.model, len(model.vocab) - 1
    state, before, found = network.initial_state(1), eos, []
    with torch.no_grad():
        for token in [*ids, eos]:
            output = network(torch.tensor([[before]]), state)
            state, before = output.state, token
            found.append(float(F.log_softmax(network.logits(output.features_TBD[0]), 1)[0, token]))
    return np.array(found)


def ids_of(model, tokens):
    """Ids of the tokens of a score, without the <eos> at its end."""
    assert tokens[-1] == "<eos>"
    return [model.vocab.ids.get(token, model.vocab.num_words) for token in tokens[:-1]]


@pytest.fixture
def passes(monkeypatch):
    """Shapes of what the network was given, pass by pass."""
    shapes = []
    forward = ns.lm.model.RecurrentLM.forward

    def counted(self, tokens_TB, *rest):
        shapes.append(tuple(tokens_TB.shape))
        return forward(self, tokens_TB, *rest)

    monkeypatch.setattr(ns.lm.model.RecurrentLM, "forward", counted)
    return shapes


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("at_once", [8192, 7], ids=["one pass", "in pieces"])
def test_log_probs_equal_those_token_by_token(monkeypatch, cell, at_once):
    monkeypatch.setattr(score, "TOKENS_AT_ONCE", at_once)
    model = lm_models.tiny_model(cell=cell, layers=2, dim=5)
    scores = list(score_sentences(model, LINES))
    assert [each.text for each in scores] == LINES
    for each in scores:
        expected = plain_log_probs(model, ids_of(model, each.tokens))
        # float32, and other shapes of the same matrix products
        np.testing.assert_allclose(each.log_probs, expected, rtol=1e-5)


def test_a_batch_scores_as_one_by_one():
    model = lm_models.tiny_model()
    sentences = some_sentences(200)
    together, alone = list(score_sentences(model, sentences)), [model.score(each) for each in sentences]
    assert [each[:2] for each in together] == [each[:2] for each in alone]
    for ours, theirs in zip(together, alone, strict=True):
        # float32, and other shapes of the same matrix products
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, rtol=1e-5)


def test_figures_of_a_sentence():
    found = lm_models.tiny_model().score("The zebra sat.")
    assert found.tokens == ["the", "<unk:zebra>", "sat", ".", "<eos>"]
    assert (found.unk, len(found.log_probs)) == (1, 5)
    assert found.log_prob == pytest.approx(found.log_probs.sum())
    assert found.perplexity == pytest.approx(math.exp(-found.log_prob / 5))


def test_an_even_model_gives_every_entry_the_same():
    model = lm_models.tiny_model()
    with torch.no_grad():
        model.model.embedding.weight.zero_()
    assert model.score("the cat").perplexity == pytest.approx(len(model.vocab), rel=1e-5)


@pytest.mark.parametrize("text", ["", " \t ", "\0", "\n"])
def test_without_tokens_there_is_the_end_alone(text):
    found = lm_models.tiny_model().score(text)
    assert (found.text, found.tokens, found.unk) == (text, ["<eos>"], 0)
    assert found.log_prob < 0


def test_special_entries_cannot_be_written():
    model = lm_models.tiny_model(TextConfig(tokenizer="whitespace"))
    found = model.score("the <eos> <unk> cat")
    assert found.tokens == ["the", "<unk:<eos>>", "<unk:<unk>>", "cat", "<eos>"]
    assert found.unk == 2
    np.testing.assert_allclose(found.log_probs, model.score("the x y cat").log_probs)


def test_line_ends_and_nul_are_no_tokens():
    model = lm_models.tiny_model(TextConfig(tokenizer="char"), words=("a", "b", " "))
    assert model.score("ab\n").tokens == ["a", "b", "<eos>"]
    assert model.score("a\r\nb\0b").tokens == ["a", " ", " ", "b", " ", "b", "<eos>"]


TRICKY = [
    "Don’t pay $3.50 — it’s L’ÉTÉ!",
    "ΟΔΟΣ cafe\u0301 ﬁne\u00a0x",
    "",
    "왕비 #tag @me :-) 3,000",
    "İ ẞ a_b well-known",
]


@pytest.mark.parametrize("normalize", ["NFC", "NFKC", "none"])
@pytest.mark.parametrize("tokenizer", ["word", "whitespace", "char", "nltk", "toktok", "tweet"])
def test_tokens_are_those_of_a_corpus(tmp_path, tokenizer, normalize):
    config = TextConfig(
        tokenizer=tokenizer, min_count=2, normalize=normalize, punctuation=tokenizer == "word"
    )
    lines = [*TRICKY, *TRICKY[:2], "seen only once"]
    (tmp_path / "text.txt").write_text("\n".join(lines), "utf-8")
    data = ns.preprocess(ns.open_corpus(tmp_path / "text.txt"), config, tmp_path / "t", threads=1)
    model = lm_models.tiny_model(config, tuple(data.vocab.words[: data.vocab.num_words]))
    scores = [each for each in score_sentences(model, lines) if len(each.tokens) > 1]
    assert [ids_of(model, each.tokens) for each in scores] == [
        data.tokens[start:stop].tolist()
        for start, stop in zip(data.sentences[:-1], data.sentences[1:], strict=True)
    ]
    assert sum(each.unk for each in scores) == data.vocab.counts[data.vocab.num_words] > 0


def test_ten_thousand_sentences_need_few_passes_of_bounded_size_and_little_padding(passes):
    scores = list(score_sentences(lm_models.tiny_model(), some_sentences(10_000, longest=30)))
    assert len(scores) == 10_000
    assert len(passes) < 60
    sizes = [steps * columns for steps, columns in passes]
    assert max(sizes) <= score.TOKENS_AT_ONCE
    assert sum(sizes) < 1.3 * sum(len(each.tokens) for each in scores)


def test_a_sentence_too_long_for_a_pass_is_read_in_several(passes, monkeypatch):
    monkeypatch.setattr(score, "TOKENS_AT_ONCE", 50)
    model = lm_models.tiny_model()
    found = model.score("the cat sat " * 40)
    assert passes == [(50, 1), (50, 1), (21, 1)]
    np.testing.assert_allclose(
        found.log_probs, plain_log_probs(model, ids_of(model, found.tokens)), rtol=1e-5
    )


@pytest.mark.parametrize("sentence, ahead", [("the cat", 5), ("the " * 99, 2)], ids=["many", "long"])
def test_answers_come_before_all_was_read(monkeypatch, sentence, ahead):
    monkeypatch.setattr(score, "SENTENCES_AHEAD", 5)
    monkeypatch.setattr(score, "TOKENS_AHEAD", 200)
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield sentence

    next(score_sentences(lm_models.tiny_model(), endless()))
    assert asked == ahead


def test_no_sentence_no_score():
    assert list(score_sentences(lm_models.tiny_model(), [])) == []


def test_nothing_is_kept_for_a_way_back():
    model = lm_models.tiny_model()
    model.score("the cat")
    assert all(weight.grad is None for weight in model.model.parameters())
    assert torch.is_grad_enabled()
