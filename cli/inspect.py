"""nlpseq inspect: describe and check a folder or file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from nlpseq.config import TextConfig
from nlpseq.errors import ArtifactError, DataError, MissingExtra, NlpseqError

from ._app import Command
from ._inputs import warn_if_unfinished
from ._options import json_option
from ._output import print_columns, print_json

__all__ = ["inspect"]

MAX_SHOWN = 500  # characters of a setting
MIN_ROUNDED = 1000  # a figure shown without decimals
FIGURES = {"corpus", "num_sentences", "num_tokens", "noted_files", "splits", "statistics", "unknown"}
WORD_PAIRS = "Word pairs with scores are for `nlpseq eval-w2v MODEL --pairs FILE`."
READING = ("encodings", "formats")  # the rest is in figures and notices


class Finding(NamedTuple):
    """Result of an inspection. whole: None if nlpseq cannot tell; error: the reason for whole=False.

    rows: figures to print before meta.
    """

    kind: str | None
    whole: bool | None
    meta: dict[str, Any]
    error: NlpseqError | None = None
    rows: Sequence[tuple[str, str]] = ()


@click.command(
    cls=Command,
    examples=[
        "nlpseq inspect corpus.w2v",
        "nlpseq inspect corpus.lm",
        "nlpseq inspect corpus.tokens --json",
        "nlpseq inspect corpus.txt",
    ],
)
@click.argument("path", type=click.Path(path_type=Path), metavar="ANY")
@json_option
def inspect(path: Path, as_json: bool) -> None:
    """Print the contents of ANY, and check them.

    ANY is a folder of nlpseq (vectors, a language model, an encoded corpus or counts), a vector file of
    another tool, or a text. For a folder, every file is compared with its checksum. The exit code of a
    corrupt file or folder is 5.
    """
    if not path.exists():
        raise DataError(f"{path}: does not exist. Name a file or folder.")
    from nlpseq.vectors.formats.registry import is_vector_file

    if path.is_dir():
        found = _inspect_folder(path)
    else:
        found = _inspect_vectors(path) if is_vector_file(path) else _inspect_text(path)
    if as_json:
        print_json({"kind": found.kind, "whole": found.whole, "meta": found.meta})
    else:
        whole = {None: "unknown", True: "yes", False: "no"}[found.whole]
        rest = _flattened(_without_figures(found.meta) if found.rows else found.meta)
        print_columns([("kind", found.kind or "unknown"), ("whole", whole), *found.rows, *rest])
    if found.error is not None:
        raise found.error
    warn_if_unfinished(path, found.meta)


def _inspect_folder(path: Path) -> Finding:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.diagnostics import diagnose
    from nlpseq.dataset.report import report_corpus
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.storage import artifact
    from nlpseq.storage.manifest import check_manifest
    from nlpseq.vectors.vectors import Vectors

    checks: dict[str, Callable[[Path], Any]] = {
        "tokens": TokenDataset.open,
        "vectors": partial(Vectors.load, verify=True),
        "cooccurrence": Cooccurrence.load,
        "lm": _check_language_model,
        "export": check_manifest,
    }
    kind: str | None = None
    meta: dict[str, Any] = {}
    rows = list[tuple[str, str]]()
    try:
        meta = artifact.peek_meta(path)
        kind = str(meta.get("format")).removeprefix("nlpseq-")
        if kind not in checks:
            raise ArtifactError(
                f"{path}: unknown format {meta.get('format')!r}. Use the version of nlpseq that wrote {path}."
            )
        found = checks[kind](path)
        if kind == "tokens":
            report = report_corpus(found)
            meta |= {"notices": [*meta["notices"], *diagnose(found)], "statistics": asdict(report)}
            rows = report.rows()
        for inner in filter(artifact.is_result, path.iterdir()):  # such as counts in an encoded corpus
            if error := _inspect_folder(inner).error:
                raise error
    except ArtifactError as error:
        return Finding(kind, False, meta, error)
    return Finding(kind, True, meta, rows=rows)


def _check_language_model(path: Path) -> None:
    """Raise ArtifactError for a corrupt language model; without PyTorch compare checksums only."""
    from nlpseq.storage.manifest import check_manifest

    try:
        from nlpseq.lm.checkpoint import Checkpoint
    except MissingExtra:
        check_manifest(path)
    else:
        Checkpoint.load(path)


def _inspect_vectors(file: Path) -> Finding:
    from nlpseq.vectors.vectors import Vectors

    size = {"bytes": file.stat().st_size}
    try:
        vectors = Vectors.load(file, verify=True)
    except (ArtifactError, DataError) as error:
        return Finding("vectors", False, size, error)
    num_words, dim = vectors.matrix.shape
    meta = size | {"num_words": num_words, "dim": dim, "notices": vectors.meta["notices"]}
    if vectors.subwords is not None:
        meta["subwords"] = vectors.subwords.sizes()
    return Finding(vectors.meta["read_format"], True, meta)


def _inspect_text(file: Path) -> Finding:
    """Return the probable encoding of a text, its first tokens, and warnings."""
    from nlpseq.reading.columns import UnclearColumn
    from nlpseq.reading.corpus import ReadReport, UnfitFile, open_corpus
    from nlpseq.tokenizers.base import tokenize

    size, corpus, report = {"bytes": file.stat().st_size}, open_corpus(file), ReadReport()
    try:
        block = next(corpus.blocks(TextConfig(), report), None)
    except UnfitFile as error:
        found = {"encoding": error.kind} if error.is_text else {}
        return Finding(
            "text" if error.is_text else error.kind, None, size | found | {"notices": [str(error)]}
        )
    except UnclearColumn as error:
        training = f"In a training command, {error.way_out[:1].lower()}{error.way_out[1:]}"
        notice = f"{error.problem} {WORD_PAIRS} {training}"
        return Finding("text", None, size | {"notices": [notice]})
    except DataError as error:
        return Finding(None, False, size, ArtifactError(str(error)))
    text = "" if block is None else block.text
    line = next((line for line in text[:100_000].split("\n") if line.strip()), "")
    tokens = tokenize(line[:10_000], TextConfig())[:10]
    encoding = next(iter(report.encodings), None)  # None without any text, such as an empty archive
    meta = size | {"encoding": encoding, "first_tokens": tokens, "notices": report.notices()}
    return Finding("text", None, meta)


def _without_figures(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of an encoded corpus that its rows do not show."""
    read = {name: meta["read"][name] for name in READING if name in meta.get("read", {})}
    return {name: value for name, value in meta.items() if name not in FIGURES} | {"read": read}


def _flattened(meta: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value of meta.json with its path of keys, such as config.dim; no empty values."""
    for key, value in meta.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{above}{key}.")
        elif key == "notices" and isinstance(value, list):
            yield from (("notice", _text_of(notice, is_count=False)) for notice in value)
        elif value not in (None, "", []):
            text = _text_of(value, is_count="config" not in above)
            is_long = len(text) > MAX_SHOWN
            yield above + key, f"{text[:MAX_SHOWN]}... ({len(text):,} characters)" if is_long else text


def _text_of(value: Any, *, is_count: bool) -> str:
    """Write a value of meta.json for a person; is_count: with thousands separators."""
    if isinstance(value, list):
        return ", ".join(_text_of(each, is_count=is_count) for each in value)
    if isinstance(value, int) and not isinstance(value, bool) and is_count:
        return f"{value:,}"
    if isinstance(value, float) and is_count:
        return f"{value:,.0f}" if abs(value) >= MIN_ROUNDED else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
