"""Texts that can be asked for by name; installed as nlpseq.corpora."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue."""

    name: str
    summary: str
    licence: str
    file: str | None = None  # beside this module; None: built from what is installed


def names() -> list[Entry]:
    """The catalogue, in its order."""
    catalog = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
    return [Entry(name, **entry) for name, entry in catalog.items()]


def find(name: str) -> Path | None:
    """The file of a corpus, built first where that is needed; None where the catalogue has no such name."""
    entry = next((entry for entry in names() if entry.name == name), None)
    if entry is None:
        return None
    if entry.file is not None:
        return Path(str(files(__package__).joinpath(entry.file)))
    from . import pydocs

    return pydocs.build()
