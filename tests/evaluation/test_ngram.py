"""N-gram baselines equal a plain reference, and their probabilities sum to one."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from reference.kneser_ney import KneserNey, estimate_discounts

from nlpseq.dataset.token_dataset import TokenDataset, token_dtype
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.evaluation.ngram import kneser_ney_log_probs, perplexity, unigram_log_probs

Text = Sequence[Sequence[int]]  # sentences of ids

V = 7  # entries: five words, <unk> and <eos>
UNK, EOS = V - 2, V - 1

ROUNDING = 1e-12  # of log-probabilities, because float64 sums are in another order


def dataset(text: Text, num_entries: int = V, name: str = "corpus.tokens") -> TokenDataset:
    words = [*(f"w{v}" for v in range(num_entries - 2)), *SPECIALS]
    vocab = Vocab(words, np.ones(num_entries, np.int64), 2)
    tokens = np.array([token for words in text for token in words], token_dtype(num_entries))
    sentences = np.array([0, *accumulate(map(len, text))], np.int64)
    return TokenDataset(Path(name), {}, tokens, sentences, vocab)


def texts(words: st.SearchStrategy[int], longest: int = 8) -> st.SearchStrategy[Any]:
    return st.lists(st.lists(words, min_size=1, max_size=longest), min_size=1, max_size=12)


IN_TRAIN = st.sampled_from([0, 1, 2, 3, UNK])  # without word 4, so that the test has a new word
IN_TEST = st.integers(0, UNK)
ORDERS = st.integers(1, 6)
ONE_WORD = [[0]]


@given(texts(IN_TRAIN), texts(IN_TEST), ORDERS)
@example(ONE_WORD, ONE_WORD, 5)
@example(ONE_WORD, [[4]], 1)
@example([[0, 0, 0, 0, 0, 0]], [[0], [0, 0, 0, 0, 0, 0, 0]], 5)
@example([[0, 1], [2]], [[0, 1, 2, 0], [2, 0, 1]], 4)  # the test continues beyond a sentence of train
def test_kneser_ney_matches_reference(train: Text, test: Text, order: int) -> None:
    fast = kneser_ney_log_probs(dataset(train), dataset(test), order)
    np.testing.assert_allclose(fast, KneserNey(train, V, order).log_probs(test), rtol=0, atol=ROUNDING)


def zipf_text(num_sentences: int, num_entries: int, seed: int) -> list[list[int]]:
    """Return sentences of 1 to 12 words with few frequent ones; <unk> replaces the rest."""
    rng = np.random.default_rng(seed)
    ranks = [rng.zipf(1.4, rng.integers(1, 13)) - 1 for _ in range(num_sentences)]
    return [np.minimum(rank, num_entries - 2).tolist() for rank in ranks]


@pytest.mark.parametrize("order", range(1, 6))
def test_estimated_discounts_match_reference(order: int) -> None:
    train, test = zipf_text(400, 203, seed=1), zipf_text(5, 203, seed=2)
    reference = KneserNey(train, 203, order)
    assert estimate_discounts([]) not in reference.tables[1:]
    fast = kneser_ney_log_probs(dataset(train, 203), dataset(test, 203), order)
    np.testing.assert_allclose(fast, reference.log_probs(test), rtol=0, atol=ROUNDING)


def everything_after(context: list[int]) -> TokenDataset:
    """Return sentences with every word, and <eos>, after a context."""
    return dataset([*([*context, word] for word in range(V - 1)), context])


@given(texts(IN_TRAIN), st.lists(IN_TEST, max_size=7), ORDERS)
def test_kneser_ney_sums_to_one(train: Text, context: list[int], order: int) -> None:
    log_probs = kneser_ney_log_probs(dataset(train), everything_after(context), order)
    after_V = log_probs[len(context) :: len(context) + 2]  # the last sentence is the context alone
    assert len(after_V) == V
    assert abs(np.exp(after_V).sum() - 1) < 1e-12


def test_one_prediction_per_token_and_sentence() -> None:
    train, test = dataset([[0, 1]]), dataset([[0], [1, UNK]])
    assert kneser_ney_log_probs(train, test).shape == unigram_log_probs(train, test).shape == (5,)


def test_kneser_ney_equals_hand_calculation() -> None:
    train, test = dataset([[0, 1]], 4), dataset([[0, 1], [2]], 4)
    # each of three entries once: 0.5 taken from each, and 1.5 of 3 spread over four
    seen, unseen = 0.5 / 3 + 0.5 / 4, 0.5 / 4
    unigrams = [seen, seen, seen, unseen, seen]
    np.testing.assert_allclose(np.exp(kneser_ney_log_probs(train, test, 1)), unigrams, rtol=1e-14)
    # every word has one successor, with half the probability; the unigrams have the other half
    bigrams = [0.5 + 0.5 * seen] * 3 + [0.5 * unseen, seen]
    np.testing.assert_allclose(np.exp(kneser_ney_log_probs(train, test, 2)), bigrams, rtol=1e-14)


def test_unigrams_equal_hand_calculation() -> None:
    log_probs = unigram_log_probs(dataset([[0, 0], [1]], 4), dataset([[0, 2], [1]], 4))
    np.testing.assert_allclose(np.exp(log_probs), np.array([3, 1, 3, 2, 3]) / 9, rtol=1e-14)


@given(texts(IN_TRAIN))
def test_unigrams_sum_to_one(train: Text) -> None:
    log_probs = unigram_log_probs(dataset(train), everything_after([]))
    assert abs(np.exp(log_probs[::2]).sum() - 1) < 1e-12


@pytest.mark.parametrize("log_probs", [unigram_log_probs, kneser_ney_log_probs])
def test_ngram_uses_only_sentences_of_the_split(log_probs: Any) -> None:
    text = zipf_text(60, V, seed=3)
    whole = dataset(text)
    parts = [
        TokenDataset(whole.path, {}, whole.tokens, whole.sentences[first : end + 1], whole.vocab)
        for first, end in ((5, 40), (40, 60))
    ]
    assert np.array_equal(log_probs(*parts), log_probs(dataset(text[5:40]), dataset(text[40:])))


@pytest.mark.parametrize("order", [1, 2, 5, 9])
def test_predictions_are_independent_of_other_test_sentences(order: int) -> None:
    train, test = zipf_text(50, V, seed=4), zipf_text(9, V, seed=5)
    alone = [kneser_ney_log_probs(dataset(train), dataset([words]), order) for words in test]
    assert np.array_equal(kneser_ney_log_probs(dataset(train), dataset(test), order), np.concatenate(alone))


class LargestVocab(Vocab):
    """A vocabulary with as many entries as uint32 can number."""

    def __len__(self) -> int:
        return 2**32


def test_largest_vocabulary_at_high_order() -> None:
    vocab = LargestVocab([], np.empty(0, np.int64))
    train, test = zipf_text(80, V, seed=6), zipf_text(9, V, seed=7)

    def spread(data: TokenDataset) -> TokenDataset:
        tokens = data.tokens.astype(np.uint32) * np.uint32(2**32 // V)
        return TokenDataset(data.path, {}, tokens, data.sentences, vocab)

    reference = KneserNey(train, V, 6)
    reference.uniform = 2.0**-32
    found = kneser_ney_log_probs(spread(dataset(train)), spread(dataset(test)), 6)
    np.testing.assert_allclose(found, reference.log_probs(test), rtol=0, atol=ROUNDING)


def test_perplexity_of_known_probabilities() -> None:
    assert perplexity(np.log([0.5, 0.5, 1 / 16])) == pytest.approx(4, rel=1e-14)
    assert perplexity(np.array([-1e4])) == float("inf")
    with pytest.raises(DataError, match=r"perplexity: there are no predictions\. Score one"):
        perplexity(np.empty(0))


@pytest.mark.parametrize("log_probs", [unigram_log_probs, kneser_ney_log_probs])
def test_errors_name_unusable_datasets(log_probs: Any) -> None:
    some, none = dataset(ONE_WORD), dataset([], name="empty.tokens")
    with pytest.raises(DataError, match=r"empty\.tokens: has no sentences to learn from\. Choose a split"):
        log_probs(none, some)
    with pytest.raises(DataError, match=r"empty\.tokens: has no sentences to score\. Choose a split"):
        log_probs(some, none)
    with pytest.raises(DataError, match=r"b\.tokens: has another vocabulary than corpus.* Use splits of"):
        log_probs(some, dataset(ONE_WORD, V + 1, "b.tokens"))


@pytest.mark.parametrize("order", [0, -1])
def test_order_below_one_is_refused(order: int) -> None:
    with pytest.raises(ConfigError, match=rf"order: {order} is too small .*\. Choose 1 or more"):
        kneser_ney_log_probs(dataset(ONE_WORD), dataset(ONE_WORD), order)
