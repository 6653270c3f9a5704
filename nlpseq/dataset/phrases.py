"""Phrases: frequent pairs of neighboring words, joined to one token as in new_york.

A pair of neighboring tokens a b with counts #a, #b, #ab in a text of N tokens is a phrase if #ab is at least
phrase_min_count and min_count, as are #a and #b, and its score exceeds the threshold. The scores are

    word2phrase   (#ab - phrase_min_count) N / (#a #b)     Mikolov et al. 2013, arXiv:1310.4546, eq. 6, by N
    npmi          log(#ab N / (#a #b)) / -log(#ab / N), from -1 to 1          Bouma 2009, normalized PMI

Tokens are joined from left to right: in a b c with the phrases a b and b c, the first is joined. A second
pass over the result finds phrases of up to four words, and so on.

Letters: T types, N tokens of a chunk, P pairs.
"""

from collections.abc import Container, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.dataset.limits import CHUNK_TOKENS
from nlpseq.storage.arrays import NpyWriter

__all__ = ["JOINT", "Phrases", "find_phrases", "join_known", "merge_phrases", "name_phrases"]
__all__ += ["read_phrases"]

JOINT = "_"
THRESHOLDS = {"word2phrase": 100.0, "npmi": 0.5}
NO_PAIR = np.uint64(2**64 - 1)  # key of a token without a next token

Ids = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


class Phrases(NamedTuple):
    """Pairs of types, sorted by their keys first * T + second."""

    keys_P: Keys
    counts_P: Ints
    scores_P: npt.NDArray[np.float64]


def find_phrases(
    tokens: Ids, sentences: Ints, counts_T: Ints, config: TextConfig, chunk_tokens: int = CHUNK_TOKENS
) -> Phrases:
    """Return the phrases of a text; counts_T: count of each type, 0 for types to keep out of phrases."""
    total = int(counts_T.sum())
    min_count = max(config.phrase_min_count, config.min_count)  # rarer phrases get no vocabulary entry
    keys_P, counts_P = _count_pairs(tokens, sentences, counts_T >= min_count, chunk_tokens)
    often = counts_P >= min_count
    keys_P, counts_P = keys_P[often], counts_P[often]
    first_P, second_P = np.divmod(keys_P, np.uint64(max(1, len(counts_T))))
    chance_P = counts_T[first_P].astype(np.float64) * counts_T[second_P] / max(1, total)
    if config.phrase_score == "npmi":
        scores_P = np.log(counts_P / chance_P) / -np.log(counts_P / total)
    else:
        scores_P = (counts_P - config.phrase_min_count) / chance_P
    threshold = config.phrase_threshold
    kept = scores_P > (THRESHOLDS[config.phrase_score] if threshold is None else threshold)
    return Phrases(keys_P[kept], counts_P[kept], scores_P[kept])


def join_known(tokens: list[str], words: Container[str], passes: int) -> list[str]:
    """Join neighboring tokens, from left to right, if a vocabulary has them as one word."""
    for _ in range(passes):
        joined = list[str]()
        is_second = False
        for token, after in zip_longest(tokens, tokens[1:], fillvalue=""):
            phrase = f"{token}{JOINT}{after}"
            if is_second:
                is_second = False
            elif after and phrase in words:
                joined.append(phrase)
                is_second = True
            else:
                joined.append(token)
        tokens = joined
    return tokens


def name_phrases(type_ids: dict[str, int], phrases: Phrases) -> list[str]:
    """Return the name of each phrase, and add new names to type_ids; a type of that name keeps its id."""
    types, num_types = list(type_ids), len(type_ids)
    names = [f"{types[key // num_types]}{JOINT}{types[key % num_types]}" for key in phrases.keys_P.tolist()]
    for name in names:
        type_ids.setdefault(name, len(type_ids))
    return names


