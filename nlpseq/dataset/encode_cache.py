"""Encoded corpora in the cache, found again by the content of the text and the settings."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import cache_dir
from nlpseq.dataset.encode import EncodeCallback, preprocess, tokenizer_versions
from nlpseq.dataset.token_dataset import VERSION, TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.reading.corpus import Corpus, Source, open_corpus
from nlpseq.storage import artifact
from nlpseq.storage.artifact import Meta
from nlpseq.storage.locks import remove_stale_temporaries, temporary
from nlpseq.tokenizers.bpe import read_tokenizer

__all__ = ["as_dataset", "cached_dataset"]

ENCODING = 5  # increase if the same text and settings give other tokens or facts, to make entries stale


def cached_dataset(
    corpus: Corpus,
    config: TextConfig,
    *,
    vocab: Vocab | None = None,
    start: Vocab | None = None,
    threads: int | None = None,
    progress: EncodeCallback | None = None,
) -> TokenDataset:
    """Return the encoded corpus from the cache, encoding the text if needed.

    Entries are keyed by the content of the text and the settings. A corrupt entry is encoded again, with a
    notice. Text that can be read only once is always encoded. Raises the errors of preprocess.
    """
    folder = cache_dir("tokens")
    tokenizer = b""
    if vocab is start is None and config.tokenizer.endswith(".json"):
        tokenizer = read_tokenizer(config.tokenizer)
    prefix, notices = _key_prefix(corpus, config, vocab, tokenizer, start), list[str]()
    may_exist = corpus.size_bytes() is not None and any(folder.glob(f"{prefix}-*"))
    if may_exist:  # else hashing the text would be wasted
        cached, notices = _open_or_delete(folder / f"{prefix}-{corpus.content_key()}")
        if cached is not None:
            cached.meta["corpus"] = corpus.describe()  # because the entry may come from a copy of the text
            cached.meta["notices"] = _renamed(cached.meta, corpus.file_names)
            return cached
    remove_stale_temporaries(folder)
    with temporary(folder / uuid.uuid4().hex) as entry:  # because the key is known after encoding
        encoded = preprocess(
            corpus, config, entry, vocab=vocab, start=start, threads=threads, progress=progress
        )
        # the result is the key of text that can be read only once, so that the same text is stored once
        key = encoded.meta["content_key"] or hashlib.sha256(encoded.digest.encode()).hexdigest()
        if tokenizer and encoded.vocab.bpe:
            tokenizer = encoded.vocab.bpe.content
        prefix = _key_prefix(corpus, config, vocab, tokenizer, start)  # because files may have changed since
        dataset = _store(encoded, folder / f"{prefix}-{key}")
    dataset.meta["notices"] = notices + dataset.meta["notices"]
    return dataset


def _renamed(meta: Meta, names: list[str]) -> list[str]:
    """Return the notices of an entry with the present names of the files."""
    numbers: dict[str, int] = meta["noted_files"]
    longest_first = sorted(numbers, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
    return [pattern.sub(lambda found: names[numbers[found[0]]], notice) for notice in meta["notices"]]


def as_dataset(
    data: TokenDataset | Corpus | Source,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
    start: Vocab | None = None,
) -> TokenDataset:
    """Return an encoded corpus as it is; encode other sources, or take them from the cache.

    data: also a corpus, or a source of open_corpus. settings: of TextConfig, by name. defaults: in place of
    the defaults of TextConfig. start: see preprocess. Raises ConfigError for settings of a corpus that is
    encoded already.
    """
    if isinstance(data, TokenDataset):
        for name in settings:
            raise ConfigError(f"{name}: has no effect, because the corpus is encoded already. Leave it out.")
        return data
    corpus = data if isinstance(data, Corpus) else open_corpus(data, column=settings.get("column"))
    config = corpus.text_config(settings, defaults)
    return cached_dataset(corpus, config, start=start, threads=threads)


def _store(encoded: TokenDataset, path: Path) -> TokenDataset:
    """Move a dataset to its path in the cache, or return the equal one of a faster process."""
    dataset, _ = _open_or_delete(path)
    if dataset is None:
        try:
            encoded.path = encoded.path.rename(path)
            return encoded
        except OSError:  # another process has just stored the same
            dataset = TokenDataset.open(path, verify=False)
    return dataset


def _open_or_delete(path: Path) -> tuple[TokenDataset | None, list[str]]:
    """Open an entry; delete a corrupt one and return a notice."""
    if not path.exists():
        return None, []
    try:
        return TokenDataset.open(path), []
    except ArtifactError as error:
        artifact.discard(path)
        return None, [f"cached encoding of the corpus: corrupt, so the text was encoded again. {error}"]


def _key_prefix(
    corpus: Corpus, config: TextConfig, vocab: Vocab | None, tokenizer: bytes, start: Vocab | None
) -> str:
    """Hash everything that decides an entry except the content of the text.

    tokenizer: content of the tokenizer.json that the settings name, if any.
    """
    parts = {
        "bytes": corpus.size_bytes(),
        "config": asdict(config),
        "vocab": vocab and vocab.digest,
        "tokenizer": hashlib.sha256(tokenizer).hexdigest() if tokenizer else None,
        "made_with": tokenizer_versions(config),
        "version": [VERSION, ENCODING],
    }
    if start is not None:  # all counts of which are in the result
        parts["start"] = hashlib.sha256(start.to_bytes()).hexdigest(), start.digest
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
