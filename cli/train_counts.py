"""nlpseq train-counts: word vectors from how often words occur together."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import COUNTING, CooccurrenceConfig, GloveConfig, PPMIConfig, SVDConfig, TextConfig
from nlpseq.config.fields import to_dict
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, size_text
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import COMPILING, corpus_argument, corpus_name, prepare, say_contents, say_neighbors
from ._options import (
    RARE_TEXT,
    checkpoint_option,
    config_file_option,
    config_options,
    force_option,
    given,
    is_flag,
    option_name,
    output_option,
    refuse_settings_of_phrases,
    resolved,
    resume_option,
)
from ._output import Progress, print_path, say
from ._resume import RunKind, claim_place, place_of_run, reached, store, train_in, unfinished_run
from ._whereabouts import find_data, whereabouts, whereabouts_now

if TYPE_CHECKING:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.counts.glove import Report
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.vectors.vectors import Vectors

METHODS: dict[str, tuple[type, ...]] = {  # and the settings they have beside those of counting
    "ppmi": (PPMIConfig,),
    "ppmi-svd": (PPMIConfig, SVDConfig),
    "glove": (GloveConfig,),
}
SUFFIXES = {"ppmi": ".ppmi", "ppmi-svd": ".svd", "glove": ".glove"}
GLOVE = RunKind(
    suffix=SUFFIXES["glove"],
    format="vectors",
    version=1,
    configs={
        "glove_config": GloveConfig,
        "cooccurrence_config": CooccurrenceConfig,
        "text_config": TextConfig,
    },
    fresh_only=("force",),
    of_the_machine=("threads",),
    model="glove",
)


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
        path, vectors = _begin(sources, output, checkpoint_every, method, force=force)
    path = store(path, vectors, force=force)
    seconds = vectors.meta
    say(f"counted in {seconds['count_seconds']:.1f} s, trained in {seconds['train_seconds']:.1f} s")
    say_neighbors(path, vectors)
    print_path(path)


def _begin(
    sources: tuple[str, ...], output: Path | None, every: float, method: str, *, force: bool
) -> tuple[Path, Vectors]:
    _refuse_useless(method)
    counting = resolved(CooccurrenceConfig, COUNTING[method])
    configs: dict[type, Any] = {config_type: resolved(config_type) for config_type in METHODS[method]}
    text = resolved(TextConfig)  # a wrong setting is said before any work
    refuse_settings_of_phrases(text)
    threads = getattr(configs[METHODS[method][-1]], "threads", given(SVDConfig).get("threads"))
    claim_place(
        output or Path(corpus_name(sources) + SUFFIXES[method]),
        force=force,
        has_checkpoints=method == "glove",
    )
    path, data = prepare(sources, SUFFIXES[method], output, threads, force=force, text=text)
    if method == "glove":
        _check_room(path, data.vocab.num_words, configs[GloveConfig])
    counts, facts = _counts(data, counting, threads)
    place = place_of_run(path) if method == "glove" else path
    facts["source"] = whereabouts(sources, data, beside=place != path)
    if method != "glove":
        return path, _factorised(counts, configs, facts)

    from nlpseq.counts.glove import train_glove
    from nlpseq.training.checkpoint import CheckpointConfig

    _check_memory(counts, configs[GloveConfig])

    def train(folder: CheckpointConfig, progress: Progress) -> Vectors:
        return train_glove(counts, configs[GloveConfig], progress=_report_to(progress), folder=folder)

    folder = CheckpointConfig(path=place, every=every, force=force, facts=facts)
    return place, train_in(folder, "train-counts", "pairs", train)


def _resume(sources: tuple[str, ...], output: Path | None, every: float, method: str) -> tuple[Path, Vectors]:
    if is_flag("method") and method != "glove":
        raise ConfigError(
            f"--resume is for --method glove; {method} has nothing to go on with. Leave it out."
        )
    _refuse_useless("glove")
    run = unfinished_run(sources, output, GLOVE)
    threads = run.configs["glove_config"].threads
    data = find_data(run.path, run.meta, run.sources, threads)
    say_contents(data)
    _check_room(run.path, data.vocab.num_words, run.configs["glove_config"])
    counts, facts = _counts(data, run.configs["cooccurrence_config"], threads)
    _check_memory(counts, run.configs["glove_config"])
    facts["source"] = whereabouts_now(run, data)
    say(f"going on in epoch {reached(run, 'epoch') + 1}")

    from nlpseq.counts.glove import resume_glove
    from nlpseq.training.checkpoint import CheckpointConfig

    def train(folder: CheckpointConfig, progress: Progress) -> Vectors:
        return resume_glove(folder, counts, changes=run.changes, progress=_report_to(progress))

    folder = CheckpointConfig(path=run.path, every=every, facts=facts)
    return run.path, train_in(folder, "train-counts", "pairs", train)


def _check_room(path: Path, num_words: int, config: GloveConfig) -> None:
    """Say before counting what GloVe will take; ResourceError where memory or disk do not have it."""
    from nlpseq.counts.glove import needed_bytes
    from nlpseq.storage import artifact

    stored, needed = 2 * num_words * config.dim * 4, needed_bytes(num_words, config)
    say(
        f"{num_words:,} words x {config.dim}, 2 matrices: {size_text(stored)}; memory: {size_text(needed)} "
        f"beside the counts; epochs: {config.epochs}"
    )
    check_memory(needed, VECTORS_REMEDY)
    artifact.check_free_disk(path, 2 * needed)  # a checkpoint stands beside the last


def _check_memory(counts: Cooccurrence, config: GloveConfig) -> None:
    """The same with the pairs, whose number is known now."""
    from nlpseq.counts.glove import needed_bytes

    check_memory(needed_bytes(len(counts.vocab), config, counts.matrix.nnz), VECTORS_REMEDY)


def _report_to(progress: Progress) -> Report:
    return lambda done, total, loss: progress.update(done, total, f"loss {loss:.4f}")


def _refuse_useless(method: str) -> None:
    """ConfigError for settings of another method that a person typed."""
    used = {
        each.name for config_type in (CooccurrenceConfig, *METHODS[method]) for each in fields(config_type)
    }
    used |= {"threads"}  # encoding has threads in any case
    for other, config_types in METHODS.items():
        for each in (each for config_type in config_types for each in fields(config_type)):
            if each.name not in used and is_flag(each.name):
                raise ConfigError(
                    f"{option_name(each.name)} is for --method {other}, not {method}. Leave one of them out."
                )


def _counts(
    data: TokenDataset, config: CooccurrenceConfig, threads: int | None
) -> tuple[Cooccurrence, dict[str, Any]]:
    """The counts of the train split, out of its folder if the same are there, and what to store of it."""
    from nlpseq.counts.cooccurrence import Cooccurrence, count_cooccurrences

    started, counts = time.perf_counter(), None
    stored = data.path / "cooccurrence"
    if stored.exists():
        found = Cooccurrence.load(stored)
        if found.config == config and found.vocab.digest == data.vocab.without_specials().digest:
            say(f"counts of {stored}")
            counts = found
        else:
            say(f"counts of {stored} are of {_difference(found, data, config)}; others are counted now")
    if counts is None:
        with Progress("counting", "words", COMPILING) as progress:
            counts = count_cooccurrences(
                data.split("train"), config, threads=threads, progress=progress.update
            )
    say(f"{counts.matrix.nnz:,} pairs of {len(counts.vocab):,} words; seed: {counts.config.seed}")
    facts = {"corpus": data.meta.get("corpus"), "data_digest": data.digest}
    facts |= {"data_vocab_digest": data.vocab.digest, "count_seconds": time.perf_counter() - started}
    return counts, facts


def _difference(found: Cooccurrence, data: TokenDataset, config: CooccurrenceConfig) -> str:
    """What stored counts have that is not what is wanted."""
    if found.vocab.digest != data.vocab.without_specials().digest:
        return "another vocabulary"
    has, wanted = to_dict(found.config), to_dict(config)
    return ", ".join(f"{name} {has[name]} (not {wanted[name]})" for name in has if has[name] != wanted[name])


def _factorised(counts: Cooccurrence, configs: dict[type, Any], facts: dict[str, Any]) -> Vectors:
    """Vectors of mutual information, explicit or made short, with the facts and the seconds in meta."""
    from nlpseq.counts.ppmi import ppmi

    started = time.perf_counter()
    vectors = ppmi(counts, configs[PPMIConfig])
    say(f"{vectors.matrix.nnz:,} of them occur together more often than by chance")
    if SVDConfig in configs:
        vectors = _shortened(vectors, configs[SVDConfig])
    vectors.meta |= facts | {"train_seconds": time.perf_counter() - started}
    return vectors


def _shortened(explicit: Vectors, config: SVDConfig) -> Vectors:
    from nlpseq.counts.svd import needed_bytes, train_svd

    needed = needed_bytes(explicit.matrix, config)
    say(f"{len(explicit.vocab):,} words x {config.dim}; memory: {size_text(needed)}")
    check_memory(needed, VECTORS_REMEDY)
    with Progress("factorising", "products", COMPILING) as progress:
        return train_svd(explicit, config, progress=progress.update)
