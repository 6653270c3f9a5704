"""Named sets of settings that differ from the defaults of a config."""

from typing import Any

from nlpseq.config.text import BPE_SETTINGS, kind_of_tokenizer

__all__ = ["COUNTING", "LM_PRESETS", "LM_SHARES", "LM_TEXT", "WORD2VEC_PRESETS", "lm_text"]

WORD2VEC_PRESETS: dict[str, dict[str, Any]] = {  # compared in word2vec/README.md
    "standard": {},
    "quality": {"dim": 300, "epochs": 15},
}

COUNTING: dict[str, dict[str, Any]] = {  # settings of CooccurrenceConfig for each method
    "ppmi": {"subsample": 1e-4},
    "ppmi-svd": {"subsample": 1e-4},
    "glove": {"window": 10, "weighting": "harmonic"},
}

# Settings of TextConfig for language models: text as written, words of a single occurrence as <unk>.
LM_TEXT: dict[str, Any] = {"lower": False, "punctuation": True, "min_count": 2}
LM_SHARES = {"valid_share": 0.05, "test_share": 0.05}  # unless the user names a validation text

LM_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 128, "dim": 64},
    "small": {},
    "medium": {"hidden": 1024, "dim": 384, "batch_size": 64, "learning_rate": 4e-3},
    "awd": {
        "layers": 3,
        "hidden": 1152,
        "dim": 400,
        "dropout_words": 0.1,
        "dropout_hidden": 0.25,
        "weight_drop": 0.5,
        "ar": 2.0,
        "tar": 1.0,
        "batch_size": 64,
        "bptt": 70,
        "learning_rate": 3e-3,
        "softmax": "full",
    },
}


def lm_text(tokenizer: str, *, split: bool) -> dict[str, Any]:
    """Return the defaults of TextConfig for a language model; split: with LM_SHARES."""
    defaults = LM_TEXT | (LM_SHARES if split else {})
    if tokenizer != "word":
        defaults["punctuation"] = False  # because the other tokenizers keep punctuation anyway
    if kind_of_tokenizer(tokenizer) == "bpe":
        return {name: value for name, value in defaults.items() if name not in BPE_SETTINGS}
    return defaults
