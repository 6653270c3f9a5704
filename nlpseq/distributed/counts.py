"""Count co-occurrences on a cluster: the same matrix, to the bit, as on one machine.

    spans of sentences ──> counts of each span, cut into blocks of rows ──> sums of each block of rows

Counts are integers until the end (counts/cooccurrence.py), so sums do not depend on the spans. Spans and
blocks of rows follow from the text alone.

Letters: V words, R rows of a block, N pairs.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nlpseq.config import CooccurrenceConfig
from nlpseq.core.tasks import Tasks, map_in_order, submit_in_turn
from nlpseq.counts.cooccurrence import UNIT, Cooccurrence, Text, count_matrix, describe_text, join_rows
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset, open_same

__all__ = ["SPAN_BYTES", "count_cooccurrences", "cut_places", "cut_text"]

SPAN_TOKENS = 32_000_000
BLOCK_TOKENS = 8_000_000  # occurrences of the words of a block of rows
SPAN_BYTES = 1 << 30  # memory for counting a span

Ints = npt.NDArray[np.int64]


def count_cooccurrences(
    data: TokenDataset,
    config: CooccurrenceConfig,
    tasks: Tasks,
    *,
    progress: Callable[[int, int], None] | None = None,
    span_tokens: int = SPAN_TOKENS,
    block_tokens: int = BLOCK_TOKENS,
) -> Cooccurrence:
    """Count the neighbors of every word in the train split of a folder that all machines share.

    See counts.cooccurrence.count_cooccurrences.
    """
    spans, rows = cut_text(data, span_tokens, block_tokens)
    settings = tasks.put((data.path.resolve(), data.digest, config, rows))
    pieces, items = list[Any](), ((settings, span) for span in pairwise(spans))
    for number, blocks_of_span in enumerate(submit_in_turn(tasks, count_span, items, len(rows) - 1)):
        pieces.append(blocks_of_span)
        if progress is not None:
            progress(number, len(spans) - 1)
    blocks = map_in_order(tasks, add_blocks, zip(*pieces, strict=True))
    matrix = join_rows(blocks, len(data.word_counts), np.float64)
    engine = tasks.describe() | {"spans": len(spans) - 1, "blocks": len(rows) - 1}
    meta = describe_text(data.split("train")) | {"cluster": engine}
    return Cooccurrence(matrix, data.vocab.without_specials(), config, meta)


def cut_text(
    data: TokenDataset, span_tokens: int = SPAN_TOKENS, block_tokens: int = BLOCK_TOKENS
) -> tuple[list[int], list[int]]:
    """Return the first sentence of each span of the text and the first row of each block, with ends."""
    sentences = np.asarray(data.split("train").sentences)
    return cut_places(sentences - sentences[0], span_tokens), cut_places(
        np.cumsum([0, *data.word_counts]), block_tokens
    )


def cut_places(ends: Ints, distance: int) -> list[int]:
    """Return places in a list of rising sums from 0 on: the first, the last, and one for each `distance`."""
    places = np.searchsorted(ends, np.arange(0, ends[-1], distance))
    cut: list[int] = np.unique(np.append(places, len(ends) - 1)).tolist()
    return cut


def count_span(
    settings: tuple[Path, str, CooccurrenceConfig, list[int]], span: tuple[int, int]
) -> list[csr_array]:
    """Return the counts of some sentences in units, as blocks of rows."""
    path, digest, config, rows = settings
    data = open_same(path, digest)
    sentences = data.split("train").sentences[span[0] : span[1] + 1]
    text = Text(data.tokens, sentences, keep_thresholds(data.word_counts, config.subsample))
    matrix = count_matrix(text, config, 1, SPAN_BYTES, in_units=True)
    return [matrix[first:end] for first, end in pairwise(rows)]


def add_blocks(*blocks: csr_array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], Ints]:
    """Return the counts of a block of rows, the columns, and the number of columns of each row."""
    total = sum(blocks[1:], start=blocks[0])
    total.sort_indices()
    return total.data / UNIT, total.indices.astype(np.int32), np.diff(total.indptr).astype(np.int64)
