"""nlpseq corpora: texts that can be asked for by name."""

from difflib import get_close_matches
from importlib import import_module

import click

from nlpseq.errors import DataError

from ._app import Command, WithExamples
from ._options import json_option
from ._output import print_columns, print_json, print_path


class _Group(WithExamples, click.Group):
    """A group with examples."""


@click.group(cls=_Group, examples=["nlpseq corpora list", "nlpseq train-w2v tiny"])
def corpora() -> None:
    """Texts that can be used by name, in place of a file."""


@corpora.command("list", cls=Command, examples=["nlpseq corpora list", "nlpseq corpora list --json"])
@json_option
def list_(as_json: bool) -> None:
    """The names there are, and what they stand for."""
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
    """The file of the corpus NAME, made first where that is needed."""
    catalogue = import_module("nlpseq.corpora")
    file = catalogue.find(name)
    if file is None:
        known = [entry.name for entry in catalogue.names()]
        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
        raise DataError(f"{name!r} is no corpus. {hint}")
    print_path(file)
