"""Corpora by name, installed as nlpseq.corpora."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["Download", "Entry", "find", "find_entry", "names"]


@dataclass(frozen=True)
class Download:
    """A file on several servers with the same bytes."""

    urls: tuple[str, ...]  # tried in order
    bytes: int | None = None
    sha256: str | None = None  # hex


@dataclass(frozen=True)
class Entry:
    """A corpus of the catalog: in this folder, to download, or to build."""

    name: str
    summary: str
    licence: str
    citation: str = ""
    file: str | None = None  # in this folder
    downloads: tuple[Download, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)  # pattern of the members of an archive, by name
    must_accept: bool = False  # the licence, before the download

    @property
    def is_built(self) -> bool:
        """True for a corpus made from installed packages."""
        return self.file is None and not self.downloads


def names() -> list[Entry]:
    """Return the entries of catalog.toml in order."""
    catalog = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    return [_entry(name, **values) for name, values in catalog.items()]


def _entry(name: str, downloads: list[dict[str, Any]] | None = None, **values: Any) -> Entry:
    found = [Download(tuple(each.pop("urls")), **each) for each in downloads or []]
    return Entry(name, downloads=tuple(found), **values)


def find_entry(name: str) -> Entry | None:
    """Return the entry of NAME, also in NAME/PART; None for an unknown name or part."""
    own, slash, part = name.partition("/")
    entry = next((entry for entry in names() if entry.name == own), None)
    return entry if entry and (part in entry.parts or not slash) else None


def find(name: str) -> Path | None:
    """Return the file or folder of a corpus, built first if needed; None for an unknown name.

    NAME/PART is one part of a corpus; NAME alone is the first part. Raises DataError for a corpus that is not
    downloaded yet.
    """
    entry = find_entry(name)
    if entry is None:
        return None
    if entry.file is not None:
        return Path(str(files(__package__).joinpath(entry.file)))
    if entry.downloads:
        from .download import downloaded

        return downloaded(entry, name.partition("/")[2])
    from . import pydocs

    return pydocs.build()
