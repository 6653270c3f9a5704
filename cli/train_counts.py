"""nlpseq train-counts: word vectors from how often words occur together."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import CooccurrenceConfig, GloveConfig, PPMIConfig, SVDConfig, TextConfig
from nlpseq.errors import ConfigError

from ._command import Command
from ._console import print_path, say
from ._corpus import COMPILING, check_memory, corpus_argument, prepare, size_text
from ._options import (
    RARE_TEXT,
    config_file_option,
    config_options,
    force_option,
    given,
    is_flag,
    output_option,
    resolved,
)
from ._progress import Progress
from ._vectors import say_neighbors

if TYPE_CHECKING:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.text.dataset import TokenDataset
    from nlpseq.vectors.vectors import Vectors

METHODS: dict[str, tuple[type, ...]] = {  # and the settings they have beside those of counting
    "ppmi": (PPMIConfig,),
    "ppmi-svd": (PPMIConfig, SVDConfig),
    "glove": (GloveConfig,),
}
COUNTING: dict[str, dict[str, Any]] = {  # settings of counting that suit a method better than the usual ones
    "ppmi": {"subsample": 1e-4},
    "ppmi-svd": {"subsample": 1e-4},
    "glove": {"window": 10, "weighting": "harmonic"},
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
def train_counts(sources: tuple[str, ...], output: Path | None, force: bool, method: str) -> None:
    """Train word vectors on CORPUS by counting which words occur near each other.

    CORPUS may also be a folder made by `nlpseq preprocess`; counts of the same settings that are in it are
    used. The vectors go to a folder named after the method (.ppmi, .svd, .glove), and its path is printed.
    If nothing else is said, GloVe has 100 dimensions and counts harmonically in a window of 10, without
    subsampling.
    """
    _refuse_useless(method)
    counting = resolved(CooccurrenceConfig, COUNTING[method])
    configs: dict[type, Any] = {config_type: resolved(config_type) for config_type in METHODS[method]}
    text = resolved(TextConfig)  # a wrong setting is said before any work
    threads = getattr(configs[METHODS[method][-1]], "threads", given(SVDConfig).get("threads"))
    path, data = prepare(sources, SUFFIXES[method], output, threads, force=force, text=text)
    started = time.perf_counter()
    counts = _counts(data, counting, threads)
    counted = time.perf_counter()
    vectors = _vectors(counts, configs)
    trained = time.perf_counter()
    vectors.meta |= {"corpus": data.meta.get("corpus"), "data_vocab_digest": data.vocab.digest}
    vectors.meta |= {"count_seconds": counted - started, "train_seconds": trained - counted}
    vectors.save(path, force=force)
    say(f"counted in {counted - started:.1f} s, trained in {trained - counted:.1f} s")
    say_neighbors(path, vectors)
    print_path(path)


def _refuse_useless(method: str) -> None:
    """ConfigError for settings of another method that a person typed."""
    used = {
        each.name for config_type in (CooccurrenceConfig, *METHODS[method]) for each in fields(config_type)
    }
    used |= {"threads"}  # encoding has threads in any case
    for other, config_types in METHODS.items():
        for each in (each for config_type in config_types for each in fields(config_type)):
            if each.name not in used and is_flag(each.name):
                option = "--" + each.name.replace("_", "-")
                raise ConfigError(f"{option} is for --method {other}, not {method}. Leave one of them out.")


def _counts(data: TokenDataset, config: CooccurrenceConfig, threads: int | None) -> Cooccurrence:
    """The counts of the train split, out of its folder where the same were stored there."""
    from nlpseq.counts.cooccurrence import Cooccurrence, count_cooccurrences

    stored = data.path / "cooccurrence"
    if stored.exists():
        counts = Cooccurrence.load(stored)
        if counts.config == config and counts.vocab.digest == data.vocab.without_specials().digest:
            say(f"counts of {stored}")
            return counts
    with Progress("counting", "words", COMPILING) as progress:
        return count_cooccurrences(data.split("train"), config, threads=threads, progress=progress.update)


def _vectors(counts: Cooccurrence, configs: dict[type, Any]) -> Vectors:
    say(f"{counts.matrix.nnz:,} pairs of {len(counts.vocab):,} words; seed: {counts.config.seed}")
    if GloveConfig in configs:
        from nlpseq.counts.glove import train_glove

        with Progress("training", "pairs", COMPILING) as progress:
            return train_glove(
                counts,
                configs[GloveConfig],
                progress=lambda done, total, loss: progress.update(done, total, f"loss {loss:.4f}"),
            )
    from nlpseq.counts.ppmi import ppmi

    explicit = ppmi(counts, configs[PPMIConfig])
    say(f"{explicit.matrix.nnz:,} of them occur together more often than by chance")
    if SVDConfig not in configs:
        return explicit
    from nlpseq.counts.svd import needed_bytes, train_svd

    needed = needed_bytes(explicit.matrix, configs[SVDConfig])
    say(f"{len(counts.vocab):,} words x {configs[SVDConfig].dim}; memory: {size_text(needed)}")
    check_memory(needed, "--dim, or keep fewer words with --max-vocab or --min-count")

    with Progress("factorising", "products", COMPILING) as progress:
        return train_svd(explicit, configs[SVDConfig], progress=progress.update)
