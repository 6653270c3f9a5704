"""Write vectors as a static embedding model, which model2vec and sentence-transformers open.

    StaticModel.from_pretrained("corpus.static")        of model2vec
    SentenceTransformer("corpus.static")                of sentence-transformers

The vector of a text is the mean of the vectors of its words. tokenizer.json splits the text nearly as the
training text was split; unknown words become a last row of zeros.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlpseq.config import TextConfig
from nlpseq.storage.artifact import Folder
from nlpseq.vectors.formats.rows import VectorRows

__all__ = ["word_tokenizer", "write_static"]

_LETTER, _INSIDE = r"[\p{L}\p{M}\p{N}\p{Pc}]", "['·‧״׳]"  # of a word, and between two of its letters
_WORD = f"{_LETTER}+(?:{_INSIDE}{_LETTER}+)*"
_REPLACED = {"[’ʼ＇՚]": "'", "[\u00ad\u0640\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]": ""}
_MODULES = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]


def write_static(rows: VectorRows, folder: Folder, tokenizer: bytes) -> None:
    """Write model.safetensors, tokenizer.json and the settings that the two packages read.

    tokenizer: content of a tokenizer.json with the ids of these rows, and of one more for unknown words.
    """
    from safetensors.numpy import save_file

    dim = rows.matrix_VD.shape[1]
    vectors = np.zeros((len(rows.words) + 1, dim), np.float32)
    vectors[:-1] = rows.matrix_VD[rows.rows]
    save_file({"embeddings": vectors}, folder.path / "model.safetensors")
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": False}
    config |= {"hidden_dim": dim, "embedding_dtype": "float32"}
    (folder.path / "tokenizer.json").write_bytes(tokenizer)
    (folder.path / "config.json").write_text(json.dumps(config))
    (folder.path / "modules.json").write_text(json.dumps(_MODULES))


def word_tokenizer(words: Sequence[str], text: TextConfig | None) -> bytes:
    """Return a tokenizer.json of whole words, whose ids are the places in the list.

    text: settings of the training text, None for vectors of another tool.
    """
    unknown = "[UNK]"
    while unknown in words:
        unknown = f"[{unknown}]"
    vocab = {word: word_id for word_id, word in enumerate([*words, unknown])}
    content = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(text)},
        "pre_tokenizer": _splitter(text),
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": unknown},
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _normalizers(text: TextConfig | None) -> list[dict[str, Any]]:
    """Return the normalizers of `tokenizers` that prepare a text as the training text was prepared."""
    if text is None:
        return []
    steps: list[dict[str, Any]] = [{"type": text.normalize}] if text.normalize != "none" else []
    steps += [{"type": "Lowercase"}] if text.lower else []
    if text.tokenizer == "word":
        steps += [
            {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}
            for pattern, content in _REPLACED.items()
        ]
    return steps


def _splitter(text: TextConfig | None) -> dict[str, Any]:
    """Return the pre-tokenizer of `tokenizers` nearest to the tokenizer of the training text."""
    if text is None:
        return {"type": "Whitespace"}  # words and marks apart
    if text.tokenizer not in ("word", "char"):
        return {"type": "WhitespaceSplit"}
    pattern = {"word": _WORD + r"|\S" * text.punctuation, "char": "."}[text.tokenizer]
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}
