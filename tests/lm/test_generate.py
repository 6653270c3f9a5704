"""Generation: filters of logits, seeds, streaming, detokenization and beam search."""

import itertools
import math

import pytest
import torch
from hypothesis import given, strategies as st
from support import lm_models

from nlpseq.config import Length, Sampling, TextConfig
from nlpseq.errors import ConfigError
from nlpseq.lm.generate import (
    TextWriter,
    beam_search,
    generate,
    likeliest,
    sample,
    stream,
    unknown_words,
)
from nlpseq.lm.sampling import NEVER, min_p, penalized, sample_next, top_k, top_p
from nlpseq.tokenizers.detokenize import Detokenizer, detokenize

ROW = torch.tensor([[1.0, 3.0, 2.0, 3.0, -1.0]])
WORDS = [
    "the",
    "cat",
    "sat",
    "'",
    '"',
    ",",
    ".",
    "it",
    "s",
    "(",
    "10",
    ":",
    "-",
    "'s",
    "``",
    "n't",
    "l",
    "été",
]
PLAIN = TextConfig(tokenizer="whitespace", min_count=1)


def tiny_model(words, text_config=PLAIN, scale=1.0):
    return lm_models.tiny_model(text_config, words, scale)


def kept(logits_NV):
    return [[i for i, logit in enumerate(row) if logit > NEVER] for row in logits_NV.tolist()]


@pytest.mark.parametrize("k, left", [(1, [1, 3]), (2, [1, 3]), (3, [1, 2, 3]), (99, [0, 1, 2, 3, 4])])
def test_top_k_keeps_highest_logits_and_ties(k, left):
    assert kept(top_k(ROW, k)) == [left]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [1e-9, 0.3, 0.5, 0.9, 0.999, 1.0])
def test_top_p_keeps_shortest_list_that_reaches_share(seed, share):
    logits_NV = torch.randn(3, 11, generator=torch.Generator().manual_seed(seed)) * 2
    for row, left in zip(logits_NV, kept(top_p(logits_NV, share)), strict=True):
        probs, total, expected = torch.softmax(row.double(), 0).tolist(), 0.0, []
        for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
            if total < share:
                expected.append(i)
            total += probs[i]
        assert left == sorted(expected)


def test_min_p_is_relative_to_likeliest_token():
    logits_NV = torch.log(torch.tensor([[0.5, 0.26, 0.04, 0.2]]))
    assert kept(min_p(logits_NV, 0.5)) == [[0, 1]]
    assert kept(min_p(logits_NV, 1.0)) == [[0]]
    assert kept(min_p(logits_NV, 0.0)) == [[0, 1, 2, 3]]


def test_penalty_lowers_seen_tokens_only():
    seen_NV = torch.tensor([[False, True, False, False, True]])
    found = penalized(ROW, seen_NV, 2.0)  # the mean is 1.6
    torch.testing.assert_close(found, torch.tensor([[-0.6, 0.7, 0.4, 1.4, -5.2]]))
    torch.testing.assert_close(penalized(ROW + 9, seen_NV, 2.0), found)
    with_never, seen_NV = torch.cat([ROW, torch.tensor([[NEVER]])], 1), torch.tensor([[False, True] * 3])
    torch.testing.assert_close(penalized(with_never + 9, seen_NV, 2.0), penalized(with_never, seen_NV, 2.0))
    assert torch.equal(penalized(ROW, seen_NV, 1.0), ROW)


def test_penalty_dethrones_certain_token():
    logits_NV = torch.zeros(1, 1000)
    logits_NV[0, 7], logits_NV[0, 8], logits_NV[0, 9] = 15.0, 12.0, NEVER  # 7 at a probability above .94
    seen_NV = torch.zeros(1, 1000, dtype=torch.bool)
    seen_NV[0, [7, 9]] = True
    found = penalized(logits_NV, seen_NV, 1.3)
    assert int(found.argmax()) == 8 and found[0, 9] == NEVER


