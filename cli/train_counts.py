"""nlpseq train-counts: word vectors from how often words occur together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import COUNTING, CooccurrenceConfig, GloveConfig, PPMIConfig, SVDConfig, TextConfig
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, size_text
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import (
    COMPILING,
    corpus_argument,
    corpus_name,
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
    is_typed,
    option_name,
    output_option,
    refuse_settings_of_phrases,
    resume_option,
)
from ._output import Progress, TrainingSession, print_path, say

__all__ = ["train_counts"]

if TYPE_CHECKING:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors

COMMAND = "train-counts"
METHODS: dict[str, tuple[type, ...]] = {  # with their settings, beside the settings of counting
    "ppmi": (PPMIConfig,),
    "ppmi-svd": (PPMIConfig, SVDConfig),
    "glove": (GloveConfig,),
}
SUFFIXES = {"ppmi": ".ppmi", "ppmi-svd": ".svd", "glove": ".glove"}


@click.command(
    "train-counts",
    cls=Command,
    examples=[
        "nlpseq train-counts corpus.txt --dim 5 --subsample 0",
        "nlpseq train-counts corpus.tokens --method ppmi --subsample 0 --window 2",
        "nlpseq train-counts corpus.txt --method glove --dim 20 --epochs 5",
    ],
)
@corpus_argument
@output_option
@force_option
@resume_option
@checkpoint_option("5m")
@config_file_option
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="ppmi-svd",
    show_default=True,
    help="mutual information as it is, made short and dense, or GloVe",
)
@config_options(CooccurrenceConfig, defaults=COUNTING["ppmi-svd"])
@config_options(PPMIConfig)
@config_options(SVDConfig, skip=["seed"], hide=["oversampling", "power_iterations"])
@config_options(GloveConfig, skip=["seed", "threads", "dim"])
@config_options(TextConfig, hide=RARE_TEXT)
def train_counts(
    sources: tuple[str, ...],
    output: Path | None,
    force: bool,
    resume: bool,
    checkpoint_every: float,
    method: str,
) -> None:
    """Train word vectors on CORPUS by counting which words occur near each other.

    CORPUS may also be a folder made by `nlpseq preprocess`; counts of the same settings that are in it are
    used. The vectors go to a folder named after the method (.ppmi, .svd, .glove), and its path is printed.
    If nothing else is said, GloVe has 100 dimensions and counts harmonically in a window of 10, without
    subsampling. GloVe is saved as it goes, and a run that was stopped goes on with --resume.
    """
    if resume:
        path, vectors = _resume(sources, output, checkpoint_every, method)
    else:
        path, vectors = _start(sources, output, checkpoint_every, method, force=force)
    seconds = vectors.meta
    say(f"counted in {seconds['count_seconds']:.1f} s, trained in {seconds['train_seconds']:.1f} s")
    say_neighbors(path, vectors)
    print_path(path)


def _start(
    sources: tuple[str, ...], output: Path | None, every: float, method: str, *, force: bool
) -> tuple[Path, Vectors]:
    from nlpseq.training.checkpoint import check_output
    from nlpseq.training.provenance import describe_source

    _refuse_useless(method)
    counting = build_config(CooccurrenceConfig, COUNTING[method])
    configs: dict[type, Any] = {config_type: build_config(config_type) for config_type in METHODS[method]}
    text = build_config(TextConfig)  # wrong settings fail before any work
    refuse_settings_of_phrases(text)
    threads = getattr(configs[METHODS[method][-1]], "threads", explicit_settings(SVDConfig).get("threads"))
    place = output or Path(corpus_name(sources) + SUFFIXES[method])
    lock_output(place)
    check_output(place, force=force)
    path, data = prepare(sources, SUFFIXES[method], output, threads, force=force, text=text)
    if method == "glove":
        _check_room(path, data.vocab.num_words, configs[GloveConfig])
    counts = _count(data, counting, threads)
    source = describe_source(data, sources)
    if method != "glove":
        vectors = _factorize(counts, configs, source)
        vectors.save(path, force=force)
        return path, vectors

    from nlpseq.counts.glove import train_glove
    from nlpseq.training.checkpoint import CheckpointConfig

    config = configs[GloveConfig]
    _check_memory(counts, config)
    with TrainingSession(COMMAND, "pairs", COMPILING) as session:
        session.start(path)
        checkpoint = CheckpointConfig(
            path=path, every=every, should_stop=session.should_stop, force=force, provenance=source
        )
        vectors = train_glove(counts, config, progress=session.progress, checkpoint=checkpoint)
        session.end(vectors.meta)
    return path, vectors


def _resume(sources: tuple[str, ...], output: Path | None, every: float, method: str) -> tuple[Path, Vectors]:
    from nlpseq.training.resume import Loaders, resume
    from nlpseq.vectors.vectors import Vectors

    if is_typed("method") and method != "glove":
        raise ConfigError(f"--resume: is only for --method glove, not {method}. Leave it out.")
    _refuse_useless("glove")
    path, corpus = run_folder(sources, output, SUFFIXES["glove"], ("force",))
    with TrainingSession(COMMAND, "pairs", COMPILING) as session:
        start: Callable[[Cooccurrence], None]

        def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
            nonlocal start
            say_contents(data)
            config = run.configs["glove_config"]
            _check_room(run.path, data.vocab.num_words, config)

            def start(counts: Cooccurrence) -> None:
                _check_memory(counts, config)
                say(f"continuing in epoch {run.stored_counter('epoch') + 1}")
                session.start(run.path)

        def count(data: TokenDataset, config: CooccurrenceConfig, threads: int | None) -> Cooccurrence:
            counts = _count(data, config, threads)
            start(counts)
            return counts

        settings = [explicit_settings(each) for each in (GloveConfig, CooccurrenceConfig, TextConfig)]
        vectors = resume(
            path,
            corpus,
            command=COMMAND,
            settings=settings[0] | settings[1] | settings[2],
            checkpoint_every=every,
            should_stop=session.should_stop,
            progress=session.progress,
            loaders=Loaders(encode_as, count),
            on_start=on_start,
        )
        session.end(vectors.meta)
    assert isinstance(vectors, Vectors)
    return session.path, vectors


def _check_room(path: Path, num_words: int, config: GloveConfig) -> None:
    """Say before counting how large GloVe is; raise ResourceError if memory or disk do not suffice."""
    from nlpseq.counts.glove import needed_bytes
    from nlpseq.storage import artifact

    stored, needed = 2 * num_words * config.dim * 4, needed_bytes(num_words, config)
    say(
        f"{num_words:,} words x {config.dim}, 2 matrices: {size_text(stored)}; memory: {size_text(needed)} "
        f"beside the counts; epochs: {config.epochs}"
    )
    check_memory(needed, VECTORS_REMEDY)
    artifact.check_free_disk(path, 2 * needed)  # two checkpoints, during a commit


def _check_memory(counts: Cooccurrence, config: GloveConfig) -> None:
    """Raise ResourceError if memory does not suffice for the pairs."""
    from nlpseq.counts.glove import needed_bytes

    check_memory(needed_bytes(len(counts.vocab), config, counts.matrix.nnz), VECTORS_REMEDY)


def _refuse_useless(method: str) -> None:
    """Raise ConfigError for explicit settings of another method."""
    used = {
        each.name for config_type in (CooccurrenceConfig, *METHODS[method]) for each in fields(config_type)
    }
    used |= {"threads"}  # encoding has threads in any case
    for other, config_types in METHODS.items():
        for each in (each for config_type in config_types for each in fields(config_type)):
            if each.name not in used and is_typed(each.name):
                raise ConfigError(
                    f"{option_name(each.name)} is for --method {other}, not {method}. Leave one of them out."
                )


def _count(data: TokenDataset, config: CooccurrenceConfig, threads: int | None) -> Cooccurrence:
    """Return the counts of the train split, with progress."""
    from nlpseq.counts.cooccurrence import find_or_count

    with Progress("counting", "words", COMPILING) as progress:
        counts = find_or_count(data, config, threads=threads, progress=progress.update, notice=say)
    say(f"{counts.matrix.nnz:,} pairs of {len(counts.vocab):,} words; seed: {counts.config.seed}")
    return counts


def _factorize(counts: Cooccurrence, configs: dict[type, Any], source: dict[str, Any]) -> Vectors:
    """Return vectors of mutual information, explicit or dense."""
    from nlpseq.counts.ppmi import ppmi

    started = time.perf_counter()
    vectors = ppmi(counts, configs[PPMIConfig])
    say(f"{vectors.matrix.nnz:,} of them occur together more often than by chance")
    if SVDConfig in configs:
        vectors = _shorten(vectors, configs[SVDConfig])
    facts = ("corpus", "data_digest", "data_vocab_digest", "count_seconds")
    vectors.meta |= {name: counts.meta[name] for name in facts}
    vectors.meta |= {"source": source, "train_seconds": time.perf_counter() - started}
    return vectors


def _shorten(explicit: Vectors, config: SVDConfig) -> Vectors:
    from nlpseq.counts.svd import needed_bytes, train_svd

    needed = needed_bytes(explicit.matrix, config)
    say(f"{len(explicit.vocab):,} words x {config.dim}; memory: {size_text(needed)}")
    check_memory(needed, VECTORS_REMEDY)
    with Progress("factorizing", "products", COMPILING) as progress:
        return train_svd(explicit, config, progress=progress.update)
