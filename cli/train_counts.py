"""nlpseq train-counts: word vectors from how often words occur together."""

from __future__ import annotations

import time
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import COUNTING, CooccurrenceConfig, GloveConfig, PPMIConfig, SVDConfig, TextConfig
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, count_text, size_text
from nlpseq.errors import ConfigError, ways_to_pairs

from ._app import Command
from ._inputs import SLOW_START, say_contents
from ._options import (
    RARE_TEXT,
    build_config,
    build_text_config,
    config_options,
    explicit_settings,
    is_typed,
    option_name,
    training_options,
)
from ._output import Progress, print_path, say
from ._training import TrainingSession, count_on, prepare, say_neighbors, say_untrained

__all__ = ["train_counts"]

if TYPE_CHECKING:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors

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
@training_options("5m")
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="ppmi-svd",
    help="mutual information as it is, made short and dense, or GloVe",
)
@config_options(CooccurrenceConfig, defaults=COUNTING["ppmi-svd"])
@config_options(PPMIConfig)
@config_options(SVDConfig, skip=["seed"], hide=["oversampling", "power_iterations"])
@config_options(GloveConfig, skip=["seed", "threads", "dim"])
@config_options(TextConfig, hide=RARE_TEXT)
def train_counts(method: str, **arguments: Any) -> None:
    """Train word vectors on CORPUS by counts of pairs of words.

    A pair is two words that occur near each other. CORPUS may also be a folder made by `nlpseq preprocess`;
    counts of the same settings that are in it are used. Counts of earlier texts (`preprocess --start`) allow
    no other settings. The vectors go to a folder named after the method (.ppmi, .svd, .glove), and its path
    is printed. If nothing else is said, GloVe has 100 dimensions and counts harmonically in a window of 10,
    without subsampling. GloVe is saved as it goes, and a run that was stopped continues with --resume.
    """
    suffix = SUFFIXES["glove" if arguments["resume"] else method]
    session = TrainingSession("train-counts", suffix, "pairs", **arguments)
    vectors = _resume(session, method) if session.is_resumed else _start(session, method)
    seconds = vectors.meta
    say(f"counted in {seconds['count_seconds']:.1f} s, trained in {seconds['train_seconds']:.1f} s")
    if "glove_config" not in vectors.meta:  # GloVe has warned before training
        ways_out = ways_to_pairs(vectors.meta["cooccurrence_config"]["subsample"])
        say_untrained(vectors.vocab, vectors.zero_ids.tolist(), ways_out)
    say_neighbors(session.path, vectors)
    print_path(session.path)


def _start(session: TrainingSession, method: str) -> Vectors:
    _refuse_useless(method)
    counting = build_config(CooccurrenceConfig, COUNTING[method])
    configs: dict[type, Any] = {config_type: build_config(config_type) for config_type in METHODS[method]}
    text = build_text_config()
    threads = getattr(configs[METHODS[method][-1]], "threads", explicit_settings(SVDConfig).get("threads"))
    path = session.lock_output()
    data = prepare(session.sources, text, threads, subsample=counting.subsample)
    if svd := configs.get(SVDConfig):
        _check_dim(svd, data)
    if method != "glove":
        return _factorize(session, data, _count(session, data, counting, threads), configs)
    from nlpseq.counts.glove import train_glove

    config = configs[GloveConfig]
    _check_room(path, data.vocab.num_words, config)
    counts = _count(session, data, counting, threads, config)
    return session.train(partial(train_glove, counts, config), data)


def _resume(session: TrainingSession, method: str) -> Vectors:
    def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
        say_contents(data, run.configs["cooccurrence_config"].subsample)
        _check_room(run.path, data.vocab.num_words, run.configs["glove_config"])

    def count(data: TokenDataset, config: CooccurrenceConfig, threads: int | None) -> Cooccurrence:
        counts = _count(session, data, config, threads, run.configs["glove_config"])
        say(f"continuing in epoch {run.stored_counter('epoch') + 1}")
        session.start()
        return counts

    if is_typed("method") and method != "glove":
        raise ConfigError(f"--resume: is only for --method glove, not {method}. Leave it out.")
    _refuse_useless("glove")
    run, settings = session.find_run(), explicit_settings(GloveConfig, CooccurrenceConfig, TextConfig)
    vectors: Vectors = session.resume(run, settings, on_start, count)
    return vectors


