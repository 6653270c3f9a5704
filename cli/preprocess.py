"""nlpseq preprocess: encode text into token ids on disk, and count neighboring words on request."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nlpseq.config import COUNTING, CooccurrenceConfig, TextConfig
from nlpseq.core.resources import count_text
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import (
    SLOW_START,
    EncodingProgress,
    dataset_folder,
    open_sources,
    open_vectors,
    say_contents,
)
from ._options import (
    build_config,
    build_text_config,
    cluster_options,
    config_file_option,
    config_options,
    corpus_argument,
    explicit_settings,
    force_option,
    output_option,
    require_with,
    threads_option,
)
from ._output import Progress, print_path, printable, say, say_warning, shell_path
from ._training import Cluster, count_on, lock_result, refuse_inputs, refuse_models

__all__ = ["preprocess"]

if TYPE_CHECKING:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.dataset.vocab import Vocab
    from nlpseq.distributed.ray_engine import RayTasks


@click.command(
    cls=Command,
    examples=[
        "nlpseq preprocess corpus.txt",
        "nlpseq preprocess corpus.txt --min-count 2 --cooccurrence --window 4 -o counted.tokens",
        "nlpseq preprocess corpus.txt --phrases 2 -o phrases.tokens",
        "nlpseq preprocess corpus.txt --tokenizer bpe --vocab-size 300 -o subwords.tokens",
        "cat corpus.txt | nlpseq preprocess - --tokenizer char",
        "nlpseq preprocess new.txt --start counted.tokens --cooccurrence",
    ],
)
@corpus_argument
@output_option
@force_option
@config_file_option
@threads_option
@cluster_options
@click.option(
    "--cooccurrence",
    is_flag=True,
    help="also count neighboring words, with the defaults of train-counts, into DIR/cooccurrence",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="encoded corpus or vectors, whose words and counts CORPUS is added to",
)
@config_options(TextConfig, hide=["word_rule"])
@config_options(CooccurrenceConfig, defaults=COUNTING["ppmi-svd"])
def preprocess(
    sources: tuple[str, ...],
    output: Path | None,
    force: bool,
    threads: int | None,
    cooccurrence: bool,
    start: Path | None,
    cluster: str | None,
    workers: str | None,
    plan: bool,
) -> None:
    """Encode CORPUS into a vocabulary and token ids.

    Every train command reads the output folder; its path is printed. Without this step, a train command
    encodes CORPUS into the cache.

    With --start, DIR is a folder of this command or vectors: the vocabulary has its words and the new words
    with --min-count occurrences in CORPUS, and --max-vocab keeps the most frequent of all. Occurrences in
    earlier texts do not count for a new word, so for a chain of small texts use --min-count 1 --max-vocab N.
    Counts are added up, with --cooccurrence also the counts of neighbors in DIR. The settings of DIR are
    used. With --subsample 0 the sum is the same as counting all texts at once; else each text is subsampled
    by its own counts. Counts of neighbors have the defaults of PPMI-SVD; for GloVe add --window 10
    --weighting harmonic --subsample 0. Train on the result with `nlpseq train-w2v --start` or, from the
    counts, with `nlpseq train-counts` and the same settings of counting.
    """
    engine = Cluster(cluster, workers, plan=plan)
    if engine and start is not None:
        raise ConfigError("--cluster: does not work with --start. Leave out one of the two.")
    earlier = None if start is None else _open_start(start, with_counts=cooccurrence)
    counted = None if earlier is None else earlier.counts
    config = build_text_config({} if earlier is None else earlier.text)
    counting = build_config(CooccurrenceConfig, asdict(counted.config) if counted else COUNTING["ppmi-svd"])
    for each in fields(CooccurrenceConfig):
        require_with(each.name, "--cooccurrence", is_there=cooccurrence)
    refuse_models(*sources)
    if folder := dataset_folder(sources):
        raise ConfigError(f"{folder}: already encoded. Name the text instead.")
    from nlpseq.dataset.encode import preprocess as encode_into
    from nlpseq.storage import artifact

    if engine and "-" in sources:
        raise ConfigError("--cluster: reads no stdin. Save the text to a file and name the file.")
    corpus = open_sources(sources)
    if engine:
        from nlpseq.distributed.plan import plan_text
        from nlpseq.distributed.preprocess import check_supported

        engine.end_after_plan(plan_text(corpus, config))
        check_supported(config)
    path = output or Path(f"{corpus.name}.tokens")
    refuse_inputs(path, *sources, start)
    lock_result(path, force=force)
    tasks = engine.tasks(path.resolve().parent)
    encoding = EncodingProgress(corpus)
    with artifact.atomic_directory(path, force=force) as new:
        with encoding as bar:
            if tasks is None:
                vocab = None if earlier is None else earlier.vocab
                data = encode_into(corpus, config, new, start=vocab, threads=threads, progress=bar.report)
            else:
                from nlpseq.distributed.preprocess import preprocess as encode_by

                data = encode_by(corpus, config, new, tasks, progress=bar.report)
        pairs = _count(data, counting, threads, counted, tasks) if cooccurrence else None
    data.path = path
    say_contents(data, counting.subsample if cooccurrence else 0.0, "--cooccurrence")
    if earlier is not None:
        words = data.vocab.without_specials()
        num_known = sum(word in earlier.vocab for word in words.words)
        say(f"start: {count_text(num_known, 'known word')}, {count_text(len(words) - num_known, 'new word')}")
    if config.phrases:
        _say_phrases(data)
    if pairs is not None:
        say(f"{count_text(pairs, 'pair')} of neighbors in {path / 'cooccurrence'}")
    is_model = start is not None and dataset_folder((str(start),)) is None
    option = "" if start is None else f" --start {shell_path(start) if is_model else 'MODEL'}"
    say(f"next: nlpseq train-w2v {shell_path(path)}{option}")
    print_path(path)


def _say_phrases(data: TokenDataset) -> None:
    from nlpseq.dataset.phrases import read_phrases

    phrases = read_phrases(data.path)
    examples = f", such as {', '.join(map(printable, phrases[:5]))}" if phrases else ""
    say(f"{count_text(len(phrases), 'phrase')}{examples}, in {data.path}")


class _Earlier(NamedTuple):
    """Vocabulary, settings of the text and counts of neighbors of --start."""

    vocab: Vocab
    text: dict[str, Any]
    counts: Cooccurrence | None


def _open_start(path: Path, *, with_counts: bool) -> _Earlier:
    """Open the encoded corpus or the vectors of --start.

    with_counts: also the counts of neighbors; raises ConfigError if there are none.
    """
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.joint_vocab import check_agreement, text_defaults
    from nlpseq.training.resume import is_run

    settings, folder = explicit_settings(TextConfig), None if is_run(path) else dataset_folder((str(path),))
    if folder is None and with_counts:
        raise ConfigError(
            f"{path}: is not an encoded corpus, so that it has no counts of neighbors. Leave out "
            "--cooccurrence, or name a folder of `nlpseq preprocess --cooccurrence`."
        )
    if folder is None:
        vectors = open_vectors(path, verify=False)
        text = text_defaults(str(path), vectors.meta.get("text_config"), settings)
        return _Earlier(vectors.vocab, text, None)
    from nlpseq.dataset.token_dataset import TokenDataset

    data, counts = TokenDataset.open(folder), folder / "cooccurrence"
    if with_counts and not counts.exists():
        raise ConfigError(
            f"{path}: has no counts of neighbors. Leave out --cooccurrence, or encode its text again with "
            "--cooccurrence."
        )
    text = text_defaults(str(path), asdict(data.config), settings)
    if not with_counts and counts.exists():
        say_warning(f"{path}: its counts of neighbors are left out. Use --cooccurrence to add to them.")
    if not with_counts:
        return _Earlier(data.vocab, text, None)
    counted = Cooccurrence.load(counts)
    check_agreement(str(path), asdict(counted.config), explicit_settings(CooccurrenceConfig))
    return _Earlier(data.vocab, text, counted)


def _count(
    data: TokenDataset,
    config: CooccurrenceConfig,
    threads: int | None,
    earlier: Cooccurrence | None,
    tasks: RayTasks | None,
) -> int:
    """Store counts of the train split in the dataset, and return the number of pairs.

    earlier: counts of earlier texts, to add.
    """
    from nlpseq.counts.cooccurrence import add_counts

    with Progress("counting", "words" if tasks is None else "spans", SLOW_START) as progress:
        counts = count_on(tasks, config, threads, progress, data)
    if earlier is not None:
        counts = add_counts(earlier, counts)
    counts.save(data.path / "cooccurrence")
    return int(counts.matrix.nnz)
