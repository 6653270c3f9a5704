"""Evaluation against one pass per token; perplexity and bits per character."""

import math

import numpy as np
import pytest
import torch
from reference.language_model import text_ids, token_log_probs
from torch.nn import functional as F

import nlpseq as ns
from nlpseq.config import LMConfig, TextConfig
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.evaluate import count_characters, evaluate, mean_loss, perplexity_of, text_log_probs
from nlpseq.lm.model import RecurrentLM
from nlpseq.tokenizers.base import tokenize

TEXT = "The cat sat, and sat.\nA dog!\nThe dog ran; the cat, too, ran.\n" * 9 + "Pale zebra, pale zebra, Ω.\n"


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


@pytest.mark.parametrize("rows, logits", [(1024, 1 << 23), (7, 40)], ids=["at once", "in pieces"])
def test_text_log_probs_match_token_by_token(model, data, rows, logits):
    found = text_log_probs(model, Stream(data), rows, logits)
    assert len(found) == data.num_tokens + data.num_sentences
    # float32, and other shapes of the same matrix products
    np.testing.assert_allclose(found, token_log_probs(model, text_ids(data)), rtol=1e-4)


def test_evaluation_figures_agree(model, data):
    found, log_probs = evaluate(model, data), text_log_probs(model, Stream(data))
    assert found.perplexity.all == pytest.approx(math.exp(-log_probs.mean()))
    assert found.bits_per_token == pytest.approx(math.log2(found.perplexity.all))
    assert found.tokens == len(log_probs)
    is_known = Stream(data).read(0, len(log_probs)) != data.vocab.num_words
    assert found.perplexity.known == pytest.approx(math.exp(-log_probs[is_known].mean()))
    assert found.unk == int((data.tokens[:] == data.vocab.num_words).sum())
    total_bits = found.bits_per_token * found.tokens
    assert found.bits_per_character * count_characters(data) == pytest.approx(total_bits)


def test_uniform_model_shows_figures_of_unknown_words(model, data):
    """Every entry has probability 1 / V, so that <unk>, spread over its types, has 1 / (V * types)."""
    with torch.no_grad():
        model.embedding.weight.zero_()
    found, entries = evaluate(model, data), len(data.vocab)
    kept = {*data.vocab.words}
    unknown = [
        token for line in TEXT.splitlines() for token in tokenize(line, data.config) if token not in kept
    ]
    assert (found.unk, found.unk_types) == (len(unknown), len({*unknown})) and found.unk > 0
    assert data.unknown == (found.unk_types, sum(map(len, unknown)))
    assert found.perplexity.known == pytest.approx(entries, rel=1e-5)
    share = found.unk / found.tokens
    assert found.perplexity.spread == pytest.approx(entries * found.unk_types**share, rel=1e-5)
    bits = math.log2(found.perplexity.spread) * found.tokens
    assert found.spread_bits_per_character * count_characters(data) == pytest.approx(bits)


def test_unknown_characters_count_as_in_the_text(tmp_path):
    """Ten unknown letters and a line end are 11 characters, and no part of a letter is free."""
    for name, text in {"a": "abc cab bca\n" * 60, "b": "дддддддддд\n", "c": "zq1 zq2 zq3\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    config = TextConfig(tokenizer="char", min_count=1)
    data = ns.preprocess(ns.open_corpus(tmp_path / "a.txt"), config, tmp_path / "a.tokens")
    other = ns.preprocess(ns.open_corpus(tmp_path / "b.txt"), config, tmp_path / "b.tokens", vocab=data.vocab)
    found = evaluate(RecurrentLM(LMConfig(hidden=9, dim=5), len(data.vocab)), other)
    assert count_characters(other) == found.tokens == 11 and found.unk_types == 1
    assert found.bits_per_character == pytest.approx(found.bits_per_token)
    config = TextConfig(tokenizer="whitespace", min_count=1)
    words = ns.preprocess(ns.open_corpus(tmp_path / "a.txt"), config, tmp_path / "w.tokens")
    other = ns.preprocess(
        ns.open_corpus(tmp_path / "c.txt"), config, tmp_path / "c.tokens", vocab=words.vocab
    )
    assert count_characters(other) == len("zq1 zq2 zq3\n") and other.unknown == (3, 9)


def test_figures_are_none_without_text_behind_unk(model, data):
    del data.meta["unknown"]  # as in an encoded corpus of an older version
    found = evaluate(model, data)
    assert found.bits_per_character is found.spread_bits_per_character is found.unk_types is None
    assert found.perplexity.spread is None and found.perplexity.known > 1


@pytest.mark.parametrize("min_count", [1, 3])
def test_count_characters_equals_length_of_text(tmp_path, min_count):
    (tmp_path / "text.txt").write_text(TEXT)
    for tokenizer in ("char", "whitespace", "word"):
        config = TextConfig(
            tokenizer=tokenizer, lower=False, min_count=min_count, punctuation=tokenizer == "word"
        )
        path = tmp_path / f"{tokenizer}.tokens"
        data = ns.preprocess(ns.open_corpus(tmp_path / "text.txt"), config, path)
        assert count_characters(data) == len(TEXT)


def test_uniform_model_has_vocabulary_size_as_perplexity(model, data):
    with torch.no_grad():
        model.embedding.weight.zero_()
    assert evaluate(model, data).perplexity.all == pytest.approx(len(data.vocab), rel=1e-5)


def test_mean_loss_in_columns_is_close_to_exact_loss(model, data):
    whole = -text_log_probs(model, Stream(data)).mean()
    assert mean_loss(model, Stream(data), 16, "fp32", 10**9) == pytest.approx(whole, rel=0.02)
    assert mean_loss(model, Stream(data), 1, "fp32", 10**9) == pytest.approx(whole, rel=1e-5)


def test_mean_loss_with_max_tokens_reads_start_of_columns(model, data):
    found = mean_loss(model, Stream(data), 4, "fp32", 22, rows=8)
    columns = Columns(Stream(data), 4)
    tokens_TB, targets_TB = (torch.from_numpy(each) for each in columns.window(0, 5))
    with torch.no_grad():
        output = model(tokens_TB, model.initial_state(4))
        wanted = F.cross_entropy(model.logits(output.features_TBD.flatten(0, 1)), targets_TB.flatten())
    assert found == pytest.approx(float(wanted), rel=1e-5)


def test_evaluate_split_uses_its_sentences_only(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    config = TextConfig(min_count=1, test_share=0.3)
    data = ns.preprocess(ns.open_corpus(tmp_path / "text.txt"), config, tmp_path / "text.tokens")
    test = data.split("test")
    model = RecurrentLM(LMConfig(hidden=9, dim=5), len(data.vocab))
    assert evaluate(model, test).tokens == test.num_tokens + test.num_sentences
    np.testing.assert_allclose(
        text_log_probs(model, Stream(test)), token_log_probs(model, text_ids(test)), rtol=1e-4
    )


def test_perplexity_is_finite_unless_loss_is_nan():
    assert perplexity_of(math.log(20)) == pytest.approx(20)
    assert perplexity_of(1e6) == perplexity_of(math.inf) == math.exp(700)
    assert math.isnan(perplexity_of(math.nan))
