"""Encoded corpora in the cache, found again by the content of the text and the settings."""

import hashlib
import json
import uuid
from dataclasses import asdict
from pathlib import Path

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import cache_dir
from nlpseq.dataset.encode import EncodeCallback, preprocess, tokenizer_versions
from nlpseq.dataset.token_dataset import VERSION, TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.reading.corpus import Corpus
from nlpseq.storage import artifact
from nlpseq.storage.locks import remove_stale_temporaries, temporary
from nlpseq.tokenizers.bpe import BPE

__all__ = ["cached_dataset"]

ENCODING = 2  # increase if the same text and settings give other tokens, to make cached entries stale


def cached_dataset(
    corpus: Corpus,
    config: TextConfig,
    *,
    vocab: Vocab | None = None,
    threads: int | None = None,
    progress: EncodeCallback | None = None,
) -> TokenDataset:
    """Return the encoded corpus from the cache, encoding the text if needed.

    Entries are keyed by the content of the text and the settings. A corrupt entry is encoded again, with a
    notice. Text that can be read only once is always encoded. Raises the errors of preprocess.
    """
    folder = cache_dir("tokens")
    prefix, notices = _key_prefix(corpus, config, vocab), list[str]()
    may_exist = corpus.size_bytes() is not None and any(folder.glob(f"{prefix}-*"))
    if may_exist:  # else hashing the text would be wasted
        cached, notices = _open_or_delete(folder / f"{prefix}-{corpus.content_key()}")
        if cached is not None:
            cached.meta["corpus"] = corpus.describe()  # because the entry may come from a copy of the text
            return cached
    remove_stale_temporaries(folder)
    with temporary(folder / uuid.uuid4().hex) as entry:  # because the key is known after encoding
        encoded = preprocess(corpus, config, entry, vocab=vocab, threads=threads, progress=progress)
        # the result is the key of text that can be read only once, so that the same text is stored once
        key = encoded.meta["content_key"] or hashlib.sha256(encoded.digest.encode()).hexdigest()
        prefix = _key_prefix(corpus, config, vocab)  # because the text may have changed since
        dataset = _store(encoded, folder / f"{prefix}-{key}")
    dataset.meta["notices"] = notices + dataset.meta["notices"]
    return dataset


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


def _key_prefix(corpus: Corpus, config: TextConfig, vocab: Vocab | None) -> str:
    """Hash everything that decides an entry except the content of the text."""
    from_file = vocab is None and config.tokenizer.endswith(".json")
    parts = {
        "bytes": corpus.size_bytes(),
        "config": asdict(config),
        "vocab": vocab and vocab.digest,
        "tokenizer": hashlib.sha256(BPE.load(config.tokenizer).content).hexdigest() if from_file else None,
        "made_with": tokenizer_versions(config),
        "version": [VERSION, ENCODING],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
