"""nlpseq corpora: list, download and locate the texts that have a name."""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from nlpseq.core.resources import count_text, size_text
from nlpseq.errors import ConfigError, DataError

from ._app import Command, WithExamples
from ._options import json_option
from ._output import Progress, print_columns, print_json, print_path, say

__all__ = ["corpora"]


class _Group(WithExamples, click.Group):
    """A command group with examples."""


@click.group(cls=_Group, examples=["nlpseq corpora list", "nlpseq train-w2v tiny"])
def corpora() -> None:
    """List, download and locate texts to use by name."""


@corpora.command("list", cls=Command, examples=["nlpseq corpora list", "nlpseq corpora list --json"])
@json_option
def list_(as_json: bool) -> None:
    """List the names, with the size of a download and a description."""
    entries = import_module("nlpseq.corpora").names()
    if as_json:
        print_json({"corpora": [_describe(entry) for entry in entries]})
    else:
        width = max(len(entry.name) for entry in entries)
        print_columns((f"{entry.name:{width}}  {_state(entry)}", entry.summary) for entry in entries)


def _describe(entry: Any) -> dict[str, object]:
    sizes = [file.bytes for file in entry.downloads]
    return {
        "name": entry.name,
        "summary": entry.summary,
        "licence": entry.licence,
        "citation": entry.citation,
        "bytes": sum(filter(None, sizes)) if sizes and all(sizes) else None,
        "urls": [url for file in entry.downloads for url in file.urls],
        "ready": not entry.downloads or _download().is_downloaded(entry),
    }


def _state(entry: Any) -> str:
    if not entry.downloads:
        return "built here" if entry.is_built else "installed"
    if _download().is_downloaded(entry):
        return "downloaded"
    size = _describe(entry)["bytes"]
    return f"download, {size_text(size) if isinstance(size, int) else 'size unknown'}"


def _download() -> Any:
    return import_module("nlpseq.corpora.download")


@corpora.command(cls=Command, examples=["nlpseq corpora path tiny"])
@click.argument("name")
def path(name: str) -> None:
    """Print the path of the corpus NAME.

    A corpus that is built on this machine is built first. NAME/PART is one part of a downloaded corpus, such
    as wikitext-2/valid.
    """
    if _find_entry(name).is_built:
        _say_building(name)
    print_path(import_module("nlpseq.corpora").find(name))


def _say_building(name: str) -> None:
    pydocs = import_module("nlpseq.corpora.pydocs")
    if not pydocs.cached_text(pydocs.installed_sources()).exists():
        say(f"{name}: the text is extracted from the installed packages now, in about 15 s of a core")


def _find_entry(name: str) -> Any:
    """Return an entry of the catalog; raise DataError with a suggestion for an unknown name."""
    catalog = import_module("nlpseq.corpora")
    entry = catalog.find_entry(name)
    if entry is None:
        known = [each.name for each in catalog.names()]
        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(known)}."
        raise DataError(f"{name}: no such corpus. {hint}")
    return entry


@corpora.command(cls=Command, examples=["nlpseq corpora get tiny"])
@click.argument("name")
@click.option("--accept-licence", is_flag=True, help="accept a licence that must be accepted first")
@click.option("--yes", is_flag=True, help="download without a question, even if no sha256 is known")
def get(name: str, accept_licence: bool, yes: bool) -> None:
    """Download the corpus NAME into the cache, and print its path.

    Size and licence are shown first. A stopped download goes on. The bytes are compared with the sha256 in
    the catalog; without a sha256 the command asks, and keeps the sha256 of this download for the next time.
    """
    entry, download = _find_entry(name), _download()
    if entry.downloads and not download.is_downloaded(entry):
        total, is_checked = _confirm(entry, accept_licence, yes), None not in download.known_sha256(entry)
        done, note = 0, f"type nlpseq corpora get {entry.name} to go on."

        def add(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            bar.update(done, total)

        with Progress("downloading", "B", "waiting for the server", stopped_note=note) as bar:
            received = download.download(entry, progress=add)
        for file in received:
            known = "as expected" if is_checked else "kept for the next time"
            say(f"{file.urls[0]}: {count_text(file.bytes, 'byte')}, sha256 {file.sha256} ({known})")
    print_path(import_module("nlpseq.corpora").find(name))


def _confirm(entry: Any, accept_licence: bool, yes: bool) -> int | None:
    """Show size and licence, and return the bytes; raise ConfigError unless the user agrees."""
    from nlpseq.reading.remote import check_online

    sources = " ".join(url for file in entry.downloads for url in file.urls)
    say(f"{entry.name}: {entry.summary}\nsource: {sources}\ncitation: {entry.citation}")
    say(f"licence: {entry.licence}")
    if entry.must_accept and not accept_licence:
        raise ConfigError(f"{entry.name}: the licence must be accepted first. Use --accept-licence.")
    check_online(entry.name)
    size: int | None = _download().download_bytes(entry)
    say(f"size: {'unknown' if size is None else size_text(size)}")
    if yes or None not in _download().known_sha256(entry):
        return size
    question = "No sha256 of these files is known here, so their content cannot be checked"
    if not sys.stdin.isatty():
        raise ConfigError(f"{entry.name}: needs a decision. {question}. Use --yes to download them.")
    say(f"{question}. Download them? [y/N]", level=-1)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError(f"{entry.name}: was not downloaded. Answer y, or use --yes.")
    return size
