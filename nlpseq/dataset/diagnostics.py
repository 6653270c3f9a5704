"""Warn of a corpus that training is bound to disappoint, each time with the way out."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from nlpseq.core.resources import count_text
from nlpseq.dataset.limits import CHUNK_TOKENS
from nlpseq.dataset.subsample import HALF, keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import advise
from nlpseq.tokenizers.scripts import UNSPACED_TEXT

__all__ = ["UNSPACED", "diagnose"]

MIN_TOKENS = 1000  # below, a result depends on the seed more than on the text
MIN_TOKENS_PER_WORD = 10
MIN_KEPT_SHARE = 0.1  # by subsampling
MAX_UNKNOWN_SHARE = 0.5  # of tokens
MAX_REPEATED_SHARE = 0.9  # of sentences
MAX_SINGLE_SHARE = 0.5  # of sentences
MAX_SENTENCES = 10_000  # read from the start of the corpus
UNSPACED = "For text without spaces between words use --tokenizer char."


def diagnose(data: TokenDataset, subsample: float = 0.0, step: str = "training") -> list[str]:
    """Return warnings about the train split of an encoded corpus.

    subsample: setting of the step that reads the corpus next.
    """
    train, vocab = data.split("train"), data.vocab
    notices = list(_repetition(train))
    is_of_text = vocab.counts[: vocab.num_words + 1].sum() == train.num_tokens
    if is_of_text or "start" in data.meta:  # else the vocabulary is of another text
        notices = [*_too_few_tokens(train, subsample, step), *notices]
    single = float((np.diff(train.sentences[: MAX_SENTENCES + 1]) == 1).mean())
    is_unspaced = any(each.startswith(UNSPACED_TEXT) for each in data.meta["notices"])
    if single > MAX_SINGLE_SHARE and not is_unspaced:
        notices.append(
            f"{single:.0%} of the sentences are a single token without a neighbor. Put a sentence or a "
            "paragraph on each line."
        )
    return notices


def _too_few_tokens(train: TokenDataset, subsample: float, step: str) -> Iterator[str]:
    vocab, num_tokens = train.vocab, train.num_tokens
    known = max(num_tokens, int(vocab.counts[: vocab.num_words].sum()))  # with a start also in earlier texts
    counts_V, num_unknown = train.word_counts, int(train.counts[vocab.num_words])
    if num_tokens < MIN_TOKENS:
        few = count_text(num_tokens, "token")
        yield f"{few}: too few to learn from, because results depend on chance. Use more text."
    elif known < MIN_TOKENS_PER_WORD * len(counts_V):
        entry, way = ("token", "lower --vocab-size") if vocab.bpe else ("word", "higher --min-count")
        yield (
            f"a {entry} occurs {known / len(counts_V):.1f} times on average, too few to learn from. Use more "
            f"text, or a {way}."
        )
    if num_unknown > MAX_UNKNOWN_SHARE * num_tokens:
        limits = {
            "a lower --min-count": (train.config.min_count, 1),
            "a higher --max-vocab": (train.config.max_vocab, None),
        }
        yield f"{num_unknown / num_tokens:.0%} of the text is <unk>. {advise(limits, 'more text')}"
    kept = float(counts_V @ (keep_thresholds(counts_V, subsample) + 1.0)) / 2**HALF
    if subsample and kept < max(MIN_KEPT_SHARE * num_tokens, MIN_TOKENS * (num_tokens >= MIN_TOKENS)):
        yield (
            f"--subsample {subsample:g} keeps about {kept:,.0f} of {num_tokens:,} tokens for {step}. Use "
            "--subsample 0, or a higher value."
        )


def _repetition(train: TokenDataset) -> Iterator[str]:
    """Warn if most sentences repeat another; a sentence with <unk> may be new."""
    starts = train.sentences[: MAX_SENTENCES + 1]
    starts = starts[starts <= starts[0] + CHUNK_TOKENS].tolist()  # because a sentence can be of any length
    sentences = [train.tokens[start:stop] for start, stop in pairwise(starts)]
    if not sentences:
        return
    known = [each.tobytes() for each in sentences if each.max() < train.vocab.num_words]
    repeated = (len(known) - len({*known})) / len(sentences)
    if repeated > MAX_REPEATED_SHARE:
        yield f"{repeated:.0%} of the sentences repeat another. Remove the copies, such as with sort -u."
