"""The tokenizer `pythainlp`: words of Thai text, by maximal matching in a dictionary (newmm)."""

import os
from functools import cache
from typing import Any

from nlpseq.config import TextConfig
from nlpseq.tokenizers.pieces import pieces

__all__ = ["split_with_pythainlp"]


def split_with_pythainlp(text: str, _: TextConfig) -> list[str]:
    """Return the words of a line, found by PyThaiNLP."""
    segment = _newmm()
    return [word for piece in pieces(text) for part in segment(piece) for word in part.split()]


@cache
def _newmm() -> Any:
    """Load PyThaiNLP and its dictionary, in about two seconds."""
    os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")  # because it makes a folder for downloads
    from pythainlp.tokenize.newmm import segment

    return segment
