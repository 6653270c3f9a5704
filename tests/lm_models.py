"""Tiny language models with random weights, for tests of what reads with them."""

import numpy as np
import torch

from nlpseq.config import LMConfig, TextConfig, to_dict
from nlpseq.lm.language_model import LanguageModel
from nlpseq.lm.model import RecurrentLM
from nlpseq.text.vocab import SPECIALS, Vocab


def tiny_model(words, text_config=None, scale=1.0, **settings):
    """A model of these words; a larger scale makes it surer of itself."""
    vocab = Vocab([*words, *SPECIALS], np.ones(len(words) + 2), 2)
    config = LMConfig(**{"hidden": 8, "dim": 6} | settings)
    model = RecurrentLM(config, len(vocab))
    with torch.no_grad():
        for weight in model.parameters():
            weight *= scale
    text_config = text_config or TextConfig(tokenizer="whitespace", min_count=1)
    meta = {
        "config": to_dict(config),
        "text_config": to_dict(text_config),
        "vocab_digest": vocab.digest,
        "corpus": "nothing",
        "data_digest": "none",
        "num_entries": len(vocab),
        "num_parameters": 0,
        "train_tokens": 1,
        "valid_tokens": 1,
        "position": {"tokens": 0, "seconds": 0.0},
        "device": "cpu",
        "precision": "fp32",
        "source": {},
    }
    return LanguageModel(model, vocab, meta, [{"step": 1, "valid_loss": 1.0, "valid_perplexity": 2.7}])
