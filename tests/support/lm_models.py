"""Tiny language models with random weights, for tests that need one but not its wisdom."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import nlpseq as ns
from nlpseq.config import LMConfig, TextConfig
from nlpseq.config.fields import to_dict
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.lm.checkpoint import Checkpoint
from nlpseq.lm.language_model import LanguageModel
from nlpseq.lm.model import RecurrentLM

WORDS = ("the", "cat", "sat", "on", "a", "mat", ".", "it's", "café")


def tiny_model(
    text_config: TextConfig | None = None, words: Sequence[str] = WORDS, scale: float = 1.0, **settings
):
    """A LanguageModel of some words, with an LSTM of 8 units; the larger the scale, the surer of itself."""
    config = LMConfig(**{"hidden": 8, "dim": 8, "device": "cpu"} | settings)
    entries = [*words, *SPECIALS]
    vocab = Vocab(entries, np.ones(len(entries), np.int64), len(SPECIALS))
    text_config = text_config or TextConfig(punctuation=True)
    meta = {
        "config": to_dict(config),
        "text_config": to_dict(text_config),
        "vocab_digest": vocab.digest,
        "num_entries": len(vocab),
    }
    network = RecurrentLM(config, len(vocab))
    with torch.no_grad():
        for weight in network.parameters():
            weight *= scale
    return LanguageModel(network, vocab, meta)


def save_tiny_model(path: Path, **settings) -> LanguageModel:
    """The same, stored in a folder as a complete run."""
    model = tiny_model(**settings)
    Checkpoint(model.meta, model.vocab, dict(model.model.named_parameters()), []).save(path)
    return model


def letters(count: int, seed: int = 1) -> str:
    """Sentences of random letters."""
    chance = random.Random(seed)
    sentences = [chance.choices("abcdefg", k=chance.randint(1, 9)) for _ in range(count)]
    return "\n".join(" ".join(each) for each in sentences)


def encode(folder: Path, text: str) -> ns.TokenDataset:
    (folder / "text.txt").write_text(text)
    settings = TextConfig(tokenizer="whitespace", min_count=1)
    return ns.preprocess(ns.open_corpus(folder / "text.txt"), settings, folder / "text.tokens")
