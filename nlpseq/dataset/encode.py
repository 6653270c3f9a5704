"""Corpus to TokenDataset: one pass over the text, on all cores, in memory independent of the text.

    blocks ──> type ids, on all cores ──> provisional ids, on disk ──> splits, vocabulary ──> final ids

Provisional ids number the types in order of appearance; final ids are known once all tokens are counted.

Letters: T types.
"""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.core import resources
from nlpseq.core.precompile import Kernel
from nlpseq.core.resources import available_cores
from nlpseq.dataset.joint_vocab import join_vocab, rows_of_words
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.parallel import TokenBlock, tokenize_blocks
from nlpseq.dataset.provisional_ids import ProvisionalText, write_provisional
from nlpseq.dataset.subwords import write_subwords
from nlpseq.dataset.token_dataset import (
    KIND,
    TOKENS,
    VERSION,
    VOCAB,
    TokenDataset,
    split_sentences,
    token_dtype,
)
from nlpseq.dataset.vocab import SPECIAL_BYTES, SPECIALS, Vocab, prune
from nlpseq.errors import ConfigError, DataError
from nlpseq.reading.columns import require_columns
from nlpseq.reading.corpus import Block, Corpus, ReadReport, Source, open_corpus
from nlpseq.reading.decode import UTF_8
from nlpseq.storage import artifact
from nlpseq.tokenizers.base import package_versions
from nlpseq.tokenizers.bpe import BPE
from nlpseq.tokenizers.char_classes import CLASSIFIED
from nlpseq.tokenizers.scripts import korean_notice, unspaced_notice

__all__ = ["EncodeCallback", "EncodeProgress", "notices_of_tokens", "preprocess", "to_compile"]
__all__ += ["tokenizer_versions"]

_SAMPLE = 100  # runs of this many tokens, to judge the tokenizer

Counts = npt.NDArray[np.int64]


class EncodeProgress(NamedTuple):
    """Progress of an encoding."""

    bytes_read: int  # of the files on disk
    total_bytes: int | None
    tokens: int


EncodeCallback = Callable[[EncodeProgress], None]


