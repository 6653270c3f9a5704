"""Blocks of text to type ids, on all cores, in order.

tokenize() of tokenizers/base.py is the specification: the functions here do its work on each line of a block.
Type ids count from 0 in each thread; provisional_ids.py maps them to ids of the whole corpus.
"""

import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.dataset.external_vocab import join_lines
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.errors import RunError
from nlpseq.reading.blocks import NEWLINE
from nlpseq.reading.corpus import Block
from nlpseq.reading.decode import UTF_8
from nlpseq.tokenizers.base import TOKENIZERS, tokenize
from nlpseq.tokenizers.bpe import BPE, BREAK, pretoken_classes
from nlpseq.tokenizers.char_classes import CLASSIFIED, char_classes, fold_text
from nlpseq.tokenizers.whole_tokens import find_whole_tokens
from nlpseq.tokenizers.word import fold_apostrophes

__all__ = ["BlockTokenizer", "TokenBlock", "block_tokenizer", "submit_ahead", "tokenize_blocks"]

_SIGMA = "Σ".encode()  # the only letter whose lower case depends on its neighbors

Ids = npt.NDArray[np.uint32]


class TokenBlock(NamedTuple):
    """The tokens of a block."""

    types: bytes  # types new to the thread, a line of UTF-8 each, perhaps equal after lower-casing
    ids: Ids  # (num_tokens,), type ids of the thread
    lengths_L: npt.NDArray[np.int64]  # (num_lines,), tokens in each line, also in empty lines
    thread_ids: list[Ids]  # shared by blocks of the thread: one array, the ids in the corpus of its types


BlockTokenizer = Callable[[bytes], TokenBlock]
Item = TypeVar("Item")
Result = TypeVar("Result")


def tokenize_blocks(
    blocks: Iterator[Block], config: TextConfig, threads: int, limits: EncodeLimits, bpe: BPE | None = None
) -> Generator[tuple[Block, TokenBlock], None, None]:
    """Yield each block with its tokens, in order; memory holds 2 * threads blocks at most.

    bpe: an existing tokenizer, whose added tokens are pre-tokens. Raises RunError if a tokenizing process
    dies.
    """
    tokenize_block = block_tokenizer(config, limits, bpe)
    if TOKENIZERS[config.tokenizer_kind].whole_lines:
        blocks = _cut_at_newlines(blocks, limits.part_bytes)
        first_two = [*islice(blocks, 2)]
        blocks, threads = chain(first_two, blocks), threads if len(first_two) > 1 else 1
    with _open_pool(config, threads) as pool:
        submitted = submit_ahead(lambda block: pool.submit(tokenize_block, block.data), blocks, 2 * threads)
        try:
            for block, future in submitted:
                yield block, future.result()
        except BrokenProcessPool as error:  # of a block, or of the next one to submit
            raise RunError(
                'tokenizing: a process died. A script must call nlpseq under `if __name__ == "__main__":`; '
                "else free some memory, or use --threads 1."
            ) from error


def _cut_at_newlines(blocks: Iterator[Block], part_bytes: int) -> Iterator[Block]:
    """Yield the same text in smaller blocks, each some lines of about part_bytes together."""
    before = 0  # bytes of files read for earlier blocks
    for block in blocks:
        start, num_bytes = 0, len(block.data)
        while start < num_bytes:
            end = block.data.find(b"\n", start + part_bytes) + 1 or num_bytes
            bytes_read = before + (block.bytes_read - before) * end // num_bytes
            yield Block(block.data[start:end], block.continues and end == num_bytes, bytes_read)
            start = end
        before = block.bytes_read


