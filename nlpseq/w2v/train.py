"""train_word2vec: from an encoded corpus to word vectors."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.draws import INIT, draw_array, stream_key
from nlpseq.errors import DataError
from nlpseq.settings import available_cores, to_dict
from nlpseq.text.dataset import TokenDataset
from nlpseq.text.subsample import keep_thresholds
from nlpseq.vectors.vectors import Vectors
from nlpseq.w2v.kernels import Choice, padded, select
from nlpseq.w2v.objectives import Weights
from nlpseq.w2v.run import Course, Report, Run
from nlpseq.w2v.sampling import Tables, alias_table

BLOCK = 1_000  # rows of weights worked on at once
DEFAULT_RATE = {"skipgram": 0.025, "legacy": 0.075, "corrected": 0.15}  # measured: see README.md


def train_word2vec(
    data: TokenDataset, config: Word2VecConfig | None = None, *, progress: Report | None = None
) -> Vectors:
    """CBOW or skip-gram vectors of every word in the vocabulary, trained on the train split.

    Where there is a valid split its loss is measured after each epoch; with config.early_stop the run ends
    once that no longer falls, and gives the vectors of its best epoch. Raises DataError where there is
    nothing to learn from, or no valid split for early_stop, and RunError where the loss is no longer finite.
    """
    has_valid = data.meta["splits"]["valid"][0] < data.meta["splits"]["valid"][1]
    valid = data.split("valid") if has_valid or (config and config.early_stop) else None
    data = data.split("train")
    config = resolve(config or Word2VecConfig(), len(data.vocab.without_specials()), data.num_tokens)
    choice = select(config)
    tables, weights = prepare(data, config, choice.xp)
    held_out = None if valid is None else tables._replace(sentences=choice.xp.asarray(valid.sentences))
    run = Run(config, choice, tables, held_out, weights, progress)
    started = time.perf_counter()
    run.compile()
    compiled = time.perf_counter()
    course = run.train()
    seconds = {"compile_seconds": compiled - started, "seconds": time.perf_counter() - compiled}
    return _result(data, replace(config, threads=run.threads), choice, weights, course, seconds)


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


def prepare(data: TokenDataset, config: Word2VecConfig, xp: Any) -> tuple[Tables, Weights]:
    """Tables and fresh weights, on the device of xp."""
    counts_V = data.vocab.without_specials().counts
    tables = Tables(
        xp.asarray(data.tokens),
        xp.asarray(data.sentences),
        xp.asarray(keep_thresholds(counts_V, config.subsample)),
        xp.asarray(alias_table(np.maximum(counts_V, 1).astype(np.float64) ** config.smoothing)),
    )
    return tables, Weights(*(xp.asarray(weight) for weight in initial_weights(len(counts_V), config)))


def initial_weights(num_words: int, config: Word2VecConfig) -> Weights:
    """Inputs uniform within 0.5/dim of 0, outputs 0, as in word2vec.c; rows padded with zeros."""
    in_VD, out_VD = (_aligned_zeros(num_words, padded(config.dim)) for _ in range(2))
    key, column_D = stream_key(config.seed, INIT, 0), np.arange(config.dim)[None, :]
    for first in range(0, num_words, BLOCK):
        word_id = np.arange(first, min(first + BLOCK, num_words))[:, None]
        uniform = (draw_array(key, word_id, column_D, np) >> np.uint64(40)) * np.float32(2.0**-24)
        in_VD[word_id[:, 0], : config.dim] = (uniform - np.float32(0.5)) / np.float32(config.dim)
    return Weights(in_VD, out_VD)


def _aligned_zeros(rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Zeros whose rows begin on cache lines."""
    raw = np.zeros(rows * columns + 16, np.float32)
    skip = -raw.ctypes.data % 64 // 4
    return raw[skip : skip + rows * columns].reshape(rows, columns)


def _result(
    data: TokenDataset,
    config: Word2VecConfig,
    choice: Choice,
    weights: Weights,
    course: Course,
    seconds: dict[str, float],
) -> Vectors:
    assert config.epochs
    meta = {
        "model": f"word2vec {config.objective}",
        "config": to_dict(config),
        "text_config": to_dict(data.config),
        "corpus": data.meta.get("corpus"),
        "data_vocab_digest": data.vocab.digest,
        "backend": choice.backend,
        "kernel": choice.kernel,
        "threads": config.threads,
        "tokens": data.num_tokens,
        **seconds,
        "words_per_second": data.num_tokens * course.epochs / seconds["seconds"],
        "loss": course.losses,
        "epochs": course.epochs,
        "predictions": course.predictions,
        "valid_loss": course.held_out,
        "best_epoch": course.best_epoch,
    }
    in_VD, out_VD = (_without_padding(_to_numpy(weight), config.dim) for weight in weights)
    return Vectors(data.vocab.without_specials(), in_VD, out_VD, meta)


def _to_numpy(array: Any) -> npt.NDArray[np.float32]:
    host: npt.NDArray[np.float32] = array.get() if hasattr(array, "get") else array
    return host


def _without_padding(padded_VP: npt.NDArray[np.float32], dim: int) -> npt.NDArray[np.float32]:
    """The first `dim` columns, moved together in the same memory, as a copy might not have room."""
    num, flat = len(padded_VP), padded_VP.reshape(-1)
    for first in range(0, num, BLOCK):
        rows = padded_VP[first : first + BLOCK, :dim].copy()
        flat[first * dim : first * dim + rows.size] = rows.reshape(-1)
    return flat[: num * dim].reshape(num, dim)
