"""What the commands of the language model share: its data, found again, and texts encoded for it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nlpseq.config import LMConfig, TextConfig
from nlpseq.errors import ArtifactError, DataError, NlpseqError

from ._console import say_warning
from ._corpus import EncodingProgress, dataset_folder, open_sources, say_notices
from ._options import given, threads_option

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.text.dataset import TokenDataset
    from nlpseq.text.vocab import Vocab

F = TypeVar("F", bound=Callable[..., Any])

lm_argument = click.argument("model", metavar="LM", type=click.Path(path_type=Path))


def machine_options(command: F) -> F:
    """Decorator: --threads and --device, which load_model takes."""
    device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N")
    return threads_option(device(command))


def load_model(path: Path, threads: int | None = None, device: str = "cpu") -> LanguageModel:
    """The model in a folder, on the device where it is to run, and this machine made ready for it."""
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.lm.machine import open_device

    require_run(path)
    lm = LanguageModel.load(path)
    if not lm.meta["complete"]:
        say_warning(
            f"{path} is unfinished: this is its best state so far. "
            f"Go on with: nlpseq train-lm {shlex.quote(str(path))} --resume"
        )
    lm.model.to(open_device(replace(lm.config, threads=threads, device=device)))
    return lm


def require_run(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} does not exist. Name the folder of a language model.")


def encode_as(sources: tuple[str, ...], config: TextConfig, vocab: Vocab | None = None) -> TokenDataset:
    """A text encoded with these settings, and with this vocabulary where there is one already."""
    from nlpseq.text.encode import cached_dataset

    corpus = open_sources(sources)
    threads = given(LMConfig).get("threads") or click.get_current_context().params.get("threads")
    with EncodingProgress(corpus) as progress:
        return cached_dataset(corpus, config, vocab=vocab, threads=threads, progress=progress.report)


def encode_for(sources: tuple[str, ...], config: TextConfig, vocab: Vocab) -> TokenDataset:
    """A whole text, unsplit, as a model with this vocabulary reads it."""
    from nlpseq.text.dataset import TokenDataset

    if folder := dataset_folder(sources):
        return TokenDataset.open(folder)
    data = encode_as(sources, replace(config, valid_share=0.0, test_share=0.0), vocab)
    say_notices(data)
    return data


def find_valid(path: Path, meta: dict[str, Any], data: TokenDataset) -> TokenDataset:
    """The text a run is validated on: a split of its corpus, or one of its own; ArtifactError without it."""
    file = meta["source"]["valid"]
    if file is None:
        return data.split("valid")
    try:
        valid = encode_for((file,), data.config, data.vocab)
    except NlpseqError as error:
        raise ArtifactError(
            f"the validation text of {path} cannot be read ({error}). Bring it back to {file}."
        ) from error
    if valid.digest != meta["valid_digest"]:
        raise ArtifactError(
            f"{file}, the validation text of {path}, has changed. Bring back the text as it was."
        )
    return valid
