"""nlpseq train-lm: a recurrent language model from a corpus."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlpseq.config import LM_PRESETS, LM_SHARES, LM_TEXT, LMConfig, TextConfig
from nlpseq.core.resources import TORCH, check_memory
from nlpseq.errors import ConfigError, DataError

from ._app import Command
from ._inputs import corpus_name, dataset_folder, encode_as, encode_for, open_dataset, say_contents
from ._options import (
    RARE_TEXT,
    build_config,
    checkpoint_option,
    config_file_option,
    config_options,
    explicit_settings,
    force_option,
    output_option,
    resume_option,
)
from ._output import Progress, print_path, say, say_detail
from ._resume import (
    claim_place,
    is_run,
    place_of_result,
    place_of_run,
    reached,
    unfinished_run,
)
from ._resume_lm import KIND, data_of, whereabouts_lm
from ._shutdown import GracefulShutdown

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.lm.state import TrainProgress
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.vectors.vectors import Vectors

COPIES = 7  # of the weights: themselves, gradient, two of the optimizer, their mean, the best, the kept
RARELY_TURNED = [
    *(
        "tied",
        "init",
        "forget_bias",
        "ar",
        "tar",
        "lengths",
        "clip_value",
        "beta1",
        "decay_share",
        "average_share",
    ),
    *("average_decay", "samples", "sampled_share", "validate_every"),
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
@click.argument("sources", metavar="CORPUS...", nargs=-1, required=True)
@output_option
@force_option
@resume_option
@click.option(
    "--preset",
    type=click.Choice(list(LM_PRESETS)),
    default="small",
    show_default=True,
    help="an LSTM of 128 units, of 512, of 1024, or the three of AWD-LSTM",
)
@click.option("--valid", type=click.Path(path_type=Path), metavar="FILE", help="text to validate on")
@click.option("--vectors", type=click.Path(path_type=Path), metavar="DIR", help="word vectors to start from")
@checkpoint_option("60s")
@config_file_option
@config_options(LMConfig, hide=RARELY_TURNED)
@config_options(TextConfig, hide=[*RARE_TEXT, "phrases"], defaults=LM_TEXT | LM_SHARES)
def train_lm(
    sources: tuple[str, ...],
    output: Path | None,
    force: bool,
    resume: bool,
    preset: str,
    valid: Path | None,
    vectors: Path | None,
    checkpoint_every: float,
) -> None:
    """Train a recurrent language model on CORPUS: an LSTM, a GRU or a plain RNN.

    CORPUS may also be a folder made by `nlpseq preprocess --valid-share`, and with --resume the folder of an
    unfinished run. The model goes to a folder; its path is printed. The text is split into a part to train
    on, one to validate on and one to test on; words come from the first alone.
    """
    import nlpseq.lm  # noqa: F401  # says how to install what it needs, before any work

    if resume:
        path, model = _resume(sources, output, checkpoint_every)
    else:
        config, word_vectors = _config(preset, vectors)
        text = text_config(valid)  # a wrong setting is said before any work
        path = _output(sources, [valid, vectors], output, force=force)
        data, valid_data = _texts(sources, valid, text)
        from nlpseq.training.checkpoint import CheckpointConfig

        place = place_of_run(path)  # a run that is there may be replaced: see _output
        source = whereabouts_lm(sources, data, valid, beside=place != path)
        folder = CheckpointConfig(path=place, result=path, every=checkpoint_every, force=force, facts=source)
        model = _train(folder, data, config, valid_data, word_vectors)
    _say_result(path, model)
    print_path(path)


def _config(preset: str, vectors: Path | None) -> tuple[LMConfig, Vectors | None]:
    """The settings, and the vectors to start from, whose length the embedding takes."""
    settings = dict(LM_PRESETS[preset])
    word_vectors = None
    if vectors is not None:
        from nlpseq.vectors.vectors import Vectors

        word_vectors = Vectors.load(vectors)
        if word_vectors.is_sparse:
            raise DataError(
                f"{vectors} holds explicit vectors, as long as their vocabulary. Give dense ones."
            )
        settings["dim"] = word_vectors.matrix.shape[1]
    return build_config(LMConfig, settings, exclusive=KIND.lengths), word_vectors


def _output(sources: tuple[str, ...], inputs: list[Path | None], output: Path | None, *, force: bool) -> Path:
    """Where the model goes; never into what it is made from, nor unasked over a run that could go on."""
    from nlpseq.storage import artifact

    path = output or Path(corpus_name(sources) + ".lm")
    made_from = [Path(each).resolve() for each in (*sources, *inputs) if each]
    if any(is_run(each, KIND) for each in made_from):
        raise ConfigError(
            "a trained language model is no text to train on. "
            "Name the text; an unfinished run goes on with --resume."
        )
    if path.resolve() in made_from:
        raise ConfigError(f"{path} is what the model is made from. Choose another place with -o.")
    claim_place(path, force=force)
    artifact.check_writable(path, force=force)
    return path


def text_config(valid: Path | None) -> TextConfig:
    """How a language model reads text: as for TextConfig, but with case, punctuation and a split."""
    defaults = LM_TEXT | (LM_SHARES if valid is None else {})
    if explicit_settings(TextConfig).get("tokenizer", "word") != "word":
        defaults["punctuation"] = False  # the other tokenizers keep it anyway
    config = build_config(TextConfig, defaults)
    if config.phrases:
        raise ConfigError("--phrases is for word vectors. Leave it out.")
    return config


def _texts(
    sources: tuple[str, ...], valid: Path | None, config: TextConfig
) -> tuple[TokenDataset, TokenDataset | None]:
    """What the model is trained on, and the text to validate on if one was named."""
    if valid is not None and not valid.exists():
        raise DataError(f"{valid} does not exist. Name a text to validate on.")
    folder = dataset_folder(sources)
    data = open_dataset(folder) if folder else encode_as(sources, config)
    say_contents(data)
    if valid is None:
        return data, None
    valid_data = encode_for((str(valid),), data.config, data.vocab)
    say(f"validation: {valid_data.num_tokens:,} tokens of {valid}")
    return data, valid_data


def _train(
    folder: CheckpointConfig,
    data: TokenDataset,
    config: LMConfig,
    valid: TokenDataset | None,
    vectors: Vectors | None,
) -> LanguageModel:
    from nlpseq.lm.run import train_lm as train

    _check_room(folder.path, config, data)
    with GracefulShutdown() as stop, _progress(folder.path, 0, "trying out what is fastest here") as report:
        folder = replace(folder, should_stop=lambda: stop.requested)
        model = train(data, config, valid=valid, vectors=vectors, folder=folder, report=report)
    _end(folder, model, stop)
    return model


def _check_room(path: Path, config: LMConfig, data: TokenDataset) -> None:
    """Say what training will take; ResourceError where memory or disk do not have it."""
    from nlpseq.lm.model import num_parameters
    from nlpseq.lm.run import resolve
    from nlpseq.storage import artifact

    plan = resolve(config)
    weights = num_parameters(config, len(data.vocab))
    length = f"{plan.epochs} epochs" if plan.epochs else f"{plan.time_budget:.0f} s"
    shape = f"{config.layers} x {config.cell} of {config.hidden} units, embedding {config.dim}"
    say(f"{shape}: {weights:,} weights; training: {length}; threads: {plan.threads}; seed: {config.seed}")
    say_detail(str(plan))
    check_memory(COPIES * weights * 4, "--hidden, --dim or --max-vocab")
    artifact.check_free_disk(path, 2 * COPIES * weights * 4)  # the next checkpoint stands beside the last


def _resume(sources: tuple[str, ...], output: Path | None, every: float) -> tuple[Path, LanguageModel]:
    from nlpseq.lm.run import resume_lm
    from nlpseq.training.checkpoint import CheckpointConfig

    run = unfinished_run(sources, output, KIND)
    data, valid, source = data_of(run)
    _check_room(run.path, run.configs["config"], data)
    tokens = int(reached(run, "tokens"))
    step, seconds = reached(run, "step"), reached(run, "seconds")
    say(f"going on at step {step:,}, after {seconds:.0f} s and {tokens:,} tokens")
    path = place_of_result(run.path, run.meta)
    with GracefulShutdown() as stop, _progress(run.path, tokens, "reading the checkpoint") as report:
        folder = CheckpointConfig(
            path=run.path, result=path, every=every, should_stop=lambda: stop.requested, facts=source
        )
        model = resume_lm(folder, data, valid=valid, changes=run.changes, report=report)
    _end(folder, model, stop)
    return path, model


def _end(folder: CheckpointConfig, model: LanguageModel, stop: GracefulShutdown) -> None:
    """Leave where the run was stopped; else remove what it was stored in, if its result is elsewhere."""
    from nlpseq.storage import artifact

    if not model.meta["complete"]:
        say(f"stopped and saved. Go on with: {_resume_line(folder.path)}")
        stop.exit()
    if folder.result != folder.path:
        artifact.discard(folder.path)


def _resume_line(path: Path) -> str:
    return f"nlpseq train-lm {shlex.quote(str(path))} --resume"


class _progress(Progress):
    """Shows share, loss, learning rate and validation perplexity of a run; tokens: what it read before."""

    def __init__(self, path: Path, tokens: int, slow_start: str) -> None:
        note = f"its last checkpoint, if there is one yet, goes on with: {_resume_line(path)}"
        super().__init__("training", "tokens", slow_start, begun=tokens, stopped_note=note)

    def __enter__(self) -> Callable[[TrainProgress], None]:  # type: ignore[override]
        super().__enter__()
        return self.report

    def report(self, progress: TrainProgress) -> None:
        """Tokens of the whole are not known under a time budget, so they are estimated."""
        figures = f"loss {progress.loss:.3f}, learning rate {progress.learning_rate:.5f}"
        if progress.valid_perplexity is not None:
            figures += f", validation perplexity {progress.valid_perplexity:.2f}"
        total = round(progress.tokens / progress.done) if progress.done else None
        self.update(progress.tokens, total, figures)


def _say_result(path: Path, model: LanguageModel) -> None:
    """How it went, and what to type next."""
    from nlpseq.lm.evaluate import perplexity_of

    position, facts, name = model.meta["position"], model.meta["facts"], shlex.quote(str(path))
    say_detail(facts["precision_reason"])
    if "vectors_cover_words" in facts:
        words, text = facts["vectors_cover_words"], facts["vectors_cover_text"]
        say(f"the vectors know {words:.1%} of the vocabulary, {text:.1%} of the text")
    best = perplexity_of(min(position["valid_losses"]))
    work = f"{position['tokens']:,} tokens in {model.meta['precision']}"
    say(f"trained in {position['seconds']:.1f} s on {work}; validation perplexity {best:.2f}")
    say(f"next: nlpseq generate {name}")
    has_test = model.meta["text_config"]["test_share"] > 0
    say(f"      nlpseq eval-lm {name}" + ("" if has_test else " TEXT"))
