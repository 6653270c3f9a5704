"""Corpora by name, installed as nlpseq.corpora."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

__all__ = ["Entry", "find", "names"]


@dataclass(frozen=True)
class Entry:
    """One corpus of the catalog."""

    name: str
    summary: str
    licence: str
    file: str | None = None  # in this folder; None: built from installed packages


def names() -> list[Entry]:
    """Return the entries of catalog.toml in order."""
    catalog = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    return [Entry(name, **entry) for name, entry in catalog.items()]


def find(name: str) -> Path | None:
    """Return the file of a corpus, built first if needed; None for an unknown name."""
    entry = next((entry for entry in names() if entry.name == name), None)
    if entry is None:
        return None
    if entry.file is not None:
        return Path(str(files(__package__).joinpath(entry.file)))
    from . import pydocs

    return pydocs.build()