def submit_ahead(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], max_pending: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Yield each item with its future, in order; at most max_pending are submitted ahead."""
    pending: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        pending.append((item, submit(item)))
        if len(pending) == max_pending:
            yield pending.popleft()
    while pending:
        yield pending.popleft()


def block_tokenizer(
    config: TextConfig, limits: EncodeLimits = EncodeLimits(), bpe: BPE | None = None
) -> BlockTokenizer:
    """Return the fastest function that tokenizes each line of a block; for `bpe`, into pre-tokens."""
    if config.tokenizer_kind == "bpe":
        return _make_pretoken_scanner(limits, bpe.added_pattern if bpe else None)
    if config.tokenizer in CLASSIFIED:
        return _make_scanner(config, limits)
    if config.tokenizer == "char":
        return partial(_split_characters, config)
    return partial(_tokenize_lines, config)


def _tokenize_lines(config: TextConfig, data: bytes) -> TokenBlock:
    """Tokenize line by line with tokenize(): slow, but works for every tokenizer."""
    type_ids: dict[str, int] = {}
    ids: list[int] = []
    lengths = []
    for line in data.decode(*UTF_8).split("\n"):
        tokens = tokenize(line, config)
        ids += [type_ids.setdefault(token, len(type_ids)) for token in tokens]
        lengths.append(len(tokens))
    return TokenBlock(join_lines(type_ids), np.array(ids, np.uint32), np.array(lengths, np.int64), [])


def _split_characters(config: TextConfig, data: bytes) -> TokenBlock:
    """Tokenize as `char`, as an array of code points."""
    text = fold_text(data.decode(*UTF_8), config)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    newlines = np.flatnonzero(codes == NEWLINE)
    lengths_L = np.diff(newlines, prepend=-1, append=len(codes)) - 1
    codes = codes[codes != NEWLINE]
    counts = np.bincount(codes)
    types = np.flatnonzero(counts)
    type_ids = np.zeros(len(counts), np.uint32)
    type_ids[types] = np.arange(len(types))
    return TokenBlock(join_lines(map(chr, types)), type_ids[codes], lengths_L.astype(np.int64), [])


def _make_scanner(config: TextConfig, limits: EncodeLimits) -> BlockTokenizer:
    """Return a compiled function that tokenizes blocks as `word` or `whitespace`.

    The scan lower-cases ASCII only; other letters are lower-cased in the types, far fewer than the tokens.
    The result is the same, because no letter changes its class with its case. Each thread has a table of
    types, 15 % faster than a table for each block, and an empty one once limits.thread_types is reached.
    """
    use_cache_for_numba()
    of_thread = threading.local()

    def scan(data: bytes) -> TokenBlock:
        from nlpseq.dataset.hash_table_numba import empty_table, number_tokens, type_lines

        if config.lower and _SIGMA in data:
            data = data.decode(*UTF_8).lower().encode(*UTF_8)
        text, starts, ends, lengths_L = _find_tokens(data, config)
        table, thread_ids = getattr(of_thread, "table", None) or (empty_table(), [])
        first = table.num
        ids, table = number_tokens(text, starts, ends, config.lower, table)
        of_thread.table = (table, thread_ids) if table.num < limits.thread_types else None
        return TokenBlock(_fold(type_lines(table, first), config), ids, lengths_L, thread_ids)

    return scan


class _Tokens(NamedTuple):
    """The tokens of a text; letter: N tokens."""

    text: npt.NDArray[np.uint8]  # padded
    starts_N: npt.NDArray[np.int32]
    ends_N: npt.NDArray[np.int32]
    lengths_L: npt.NDArray[np.int64]


def _find_tokens(data: bytes, config: TextConfig) -> _Tokens:
    """Find the tokens of a block; only `keep` and emoji of several characters need more than the scan."""
    from nlpseq.tokenizers.scan_numba import PADDING

    if not config.keep:
        tokens, has_emoji = _scan(data, config)
        if not has_emoji or config.tokenizer != "word":
            return tokens
    folded, whole_tokens = find_whole_tokens(data.decode(*UTF_8), config)
    data = folded.encode(*UTF_8)
    text = np.frombuffer(data + b"\n", np.uint8)
    char_starts = np.flatnonzero(text & 0xC0 != 0x80)
    found = np.array(whole_tokens, np.int32).reshape(-1, 3)
    spans_W2, is_kept_W = char_starts[found[:, :2]], found[:, 2] > 0
    between = bytearray(data)
    for start, end in spans_W2.tolist():
        between[start:end] = b" " * (end - start)
    tokens, _ = _scan(bytes(between), config, has_literals=False)
    starts_W, ends_W = spans_W2[is_kept_W].T
    before_W = np.searchsorted(tokens.starts_N, starts_W)
    lines_W = np.searchsorted(np.flatnonzero(text == NEWLINE), starts_W)
    return _Tokens(
        np.frombuffer(data + PADDING, np.uint8),
        np.insert(tokens.starts_N, before_W, starts_W),
        np.insert(tokens.ends_N, before_W, ends_W),
        tokens.lengths_L + np.bincount(lines_W, minlength=len(tokens.lengths_L)),
    )


def _scan(data: bytes, config: TextConfig, *, has_literals: bool = True) -> tuple[_Tokens, bool]:
    """Scan a block; return its tokens, and if it may have emoji of several characters.

    has_literals: find tokens such as <unk>.
    """
    from nlpseq.tokenizers.scan_numba import PADDING, find_tokens

    classes = char_classes(config.tokenizer, config.punctuation, config.word_rule, has_literals=has_literals)
    text = np.frombuffer(data + PADDING, np.uint8)
    lengths_L = np.empty(np.count_nonzero(text[: len(data)] == NEWLINE) + 1, np.int64)
    starts_N, ends_N, has_emoji = find_tokens(text, classes, config.punctuation, lengths_L)
    return _Tokens(text, starts_N, ends_N, lengths_L), has_emoji


def _make_pretoken_scanner(limits: EncodeLimits, added: re.Pattern[bytes] | None) -> BlockTokenizer:
    """Return a compiled function that cuts blocks into the pre-tokens of `bpe`; see _make_scanner."""
    use_cache_for_numba()
    classes, of_thread = pretoken_classes(BREAK), threading.local()

    def scan(data: bytes) -> TokenBlock:
        from nlpseq.dataset.hash_table_numba import empty_table, number_tokens, type_lines
        from nlpseq.tokenizers.pretokens_numba import find_spans

        text, starts, ends, lengths_L = find_spans(data, classes, added)
        table, thread_ids = getattr(of_thread, "table", None) or (empty_table(), [])
        first = table.num
        ids, table = number_tokens(text, starts, ends, False, table)
        of_thread.table = (table, thread_ids) if table.num < limits.thread_types else None
        return TokenBlock(type_lines(table, first), ids, lengths_L, thread_ids)

    return scan


def _fold(types: bytes, config: TextConfig) -> bytes:
    """Fold types beyond ASCII, as tokenize() does."""
    if types.isascii():  # lower-cased by the scan
        return types
    text = fold_text(types.decode(*UTF_8), config)
    if config.tokenizer == "word":
        text = fold_apostrophes(text, config)
    return text.encode(*UTF_8)


@contextmanager
def _open_pool(config: TextConfig, threads: int) -> Iterator[Executor]:
    """Open a pool of threads, or of processes if the tokenizer is plain Python; close it at the end."""
    pool: Executor
    if TOKENIZERS[config.tokenizer_kind].whole_lines and threads > 1:  # all of these are plain Python
        # spawned, because a forked copy of a process with threads may hang
        ignore_interrupts = signal.SIGINT, signal.SIG_IGN  # so that Ctrl-C reaches the parent process only
        pool = ProcessPoolExecutor(threads, get_context("spawn"), signal.signal, ignore_interrupts)
    else:
        pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
