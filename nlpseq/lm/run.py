"""train_lm: a training run with its folder, from the first step or from where it was left."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from nlpseq.config import LMConfig
from nlpseq.config.fields import from_dict, is_number, to_dict
from nlpseq.core.resources import available_cores
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.lm.batches import Stream
from nlpseq.lm.checkpoint import MODEL, TRAINING, Checkpoint, Tensors, model_config
from nlpseq.lm.device import DTYPES, denormals_as_zero
from nlpseq.lm.language_model import LanguageModel, fit_weights
from nlpseq.lm.optim import optimizer_tensors, restore_optimizer
from nlpseq.lm.state import TrainState
from nlpseq.lm.train import Report, Trainer
from nlpseq.storage import artifact
from nlpseq.training.checkpoint import CheckpointConfig, Checkpointer
from nlpseq.vectors.vectors import Vectors

DEFAULT_BUDGET = 600.0  # seconds
COVERED = {"vectors_cover_words", "vectors_cover_text"}  # facts of a run that began with vectors
EMBEDDING_STD = 0.1 / 3**0.5  # of the uniform distribution embeddings begin with


def train_lm(
    data: TokenDataset,
    config: LMConfig | None = None,
    *,
    valid: TokenDataset | None = None,
    vectors: Vectors | None = None,
    folder: CheckpointConfig | None = None,
    report: Report | None = None,
) -> LanguageModel:
    """A language model trained on the train split, at its best on the validation split or on `valid`.

    vectors: what embeddings of words they know begin with. folder: where the run is stored while it goes on;
    without one it lives in memory. A run stopped through folder.should_stop has meta["complete"] False.
    Raises DataError for a text too short to learn from, RunError where the loss is no longer finite, or ten
    times that of knowing nothing.
    """
    if folder is not None:
        artifact.check_writable(folder.path, force=folder.force)
    config = resolve(config or LMConfig())
    trainer = _trainer(data, valid, config)
    facts = start_from(trainer, vectors) if vectors else {}
    facts |= trainer.probe()
    return _finish(trainer, folder, facts, report, is_resumed=False)


def resume_lm(
    folder: CheckpointConfig,
    data: TokenDataset,
    *,
    valid: TokenDataset | None = None,
    changes: Mapping[str, Any] = MappingProxyType({}),
    report: Report | None = None,
) -> LanguageModel:
    """Go on with the run in a folder exactly where its last checkpoint was taken.

    changes: settings of the machine (threads, device, precision) that are others now; without any it goes on
    as if it had not been stopped. Raises ConfigError where that run is complete, ArtifactError where the
    texts are not those it was trained and validated on.
    """
    checkpoint = Checkpoint.load(folder.path)
    artifact.check_writable(folder.path, force=True)
    if checkpoint.training is None:
        raise ConfigError(
            f"{folder.path} is complete. Use it as it is, or train anew from its text with --force."
        )
    config, _ = model_config(folder.path, checkpoint.meta)
    if data.digest != checkpoint.meta.get("data_digest"):
        raise ArtifactError(
            f"{data.path} is not the text {folder.path} was trained on, or it has changed since. "
            "Bring back the corpus as it was, or train anew with --force."
        )
    trainer = _trainer(data, valid, replace(config, **changes))
    if trainer.valid.digest != checkpoint.meta.get("valid_digest"):
        raise ArtifactError(
            f"{trainer.valid.path} is not the text {folder.path} was validated on, or it has changed since. "
            "Bring back that text as it was, or train anew with --force."
        )
    facts = _facts(folder.path, checkpoint.meta)
    restore(trainer, folder.path, checkpoint)
    if changes:  # another device may lack the precision of the first
        trainer.choose_precision(changes.get("precision", trainer.precision))
    return _finish(trainer, folder, facts, report, is_resumed=True)


def _facts(path: Path, meta: artifact.Meta) -> artifact.Meta:
    """What start_from and Trainer.probe told when the run began."""
    facts = meta.get("facts")
    if not isinstance(facts, dict) or not isinstance(facts.get("precision_reason"), str):
        raise ArtifactError(f"{path / 'meta.json'} is not valid (its facts are none). Train anew.")
    numbers = {"expected_passes"}
    if facts.keys() & COVERED:
        numbers |= COVERED
    for name in numbers:
        if not is_number(facts.get(name)):
            raise ArtifactError(
                f"{path / 'meta.json'} is not valid ({name}: {facts.get(name)!r}). Train anew."
            )
    return facts


def resolve(config: LMConfig) -> LMConfig:
    """The config with every default that depends on the machine filled in."""
    budget = config.time_budget
    if config.epochs is None and budget is None:
        budget = DEFAULT_BUDGET
    return replace(config, time_budget=budget, threads=config.threads or available_cores())


def _trainer(data: TokenDataset, valid: TokenDataset | None, config: LMConfig) -> Trainer:
    if data.config.phrases:
        raise ConfigError(
            f"{data.path} was encoded with phrases, which are for word vectors. Encode it again without them."
        )
    train = data.split("train")
    valid = data.split("valid") if valid is None else valid
    if valid.vocab.digest != data.vocab.digest:
        raise ArtifactError(
            f"{valid.path} was not encoded with the vocabulary of {data.path}. Encode it with that one."
        )
    least = 2 * config.batch_size
    if train.num_tokens + train.num_sentences < least:
        raise DataError(
            f"{data.path} has {train.num_tokens:,} tokens to train on, and {config.batch_size} columns need "
            f"at least {least:,}. Give more text, or lower --batch-size."
        )
    return Trainer(train, valid, config)


def start_from(trainer: Trainer, vectors: Vectors) -> artifact.Meta:
    """Put word vectors into the embedding, scaled to the size it begins with; what share of it they cover."""
    dim = trainer.config.dim
    if vectors.is_sparse:
        raise DataError("explicit vectors are as long as their vocabulary. Give dense ones to start from.")
    if vectors.matrix.shape[1] != dim:
        raise ConfigError(
            f"the vectors have {vectors.matrix.shape[1]} dimensions and the embedding {dim}. "
            f"Take --dim {vectors.matrix.shape[1]}, or other vectors."
        )
    vocab = trainer.data.vocab
    found = [vectors.vocab.ids.get(word, vectors.vocab.ids.get(word.lower(), -1)) for word in vocab.words]
    rows_V = np.array(found)
    known_V = rows_V >= 0
    scale = EMBEDDING_STD / (float(vectors.matrix.std()) or 1.0)
    with torch.no_grad():
        weight = trainer.model.embedding.weight
        weight[torch.from_numpy(known_V)] = torch.from_numpy(vectors.matrix[rows_V[known_V]] * scale).to(
            weight
        )
    occurrences_V = np.maximum(vocab.counts, 0)
    return {
        "vectors_cover_words": float(known_V.mean()),
        "vectors_cover_text": float(occurrences_V[known_V].sum() / max(1, occurrences_V.sum())),
    }


def _finish(
    trainer: Trainer,
    folder: CheckpointConfig | None,
    facts: artifact.Meta,
    report: Report | None,
    *,
    is_resumed: bool,
) -> LanguageModel:
    """Train to the end, or to where the run is stopped, with a checkpoint now and then."""

    def save() -> None:
        assert folder is not None
        trainer.check()
        _checkpoint(trainer, folder, facts).save(folder.path, force=folder.force or checkpoints.has_one)

    checkpoints = Checkpointer(folder, save, has_one=is_resumed)
    try:
        with denormals_as_zero():
            complete = trainer.train(checkpoints.between, report)
    except RunError as error:
        raise checkpoints.with_checkpoint_hint(error) from error
    fit_weights(trainer.model, trainer.result(), Path("the best weights"))
    meta = describe(trainer, folder, facts) | {"complete": complete}
    model = LanguageModel(trainer.model, trainer.data.vocab, meta, trainer.metrics)
    if folder is not None and complete:
        stands_beside = folder.result not in (None, folder.path)  # as it was asked to take the other's place
        force = folder.force or checkpoints.has_one or stands_beside
        model.save(folder.result or folder.path, force=force)
    return model


def describe(trainer: Trainer, folder: CheckpointConfig | None, facts: artifact.Meta) -> artifact.Meta:
    """What meta.json says of a run."""
    data = trainer.data
    return {
        "config": to_dict(trainer.config),
        "text_config": to_dict(data.config),
        "vocab_digest": data.vocab.digest,
        "corpus": data.meta.get("corpus"),
        "data_digest": data.digest,
        "num_entries": len(data.vocab),
        "num_parameters": sum(weight.numel() for weight in trainer.parameters),
        "train_tokens": data.num_tokens + data.num_sentences,
        "valid_digest": trainer.valid.digest,
        "valid_tokens_read": min(trainer.most_valid_tokens(), len(Stream(trainer.valid))),
        "valid_tokens": trainer.valid.num_tokens + trainer.valid.num_sentences,
        "position": asdict(trainer.position),
        "precision": trainer.precision,
        "device": str(trainer.device),
        "torch_version": torch.__version__,
        "facts": facts,
        "source": (folder.facts if folder else {}) or _source(trainer),
    }


def _source(trainer: Trainer) -> artifact.Meta:
    """Where the encoded texts are, which is all that is known of them without a command line."""
    data, valid = (str(each.path.resolve()) for each in (trainer.data, trainer.valid))
    return {"sources": [data], "encoded": data, "valid": None if valid == data else valid}


def _checkpoint(trainer: Trainer, folder: CheckpointConfig, facts: artifact.Meta) -> Checkpoint:
    """All of a run that is needed to go on with it exactly."""
    training: dict[str, Any] = {f"weights.{name}": each for name, each in trainer.model.named_parameters()}
    training |= {f"optimizer.{name}": each for name, each in optimizer_tensors(trainer.optimizer).items()}
    training |= {f"average.{i}": each for i, each in enumerate(trainer.average.values)}
    training |= {
        f"state.{i}.{j}": each for i, layer in enumerate(trainer.state) for j, each in enumerate(layer)
    }
    training |= {"average_updates": torch.tensor(trainer.average.updates), "loss_sum": trainer.loss_sum}
    meta = describe(trainer, folder, facts)
    return Checkpoint(meta, trainer.data.vocab, trainer.result(), trainer.metrics, training)


def restore(trainer: Trainer, path: Path, checkpoint: Checkpoint) -> None:
    """Bring a trainer to where a checkpoint was taken."""
    assert checkpoint.training is not None
    _restore_position(trainer, path, checkpoint.meta)
    fit_weights(trainer.model, checkpoint.model, path / MODEL)  # which are the best ones, as said below
    try:
        _restore_tensors(trainer, _grouped(checkpoint.training), path / TRAINING)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{path / TRAINING} does not fit its meta.json ({error!r}). Train anew."
        ) from error
    trainer.best = {name: each.to(trainer.device) for name, each in checkpoint.model.items()}
    trainer.metrics = list(checkpoint.metrics)


def _restore_position(trainer: Trainer, path: Path, meta: artifact.Meta) -> None:
    """How far the run is, and its precision, held to the data there is."""
    try:
        position, precision = from_dict(TrainState, meta["position"]), meta["precision"]
        position.validate(trainer.config, trainer.columns.length)
        if precision not in tuple(DTYPES):  # which it may be no key for
            raise ValueError(f"precision is {precision!r}")
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path / 'meta.json'} is not valid ({error}). Train anew.") from error
    trainer.position, trainer.precision = position, precision
    trainer.start_epoch()


def _restore_tensors(trainer: Trainer, parts: dict[str, Tensors], file: Path) -> None:
    fit_weights(trainer.model, parts["weights"], file)
    remembered = parts.get("optimizer", {})  # plain SGD remembers nothing
    _check_remembered(trainer, remembered)
    restore_optimizer(trainer.optimizer, remembered)
    for i, value in enumerate(trainer.average.values):
        value.copy_(parts["average"][str(i)])
    trainer.average.updates = int(parts["average_updates"][""])
    if not 0 <= trainer.average.updates <= trainer.position.step:
        raise ValueError(f"average_updates is {trainer.average.updates}")
    for i, layer in enumerate(trainer.state):
        for j, value in enumerate(layer):
            value.copy_(parts["state"][f"{i}.{j}"])
    trainer.loss_sum.copy_(parts["loss_sum"][""])


def _check_remembered(trainer: Trainer, tensors: Tensors) -> None:
    """ValueError where the optimizer would find missing, or of another shape, what it has of a weight."""
    remembers = () if trainer.config.optimizer == "sgd" else ("step", "exp_avg", "exp_avg_sq")
    weights = [each for group in trainer.optimizer.param_groups for each in group["params"]]
    wanted = {
        f"{number}.{name}": () if name == "step" else tuple(weight.shape)
        for number, weight in enumerate(weights)
        for name in remembers
    }
    wrong = {(name, tuple(each.shape)) for name, each in tensors.items()} ^ wanted.items()
    if wrong:
        raise ValueError(f"see {min(wrong)[0]} of the optimizer")


def _grouped(tensors: Tensors) -> dict[str, Tensors]:
    """Tensors by the part of their name before the first dot."""
    groups: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    return groups