def test_sample_next_follows_probabilities():
    logits_NV = torch.log(torch.tensor([[0.1, 0.0, 0.6, 0.3]])).repeat(20_000, 1)
    tokens_N = sample_next(logits_NV, torch.zeros_like(logits_NV).bool(), Sampling(), seed=3, step=0)
    shares = torch.bincount(tokens_N, minlength=4) / len(tokens_N)
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.0, 0.6, 0.3]), atol=0.012, rtol=0)  # 3.5 sigma


@pytest.mark.parametrize("bits", [0, 2**63, 2**64 - 1])
def test_sample_next_never_returns_impossible_token(monkeypatch, bits):
    monkeypatch.setattr("nlpseq.lm.sampling.random_bits", lambda *_: bits)
    logits_NV = torch.tensor([[NEVER, 1.0, NEVER, 2.0, NEVER]])
    assert int(sample_next(logits_NV, torch.zeros(1, 5).bool(), Sampling(), seed=1, step=0)) in (1, 3)


def test_temperature_zero_is_argmax_and_high_is_random():
    seen = torch.zeros(1, 5).bool()
    assert int(sample_next(ROW[:, :3], seen[:, :3], Sampling(temperature=0.0), 1, 0)) == 1
    cold = [
        int(sample_next(ROW[:, :3], seen[:, :3], Sampling(temperature=0.05), 1, step)) for step in range(50)
    ]
    hot = [
        int(sample_next(ROW[:, :3], seen[:, :3], Sampling(temperature=100.0), 1, step)) for step in range(50)
    ]
    assert set(cold) == {1} and set(hot) == {0, 1, 2}


def test_sample_depends_on_seed_and_own_number_only():
    model = tiny_model(WORDS, scale=3)
    three = generate(model, "the", samples=3, seed=5)
    assert generate(model, "the", samples=1, seed=5) == three[:1] and len(set(three)) == 3
    assert generate(model, "the", seed=6) != three[:1]
    assert model.generate("the", num_tokens=100, seed=5) == three[0]


def test_generate_writes_unk_only_if_allowed():
    model = tiny_model(["a"], scale=0.1)
    texts = generate(model, samples=5, length=Length(50))
    assert "<unk>" not in "".join(texts)
    assert "<unk>" in generate(model, length=Length(50), unk=True)[0]


def test_text_ends_after_sentences_or_tokens():
    model = tiny_model(["a", "b"], scale=0.1)
    for text in generate(model, samples=4, length=Length(1000, sentences=2)):
        assert text.count("\n") == 2 and text.endswith("\n")
    assert len(generate(model, length=Length(7))[0].split("\n")) <= 8
    written = list(sample(model, "", 1, length=Length(7), sampling=Sampling(), unk=False, seed=1))
    assert len(written) == 7


@pytest.mark.parametrize("tokenizer", ["word", "whitespace", "char", "nltk", "tweet"])
@pytest.mark.parametrize("prompt", ["", "the cat", "the cat ", "sat\nthe", "the\n", "it's ("])
def test_stream_writes_same_text_as_generate(tokenizer, prompt):
    words = list("abc '.,") if tokenizer == "char" else WORDS
    config = TextConfig(tokenizer=tokenizer, min_count=1, punctuation=tokenizer == "word")
    model = tiny_model(words, config, scale=3)
    for seed in range(3):
        streamed = "".join(stream(model, prompt, length=Length(30), seed=seed))
        assert prompt + streamed == generate(model, prompt, length=Length(30), seed=seed)[0]


@given(
    tokens=st.lists(st.sampled_from(WORDS), max_size=14),
    before=st.lists(st.sampled_from(WORDS[:3]), max_size=2),
    tokenizer=st.sampled_from(["word", "whitespace", "char", "nltk", "toktok", "tweet"]),
)
def test_detokenizer_streams_same_line_as_detokenize(tokens, before, tokenizer):
    config = TextConfig(tokenizer=tokenizer, punctuation=tokenizer == "word")
    writer = Detokenizer(config, before)
    written = "".join(writer.push(token) for token in [*tokens, None])
    given = detokenize(before, config)
    # a token before may lack its final form
    assert detokenize([*before, *tokens], config) in (given + written, given + written.removeprefix(" "))


