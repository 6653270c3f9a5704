"""Scores of sentences against one pass per token; batches, tokens and memory."""

import math
import random

import numpy as np
import pytest
import torch
from reference.language_model import token_log_probs
from support import lm_models
from support.texts import bpe_of

import nlpseq as ns
from nlpseq.config import TextConfig
from nlpseq.lm.score import ScoreLimits, score_sentences

LINES = ["The cat sat.", "", "a", "zebra café ... zebra", "the " * 40, "It’s a CAFE\u0301 on the mat", "!?"]


def some_sentences(count, longest=12, seed=1):
    chance = random.Random(seed)
    words = [*lm_models.WORDS, "zebra"]
    return [" ".join(chance.choices(words, k=chance.randint(0, longest))) for _ in range(count)]


def plain_log_probs(model, ids):
    return token_log_probs(model.model, [*ids, len(model.vocab) - 1])


def ids_of(model, tokens):
    """Return the ids of the tokens of a score, without <eos>."""
    assert tokens[-1] == "<eos>"
    return [model.vocab.ids.get(token, model.vocab.num_words) for token in tokens[:-1]]


def record_passes(model):
    """Return a list that receives the shape of the input of each pass."""
    shapes = []
    model.model.register_forward_pre_hook(lambda _, arguments: shapes.append(tuple(arguments[0].shape)))
    return shapes


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("pass_tokens", [8192, 7], ids=["one pass", "in pieces"])
def test_sentence_log_probs_match_token_by_token(cell, pass_tokens):
    model = lm_models.tiny_model(cell=cell, layers=2, dim=5)
    scores = list(score_sentences(model, LINES, ScoreLimits(pass_tokens=pass_tokens)))
    assert [each.text for each in scores] == LINES
    for each in scores:
        expected = plain_log_probs(model, ids_of(model, each.tokens))
        # float32, and other shapes of the same matrix products
        np.testing.assert_allclose(each.log_probs, expected, rtol=1e-5)


def test_batch_scores_equal_single_scores():
    model = lm_models.tiny_model()
    sentences = some_sentences(200)
    together, alone = list(score_sentences(model, sentences)), [model.score(each) for each in sentences]
    assert [each[:2] for each in together] == [each[:2] for each in alone]
    for ours, theirs in zip(together, alone, strict=True):
        # float32, and other shapes of the same matrix products
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, rtol=1e-5)


def test_score_has_tokens_unknowns_and_perplexity():
    found = lm_models.tiny_model().score("The zebra sat.")
    assert found.tokens == ["the", "<unk:zebra>", "sat", ".", "<eos>"]
    assert (found.unk, len(found.log_probs)) == (1, 5)
    assert found.log_prob == pytest.approx(found.log_probs.sum())
    assert found.perplexity == pytest.approx(math.exp(-found.log_prob / 5))


def test_uniform_model_scores_vocabulary_size():
    model = lm_models.tiny_model()
    with torch.no_grad():
        model.model.embedding.weight.zero_()
    assert model.score("the cat").perplexity == pytest.approx(len(model.vocab), rel=1e-5)


@pytest.mark.parametrize("text", ["", " \t ", "\0", "\n"])
def test_empty_sentence_scores_only_eos(text):
    found = lm_models.tiny_model().score(text)
    assert (found.text, found.tokens, found.unk) == (text, ["<eos>"], 0)
    assert found.log_prob < 0


def test_special_entries_in_text_keep_their_meaning():
    model = lm_models.tiny_model(TextConfig(tokenizer="whitespace"))
    found = model.score("the <eos> <unk> cat")
    assert found.tokens == ["the", "<eos>", "<unk>", "cat", "<eos>"]
    assert found.unk == 1
    np.testing.assert_allclose(
        found.log_probs, plain_log_probs(model, ids_of(model, found.tokens)), rtol=1e-5
    )


def test_line_ends_and_nul_count_as_spaces():
    model = lm_models.tiny_model(TextConfig(tokenizer="char"), words=("a", "b", " "))
    assert model.score("ab\n").tokens == ["a", "b", "<eos>"]
    assert model.score("a\r\nb\0b").tokens == ["a", " ", " ", "b", " ", "b", "<eos>"]


def test_nul_stays_a_byte_with_subword_tokens():
    bpe = bpe_of(b"", 256)
    model = lm_models.tiny_model(TextConfig(tokenizer="bpe"), bpe.tokens)
    model.vocab.bpe = bpe
    assert model.score("a\0\nb\n").tokens == ["a", "Ā", "Ġ", "b", "<eos>"]


TRICKY = [
    "Don’t pay $3.50 — it’s L’ÉTÉ!",
    "ΟΔΟΣ cafe\u0301 ﬁne\u00a0x",
    "",
    "왕비 #tag @me :-) 3,000",
    "İ ẞ a_b well-known",
]


@pytest.mark.parametrize("normalize", ["NFC", "NFKC", "none"])
@pytest.mark.parametrize("tokenizer", ["word", "whitespace", "char", "nltk", "toktok", "tweet"])
def test_score_tokenizes_like_preprocess(tmp_path, tokenizer, normalize):
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


def test_many_sentences_take_few_passes_with_little_padding():
    model = lm_models.tiny_model()
    passes = record_passes(model)
    scores = list(score_sentences(model, some_sentences(10_000, longest=30)))
    assert len(scores) == 10_000
    assert len(passes) < 60
    sizes = [steps * columns for steps, columns in passes]
    assert max(sizes) <= ScoreLimits().pass_tokens
    assert sum(sizes) < 1.3 * sum(len(each.tokens) for each in scores)


def test_long_sentence_takes_several_passes():
    model = lm_models.tiny_model()
    passes = record_passes(model)
    (found,) = score_sentences(model, ["the cat sat " * 40], ScoreLimits(pass_tokens=50))
    assert passes == [(50, 1), (50, 1), (21, 1)]
    np.testing.assert_allclose(
        found.log_probs, plain_log_probs(model, ids_of(model, found.tokens)), rtol=1e-5
    )


@pytest.mark.parametrize("sentence, ahead", [("the cat", 5), ("the " * 99, 2)], ids=["many", "long"])
def test_score_sentences_reads_limited_buffer_ahead(sentence, ahead):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield sentence

    limits = ScoreLimits(buffer_sentences=5, buffer_tokens=200)
    next(score_sentences(lm_models.tiny_model(), endless(), limits))
    assert taken == ahead


def test_no_sentences_give_no_scores():
    assert list(score_sentences(lm_models.tiny_model(), [])) == []


def test_score_computes_no_gradients():
    model = lm_models.tiny_model()
    model.score("the cat")
    assert all(weight.grad is None for weight in model.model.parameters())
    assert torch.is_grad_enabled()
