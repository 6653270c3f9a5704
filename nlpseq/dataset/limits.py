"""Sizes of the parts that encoding holds in memory; results are the same for all sizes."""

from dataclasses import dataclass

from nlpseq.reading.blocks import BlockLimits

__all__ = ["CHUNK_TOKENS", "EncodeLimits"]

CHUNK_TOKENS = 1 << 22  # tokens in memory at a time


@dataclass(frozen=True, kw_only=True)
class EncodeLimits:
    """Bounds of blocks, tables and chunks during encoding."""

    blocks: BlockLimits = BlockLimits()
    part_bytes: int = 1 << 18  # of a block, to occupy all processes that tokenize whole lines
    thread_types: int = 1 << 17  # in the table of a thread, because most lookups then hit the cache
    memory_types: int = 3 << 20  # held in memory, some 200 MB; more go to a file
    chunk_types: int = 1 << 20  # held as strings at a time
    line_types: int = 1 << 15  # cut into subword tokens at a time
    write_tokens: int = 1 << 18  # written together, few enough for a processor cache
    chunk_tokens: int = CHUNK_TOKENS
    file_bytes: int = 1 << 24  # read together from the file of types
