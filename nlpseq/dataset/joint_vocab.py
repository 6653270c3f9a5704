"""Join the vocabulary of earlier texts with the words of a new text.

The words of both, their counts added up, are ordered as in any vocabulary: by falling count, ties by word.
Words of unknown count, as in vectors of other tools, keep their order and come first; their count stays
unknown. tests/reference/joint_vocab.py does the same in plain Python.

Letters: S words of the earlier texts, N new words, U = S + N words of both, V words of the joint vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_stored
from nlpseq.config.text import TOKEN_SETTINGS
from nlpseq.dataset.vocab import SPECIALS, Vocab, prune
from nlpseq.errors import ConfigError
from nlpseq.reading.decode import UTF_8

__all__ = ["check_agreement", "join_vocab", "rows_of_words", "text_defaults"]

SUGGESTED = ("min_count", "max_vocab", "sentences")  # by a start

Counts = npt.NDArray[np.int64]


def join_vocab(
    start: Vocab, added_S: Counts, words: Sequence[str], counts_N: Counts, max_vocab: int | None = None
) -> tuple[Vocab, Counts]:
    """Return the joint vocabulary, without specials, and the id of each word of both there: int64, (U,).

    start: words of earlier texts, without specials. added_S: their counts in the new text. words, counts_N:
    new words of the new text. max_vocab: number of words to keep, the most frequent ones; the id of other
    words, of specials and of repeated words is -1.
    """
    all_words = [*start.words, *words]
    counts_U = np.concatenate([np.where(start.counts < 0, -1, start.counts + added_S), counts_N])
    uncounted = [number for number in np.flatnonzero(counts_U < 0) if all_words[number] not in SPECIALS]
    counted = np.flatnonzero(counts_U >= 0)
    names = [all_words[number].encode(*UTF_8) for number in counted.tolist()]
    kept = np.append(np.array(uncounted, np.int64), counted[prune(names, counts_U[counted], None)])
    if len({*all_words}) < len(all_words):  # in vectors of other tools
        firsts = {word: number for number, word in reversed([*enumerate(all_words)])}
        kept = kept[[firsts[all_words[number]] == number for number in kept.tolist()]]
    kept = kept[:max_vocab]
    ids_U = np.full(len(all_words), -1, np.int64)
    ids_U[kept] = np.arange(len(kept))
    return Vocab([all_words[number] for number in kept.tolist()], counts_U[kept]), ids_U


def rows_of_words(words: Sequence[str], start: Vocab) -> Counts:
    """Return the id of each word in the vocabulary of a start, -1 for a new word: int64, (len(words),)."""
    ids = start.ids
    return np.fromiter((ids.get(word, -1) for word in words), np.int64, len(words))


def text_defaults(name: str, stored: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of TextConfig that a start decides or suggests for a new text.

    name: of the start, for messages. stored: the text settings in its meta.json, if any. settings: explicit
    ones of the new text. Raises ConfigError for a setting that contradicts the start, or for a start with
    phrases.
    """
    if stored is None:
        return {}
    has = asdict(from_stored(TextConfig, stored))
    if has["phrases"]:
        raise ConfigError(
            f"{name}: was made with --phrases, and a new text cannot join the same phrases. Start without "
            "phrases."
        )
    check_agreement(name, {each: has[each] for each in TOKEN_SETTINGS}, settings)
    return {each: has[each] for each in (*TOKEN_SETTINGS, *SUGGESTED)}


def check_agreement(name: str, has: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ConfigError for a wanted setting that contradicts a start with this name."""
    for setting, value in has.items():
        if wanted.get(setting, value) != value:
            asked, present = ("none" if each is None else each for each in (wanted[setting], value))
            raise ConfigError(
                f"{setting}: {asked} contradicts {name}, which has {present}. Leave it out, because the "
                "start decides."
            )
