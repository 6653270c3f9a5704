"""Which words of a text a vocabulary keeps, and what to say where it would keep none.

Types are looked at a stretch at a time, so that no more are held as strings than a stretch and what is kept.

Letters: T types.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.dataset.external_vocab import ExternalVocabulary
from nlpseq.dataset.token_dataset import token_dtype
from nlpseq.dataset.vocab import NO_WORDS, SPECIALS, Vocab, prune
from nlpseq.errors import DataError
from nlpseq.reading.decode import UTF_8

STRETCH = 1 << 20  # types

Counts = npt.NDArray[np.int64]


def build_vocab(
    text: ExternalVocabulary, train_end: int, config: TextConfig, name: str
) -> tuple[Vocab, npt.NDArray[Any]]:
    """The words to keep, <unk> for all others, <eos> for each sentence; and the id of each type.

    train_end: how many sentences are counted. Raises DataError, calling the corpus `name`, where no word is
    left.
    """
    counts_T = text.counts(train_end)
    numbers, words = _choose(text, counts_T, config)
    if not words:
        raise DataError(_nothing_kept(text, counts_T, config.min_count, name))
    counts = np.append(counts_T[numbers], [counts_T.sum() - counts_T[numbers].sum(), train_end])
    ids_T = np.full(text.num_types, len(words), token_dtype(len(counts)))
    ids_T[numbers] = np.arange(len(words))
    return Vocab([*b"\n".join(words).decode(*UTF_8).split("\n"), *SPECIALS], counts, len(SPECIALS)), ids_T


def _choose(text: ExternalVocabulary, counts_T: Counts, config: TextConfig) -> tuple[Counts, list[bytes]]:
    """The types to keep, the most frequent first: their numbers, and how they are spelt."""
    numbers, words = np.empty(0, np.int64), list[bytes]()
    for first in range(0, text.num_types, STRETCH):
        is_frequent = counts_T[first : first + STRETCH] >= config.min_count
        numbers = np.append(numbers, first + np.flatnonzero(is_frequent))
        words += text.types(is_frequent, first)
        is_last = first + STRETCH >= text.num_types
        if is_last or (config.max_vocab is not None and len(words) > 4 * config.max_vocab):
            kept = prune(words, counts_T[numbers], config.max_vocab)
            numbers, words = numbers[kept], [*map(words.__getitem__, kept.tolist())]
    return numbers, words


def ids_in(text: ExternalVocabulary, vocab: Vocab) -> npt.NDArray[Any]:
    """The id that each type has in a vocabulary."""
    parts = []
    for first in range(0, text.num_types, STRETCH):
        types = text.types(np.ones(min(STRETCH, text.num_types - first), np.bool_), first)
        words = b"\n".join(types).decode(*UTF_8).split("\n")
        parts.append(np.array(vocab.ids_of(words), token_dtype(len(vocab))))
    return np.concatenate(parts)


def _nothing_kept(text: ExternalVocabulary, counts_T: Counts, min_count: int, name: str) -> str:
    found = _word_counts(text, counts_T)
    if not len(found):
        return f"{name} holds no words but {' and '.join(SPECIALS)}. Name a corpus with text."
    most = int(found.max())
    offers = [
        f"--min-count {bound} would keep {np.count_nonzero(found >= bound):,}"
        for bound in sorted({1, min(2, most), most})
    ]
    return (
        f"0 of {len(found):,} words of {name} have count >= {min_count}. "
        f"Name a larger corpus or a lower bound: {', '.join(offers)}."
    )


def _word_counts(text: ExternalVocabulary, counts_T: Counts) -> Counts:
    """How often each word occurs that does; specials are none."""
    parts = []
    for first in range(0, text.num_types, STRETCH):
        counts = counts_T[first : first + STRETCH]
        words = text.types(counts > 0, first)
        parts.append(counts[counts > 0][[word not in NO_WORDS for word in words]])
    return np.concatenate(parts)
