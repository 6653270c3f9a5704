"""Estimate the work of a cluster before its start: the cut, the memory of a worker, the bytes that travel.

The cut follows from the text and the settings alone. Memory and travelling bytes are estimates from sizes
known before the start, without about 300 MB a worker for Python and its libraries.

Letters: V words, P parts, D dimensions.
"""

from collections.abc import Iterator

from nlpseq.config import CooccurrenceConfig, LMConfig, TextConfig, Word2VecConfig
from nlpseq.core.resources import count_text, size_text
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.distributed.counts import SPAN_BYTES, cut_text
from nlpseq.distributed.preprocess import SHARD_BYTES, check_supported, num_type_parts
from nlpseq.reading.corpus import Corpus
from nlpseq.word2vec.block_trainer import RANGE
from nlpseq.word2vec.kernels.select import LANES, padded

__all__ = ["plan_counts", "plan_language_model", "plan_text", "plan_word2vec"]

Rows = Iterator[tuple[str, str]]

BYTES_OF_TOKEN = 5.5  # of English text, with the space
PROVISIONAL_BYTES = 4  # of a token, before the vocabulary is known
TYPE_BYTES = 150  # of a distinct word in the tables of a worker
TYPES_OF_SHARD = 500_000
COUNTED_TYPE_BYTES = 8 + 3 * 8  # of a distinct word of a shard with its counts in three splits
PAIR_BYTES = 4 + 4 + 8 + 2
COUNT_BYTES = 12  # of a pair of words, with its column


def plan_text(corpus: Corpus, config: TextConfig) -> Rows:
    """Yield how a text will be encoded."""
    check_supported(config)
    shards, size = len(corpus.shards(config, SHARD_BYTES)), corpus.size_bytes() or 0
    parts, types = num_type_parts(size), shards * TYPES_OF_SHARD
    yield "text", f"{count_text(shards, 'shard')} of up to {size_text(SHARD_BYTES)}"
    yield "words", count_text(parts, "part")
    yield "memory of a worker", f"at most {size_text(max(TYPES_OF_SHARD, types // parts) * TYPE_BYTES)}"
    yield "words and counts that travel", f"at most {size_text(types * COUNTED_TYPE_BYTES)}"
    tokens = size / BYTES_OF_TOKEN
    written = round(tokens * PROVISIONAL_BYTES * 2)
    yield "read from the shared folder", size_text(size + written)
    yield "written to the shared folder", size_text(written)


def plan_counts(data: TokenDataset, config: CooccurrenceConfig) -> Rows:
    """Yield how neighbors will be counted."""
    spans, rows = cut_text(data)
    num_spans, num_blocks = len(spans) - 1, len(rows) - 1
    tokens = data.split("train").num_tokens
    pairs = min(tokens * 2 * config.window, num_spans * len(data.word_counts) ** 2)
    yield "counts", f"{count_text(num_spans, 'span')} of text x {count_text(num_blocks, 'block')} of rows"
    yield "memory of a worker", f"about {size_text(SPAN_BYTES)}"
    yield "counts that travel", f"at most {size_text(pairs * COUNT_BYTES)}"


def plan_word2vec(config: Word2VecConfig, num_words: int, num_tokens: int) -> Rows:
    """Yield how word2vec will be trained; config: with every default resolved."""
    assert config.parts and config.segment and config.epochs
    parts, segments = config.parts, -(-num_tokens // config.segment)
    part_bytes = -(-num_words // parts) * padded(config.dim, LANES) * 4
    pairs = config.segment * (config.window + 1)
    found = min(config.segment, RANGE) * (config.window + 1) * 2 * PAIR_BYTES  # while pairs are found
    yield "words", f"{count_text(parts, 'part')} of {count_text(-(-num_words // parts), 'word')}"
    yield (
        "text",
        f"{count_text(segments, 'segment')} of {count_text(config.segment, 'word')}, {config.epochs} times",
    )
    yield "blocks of a segment", f"{parts * parts}, of which {parts} at once"
    most, least = (
        size_text(max(found, n * 4 * part_bytes + pairs * PAIR_BYTES * n // parts)) for n in (parts, 1)
    )
    yield "memory of a worker", f"about {most} if it is alone, {least} if there are {parts} or more"
    yield (
        "memory for objects, all machines",
        f"about {size_text(6 * parts * part_bytes + 2 * pairs * PAIR_BYTES)}",
    )
    yield "travels for a segment", f"at most {size_text(2 * parts * parts * part_bytes + pairs * PAIR_BYTES)}"


def plan_language_model(config: LMConfig, num_weights: int) -> Rows:
    """Yield how a language model will be trained; config: with every default resolved."""
    assert config.parts
    columns = -(-config.batch_size // config.parts)
    yield "batch", f"{count_text(config.parts, 'part')} of up to {count_text(columns, 'column')}"
    yield "memory of a worker", f"about {size_text(4 * num_weights * 4)}"
    yield (
        "travels for a step",
        f"{size_text(num_weights * 4)} to each machine, {size_text(config.parts * num_weights * 4)} back",
    )
