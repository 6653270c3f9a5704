"""Folder of a language model, complete or a checkpoint.

model.safetensors      weights with the lowest validation loss; LanguageModel.load reads them
training.safetensors   present weights, their mean, the optimizer's moments, the recurrent state; only in a
                       checkpoint, whose meta.json has `complete: false`
metrics.jsonl          measurements of the training
meta.json, vocab.tsv, README.md
"""

import errno
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlpseq.config import LMConfig, TextConfig
from nlpseq.config.fields import from_dict, from_stored
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.lm.model import num_parameters
from nlpseq.storage import artifact
from nlpseq.training.metrics import read_metrics, write_metrics

__all__ = ["KIND", "MODEL", "TRAINING", "VERSION", "Checkpoint", "Tensors", "check_shapes", "model_config"]

KIND, VERSION = "lm", 1
MODEL, TRAINING, VOCAB, CARD = "model.safetensors", "training.safetensors", "vocab.tsv", "README.md"
STORED_DTYPES = (torch.float32, torch.int64)
CHECKED_NUMBERS = 1 << 20  # of a tensor, at once

Tensors = dict[str, Tensor]


class Checkpoint(NamedTuple):
    """Content of a folder."""

    meta: artifact.Meta
    vocab: Vocab
    model: Tensors
    metrics: Sequence[artifact.Meta]
    training: Tensors | None = None  # None after training is complete
    card: str = ""

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the folder; force: overwrite an existing result."""
        with artifact.create(path, KIND, VERSION, force=force) as folder:
            self.fill(folder)

    def fill(self, folder: artifact.Folder) -> None:
        """Write every file into a new folder."""
        _save_tensors(folder.path / MODEL, self.model)
        if self.training is not None:
            _save_tensors(folder.path / TRAINING, self.training)
        self.vocab.save(folder.path / VOCAB)
        write_metrics(folder.path, self.metrics)
        if self.card:
            (folder.path / CARD).write_text(self.card, "utf-8")
        folder.write_meta(self.meta | {"complete": self.training is None})

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> "Checkpoint":
        """Return the content of a folder; raise ArtifactError if it is corrupt or does not fit together."""

        def load() -> Checkpoint:
            meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
            vocab, model = Vocab.load(path / VOCAB), _load_tensors(path / MODEL)
            _check_meta(path, meta, vocab, model)
            training = None if meta["complete"] else _load_tensors(path / TRAINING)
            return cls(meta, vocab, model, read_metrics(path, has_perplexity=True), training)

        return artifact.load_consistent(path, load)


def model_config(path: Path, meta: artifact.Meta) -> tuple[LMConfig, TextConfig]:
    """Return the settings of the model and of its text."""
    try:
        return from_dict(LMConfig, meta["config"]), from_stored(TextConfig, meta["text_config"])
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{path / 'meta.json'}: is not valid ({error}). Train the model again."
        ) from error


def check_shapes(wanted: Mapping[str, Tensor], found: Tensors, file: Path) -> None:
    """Raise ArtifactError if the tensors of a file have other names or shapes than wanted."""
    shapes = [{name: tuple(each.shape) for name, each in part.items()} for part in (wanted, found)]
    if wrong := sorted(set(shapes[0].items()) ^ set(shapes[1].items())):
        raise ArtifactError(f"{file}: does not fit meta.json (see {wrong[0][0]}). Train again with --force.")


def _check_meta(path: Path, meta: artifact.Meta, vocab: Vocab, model: Tensors) -> None:
    """Check meta.json, also the number of weights, before a network of this size takes memory."""
    config, _ = model_config(path, meta)
    if meta.get("vocab_digest") != vocab.digest or tuple(vocab.words[vocab.num_words :]) != SPECIALS:
        raise ArtifactError(f"{path / VOCAB}: is not the vocabulary of this model. Copy the folder again.")
    if not isinstance(meta.get("complete"), bool):
        raise ArtifactError(f"{path / 'meta.json'}: has no field `complete`. Copy the folder again.")
    described, found = num_parameters(config, len(vocab)), sum(weight.numel() for weight in model.values())
    if described != found:
        raise ArtifactError(
            f"{path / MODEL}: has {count_text(found, 'weight')} and its meta.json describes {described:,}. "
            "Copy the folder again, or train the model again."
        )


def _save_tensors(file: Path, tensors: Tensors) -> None:
    try:
        save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, file)
    except SafetensorError as error:  # which wraps the error of the system
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


def _load_tensors(file: Path) -> Tensors:
    try:
        tensors: Tensors = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(
            f"{file}: cannot be read as safetensors ({error}). Copy the folder again."
        ) from error
    for name, tensor in tensors.items():
        if tensor.dtype not in STORED_DTYPES:
            raise ArtifactError(f"{file}: has {name} as {tensor.dtype}. Copy the folder again.")
        parts = torch.split(tensor.flatten(), CHECKED_NUMBERS)  # because isfinite copies
        if not all(part.isfinite().all() for part in parts):
            raise ArtifactError(f"{file}: has numbers in {name} that are not finite. Copy the folder again.")
    return tensors
