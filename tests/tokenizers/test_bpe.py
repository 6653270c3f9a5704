"""Byte-level BPE equals its reference, and Hugging Face `tokenizers`."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from reference import bpe as plain

from nlpseq.tokenizers.bpe import BPE, train_bpe

TEXT = b"the cat's hat isn't on the mat, thethe 1999 1999 cattle at that hat  \xff\xfe aaaaaaa banana bananas \xed\x95\x9c"


def trained(text: bytes, vocab_size: int) -> tuple[BPE, plain.Merges]:
    counts = Counter(plain.pretokens(text))
    lines = b"".join(pretoken + b"\n" for pretoken in counts)
    merges = plain.train(counts, vocab_size)
    return train_bpe(lines, np.array([*counts.values()]), vocab_size), merges


def test_merges_and_ids_equal_reference() -> None:
    for seed in range(40):
        draw = random.Random(seed)
        text = bytes(draw.choices(b"aaab \xe9" if seed % 2 else TEXT, k=draw.randrange(1, 400)))
        model, merges = trained(text, draw.choice((200, 256, 257, 280, 400)))
        assert model.tokens[256:] == [model.tokens[left] + model.tokens[right] for left, right in merges]
        for line in (text, TEXT, TEXT[::-1], b""):
            assert model.encode(line) == plain.encode(line, merges)
            assert model.decode(model.encode(line)) == line
