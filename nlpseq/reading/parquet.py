"""The text of one column of Parquet and Arrow files, by pyarrow, an optional package."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from nlpseq.errors import DataError, missing_extra
from nlpseq.reading.columns import SAMPLE_RECORDS, choose_column
from nlpseq.reading.decode import ReadReport
from nlpseq.reading.open import RawBytes

__all__ = ["column_path", "column_text", "sniff_arrow"]

_MAX_ROWS, _BATCH_BYTES = 1000, 4 << 20  # in memory at a time
_NOT_BLANK = r"[^\x00-\x20]"  # a byte, as in blank_numba.is_blank
_BUFFER_BYTES = 1 << 20  # read together from a column of Parquet

Path = tuple[str, ...]  # a column, or a field of a struct


def sniff_arrow(head: bytes) -> Literal["parquet", "arrow"] | None:
    """Return the format that the first bytes of a file tell; "arrow" is a file or a stream."""
    if head.startswith(b"PAR1"):
        return "parquet"
    # a stream starts with a continuation marker and the length of the schema
    is_stream = head.startswith(b"\xff\xff\xff\xff") and 0 < int.from_bytes(head[4:8], "little") < 1 << 24
    return "arrow" if is_stream or head.startswith(b"ARROW1\0\0") else None


def column_path(file: RawBytes, head: bytes, wanted: str | None) -> Path:
    """Return the column with the text; wanted: its name, or the names of a field joined by dots.

    file: seekable. head: its first bytes. Raises MissingExtra without pyarrow, DataError if the file is
    corrupt or the choice is not clear.
    """
    _import("pyarrow", file.name)
    with _arrow_errors(file.name):
        batch = next(_batches(file, head, None, SAMPLE_RECORDS), None)
        if batch is None:
            raise DataError(f"{file.name}: has no records. Name a file with text.")
        is_text = {path: has_text for field in batch.schema for path, has_text in _columns(field, ())}
        with_text = [path for path, has_text in is_text.items() if has_text]
        for path in with_text:
            if batch.schema.names.count(path[0]) > 1:
                raise DataError(f"{file.name}: has several columns named {path[0]!r}. Keep one of them.")
        samples = {".".join(path): _sample(batch, path) for path in with_text}
    others = [".".join(path) for path, has_text in is_text.items() if not has_text]
    chosen = choose_column(samples, wanted, file.name, others=others, is_binary=True)
    return next(path for path, has_text in is_text.items() if has_text and ".".join(path) == chosen)


def column_text(
    file: RawBytes, head: bytes, path: Path, end: int, report: ReadReport, *, keep_nul: bool = False
) -> Iterator[bytes]:
    """Yield the text of a column, each value followed by the byte `end`; values without text are counted.

    keep_nul: NUL is not replaced by a space; `end` is another byte then.
    """
    compute, row = _import("pyarrow.compute", file.name), 0
    with _arrow_errors(file.name):
        for batch in _batches(file, head, path, _MAX_ROWS):
            values = _column(batch, path)
            for start in range(0, len(values), _MAX_ROWS):
                part = values.slice(start, _MAX_ROWS)
                has_text = compute.match_substring_regex(part, _NOT_BLANK).fill_null(False)
                if without := len(part) - has_text.true_count:
                    place = row + compute.index(has_text, False).as_py() + 1
                    reason = f"without text in {'.'.join(path)}"
                    report.skip(reason, without, f"{file.name}, record {place}")
                part = part.drop_null()
                if len(part):
                    place = f"{file.name}, near record {row + 1}"
                    yield _joined(part, end, place, report, keep_nul=keep_nul)
                row += min(_MAX_ROWS, len(values) - start)


def _import(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_extra(name, "pyarrow", "data") from error


@contextmanager
def _arrow_errors(name: str) -> Iterator[None]:
    """Raise DataError instead of an error of pyarrow."""
    pa = _import("pyarrow", name)
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:  # ArrowMemoryError is a MemoryError, too
        if isinstance(error, MemoryError):
            raise
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"{name}: is corrupt ({reason}). Copy or download the file again.") from error


def _batches(file: RawBytes, head: bytes, path: Path | None, max_rows: int) -> Iterator[Any]:
    """Yield the record batches from the start; path: the only column to read of Parquet."""
    pa = _import("pyarrow", file.name)
    file.seek(0)
    source = pa.PythonFile(file, mode="r")
    if sniff_arrow(head) == "parquet":
        parquet = _import("pyarrow.parquet", file.name).ParquetFile(source, buffer_size=_BUFFER_BYTES)
        groups = [parquet.metadata.row_group(number) for number in range(parquet.num_row_groups)]
        row_bytes = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
        yield from parquet.iter_batches(
            batch_size=max(1, min(max_rows, _BATCH_BYTES // max(row_bytes, 1))),
            columns=None if path is None else [".".join(path)],
            use_threads=False,
        )
    elif head.startswith(b"ARROW1"):
        reader = pa.ipc.open_file(source)
        yield from map(reader.get_batch, range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(source)


def _columns(field: Any, before: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the columns, also within structs, each with True if it holds strings."""
    pa = importlib.import_module("pyarrow")
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    yield (*before, field.name), is_string
    for number in range(kind.num_fields if pa.types.is_struct(kind) else 0):
        yield from _columns(kind.field(number), (*before, field.name))


def _column(batch: Any, path: Path) -> Any:
    """Return a column of strings as an array of bytes."""
    compute = importlib.import_module("pyarrow.compute")
    batch.validate()  # because Arrow files are read without a check, and a wrong length ends the process
    values = batch.column(path[0])
    for name in path[1:]:
        values = compute.struct_field(values, [name])
    return _checked_bytes(values).cast("binary")


def _checked_bytes(values: Any) -> Any:
    """Return strings as bytes, after a check of their offsets but not of their UTF-8."""
    pa = importlib.import_module("pyarrow")
    if pa.types.is_dictionary(values.type):
        dictionary = _checked_bytes(values.dictionary)
        return pa.DictionaryArray.from_arrays(values.indices, dictionary).dictionary_decode()
    kinds = {
        pa.string(): pa.binary(),
        pa.large_string(): pa.large_binary(),
        pa.string_view(): pa.binary_view(),
    }
    strings = values.view(kinds[values.type])
    strings.validate(full=True)
    return strings


def _sample(batch: Any, path: Path) -> list[str]:
    values = _column(batch, path).slice(0, SAMPLE_RECORDS).to_pylist()
    return [(value or b"").decode("utf-8", "replace") for value in values]


def _joined(values: Any, end: int, place: str, report: ReadReport, *, keep_nul: bool) -> bytes:
    """Return the values as UTF-8, with newlines and NUL as in a decoded file, each followed by `end`."""
    pa, compute = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.compute")
    separator = bytes([end])
    rows = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    text: bytes = compute.binary_join(rows, separator)[0].as_py()
    if not keep_nul and text.count(b"\0") > (0 if end else len(values) - 1):
        text = separator.join(value.replace(b"\0", b" ") for value in values.to_pylist())
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text.decode()
    except UnicodeDecodeError:
        report.invalid_bytes += len(text) - len(text.decode("utf-8", "ignore").encode())
        if place not in report.invalid.first:
            report.invalid.add(place)
        text = text.decode("utf-8", "replace").encode()
    return text + separator
