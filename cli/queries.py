"""nlpseq neighbors, analogy, similarity: what trained vectors know."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.errors import DataError

from ._app import Command
from ._inputs import load_vectors, vector_options
from ._options import json_option
from ._output import print_columns, print_json, print_line, say, say_error

if TYPE_CHECKING:
    from nlpseq.vectors.vectors import Vectors

model_argument = click.argument("model", type=click.Path(path_type=Path))
top_option = click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, help="how many answers"
)


@click.command(
    cls=Command,
    examples=[
        "nlpseq neighbors corpus.w2v king",
        "nlpseq neighbors corpus.w2v king queen --top 3 --json",
        "echo king | nlpseq neighbors corpus.w2v",
    ],
)
@model_argument
@click.argument("words", nargs=-1, metavar="[WORD...]")
@top_option
@vector_options
@json_option
@click.option("-i", "--interactive", is_flag=True, help="ask for words on the terminal")
def neighbors(
    model: Path, words: tuple[str, ...], top: int, as_json: bool, interactive: bool, **taken: Any
) -> None:
    """The words nearest to each WORD, by cosine.

    Without WORD, words are read from stdin, one a line.
    MODEL is a folder of vectors, or a file of word2vec or GloVe. With --json there is one document a line for
    each word. An unknown word does not keep the others from being answered, but the exit code is 4 then.
    """
    asked = _asked_words(words, interactive)
    vectors = load_vectors(model, **taken)
    all_known = True
    for number, word in enumerate(asked):
        try:
            answers = vectors.neighbors(word := known_form(vectors, word), top)
        except DataError as error:
            if len(words) == 1:
                raise
            say_error(str(error))
            all_known = False
            continue
        if as_json:
            print_json({"word": word, "neighbors": _records(answers, "similarity")})
        else:
            _print_answers(
                answers, header=None if len(words) == 1 or interactive else word, first=number == 0
            )
    if not (all_known or interactive):
        click.get_current_context().exit(DataError.exit_code)


@click.command(
    cls=Command,
    examples=[
        "nlpseq analogy corpus.w2v man king woman",
        "nlpseq analogy corpus.w2v man king woman --method 3cosmul --top 3 --json",
    ],
)
@model_argument
@click.argument("a")
@click.argument("b")
@click.argument("c")
@click.option(
    "--method",
    type=click.Choice(["3cosadd", "3cosmul"]),
    default="3cosadd",
    show_default=True,
    help="add the cosines, or multiply them",
)
@top_option
@vector_options
@json_option
def analogy(model: Path, a: str, b: str, c: str, method: Any, top: int, as_json: bool, **taken: Any) -> None:
    """Answer: A is to B as C is to what?"""
    vectors = load_vectors(model, **taken)
    a, b, c = (known_form(vectors, word) for word in (a, b, c))
    answers = vectors.analogy(a, b, c, top, method)
    if as_json:
        print_json({"answers": _records(answers, "score")})
    else:
        _print_answers(answers)


@click.command(
    cls=Command,
    examples=["nlpseq similarity corpus.w2v king queen", "nlpseq similarity corpus.w2v king queen --json"],
)
@model_argument
@click.argument("a")
@click.argument("b")
@vector_options
@json_option
def similarity(model: Path, a: str, b: str, as_json: bool, **taken: Any) -> None:
    """The cosine of the vectors of A and B, from -1 to 1."""
    vectors = load_vectors(model, **taken)
    cosine = vectors.similarity(known_form(vectors, a), known_form(vectors, b))
    if as_json:
        print_json({"similarity": cosine})
    else:
        print_line(f"{cosine:.4f}")


def known_form(vectors: Vectors, word: str) -> str:
    """`word` as it is or, where the vocabulary lacks that, as text was read in training."""
    if word in vectors.vocab:
        return word
    if not vectors.meta.get("text_config"):
        return word
    from nlpseq.dataset.phrases import JOINT
    from nlpseq.tokenizers.base import normalize_and_tokenize

    tokens = normalize_and_tokenize(word, from_dict(TextConfig, vectors.meta["text_config"]))
    phrase = JOINT.join(tokens)
    return phrase if phrase in vectors.vocab else word


def _asked_words(words: tuple[str, ...], interactive: bool) -> Iterable[str]:
    if interactive:
        if words or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError(
                "-i asks for words on a terminal. Leave it out to name words or to pipe them in."
            )
        return _typed_words()
    if not words and sys.stdin.isatty():
        raise click.UsageError("No word was named. Name some, pipe them in, or give -i.")
    return words or _piped_words()


def _piped_words() -> Iterator[str]:
    lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
    return (word for line in lines if (word := line.strip()))


def _typed_words() -> Iterator[str]:
    """Words typed at a prompt, until Ctrl-D."""
    import readline  # noqa: F401  # input() edits lines and remembers them with it

    say("Type a word and press Enter; Ctrl-D ends.")
    while True:
        try:
            word = input("word> ").strip()
        except EOFError:
            print_line()
            return
        if word:
            yield word


def _records(answers: list[tuple[str, float]], key: str) -> list[dict[str, Any]]:
    return [{"word": word, key: value} for word, value in answers]


def _print_answers(
    answers: list[tuple[str, float]], header: str | None = None, *, first: bool = True
) -> None:
    """Words and numbers in two columns; under a header, and after an empty line if others came first."""
    if header is not None and not first:
        print_line()
    if header is not None:
        print_line(header)
    print_columns((word, f"{value:.4f}") for word, value in answers)
