"""Texts, tokenizer settings and corpora for tests of reading, tokenizing, encoding and training."""

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from reference.bpe import pretokens

from nlpseq.config import TextConfig
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.reading.blocks import BlockLimits
from nlpseq.reading.corpus import Block, ReadReport, open_corpus
from nlpseq.tokenizers.bpe import BPE, train_bpe

WORD_CONFIGS = [
    *(
        TextConfig(tokenizer=tokenizer, lower=lower, punctuation=punctuation, min_count=1)
        for tokenizer, punctuation in (("word", False), ("word", True), ("whitespace", False))
        for lower in (True, False)
    ),
    TextConfig(punctuation=True, keep="urls,mentions,hashtags,numbers", min_count=1),
    TextConfig(punctuation=True, lower=False, min_count=1, word_rule=1),
]
CHAR_CONFIGS = [TextConfig(tokenizer="char", lower=lower, min_count=1) for lower in (True, False)]
TRICKY_TEXT = st.text(
    st.sampled_from(
        "aAbHÀßΣςΟİıſⅧ1_'’ʼ‘.,-\u0300\u0307\u0331\u0345\xad\u200d\u200c\ufe0f\u20e3\ufeff"
        " \t\n\r\x1c\x85\xa0\u2028😀🏽🇰ℹ한かـ·<>/@#:"
    )
)
ANY_TEXT = (
    st.text(st.characters())
    | TRICKY_TEXT
    | st.lists(TRICKY_TEXT | st.text(st.characters(), max_size=3)).map("".join)
)


def config_name(config: TextConfig) -> str:
    """Name a tokenizer and its options, for test ids."""
    options = "-punctuation" * config.punctuation + "-keep" * bool(config.keep)
    case = "lower" if config.lower else "case"
    return f"{config.tokenizer}-{case}{options}{'-rule1' * (config.word_rule == 1)}"


def write_text(path: Path, text: str | bytes) -> Path:
    """Write a file with its folders and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def random_corpus(folder: Path, *, stem: str = "word", num_types: int, num_lines: int) -> Path:
    """Write num_lines sentences of ten random words; stem: start of every word."""
    chance = random.Random(0)
    words = [f"{stem}{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(num_types)]
    lines = [" ".join(chance.choices(words, k=10)) for _ in range(num_lines)]
    return write_text(folder / "corpus.txt", "\n".join(lines) + "\n")


def small_corpus(folder: Path) -> Path:
    """Write 15 sentences of 5 words."""
    return write_text(folder / "corpus.txt", "the cat sat\non the mat\n\nthe end\n" * 5)


def content(data: TokenDataset) -> tuple[list[tuple[str, int]], list[list[int]]]:
    """Return vocabulary entries with counts, and the ids of each sentence."""
    entries = list(zip(data.vocab.words, data.vocab.counts.tolist(), strict=True))
    tokens = data.tokens.tolist()
    return entries, [tokens[start:end] for start, end in pairwise(data.sentences.tolist())]


def read_blocks(
    *sources: str | Path,
    report: ReadReport | None = None,
    limits: BlockLimits = BlockLimits(),
    **settings: Any,
) -> list[Block]:
    """Return the blocks of a corpus; settings: of its TextConfig."""
    config = TextConfig(**settings)
    return list(open_corpus(*sources).blocks(config, report or ReadReport(), limits))


def text_of(*sources: str | Path, **how: Any) -> str:
    """Return the text of a corpus; how: as in read_blocks."""
    return "".join(block.text for block in read_blocks(*sources, **how))


def bpe_of(text: bytes, vocab_size: int) -> BPE:
    """Train byte-level BPE on the pre-tokens of a text, counted by the reference."""
    counts = Counter(pretoken for line in text.split(b"\n") for pretoken in pretokens(line))
    lines = b"".join(pretoken + b"\n" for pretoken in counts)
    return train_bpe(lines, np.array([*counts.values()], np.int64), vocab_size)
