"""Encode a corpus on a cluster, into the same files as on one machine.

    shards of text ──> provisional ids, types and counts of each shard
    types and counts by hash of the type ──> words of each part ──> vocabulary
    shards ──> final ids, written at their places in one file

Shards are cut by the files and by line ends (Corpus.shards), so no file depends on the number of workers. A
task writes into a folder of its own that then gets its final name, so a task may run twice.

Letters: T types of a shard, P parts of the types, S splits, N words.
"""

import os
import platform
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.tasks import Tasks, map_in_order, submit_in_turn
from nlpseq.dataset.encode import EncodeCallback, EncodeProgress, notices_of_tokens, tokenizer_versions
from nlpseq.dataset.external_vocab import line_ends, select_lines
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.parallel import block_tokenizer
from nlpseq.dataset.provisional_ids import ProvisionalText, write_provisional
from nlpseq.dataset.token_dataset import (
    KIND,
    SENTENCES,
    SPLITS,
    TOKENS,
    VERSION,
    VOCAB,
    TokenDataset,
    split_sentences,
    token_dtype,
)
from nlpseq.dataset.vocab import SPECIALS, Vocab, prune
from nlpseq.errors import ConfigError, DataError, RunError
from nlpseq.reading.columns import require_columns
from nlpseq.reading.corpus import Corpus, ReadReport
from nlpseq.reading.decode import UTF_8
from nlpseq.storage import artifact
from nlpseq.storage.arrays import NpyWriter, npy_header

__all__ = ["SHARD_BYTES", "check_supported", "num_type_parts", "preprocess"]

SHARD_BYTES = 64 << 20  # of stored text
PART_BYTES = 128 << 20  # of stored text for each part of the types
MAX_PARTS = 64
PART_SEED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # the same on all machines
BYTES_OF_TOKEN = 6
TYPES = "all_types.txt"

Counts = npt.NDArray[np.int64]
Bounds = list[tuple[int, int]]  # first sentence and end of each split


class ShardText(NamedTuple):
    """What a shard holds, and what was found while it was read."""

    num_sentences: int
    num_tokens: int
    report: ReadReport
    notices: list[str]


class PartWords(NamedTuple):
    """Frequent words of a part of the types."""

    words: list[bytes]
    counts_SN: Counts
    types_S: Counts  # distinct types of each split, also of rare types


