"""N-gram language models: baselines that a neural language model has to beat on the same tokens.

Every token of a sentence is predicted, <unk> included, and then <eos>; log-probabilities come in this order.
A history begins with its sentence: the <eos> before it stands for the start, as <s> does in other tools.

Interpolated Kneser-Ney gives word w after the history h of k - 1 words, where h' is h without its first word,

    P_k(w | h) = (c(h w) - D(h w) + P_{k-1}(w | h') * sum_v D(h v)) / sum_v c(h v),        P_0 = 1 / V

and P_{k-1}(w | h') after a history that training has not seen. At the highest order c counts occurrences.
Below, c counts different preceding words, or occurrences if the k-gram starts a sentence.
The discount D depends on c and k (see _discounts).

    R. Kneser & H. Ney 1995, Improved backing-off for m-gram language modeling, doi:10.1109/ICASSP.1995.479394
    S. F. Chen & J. Goodman 1999, An empirical study of smoothing techniques for language modeling,
    doi:10.1006/csla.1999.0128: interpolated, with the three discounts of "modified" Kneser-Ney

Letters: N predictions of training and test, B of the test alone, G different k-grams, H different contexts
(the first k - 1 words of a k-gram), V entries of the vocabulary.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ConfigError, DataError

__all__ = ["kneser_ney_log_probs", "perplexity", "unigram_log_probs"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MAX_DISCOUNTED = 3  # because higher counts share its discount
_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # as KenLM's --discount_fallback


def unigram_log_probs(train: TokenDataset, test: TokenDataset) -> Floats:
    """Return the natural log-probability of every prediction of test by relative frequency in train, (B,).

    Add-one smoothing keeps every entry of the vocabulary possible.
    """
    _check(train, test)
    count_V = np.bincount(_predictions(train), minlength=len(train.vocab)) + 1
    log_prob_V: Floats = np.log(count_V / count_V.sum())
    return log_prob_V[_predictions(test)]


def kneser_ney_log_probs(train: TokenDataset, test: TokenDataset, order: int = 5) -> Floats:
    """Return the natural log-probability of every prediction of test by modified Kneser-Ney, (B,).

    order: the longest n-gram. Takes about 120 bytes of memory for each token of train and test.
    """
    _check(train, test)
    if order < 1:
        raise ConfigError(f"order: {order} is too small for an n-gram. Choose 1 or more.")
    text = _read(train, test)
    prob_B = np.full(len(text.word_N) - text.test, 1 / text.num_entries)
    grams = _number(text, np.zeros_like(text.word_N))
    for length in range(1, order + 1):
        longer = _number(text, np.roll(grams.gram_N, 1)) if length < order else None
        prob_B = _interpolate(text, grams, _counts(text, grams, longer, length), prob_B)
        if longer is not None:
            grams = longer
    log_prob_B: Floats = np.log(prob_B)
    return log_prob_B


def perplexity(log_probs: Floats) -> float:
    """Return exp of the mean negative log-probability: the number of equally likely choices."""
    if not len(log_probs):
        raise DataError("perplexity: there are no predictions. Score one sentence or more.")
    with np.errstate(over="ignore"):  # because a result beyond float64 is inf
        return float(np.exp(-np.mean(log_probs)))


def _check(train: TokenDataset, test: TokenDataset) -> None:
    for data, use in ((train, "learn from"), (test, "score")):
        if not data.num_sentences:
            raise DataError(f"{data.name}: has no sentences to {use}. Choose a split that has some.")
    if train.vocab.digest != test.vocab.digest:
        raise DataError(
            f"{test.name}: has another vocabulary than {train.name}, so ids do not match. "
            "Use splits of one encoded corpus."
        )


def _predictions(data: TokenDataset) -> Ints:
    """Return the ids of every sentence, each followed by <eos>."""
    begin, end = int(data.sentences[0]), int(data.sentences[-1])
    tokens = np.asarray(data.tokens[begin:end], np.int64)
    return np.insert(tokens, data.sentences[1:] - begin, len(data.vocab) - 1)


class _Text(NamedTuple):
    """Training and test as one ring of predictions: the last <eos> starts the first sentence."""

    word_N: Ints
    reach_N: Ints  # length of the longest history, with the <eos> before the sentence
    test: int  # index of the first prediction of the test
    num_entries: int  # V


class _Grams(NamedTuple):
    """The number of the k-gram that ends at each position; equal k-grams have equal numbers.

    K-grams across the start of a sentence are numbered too. Their <eos> keeps them distinct from all k-grams
    that count.
    """

    context_N: Ints  # number of the (k-1)-gram before the last word
    gram_N: Ints  # number of the k-gram
    first_G: Ints  # first position of each k-gram: in training, if it occurs there


def _read(train: TokenDataset, test: TokenDataset) -> _Text:
    num_entries = len(train.vocab)
    word_N = np.concatenate([_predictions(train), _predictions(test)])
    index_N = np.arange(len(word_N))
    starts_N = np.roll(word_N, 1) == num_entries - 1
    reach_N = index_N + 1 - np.maximum.accumulate(np.where(starts_N, index_N, 0))
    return _Text(word_N, reach_N, train.num_tokens + train.num_sentences, num_entries)


def _number(text: _Text, context_N: Ints) -> _Grams:
    """Assign numbers to the k-grams of these contexts with the word after each."""
    key_N = context_N * text.num_entries + text.word_N  # N * V stays below 2**63, whatever k is
    _, first_G, gram_N = np.unique(key_N, return_index=True, return_inverse=True)
    return _Grams(context_N, gram_N, first_G)


def _counts(text: _Text, grams: _Grams, longer: _Grams | None, length: int) -> Ints:
    """Count each k-gram in training: occurrences at the highest order, else different preceding words."""
    if longer is None:
        counted_N = text.reach_N >= length - 1
    else:
        counted_N = text.reach_N == length - 1  # starts a sentence
        counted_N[longer.first_G] |= text.reach_N[longer.first_G] >= length
    gram_N = grams.gram_N[: text.test][counted_N[: text.test]]
    return np.bincount(gram_N, minlength=len(grams.first_G))


def _interpolate(text: _Text, grams: _Grams, count_G: Ints, lower_B: Floats) -> Floats:
    """Return P_k of every prediction of the test from P_{k-1}, (B,)."""
    discount_G = _discounts(count_G)[np.minimum(count_G, _MAX_DISCOUNTED)]
    context_G = grams.context_N[grams.first_G]
    total_H = np.bincount(context_G, count_G)
    freed_H = np.bincount(context_G, discount_G)
    context_B, gram_B = grams.context_N[text.test :], grams.gram_N[text.test :]
    mass_B = count_G[gram_B] - discount_G[gram_B] + freed_H[context_B] * lower_B
    total_B = total_H[context_B]
    seen_B = total_B > 0
    return np.where(seen_B, mass_B / np.where(seen_B, total_B, 1), lower_B)


def _discounts(count_G: Ints) -> Floats:
    """Estimate the discounts of counts 0, 1, 2 and 3 or more from the number of k-grams with counts 1 to 4.

    A small or pruned corpus lacks some of these counts. If a discount is then undefined or zero, which would
    make unseen words impossible, fixed discounts are used.
    """
    n1, n2, n3, n4 = (int((count_G == count).sum()) for count in range(1, 5))
    if not n1 * n2 * n3:
        return _FALLBACK
    share = n1 / (n1 + 2 * n2)
    discounts = np.array([0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    return discounts if (discounts[1:] > 0).all() else _FALLBACK
