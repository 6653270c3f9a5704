"""Settings of text generation."""

from dataclasses import dataclass

from nlpseq.config.fields import Config, setting

__all__ = ["Length", "Sampling"]


@dataclass(frozen=True)
class Length(Config):
    """The length of a text: a number of tokens, or of line ends if reached first."""

    num_tokens: int = setting(100, "maximum length, in tokens after the prompt", ge=1)
    sentences: int | None = setting(None, "stop after this many lines", ge=1)


@dataclass(frozen=True)
class Sampling(Config):
    """The sampling of each next token."""

    temperature: float = setting(
        1.0, "below 1: more probable text; 0: always the most probable token; huge: all tokens alike", ge=0
    )
    top_k: int | None = setting(None, "sample from this many most probable tokens", ge=1)
    top_p: float = setting(
        1.0, "sample from the most probable tokens with this total probability", gt=0, le=1
    )
    min_p: float = setting(
        0.0, "drop tokens less probable than this share of the most probable token", ge=0, le=1
    )
    repetition_penalty: float = setting(1.0, "above 1: repeat tokens less", ge=1e-6, le=1_000_000)
