"""Corpus to TokenDataset: one pass over the text, on all cores, in memory that does not grow with it.

    blocks ──> tokens, on all cores ──> provisional ids, on disk ──> splits, vocabulary ──> final ids, on disk

Provisional ids number the distinct tokens as they come; the final ones are known once all are counted.
"""

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from nlpseq.config import TextConfig
from nlpseq.config.fields import to_dict
from nlpseq.core import resources
from nlpseq.core.cache_dir import cache_dir
from nlpseq.core.precompile import Kernel
from nlpseq.core.resources import available_cores
from nlpseq.dataset.external_vocab import write_provisional
from nlpseq.dataset.parallel import COMPILED, TokenBlock, tokenized
from nlpseq.dataset.token_dataset import (
    KIND,
    TOKENS,
    VERSION,
    VOCAB,
    TokenDataset,
    split_sentences,
)
from nlpseq.dataset.vocab import Vocab
from nlpseq.dataset.vocab_builder import build_vocab, ids_in
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.reading.blocks import WHOLE_LINE_TOKENIZERS
from nlpseq.reading.corpus import Block, Corpus, ReadReport
from nlpseq.storage import artifact
from nlpseq.storage.locks import remove_stale_temporaries, temporary

ENCODING = 2  # raise it when the same text and settings give other tokens: it makes cached ones stale


def to_compile(config: TextConfig) -> list[Kernel]:
    """What encoding needs compiled."""
    return (
        [Kernel("nlpseq.dataset._hash_table_numba", "compile_scan")] if config.tokenizer in COMPILED else []
    )


class EncodeProgress(NamedTuple):
    """How far the reading of a corpus is."""

    bytes_read: int  # as they lie on disk
    total_bytes: int | None
    tokens: int


Progress = Callable[[EncodeProgress], None]