def test_detokenizer_returns_word_when_next_comes():
    writer = Detokenizer(TextConfig(punctuation=True))
    assert [writer.push(token) for token in ["the", "cat", ",", "so", "."]] == ["", "the", " cat", ",", " so"]
    assert writer.push(None) == "."


def test_text_writer_joins_words_to_prompt():
    config = TextConfig(lower=False, punctuation=True, min_count=1)
    model = tiny_model([",", "cat", "."], config)
    assert written(model, "The cat", [",", "cat", "."]) == "The cat, cat."
    assert written(model, "The ", ["cat"]) == "The cat"


def written(model, prompt, words):
    writer = TextWriter(model, prompt)
    return prompt + "".join(writer.push(token) for token in [*map(model.vocab.ids.get, words), None])


def test_unknown_words_of_prompt_are_distinct():
    model = tiny_model(["the", "cat"])
    assert unknown_words(model, "the dog\nthe dog cat zebra") == ["dog", "zebra"]
    assert generate(model, "the dog", length=Length(3))[0].startswith("the dog")


@pytest.mark.parametrize("unk", [False, True])
def test_wide_beam_finds_likeliest_text(unk):
    model = tiny_model(["a", "b", "c"], scale=4)
    for prompt in ("", "a b"):
        found = likeliest(model, prompt, 5**3, Length(3), unk=unk)
        tokens = range(5) if unk else (0, 1, 2, 4)
        best = max(itertools.product(tokens, repeat=3), key=lambda text: log_prob(model, prompt, text, unk))
        assert tuple(found) == best


def test_beam_search_may_end_before_max_length():
    model = tiny_model(["a", "b"], scale=4)
    texts = [[*text, 3] for n in range(4) for text in itertools.product((0, 1), repeat=n)]
    texts += [list(text) for text in itertools.product((0, 1), repeat=4)]
    best = max(texts, key=lambda text: log_prob(model, "", text, unk=False))
    assert likeliest(model, "", 200, Length(4, sentences=1), unk=False) == best


def log_prob(model, prompt, tokens, unk):
    """Return the log-probability of tokens after a prompt, one pass per token."""
    ids = [len(model.vocab) - 1, *(model.vocab.ids[word] for word in prompt.split())]
    total = 0.0
    for token in tokens:
        with torch.no_grad():
            output = model.model(torch.tensor(ids).unsqueeze(1), model.model.initial_state(1))
            logits_V = model.model.logits(output.features_TBD[-1, 0])
        if not unk:
            logits_V[model.vocab.num_words] = NEVER
        total += float(torch.log_softmax(logits_V, 0)[token])
        ids.append(token)
    return total


def test_beam_of_one_is_greedy():
    model = tiny_model(WORDS, scale=3)
    greedy = generate(model, "the", length=Length(12), sampling=Sampling(temperature=0.0))[0]
    assert beam_search(model, "the", beam=1, length=Length(12)) == greedy


@pytest.mark.parametrize(
    "kind, wrong, message",
    [
        (Sampling, {"temperature": -1.0}, r"temperature: \-1\.0 is not valid\. The value must be at least 0"),
        (Sampling, {"temperature": math.nan}, "temperature: nan is not valid"),
        (Sampling, {"top_p": 0.0}, r"top_p: 0\.0 is not valid\. The value must be above 0"),
        (Sampling, {"top_k": 0}, "top_k: 0 is not valid"),
        (Sampling, {"min_p": 2.0}, "min_p: 2.0 is not valid"),
        (Sampling, {"repetition_penalty": 0.0}, "repetition_penalty: 0.0 is not valid"),
        (Length, {"num_tokens": 0}, "num_tokens: 0 is not valid"),
        (Length, {"num_tokens": 5, "sentences": 0}, "sentences: 0 is not valid"),
    ],
)
def test_generate_settings_out_of_range(kind, wrong, message):
    with pytest.raises(ConfigError, match=message):
        kind(**wrong)
