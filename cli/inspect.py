"""nlpseq inspect: what a folder or file is, and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from nlpseq.config import TextConfig
from nlpseq.errors import ArtifactError, ConfigError, DataError, MissingExtra, NlpseqError
from nlpseq.vectors.formats.names import files_of, format_of

from ._app import Command
from ._options import json_option
from ._output import print_columns, print_json


class Finding(NamedTuple):
    """What was found; whole is None where that cannot be told, damage says why it is False."""

    kind: str | None
    whole: bool | None
    meta: dict[str, Any]
    damage: NlpseqError | None = None


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
    """Tell what ANY holds, and whether it is whole.

    ANY is a folder of vectors, of a language model, of an encoded corpus or of counts, a vector file of
    another tool, or text.
    Every file of a folder is held against its checksum. What is damaged is named, and the exit code is 5.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Name a folder or file.")
    found = _look_into_folder(path) if path.is_dir() else _look_into_file(path)
    if as_json:
        print_json({"kind": found.kind, "whole": found.whole, "meta": found.meta})
    else:
        whole = {None: "cannot be told", True: "yes", False: "no"}[found.whole]
        print_columns([("kind", found.kind or "unknown"), ("whole", whole), *_flattened(found.meta)])
    if found.damage is not None:
        raise found.damage


def _look_into_folder(path: Path) -> Finding:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.storage import artifact
    from nlpseq.vectors.vectors import Vectors

    openers: dict[str, Callable[[Path], Any]] = {
        "tokens": TokenDataset.open,
        "vectors": Vectors.load,
        "cooccurrence": Cooccurrence.load,
        "lm": _check_language_model,
    }
    kind: str | None = None
    meta: dict[str, Any] = {}
    try:
        meta = artifact.peek_meta(path)
        kind = str(meta.get("format")).removeprefix("nlpseq-")
        if kind not in openers:
            raise ArtifactError(
                f"{path} has the unknown format {meta.get('format')!r}. Use the nlpseq that wrote it."
            )
        openers[kind](path)
        for inner in filter(artifact.is_result, path.iterdir()):  # such as counts in an encoded corpus
            if damage := _look_into_folder(inner).damage:
                raise damage
    except ArtifactError as damage:
        return Finding(kind, False, meta, damage)
    return Finding(kind, True, meta)


def _check_language_model(path: Path) -> None:
    """ArtifactError where a language model is damaged; without PyTorch its checksums have to do."""
    from nlpseq.storage.manifest import check_manifest

    try:
        from nlpseq.lm.checkpoint import Checkpoint
    except MissingExtra:
        check_manifest(path)
    else:
        Checkpoint.load(path)


def _look_into_file(file: Path) -> Finding:
    if _is_named_so(file):
        return _look_into_vectors(file)
    try:
        text, encoding, notices = _first_text(file)
    except DataError as damage:
        return Finding(None, False, {"bytes": file.stat().st_size}, ArtifactError(str(damage)))
    if _is_vector_line(text.partition("\n")[0]):
        return _look_into_vectors(file)
    meta = {"bytes": file.stat().st_size, "encoding": encoding, "first_tokens": _first_tokens(text)}
    return Finding("text", None, meta | {"notices": notices})


def _is_named_so(file: Path) -> bool:
    """Whether name and neighbour say that this is an array of vectors, as text does by its first line."""
    try:
        words, *array = files_of(file, format_of(file))
    except ConfigError:
        return False
    return bool(array) and words.exists()


def _first_text(file: Path) -> tuple[str, str, list[str]]:
    """The beginning of a file read as text, what its encoding seems to be, and what is odd about it."""
    from nlpseq.reading.corpus import ReadReport, open_corpus

    corpus, report = open_corpus(file), ReadReport()
    try:
        block = next(corpus.blocks(TextConfig(), report), None)
    except DataError as error:
        next(
            corpus.blocks(TextConfig(encoding="latin-1"), report), None
        )  # raises where bytes are the trouble
        return "", "not utf-8", [str(error)]
    encoding = "utf-8" if report.invalid_bytes == 0 else f"not utf-8 ({report.first_invalid})"
    return "" if block is None else block.text, encoding, report.notices()


def _first_tokens(text: str) -> list[str]:
    from nlpseq.tokenizers.base import tokenize

    line = next((line for line in text[:100_000].split("\n") if line.strip()), "")
    return tokenize(line[:10_000], TextConfig())[:10]


def _is_vector_line(line: str) -> bool:
    """Whether a file of vectors can begin so: two whole numbers, or a word and its numbers."""
    fields = line.split()
    if len(fields) == 2:
        return fields[0].isdecimal() and fields[1].isdecimal()
    return len(fields) > 2 and all(_is_number(field) for field in fields[1:])


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _look_into_vectors(file: Path) -> Finding:
    from nlpseq.vectors.vectors import Vectors

    try:
        vectors = Vectors.load(file)
    except ArtifactError as damage:
        return Finding("vectors", False, {"bytes": file.stat().st_size}, damage)
    num_words, dim = vectors.matrix.shape
    meta = {
        "bytes": file.stat().st_size,
        "num_words": num_words,
        "dim": dim,
        "notices": vectors.meta["notices"],
    }
    return Finding(vectors.meta["read_format"], True, meta)


def _flattened(meta: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """meta.json as lines: a value below others is named by all of them, such as config.dim."""
    for key, value in meta.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{above}{key}.")
        else:
            yield above + key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
