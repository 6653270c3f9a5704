"""Provenance of a run: where the corpus is, and how `resume` finds the corpus again.

meta.json of a run stores it as `source`: `sources` are the paths, globs, addresses or names of the corpus,
`encoded` is the folder of the encoded corpus, `valid` the validation file of a language model, or null for a
split.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_stored
from nlpseq.dataset.encode_cache import cached_dataset
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError, NlpseqError, without_advice
from nlpseq.reading.corpus import open_corpus
from nlpseq.reading.remote import is_remote
from nlpseq.storage.artifact import Meta
from nlpseq.vectors.vectors import Vectors

__all__ = ["Encode", "check_same_text", "dataset_dir", "describe_source", "encode_sources", "find_dataset"]
__all__ += ["find_valid"]

Encode = Callable[[tuple[str, ...], TextConfig, Vocab | None, Vocab | None], TokenDataset]
"""(sources, config, vocabulary to use, vocabulary of the start) -> encoded corpus."""


def encode_sources(
    sources: tuple[str, ...], config: TextConfig, vocab: Vocab | None = None, start: Vocab | None = None
) -> TokenDataset:
    """Return a corpus encoded with these settings, from the cache if possible; see dataset.preprocess."""
    return cached_dataset(open_corpus(*sources), config, vocab=vocab, start=start)


def describe_source(
    data: TokenDataset, sources: tuple[str, ...] = (), valid: Path | str | None = None
) -> Meta:
    """Return the provenance of an encoded corpus.

    sources: the names a person typed, by default the encoded folder. valid: the validation text, if any.
    """
    encoded = str(data.path.resolve())
    return {
        "sources": [*map(_absolute, sources)] or [encoded],
        "encoded": encoded,
        "valid": None if valid is None else _absolute(str(valid)),
    }


def _absolute(source: str) -> str:
    """Return a path or glob from the root; an address, the name of a corpus and - stay."""
    is_path = not is_remote(source) and (Path(source).exists() or any(char in source for char in "*?["))
    return os.path.abspath(source) if is_path else source  # noqa: PTH100  # keep a glob


def find_dataset(
    path: Path, meta: Meta, named: tuple[str, ...] = (), encode: Encode = encode_sources
) -> TokenDataset:
    """Return the corpus of a run, by its provenance or by the sources named.

    A corpus whose encoded folder is missing or corrupt is encoded again. path: of the run, for messages.
    meta: of the run. Raises ArtifactError if the corpus is not found or has changed, or if this holds for the
    start, whose vocabulary is needed to encode the corpus again.
    """
    with _corpus_errors(path):
        data = _find(meta, named)
    if not isinstance(data, TokenDataset):
        start = _start_vocab(path, meta)
        with _corpus_errors(path):
            data = encode(data, from_stored(TextConfig, meta["text_config"]), None, start)
    if "data_digest" in meta and data.digest != meta["data_digest"]:
        raise ArtifactError(
            f"{path}: the corpus has changed since training started. Restore the text as it was, "
            "or train again with --force."
        )
    return data


@contextmanager
def _corpus_errors(path: Path) -> Iterator[None]:
    """Raise ArtifactError that the corpus of a run is not found, for any error."""
    try:
        yield
    except (KeyError, TypeError, NlpseqError) as error:
        raise ArtifactError(
            f"{path}: the corpus is not found ({without_advice(error)}). Move it back, or name the corpus to "
            "continue the run with --resume."
        ) from error


def find_valid(path: Path, meta: Meta, data: TokenDataset, encode: Encode = encode_sources) -> TokenDataset:
    """Return the validation text of a language model: a separate file, or a split of the corpus."""
    source = meta.get("source")
    file = source.get("valid") if isinstance(source, dict) else None
    if file is None:
        return data.split("valid")
    try:
        folder = dataset_dir((file,))
        unsplit = replace(data.config, valid_share=0.0, test_share=0.0)
        valid = TokenDataset.open(folder) if folder else encode((file,), unsplit, data.vocab, None)
    except (TypeError, NlpseqError) as error:
        raise ArtifactError(
            f"{path}: the validation text cannot be read ({error}). Move it back to {file}."
        ) from error
    if valid.digest != meta.get("valid_digest"):
        raise ArtifactError(f"{path}: the validation text {file} has changed. Restore the text as it was.")
    return valid


def check_same_text(path: Path, data: TokenDataset, *, is_same: bool, done: str = "trained") -> None:
    """Raise ArtifactError if a resumed run gets another text than at its start.

    done: past participle of the use of the text.
    """
    if not is_same:
        raise ArtifactError(
            f"{path}: was {done} on another text than {data.name}, or the text has changed. "
            "Restore the text as it was, or train again with --force."
        )


def dataset_dir(sources: tuple[str, ...]) -> Path | None:
    """Return the folder of an encoded corpus if the sources name exactly this, corrupt or not."""
    files = ("MANIFEST.json", "tokens.npy")
    paths = [Path(each) for each in sources if not is_remote(each)]
    encoded = [path for path in paths if any((path / file).exists() for file in files)]
    if encoded and len(sources) > 1:
        raise ConfigError(
            f"{encoded[0]}: an encoded corpus can only be used alone. Name only this folder, or only texts."
        )
    return encoded[0] if encoded else None


def _find(meta: Meta, named: tuple[str, ...]) -> TokenDataset | tuple[str, ...]:
    """Return the corpus of a run if it is encoded, else the sources to encode."""
    source = meta.get("source", {})
    if not named:
        if "encoded" not in source:
            raise DataError("the run does not store where it was.")
        with suppress(ArtifactError):  # missing or corrupt: encode again
            return TokenDataset.open(source["encoded"])
        if "-" in source["sources"]:
            raise DataError("it was read from stdin.")
    sources = named or tuple(source["sources"])
    if folder := dataset_dir(sources):
        return TokenDataset.open(folder)
    if not named and open_corpus(*sources).size_bytes() is None:  # because a pipe may never end
        raise DataError("it is a pipe or a device, or its server tells no size.")
    return sources


def _start_vocab(path: Path, meta: Meta) -> Vocab | None:
    """Return the vocabulary of the start of a run, None for a run without a start; see find_dataset."""
    start = meta.get("start")
    if start is None:
        return None
    needed = f"{path}: the corpus must be encoded again with the words of the start"
    if not isinstance(start, dict) or start.get("path") is None:
        raise ArtifactError(f"{needed}, which was in memory only. Train again with --force.")
    file = start["path"]
    try:
        vocab = Vectors.load(file, verify=False).vocab
        if vocab.counts_digest != start.get("counts_digest"):
            raise DataError(f"{file}: has changed since training started. Restore it.")
    except (TypeError, NlpseqError) as error:
        raise ArtifactError(
            f"{needed}, which is not found ({without_advice(error)}). Restore {file}, or train again with "
            "--force."
        ) from error
    return vocab
