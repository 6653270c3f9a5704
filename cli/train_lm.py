"""nlpseq train-lm: a recurrent language model from a corpus."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import LM_PRESETS, LM_SHARES, LM_TEXT, LMConfig, TextConfig, lm_text
from nlpseq.core.resources import TORCH, check_memory, count_text
from nlpseq.errors import ConfigError, DataError

from ._app import Command
from ._inputs import dataset_folder, encode_for, open_sources, open_vectors
from ._options import (
    RARE_TEXT,
    build_config,
    build_text_config,
    config_options,
    explicit_settings,
    is_typed,
    loading_options,
    option_name,
    require_with,
    training_options,
)
from ._output import print_path, say, say_warning, shell_path
from ._training import TrainingSession, prepare, refuse_models

__all__ = ["STARTING", "train_lm"]

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors

STARTING = "trying out what is fastest here"
LENGTHS = ("epochs", "time_budget")  # settings that exclude each other
MIN_PASSES = 0.99  # over the text; columns leave out a few last tokens
MARGIN = 1.1  # of an advised time budget, because the speed varies
COPIES = 7  # of the weights: present, gradient, two moments, mean, best, saved
PART_COPIES = 4  # of the weights for each thread that trains a part: network, gradient, two results
RARELY_TURNED = [
    *("tied", "init", "forget_bias", "ar", "tar", "lengths", "clip_value", "beta1", "decay_share"),
    *("average_share", "average_decay", "samples", "sampled_share", "validate_every"),
]


@click.command(
    "train-lm",
    cls=Command,
    addresses=TORCH,
    examples=[
        "nlpseq train-lm corpus.txt --time-budget 3s",
        "nlpseq train-lm corpus.txt --tokenizer char --preset tiny --epochs 1 -o letters.lm",
    ],
)
@training_options("60s")
@click.option(
    "--preset",
    type=click.Choice(list(LM_PRESETS)),
    default="small",
    help="an LSTM of 128 units, of 512, of 1024, or the three of AWD-LSTM",
)
@click.option("--valid", metavar="CORPUS", help="text to validate on: a file, folder, address or name")
@click.option("--vectors", type=click.Path(path_type=Path), metavar="DIR", help="word vectors to start from")
@loading_options
@config_options(LMConfig, hide=RARELY_TURNED)
@config_options(TextConfig, hide=[*RARE_TEXT, "phrases"], defaults=LM_TEXT | LM_SHARES)
def train_lm(
    preset: str,
    valid: str | None,
    vectors: Path | None,
    lenient: bool,
    load_top: int | None,
    verify: bool,
    no_oov: bool,
    **arguments: Any,
) -> None:
    """Train a recurrent language model on CORPUS.

    The model is an LSTM, a GRU or a plain RNN. CORPUS may also be a folder made by `nlpseq preprocess
    --valid-share`, and with --resume the folder of an unfinished run. The model goes to a folder; its path is
    printed. The text is split into a part to train on, one to validate on and one to test on; words come from
    the first alone.
    """
    import nlpseq.lm  # noqa: F401  # says how to install what it needs, before any work

    slow_start = "reading the checkpoint" if arguments["resume"] else STARTING
    loading = {"lenient": lenient, "load_top": load_top, "verify": verify, "no_oov": no_oov}
    for name in loading:
        require_with(name, "--vectors", is_there=vectors is not None)
    session = TrainingSession("train-lm", ".lm", "tokens", slow_start, **arguments)
    model = _resume(session) if session.is_resumed else _start(session, preset, valid, vectors, loading)
    _say_result(session.path, model)
    print_path(session.path)


def _start(
    session: TrainingSession, preset: str, valid: str | None, vectors: Path | None, loading: dict[str, Any]
) -> LanguageModel:
    from nlpseq.lm.train import train_lm as train

    config, word_vectors = _config(preset, vectors, loading)
    text = _text_config(valid)
    if valid is not None:
        refuse_models(valid)
    if session.cluster:
        from nlpseq.lm.train import resolve

        config = resolve(config, has_tasks=True)
    path = session.lock_output(valid, vectors)
    if valid == "-":
        raise DataError("--valid -: stdin can be read only once. Save the text to a file and name the file.")
    if valid is not None and not dataset_folder((valid,)):
        open_sources((valid,))  # before the work on the corpus, because the name may be wrong
    data, valid_data = prepare(session.sources, text, config.threads), None
    if valid is not None:
        valid_data = encode_for((valid,), data.config, data.vocab)
        say(f"validation: {count_text(valid_data.num_tokens, 'token')} of {valid}")
    _check_room(path, config, data)
    if session.cluster:
        from nlpseq.distributed.plan import plan_language_model
        from nlpseq.lm.model import num_parameters

        rows = plan_language_model(config, num_parameters(config, len(data.vocab)))
        session.cluster.end_after_plan(rows)
    tasks = session.cluster.tasks(data.path, config.parts)
    function = partial(train, data, config, valid=valid_data, vectors=word_vectors, tasks=tasks)
    return session.train(function, data, valid)


def _resume(session: TrainingSession) -> LanguageModel:
    def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
        _check_room(run.path, run.configs["config"], data)
        step, tokens, seconds = (run.stored_counter(name) for name in ("step", "tokens", "seconds"))
        say(f"continuing at step {step:,}, after {seconds:.0f} s and {count_text(int(tokens), 'token')}")
        session.start(int(tokens))

    run = session.find_run("preset", "valid", "vectors")
    settings = explicit_settings(LMConfig, TextConfig)
    for name in LENGTHS:  # a length from the environment does not replace the other length of the run
        if name in settings and run.settings[name] is None and not is_typed(name):
            del settings[name]
    model: LanguageModel = session.resume(run, settings, on_start)
    return model


def _config(preset: str, vectors: Path | None, loading: dict[str, Any]) -> tuple[LMConfig, Vectors | None]:
    """Return the settings, and the vectors to start from, which set the dimension of the embedding."""
    settings, word_vectors = dict(LM_PRESETS[preset]), None
    if vectors is not None:
        word_vectors = open_vectors(vectors, **loading)
        if word_vectors.is_sparse:
            raise DataError(
                f"{vectors}: holds sparse vectors, as long as their vocabulary. Use dense vectors."
            )
        settings["dim"] = word_vectors.matrix.shape[1]
    return build_config(LMConfig, settings, exclusive=LENGTHS), word_vectors


def _text_config(valid: str | None) -> TextConfig:
    """Return the text settings of a language model: case, punctuation and splits are kept."""
    explicit = explicit_settings(TextConfig)
    for name in explicit:
        if name.startswith("phrase"):
            raise ConfigError(f"{option_name(name)}: is only for word vectors. Leave it out.")
    return build_text_config(lm_text(str(explicit.get("tokenizer", "word")), split=valid is None))


def _check_room(path: Path, config: LMConfig, data: TokenDataset) -> None:
    """Say how large training is; raise ResourceError if memory or disk do not suffice."""
    from nlpseq.lm.model import num_parameters
    from nlpseq.lm.train import resolve
    from nlpseq.storage import artifact

    plan = resolve(config)
    weights = num_parameters(config, len(data.vocab))
    length = count_text(plan.epochs, "epoch") if plan.epochs else f"{plan.time_budget:.0f} s with validations"
    shape = f"{config.layers} x {config.cell} of {count_text(config.hidden, 'unit')}, embedding {config.dim}"
    say(f"{shape}: {weights:,} weights; training: {length}; threads: {plan.threads}; seed: {config.seed}")
    say(str(plan), level=1)
    copies = COPIES + PART_COPIES * min(plan.parts or 0, plan.threads or 1)
    check_memory(copies * weights * 4, "--hidden, --dim or --max-vocab")
    artifact.check_free_disk(path, 2 * COPIES * weights * 4)  # two checkpoints, during a commit


def _say_result(path: Path, model: LanguageModel) -> None:
    """Say how training went, and what to type next."""
    from nlpseq.lm.evaluate import perplexity_of

    position, probed, name = model.meta["position"], model.meta["facts"], shell_path(path)
    say(probed["precision_reason"], level=1)
    if "vectors_cover_words" in probed:
        words, text = probed["vectors_cover_words"], probed["vectors_cover_text"]
        say(f"the vectors know {words:.1%} of the vocabulary, {text:.1%} of the text")
        if made := probed.get("vectors_from_subwords"):
            say(f"{made:.1%} of the vocabulary are unseen words, whose vectors are made from subwords")
    best = perplexity_of(min(position["valid_losses"]))
    _warn_of_short_training(model, best)
    work = f"{count_text(position['tokens'], 'token')} in {model.meta['precision']}"
    say(f"trained in {position['seconds']:.1f} s on {work}; validation perplexity {best:.2f}")
    say(f"next: nlpseq generate {name}")
    has_test = model.meta["text_config"]["test_share"] > 0
    say(f"      nlpseq eval-lm {name}" + ("" if has_test else " TEXT"))


def _warn_of_short_training(model: LanguageModel, perplexity: float) -> None:
    """Warn of a time budget below one pass over the text, and of a model worse than a uniform guess."""
    from nlpseq.lm.state import seconds_of_pass

    position, train_tokens = model.meta["position"], model.meta["train_tokens"]
    num_entries, share = len(model.vocab), position["tokens"] / train_tokens
    if model.config.time_budget and position["epoch"] == 0 and share < MIN_PASSES:
        seconds = math.ceil(MARGIN * seconds_of_pass(position, train_tokens))
        say_warning(
            f"the time budget ended after {share:.1%} of the text. Use --time-budget {seconds}s or more, or "
            "--epochs 1, to read all of it once."
        )
    if perplexity > num_entries:
        say_warning(
            f"the validation perplexity is above {num_entries:,}, the perplexity of a uniform guess. Train "
            "longer, or lower --learning-rate."
        )
