"""What the commands of the language model share: its data, found again, and texts encoded for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import TextConfig
from nlpseq.errors import ArtifactError, NlpseqError
from nlpseq.settings import from_dict

from ._corpus import EncodingProgress, dataset_folder, open_sources

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.text.dataset import TokenDataset
    from nlpseq.text.vocab import Vocab

lm_argument = click.argument("model", metavar="LM", type=click.Path(path_type=Path))


def encode_as(sources: tuple[str, ...], config: TextConfig, vocab: Vocab | None = None) -> TokenDataset:
    """A text encoded with these settings, and with this vocabulary where there is one already."""
    from nlpseq.text.encode import cached_dataset

    corpus = open_sources(sources)
    with EncodingProgress(corpus) as progress:
        return cached_dataset(corpus, config, vocab=vocab, progress=progress.report)


def encode_for(sources: tuple[str, ...], text_config: TextConfig, vocab: Vocab) -> TokenDataset:
    """A whole text, unsplit, as a model with this vocabulary reads it."""
    from nlpseq.text.dataset import TokenDataset

    if folder := dataset_folder(sources):
        return TokenDataset.open(folder)
    return encode_as(sources, replace(text_config, valid_share=0.0, test_share=0.0), vocab)


def whereabouts(sources: tuple[str, ...], data: TokenDataset, valid: Path | None) -> dict[str, Any]:
    """What a run stores to find its data again."""
    paths = [str(Path(each).resolve()) if Path(each).exists() else each for each in sources]
    return {
        "sources": paths,
        "encoded": str(data.path.resolve()),
        "valid": None if valid is None else str(valid.resolve()),
    }


def find_data(path: Path, meta: dict[str, Any]) -> tuple[TokenDataset, TokenDataset | None]:
    """The data a run was trained on, and the text it was validated on if that is one of its own.

    ArtifactError where they are gone or no longer the same; they are encoded again where only the cache is.
    """
    from nlpseq.text.dataset import TokenDataset

    source, text_config = meta.get("source", {}), from_dict(TextConfig, meta["text_config"])
    try:
        encoded = Path(source["encoded"])
        data = (
            TokenDataset.open(encoded)
            if encoded.exists()
            else encode_as(tuple(source["sources"]), text_config)
        )
    except (KeyError, TypeError, NlpseqError) as error:
        raise ArtifactError(
            f"the corpus of {path} is not to be found ({error}). Bring it back, or name a text."
        ) from error
    if data.digest != meta["data_digest"]:
        raise ArtifactError(
            f"the corpus of {path} has changed since it was trained. Bring the old one back, or name a text."
        )
    valid = source["valid"] and encode_for((source["valid"],), text_config, data.vocab)
    return data, valid


def load_model(path: Path) -> LanguageModel:
    """The model in a folder, and this machine made ready to run it."""
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.lm.machine import prepare_cpu

    prepare_cpu(None)
    return LanguageModel.load(path)
