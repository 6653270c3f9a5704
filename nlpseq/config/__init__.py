"""Settings of every stage: frozen dataclasses with a default, a help text and a check for each field.

The command line derives its options from these fields, the API takes them as they are, and every result
stores the ones it was made with.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from nlpseq.config.fields import check, check_choices, setting

Tokenizer = Literal["word", "whitespace", "char", "nltk", "toktok", "tweet"]

MOST_THREADS = 1024


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """From raw text to numbered tokens."""

    tokenizer: Tokenizer = setting("word", "how text becomes tokens")
    lower: bool = setting(True, "lower-case the text")
    punctuation: bool = setting(False, "keep each punctuation mark as a token (tokenizer `word`)")
    min_count: int = setting(5, "drop words seen fewer times than this")
    max_vocab: int | None = setting(None, "keep at most this many words, the most frequent")
    encoding: str = setting("utf-8", "how the bytes of the text are encoded")
    encoding_errors: Literal["replace", "strict"] = setting("replace", "what to do with invalid bytes")
    normalize: Literal["NFC", "NFKC", "none"] = setting("NFC", "Unicode normal form of the text")
    phrases: int = setting(
        0, "passes that make one token of words that belong together; 2 give up to 4 words"
    )
    phrase_score: Literal["word2phrase", "npmi"] = setting("word2phrase", "how pairs of words are scored")
    phrase_threshold: float | None = setting(
        None, "score that a phrase exceeds [default: 100 word2phrase, .5 npmi]"
    )
    phrase_min_count: int = setting(5, "fewest occurrences of a phrase and of its words")
    valid_share: float = setting(0.0, "share of the tokens, before the test split, kept for validation")
    test_share: float = setting(0.0, "share of the tokens, at the end, kept for testing")

    def __post_init__(self) -> None:
        check_choices(self)
        check(self.min_count >= 1, self, "min_count", "at least 1")
        check(self.max_vocab is None or self.max_vocab >= 1, self, "max_vocab", "at least 1")
        check(0 <= self.phrases <= 8, self, "phrases", "from 0 to 8")
        check(not self.phrases or self.tokenizer != "char", self, "phrases", "0 for the tokenizer `char`")
        check(self.phrase_min_count >= 1, self, "phrase_min_count", "at least 1")
        threshold = self.phrase_threshold
        check(threshold is None or isfinite(threshold), self, "phrase_threshold", "a number")
        check(0 <= self.valid_share < 1, self, "valid_share", "at least 0 and below 1")
        check(0 <= self.test_share < 1, self, "test_share", "at least 0 and below 1")
        check(
            self.valid_share + self.test_share < 1,
            self,
            "valid_share",
            "so small that with test_share some text is left to train on",
        )
        check(
            not self.punctuation or self.tokenizer == "word",
            self,
            "punctuation",
            "off unless the tokenizer is `word`",
        )
        check(
            _is_codec(self.encoding),
            self,
            "encoding",
            "a text encoding Python knows, such as utf-8, utf-16 or cp949",
        )


@dataclass(frozen=True, kw_only=True)
class CooccurrenceConfig:
    """Which pairs of words count as occurring together, and how much."""

    window: int = setting(5, "farthest distance at which two words count as neighbours, in words")
    side: Literal["symmetric", "left", "right"] = setting(
        "symmetric", "which neighbours of a word are its contexts"
    )
    weighting: Literal["flat", "harmonic"] = setting("flat", "each pair counts 1, or 1/distance")
    subsample: float = setting(
        0.0, "thin out words more frequent than this share before counting; 0 keeps all"
    )
    seed: int = setting(1, "of all random draws")

    def __post_init__(self) -> None:
        check_choices(self)
        check(1 <= self.window <= 1000, self, "window", "from 1 to 1000")
        check(0 <= self.subsample <= 1, self, "subsample", "from 0 to 1")
        check(self.seed >= 0, self, "seed", "at least 0")


@dataclass(frozen=True, kw_only=True)
class PPMIConfig:
    """How counts become positive pointwise mutual information."""

    smoothing: float = setting(0.75, "contexts are taken to be as probable as their count to this power")
    shift: float = setting(1.0, "the logarithm of this is subtracted: 5 as with 5 negatives, 1 is none")
    min_pairs: float = setting(0.0, "drop pairs of words counted fewer times than this")

    def __post_init__(self) -> None:
        check_choices(self)
        check(0 <= self.smoothing <= 1, self, "smoothing", "from 0 to 1")
        check(0 < self.shift < float("inf"), self, "shift", "above 0")
        check(0 <= self.min_pairs < float("inf"), self, "min_pairs", "at least 0")


@dataclass(frozen=True, kw_only=True)
class SVDConfig:
    """How a sparse matrix becomes short vectors."""

    dim: int = setting(300, "length of a word vector")
    eigenvalue_power: float = setting(0.5, "singular values scale the dimensions to this power, from 0 to 1")
    oversampling: int = setting(20, "dimensions more that are worked with, for accuracy")
    power_iterations: int = setting(2, "passes that sharpen what is found, two products each")
    seed: int = setting(1, "of all random draws")
    threads: int | None = setting(None, "threads [default: every core this process may use]")

    def __post_init__(self) -> None:
        check_choices(self)
        check(1 <= self.dim <= 10_000, self, "dim", "from 1 to 10000")
        check(0 <= self.eigenvalue_power <= 1, self, "eigenvalue_power", "from 0 to 1")
        check(0 <= self.oversampling <= 10_000, self, "oversampling", "from 0 to 10000")
        check(0 <= self.power_iterations <= 100, self, "power_iterations", "from 0 to 100")
        check(self.seed >= 0, self, "seed", "at least 0")
        _check_threads(self)


@dataclass(frozen=True, kw_only=True)
class GloveConfig:
    """GloVe: weighted least squares on the logarithms of counts."""

    dim: int = setting(100, "length of a word vector")
    x_max: float = setting(10.0, "counts from here up weigh 1 in the loss")
    alpha: float = setting(0.75, "counts below weigh (count / x_max) to this power")
    learning_rate: float = setting(0.1, "of AdaGrad")
    epochs: int = setting(15, "passes over the counts")
    seed: int = setting(1, "of all random draws")
    threads: int | None = setting(None, "threads [default: every core this process may use]")

    def __post_init__(self) -> None:
        check_choices(self)
        check(1 <= self.dim <= 10_000, self, "dim", "from 1 to 10000")
        check(0 < self.x_max < float("inf"), self, "x_max", "above 0")
        check(0 < self.alpha <= 1, self, "alpha", "above 0 and at most 1")
        check(0 < self.learning_rate < float("inf"), self, "learning_rate", "above 0")
        check(self.epochs >= 1, self, "epochs", "at least 1")
        check(self.seed >= 0, self, "seed", "at least 0")
        _check_threads(self)


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig:
    """CBOW and skip-gram."""

    objective: Literal["skipgram", "cbow"] = setting(
        "skipgram", "predict each neighbour, or the centre from all of them"
    )
    dim: int = setting(100, "length of a word vector")
    window: int = setting(5, "farthest neighbour, in words; each position draws its width from 1 to this")
    negatives: int = setting(5, "noise words drawn for each prediction")
    share_negatives: Literal["window", "pair"] = setting(
        "window", "draw noise words once a window, or for every pair (slower; skip-gram)"
    )
    loss: Literal["negative-sampling", "softmax"] = setting(
        "negative-sampling", "what is minimised; softmax is for small vocabularies"
    )
    subsample: float = setting(1e-3, "thin out words more frequent than this share; 0 keeps all")
    smoothing: float = setting(0.75, "noise words are drawn by count to this power")
    learning_rate: float | None = setting(
        None, "at the start, falling linearly [default: .025 skipgram, .075 cbow, .15 cbow corrected]"
    )
    epochs: int | None = setting(None, "passes over the text [default: 5 to 20, more for less text]")
    early_stop: bool = setting(
        False,
        "stop where held-out text is predicted best, and keep that epoch; similarity may go on rising",
    )
    cbow_update: Literal["corrected", "legacy"] = setting(
        "legacy", "divide the gradient of the mean by the window size, or not"
    )
    seed: int = setting(1, "of all random draws")
    threads: int | None = setting(None, "training threads [default: every core this process may use]")
    deterministic: bool = setting(
        False, "the same result each time with as many threads, for more memory and some time"
    )
    backend: Literal["auto", "numpy", "cupy"] = setting("auto", "where arrays live")
    kernel: Literal["auto", "fused", "layers"] = setting(
        "auto", "compiled step, or the readable one it is held against"
    )

    def __post_init__(self) -> None:
        check_choices(self)
        check(1 <= self.dim <= 10_000, self, "dim", "from 1 to 10000")
        check(1 <= self.window <= 1000, self, "window", "from 1 to 1000")
        check(1 <= self.negatives <= 500, self, "negatives", "from 1 to 500")
        check(0 <= self.subsample <= 1, self, "subsample", "from 0 to 1")
        check(0 <= self.smoothing <= 1, self, "smoothing", "from 0 to 1")
        check(
            self.learning_rate is None or 0 < self.learning_rate < float("inf"),
            self,
            "learning_rate",
            "above 0",
        )
        check(self.epochs is None or self.epochs >= 1, self, "epochs", "at least 1")
        check(self.seed >= 0, self, "seed", "at least 0")
        _check_threads(self)


# The rates that LMConfig may leave open, and how much of the common one each takes.
AUTOMATIC_RATES = {"dropout_input": 1.0, "dropout_hidden": 0.6, "dropout_output": 1.0, "weight_drop": 0.5}
BY_PASSES = "[default: by the number of passes over the text]"


@dataclass(frozen=True, kw_only=True)
class LMConfig:
    """The recurrent language model: its shape, what keeps it from learning by heart, and how it is trained.

    The defaults are the preset `small`; LM_PRESETS has the others.
    """

    cell: Literal["lstm", "gru", "rnn"] = setting("lstm", "kind of recurrent cell")
    layers: int = setting(1, "recurrent layers")
    hidden: int = setting(512, "units of each layer")
    dim: int = setting(256, "length of the embedding of a token")
    tied: bool = setting(True, "softmax shares the embedding, through a projection where sizes differ")
    layer_norm: bool = setting(False, "normalise the output of each layer")
    residual: bool = setting(False, "add the input of each layer but the first to its output")
    init: Literal["xavier", "uniform", "orthogonal"] = setting("uniform", "how matrices begin")
    forget_bias: float = setting(1.0, "bias the forget gate of an LSTM begins with")

    dropout_words: float = setting(0.0, "share of the vocabulary dropped from the input for a step")
    dropout_input: float | None = setting(None, f"dropout of embeddings, the same at every step {BY_PASSES}")
    dropout_hidden: float | None = setting(None, f"dropout between layers {BY_PASSES}")
    dropout_output: float | None = setting(None, f"dropout of the last layer {BY_PASSES}")
    weight_drop: float | None = setting(None, f"dropout of the recurrent weights {BY_PASSES}")
    ar: float = setting(0.0, "penalty on large activations")
    tar: float = setting(0.0, "penalty on activations that change quickly")
    weight_decay: float = setting(1e-4, "weight decay; plain L2 unless the optimizer is adamw")

    batch_size: int = setting(32, "columns the text is folded into")
    bptt: int = setting(35, "time steps that gradients flow back")
    lengths: Literal["fixed", "bucketed"] = setting("fixed", "every chunk bptt long, or of a few lengths")
    clip_norm: float | None = setting(1.0, "longest gradient, all weights together")
    clip_value: float | None = setting(None, "largest gradient of a single weight")
    optimizer: Literal["sgd", "adam", "adamw"] = setting("adamw", "how gradients become steps")
    learning_rate: float = setting(6e-3, "at the start")
    beta1: float = setting(0.0, "momentum of adam and adamw")
    schedule: Literal["constant", "plateau", "cosine", "linear"] = setting(
        "linear", "course of the learning rate; linear: constant, then down to zero"
    )
    decay_share: float = setting(0.6, "last share of the training in which a linear schedule falls")
    averaging: Literal["none", "ema", "nt-asgd"] = setting("ema", "which mean of the weights is the result")
    average_share: float = setting(0.3, "last share of the training over which ema averages")
    average_decay: float = setting(0.999, "memory of ema")
    patience: int | None = setting(None, "stop after so many validations without a better one")
    softmax: Literal["auto", "full", "sampled"] = setting(
        "auto", "train on all of the vocabulary, or on a sample of it first"
    )
    samples: int = setting(1000, "vocabulary entries in a sample")
    sampled_share: float = setting(0.85, "first share of the training that uses samples")

    epochs: int | None = setting(None, "passes over the text, instead of a time budget")
    time_budget: float | None = setting(
        None, "time from the first step to the last validation [default, without epochs: 10m]", "seconds"
    )
    precision: Literal["auto", "fp32", "bf16"] = setting("auto", "of matrix products; auto tries both")
    validate_every: float = setting(0.1, "share of the training between validations")
    seed: int = setting(1, "of all random draws")
    threads: int | None = setting(None, "training threads [default: every core this process may use]")
    device: str = setting("auto", "where to train: auto, cpu, cuda or cuda:N")

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("layers", "hidden", "dim", "batch_size", "bptt", "samples"):
            check(1 <= getattr(self, name) <= 1_000_000, self, name, "from 1 to 1,000,000")
        check(abs(self.forget_bias) <= 1e6, self, "forget_bias", "from -1e6 to 1e6")
        for name in ("dropout_words", *AUTOMATIC_RATES):
            rate = getattr(self, name)
            check(rate is None or 0 <= rate < 1, self, name, "at least 0 and below 1")
        for name in ("ar", "tar", "weight_decay", "learning_rate"):
            check(0 <= getattr(self, name) < float("inf"), self, name, "at least 0")
        for name in ("beta1", "average_share", "average_decay", "sampled_share"):
            check(0 <= getattr(self, name) <= 1, self, name, "from 0 to 1")
        for name in ("decay_share", "validate_every"):
            check(0 < getattr(self, name) <= 1, self, name, "above 0 and at most 1")
        for name in ("clip_norm", "clip_value", "epochs", "patience", "time_budget"):
            value = getattr(self, name)
            check(value is None or 0 < value < float("inf"), self, name, "above 0")
        check(self.beta1 < 1, self, "beta1", "below 1")
        _check_threads(self)
        check(self.seed >= 0, self, "seed", "at least 0")
        check(
            self.epochs is None or self.time_budget is None,
            self,
            "time_budget",
            "left out where epochs are given",
        )


def _check_threads(config: Any) -> None:
    fits = config.threads is None or 1 <= config.threads <= MOST_THREADS
    check(fits, config, "threads", f"from 1 to {MOST_THREADS}")


# What language models read, where nothing else is said: as it was written, with words seen once as <unk>.
LM_TEXT: dict[str, Any] = {"lower": False, "punctuation": True, "min_count": 2}
LM_SHARES = {"valid_share": 0.05, "test_share": 0.05}  # where no file to validate on is named

WORD2VEC_PRESETS: dict[str, dict[str, Any]] = {
    "standard": {},
    "quality": {"dim": 300, "epochs": 15},  # what each is worth: word2vec/README.md
}

COUNTING: dict[str, dict[str, Any]] = {  # settings of counting that suit a method better than the usual ones
    "ppmi": {"subsample": 1e-4},
    "ppmi-svd": {"subsample": 1e-4},
    "glove": {"window": 10, "weighting": "harmonic"},
}

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


def _is_codec(name: str) -> bool:
    if name.lower() in ("idna", "punycode"):  # of host names, not of text
        return False
    try:
        return isinstance("".encode(name), bytes)
    except (LookupError, TypeError, ValueError):
        return False
