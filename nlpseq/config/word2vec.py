"""Settings of word2vec."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nlpseq.config.fields import Config, check, seed_setting, setting, threads_setting
from nlpseq.errors import ConfigError

__all__ = ["MAX_NGRAM", "Ngrams", "Units", "Word2VecConfig"]

MAX_NGRAM = 20  # characters

Units = Literal["characters", "jamo"]


class Ngrams(NamedTuple):
    """Lengths of the n-grams of a word, in characters; units: see Word2VecConfig."""

    shortest: int
    longest: int
    units: Units = "characters"


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig(Config):
    """CBOW and skip-gram."""

    objective: Literal["skipgram", "cbow"] = setting(
        "skipgram", "predict each neighbor from the center word, or the center word from its neighbors"
    )
    dim: int = setting(100, "length of a word vector", ge=1, le=10_000)
    window: int = setting(
        5, "largest distance to a neighbor, in words; each position draws a width up to it", ge=1, le=1000
    )
    negatives: int = setting(5, "noise words for each prediction", ge=1, le=500)
    share_negatives: Literal["window", "pair"] = setting(
        "window",
        "draw noise words once for a window, or for every pair (slower; skip-gram without subwords only)",
    )
    loss: Literal["negative-sampling", "softmax"] = setting(
        "negative-sampling", "loss function; softmax suits small vocabularies only"
    )
    subwords: str | None = setting(
        None, "train n-grams of characters too, of these lengths, such as 3:6; gives vectors of unseen words"
    )
    buckets: int | None = setting(
        None,
        "rows that the n-grams share [default: as many as distinct n-grams, at most 2,000,000]",
        ge=1,
        le=1_000_000_000,
    )
    subword_units: Units = setting(
        "characters",
        "units of n-grams; jamo adds n-grams of 3 to 5 letters of Hangul to those of characters",
    )
    subsample: float = setting(
        1e-3, "drop some occurrences of words more frequent than this share; 0 keeps all", ge=0, le=1
    )
    smoothing: float | None = setting(
        None,
        "power of the counts in the distribution of the noise words [default: .75; with subwords .3 "
        "skipgram (.75 for little text), .5 cbow]",
        ge=0,
        le=1,
    )
    learning_rate: float | None = setting(
        None,
        "initial learning rate, falling linearly [default: .025 skipgram, .075 cbow, .15 cbow corrected; "
        "with subwords .04 skipgram (.06 for little text), .05 cbow, .15 cbow corrected]",
        gt=0,
    )
    epochs: int | None = setting(None, "passes over the text [default: 5 to 20, more for less text]", ge=1)
    early_stop: bool = setting(
        False, "keep the epoch of the lowest held-out loss, and stop there; similarity may still rise later"
    )
    cbow_update: Literal["corrected", "legacy"] = setting(
        "legacy", "divide the gradient of the mean by the number of context words, or not"
    )
    seed: int = seed_setting()
    threads: int | None = threads_setting()
    deterministic: bool = setting(
        False, "give the same result for the same number of threads; takes more memory and time"
    )
    freeze_known: bool = setting(
        False,
        "with --start: keep the vectors of known words to the bit, so that new words fit in",
    )
    parts: int | None = setting(
        None,
        "cut the words into this many parts, and train the pairs in blocks that share no part, so that the "
        "result is the same for any number of threads or workers [default: with --cluster, 8 or fewer]",
        ge=1,
        le=4096,
    )
    segment: int | None = setting(
        None, "words of text whose pairs are cut into blocks [default with --parts: 1,000,000 or fewer]", ge=1
    )
    backend: Literal["auto", "numpy", "cupy"] = setting("auto", "library of the arrays")
    kernel: Literal["auto", "fused", "layers"] = setting(
        "auto", "training step: compiled, or the readable reference"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        shortest, longest, _ = self.ngrams or (1, 1, "")
        wanted = f"two lengths such as 3:6, the first at most the second, from 1 to {MAX_NGRAM}"
        check(1 <= shortest <= longest <= MAX_NGRAM, self, "subwords", wanted)
        has_ngrams = self.subwords is not None
        is_set = {"buckets": self.buckets is not None, "subword_units": self.subword_units != "characters"}
        if not has_ngrams and (useless := [name for name, needs_ngrams in is_set.items() if needs_ngrams]):
            raise ConfigError(f"{useless[0]}: has no effect without subwords. Add --subwords 3:6.")
        if self.parts is not None:
            self._check_parts()

    def _check_parts(self) -> None:
        """Raise ConfigError for settings that blocks do not have."""
        check(self.objective == "skipgram", self, "objective", "skipgram with parts or on a cluster")
        check(self.loss == "negative-sampling", self, "loss", "negative-sampling with parts or on a cluster")
        check(self.share_negatives == "pair", self, "share_negatives", "pair with parts or on a cluster")
        check(
            self.subwords is None,
            self,
            "subwords",
            "left out with parts or on a cluster, because words share n-grams",
        )
        check(not self.freeze_known, self, "freeze_known", "left out with parts or on a cluster")
        check(not self.deterministic, self, "deterministic", "left out with parts, which are deterministic")
        check(self.backend in ("auto", "numpy"), self, "backend", "numpy with parts or on a cluster")
        check(self.kernel in ("auto", "fused"), self, "kernel", "fused with parts or on a cluster")

    @property
    def ngrams(self) -> Ngrams | None:
        """Return the n-grams of each word, with lengths of 0 if these are not valid; None without n-grams."""
        if self.subwords is None:
            return None
        lengths = re.fullmatch(r"(\d{1,9}):(\d{1,9})", self.subwords, re.ASCII)
        shortest, longest = (int(lengths[1]), int(lengths[2])) if lengths else (0, 0)
        return Ngrams(shortest, longest, self.subword_units)
