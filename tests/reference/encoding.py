"""Encoding of a text in plain Python: normalize, tokenize, split, count, number."""

import unicodedata
from collections import Counter
from itertools import chain, groupby

import numpy as np

from nlpseq.config import TextConfig
from nlpseq.dataset.vocab import EOS, SPECIALS
from nlpseq.tokenizers.base import tokenize

Entries = list[tuple[str, int]]
Sentences = list[list[int]]


def encode(text: str, config: TextConfig) -> tuple[Entries, Sentences]:
    """Return vocabulary entries with counts, and the ids of each sentence."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " "))
    ended = [[*tokenize(line, config), EOS] for line in text.split("\n")]
    groups = groupby(chain.from_iterable(ended), EOS.__ne__)
    sentences = [[*tokens] for is_sentence, tokens in groups if is_sentence]
    starts = np.cumsum([0, *map(len, sentences)])
    target = round(int(starts[-1]) * (1 - config.test_share - config.valid_share))
    train = sentences[: int(np.abs(starts - target).argmin())]
    counts = Counter(token for sentence in train for token in sentence)
    words = [word for word, count in counts.items() if count >= config.min_count and word not in SPECIALS]
    words = sorted(words, key=lambda word: (-counts[word], word))[: config.max_vocab]
    ids = {word: word_id for word_id, word in enumerate(words)}
    unknown = counts.total() - sum(counts[word] for word in words)
    entries = [(word, counts[word]) for word in words] + [("<unk>", unknown), ("<eos>", len(train))]
    return entries, [[ids.get(token, len(words)) for token in sentence] for sentence in sentences]