def preprocess(
    corpus: Corpus,
    config: TextConfig,
    path: Path,
    tasks: Tasks,
    *,
    force: bool = False,
    shard_bytes: int = SHARD_BYTES,
    progress: EncodeCallback | None = None,
) -> TokenDataset:
    """Encode a corpus into a folder at `path` that all machines share; see dataset.encode.preprocess."""
    check_supported(config)
    made_with = tokenizer_versions(config)  # raises MissingExtra
    artifact.check_writable(path, force=force)
    shards, stamp = corpus.shards(config, shard_bytes), corpus.stamp()
    size = corpus.size_bytes() or 0
    artifact.check_free_disk(path, size // BYTES_OF_TOKEN * 8)  # provisional and final ids
    with artifact.create(path, KIND, VERSION, force=force) as folder:
        scratch = folder.path / "shards"
        scratch.mkdir()
        places = [scratch / f"{number:06}" for number in range(len(shards))]
        work = (
            (shard, (shard.stamp(), made_with), config, place)
            for shard, place in zip(shards, places, strict=True)
        )
        texts, done, tokens = list[ShardText](), 0, 0
        for shard, text in zip(shards, map_in_order(tasks, tokenize_shard, work), strict=True):
            texts.append(text)
            done, tokens = done + shard.bytes_to_read(), tokens + text.num_tokens
            if progress is not None:
                progress(EncodeProgress(done, size or None, tokens))
        sentences = _join_sentences(folder.path / SENTENCES, places)
        splits = split_sentences(sentences, config, corpus.describe())
        firsts = np.cumsum([0, *(text.num_sentences for text in texts)])
        bounds = [_bounds_in(splits, int(first), int(end)) for first, end in pairwise(firsts)]
        parts = _merge(tasks, places, bounds, config, num_type_parts(size))
        vocab, unknown_types = _choose_vocab(parts, sentences, splits, config, corpus.describe())
        characters = _write_ids(tasks, folder.path / TOKENS, vocab, places, bounds, sentences, firsts)
        shutil.rmtree(scratch)
        vocab.save(folder.path / VOCAB)
        report = ReadReport()
        for text in texts:
            report.add(text.report)
        if config.column is not None:
            require_columns(report.formats, corpus.describe())
        if corpus.stamp() != stamp:
            raise DataError(
                f"{corpus.describe()}: changed during reading. Start again once the file is complete."
            )
        folder.write_meta(
            {
                "config": asdict(config),
                "made_with": made_with,
                "corpus": corpus.describe(),
                "content_key": None,
                "vocab_digest": vocab.digest,
                "num_tokens": int(sentences[-1]),
                "num_sentences": len(sentences) - 1,
                "splits": splits,
                "unknown": {
                    name: [int(t), int(c)]
                    for name, t, c in zip(SPLITS, unknown_types, characters, strict=True)
                },
                "read": asdict(report),
                "notices": report.notices() + texts[0].notices,
                "noted_files": {},
                "cluster": tasks.describe() | {"shards": len(shards), "parts": len(parts)},
            }
        )
    return TokenDataset.open(path, verify=False, vocab=vocab)


def check_supported(config: TextConfig) -> None:
    """Raise ConfigError for settings that a cluster does not have."""
    if config.phrases or config.tokenizer_kind == "bpe":
        setting = "--phrases" if config.phrases else "--tokenizer bpe"
        raise ConfigError(
            f"--cluster: does not work with {setting}, which counts neighboring tokens again and again. "
            "Leave out one of the two."
        )


def num_type_parts(size: int) -> int:
    """Return the number of parts of the types of a text of some bytes."""
    return 1 + min(size // PART_BYTES, MAX_PARTS - 1)


def tokenize_shard(shard: Corpus, expected: tuple[Any, Any], config: TextConfig, folder: Path) -> ShardText:
    """Write provisional ids, sentences and types of a shard into a folder.

    expected: stamp of the shard and versions of the tokenizer on the machine of the command. Raises
    DataError if another file is here, and RunError for other versions.
    """
    stamp, made_with = expected
    if shard.stamp() != stamp:
        raise DataError(
            f"{shard.describe()}: is another file on {platform.node()}. Use a folder that all machines share."
        )
    if (here := tokenizer_versions(config)) != made_with:
        raise RunError(
            f"{platform.node()}: has {here}, and the driver {made_with}. Install the same versions."
        )
    report, limits = ReadReport(), EncodeLimits()
    new = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")
    new.mkdir()
    tokenize_block = block_tokenizer(config, limits)  # in this thread, because a task has one core
    blocks = shard.blocks(config, report)
    text = write_provisional(new, ((block, tokenize_block(block.data)) for block in blocks), limits)
    with (new / TYPES).open("wb") as file:
        file.writelines(text.type_lines())
    notices = notices_of_tokens(text, config)
    try:
        new.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(new)  # because an earlier run of this task was thought lost, and has just finished
    return ShardText(len(text.sentences) - 1, text.num_tokens, report, notices)


def _open_text(folder: Path) -> ProvisionalText:
    return ProvisionalText(folder, np.fromfile(folder / TYPES, np.uint8), EncodeLimits())


def _join_sentences(file: Path, folders: Sequence[Path]) -> npt.NDArray[np.int64]:
    """Write the sentences of all shards into one file, and return them mapped."""
    num_tokens = 0
    with NpyWriter(file, np.int64) as stream:
        stream.append(np.zeros(1, np.int64))
        for folder in folders:
            sentences = np.load(folder / SENTENCES, mmap_mode="r")
            stream.append(num_tokens + sentences[1:])
            num_tokens += int(sentences[-1])
    joined: npt.NDArray[np.int64] = np.load(file, mmap_mode="r")
    return joined


def _bounds_in(splits: dict[str, list[int]], first: int, end: int) -> Bounds:
    """Return the sentences of each split within a shard of the sentences `first` to `end`, exclusive."""
    return [tuple(np.clip(splits[name], first, end) - first) for name in SPLITS]


def _merge(
    tasks: Tasks, folders: Sequence[Path], bounds: Sequence[Bounds], config: TextConfig, num_parts: int
) -> list[PartWords]:
    """Count all types, and return the frequent ones of each part."""
    shards = ((folder, of_shard, num_parts) for folder, of_shard in zip(folders, bounds, strict=True))
    pieces = submit_in_turn(tasks, count_shard, shards, num_parts)
    return list(map_in_order(tasks, merge_part, ((config, *each) for each in zip(*pieces, strict=True))))


def count_shard(folder: Path, bounds: Bounds, num_parts: int) -> list[tuple[bytes, Counts]]:
    """Return the types of each part as lines, with their counts in each split of a shard, (S, T)."""
    use_cache_for_numba()
    from nlpseq.dataset.hash_table_numba import hash_partitions

    text = _open_text(folder)
    counts_ST = np.stack([text.count(end, first) for first, end in bounds])
    lines = b"".join(text.type_lines())
    types, part_T = np.frombuffer(lines, np.uint8), hash_partitions(lines, num_parts, PART_SEED)
    ends_T = line_ends(types)
    is_in_PT = part_T == np.arange(num_parts)[:, np.newaxis]
    return [(select_lines(types, ends_T, chosen_T), counts_ST[:, chosen_T]) for chosen_T in is_in_PT]


def merge_part(config: TextConfig, *pieces: tuple[bytes, Counts]) -> PartWords:
    """Add the counts of all shards for one part of the types; return the words to choose from."""
    use_cache_for_numba()
    from nlpseq.dataset.hash_table_numba import empty_table, number_lines, type_lines

    table, rows = empty_table(), []
    for lines, _ in pieces:
        row_T, table = number_lines(lines, table)
        rows.append(row_T)
    counts_ST = np.zeros((len(SPLITS), table.num), np.int64)
    for row_T, (_, more_ST) in zip(rows, pieces, strict=True):
        counts_ST[:, row_T] += more_ST  # because each type is once in a shard
    frequent = np.flatnonzero(counts_ST[0] >= config.min_count)
    types = type_lines(table).split(b"\n")
    words = [types[t] for t in frequent.tolist()]
    kept = prune(words, counts_ST[0, frequent], config.max_vocab)
    return PartWords(
        [words[n] for n in kept.tolist()], counts_ST[:, frequent[kept]], (counts_ST > 0).sum(axis=1)
    )


def _choose_vocab(
    parts: Sequence[PartWords],
    sentences: npt.NDArray[np.int64],
    splits: dict[str, list[int]],
    config: TextConfig,
    name: str,
) -> tuple[Vocab, Counts]:
    """Return the vocabulary, and the number of types behind <unk> in each split."""
    words = [word for part in parts for word in part.words]
    counts_SN = np.concatenate([part.counts_SN for part in parts], axis=1)
    kept = prune(words, counts_SN[0], config.max_vocab)
    if not len(kept):
        raise DataError(
            f"{name}: 0 of {sum(int(part.types_S[0]) for part in parts):,} words have count >= "
            f"{config.min_count}. Use a larger corpus or a lower --min-count."
        )
    train_end = splits["train"][1]
    counts_SN = counts_SN[:, kept]
    num_unknown = int(sentences[train_end]) - int(counts_SN[0].sum())
    entries = [*b"\n".join(words[n] for n in kept.tolist()).decode(*UTF_8).split("\n"), *SPECIALS]
    unknown_S = sum(part.types_S for part in parts) - (counts_SN > 0).sum(axis=1)
    return Vocab(entries, np.append(counts_SN[0], [num_unknown, train_end]), len(SPECIALS)), unknown_S


def _write_ids(
    tasks: Tasks,
    file: Path,
    vocab: Vocab,
    folders: Sequence[Path],
    bounds: Sequence[Bounds],
    sentences: npt.NDArray[np.int64],
    firsts: Counts,
) -> Counts:
    """Write the final ids of all shards; return the characters behind <unk> in each split."""
    dtype, num_tokens = np.dtype(token_dtype(len(vocab))), int(sentences[-1])
    header = npy_header(dtype, (num_tokens,))
    with file.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + num_tokens * dtype.itemsize)
    words = tasks.put("".join(f"{word}\n" for word in vocab.words[: vocab.num_words]).encode(*UTF_8))

    def arguments() -> Iterator[tuple[Any, ...]]:
        for folder, of_shard, first in zip(folders, bounds, firsts.tolist(), strict=False):
            yield folder, of_shard, words, dtype, file, len(header) + int(sentences[first]) * dtype.itemsize

    characters_S: Counts = np.sum(list(map_in_order(tasks, write_shard, arguments())), axis=0)
    return characters_S


def write_shard(
    folder: Path, bounds: Bounds, words: bytes, dtype: np.dtype[Any], file: Path, offset: int
) -> Counts:
    """Write the final ids of a shard at an offset of a file; return the characters behind <unk>, (S,).

    words: in order of id, a line each.
    """
    use_cache_for_numba()
    from nlpseq.dataset.hash_table_numba import empty_table, number_lines

    text = _open_text(folder)
    ids_V, table = number_lines(words, empty_table())
    ids_T, _ = number_lines(b"".join(text.type_lines()), table)
    ids_T = np.minimum(ids_T, len(ids_V)).astype(dtype)  # <unk> follows the words
    # not for reading too, because a network file system then writes whole pages back, also of other shards
    with os.fdopen(os.open(file, os.O_WRONLY), "wb") as stream:
        stream.seek(offset)
        for start in range(0, text.num_tokens, text.limits.write_tokens):
            stream.write(ids_T[text.tokens[start : start + text.limits.write_tokens]].data)
    is_unknown_T = ids_T == len(ids_V)
    return np.array([text.count_characters(text.count(end, first) * is_unknown_T) for first, end in bounds])
