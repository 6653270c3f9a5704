"""The tokenizer `char`: every character is a token, white space too."""

from nlpseq.config import TextConfig

__all__ = ["split_characters"]


def split_characters(text: str, config: TextConfig) -> list[str]:
    """Return the characters of a line."""
    return list(text)
