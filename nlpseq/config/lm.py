"""Settings of the recurrent language model."""

from dataclasses import dataclass
from typing import Literal

from nlpseq.config.fields import Config, check, seed_setting, setting, threads_setting

__all__ = ["AUTOMATIC_RATES", "LMConfig"]

# Dropout rates that LMConfig can leave open, as shares of one common rate.
AUTOMATIC_RATES = {"dropout_input": 1.0, "dropout_hidden": 0.6, "dropout_output": 1.0, "weight_drop": 0.5}

_BY_PASSES = "[default: by the number of passes over the text]"
_MAX_SIZE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LMConfig(Config):
    """The recurrent language model: network, regularization and training.

    The defaults are the preset `small`; LM_PRESETS has the others.
    """

    cell: Literal["lstm", "gru", "rnn"] = setting("lstm", "kind of recurrent cell")
    layers: int = setting(1, "recurrent layers", ge=1, le=_MAX_SIZE)
    hidden: int = setting(512, "units of each layer", ge=1, le=_MAX_SIZE)
    dim: int = setting(256, "length of a token embedding", ge=1, le=_MAX_SIZE)
    tied: bool = setting(
        True, "use the embedding in the softmax too, through a projection if the sizes differ"
    )
    layer_norm: bool = setting(False, "normalize the output of each layer")
    residual: bool = setting(False, "add the input of each layer but the first to its output")
    init: Literal["xavier", "uniform", "orthogonal"] = setting("uniform", "initial values of matrices")
    forget_bias: float = setting(
        1.0, "initial bias of the forget gate of an LSTM", ge=-1_000_000, le=1_000_000
    )

    dropout_words: float = setting(
        0.0, "share of the vocabulary dropped from the input of a step", ge=0, lt=1
    )
    dropout_input: float | None = setting(
        None, f"dropout of embeddings, the same mask at every time step {_BY_PASSES}", ge=0, lt=1
    )
    dropout_hidden: float | None = setting(None, f"dropout between layers {_BY_PASSES}", ge=0, lt=1)
    dropout_output: float | None = setting(None, f"dropout of the last layer {_BY_PASSES}", ge=0, lt=1)
    weight_drop: float | None = setting(None, f"dropout of the recurrent weights {_BY_PASSES}", ge=0, lt=1)
    ar: float = setting(0.0, "penalty on large activations", ge=0)
    tar: float = setting(0.0, "penalty on changes of activations", ge=0)
    weight_decay: float = setting(1e-4, "weight decay; plain L2 unless the optimizer is adamw", ge=0)

    batch_size: int = setting(32, "columns of the folded text", ge=1, le=_MAX_SIZE)
    parts: int | None = setting(
        None,
        "cut the columns into this many parts, whose gradients are averaged, so that the result is the same "
        "for any number of workers [default: with --cluster, one for 8 columns]",
        ge=1,
        le=4096,
    )
    bptt: int = setting(35, "time steps of backpropagation", ge=1, le=_MAX_SIZE)
    lengths: Literal["fixed", "bucketed"] = setting("fixed", "chunks of bptt steps, or of a few lengths")
    clip_norm: float | None = setting(1.0, "largest norm of the gradient of all weights", gt=0)
    clip_value: float | None = setting(None, "largest gradient of a single weight", gt=0)
    optimizer: Literal["sgd", "adam", "adamw"] = setting("adamw", "rule that updates the weights")
    learning_rate: float = setting(6e-3, "initial learning rate", gt=0)
    beta1: float = setting(0.0, "momentum of adam and adamw", ge=0, lt=1)
    schedule: Literal["constant", "plateau", "cosine", "linear"] = setting(
        "linear", "course of the learning rate; linear: constant, then down to zero"
    )
    decay_share: float = setting(
        0.6, "last share of the training, in which a linear schedule falls", gt=0, le=1
    )
    averaging: Literal["none", "ema", "nt-asgd"] = setting("ema", "mean of the weights that is the result")
    average_share: float = setting(0.3, "last share of the training, over which ema averages", ge=0, le=1)
    average_decay: float = setting(0.999, "decay of ema", ge=0, le=1)
    patience: int | None = setting(None, "stop after this many validations without a better result", ge=1)
    softmax: Literal["auto", "full", "sampled"] = setting(
        "auto", "train on the whole vocabulary, or first on a sample of it"
    )
    samples: int = setting(1000, "vocabulary entries in a sample", ge=1, le=_MAX_SIZE)
    sampled_share: float = setting(0.85, "first share of the training, with a sampled softmax", ge=0, le=1)

    epochs: int | None = setting(None, "passes over the text, instead of a time budget", ge=1)
    time_budget: float | None = setting(
        None,
        "time of training and all validations, without the trial before [default without epochs: 10m]",
        gt=0,
        unit="seconds",
    )
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto", "number format of matrix products; auto measures both"
    )
    validate_every: float = setting(0.1, "share of the training between validations", gt=0, le=1)
    seed: int = seed_setting()
    threads: int | None = threads_setting()
    device: str = setting("auto", "device of the training: auto, cpu, cuda or cuda:N")

    def __post_init__(self) -> None:
        super().__post_init__()
        has_one = self.epochs is None or self.time_budget is None
        check(has_one, self, "time_budget", "left out if epochs are set")
        if self.parts is not None:
            check(self.parts <= self.batch_size, self, "parts", f"at most {self.batch_size}, the columns")
            check(self.device in ("auto", "cpu"), self, "device", "cpu with parts or on a cluster")
