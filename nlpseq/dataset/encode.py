"""Corpus to TokenDataset: one pass over the text, on all cores, in memory independent of the text.

    blocks ──> type ids, on all cores ──> provisional ids, on disk ──> splits, vocabulary ──> final ids

Provisional ids number the types in order of appearance; final ids are known once all tokens are counted.
"""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from nlpseq.config import TextConfig
from nlpseq.config.fields import to_dict
from nlpseq.core import resources
from nlpseq.core.precompile import Kernel
from nlpseq.core.resources import available_cores
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.parallel import TokenBlock, tokenize_blocks
from nlpseq.dataset.provisional_ids import ProvisionalText, write_provisional
from nlpseq.dataset.token_dataset import KIND, TOKENS, VERSION, VOCAB, TokenDataset, split_sentences
from nlpseq.dataset.vocab import Vocab
from nlpseq.dataset.vocab_builder import build_vocab, map_to_vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.reading.corpus import Block, Corpus, ReadReport
from nlpseq.storage import artifact
from nlpseq.tokenizers.base import TOKENIZERS
from nlpseq.tokenizers.word import CLASSIFIED

__all__ = ["EncodeCallback", "EncodeProgress", "preprocess", "to_compile", "tokenizer_versions"]


class EncodeProgress(NamedTuple):
    """Progress of an encoding."""

    bytes_read: int  # of the files on disk
    total_bytes: int | None
    tokens: int


EncodeCallback = Callable[[EncodeProgress], None]


def preprocess(
    corpus: Corpus,
    config: TextConfig,
    path: Path | str,
    *,
    vocab: Vocab | None = None,
    force: bool = False,
    threads: int | None = None,
    progress: EncodeCallback | None = None,
    limits: EncodeLimits = EncodeLimits(),
) -> TokenDataset:
    """Encode a corpus into a folder at `path`: the same files for any number of threads.

    vocab: an existing vocabulary, for a model trained on other text; default: the words of the train split.
    threads: default all cores of this process. The tokenizers of NLTK run in processes, so a script must call
    this function under `if __name__ == "__main__":`.
    Raises ConfigError if `path` exists and force is off, DataError if the text leaves no vocabulary or cannot
    be split, ResourceError if the disk is full.
    """
    path = Path(path)
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ConfigError(f"threads: is {threads}. Use 1 or more.")
    if vocab is not None and config.phrases:
        raise ConfigError(
            "phrases: do not work with an existing vocabulary, because phrases come from the text. "
            "Use phrases=0, also for the text of the vocabulary."
        )
    artifact.check_writable(path, force=force)
    artifact.check_free_disk(path, _min_disk_bytes(corpus, config))
    stamp, report = corpus.stamp(), ReadReport()
    with resources.gc_paused(), artifact.create(path, KIND, VERSION, force=force) as folder:
        blocks = corpus.blocks(config, report, limits.blocks)
        with closing(tokenize_blocks(blocks, config, threads, limits)) as tokenized:
            reported = _report(tokenized, corpus.size_bytes(), progress)
            text = write_provisional(folder.path, reported, limits)
        splits = _split(text, config, corpus.describe())
        vocab = _write_final_ids(folder, text, config, vocab, splits["train"][1], corpus.describe())
        if corpus.stamp() != stamp:
            raise DataError(
                f"{corpus.describe()}: changed during reading. Start again once the file is complete."
            )
        folder.write_meta(
            {
                "config": to_dict(config),
                "made_with": tokenizer_versions(config),
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
    return TokenDataset.open(path, verify=False, vocab=vocab)


def _min_disk_bytes(corpus: Corpus, config: TextConfig) -> int:
    """Return the least bytes that encoding can take on disk, 4 a token."""
    bytes_a_token = 1 if config.tokenizer == "char" else 6
    return (corpus.size_bytes() or 0) // bytes_a_token * 4


def _report(
    blocks: Iterator[tuple[Block, TokenBlock]], total_bytes: int | None, progress: EncodeCallback | None
) -> Iterator[tuple[Block, TokenBlock]]:
    """Yield the same blocks; call `progress` after each."""
    tokens = 0
    for block, found in blocks:
        yield block, found
        tokens += len(found.ids)
        if progress is not None:
            progress(EncodeProgress(block.bytes_read, total_bytes, tokens))


def _split(text: ProvisionalText, config: TextConfig, name: str) -> dict[str, list[int]]:
    if not text.num_tokens:
        raise DataError(
            f"{name}: contains no words (empty, or white space or punctuation only). Name a corpus with text."
        )
    return split_sentences(text.sentences, config, name)


def _write_final_ids(
    folder: artifact.Folder,
    text: ProvisionalText,
    config: TextConfig,
    vocab: Vocab | None,
    train_end: int,
    name: str,
) -> Vocab:
    """Write tokens.npy and vocab.tsv; return the vocabulary."""
    if config.phrases:
        text.join_phrases(config, train_end)
    if vocab is None:
        vocab, ids_T = build_vocab(text, train_end, config, name)
    else:
        ids_T = map_to_vocab(text, vocab)
    folder.complete(TOKENS, text.finish(TOKENS, ids_T))
    vocab.save(folder.path / VOCAB)
    return vocab


def tokenizer_versions(config: TextConfig) -> dict[str, str]:
    """Return the versions of Unicode and of packages that decide the tokens of a text."""
    package = TOKENIZERS[config.tokenizer].package
    return {"unicode": unicodedata.unidata_version} | ({package: version(package)} if package else {})


def to_compile(config: TextConfig) -> list[Kernel]:
    """Return the kernels that encoding needs."""
    is_compiled = config.tokenizer in CLASSIFIED
    return [Kernel("nlpseq.dataset.hash_table_numba", "compile_scan")] if is_compiled else []
