"""Read and write vectors as Parquet by pyarrow, an optional package, for data frames and embedding-atlas.

Columns: `word`, `count` (null if unknown), and `vector`, a list of D float32.
Letters: V words, D dimensions, B rows of a block.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import MissingExtra, missing_extra
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import Source
from nlpseq.vectors.formats.rows import UNKNOWN_COUNT, VectorFile, VectorRows

__all__ = ["MAGIC", "has_vectors", "read_parquet", "write_parquet"]

MAGIC = b"PAR1"


def write_parquet(rows: VectorRows, stream: BinaryIO) -> None:
    """Write a row group for each block of words."""
    pa, parquet = _pyarrow()
    dim = rows.matrix_VD.shape[1]
    fields = {"word": pa.string(), "count": pa.int64(), "vector": pa.list_(pa.float32(), dim)}
    counts, start = rows.counts[rows.rows], 0
    with parquet.ParquetWriter(stream, pa.schema(fields)) as writer:
        for words, block_BD in rows.blocks():
            counts_B = counts[start : start + len(words)]
            start += len(words)
            count = pa.array(counts_B, mask=counts_B == UNKNOWN_COUNT)
            vector = pa.FixedSizeListArray.from_arrays(np.ascontiguousarray(block_BD).ravel(), dim)
            arrays = [pa.array(words, pa.string()), count, vector]
            writer.write_batch(pa.record_batch(arrays, names=[*fields]))


def read_parquet(source: Source) -> VectorFile:
    """Read the columns `word`, `vector` and, if there is one, `count`."""
    pa, parquet = _pyarrow()
    try:
        table = parquet.read_table(pa.BufferReader(source.stream.read()))
        words, vectors = table["word"].cast(pa.string()).to_pylist(), table["vector"].combine_chunks()
        if not pa.types.is_nested(vectors.type):
            raise ValueError("the vectors are not lists of numbers")
        matrix_VD = np.asarray(vectors.flatten(), np.float32).reshape(len(words), -1)
        if None in words or vectors.null_count or matrix_VD.shape[1] == 0:
            raise ValueError("a word or a vector is missing")
        lengths = pa.compute.list_value_length(vectors)
        if pa.compute.min_max(lengths).as_py() != {"min": matrix_VD.shape[1], "max": matrix_VD.shape[1]}:
            raise ValueError("the vectors have several lengths")
        counts = np.full(len(words), UNKNOWN_COUNT)
        if "count" in table.column_names:
            counts = np.asarray(table["count"].cast(pa.int64()).fill_null(UNKNOWN_COUNT))
    except (pa.ArrowException, KeyError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise
        reason = str(error).partition("\n")[0].rstrip(".")
        raise source.corrupt(f"is not Parquet with the columns word and vector ({reason})") from error
    return VectorFile(Vocab(words, counts), matrix_VD, TITLES["parquet"], [])


def has_vectors(file: Path) -> bool:
    """Return True for Parquet with the columns word and vector; False without pyarrow."""
    try:
        pa, parquet = _pyarrow()
        return {"word", "vector"} <= {*parquet.read_schema(file).names}
    except (MissingExtra, OSError, pa.ArrowException):
        return False


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.compute  # makes pa.compute
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra("Parquet", "pyarrow", "data") from error
    return pa, parquet
