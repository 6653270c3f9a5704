"""Settings of co-occurrence counts and of the vectors made from them."""

from dataclasses import dataclass
from typing import Literal

from nlpseq.config.fields import Config, seed_setting, setting, threads_setting

__all__ = ["CooccurrenceConfig", "GloveConfig", "PPMIConfig", "SVDConfig"]


@dataclass(frozen=True, kw_only=True)
class CooccurrenceConfig(Config):
    """Pairs of words that count as neighbors, and the weight of each pair."""

    window: int = setting(5, "largest distance of two neighbors, in words", ge=1, le=1000)
    side: Literal["symmetric", "left", "right"] = setting(
        "symmetric", "neighbors that are contexts of a word"
    )
    weighting: Literal["flat", "harmonic"] = setting("flat", "weight of a pair: 1, or 1/distance")
    subsample: float = setting(
        0.0, "drop some occurrences of words more frequent than this share; 0 keeps all", ge=0, le=1
    )
    seed: int = seed_setting()


@dataclass(frozen=True, kw_only=True)
class PPMIConfig(Config):
    """Positive pointwise mutual information of counts."""

    smoothing: float = setting(0.75, "power of the context counts in their distribution", ge=0, le=1)
    shift: float = setting(
        1.0, "subtract the logarithm of this; 5 corresponds to 5 negatives, 1 subtracts nothing", gt=0
    )
    min_pairs: float = setting(0.0, "drop pairs with a lower count", ge=0)


@dataclass(frozen=True, kw_only=True)
class SVDConfig(Config):
    """Truncated singular value decomposition of a sparse matrix."""

    dim: int | None = setting(
        None,
        "length of a word vector [default: 300 or as many as the words fill; glove 100]",
        ge=1,
        le=10_000,
    )
    eigenvalue_power: float = setting(0.5, "power of the singular values in the vectors", ge=0, le=1)
    oversampling: int = setting(20, "additional dimensions during the work, for accuracy", ge=0, le=10_000)
    power_iterations: int = setting(2, "passes that sharpen the result, of two products each", ge=0, le=100)
    seed: int = seed_setting()
    threads: int | None = threads_setting()


@dataclass(frozen=True, kw_only=True)
class GloveConfig(Config):
    """GloVe: weighted least squares on the logarithms of counts."""

    dim: int = setting(100, "length of a word vector", ge=1, le=10_000)
    x_max: float = setting(10.0, "count from which on a pair has weight 1 in the loss", gt=0)
    alpha: float = setting(0.75, "power of (count / x_max), the weight of smaller counts", gt=0, le=1)
    learning_rate: float = setting(0.1, "learning rate of AdaGrad", gt=0)
    epochs: int = setting(15, "passes over the counts", ge=1)
    seed: int = seed_setting()
    threads: int | None = threads_setting()
