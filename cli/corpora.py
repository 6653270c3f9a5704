"""nlpseq corpora: list and locate the texts that have a name."""

from difflib import get_close_matches
from importlib import import_module

import click

from nlpseq.errors import DataError

from ._app import Command, WithExamples
from ._options import json_option
from ._output import print_columns, print_json, print_path

__all__ = ["corpora"]


class _Group(WithExamples, click.Group):
    """A command group with examples."""


@click.group(cls=_Group, examples=["nlpseq corpora list", "nlpseq train-w2v tiny"])
def corpora() -> None:
    """List and locate texts to use by name, in place of a file."""


@corpora.command("list", cls=Command, examples=["nlpseq corpora list", "nlpseq corpora list --json"])
@json_option
def list_(as_json: bool) -> None:
    """List the names, each with a description."""
    names = import_module("nlpseq.corpora").names
    if as_json:
        print_json(
            {"corpora": [{"name": e.name, "summary": e.summary, "licence": e.licence} for e in names()]}
        )
    else:
        print_columns((entry.name, entry.summary) for entry in names())


@corpora.command(cls=Command, examples=["nlpseq corpora path tiny"])
@click.argument("name")
def path(name: str) -> None:
    """Print the path of the corpus NAME, and build the corpus first if necessary."""
    catalog = import_module("nlpseq.corpora")
    file = catalog.find(name)
    if file is None:
        known = [entry.name for entry in catalog.names()]
        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(known)}."
        raise DataError(f"{name}: no such corpus. {hint}")
    print_path(file)