def preprocess(
    corpus: Corpus,
    config: TextConfig,
    path: Path | str,
    *,
    vocab: Vocab | None = None,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> TokenDataset:
    """The corpus encoded into a folder at `path`: the same files for any number of threads.

    vocab: one to encode with, as a model needs that was trained on other text; without it the train split
    makes its own. threads: default all cores this process may use. Tokenizers of NLTK use processes, so a
    script calls this under `if __name__ == "__main__":`. Raises ConfigError where `path` exists and force is
    off, DataError for text that leaves no vocabulary or cannot be split, ResourceError where the disk has no
    room.
    """
    path = Path(path)
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ConfigError(f"threads is {threads}. It must be at least 1.")
    if vocab is not None and config.phrases:
        raise ConfigError(
            "phrases are found in a text, so they cannot be those of a vocabulary there is already. "
            "Take phrases=0, also for the text the vocabulary is from."
        )
    artifact.check_writable(path, force=force)
    artifact.check_free_disk(path, _least_disk(corpus, config))
    with resources.gc_paused(), artifact.create(path, KIND, VERSION, force=force) as folder:
        vocab = _fill(folder, corpus, config, vocab, threads, progress)
    return TokenDataset.open(path, verify=False, vocab=vocab)


def cached_dataset(
    corpus: Corpus,
    config: TextConfig,
    *,
    vocab: Vocab | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> TokenDataset:
    """The encoded corpus from the cache, where it is kept by the content of the text and the settings.

    A damaged entry is made anew, with a notice. Text that can be read only once is always encoded.
    """
    folder = cache_dir("tokens")
    kind, notices = _cache_kind(corpus, config, vocab), list[str]()
    may_be_there = corpus.size_bytes() is not None and any(folder.glob(f"{kind}-*"))
    if may_be_there:  # else the text need not be read for its key
        cached, notices = _open_or_discard(folder / f"{kind}-{corpus.content_key()}")
        if cached is not None:
            cached.meta["corpus"] = corpus.describe()  # which may have been another copy of the same text
            return cached
    remove_stale_temporaries(folder)
    with temporary(folder / uuid.uuid4().hex) as entry:  # because the key is known after encoding
        made = preprocess(corpus, config, entry, vocab=vocab, threads=threads, progress=progress)
        # Text that can be read only once has the result for a key, so that the same text is stored once.
        key = made.meta["content_key"] or hashlib.sha256(made.digest.encode()).hexdigest()
        kind = _cache_kind(corpus, config, vocab)  # as the text may have changed since
        dataset = _keep(made, folder / f"{kind}-{key}")
    dataset.meta["notices"] = notices + dataset.meta["notices"]
    return dataset


def _keep(made: TokenDataset, path: Path) -> TokenDataset:
    """The dataset under the name for the text it was made from, or what another process put there."""
    dataset, _ = _open_or_discard(path)
    if dataset is None:
        try:
            made.path = made.path.rename(path)
            return made
        except OSError:  # another process put the same there just now
            dataset = TokenDataset.open(path, verify=False)
    return dataset


def _open_or_discard(path: Path) -> tuple[TokenDataset | None, list[str]]:
    """The whole dataset at `path`, or None; a damaged one is removed, and the notice says so."""
    if not path.exists():
        return None, []
    try:
        return TokenDataset.open(path), []
    except ArtifactError as error:
        artifact.discard(path)
        return None, [f"The encoded corpus in the cache was damaged, so it was made anew: {error}"]


def _cache_kind(corpus: Corpus, config: TextConfig, vocab: Vocab | None) -> str:
    """All that an entry depends on but the content of its text, as far as size does not tell that."""
    parts = {
        "bytes": corpus.size_bytes(),
        "config": to_dict(config),
        "vocab": vocab and vocab.digest,
        "made_with": _versions(config),
        "version": [VERSION, ENCODING],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _versions(config: TextConfig) -> dict[str, str]:
    """What else decides where tokens begin and end."""
    versions = {"unicode": unicodedata.unidata_version}
    if config.tokenizer in WHOLE_LINE_TOKENIZERS:
        versions["nltk"] = version("nltk")
    return versions


def _fill(
    folder: artifact.Folder,
    corpus: Corpus,
    config: TextConfig,
    vocab: Vocab | None,
    threads: int,
    progress: Progress | None,
) -> Vocab:
    """Write everything a dataset consists of; its vocabulary."""
    stamp = corpus.stamp()
    report = ReadReport()
    with closing(tokenized(corpus.blocks(config, report), config, threads)) as blocks:
        text = write_provisional(folder.path, _reported(blocks, corpus.size_bytes(), progress))
    if not text.num_tokens:
        raise DataError(
            f"{corpus.describe()} holds no words: it is empty, or white space or punctuation only. "
            "Name a corpus with text."
        )
    splits = split_sentences(text.sentences, config, corpus.describe())
    train_end = splits["train"][1]
    if config.phrases:
        text.join_phrases(config, train_end)
    if vocab is None:
        vocab, ids_T = build_vocab(text, train_end, config, corpus.describe())
    else:
        ids_T = ids_in(text, vocab)
    folder.complete(TOKENS, text.finish(TOKENS, ids_T))
    vocab.save(folder.path / VOCAB)
    if corpus.stamp() != stamp:
        raise DataError(f"{corpus.describe()} changed while it was read. Start again once it is complete.")
    folder.write_meta(
        {
            "config": to_dict(config),
            "made_with": _versions(config),
            "corpus": corpus.describe(),
            "content_key": corpus.read_key,
            "vocab_digest": vocab.digest,
            "num_tokens": text.num_tokens,
            "num_sentences": len(text.sentences) - 1,
            "splits": splits,
            "read": asdict(report),
            "notices": report.notices(),
        }
    )
    return vocab


def _reported(
    blocks: Iterator[tuple[Block, TokenBlock]], total_bytes: int | None, progress: Progress | None
) -> Iterator[tuple[Block, TokenBlock]]:
    """The same blocks; `progress` hears of each once it is dealt with."""
    tokens = 0
    for block, found in blocks:
        yield block, found
        tokens += len(found.ids)
        if progress is not None:
            progress(EncodeProgress(block.bytes_read, total_bytes, tokens))


def _least_disk(corpus: Corpus, config: TextConfig) -> int:
    """Bytes the work takes at the very least, 4 a token: nothing is refused that fits."""
    bytes_a_token = 1 if config.tokenizer == "char" else 6
    return (corpus.size_bytes() or 0) // bytes_a_token * 4