def merge_phrases(
    tokens_file: Path,
    sentences_file: Path,
    phrases: Phrases,
    num_types: int,
    ids_P: Ids,
    chunk_tokens: int = CHUNK_TOKENS,
) -> None:
    """Rewrite tokens and sentences on disk with each phrase as one token.

    num_types: T of the keys. ids_P: the id of each phrase.
    """
    tokens, sentences = (np.load(file, mmap_mode="r") for file in (tokens_file, sentences_file))
    files = [file.with_suffix(".merged") for file in (tokens_file, sentences_file)]
    with NpyWriter(files[0], np.uint32) as stream, NpyWriter(files[1], np.int64) as ends:
        ends.append(np.zeros(1, np.int64))
        removed, is_second = 0, False  # tokens so far; the next token is the second of a phrase
        for start, keys_N, sentence_ends in _pair_keys(tokens, sentences, num_types, chunk_tokens):
            phrase_N = np.minimum(np.searchsorted(phrases.keys_P, keys_N), len(phrases.keys_P) - 1)
            begins_N = _take_from_left(phrases.keys_P[phrase_N] == keys_N, is_second)
            second_N = np.concatenate([[is_second], begins_N[:-1]])
            merged_N = np.where(begins_N, ids_P[phrase_N], tokens[start : start + len(keys_N)])
            removed_N = removed + np.cumsum(second_N)
            stream.append(merged_N[~second_N])
            ends.append(sentence_ends - removed_N[sentence_ends - 1 - start])
            removed, is_second = int(removed_N[-1]), bool(begins_N[-1])
    for new, old in zip(files, (tokens_file, sentences_file), strict=True):
        new.replace(old)


def _take_from_left(candidate_N: npt.NDArray[np.bool_], is_taken: bool) -> npt.NDArray[np.bool_]:
    """Mark every second candidate of a run, from the first that is not the second of a phrase."""
    place_N = np.arange(len(candidate_N))
    starts_N = candidate_N & ~np.concatenate([[False], candidate_N[:-1]])
    first_N = np.maximum.accumulate(np.where(starts_N, place_N, -1))
    first_N[first_N == 0] -= is_taken
    even_N: npt.NDArray[np.bool_] = candidate_N & ((place_N - first_N) % 2 == 0)
    return even_N


def _pair_keys(
    tokens: Ids, sentences: Ints, num_types: int, chunk_tokens: int
) -> Iterator[tuple[int, Keys, Ints]]:
    """Yield (number of the first token, key of each token with the next, ends of sentences) of each chunk.

    The key of the last token of a sentence is NO_PAIR.
    """
    for start in range(0, len(tokens), chunk_tokens):
        stop = min(start + chunk_tokens, len(tokens))
        span = tokens[start : stop + 1].astype(np.uint64)
        keys_N = np.full(stop - start, NO_PAIR)
        keys_N[: len(span) - 1] = span[:-1] * np.uint64(num_types) + span[1:]
        first, last = np.searchsorted(sentences, [start, stop], side="right")
        ends = sentences[max(first, 1) : last]
        keys_N[ends - 1 - start] = NO_PAIR
        yield start, keys_N, ends


def _count_pairs(
    tokens: Ids, sentences: Ints, often_T: npt.NDArray[np.bool_], chunk_tokens: int
) -> tuple[Keys, Ints]:
    """Return keys and counts of the pairs of neighbors in a sentence whose types are both frequent."""
    keys_P, counts_P = np.empty(0, np.uint64), np.empty(0, np.int64)
    for start, keys_N, _ in _pair_keys(tokens, sentences, len(often_T), chunk_tokens):
        often_N = np.append(often_T[tokens[start : start + len(keys_N) + 1]], False)  # with the next token
        inside_N = (keys_N != NO_PAIR) & often_N[: len(keys_N)] & often_N[1 : len(keys_N) + 1]
        new_P, number_P = np.unique(keys_N[inside_N], return_counts=True)
        keys_P, inverse = np.unique(np.concatenate([keys_P, new_P]), return_inverse=True)
        counts_P = np.bincount(inverse, np.concatenate([counts_P, number_P]), len(keys_P)).astype(np.int64)
    return keys_P, counts_P


def read_phrases(folder: Path) -> list[str]:
    """Return the phrases of an encoded corpus, best score first."""
    lines = (folder / "phrases.tsv").read_text("utf-8").splitlines()
    return [line.partition("\t")[0] for line in lines[1:]]
