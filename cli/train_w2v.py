"""nlpseq train-w2v: word vectors from a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import WORD2VEC_PRESETS, TextConfig, Word2VecConfig
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, size_text
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import corpus_argument, corpus_name, dataset_folder, prepare, say_contents, say_neighbors
from ._options import (
    RARE_TEXT,
    checkpoint_option,
    config_file_option,
    config_options,
    force_option,
    output_option,
    refuse_alone,
    refuse_settings_of_phrases,
    resolved,
    resume_option,
)
from ._output import Progress, print_path, say, say_detail
from ._resume import RunKind, claim_place, place_of_run, reached, store, train_in, unfinished_run
from ._whereabouts import find_data, whereabouts, whereabouts_now

KIND = RunKind(
    suffix=".w2v",
    format="vectors",
    version=1,
    configs={"config": Word2VecConfig, "text_config": TextConfig},
    fresh_only=("preset", "force"),
    of_the_machine=("threads", "backend", "kernel"),
    model="word2vec",
)
SAMPLED = "--loss negative-sampling"
HELD_OUT = {"valid_share": 0.05}  # where --early-stop wants a split and nothing else is said

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.vectors.vectors import Vectors
    from nlpseq.word2vec.state import Report, TrainProgress


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
        path, vectors = _begin(sources, output, WORD2VEC_PRESETS[preset], checkpoint_every, force=force)
    path = store(path, vectors, force=force)
    vectors.contexts = None  # stored, and not asked by the neighbours below, which take as much memory
    _say_result(path, vectors)
    print_path(path)


def _begin(
    sources: tuple[str, ...], output: Path | None, preset: dict[str, Any], every: float, *, force: bool
) -> tuple[Path, Vectors]:
    config = resolved(Word2VecConfig, preset)
    text = resolved(TextConfig, HELD_OUT if config.early_stop else {})  # a wrong one is said before any work
    _refuse_useless(config, text)
    if config.early_stop and not text.valid_share and dataset_folder(sources) is None:
        raise ConfigError("--early-stop needs held-out text, so it does not go with --valid-share 0.")
    from nlpseq.core import resources
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.word2vec.kernels.select import select, to_compile
    from nlpseq.word2vec.train import train_word2vec

    choice = select(config)
    claim_place(output or Path(corpus_name(sources) + KIND.suffix), force=force)
    kernels = to_compile(config, choice)
    if choice.is_compiled:  # array code is faster where free memory is kept
        resources.mmap_large_blocks()
    path, data = prepare(sources, ".w2v", output, config.threads, force=force, text=text, kernels=kernels)
    resources.trim_heap()
    _check_room(path, data, config)
    say(f"backend {choice.backend}, kernel {choice.kernel}")

    def train(folder: CheckpointConfig, progress: Progress) -> Vectors:
        return train_word2vec(data, config, progress=_report_to(progress), folder=folder)

    place = place_of_run(path)
    facts = whereabouts(sources, data, beside=place != path)
    folder = CheckpointConfig(path=place, every=every, force=force, facts=facts)
    return place, train_in(folder, "train-w2v", "words", train)


def _refuse_useless(config: Word2VecConfig, text: TextConfig) -> None:
    """ConfigError for settings that a person typed and that would change nothing."""
    is_cbow, is_sampled = config.objective == "cbow", config.loss == "negative-sampling"
    for name, needed, is_there in (
        ("cbow_update", "--objective cbow", is_cbow),
        ("share_negatives", "--objective skipgram", not is_cbow),
        *((name, SAMPLED, is_sampled) for name in ("share_negatives", "negatives", "smoothing")),
    ):
        refuse_alone(name, needed, is_there=is_there)
    refuse_settings_of_phrases(text)


def _resume(sources: tuple[str, ...], output: Path | None, every: float) -> tuple[Path, Vectors]:
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.word2vec.train import resume_word2vec

    run = unfinished_run(sources, output, KIND)
    config = run.configs["config"]
    data = find_data(run.path, run.meta, run.sources, config.threads)
    say_contents(data)
    _check_room(run.path, data, config)
    say(f"going on in epoch {reached(run, 'epoch') + 1}, after {reached(run, 'seconds'):.0f} s")

    def train(folder: CheckpointConfig, progress: Progress) -> Vectors:
        return resume_word2vec(folder, data, changes=run.changes, progress=_report_to(progress))

    folder = CheckpointConfig(path=run.path, every=every, facts=whereabouts_now(run, data))
    return run.path, train_in(folder, "train-w2v", "words", train)


def _check_room(path: Path, data: TokenDataset, config: Word2VecConfig) -> None:
    """Say what training will take; ResourceError where memory or disk do not have it."""
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
    artifact.check_free_disk(path, 2 * stored * (1 + plan.early_stop))  # a checkpoint stands beside the last


def _report_to(progress: Progress) -> Report:
    def report(done: TrainProgress) -> None:
        figures = f"loss {done.loss:.4f}, learning rate {done.learning_rate:.5f}"
        if done.valid_loss is not None:
            figures += f", held-out loss {done.valid_loss:.4f}"
        progress.update(done.words, done.total, figures)

    return report


def _say_result(path: Path, vectors: Vectors) -> None:
    """How training went, and what to type next."""
    meta = vectors.meta
    say(
        f"trained in {meta['seconds']:.1f} s, {meta['words_per_second']:,.0f} words/s; "
        f"loss {meta['loss'][0]:.4f} in the first epoch, {meta['loss'][-1]:.4f} in the last"
    )
    if (best := meta["best_epoch"]) is not None:
        kept = (
            f"; its vectors were kept, after {meta['epochs']} epochs" if meta["config"]["early_stop"] else ""
        )
        say(f"held-out loss {meta['valid_loss'][best]:.4f} in epoch {best + 1}, the lowest{kept}")
    say_neighbors(path, vectors)
