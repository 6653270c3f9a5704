"""The tokenizer `fugashi`: words of Japanese text, by MeCab and the dictionary unidic-lite."""

from functools import cache
from typing import Any

from nlpseq.config import TextConfig
from nlpseq.tokenizers.pieces import pieces

__all__ = ["split_with_fugashi"]


def split_with_fugashi(text: str, _: TextConfig) -> list[str]:
    """Return the words of a line, found by MeCab."""
    return [part for piece in pieces(text) for word in _tagger()(piece) for part in word.surface.split()]


@cache
def _tagger() -> Any:
    from fugashi import Tagger
    from unidic_lite import DICDIR

    return Tagger(f'-r "{DICDIR}/mecabrc" -d "{DICDIR}"')
