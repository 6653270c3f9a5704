"""A run on disk: the best weights so far and, until training is complete, all it takes to go on.

model.safetensors      weights that did best on validation: what `LanguageModel.load` reads
training.safetensors   present weights, their mean, the optimizer's memory, the state carried from chunk to
                       chunk; only while meta.json says `complete: false`
metrics.jsonl          the course of the training, one measurement a line
meta.json, vocab.tsv, README.md
"""

import errno
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlpseq.config import LMConfig, TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.lm.model import num_parameters
from nlpseq.storage import artifact
from nlpseq.training.metrics import read_metrics, write_metrics

KIND, VERSION = "lm", 1
MODEL, TRAINING, VOCAB, CARD = "model.safetensors", "training.safetensors", "vocab.tsv", "README.md"
STORED = (torch.float32, torch.int64)  # types of tensors
AT_ONCE = 1 << 20  # numbers of a tensor that are checked together

Tensors = dict[str, Tensor]


class Checkpoint(NamedTuple):
    """Everything a folder holds."""

    meta: artifact.Meta
    vocab: Vocab
    model: Tensors
    metrics: Sequence[artifact.Meta]
    training: Tensors | None = None  # None where training is complete
    card: str = ""

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the folder; with force it takes the place of one that is there, at once and whole."""
        with artifact.create(path, KIND, VERSION, force=force) as folder:
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
        """What is in a folder, checked; ArtifactError where something is damaged or does not fit."""
        return artifact.load_consistent(path, lambda: cls._load(path, verify))

    @classmethod
    def _load(cls, path: Path, verify: bool) -> "Checkpoint":
        meta = artifact.load_meta(path, KIND, VERSION, verify=verify)
        vocab = Vocab.load(path / VOCAB)
        _check_meta(path, meta, vocab)
        model = _load_tensors(path / MODEL)
        _check_size(path, meta, vocab, model)
        training = None if meta["complete"] else _load_tensors(path / TRAINING)
        return cls(meta, vocab, model, read_metrics(path), training)


def model_config(path: Path, meta: artifact.Meta) -> tuple[LMConfig, TextConfig]:
    """How the model was made, and the text it reads."""
    try:
        return from_dict(LMConfig, meta["config"]), from_dict(TextConfig, meta["text_config"])
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path / 'meta.json'} is not valid ({error}). Train the model again.") from error


def _check_meta(path: Path, meta: artifact.Meta, vocab: Vocab) -> None:
    model_config(path, meta)
    if meta.get("vocab_digest") != vocab.digest or tuple(vocab.words[vocab.num_words :]) != SPECIALS:
        raise ArtifactError(f"{path / VOCAB} is not the vocabulary of this model. Copy the folder again.")
    if not isinstance(meta.get("complete"), bool):
        raise ArtifactError(
            f"{path / 'meta.json'} does not say whether it is complete. Copy the folder again."
        )


def _check_size(path: Path, meta: artifact.Meta, vocab: Vocab, model: Tensors) -> None:
    """Hold the network that meta.json describes to the weights there are, before one is made of that size."""
    described = num_parameters(model_config(path, meta)[0], len(vocab))
    found = sum(weight.numel() for weight in model.values())
    if described != found:
        raise ArtifactError(
            f"{path / MODEL} has {found:,} weights and its meta.json describes {described:,}. "
            "Copy the folder again, or train the model again."
        )


def _save_tensors(file: Path, tensors: Tensors) -> None:
    try:
        save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, file)
    except SafetensorError as error:  # it writes by itself, and says so when it cannot
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


def _load_tensors(file: Path) -> Tensors:
    try:
        tensors: Tensors = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(
            f"{file} cannot be read as safetensors ({error}). Copy the folder again."
        ) from error
    for name, tensor in tensors.items():
        if tensor.dtype not in STORED:
            raise ArtifactError(f"{file} has {name} as {tensor.dtype}. Copy the folder again.")
        parts = torch.split(tensor.flatten(), AT_ONCE)  # as it takes copies to look at one
        if not all(part.isfinite().all() for part in parts):
            raise ArtifactError(
                f"{file} has numbers in {name} that are not finite. Copy the folder again, or train anew."
            )
    return tensors
