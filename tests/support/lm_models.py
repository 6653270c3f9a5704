"""Tiny language models with random weights, and tiny texts."""

import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import nlpseq as ns
from nlpseq.config import LMConfig, TextConfig
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.lm.batches import Stream
from nlpseq.lm.checkpoint import Checkpoint
from nlpseq.lm.language_model import LanguageModel
from nlpseq.lm.model import RecurrentLM

WORDS = ("the", "cat", "sat", "on", "a", "mat", ".", "it's", "café")


def tiny_network(num_entries: int, scale: float = 1.0, **settings) -> RecurrentLM:
    """Build a RecurrentLM; a larger scale gives less uniform predictions."""
    network = RecurrentLM(LMConfig(**{"hidden": 8, "dim": 6} | settings), num_entries).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight *= scale
    return network


def tiny_model(
    text_config: TextConfig | None = None, words: Sequence[str] = WORDS, scale: float = 1.0, **settings
) -> LanguageModel:
    """Build a LanguageModel of some words with an LSTM of 8 units."""
    entries = [*words, *SPECIALS]
    vocab = Vocab(entries, np.ones(len(entries), np.int64), len(SPECIALS))
    network = tiny_network(len(vocab), scale, **{"dim": 8, "device": "cpu"} | settings)
    meta = {
        "config": asdict(network.config),
        "text_config": asdict(text_config or TextConfig(punctuation=True)),
        "vocab_digest": vocab.digest,
        "num_entries": len(vocab),
    }
    return LanguageModel(network, vocab, meta)


def save_tiny_model(path: Path, **settings) -> LanguageModel:
    """Save a tiny_model as the folder of a complete run, without a model card."""
    model = tiny_model(**settings)
    Checkpoint(model.meta, model.vocab, dict(model.model.named_parameters()), []).save(path)
    return model


def letters(count: int, seed: int = 1) -> str:
    """Return `count` sentences of random letters."""
    chance = random.Random(seed)
    sentences = [chance.choices("abcdefg", k=chance.randint(1, 9)) for _ in range(count)]
    return "\n".join(" ".join(each) for each in sentences)


def encode(folder: Path, text: str) -> ns.TokenDataset:
    """Write a text to a folder and encode it by white space."""
    (folder / "text.txt").write_text(text)
    settings = TextConfig(tokenizer="whitespace", min_count=1)
    return ns.preprocess(ns.open_corpus(folder / "text.txt"), settings, folder / "text.tokens")


def changed_stream(data: ns.TokenDataset, position: int, word_id: int) -> Stream:
    """Return the stream of a dataset with another word at a position of tokens.npy."""
    stream = Stream(data)
    stream.tokens = np.array(stream.tokens)
    stream.tokens[position] = word_id
    return stream


def stream_position(data: ns.TokenDataset, position: int) -> int:
    """Return the stream position of a position of tokens.npy, counting the <eos> before."""
    return position + int(np.searchsorted(data.sentences, position, "right")) - 1
