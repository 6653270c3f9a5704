"""Blocks of text to token numbers, on all cores, in order.

tokenize.tokenize says what the tokens are. Numbers here are those of a block or of a thread; _provisional.py
joins them.
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
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.dataset._lines import as_lines
from nlpseq.errors import RunError
from nlpseq.reading.blocks import NEWLINE, WHOLE_LINE_TOKENIZERS
from nlpseq.reading.corpus import Block
from nlpseq.reading.decode import UTF_8
from nlpseq.tokenizers.word import char_classes, tokenize

COMPILED = ("word", "whitespace")

SIGMA = "Σ".encode()  # the one letter whose lower case depends on its neighbours
APOSTROPHE_INSIDE = re.compile("(?<=.)’")  # of a token, which is a line: by itself it stays
MOST_TYPES = 1 << 17  # in a table of a thread, of which most that is looked up then fits its cache


class Table:
    """Stands for the numbers that the blocks of one thread share."""


class TokenBlock(NamedTuple):
    """The tokens of a block, numbered as they came up in it or in the blocks of the same table before it."""

    types: bytes  # the tokens of numbers not used before, a line each; different numbers may be the same one
    ids: npt.NDArray[np.uint32]  # (num_tokens,)
    lengths: npt.NDArray[np.int64]  # (num_lines,), tokens in each line; empty lines count
    table: Table | None = None  # None: numbers begin at 0


BlockTokenizer = Callable[[bytes], TokenBlock]
Item = TypeVar("Item")
Result = TypeVar("Result")


def tokenized(
    blocks: Iterator[Block], config: TextConfig, threads: int
) -> Generator[tuple[Block, TokenBlock], None, None]:
    """Each block with its tokens, in order; at most 2 * threads blocks are held at a time."""
    tokenize_block = block_tokenizer(config)
    with _workers(config, threads) as pool:
        waiting = ahead(lambda block: pool.submit(tokenize_block, block.data), blocks, 2 * threads)
        for block, future in waiting:
            yield block, _finished(future)


def ahead(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], most: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Each item and what was submitted for it, in order; so many are under way at most."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, submit(item)))
        if len(waiting) == most:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def block_tokenizer(config: TextConfig) -> BlockTokenizer:
    """The fastest function that does to each line of a block what tokenize() does."""
    if config.tokenizer in COMPILED:
        return _Scanner(config)
    if config.tokenizer == "char":
        return partial(_characters, config)
    return partial(_by_reference, config)


def _by_reference(config: TextConfig, data: bytes) -> TokenBlock:
    type_ids: dict[str, int] = {}
    ids: list[int] = []
    lengths = []
    for line in data.decode(*UTF_8).split("\n"):
        tokens = tokenize(line, config)
        ids += [type_ids.setdefault(token, len(type_ids)) for token in tokens]
        lengths.append(len(tokens))
    return TokenBlock(as_lines(type_ids), np.array(ids, np.uint32), np.array(lengths, np.int64))


def _characters(config: TextConfig, data: bytes) -> TokenBlock:
    text = data.decode(*UTF_8)
    if config.lower:
        text = text.lower()
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    newlines = np.flatnonzero(codes == NEWLINE)
    lengths = np.diff(newlines, prepend=-1, append=len(codes)) - 1
    codes = codes[codes != NEWLINE]
    counts = np.bincount(codes)
    types = np.flatnonzero(counts)
    numbers = np.zeros(len(counts), np.uint32)
    numbers[types] = np.arange(len(types))
    return TokenBlock(as_lines(map(chr, types)), numbers[codes], lengths.astype(np.int64))


class _Scanner:
    """Scans text, lowering ASCII alone, then lowers and folds its types, which are far fewer than its tokens.

    That is the same because no letter changes its class with its case, a test holds it so. Every thread has a
    table of types of its own, and a new one when that has grown to MOST_TYPES.
    """

    def __init__(self, config: TextConfig) -> None:
        use_cache_for_numba()
        self._config, self._classes = config, char_classes(config)
        self._tables = threading.local()

    def __call__(self, data: bytes) -> TokenBlock:
        from nlpseq.dataset._hash_table_numba import no_types, scan, spelled
        from nlpseq.tokenizers._scan_numba import PADDING

        if self._config.lower and SIGMA in data:
            data = data.decode(*UTF_8).lower().encode(*UTF_8)
        text = np.frombuffer(data + PADDING, np.uint8)
        lengths = np.empty(np.count_nonzero(text[: len(data)] == NEWLINE) + 1, np.int64)
        table, types = getattr(self._tables, "mine", None) or (Table(), no_types())
        first = types.num
        ids, types = scan(text, self._classes, self._config.punctuation, self._config.lower, lengths, types)
        self._tables.mine = (table, types) if types.num < MOST_TYPES else None
        return TokenBlock(self._folded(spelled(types, first)), ids, lengths, table)

    def _folded(self, types: bytes) -> bytes:
        """Types lowered, and with one kind of apostrophe."""
        if types.isascii():  # and lowered while scanning
            return types
        text = types.decode(*UTF_8)
        if self._config.lower:
            text = text.lower()
        if self._config.tokenizer == "word":
            text = APOSTROPHE_INSIDE.sub("'", text)
        return text.encode(*UTF_8)


@contextmanager
def _workers(config: TextConfig, threads: int) -> Iterator[Executor]:
    """Threads where the work leaves Python's lock alone, else processes; none outlives the block."""
    pool: Executor
    if config.tokenizer in WHOLE_LINE_TOKENIZERS and threads > 1:  # these are plain Python
        # spawned, because a forked copy of a process with threads in it may hang
        pool = ProcessPoolExecutor(threads, get_context("spawn"), _leave_interrupts_to_parent)
    else:
        pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _finished(future: Future[TokenBlock]) -> TokenBlock:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RunError(
            "A tokenizing process ended early: memory ran out, or a script calls nlpseq outside "
            '`if __name__ == "__main__":`. Add that line, or give --threads 1.'
        ) from error
