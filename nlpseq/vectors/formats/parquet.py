"""Read and write vectors as Parquet by pyarrow, an optional package, for data frames and embedding-atlas.

Columns: `word`, `count` (null if unknown), and `vector`, a list of D float32.
Letters: V words, D dimensions, B rows of a block.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError, MissingExtra, missing_extra
from nlpseq.vectors.formats.names import TITLES
from nlpseq.vectors.formats.reader import Source
from nlpseq.vectors.formats.rows import UNKNOWN_COUNT, VectorFile, VectorRows

__all__ = ["MAGIC", "has_vectors", "read_parquet", "write_parquet"]

MAGIC = b"PAR1"
_COLUMNS = {"word", "vector"}


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
        file = parquet.ParquetFile(pa.BufferReader(source.stream.read()))
        _check_columns(file.schema_arrow.names, source.name)
        table = _first_rows(file, source.options.load_top)
        words, matrix_VD = table["word"].cast(pa.string()).to_pylist(), _matrix(table["vector"])
        if None in words:
            raise ValueError("a word is missing")
        counts = np.full(len(words), UNKNOWN_COUNT)
        if "count" in table.column_names:
            counts = np.array(table["count"].cast(pa.int64()).fill_null(UNKNOWN_COUNT))
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise source.corrupt(f"is not Parquet with words and their vectors ({reason})") from error
    return VectorFile(Vocab(words, counts), matrix_VD, TITLES["parquet"], [])


def _check_columns(names: list[str], name: str) -> None:
    """Raise DataError unless there is a single word, a single vector and at most one count."""
    if not {*names} >= _COLUMNS:
        raise DataError(f"{name}: is Parquet without the columns word and vector. Name a file of vectors.")
    repeated = next((each for each in (*_COLUMNS, "count") if names.count(each) > 1), None)
    if repeated:
        raise DataError(f"{name}: has several columns named {repeated}. Keep one of them.")


def _first_rows(file: Any, number: int | None) -> Any:
    """Read a table, or its first rows without the rest of the file."""
    if number is None:
        return file.read()
    pa, _ = _pyarrow()
    batches, num_rows = [], 0
    for batch in file.iter_batches():
        batches.append(batch)
        num_rows += len(batch)
        if num_rows >= number:
            break
    return pa.Table.from_batches(batches, file.schema_arrow).slice(0, number)


def _matrix(column: Any) -> npt.NDArray[np.float32]:
    """Return lists of equal length as rows, (V, D)."""
    pa, _ = _pyarrow()
    vectors = column.combine_chunks()
    number = getattr(vectors.type, "value_type", None) if pa.types.is_nested(vectors.type) else None
    lengths = pa.compute.unique(pa.compute.list_value_length(vectors)).to_pylist() if number else []
    if len(lengths) > 1 or not all(lengths):
        raise ValueError("a vector is missing, or the vectors have several lengths")
    tests = pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal
    if number is None or not any(is_kind(number) for is_kind in tests):
        raise ValueError("the vectors are not lists of numbers")
    with np.errstate(over="ignore"):
        flat = np.array(vectors.flatten(), np.float32)
    return flat.reshape(len(vectors), lengths[0] if lengths else 1)


def has_vectors(file: Path) -> bool:
    """Return True for Parquet with the columns word and vector; False without pyarrow."""
    try:
        pa, parquet = _pyarrow()
        return {*parquet.read_schema(file).names} >= _COLUMNS
    except (MissingExtra, OSError, ValueError, pa.ArrowException):  # ValueError: a name that is no UTF-8
        return False


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.compute  # makes pa.compute
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra("Parquet", "pyarrow", "data") from error
    return pa, parquet
