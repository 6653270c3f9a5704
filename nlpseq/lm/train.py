"""train_lm: a language model from an encoded corpus."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from nlpseq.config import LMConfig, TextConfig, lm_text
from nlpseq.config.fields import is_number, split_settings
from nlpseq.core.resources import available_cores, count_text
from nlpseq.core.tasks import Tasks, ThreadTasks
from nlpseq.dataset.diagnostics import UNSPACED
from nlpseq.dataset.encode_cache import as_dataset
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError, advise
from nlpseq.lm.checkpoint import Checkpoint, model_config
from nlpseq.lm.data_parallel import ParallelTrainer
from nlpseq.lm.language_model import LanguageModel
from nlpseq.lm.state import load_state
from nlpseq.lm.trainer import Trainer
from nlpseq.reading.corpus import Corpus, Source
from nlpseq.storage import artifact
from nlpseq.training import runner
from nlpseq.training.checkpoint import (
    CheckpointConfig,
    check_unfinished,
    lock_new_run,
    lock_resumed_run,
)
from nlpseq.training.progress import ProgressCallback
from nlpseq.training.provenance import check_same_text
from nlpseq.vectors.lazy_rows import row_blocks
from nlpseq.vectors.vectors import FoundWord, Vectors

__all__ = ["CheckpointConfig", "find_initial_vectors", "resolve", "resume_lm", "start_from", "train_lm"]

DEFAULT_BUDGET = 600.0  # seconds
COVERAGE = {"vectors_cover_words", "vectors_cover_text"}  # probe results of a run started from vectors
COLUMNS_OF_PART = 8  # by default
EMBEDDING_STD = 0.1 / 3**0.5  # of the uniform distribution of new embeddings


def train_lm(
    data: TokenDataset | Corpus | Source,
    config: LMConfig | None = None,
    *,
    valid: TokenDataset | None = None,
    vectors: Vectors | None = None,
    checkpoint: CheckpointConfig | None = None,
    progress: ProgressCallback | None = None,
    tasks: Tasks | None = None,
    **settings: Any,
) -> LanguageModel:
    """Train a language model on the train split, and return its best state on the valid split.

    data: an encoded corpus, or a source as in open_corpus. settings: fields of config, and of TextConfig for
    a source, with the defaults of the command train-lm.
    valid: another text to validate on. vectors: first values of the embeddings of their words. checkpoint:
    where to store the run; by default in memory only. tasks: workers for the parts of the batch, default
    threads if config.parts is set. A run stopped by checkpoint.should_stop has meta["complete"] False.
    Raises DataError if the text is too short, RunError if training diverges.
    """
    with lock_new_run(checkpoint):
        chosen, text = split_settings(LMConfig, config, settings, TextConfig)
        defaults = lm_text(str(text.get("tokenizer", "word")), split=valid is None)
        data = as_dataset(data, text, defaults, chosen.threads)
        with _trainer(data, valid, resolve(chosen, has_tasks=tasks is not None), tasks) as trainer:
            trainer.provenance = (checkpoint and checkpoint.provenance) or trainer.provenance
            trainer.probe_results = start_from(trainer, vectors) if vectors is not None else {}
            trainer.probe_results |= trainer.probe()
            return _run(trainer, checkpoint, progress)


def resume_lm(
    checkpoint: CheckpointConfig,
    data: TokenDataset,
    *,
    valid: TokenDataset | None = None,
    changes: Mapping[str, Any] = MappingProxyType({}),
    progress: ProgressCallback | None = None,
    tasks: Tasks | None = None,
) -> LanguageModel:
    """Continue a run exactly from its last checkpoint.

    changes: new values of threads, device or precision; without changes the result is the same as
    without a stop. Raises ConfigError if the run is complete, ArtifactError if a text has changed.
    """
    path = checkpoint.path
    with lock_resumed_run(checkpoint):
        place = path / artifact.CHECKPOINT
        stored = Checkpoint.load(place)
        check_unfinished(path, stored.meta)
        config, _ = model_config(place, stored.meta)
        check_same_text(path, data, is_same=data.digest == stored.meta.get("data_digest"))
        with _trainer(data, valid, replace(config, **changes), tasks) as trainer:
            is_same = trainer.valid.digest == stored.meta.get("valid_digest")
            check_same_text(path, trainer.valid, is_same=is_same, done="validated")
            trainer.probe_results = _probe_results(place, stored.meta)
            trainer.provenance = checkpoint.provenance or stored.meta.get("source") or trainer.provenance
            load_state(trainer, place, stored)
            if changes:  # because another device may lack the precision
                choice = trainer.choose_precision(changes.get("precision", trainer.precision))
                if "precision" in changes:
                    trainer.probe_results["precision_reason"] = choice.reason
            return _run(trainer, checkpoint, progress, is_resumed=True)


def _run(
    trainer: Trainer,
    checkpoint: CheckpointConfig | None,
    progress: ProgressCallback | None,
    *,
    is_resumed: bool = False,
) -> LanguageModel:
    """Train, and return the model with its best weights."""
    is_complete = runner.run(trainer, checkpoint, progress, is_resumed=is_resumed)
    trainer.model.load_state_dict(trainer.best)
    meta = trainer.describe() | {"complete": is_complete}
    return LanguageModel(trainer.model, trainer.data.vocab, meta, trainer.metrics)


def _probe_results(path: Path, meta: artifact.Meta) -> artifact.Meta:
    """Return the results of start_from and Trainer.probe; raise ArtifactError if invalid."""
    results = meta.get("facts")
    if isinstance(results, dict) and isinstance(results.get("precision_reason"), str):
        names = {"expected_passes"} | (COVERAGE if results.keys() & COVERAGE else set())
        if all(is_number(results.get(name)) for name in names):
            return results
    raise ArtifactError(
        f"{path / 'meta.json'}: is not valid (facts: {results!r:.150}). Train again with --force."
    )


def resolve(config: LMConfig, *, has_tasks: bool = False) -> LMConfig:
    """Fill in the default time budget, unless epochs are set, the threads, and the parts for tasks."""
    budget, parts = config.time_budget, config.parts
    if config.epochs is None and budget is None:
        budget = DEFAULT_BUDGET
    if has_tasks and parts is None:
        parts = max(1, config.batch_size // COLUMNS_OF_PART)
    return replace(config, time_budget=budget, parts=parts, threads=config.threads or available_cores())


@contextmanager
def _trainer(
    data: TokenDataset, valid: TokenDataset | None, config: LMConfig, tasks: Tasks | None
) -> Iterator[Trainer]:
    """Yield the trainer of a run; tasks: for the parts of the batch, default threads."""
    texts = _check_texts(data, valid, config)
    if config.parts is None:
        yield Trainer(*texts, config)
    elif tasks is not None:
        yield ParallelTrainer(*texts, config, tasks)
    else:
        assert config.threads
        with closing(ThreadTasks(config.threads)) as threads:
            yield ParallelTrainer(*texts, config, threads)


def _check_texts(
    data: TokenDataset, valid: TokenDataset | None, config: LMConfig
) -> tuple[TokenDataset, TokenDataset]:
    """Return the text to train on and the text to validate on."""
    if data.config.phrases:
        raise ConfigError(
            f"{data.name}: was encoded with phrases, which are for word vectors. Encode without --phrases."
        )
    train = data.split("train")
    valid = data.split("valid") if valid is None else valid
    if valid.vocab.digest != data.vocab.digest:
        raise ArtifactError(
            f"{valid.name}: was not encoded with the vocabulary of {data.name}. Encode the text with it."
        )
    if data.vocab.num_words < 2:
        raise DataError(
            f"{data.name}: the vocabulary has {data.vocab.num_words} word, and a language model needs at "
            f"least 2. {advise({'a lower --min-count': (data.config.min_count, 1)}, 'more text')} {UNSPACED}"
        )
    min_tokens = 2 * config.batch_size
    if train.num_tokens + train.num_sentences < min_tokens:
        raise DataError(
            f"{data.name}: has {count_text(train.num_tokens, 'token')} to train on, and --batch-size "
            f"{config.batch_size} needs at least {min_tokens:,}. Give more text, or lower --batch-size."
        )
    return train, valid


def start_from(trainer: Trainer, vectors: Vectors) -> artifact.Meta:
    """Copy word vectors, scaled, into the embedding; return the shares of words and text covered."""
    dim = trainer.config.dim
    if vectors.is_sparse:
        raise DataError("vectors: are sparse, as long as their vocabulary. Use dense vectors to start from.")
    if vectors.matrix.shape[1] != dim:
        raise ConfigError(
            f"vectors: have {count_text(vectors.matrix.shape[1], 'dimension')} and the embedding has {dim}. "
            f"Use --dim {vectors.matrix.shape[1]}, or other vectors."
        )
    vocab = trainer.data.vocab
    found = find_initial_vectors(vectors, vocab)
    known = [each for each in found if each is not None]
    known_V = np.array([each is not None for each in found], np.bool_)
    scale = EMBEDDING_STD / (_std(vectors.matrix) or 1.0)
    with torch.no_grad():
        weight = trainer.model.embedding.weight
        rows_ND = torch.from_numpy(vectors.stored_rows(known) * scale)
        weight[torch.from_numpy(known_V)] = rows_ND.to(weight)
    occurrences_V = np.maximum(trainer.data.counts, 0)
    num_made = sum(each.row is None for each in known)
    return {
        "vectors_cover_words": float(known_V.mean()),
        "vectors_cover_text": float(occurrences_V[known_V].sum() / max(1, occurrences_V.sum())),
    } | ({"vectors_from_subwords": num_made / len(vocab)} if num_made else {})


def find_initial_vectors(vectors: Vectors, vocab: Vocab) -> list[FoundWord | None]:
    """Return the vector of each word as written, in lower case, or of its n-grams; None without one.

    An unseen word has n-grams as the tokenizer of the vectors writes the word. Tokens of BPE have no n-grams,
    because they begin with a mark for a space, or are parts of words.
    """
    entries = vectors.without_subwords()
    written = entries.find_tokens(vocab.words)
    lower = entries.find_tokens([word.lower() for word in vocab.words])
    found = [written.get(word) or lower.get(word.lower()) for word in vocab.words]
    if vectors.subwords is None or vocab.bpe:
        return found
    others = [
        word for word, each in zip(vocab.words, found, strict=True) if not each and word not in SPECIALS
    ]
    made = dict(zip(others, vectors.find_vectors(others), strict=True))
    return [each or made.get(word) for word, each in zip(vocab.words, found, strict=True)]


def _std(matrix_VD: Any) -> float:
    """Return the standard deviation of all numbers, in blocks of rows."""
    total, squares = 0.0, 0.0
    for block in row_blocks(len(matrix_VD)):
        rows_BD = matrix_VD[block].astype(np.float64)
        total += float(rows_BD.sum())
        squares += float(np.square(rows_BD).sum())
    size = matrix_VD.shape[0] * matrix_VD.shape[1]
    return float(max(0.0, squares / size - (total / size) ** 2) ** 0.5)
