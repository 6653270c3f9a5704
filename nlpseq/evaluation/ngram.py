"""N-gram baselines: what a neural language model has to beat on the same tokens.

Every token of a sentence is predicted, <unk> among them, and then <eos>; the log-probabilities come in that
order. A history begins with its sentence: the <eos> in front stands for the start, as <s> does elsewhere.

Interpolated Kneser-Ney gives word w after the history h of k - 1 words, where h' is h without its first,

    P_k(w | h) = (c(h w) - D(h w) + P_{k-1}(w | h') * sum_v D(h v)) / sum_v c(h v),        P_0 = 1 / V

and P_{k-1}(w | h') after a history that training has not seen. At the highest order c counts occurrences;
below, the different words in front, or occurrences where the k-gram starts a sentence and none can be there.
The discount D depends on c and k (see _discounts).

    R. Kneser & H. Ney 1995, Improved backing-off for m-gram language modeling, doi:10.1109/ICASSP.1995.479394
    S. F. Chen & J. Goodman 1999, An empirical study of smoothing techniques for language modeling,
    doi:10.1006/csla.1999.0128: interpolated, with the three discounts they call modified

Letters: N predictions of training and test, B of the test alone, G different k-grams, H different contexts
(the first k - 1 words of a k-gram), V entries of the vocabulary.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ConfigError, DataError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST_DISCOUNTED = 3  # counts from here up share a discount
_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # what KenLM takes with --discount_fallback


def unigram_log_probs(train: TokenDataset, test: TokenDataset) -> Floats:
    """Natural log-probability of every prediction of test by its share of train.

    Every entry of the vocabulary counts once more than it occurs, so that none is impossible.
    """
    _check(train, test)
    count_V = np.bincount(_predictions(train), minlength=len(train.vocab)) + 1
    log_prob_V: Floats = np.log(count_V / count_V.sum())
    return log_prob_V[_predictions(test)]


def kneser_ney_log_probs(train: TokenDataset, test: TokenDataset, order: int = 5) -> Floats:
    """Natural log-probability of every prediction of test by an interpolated modified Kneser-Ney model.

    Takes about 120 bytes of memory for each token of train and test.
    """
    _check(train, test)
    if order < 1:
        raise ConfigError(f"order is {order}, but an n-gram has a word at least. Choose 1 or more.")
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
    """exp of the mean negative log-probability: among how many equally likely words a model wavers."""
    if not len(log_probs):
        raise DataError("there are no predictions to take the perplexity of. Score one sentence or more.")
    with np.errstate(over="ignore"):  # past the largest float it is inf
        return float(np.exp(-np.mean(log_probs)))


def _check(train: TokenDataset, test: TokenDataset) -> None:
    for data, use in ((train, "learn from"), (test, "score")):
        if not data.num_sentences:
            raise DataError(f"{data.path} has no sentences to {use}. Choose a split that has some.")
    if train.vocab.digest != test.vocab.digest:
        raise DataError(
            f"{test.path} has another vocabulary than {train.path}, so equal ids are different words. "
            "Take both from one encoded corpus, by its splits."
        )


def _predictions(data: TokenDataset) -> Ints:
    """The ids of every sentence, each followed by <eos>."""
    begin, end = int(data.sentences[0]), int(data.sentences[-1])
    tokens = np.asarray(data.tokens[begin:end], np.int64)
    return np.insert(tokens, data.sentences[1:] - begin, len(data.vocab) - 1)


class _Text(NamedTuple):
    """Training and test as one ring of predictions: the <eos> at its end starts the first sentence."""

    word_N: Ints
    reach_N: Ints  # places back to the <eos> in front of the sentence: the longest history
    test: int  # where the test begins
    num_entries: int  # V


class _Grams(NamedTuple):
    """The k-grams that end at each place of the ring, numbered, equal ones alike; k is known to the caller.

    Those that reach over the start of a sentence are numbered too, but hold <eos> where no other k-gram does,
    so they are never mistaken for one that counts.
    """

    context_N: Ints  # number of the (k-1)-gram that ends one place before
    gram_N: Ints  # number of the k-gram
    first_G: Ints  # where each k-gram ends for the first time: in training, if it occurs there


def _read(train: TokenDataset, test: TokenDataset) -> _Text:
    num_entries = len(train.vocab)
    word_N = np.concatenate([_predictions(train), _predictions(test)])
    place_N = np.arange(len(word_N))
    starts_N = np.roll(word_N, 1) == num_entries - 1
    reach_N = place_N + 1 - np.maximum.accumulate(np.where(starts_N, place_N, 0))
    return _Text(word_N, reach_N, train.num_tokens + train.num_sentences, num_entries)


def _number(text: _Text, context_N: Ints) -> _Grams:
    """Number the k-grams that these contexts and the words after them make."""
    key_N = context_N * text.num_entries + text.word_N  # N * V stays below 2**63, whatever k is
    _, first_G, gram_N = np.unique(key_N, return_index=True, return_inverse=True)
    return _Grams(context_N, gram_N, first_G)


def _counts(text: _Text, grams: _Grams, longer: _Grams | None, length: int) -> Ints:
    """What each k-gram counts in training: occurrences if none is longer, else different words in front."""
    if longer is None:
        counted_N = text.reach_N >= length - 1
    else:
        counted_N = text.reach_N == length - 1  # starts a sentence
        counted_N[longer.first_G] |= text.reach_N[longer.first_G] >= length
    gram_N = grams.gram_N[: text.test][counted_N[: text.test]]
    return np.bincount(gram_N, minlength=len(grams.first_G))


def _interpolate(text: _Text, grams: _Grams, count_G: Ints, lower_B: Floats) -> Floats:
    """P_k of every prediction of the test, from P_{k-1}."""
    discount_G = _discounts(count_G)[np.minimum(count_G, _MOST_DISCOUNTED)]
    context_G = grams.context_N[grams.first_G]
    total_H = np.bincount(context_G, count_G)
    freed_H = np.bincount(context_G, discount_G)
    context_B, gram_B = grams.context_N[text.test :], grams.gram_N[text.test :]
    mass_B = count_G[gram_B] - discount_G[gram_B] + freed_H[context_B] * lower_B
    total_B = total_H[context_B]
    seen_B = total_B > 0
    return np.where(seen_B, mass_B / np.where(seen_B, total_B, 1), lower_B)


def _discounts(count_G: Ints) -> Floats:
    """What to take from a count of 0, 1, 2, and 3 or more, by how many k-grams have counts 1 to 4.

    A small or pruned corpus lacks some of these counts. Where that leaves a discount undefined, or none at
    all, which would make unseen words impossible, fixed ones stand in.
    """
    n1, n2, n3, n4 = (int((count_G == count).sum()) for count in range(1, 5))
    if not n1 * n2 * n3:
        return _FALLBACK
    share = n1 / (n1 + 2 * n2)
    discounts = np.array([0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    return discounts if (discounts[1:] > 0).all() else _FALLBACK