def _check_dim(config: SVDConfig, data: TokenDataset) -> None:
    """Raise ConfigError before counting if the words do not fill --dim; announce a lower default."""
    from nlpseq.counts.svd import DEFAULT_DIM, resolve

    num_words = data.vocab.num_words
    dim = resolve(config, num_words, data.config.min_count).dim
    if config.dim is None and dim != DEFAULT_DIM:
        say(f"--dim: {dim}, the most for {count_text(num_words, 'word')}. Use --dim to choose a lower one.")


def _check_room(path: Path, num_words: int, config: GloveConfig) -> None:
    """Say before counting how large GloVe is; raise ResourceError if memory or disk do not suffice."""
    from nlpseq.counts.glove import needed_bytes
    from nlpseq.storage import artifact

    stored, needed = 2 * num_words * config.dim * 4, needed_bytes(num_words, config)
    say(
        f"{count_text(num_words, 'word')} x {config.dim}, 2 matrices: {size_text(stored)}; memory: "
        f"{size_text(needed)} beside the counts; epochs: {config.epochs}"
    )
    check_memory(needed, VECTORS_REMEDY)
    artifact.check_free_disk(path, 2 * needed)  # two checkpoints, during a commit


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


def _count(
    session: TrainingSession,
    data: TokenDataset,
    config: CooccurrenceConfig,
    threads: int | None,
    glove: GloveConfig | None = None,
) -> Cooccurrence:
    """Return the counts of the train split; raise ResourceError if memory does not suffice for GloVe."""
    from nlpseq.counts.cooccurrence import find_or_count

    if session.cluster:
        from nlpseq.distributed.plan import plan_counts

        session.cluster.end_after_plan(plan_counts(data, config))
    tasks = session.cluster.tasks(data.path)
    with Progress("counting", "words" if tasks is None else "spans", SLOW_START) as progress:
        count = partial(count_on, tasks, config, threads, progress)
        counts = find_or_count(data, config, notice=say, count=count)
    num_pairs, num_words = count_text(counts.matrix.nnz, "pair"), count_text(len(counts.vocab), "word")
    say(f"{num_pairs} of {num_words}; seed: {counts.config.seed}")
    if glove is not None:
        from nlpseq.counts.glove import needed_bytes

        pairs_V = counts.matrix.indptr[1:] - counts.matrix.indptr[:-1]
        without_pairs = (pairs_V == 0).nonzero()[0].tolist()
        say_untrained(counts.vocab, without_pairs, ways_to_pairs(config.subsample))
        check_memory(needed_bytes(len(counts.vocab), glove, counts.matrix.nnz), VECTORS_REMEDY)
    return counts


def _factorize(
    session: TrainingSession, data: TokenDataset, counts: Cooccurrence, configs: dict[type, Any]
) -> Vectors:
    """Store and return vectors of mutual information, explicit or dense."""
    from nlpseq.counts.ppmi import ppmi
    from nlpseq.counts.svd import needed_bytes, resolve, train_svd
    from nlpseq.training.provenance import describe_source

    started = time.perf_counter()
    vectors = ppmi(counts, configs[PPMIConfig])
    say(f"{vectors.matrix.nnz:,} of them occur together more often than by chance")
    if config := configs.get(SVDConfig):
        plan = resolve(config, len(vectors.vocab))
        needed = needed_bytes(vectors.matrix, plan)
        say(f"{count_text(len(vectors.vocab), 'word')} x {plan.dim}; memory: {size_text(needed)}")
        check_memory(needed, VECTORS_REMEDY)
        with Progress("factorizing", "products", SLOW_START) as progress:
            vectors = train_svd(vectors, config, progress=progress.update)
        if (dim := vectors.matrix.shape[1]) != plan.dim:
            say(f"--dim: {dim}, the most for these counts. Use --dim to choose a lower one.")
    facts = ("corpus", "data_digest", "data_vocab_digest", "count_seconds")
    vectors.meta |= {name: counts.meta[name] for name in facts}
    source = describe_source(data, session.sources)
    vectors.meta |= {"source": source, "train_seconds": time.perf_counter() - started}
    vectors.save(session.path, force=session.force)
    return vectors
