"""Where the text of a run is: what the run stores of it, and how it is found again."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.errors import ArtifactError, DataError, NlpseqError

from ._inputs import dataset_folder, encode, open_sources

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset

    from ._resume import Unfinished


def whereabouts(sources: tuple[str, ...], data: TokenDataset, *, beside: bool = False) -> dict[str, Any]:
    """What a run stores to find its data again; beside: if it stands beside the result it will replace."""
    resolved = [_resolved(each) for each in sources]
    return {"sources": resolved, "encoded": str(data.path.resolve()), "beside": beside}


def whereabouts_now(run: Unfinished, data: TokenDataset) -> dict[str, Any]:
    """The same of a run that goes on, perhaps with its corpus elsewhere."""
    before: dict[str, Any] = run.meta.get("source", {})
    return whereabouts(run.sources, data, beside=before.get("beside", False)) if run.sources else before


def _resolved(source: str) -> str:
    """A path or a glob from the root; a name of a corpus and - as they are."""
    is_path = Path(source).exists() or any(char in source for char in "*?[")
    return os.path.abspath(source) if is_path else source  # noqa: PTH100  # a glob is not to be resolved


def find_data(
    path: Path, meta: dict[str, Any], named: tuple[str, ...] = (), threads: int | None = None
) -> TokenDataset:
    """The data a run was trained on, from where it was or from the corpus named; ArtifactError without it.

    Where only the encoded text is gone, or damaged, it is encoded again.
    """
    try:
        data = _open_or_encode(meta, named, threads)
    except (KeyError, TypeError, NlpseqError) as error:
        raise ArtifactError(
            f"the corpus of {path} is not to be found ({_what_is_wrong(error)}). "
            "Bring it back, or name the text where it is."
        ) from error
    if data.digest != meta.get("data_digest"):
        raise ArtifactError(
            f"the corpus of {path} has changed since it was trained. Bring back the text as it was."
        )
    return data


def _what_is_wrong(error: Exception) -> str:
    """Without its last sentence, a way out that is not the one here."""
    return str(error).rpartition(". ")[0] or str(error)


def _open_or_encode(meta: dict[str, Any], named: tuple[str, ...], threads: int | None) -> TokenDataset:
    from nlpseq.dataset.token_dataset import TokenDataset

    text_config, source = from_dict(TextConfig, meta["text_config"]), meta.get("source", {})
    if not named:
        if "encoded" not in source:
            raise DataError("the run does not say where it was.")
        with suppress(ArtifactError):  # gone, or damaged
            return TokenDataset.open(source["encoded"])
        if "-" in source["sources"]:
            raise DataError("it was read from stdin.")
    sources = named or tuple(source["sources"])
    if folder := dataset_folder(sources):
        return TokenDataset.open(folder)
    corpus = open_sources(sources)
    if not named and corpus.size_bytes() is None:  # which nobody has asked to be read
        raise DataError("it is a pipe or a device.")
    return encode(corpus, text_config, threads)
