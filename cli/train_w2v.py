"""nlpseq train-w2v: word vectors from a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import WORD2VEC_PRESETS, TextConfig, Word2VecConfig
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, size_text
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import (
    COMPILING,
    corpus_argument,
    corpus_name,
    dataset_folder,
    encode_as,
    lock_output,
    prepare,
    run_folder,
    say_contents,
    say_neighbors,
)
from ._options import (
    RARE_TEXT,
    build_config,
    checkpoint_option,
    config_file_option,
    config_options,
    explicit_settings,
    force_option,
    output_option,
    refuse_settings_of_phrases,
    require_with,
    resume_option,
)
from ._output import TrainingSession, print_path, say, say_detail

__all__ = ["train_w2v"]

SUFFIX, COMMAND = ".w2v", "train-w2v"
SAMPLED = "--loss negative-sampling"
VALID_SHARE = {"valid_share": 0.05}  # default with --early-stop

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors


@click.command(
    "train-w2v",
    cls=Command,
    examples=[
        "nlpseq train-w2v corpus.txt",
        "nlpseq train-w2v corpus.tokens --objective cbow --dim 50 --epochs 3 -o cbow.w2v",
        "cat corpus.txt | nlpseq train-w2v - --min-count 2",
    ],
)
@corpus_argument
@output_option
@force_option
@resume_option
@click.option(
    "--preset",
    type=click.Choice(list(WORD2VEC_PRESETS)),
    default="standard",
    show_default=True,
    help="quality: 300 dimensions and 15 epochs, for better vectors of a text of some 10 M words",
)
@checkpoint_option("5m")
@config_file_option
@config_options(Word2VecConfig, hide=["smoothing"])
@config_options(TextConfig, hide=RARE_TEXT)
def train_w2v(
    sources: tuple[str, ...],
    output: Path | None,
    force: bool,
    resume: bool,
    preset: str,
    checkpoint_every: float,
) -> None:
    """Train word vectors on CORPUS, by word2vec.

    CORPUS may also be a folder made by `nlpseq preprocess`, and with --resume the folder of an unfinished
    run. The vectors go to a folder; its path is printed.
    """
    if resume:
        path, vectors = _resume(sources, output, checkpoint_every)
    else:
        path, vectors = _start(sources, output, WORD2VEC_PRESETS[preset], checkpoint_every, force=force)
    vectors.contexts = None  # stored; neighbors need half of the memory without them
    _say_result(path, vectors)
    print_path(path)


def _start(
    sources: tuple[str, ...], output: Path | None, preset: dict[str, Any], every: float, *, force: bool
) -> tuple[Path, Vectors]:
    config = build_config(Word2VecConfig, preset)
    text = build_config(TextConfig, VALID_SHARE if config.early_stop else {})  # fail before any work
    _refuse_useless(config, text)
    if config.early_stop and not text.valid_share and dataset_folder(sources) is None:
        raise ConfigError("--early-stop: needs a valid split. Leave out --valid-share 0.")
    from nlpseq.core import resources
    from nlpseq.training.checkpoint import CheckpointConfig, check_output
    from nlpseq.training.provenance import describe_source
    from nlpseq.word2vec.kernels.select import select, to_compile
    from nlpseq.word2vec.train import train_word2vec

    choice = select(config)
    place = output or Path(corpus_name(sources) + SUFFIX)
    lock_output(place)
    check_output(place, force=force)
    kernels = to_compile(config, choice)
    if choice.is_compiled:  # array code is faster if it keeps free memory
        resources.mmap_large_blocks()
    path, data = prepare(sources, SUFFIX, output, config.threads, force=force, text=text, kernels=kernels)
    resources.trim_heap()
    _check_room(path, data, config)
    say(f"backend {choice.backend}, kernel {choice.kernel}")
    with TrainingSession(COMMAND, "words", COMPILING) as session:
        session.start(path)
        source = describe_source(data, sources)
        checkpoint = CheckpointConfig(
            path=path, every=every, should_stop=session.should_stop, force=force, provenance=source
        )
        vectors = train_word2vec(data, config, progress=session.progress, checkpoint=checkpoint)
        session.end(vectors.meta)
    return path, vectors


def _resume(sources: tuple[str, ...], output: Path | None, every: float) -> tuple[Path, Vectors]:
    from nlpseq.training.resume import Loaders, resume
    from nlpseq.vectors.vectors import Vectors

    path, corpus = run_folder(sources, output, SUFFIX, ("preset", "force"))
    with TrainingSession(COMMAND, "words", COMPILING) as session:

        def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
            say_contents(data)
            _check_room(run.path, data, run.configs["config"])
            epoch, seconds = run.stored_counter("epoch"), run.stored_counter("seconds")
            say(f"continuing in epoch {epoch + 1}, after {seconds:.0f} s")
            session.start(run.path)

        vectors = resume(
            path,
            corpus,
            command=COMMAND,
            settings=explicit_settings(Word2VecConfig) | explicit_settings(TextConfig),
            checkpoint_every=every,
            should_stop=session.should_stop,
            progress=session.progress,
            loaders=Loaders(encode_as),
            on_start=on_start,
        )
        session.end(vectors.meta)
    assert isinstance(vectors, Vectors)
    return session.path, vectors


def _refuse_useless(config: Word2VecConfig, text: TextConfig) -> None:
    """Raise ConfigError for explicit settings without effect."""
    is_cbow, is_sampled = config.objective == "cbow", config.loss == "negative-sampling"
    for name, needed, is_there in (
        ("cbow_update", "--objective cbow", is_cbow),
        ("share_negatives", "--objective skipgram", not is_cbow),
        *((name, SAMPLED, is_sampled) for name in ("share_negatives", "negatives", "smoothing")),
    ):
        require_with(name, needed, is_there=is_there)
    refuse_settings_of_phrases(text)


def _check_room(path: Path, data: TokenDataset, config: Word2VecConfig) -> None:
    """Say how large training is; raise ResourceError if memory or disk do not suffice."""
    from nlpseq.storage import artifact
    from nlpseq.word2vec.kernels.select import padded
    from nlpseq.word2vec.train import resolve

    num_words, num_tokens = data.vocab.num_words, data.split("train").num_tokens
    plan = resolve(config, num_words, num_tokens)
    assert plan.threads
    stored = 2 * num_words * plan.dim * 4  # two matrices of float32
    copies = plan.threads if plan.deterministic and plan.threads > 1 else 0
    needed = stored + 2 * num_words * padded(plan.dim) * 4 * (1 + plan.early_stop + copies)  # rows are padded
    say(
        f"{num_words:,} words x {plan.dim}, 2 matrices: {size_text(stored)}; "
        f"epochs: {plan.epochs} of {num_tokens:,} words; threads: {plan.threads}; seed: {plan.seed}"
    )
    say_detail(str(plan))
    check_memory(needed, VECTORS_REMEDY)
    artifact.check_free_disk(path, 2 * stored * (1 + plan.early_stop))  # two checkpoints, during a commit


def _say_result(path: Path, vectors: Vectors) -> None:
    """Say how training went, and what to type next."""
    meta = vectors.meta
    say(
        f"trained in {meta['seconds']:.1f} s, {meta['words_per_second']:,.0f} words/s; "
        f"loss {meta['loss'][0]:.4f} in the first epoch, {meta['loss'][-1]:.4f} in the last"
    )
    if (best := meta["best_epoch"]) is not None:
        kept = (
            f"; its vectors were kept, after {meta['epochs']} epochs" if meta["config"]["early_stop"] else ""
        )
        say(f"validation loss {meta['valid_loss'][best]:.4f} in epoch {best + 1}, the lowest{kept}")
    say_neighbors(path, vectors)
