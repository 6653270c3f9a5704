"""nlpseq preprocess: encode text into token ids on disk, and count neighboring words on request."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlpseq.config import COUNTING, CooccurrenceConfig, TextConfig
from nlpseq.core.resources import count_text
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import SLOW_START, EncodingProgress, dataset_folder, open_sources, say_contents
from ._options import (
    build_config,
    build_text_config,
    config_file_option,
    config_options,
    corpus_argument,
    force_option,
    output_option,
    require_with,
    threads_option,
)
from ._output import Progress, print_path, printable, say, shell_path
from ._training import lock_result, refuse_models

__all__ = ["preprocess"]

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset


@click.command(
    cls=Command,
    examples=[
        "nlpseq preprocess corpus.txt",
        "nlpseq preprocess corpus.txt --min-count 2 --cooccurrence --window 4 -o counted.tokens",
        "nlpseq preprocess corpus.txt --phrases 2 -o phrases.tokens",
        "nlpseq preprocess corpus.txt --tokenizer bpe --vocab-size 300 -o subwords.tokens",
        "cat corpus.txt | nlpseq preprocess - --tokenizer char",
    ],
)
@corpus_argument
@output_option
@force_option
@config_file_option
@threads_option
@click.option(
    "--cooccurrence",
    is_flag=True,
    help="also count neighboring words, with the defaults of train-counts, into DIR/cooccurrence",
)
@config_options(TextConfig, hide=["word_rule"])
@config_options(CooccurrenceConfig, defaults=COUNTING["ppmi-svd"])
def preprocess(
    sources: tuple[str, ...], output: Path | None, force: bool, threads: int | None, cooccurrence: bool
) -> None:
    """Encode CORPUS into a vocabulary and token ids.

    Every train command reads the output folder; its path is printed. Without this step, a train command
    encodes CORPUS into the cache.
    """
    config, counting = build_text_config(), build_config(CooccurrenceConfig, COUNTING["ppmi-svd"])
    for each in fields(CooccurrenceConfig):
        require_with(each.name, "--cooccurrence", is_there=cooccurrence)
    refuse_models(*sources)
    if folder := dataset_folder(sources):
        raise ConfigError(f"{folder}: already encoded. Name the text instead.")
    from nlpseq.dataset.encode import preprocess as encode_into
    from nlpseq.storage import artifact

    corpus = open_sources(sources)
    path = output or Path(f"{corpus.name}.tokens")
    lock_result(path, force=force)
    encoding = EncodingProgress(corpus)
    with artifact.atomic_directory(path, force=force) as new:
        with encoding as bar:
            data = encode_into(corpus, config, new, threads=threads, progress=bar.report)
        pairs = _count(data, counting, threads) if cooccurrence else None
    data.path = path
    say_contents(data, counting.subsample if cooccurrence else 0.0, "--cooccurrence")
    if config.phrases:
        _say_phrases(data)
    if pairs is not None:
        say(f"{count_text(pairs, 'pair')} of neighbors in {path / 'cooccurrence'}")
    say(f"next: nlpseq train-w2v {shell_path(path)}")
    print_path(path)


def _say_phrases(data: TokenDataset) -> None:
    from nlpseq.dataset.phrases import read_phrases

    phrases = read_phrases(data.path)
    examples = f", such as {', '.join(map(printable, phrases[:5]))}" if phrases else ""
    say(f"{count_text(len(phrases), 'phrase')}{examples}, in {data.path}")


def _count(data: TokenDataset, config: CooccurrenceConfig, threads: int | None) -> int:
    """Store counts of the train split in the dataset, and return the number of pairs."""
    from nlpseq.counts.cooccurrence import count_cooccurrences

    with Progress("counting", "words", SLOW_START) as progress:
        counts = count_cooccurrences(data.split("train"), config, threads=threads, progress=progress.update)
    counts.save(data.path / "cooccurrence")
    return int(counts.matrix.nnz)
