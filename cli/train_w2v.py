"""nlpseq train-w2v: word vectors from a corpus."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import WORD2VEC_PRESETS, TextConfig, Word2VecConfig
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, count_text, size_text
from nlpseq.errors import ConfigError, ways_to_pairs

from ._app import Command
from ._inputs import dataset_folder, say_contents
from ._options import (
    RARE_TEXT,
    build_config,
    build_text_config,
    config_options,
    explicit_settings,
    is_typed,
    require_with,
    training_options,
)
from ._output import print_path, say
from ._training import TrainingSession, prepare, say_neighbors, say_untrained

__all__ = ["train_w2v"]

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
@training_options("5m")
@click.option(
    "--preset",
    type=click.Choice(list(WORD2VEC_PRESETS)),
    default="standard",
    help="quality: 300 dimensions and 15 epochs, for better vectors of a text of some 10 M words",
)
@config_options(Word2VecConfig, hide=["smoothing"])
@config_options(TextConfig, hide=RARE_TEXT)
def train_w2v(preset: str, **arguments: Any) -> None:
    """Train word vectors on CORPUS, by word2vec.

    CORPUS may also be a folder made by `nlpseq preprocess`, and with --resume the folder of an unfinished
    run. The vectors go to a folder; its path is printed.
    """
    session = TrainingSession("train-w2v", ".w2v", "words", **arguments)
    vectors = _resume(session) if session.is_resumed else _start(session, preset)
    vectors.contexts = None  # stored; neighbors need half of the memory without them
    _say_result(session.path, vectors)
    print_path(session.path)


def _start(session: TrainingSession, preset: str) -> Vectors:
    config = build_config(Word2VecConfig, WORD2VEC_PRESETS[preset])
    text = build_text_config(VALID_SHARE if config.early_stop else {})
    _refuse_useless(config)
    if config.early_stop and not text.valid_share and dataset_folder(session.sources) is None:
        raise ConfigError("--early-stop: needs a valid split. Leave out --valid-share 0.")
    from nlpseq.core import resources
    from nlpseq.word2vec.kernels.select import select, to_compile
    from nlpseq.word2vec.train import train_word2vec

    choice = select(config)
    path = session.lock_output()
    kernels = to_compile(config, choice)
    if choice.is_compiled:  # array code is faster if it keeps free memory
        resources.mmap_large_blocks()
    data = prepare(session.sources, text, config.threads, kernels, config.subsample)
    resources.trim_heap()
    config = _check_room(path, data, config)
    say(f"backend {choice.backend}, kernel {choice.kernel}")
    return session.train(partial(train_word2vec, data, config), data)


def _resume(session: TrainingSession) -> Vectors:
    def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
        say_contents(data, run.configs["config"].subsample)
        _check_room(run.path, data, run.configs["config"])
        epoch, seconds = run.stored_counter("epoch"), run.stored_counter("seconds")
        say(f"continuing in epoch {epoch + 1}, after {seconds:.0f} s")
        session.start()

    run, settings = session.find_run("preset"), explicit_settings(Word2VecConfig, TextConfig)
    vectors: Vectors = session.resume(run, settings, on_start)
    return vectors


def _refuse_useless(config: Word2VecConfig) -> None:
    """Raise ConfigError for explicit settings without effect."""
    is_cbow, is_sampled = config.objective == "cbow", config.loss == "negative-sampling"
    for name, needed, is_there in (
        ("cbow_update", "--objective cbow", is_cbow),
        ("share_negatives", "--objective skipgram", not is_cbow),
        *((name, SAMPLED, is_sampled) for name in ("share_negatives", "negatives", "smoothing")),
    ):
        require_with(name, needed, is_there=is_there)
    if config.subwords and is_typed("share_negatives"):
        raise ConfigError(
            "--share-negatives: has no effect with --subwords, which draw noise words for every pair. Leave "
            "out --share-negatives."
        )


def _check_room(path: Path, data: TokenDataset, config: Word2VecConfig) -> Word2VecConfig:
    """Say how large training is, and return the plan.

    Raises ResourceError if memory or disk do not suffice.
    """
    from nlpseq.storage import artifact
    from nlpseq.word2vec.kernels.select import padded
    from nlpseq.word2vec.train import MAX_DEFAULT_BUCKETS, choose_buckets, resolve

    num_words, num_tokens = data.vocab.num_words, data.split("train").num_tokens
    plan = choose_buckets(config, data.vocab.without_specials())
    plan = resolve(plan, num_words, num_tokens, data.config.min_count)
    assert plan.threads
    buckets = plan.buckets or 0
    num_rows = 2 * num_words + buckets
    means = num_words * plan.dim * 4 if plan.subwords else 0  # vectors of words, apart from the inputs
    stored = num_rows * plan.dim * 4 + means  # float32
    copies = plan.threads if plan.deterministic and plan.threads > 1 else 0
    needed = stored + num_rows * padded(plan.dim) * 4 * (1 + plan.early_stop + copies)  # rows are padded
    if plan.subwords:
        why = "as set" if config.buckets else f"default: distinct n-grams, at most {MAX_DEFAULT_BUCKETS:,}"
        say(f"n-grams of {plan.subwords} characters in {count_text(buckets, 'bucket')} ({why})")
    say(
        f"{count_text(num_words, 'word')} x {plan.dim}, {'3' if buckets else '2'} matrices: "
        f"{size_text(stored)}; "
        f"epochs: {plan.epochs} of {num_tokens:,} words; threads: {plan.threads}; seed: {plan.seed}"
    )
    say(str(plan), level=1)
    check_memory(needed, VECTORS_REMEDY)
    artifact.check_free_disk(path, 2 * stored * (1 + plan.early_stop))  # two checkpoints, during a commit
    return plan


def _say_result(path: Path, vectors: Vectors) -> None:
    """Say how training went, and what to type next."""
    meta = vectors.meta
    say(
        f"trained in {meta['seconds']:.1f} s, {meta['words_per_second']:,.0f} words/s; "
        f"loss {meta['loss'][0]:.4f} in the first epoch, {meta['loss'][-1]:.4f} in the last"
    )
    if (best := meta["best_epoch"]) is not None:
        kept = (
            f"; its vectors were kept, after {count_text(meta['epochs'], 'epoch')}"
            if meta["config"]["early_stop"]
            else ""
        )
        say(f"validation loss {meta['valid_loss'][best]:.4f} in epoch {best + 1}, the lowest{kept}")
    ways_out = ways_to_pairs(meta["config"]["subsample"])
    say_untrained(vectors.vocab, vectors.zero_ids.tolist(), ways_out)
    say_neighbors(path, vectors)
