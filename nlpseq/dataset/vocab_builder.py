"""The choice of a vocabulary: which types of a text are words of it, and the message if none is.

Types become strings a chunk at a time, so that memory holds the strings of a chunk and of chosen words only.

Letters: T types.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.dataset.provisional_ids import ProvisionalText
from nlpseq.dataset.token_dataset import token_dtype
from nlpseq.dataset.vocab import SPECIAL_BYTES, SPECIALS, Vocab, prune
from nlpseq.errors import DataError
from nlpseq.reading.decode import UTF_8

__all__ = ["build_vocab", "map_to_vocab"]

Counts = npt.NDArray[np.int64]


def build_vocab(
    text: ProvisionalText, train_end: int, config: TextConfig, name: str
) -> tuple[Vocab, npt.NDArray[Any]]:
    """Return the vocabulary of a text and the id of each type: uint16 or uint32, (T,).

    Words are counted in the first train_end sentences; <unk> counts the tokens of all other types, <eos> the
    sentences. name: of the corpus, for messages. Raises DataError if no word remains.
    """
    counts_T = text.count(train_end)
    type_ids, words = _choose_words(text, counts_T, config)
    if not words:
        raise DataError(_explain_empty_vocab(text, counts_T, config.min_count, name))
    counts = np.append(counts_T[type_ids], [counts_T.sum() - counts_T[type_ids].sum(), train_end])
    ids_T = np.full(text.num_types, len(words), token_dtype(len(counts)))
    ids_T[type_ids] = np.arange(len(words))
    return Vocab([*_as_strings(words), *SPECIALS], counts, len(SPECIALS)), ids_T


def map_to_vocab(text: ProvisionalText, vocab: Vocab) -> npt.NDArray[Any]:
    """Return the id of each type in an existing vocabulary: uint16 or uint32, (T,)."""
    all_types = np.ones(text.num_types, np.bool_)
    chunks = [vocab.ids_of(_as_strings(types)) for _, _, types in text.type_chunks(all_types)]
    return np.concatenate([np.array(ids, token_dtype(len(vocab))) for ids in chunks])


def _choose_words(text: ProvisionalText, counts_T: Counts, config: TextConfig) -> tuple[Counts, list[bytes]]:
    """Return type ids and UTF-8 of the words to keep, the most frequent first."""
    is_frequent_T = counts_T >= config.min_count
    type_ids, words = np.empty(0, np.int64), list[bytes]()
    for first, end, types in text.type_chunks(is_frequent_T):
        type_ids = np.append(type_ids, first + np.flatnonzero(is_frequent_T[first:end]))
        words += types
        is_last = end == text.num_types
        if is_last or (config.max_vocab is not None and len(words) > 4 * config.max_vocab):
            kept = prune(words, counts_T[type_ids], config.max_vocab)
            type_ids, words = type_ids[kept], [*map(words.__getitem__, kept.tolist())]
    return type_ids, words


def _as_strings(types: list[bytes]) -> list[str]:
    return b"\n".join(types).decode(*UTF_8).split("\n")


def _explain_empty_vocab(text: ProvisionalText, counts_T: Counts, min_count: int, name: str) -> str:
    """Return a message with lower bounds of min_count that would keep words."""
    is_seen_T = counts_T > 0
    counts = np.concatenate(
        [
            counts_T[first:end][is_seen_T[first:end]][[word not in SPECIAL_BYTES for word in types]]
            for first, end, types in text.type_chunks(is_seen_T)
        ]
    )
    if not len(counts):
        return f"{name}: contains no words but {' and '.join(SPECIALS)}. Name a corpus with text."
    highest = int(counts.max())
    offers = [
        f"--min-count {bound} would keep {np.count_nonzero(counts >= bound):,}"
        for bound in sorted({1, min(2, highest), highest})
    ]
    return (
        f"{name}: 0 of {len(counts):,} words have count >= {min_count}. "
        f"Use a larger corpus or a lower bound: {', '.join(offers)}."
    )
