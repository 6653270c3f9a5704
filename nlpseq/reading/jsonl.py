"""The text of JSON lines, JSON arrays and JSON documents, scanned by compiled code.

A record is an object with the text under a key, or a string. A lone surrogate in an escape becomes U+FFFD.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.errors import DataError
from nlpseq.reading.columns import SAMPLE_RECORDS, Bytes, choose_column, is_text, scan_chunks
from nlpseq.reading.decode import ReadReport

__all__ = ["choose_path", "json_text", "sniff_json"]

_OBJECT = rb'\{\s*"(?:[^"\\]|\\.)*"\s*:'
_OPENING = re.compile(rb'\s*(?:%b|\[\s*(?:%b|"(?:[^"\\]|\\.)*"\s*[,\]]))' % (_OBJECT, _OBJECT), re.DOTALL)
_BETWEEN_RECORDS = re.compile(r"[\s,\[\]]*")

Path = tuple[str, ...]  # keys from the record to the text


def sniff_json(sample: bytes, is_whole: bool) -> Literal["jsonl", "json"] | None:
    """Return the kind of JSON that a text starts with; is_whole: the sample is the whole text.

    JSON lines: the first line is an object, and at least half of the first 100 lines are records; or all
    lines are strings. Other text that starts like JSON must be valid JSON as far as the sample goes.
    """
    if sample.lstrip()[:1] not in (b"{", b"[", b'"'):
        return None
    lines = sample.splitlines()
    complete = [line for line in (lines if is_whole else lines[:-1]) if line.strip()][:SAMPLE_RECORDS]
    records = [_parse(line) for line in complete]
    num_objects, num_strings = (sum(isinstance(each, kind) for each in records) for kind in (dict, str))
    if records and num_strings == len(records) > 1:
        return "jsonl"
    if records and isinstance(records[0], dict) and 2 * (num_objects + num_strings) >= len(records):
        return "jsonl"
    if not complete and re.match(rb"\s*" + _OBJECT, sample, re.DOTALL):  # a record longer than the sample
        return "jsonl"
    if not _OPENING.match(sample):
        return None
    fields = _new_fields()
    for _ in _scan(iter([sample]), (), False, 0, fields):
        pass
    return None if fields[_scanner().MALFORMED] else "json"


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def choose_path(sample: bytes, wanted: str | None, name: str, *, is_lines: bool) -> Path:
    """Return the keys that lead to the text, none if all records are strings.

    wanted: a key, or keys joined by dots. Raises DataError if no key is named and the choice is not clear, if
    no record of the sample has the key, and for records in lists.
    """
    _refuse_arrays(sample, name, is_lines)
    records = list(islice(_records(sample.decode("utf-8", "replace"), is_lines), SAMPLE_RECORDS))
    objects = [record for record in records if isinstance(record, dict)]
    if not records:  # the first is longer than the sample
        return tuple((wanted or "text").split("."))
    if not objects and wanted is None:
        return ()
    columns, paths = dict[str, list[str]](), dict[str, Path]()
    for record in objects:
        for keys, value in _leaves(record):
            columns.setdefault(".".join(keys), []).append(value)
            paths[".".join(keys)] = keys
    if len(objects) == 1 and wanted not in columns and (wanted or "text" not in columns):
        _refuse_document(objects[0], columns, wanted, name)
    chosen = choose_column(columns, wanted, name, others={key for record in objects for key in record})
    return paths.get(chosen, (chosen,))


def _refuse_arrays(sample: bytes, name: str, is_lines: bool) -> None:
    """Raise DataError if the records are arrays."""
    if is_lines:
        starts = {line.lstrip()[:1] for line in sample.splitlines() if line.strip()}
        kind, jq = "a JSON array on each line", ".[]" * (starts == {b"["})
    else:
        kind, jq = "a JSON array of arrays", ".[][]" * bool(re.match(rb"\s*\[\s*\[", sample))
    if jq:
        raise DataError(
            f"{name}: is {kind}, and a record is an object or a string. Write each record on its own line, "
            f"as jq -c '{jq}' does, or use --format text to read the file as plain text."
        )


def _refuse_document(
    document: dict[str, Any], columns: dict[str, list[str]], wanted: str | None, name: str
) -> None:
    """Raise DataError if the only object has its records in a list.

    The list has objects, or strings if there is no other text. columns: values outside lists.
    """
    has_text = any(is_text(value) for values in columns.values() for value in values)
    for keys, values in _lists(document):
        has_records = any(isinstance(each, dict if has_text else (dict, str)) for each in values)
        key, jq = ".".join(keys), ".".join(key if key.isidentifier() else json.dumps(key) for key in keys)
        if has_records and (wanted is None or f"{wanted}.".startswith(f"{key}.")):
            raise DataError(
                f"{name}: is one JSON object, with records in the list {key}. Write each record on its own "
                f"line, as jq -c '.{jq}[]' does, or name another key with --column."
            )


def _lists(record: dict[str, Any], keys: Path = ()) -> Iterator[tuple[Path, list[Any]]]:
    """Yield the keys and the value of each list outside other lists."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _lists(value, (*keys, key))
        elif isinstance(value, list):
            yield (*keys, key), value


