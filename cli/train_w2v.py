"""nlpseq train-w2v: word vectors from a corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import WORD2VEC_PRESETS, TextConfig, Word2VecConfig
from nlpseq.core.resources import VECTORS_REMEDY, check_memory, count_text, size_text
from nlpseq.errors import ArtifactError, ConfigError, DataError, NlpseqError, ways_to_pairs, without_advice

from ._app import Command
from ._inputs import dataset_folder, open_vectors, say_contents
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
from ._output import print_path, printable, say, say_warning, shell_path
from ._training import TrainingSession, prepare, say_neighbors, say_untrained
from .eval_w2v import read_sets, score_cells, set_options

__all__ = ["train_w2v"]

SAMPLED = "--loss negative-sampling"
MAX_SAMPLED = 10_000  # words of a start, searched for capitals
VALID_SHARE = {"valid_share": 0.05}  # default with --early-stop

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors
    from nlpseq.word2vec.start import Start


@click.command(
    "train-w2v",
    cls=Command,
    examples=[
        "nlpseq train-w2v corpus.txt",
        "nlpseq train-w2v corpus.tokens --objective cbow --dim 50 --epochs 3 -o cbow.w2v",
        "cat corpus.txt | nlpseq train-w2v - --min-count 2",
        "nlpseq train-w2v new.txt --start corpus.w2v --pairs pairs.tsv",
    ],
)
@training_options("5m")
@click.option(
    "--preset",
    type=click.Choice(list(WORD2VEC_PRESETS)),
    default="standard",
    help="quality: 300 dimensions and 15 epochs, for better vectors of a text of some 10 M words",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="initial vectors, to continue training on CORPUS; MODEL itself does not change",
)
@set_options
@config_options(Word2VecConfig, hide=["smoothing"])
@config_options(TextConfig, hide=RARE_TEXT)
def train_w2v(
    preset: str, start: Path | None, pairs: tuple[Path, ...], analogies: Path | None, **arguments: Any
) -> None:
    """Train word vectors on CORPUS, by word2vec.

    CORPUS may also be a folder made by `nlpseq preprocess`, and with --resume the folder of an unfinished
    run. The vectors go to a folder; its path is printed.

    With --start, training continues with the vectors of MODEL, also of another tool, as initial vectors. New
    words with --min-count occurrences in CORPUS are added, with random vectors or, if MODEL has n-grams, the
    means of their n-grams. Counts are added up, and --max-vocab keeps the most frequent words of all. A new
    word needs --min-count occurrences in one CORPUS: for small texts use --min-count 1 --max-vocab N.
    Dimensions, objective, loss, tokenizer and n-grams are the same as of MODEL, and its window, negatives,
    sharing of negatives, subsample, update of CBOW, without n-grams also smoothing, sentences, --min-count
    and --max-vocab are the defaults. All later texts share the buckets of the first training, so choose
    enough --buckets there, such as 2,000,000.

    The vectors are means over the texts, with rising weights, because vectors that were just trained fit the
    last text too well. The last weights are stored in the same folder, and the next --start goes on with
    these. CORPUS is read for as many epochs as a text of all tokens so far. The initial learning rate is the
    usual one, and for skip-gram without n-grams 1.5 times the usual one. With --freeze-known the vectors of
    MODEL do not change, and the initial learning rate is the usual one. Stderr tells how far known words
    moved and, with --pairs and --analogies, the scores before and after; repeat both with --resume.
    """
    session = TrainingSession("train-w2v", ".w2v", "words", **arguments)
    for name, value in (("pairs", pairs), ("analogies", analogies)):
        require_with(name, "--start", is_there=start is not None or session.is_resumed or not value)
    evaluate = read_sets(pairs, analogies, None, "skip", None) if pairs or analogies else None
    if session.is_resumed:
        vectors, before = _resume(session, has_sets=evaluate is not None)
    else:
        vectors, before = _start(session, preset, start)
    if before is not None:
        _say_drift(before, vectors)
    if evaluate is not None:
        _say_scores(before, vectors, evaluate)
    vectors.contexts = vectors.last = None  # stored; neighbors need a half of the memory or less without them
    _say_result(session.path, vectors)
    print_path(session.path)


def _start(session: TrainingSession, preset: str, start_path: Path | None) -> tuple[Vectors, Vectors | None]:
    """Train, and return the vectors; also the vectors of the start, if any."""
    require_with("freeze_known", "--start", is_there=start_path is not None)
    start = None if start_path is None else _open_start(start_path)
    config, text = _build_configs(session, preset, start)
    from nlpseq.core import resources
    from nlpseq.word2vec.kernels.select import select, to_compile
    from nlpseq.word2vec.start import earlier_tokens
    from nlpseq.word2vec.train import choose_parts, train_word2vec

    choice = select(config)
    path = session.lock_output(start_path)
    is_in_blocks = bool(session.cluster) or config.parts is not None
    kernels = [] if session.cluster.is_plan else to_compile(config, choice, in_blocks=is_in_blocks)
    if choice.is_compiled:  # array code is faster if it keeps free memory
        resources.mmap_large_blocks()
    known = None if start is None else start.vectors.vocab
    data = prepare(session.sources, text, config.threads, kernels, config.subsample, known)
    resources.trim_heap()
    if start is not None:
        _say_start(start, data, config)
    elif "start" in data.meta:
        say_warning(
            f"{data.name}: has the words of a start too. Use --start MODEL to go on with its vectors."
        )
    if session.cluster:
        config = choose_parts(config, data.vocab.num_words)
    earlier = None if start is None else earlier_tokens(start, data)
    config = _check_room(path, data, config, earlier)
    if session.cluster:
        from nlpseq.distributed.plan import plan_word2vec

        session.cluster.end_after_plan(
            plan_word2vec(config, data.vocab.num_words, data.split("train").num_tokens)
        )
    say(f"backend {choice.backend}, kernel {choice.kernel}")
    tasks = session.cluster.tasks(data.path, config.parts)
    vectors = session.train(partial(train_word2vec, data, config, start=start, tasks=tasks), data)
    return vectors, start.vectors if start is not None else None


def _build_configs(
    session: TrainingSession, preset: str, start: Start | None
) -> tuple[Word2VecConfig, TextConfig]:
    """Return the settings of a new run and of its text; raise ConfigError for those that do not fit."""
    explicit = explicit_settings(Word2VecConfig)
    if start is not None:
        from nlpseq.word2vec.start import word2vec_settings

        config = word2vec_settings(start, None, explicit)
        shares = start.text_defaults(explicit_settings(TextConfig))
    else:
        in_blocks = {"share_negatives": "pair"} if session.cluster or "parts" in explicit else {}
        config, shares = build_config(Word2VecConfig, WORD2VEC_PRESETS[preset] | in_blocks), {}
    text = build_text_config(shares | (VALID_SHARE if config.early_stop else {}))
    _refuse_useless(config)
    if session.cluster:
        if start is not None:
            raise ConfigError("--cluster: does not work with --start. Leave out one of the two.")
        if explicit.get("share_negatives") == "window":
            raise ConfigError("--share-negatives window: does not work with --cluster. Leave it out.")
        replace(config, parts=config.parts or 1)  # raises ConfigError for settings that blocks do not have
    if config.early_stop and not text.valid_share and dataset_folder(session.sources) is None:
        raise ConfigError("--early-stop: needs a valid split. Leave out --valid-share 0.")
    return config, text


def _open_start(path: Path) -> Start:
    """Open the vectors of --start; raise ConfigError for options that do not go with them."""
    if is_typed("preset"):
        raise ConfigError("--preset: does not go with --start, whose dimensions are used. Leave it out.")
    from nlpseq.word2vec.start import Start

    return Start(open_vectors(path, verify=False), path)


def _say_start(start: Start, data: TokenDataset, config: Word2VecConfig) -> None:
    """Describe the start and the text."""
    from nlpseq.word2vec.start import check_joint, has_outputs, new_share

    check_joint(data, start)
    vectors, words = start.vectors, data.vocab.without_specials()
    num_known, share = sum(word in vectors.vocab for word in words.words), new_share(start, data)
    parts = [f"{count_text(num_known, 'known word')}, {count_text(len(words) - num_known, 'new word')}"]
    if dropped := len(vectors.vocab) - num_known:
        parts.append(f"{count_text(dropped, 'known word')} dropped")
    of_all = f"the text is {share:.1%} of all tokens"
    if start.tokens is None:
        of_all = "earlier texts are taken as long as this one, because no counts are known"
    say(f"start {start.name}: {', '.join(parts)}; {of_all}")
    if (data.config.max_vocab or len(words) + 1) <= num_known:
        say_warning(
            f"--max-vocab {data.config.max_vocab}: leaves no room for new words. Raise it to learn new words."
        )
    if config.freeze_known and num_known == len(words):
        say_warning("--freeze-known: there is no new word, so no vector will change. Leave it out.")
    has_capitals = any(word != word.lower() for word in islice(vectors.vocab.words, MAX_SAMPLED))
    if "text_config" not in vectors.meta and data.config.lower and has_capitals:
        say_warning(
            f"{start.name}: has words with capitals, and the text was made lower-case, so they cannot meet. "
            "Turn --lower off, and use --tokenizer whitespace if punctuation is part of its words."
        )
    if not has_outputs(vectors):
        say(
            f"{start.name}: has no output vectors of word2vec, so these begin at zero. If the vectors are of "
            "nlpseq, their .w2v folder has them and is a better start"
        )
    if vectors.subwords is not None and len(words) > num_known:
        say(f"new words share the {count_text(len(vectors.subwords.rows_BD), 'bucket')} of the start")


def _open_before(run: UnfinishedRun) -> Vectors | None:
    """Return the start of a run, if any; warn if it is not found or has changed."""
    from nlpseq.vectors.vectors import Vectors
    from nlpseq.word2vec.start import Start

    start = run.meta.get("start")
    if start is None:
        return None
    needed = {"path", "counts_digest", "vectors_digest"}
    if not (isinstance(start, dict) and needed <= start.keys() and isinstance(start["path"], str | None)):
        raise ArtifactError(f"{run.path}: the start in meta.json is not valid. Train again with --force.")
    if start["path"] is None:
        say_warning("drift, scores before: will not be shown, because the start was in memory only.")
        return None
    try:
        before = Vectors.load(start["path"], verify=False)
        found = before.vocab.counts_digest, Start(before).vectors_digest
        if found == (start["counts_digest"], start["vectors_digest"]):
            return before
        reason = f"{start['path']} has changed"
    except NlpseqError as error:
        reason = without_advice(error)
    old, new = shell_path(Path(start["path"])), shell_path(run.path)
    say_warning(
        "drift, scores before: will not be shown, because the vectors of the start are not found "
        f"({reason}). Restore them to show both, or use nlpseq compare {old} {new} later."
    )
    return None


def _say_scores(
    before: Vectors | None, after: Vectors, evaluate: Callable[[Vectors], dict[str, Any]]
) -> None:
    """Say the scores before and after, also with known words alone; before: None if unknown."""
    old, new = ({} if each is None else score_cells(evaluate(each)) for each in (before, after))
    same = _scores_of_known(before, after, evaluate) if before is not None else {}
    for name in dict.fromkeys([*old, *new]):
        line = f"{name}: {old.get(name, '-')} before, {new.get(name, '-')} after"
        say(
            f"{line}; {same[name]} with known words alone"
            if same.get(name, new.get(name)) != new.get(name)
            else line
        )


def _scores_of_known(
    before: Vectors, after: Vectors, evaluate: Callable[[Vectors], dict[str, Any]]
) -> dict[str, str]:
    """Return the scores with the words of the start alone, because new words add questions."""
    from nlpseq.vectors.shrink import shrink

    known = [word for word in after.vocab.words if word in before.vocab]
    if after.subwords is not None or len(known) in (0, len(after)):
        return {}
    return score_cells(evaluate(shrink(after, words=known)))


def _say_drift(before: Vectors, after: Vectors) -> None:
    """Say how far known words moved; warn if no known word is left."""
    from nlpseq.vectors.drift import drift

    try:
        moved = drift(before, after)
    except DataError:
        say_warning("drift: no known word with a vector is left. Raise --max-vocab to keep known words.")
        return
    label = after.vocab.label
    say(f"drift of {count_text(moved.words, 'known word')}: mean cosine distance {moved.mean:.3g}")
    if moved.mean:
        say("moved most: " + ", ".join(f"{printable(label(word))} {far:.2g}" for word, far in moved.most))


def _resume(session: TrainingSession, *, has_sets: bool) -> tuple[Vectors, Vectors | None]:
    """Continue a run to its end, and return the vectors; also the vectors of its start, if any."""

    def on_start(run: UnfinishedRun, data: TokenDataset) -> None:
        say_contents(data, run.configs["config"].subsample)
        earlier = 0 if "start" in run.meta else None  # 0, because the config has the epochs
        _check_room(run.path, data, run.configs["config"], earlier)
        epoch, seconds = run.stored_counter("epoch"), run.stored_counter("seconds")
        say(f"continuing in epoch {epoch + 1}, after {seconds:.0f} s")
        session.start()

    run, settings = session.find_run("preset", "start"), explicit_settings(Word2VecConfig, TextConfig)
    if has_sets and "start" not in run.meta:
        raise ConfigError(
            f"{run.path}: did not begin with --start, so --pairs and --analogies have no effect. Leave them "
            "out, and use eval-w2v at the end."
        )
    before = _open_before(run)
    return session.resume(run, settings, on_start), before


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


def _check_room(
    path: Path, data: TokenDataset, config: Word2VecConfig, earlier: int | None
) -> Word2VecConfig:
    """Say how large training is, and return the plan.

    earlier: tokens of the earlier texts with a start, else None. Raises ResourceError if memory or disk do
    not suffice.
    """
    from nlpseq.storage import artifact
    from nlpseq.word2vec.memory import needed_bytes
    from nlpseq.word2vec.train import MAX_DEFAULT_BUCKETS, choose_buckets, resolve

    words, num_tokens = data.vocab.without_specials(), data.split("train").num_tokens
    plan = choose_buckets(config, words)
    has_start, tokens = earlier is not None, (earlier or 0) + num_tokens
    plan = resolve(plan, len(words), tokens, data.config.min_count, has_start=has_start)
    needed = needed_bytes(plan, words.words, has_start=has_start)
    if plan.buckets:
        default = f" (default: distinct n-grams, at most {MAX_DEFAULT_BUCKETS:,})"
        reason = default if config.buckets is None else ""
        letters = " and of 3 to 5 jamo" if plan.subword_units == "jamo" else ""
        say(f"n-grams of {plan.subwords} characters{letters} in {count_text(plan.buckets, 'bucket')}{reason}")
    say(
        f"{count_text(len(words), 'word')} x {plan.dim}, {needed.matrices} matrices: "
        f"{size_text(needed.stored)}; "
        f"epochs: {plan.epochs} of {num_tokens:,} words; threads: {plan.threads}; seed: {plan.seed}"
    )
    say(str(plan), level=1)
    check_memory(needed.memory, ("--buckets, " if plan.buckets else "") + VECTORS_REMEDY)
    checkpoints = 2  # during a commit
    artifact.check_free_disk(path, checkpoints * needed.checkpoint * (1 + plan.early_stop))
    return plan


def _say_result(path: Path, vectors: Vectors) -> None:
    """Say how training went, and what to type next."""
    meta = vectors.meta
    say(
        f"trained in {meta['seconds']:.1f} s, {meta['words_per_second']:,.0f} words/s; "
        f"loss {meta['loss'][0]:.4f} in the first epoch, {meta['loss'][-1]:.4f} in the last"
    )
    if (best := meta["best_epoch"]) is not None:
        kept = ""
        if meta["config"]["early_stop"]:
            is_averaged = "start" in meta and not meta["config"]["freeze_known"]
            use = "are in the mean over the texts" if is_averaged else "were kept"
            kept = f"; its vectors {use}, after {count_text(meta['epochs'], 'epoch')}"
        say(f"validation loss {meta['valid_loss'][best]:.4f} in epoch {best + 1}, the lowest{kept}")
    if meta["config"]["subwords"] and meta["loss"][-1] > meta["loss"][0]:
        say("with n-grams the loss may rise while the vectors get better; use eval-w2v to compare")
    ways_out = ways_to_pairs(meta["config"]["subsample"])
    say_untrained(vectors.vocab, vectors.zero_ids.tolist(), ways_out)
    say_neighbors(path, vectors)