def preprocess(
    corpus: Corpus | Source,
    config: TextConfig | None = None,
    path: Path | str | None = None,
    *,
    vocab: Vocab | None = None,
    start: Vocab | None = None,
    force: bool = False,
    threads: int | None = None,
    progress: EncodeCallback | None = None,
    limits: EncodeLimits = EncodeLimits(),
    **settings: Any,
) -> TokenDataset:
    """Encode a corpus into a folder at `path`: the same files for any number of threads.

    corpus: also a path, an iterable of texts or of lists of tokens, or a data frame, as in open_corpus. path:
    by default the name of the corpus and .tokens. settings: fields of TextConfig, in place of config.
    vocab: an existing vocabulary, for a model trained on other text; default: the words of the train split.
    start: the vocabulary of earlier texts, which the words of this text are added to, with all counts added
    up; config.min_count is for new words, and config.max_vocab for all.
    threads: default all cores of this process. Tokenizers of whole lines read a text of more than a block in
    processes, so a script must call this function under `if __name__ == "__main__":`.
    Raises ConfigError if `path` exists and force is off, or for both vocab and start, DataError if the text
    leaves no vocabulary or cannot be split, ResourceError if the disk is full.
    """
    if not isinstance(corpus, Corpus):
        corpus = open_corpus(corpus, column=settings.get("column", getattr(config, "column", None)))
    config = corpus.text_config(settings) if config is None else from_dict(TextConfig, settings, config)
    path = Path(path or f"{corpus.name}.tokens")
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ConfigError(f"threads: is {threads}. Use 1 or more.")
    if vocab is not None and start is not None:
        raise ConfigError("vocab, start: do not go together. Use one of them.")
    if not (vocab is None is start) and config.phrases:
        raise ConfigError(
            "phrases: do not work with an existing vocabulary, because phrases come from the text. "
            "Use phrases=0, also for the text of the vocabulary."
        )
    artifact.check_writable(path, force=force)
    bpe = _find_bpe(config, vocab or start, "vocab" if start is None else "start")
    bytes_a_token = {"char": 1, "bpe": 2}.get(config.tokenizer_kind, 6)
    artifact.check_free_disk(path, (corpus.size_bytes() or 0) // bytes_a_token * 4)  # 4 a token on disk
    made_with = tokenizer_versions(config)  # raises MissingExtra
    stamp, report = corpus.stamp(), ReadReport()
    with resources.gc_paused(), artifact.create(path, KIND, VERSION, force=force) as folder:
        blocks = corpus.blocks(config, report, limits.blocks)
        with closing(tokenize_blocks(blocks, config, threads, limits, bpe)) as tokenized:
            reported = _report(tokenized, corpus.size_bytes(), progress)
            text = write_provisional(
                folder.path, reported, limits, split_at_eos=config.tokenizer_kind != "bpe"
            )
        if config.column is not None and vocab is start is None and not corpus.is_spooled:
            require_columns(report.formats, corpus.describe())
        splits = split_sentences(text.sentences, config, corpus.describe())
        notices = [] if vocab or start else notices_of_tokens(text, config)
        try:
            if config.tokenizer_kind == "bpe":
                train_end = splits["train"][1]
                vocab = write_subwords(folder, text, config, vocab or bpe, train_end, threads, start)
                unknown = {split: [0, 0] for split in splits}
            else:
                vocab, unknown = _write_final_ids(
                    folder,
                    text,
                    config,
                    vocab or start,
                    splits,
                    corpus.describe(),
                    is_start=start is not None,
                )
        except DataError as error:
            raise DataError(" ".join([str(error), *notices])) from error
        if corpus.stamp() != stamp:
            raise DataError(
                f"{corpus.describe()}: changed during reading. Start again once the file is complete."
            )
        folder.write_meta(
            {
                "config": asdict(config),
                "made_with": made_with,
                "corpus": corpus.describe(),
                "content_key": corpus.read_key,
                "vocab_digest": vocab.digest,
                "num_tokens": text.num_tokens,
                "num_sentences": len(text.sentences) - 1,
                "splits": splits,
                "unknown": unknown,
                "read": asdict(report),
                "notices": (notices := report.notices() + notices),
                "noted_files": _noted(corpus.file_names, notices),
                **({} if start is None else {"start": {"counts_digest": start.counts_digest}}),
            }
        )
    return TokenDataset.open(path, verify=False, vocab=vocab)


def _noted(names: list[str], notices: list[str]) -> dict[str, int]:
    """Return the number in the corpus of each file that a notice names."""
    return {name: number for number, name in enumerate(names) if any(name in notice for notice in notices)}


def _find_bpe(config: TextConfig, vocab: Vocab | None, argument: str) -> BPE | None:
    """Return the tokenizer of a vocabulary or of a file; None without BPE or if BPE is trained here.

    argument: which the vocabulary was given as, for messages.
    """
    if config.tokenizer_kind == "bpe" and vocab is not None:
        if vocab.bpe is None:
            raise ConfigError(
                f"{argument}: has no tokenizer.json for the tokenizer bpe. Use the settings of its text."
            )
        return vocab.bpe
    return BPE.load(config.tokenizer) if config.tokenizer.endswith(".json") else None


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


def notices_of_tokens(text: ProvisionalText, config: TextConfig) -> list[str]:
    """Return a notice about the tokenizer if a sample of the tokens shows a script that needs another."""
    if config.tokenizer not in CLASSIFIED or not text.num_tokens:
        return []
    starts = np.linspace(0, max(0, text.num_tokens - _SAMPLE), _SAMPLE, dtype=np.int64)
    counts_T = np.bincount(
        np.concatenate([text.tokens[start : start + _SAMPLE] for start in starts]), minlength=text.num_types
    )
    is_seen_T = counts_T > 0
    types = [each.decode(*UTF_8) for _, _, chunk in text.type_chunks(is_seen_T) for each in chunk]
    lines = np.linspace(0, len(text.sentences) - 2, _SAMPLE**2, dtype=np.int64)
    notice = unspaced_notice(types, counts_T[is_seen_T], text.sentences[lines + 1] - text.sentences[lines])
    if notice is None and config.tokenizer == "word":
        notice = korean_notice(types, counts_T[is_seen_T])
    return [notice] if notice else []


def _write_final_ids(
    folder: artifact.Folder,
    text: ProvisionalText,
    config: TextConfig,
    vocab: Vocab | None,
    splits: dict[str, list[int]],
    name: str,
    *,
    is_start: bool,
) -> tuple[Vocab, dict[str, list[int]]]:
    """Write tokens.npy and vocab.tsv; return the vocabulary, and types and characters of <unk> by split.

    vocab: an existing vocabulary, to use as it is or with is_start to extend.
    """
    train_end = splits["train"][1]
    if config.phrases:
        text.join_phrases(config, train_end)
    counts_T = text.count(train_end)
    if vocab is None:
        vocab, ids_T = _build_vocab(text, counts_T, config, train_end, name)
    elif is_start:
        vocab, ids_T = _extend_vocab(text, counts_T, config, train_end, vocab)
    else:
        chunks = (vocab.ids_of(words) for words in _words_of_types(text))
        ids_T = np.concatenate([np.array(ids, token_dtype(len(vocab))) for ids in chunks])
    unknown = {split: [0, 0] for split in splits}
    for split, (first, end) in splits.items():
        if first < end:
            unknown_T = counts_T if split == "train" else text.count(end, first)
            unknown_T *= ids_T == vocab.num_words  # in place, because a text can have very many types
            unknown[split] = [int(np.count_nonzero(unknown_T)), text.count_characters(unknown_T)]
    folder.complete(TOKENS, text.finish(TOKENS, ids_T))
    vocab.save(folder.path / VOCAB)
    return vocab, unknown


def _build_vocab(
    text: ProvisionalText, counts_T: Counts, config: TextConfig, train_end: int, name: str
) -> tuple[Vocab, npt.NDArray[Any]]:
    """Return the vocabulary of a text and the id of each type: uint16 or uint32, (T,).

    counts_T: of the train split, the first train_end sentences. <unk> counts the tokens of all other types,
    <eos> the sentences. Raises DataError if no word remains.
    """
    type_ids, words = _choose_words(text, counts_T, config)
    if not words:
        raise DataError(_explain_empty_vocab(text, counts_T, config.min_count, name))
    counts = np.append(counts_T[type_ids], [counts_T.sum() - counts_T[type_ids].sum(), train_end])
    ids_T = np.full(text.num_types, len(words), token_dtype(len(counts)))
    ids_T[type_ids] = np.arange(len(words))
    entries = [*b"\n".join(words).decode(*UTF_8).split("\n"), *SPECIALS]
    return Vocab(entries, counts, len(SPECIALS)), ids_T


def _words_of_types(text: ProvisionalText) -> Iterator[list[str]]:
    """Yield all types of a text as words, few at a time."""
    all_types = np.ones(text.num_types, np.bool_)
    lines = (b"\n".join(types).decode(*UTF_8) for _, _, types in text.type_chunks(all_types))
    yield from (each.split("\n") for each in lines)


def _extend_vocab(
    text: ProvisionalText, counts_T: Counts, config: TextConfig, train_end: int, start: Vocab
) -> tuple[Vocab, npt.NDArray[Any]]:
    """Return the joint vocabulary of earlier texts and this one, and the id of each type: (T,)."""
    words_S = start.without_specials()
    row_T = np.concatenate([rows_of_words(words, words_S) for words in _words_of_types(text)])
    is_known_T = row_T >= 0
    added_S = np.bincount(row_T[is_known_T], counts_T[is_known_T], len(words_S)).astype(np.int64)
    new_ids, new_words = _choose_words(text, np.where(is_known_T, 0, counts_T), config)
    names = b"\n".join(new_words).decode(*UTF_8).split("\n") if new_words else []
    joint, ids_U = join_vocab(words_S, added_S, names, counts_T[new_ids], config.max_vocab)
    row_T[new_ids] = len(words_S) + np.arange(len(names))
    joint_T = np.where(row_T >= 0, ids_U[row_T], -1)
    in_text = counts_T[joint_T >= 0].sum()
    earlier = start.counts[start.num_words :] if start.num_specials else np.zeros(len(SPECIALS), np.int64)
    left_out = words_S.counts[ids_U[: len(words_S)] < 0].clip(0).sum()  # of known words
    specials = np.array([counts_T.sum() - in_text + left_out, train_end])
    vocab = Vocab([*joint.words, *SPECIALS], np.append(joint.counts, earlier + specials), len(SPECIALS))
    return vocab, np.where(joint_T >= 0, joint_T, len(joint)).astype(token_dtype(len(vocab)))


def _choose_words(text: ProvisionalText, counts_T: Counts, config: TextConfig) -> tuple[Counts, list[bytes]]:
    """Return type ids and UTF-8 of the words to keep, the most frequent first.

    Memory holds the types of a chunk and the words chosen so far only.
    """
    is_frequent_T = counts_T >= config.min_count
    type_ids, words = np.empty(0, np.int64), list[bytes]()
    for first, end, types in text.type_chunks(is_frequent_T):
        type_ids = np.append(type_ids, first + np.flatnonzero(is_frequent_T[first:end]))
        words += types
        is_last = end == text.num_types
        if is_last or (config.max_vocab is not None and len(words) > 4 * config.max_vocab):
            kept = prune(words, counts_T[type_ids], config.max_vocab)
            type_ids, words = type_ids[kept], [*map(words.__getitem__, kept.tolist())]
    return type_ids, words


def _explain_empty_vocab(text: ProvisionalText, counts_T: Counts, min_count: int, name: str) -> str:
    """Return a message with lower bounds of min_count that would keep words."""
    is_seen_T = counts_T > 0
    counts = np.concatenate(
        [
            counts_T[first:end][is_seen_T[first:end]][[word not in SPECIAL_BYTES for word in types]]
            for first, end, types in text.type_chunks(is_seen_T)
        ]
    )
    if not len(counts):
        return f"{name}: contains no words but {' and '.join(SPECIALS)}. Name a corpus with text."
    highest = int(counts.max())
    offers = [
        f"--min-count {bound} would keep {np.count_nonzero(counts >= bound):,}"
        for bound in sorted({1, min(2, highest), highest})
    ]
    advice = f"Use a larger corpus or a lower bound: {', '.join(offers)}."
    return f"{name}: 0 of {len(counts):,} words have count >= {min_count}. {advice}"


def tokenizer_versions(config: TextConfig) -> dict[str, str]:
    """Return the versions of Unicode and of packages that decide the tokens of a text."""
    return {"unicode": unicodedata.unidata_version} | package_versions(config.tokenizer)


def to_compile(config: TextConfig) -> list[Kernel]:
    """Return the kernels that encoding needs."""
    kernels = []
    if config.tokenizer_kind in (*CLASSIFIED, "bpe"):
        kernels = [Kernel("nlpseq.dataset.hash_table_numba", "compile_scan")]
    if config.tokenizer_kind == "bpe":
        parts = "compile_encoding", "compile_training"
        kernels += [Kernel("nlpseq.tokenizers.bpe_numba", part) for part in parts]
    return kernels
