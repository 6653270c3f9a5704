"""nlpseq train-lm: a recurrent language model from a corpus."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlpseq.config import LM_PRESETS, LM_SHARES, LM_TEXT, LMConfig, TextConfig
from nlpseq.core.resources import TORCH, check_memory
from nlpseq.errors import ConfigError, DataError

from ._app import Command
from ._inputs import (
    corpus_name,
    dataset_folder,
    encode_as,
    encode_for,
    lock_output,
    open_dataset,
    run_folder,
    say_contents,
)
from ._options import (
    RARE_TEXT,
    build_config,
    checkpoint_option,
    config_file_option,
    config_options,
    explicit_settings,
    force_option,
    is_typed,
    output_option,
    resume_option,
)
from ._output import TrainingSession, print_path, say, say_detail

__all__ = ["train_lm"]

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors

SUFFIX, COMMAND = ".lm", "train-lm"
LENGTHS = ("epochs", "time_budget")  # settings that exclude each other
COPIES = 7  # of the weights: present, gradient, two moments, mean, best, saved
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
        _say_result(path, model)
        print_path(path)
        return
    config, word_vectors = _config(preset, vectors)
    text = text_config(valid)  # wrong settings fail before any work
    path = _output(sources, [valid, vectors], output, force=force)
    data, valid_data = _texts(sources, valid, text)
    from nlpseq.lm.train import train_lm as train
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.training.provenance import describe_source

    _check_room(path, config, data)
    with TrainingSession(COMMAND, "tokens", "trying out what is fastest here") as session:
        session.start(path)
        checkpoint = CheckpointConfig(
            path=path,
            every=checkpoint_every,
            should_stop=session.should_stop,
            force=force,
            provenance=describe_source(data, sources, valid),
        )
        model = train(
            data,
            config,
            valid=valid_data,
            vectors=word_vectors,
            checkpoint=checkpoint,
            progress=session.progress,
        )
        session.end(model.meta)
    _say_result(path, model)
    print_path(path)


def _config(preset: str, vectors: Path | None) -> tuple[LMConfig, Vectors | None]:
    """Return the settings, and the vectors to start from, which set the dimension of the embedding."""
    settings = dict(LM_PRESETS[preset])
    word_vectors = None
    if vectors is not None:
        from nlpseq.vectors.vectors import Vectors

        word_vectors = Vectors.load(vectors)
        if word_vectors.is_sparse:
            raise DataError(
                f"{vectors}: holds sparse vectors, as long as their vocabulary. Use dense vectors."
            )
        settings["dim"] = word_vectors.matrix.shape[1]
    return build_config(LMConfig, settings, exclusive=LENGTHS), word_vectors


def _output(sources: tuple[str, ...], inputs: list[Path | None], output: Path | None, *, force: bool) -> Path:
    """Return the path of the model; raise ConfigError if it may not be written."""
    from nlpseq.training.checkpoint import check_output
    from nlpseq.training.resume import is_run

    path = output or Path(corpus_name(sources) + SUFFIX)
    made_from = [*map(Path, sources), *(each for each in inputs if each)]
    for each in made_from:
        if is_run(each, "lm"):
            raise ConfigError(f"{each}: a language model is not a corpus. Name a text, or use --resume.")
    if path.resolve() in [each.resolve() for each in made_from]:
        raise ConfigError(f"{path}: is an input of the model. Use -o to choose another path.")
    lock_output(path)
    check_output(path, force=force)
    return path


def text_config(valid: Path | None) -> TextConfig:
    """Return the text settings of a language model: case, punctuation and splits are kept."""
    defaults = LM_TEXT | (LM_SHARES if valid is None else {})
    if explicit_settings(TextConfig).get("tokenizer", "word") != "word":
        defaults["punctuation"] = False  # because the other tokenizers keep punctuation anyway
    config = build_config(TextConfig, defaults)
    if config.phrases:
        raise ConfigError("--phrases: is only for word vectors. Leave it out.")
    return config


def _texts(
    sources: tuple[str, ...], valid: Path | None, config: TextConfig
) -> tuple[TokenDataset, TokenDataset | None]:
    """Return the encoded corpus, and the encoded validation text if a person named one."""
    if valid is not None and not valid.exists():
        raise DataError(f"{valid}: not found. Name a text to validate on.")
    folder = dataset_folder(sources)
    data = open_dataset(folder) if folder else encode_as(sources, config)
    say_contents(data)
    if valid is None:
        return data, None
    valid_data = encode_for((str(valid),), data.config, data.vocab)
    say(f"validation: {valid_data.num_tokens:,} tokens of {valid}")
    return data, valid_data


def _check_room(path: Path, config: LMConfig, data: TokenDataset) -> None:
    """Say how large training is; raise ResourceError if memory or disk do not suffice."""
    from nlpseq.lm.model import num_parameters
    from nlpseq.lm.train import resolve
    from nlpseq.storage import artifact

    plan = resolve(config)
    weights = num_parameters(config, len(data.vocab))
    length = f"{plan.epochs} epochs" if plan.epochs else f"{plan.time_budget:.0f} s"
    shape = f"{config.layers} x {config.cell} of {config.hidden} units, embedding {config.dim}"
    say(f"{shape}: {weights:,} weights; training: {length}; threads: {plan.threads}; seed: {config.seed}")
    say_detail(str(plan))
    check_memory(COPIES * weights * 4, "--hidden, --dim or --max-vocab")
    artifact.check_free_disk(path, 2 * COPIES * weights * 4)  # two checkpoints, during a commit


def _resume(sources: tuple[str, ...], output: Path | None, every: float) -> tuple[Path, LanguageModel]:
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.training.resume import Loaders, find_run, resume

    path, corpus = run_folder(sources, output, SUFFIX, ("preset", "valid", "vectors", "force"))
    settings, stored = (
        explicit_settings(LMConfig) | explicit_settings(TextConfig),
        find_run(path, COMMAND).settings,
    )
    for name in LENGTHS:  # a length from the environment does not replace the other length of the run
        if name in settings and stored[name] is None and not is_typed(name):
            del settings[name]
    with TrainingSession(COMMAND, "tokens", "reading the checkpoint") as session:

        def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
            _check_room(run.path, run.configs["config"], data)
            step, tokens, seconds = (run.stored_counter(name) for name in ("step", "tokens", "seconds"))
            say(f"continuing at step {step:,}, after {seconds:.0f} s and {tokens:,} tokens")
            session.start(run.path, int(tokens))

        model = resume(
            path,
            corpus,
            command=COMMAND,
            settings=settings,
            checkpoint_every=every,
            should_stop=session.should_stop,
            progress=session.progress,
            loaders=Loaders(encode_as),
            on_start=on_start,
        )
        session.end(model.meta)
    assert isinstance(model, LanguageModel)
    return session.path, model


def _say_result(path: Path, model: LanguageModel) -> None:
    """Say how training went, and what to type next."""
    from nlpseq.lm.evaluate import perplexity_of

    position, probed, name = model.meta["position"], model.meta["facts"], shlex.quote(str(path))
    say_detail(probed["precision_reason"])
    if "vectors_cover_words" in probed:
        words, text = probed["vectors_cover_words"], probed["vectors_cover_text"]
        say(f"the vectors know {words:.1%} of the vocabulary, {text:.1%} of the text")
    best = perplexity_of(min(position["valid_losses"]))
    work = f"{position['tokens']:,} tokens in {model.meta['precision']}"
    say(f"trained in {position['seconds']:.1f} s on {work}; validation perplexity {best:.2f}")
    say(f"next: nlpseq generate {name}")
    has_test = model.meta["text_config"]["test_share"] > 0
    say(f"      nlpseq eval-lm {name}" + ("" if has_test else " TEXT"))
