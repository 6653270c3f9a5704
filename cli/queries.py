"""nlpseq neighbors, analogy, similarity: query word vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from nlpseq.errors import DataError

from ._app import Command
from ._inputs import load_vectors
from ._options import Words, integer, json_option, model_argument, vector_options
from ._output import print_columns, print_json, print_line, say

__all__ = ["analogy", "neighbors", "similarity"]

top_option = click.option("--top", type=integer(1), default=10, help="number of answers")


@click.command(
    cls=Command,
    examples=[
        "nlpseq neighbors corpus.w2v king",
        "nlpseq neighbors corpus.w2v king queen --top 3 --json",
        "echo king | nlpseq neighbors corpus.w2v",
    ],
)
@model_argument
@click.argument("words", nargs=-1, metavar="[WORD...]", type=Words())
@top_option
@vector_options
@json_option
@click.option("-i", "--interactive", is_flag=True, help="read words from the terminal")
def neighbors(
    model: Path, words: tuple[str, ...], top: int, as_json: bool, interactive: bool, **vector_settings: Any
) -> None:
    """Print the words nearest to each WORD, by cosine.

    Without WORD, read words from stdin, one word per line. MODEL is a folder of vectors, or a file of
    word2vec or GloVe. --json prints one document per line and word. After an unknown word the other words are
    still answered, and the exit code is 4.
    """
    queries = _query_words(words, interactive)
    vectors = load_vectors(model, **vector_settings)
    all_known = True
    for number, word in enumerate(queries):
        try:
            answers = vectors.neighbors(word := vectors.find(word) or word, top)
        except DataError as error:
            if len(words) == 1:
                raise
            say(f"nlpseq: error: {error}", level=-1)
            all_known = False
            continue
        if as_json:
            records = [{"word": other, "similarity": value} for other, value in answers]
            print_json({"word": word, "neighbors": records})
        else:
            if len(words) != 1 and not interactive:  # a header, below an empty line unless it is the first
                if number > 0:
                    print_line()
                print_line(vectors.vocab.label(word))
            print_columns((vectors.vocab.label(other), f"{value:.4f}") for other, value in answers)
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
@click.argument("a", type=Words())
@click.argument("b", type=Words())
@click.argument("c", type=Words())
@click.option(
    "--method",
    type=click.Choice(["3cosadd", "3cosmul"]),
    default="3cosadd",
    help="add the cosines, or multiply the cosines",
)
@top_option
@vector_options
@json_option
def analogy(
    model: Path, a: str, b: str, c: str, method: Any, top: int, as_json: bool, **vector_settings: Any
) -> None:
    """Complete the analogy: A is to B as C is to ?."""
    vectors = load_vectors(model, **vector_settings)
    answers = vectors.analogy(a, b, c, top, method)
    if as_json:
        print_json({"answers": [{"word": word, "score": value} for word, value in answers]})
    else:
        print_columns((vectors.vocab.label(word), f"{value:.4f}") for word, value in answers)


@click.command(
    cls=Command,
    examples=["nlpseq similarity corpus.w2v king queen", "nlpseq similarity corpus.w2v king queen --json"],
)
@model_argument
@click.argument("a", type=Words())
@click.argument("b", type=Words())
@vector_options
@json_option
def similarity(model: Path, a: str, b: str, as_json: bool, **vector_settings: Any) -> None:
    """Print the cosine of the vectors of A and B, from -1 to 1."""
    vectors = load_vectors(model, **vector_settings)
    cosine = vectors.similarity(a, b)
    if as_json:
        print_json({"similarity": cosine})
    else:
        print_line(f"{cosine:.4f}")


def _query_words(words: tuple[str, ...], interactive: bool) -> Iterable[str]:
    if interactive:
        if words or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError("-i: needs a terminal and no WORD. Leave out -i to name or pipe words.")
        return _typed_words()
    if not words and sys.stdin.isatty():
        raise click.UsageError("WORD: is missing. Name a word, pipe words into stdin, or use -i.")
    if words:
        return words
    lines = (line.decode("utf-8-sig", "surrogateescape") for line in sys.stdin.buffer)
    return (word for line in lines for part in line.split("\r") if (word := part.strip()))


def _typed_words() -> Iterator[str]:
    """Yield words typed at a prompt, until Ctrl-D."""
    import readline  # noqa: F401  # gives input() line editing and a history

    say("Type a word and press Enter. Press Ctrl-D to end.")
    while True:
        try:
            word = input("word> ").strip()
        except EOFError:
            print_line()
            return
        if word:
            yield word
