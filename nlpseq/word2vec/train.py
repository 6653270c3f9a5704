"""train_word2vec: from an encoded corpus to word vectors."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.config.fields import to_dict
from nlpseq.core.resources import available_cores
from nlpseq.dataset.subsample import HALF, keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.storage import artifact
from nlpseq.training.checkpoint import CheckpointConfig, Checkpointer
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.checkpoint import load_checkpoint, save_checkpoint
from nlpseq.word2vec.kernels.select import KernelSelection, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.parallel import LocalSGD
from nlpseq.word2vec.run import Run
from nlpseq.word2vec.sampling import Tables, alias_table
from nlpseq.word2vec.state import Report, TrainState
from nlpseq.word2vec.weights import initial_weights, to_numpy, with_padding, without_padding

DEFAULT_RATE = {"skipgram": 0.025, "legacy": 0.075, "corrected": 0.15}  # measured: see README.md


def train_word2vec(
    data: TokenDataset,
    config: Word2VecConfig | None = None,
    *,
    progress: Report | None = None,
    folder: CheckpointConfig | None = None,
) -> Vectors:
    """CBOW or skip-gram vectors of every word in the vocabulary, trained on the train split.

    Where there is a valid split its loss is measured after each epoch; with config.early_stop the run ends
    once that no longer falls, and gives the vectors of its best epoch. folder: where the run is stored while
    it goes on; without one it lives in memory. A run stopped through folder.should_stop has meta["complete"]
    False. Raises DataError where there is nothing to learn from, or no valid split for early_stop, and
    RunError where the loss is no longer finite, or ten times that of knowing nothing.
    """
    if folder is not None:
        artifact.check_writable(folder.path, force=folder.force)
    train = data.split("train")
    config = resolve(config or Word2VecConfig(), len(data.vocab.without_specials()), train.num_tokens)
    choice = select(config)
    weights = initial_weights(len(data.vocab.without_specials()), config, choice.lanes)
    return _finish(_run(data, config, choice, weights, TrainState()), data, folder, progress)


def resume_word2vec(
    folder: CheckpointConfig,
    data: TokenDataset,
    *,
    changes: Mapping[str, Any] = MappingProxyType({}),
    progress: Report | None = None,
) -> Vectors:
    """Go on with the run in a folder exactly where its last checkpoint was taken.

    changes: settings of the machine (threads, backend, kernel) that are others now; none with
    config.deterministic. That way, or with one thread, the vectors are those of a run that was never stopped.
    Raises ConfigError where that run is complete, ArtifactError where it was trained on another text.
    """
    checkpoint = load_checkpoint(folder.path)
    artifact.check_writable(folder.path, force=True)
    words = data.vocab.without_specials()
    if (data.digest, words.digest) != (checkpoint.meta.get("data_digest"), checkpoint.vocab.digest):
        raise ArtifactError(
            f"{data.path} is not the text {folder.path} was trained on, or it has changed since. "
            "Bring back the corpus as it was, or train anew with --force."
        )
    config = replace(checkpoint.config, **changes)
    if changes and config.deterministic:
        raise ConfigError(
            f"{folder.path} is deterministic, so it goes on as it was begun. Leave out {', '.join(changes)}."
        )
    choice = select(config)

    def padded(weights: Weights) -> Weights:
        return Weights(*(with_padding(rows_VD, choice.lanes) for rows_VD in weights))

    best = None if checkpoint.best is None else padded(checkpoint.best)
    run = _run(data, config, choice, padded(checkpoint.weights), checkpoint.position, best)
    return _finish(run, data, folder, progress, is_resumed=True)


def _run(
    data: TokenDataset,
    config: Word2VecConfig,
    choice: KernelSelection,
    weights: Weights,
    position: TrainState,
    best: Weights | None = None,
) -> Run:
    """A run with its tables, on the device of the choice."""
    has_valid = data.meta["splits"]["valid"][0] < data.meta["splits"]["valid"][1]
    valid = data.split("valid") if has_valid or config.early_stop else None
    xp = choice.xp
    present = Weights(*map(xp.asarray, weights))
    kept = None if best is None else Weights(*map(xp.asarray, best))
    tables = make_tables(data.split("train"), config, xp)  # after the weights, whose room the text must leave
    held_out = None if valid is None else tables._replace(sentences=valid.sentences)
    sharing = None
    if config.deterministic and choice.is_compiled and config.threads and config.threads > 1:
        sharing = LocalSGD(present, position, config.threads, pairs_of_words(data.split("train"), config))
    return Run(config, choice, tables, held_out, present, position, kept, sharing)


def _finish(
    run: Run,
    data: TokenDataset,
    folder: CheckpointConfig | None,
    progress: Report | None,
    *,
    is_resumed: bool = False,
) -> Vectors:
    """Train to the end, or to where the run is stopped, with a checkpoint now and then."""

    def save() -> None:
        assert folder is not None
        meta = _describe(run, data, folder) | {"compile_seconds": compile_seconds}
        force = folder.force or checkpoints.has_one
        save_checkpoint(folder.path, data.vocab.without_specials(), run, meta, force=force)

    checkpoints = Checkpointer(folder, save, has_one=is_resumed)
    started = time.perf_counter()
    run.compile()
    compile_seconds = time.perf_counter() - started
    try:
        is_complete = run.train(progress, checkpoints.is_due, checkpoints.between)
    except RunError as error:
        raise checkpoints.with_checkpoint_hint(error) from error
    meta = _describe(run, data, folder) | {"compile_seconds": compile_seconds, "complete": is_complete}
    in_VD, out_VD = (without_padding(to_numpy(weight), run.config.dim) for weight in run.best)
    return Vectors(data.vocab.without_specials(), in_VD, out_VD, meta)


def pairs_of_words(data: TokenDataset, config: Word2VecConfig) -> npt.NDArray[np.float64]:
    """In how many pairs each word is as an input, a target or noise, for each token of the train split."""
    counts_V = data.vocab.without_specials().counts
    kept_V = counts_V / data.num_tokens * (keep_thresholds(counts_V, config.subsample) / 2.0**HALF)
    noise_V = counts_V**config.smoothing
    noise_V *= kept_V.sum() / noise_V.sum()
    pairs_V: npt.NDArray[np.float64] = (1 + config.negatives) * kept_V + config.negatives * noise_V
    return (config.window + 1) * pairs_V


def resolve(config: Word2VecConfig, num_words: int, num_tokens: int) -> Word2VecConfig:
    """The config with every default that depends on the data or the machine filled in."""
    if num_words < 2:
        raise DataError(
            f"the vocabulary has {num_words} word, and word2vec needs at least 2 to tell apart. "
            "Give more text, or lower --min-count."
        )
    update = config.objective if config.objective == "skipgram" else config.cbow_update
    learning_rate = config.learning_rate or DEFAULT_RATE[update]
    epochs = config.epochs or min(20, max(5, round(80e6 / num_tokens)))
    threads = config.threads or available_cores()
    return replace(config, learning_rate=learning_rate, epochs=epochs, threads=threads)


def make_tables(data: TokenDataset, config: Word2VecConfig, xp: Any) -> Tables:
    """What a run reads, on the device of xp; data: the train split."""
    counts_V = data.vocab.without_specials().counts
    return Tables(
        resident(data.tokens, xp),
        data.sentences,
        xp.asarray(keep_thresholds(counts_V, config.subsample)),
        xp.asarray(alias_table(np.maximum(counts_V, 1).astype(np.float64) ** config.smoothing)),
    )


def resident(tokens: npt.NDArray[Any], xp: Any) -> Any:
    """The tokens on the device of xp; where half of its free memory has no room for them, as they are.

    Kernels then fetch the tokens that they work on, a part of the text at a time.
    """
    if xp is np:
        return tokens
    free, _ = xp.cuda.runtime.memGetInfo()
    return xp.asarray(tokens) if tokens.nbytes <= free // 2 else tokens


def _describe(run: Run, data: TokenDataset, folder: CheckpointConfig | None) -> artifact.Meta:
    """What meta.json says of a run."""
    config, position, train = run.config, run.position, data.split("train")
    words_trained = train.num_tokens * position.epoch + run.sums[:, 2].sum()
    return {
        "model": f"word2vec {config.objective}",
        "config": to_dict(config),
        "text_config": to_dict(data.config),
        "corpus": data.meta.get("corpus"),
        "data_vocab_digest": data.vocab.digest,
        "data_digest": data.digest,
        "source": folder.facts if folder else {},
        "backend": run.choice.backend,
        "kernel": run.choice.kernel,
        "threads": config.threads,
        "tokens": train.num_tokens,
        "seconds": position.seconds,
        "words_per_second": words_trained / position.seconds if position.seconds else 0.0,
        "loss": [loss for loss in position.losses if loss is not None],
        "epochs": position.epoch,
        "predictions": position.predictions,
        "valid_loss": position.held_out,
        "best_epoch": position.best_epoch,
        "position": asdict(position),
    }