def _records(text: str, is_lines: bool) -> Iterator[Any]:
    """Yield the records of a sample, whose last may be incomplete; is_lines: skip a malformed line."""
    decoder, at = json.JSONDecoder(strict=False), 0
    while (at := _BETWEEN_RECORDS.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        try:
            record, at = decoder.raw_decode(text, at)
            yield record
        except (ValueError, RecursionError):
            at = text.find("\n", at)
            if at < 0 or not is_lines:
                return


def _leaves(record: dict[str, Any], keys: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the keys and the value of each string, number, truth value and null."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*keys, key))
        elif not isinstance(value, list):
            yield (*keys, key), "" if value is None else str(value)


def json_text(
    pieces: Iterator[bytes], path: Path, *, is_lines: bool, end: int, name: str, report: ReadReport
) -> Iterator[bytes]:
    """Yield the text of each record, followed by the byte `end`.

    pieces: UTF-8. is_lines: each line is a record, and a malformed line is skipped and counted in the report;
    else a malformed record raises DataError. Memory is constant, also for records of any length.
    Raises DataError if no record has text.
    """
    fields, scanner = _new_fields(), _scanner()
    yield from _scan(pieces, path, is_lines, end, fields)
    if not is_lines and fields[scanner.MALFORMED]:
        raise DataError(
            f"{name}, record {fields[scanner.FIRST_MALFORMED]}: is not an object or a string in valid JSON. "
            "Correct the file, or use --format text to read the file as plain text."
        )
    if not is_lines and (fields[scanner.STEP] or fields[scanner.ARRAY] == scanner.IN_ARRAY):
        raise DataError(f"{name}: ends inside a JSON record or array. Copy or download the file again.")
    _report(fields.tolist(), path, is_lines, name, report)


def _scanner() -> ModuleType:
    use_cache_for_numba()
    from nlpseq.reading import jsonl_numba

    return jsonl_numba


def _new_fields() -> npt.NDArray[np.int64]:
    return np.zeros(_scanner().NUM_FIELDS, np.int64)


def _scan(
    pieces: Iterator[bytes], path: Path, is_lines: bool, end: int, fields: npt.NDArray[np.int64]
) -> Iterator[bytes]:
    """Yield the text of records, up to the first malformed record unless is_lines.

    fields: of the state of the scan, changed.
    """
    scanner = _scanner()
    keys = [key.encode("utf-8", "surrogatepass") for key in path]
    ends_P = np.cumsum([0, *map(len, keys)], dtype=np.int64)
    json_path = scanner.JsonPath(np.frombuffer(b"".join(keys), np.uint8), ends_P)
    state = scanner.JsonState(fields, np.zeros(scanner.MAX_DEPTH, np.bool_))

    def scan(data: Bytes, out: Bytes, size: int) -> tuple[int, int]:
        return scanner.scan_json(data, is_lines, end, json_path, state, out, size)  # type: ignore[no-any-return]

    for text in scan_chunks(pieces, scan):
        yield text
        if not is_lines and fields[scanner.MALFORMED]:
            return


def _report(state: list[int], path: Path, is_lines: bool, name: str, report: ReadReport) -> None:
    """Count skipped records; raise DataError if no record has text."""
    scanner, column, unit = _scanner(), ".".join(path), "line" if is_lines else "record"
    reasons = {
        f"without text{column and f' in {column}'}": (state[scanner.WITHOUT], state[scanner.FIRST_WITHOUT]),
        "without a JSON object or string": (state[scanner.MALFORMED], state[scanner.FIRST_MALFORMED]),
    }
    if state[scanner.RECORDS] == state[scanner.WITHOUT] and any(count for count, _ in reasons.values()):
        found = [f"{count:,} {reason}" for reason, (count, _) in reasons.items() if count]
        in_list = "Write records in a list on a line each, as jq -c '.KEY[]' does. "
        raise DataError(
            f"{name}: has no record with text ({', '.join(found)}). "
            f"{in_list * (state[scanner.RECORDS] == 1)}Name the key of the text with --column, "
            "or use --format text to read the file as plain text."
        )
    for reason, (count, place) in reasons.items():
        report.skip(reason, count, f"{name}, {unit} {place}")
    report.lone_surrogates += state[scanner.SURROGATES]
