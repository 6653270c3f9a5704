"""The text of JSON records by the json module."""

import json
from collections.abc import Iterator
from typing import Any


def text_of_lines(text: str, path: tuple[str, ...]) -> Iterator[str | None]:
    """Yield the text of each line: None if a record has no text; leave out malformed and blank lines."""
    for line in text.split("\n"):
        try:
            record = json.loads(line, strict=False)
        except ValueError:
            continue
        if isinstance(record, (dict, str)):
            yield text_at(record, path)


def text_at(record: Any, path: tuple[str, ...]) -> str | None:
    """Return the string at the end of a path, with replaced surrogates and with newlines as in a file."""
    if isinstance(record, dict):
        for key in path:
            record = record.get(key) if isinstance(record, dict) else None
    if not isinstance(record, str):
        return None
    replaced = record.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return replaced.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")
