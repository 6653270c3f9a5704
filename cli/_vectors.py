"""What the commands that read vectors share: the model, and how its vectors are to be taken."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._console import printable, say, say_warning

if TYPE_CHECKING:
    from nlpseq.vectors.vectors import Vectors

F = TypeVar("F", bound=Callable[..., Any])

TELLING_RANKS = (100, 200, 400, 800)  # words more frequent than these have neighbours that say little

_OPTIONS = (
    click.option(
        "--matrix",
        type=click.Choice(["w", "w+c"]),
        default="w",
        show_default=True,
        help="word vectors, or with the vectors of the same words as contexts added",
    ),
    click.option("--center", is_flag=True, help="subtract the mean vector"),
    click.option(
        "--remove-components",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="remove the N directions in which all vectors vary most",
    ),
)


def vector_options(command: F) -> F:
    """Decorator: the options that load_vectors takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def load_vectors(model: Path, **taken: Any) -> Vectors:
    """The vectors of a model or file, taken as the options say; what is odd about the file is said."""
    from nlpseq.vectors.postprocess import postprocess
    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(model)
    if vectors.meta.get("complete") is False:
        command = "train-counts" if vectors.meta.get("model") == "glove" else "train-w2v"
        say_warning(
            f"{model} is unfinished: these are its vectors so far. "
            f"Go on with: nlpseq {command} {shlex.quote(str(model))} --resume"
        )
    for notice in vectors.meta.get("notices", []):
        say_warning(notice)
    return postprocess(vectors, **taken)


def say_neighbors(path: Path, vectors: Vectors) -> None:
    """The neighbours of a few words, and what to type next."""
    words = telling_words(vectors.vocab.words)
    for word in words:
        nearest = ", ".join(printable(other) for other, _ in vectors.neighbors(word, top=5))
        say(f"  {printable(word)}: {nearest}")
    say(f"next: nlpseq neighbors {shlex.quote(str(path))} {shlex.quote(words[0])}")


def telling_words(words: list[str]) -> list[str]:
    """A few frequent words, but for the most frequent ones: the first of letters alone from each rank on."""
    ranks = [rank for rank in TELLING_RANKS if rank < len(words)] or [len(words) // 2]
    found = [next((word for word in words[rank:] if word.isalpha()), words[rank]) for rank in ranks]
    return list(dict.fromkeys(found))
