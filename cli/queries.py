"""nlpseq neighbors, analogy, query, odd-one-out, similarity: query word vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nlpseq.core.resources import count_text
from nlpseq.errors import DataError, UnknownWord

from ._app import Command
from ._inputs import load_vectors, read_words, text_lines, without_blanks
from ._options import Words, integer, json_option, model_argument, vector_options
from ._output import print_columns, print_json, print_line, say, say_warning

__all__ = ["analogy", "neighbors", "odd_one_out", "query", "similarity"]

if TYPE_CHECKING:
    from nlpseq.vectors.queries import Answers
    from nlpseq.vectors.vectors import FoundWord, Vectors

top_option = click.option("--top", type=integer(1), default=10, help="number of answers")
STDIN = "-"


@click.command(
    cls=Command,
    examples=[
        "nlpseq neighbors corpus.w2v king",
        "nlpseq neighbors corpus.w2v king queen --top 3 --json",
        "echo king | nlpseq neighbors corpus.w2v",
        'echo "the old king speaks" | nlpseq neighbors corpus.w2v --lines',
    ],
)
@model_argument
@click.argument("words", nargs=-1, metavar="[WORD...|-]", type=Words())
@top_option
@click.option("--lines", is_flag=True, help="answer the mean of the words of each line or WORD")
@vector_options
@json_option
@click.option("-i", "--interactive", is_flag=True, help="read words from the terminal")
def neighbors(
    model: Path,
    words: tuple[str, ...],
    top: int,
    lines: bool,
    as_json: bool,
    interactive: bool,
    **vector_settings: Any,
) -> None:
    """Print the words nearest to each WORD, by cosine.

    Without WORD, or for -, read words from stdin, one word per line. Words that begin with a dash come after
    --. MODEL is a folder or any file of vectors. --json prints one document per line and
    word. After an unknown word the other words are still answered, and the exit code is 4.
    """
    batches = _batches(words, interactive)
    vectors = load_vectors(model, **vector_settings)
    asked, all_known = 0, True
    for batch in batches:
        questions = list[_Question]()
        for typed in without_blanks(vectors, batch):
            try:
                questions.append(_line(vectors, typed) if lines else _word(vectors, typed))
            except DataError as error:
                if len(words) == 1 and words != (STDIN,):
                    raise
                hint = " Options come before --." if typed.startswith("--") else ""
                say(f"nlpseq: error: {error}{hint}", level=-1)
                all_known = False
        found = vectors.neighbors_of([question.words for question in questions], top)
        for question, answers in zip(questions, found, strict=True):
            has_header = not interactive and (len(words) != 1 or words == (STDIN,))
            _print_neighbors(vectors, question, answers, as_json=as_json, place=asked if has_header else None)
            asked += 1
    if not (asked or interactive) and all_known:
        source = "WORD" if words and STDIN not in words else "stdin"
        say_warning(
            f"{source}: holds no words, so there is no answer. Words that begin with a dash come after --."
        )
    phrase = " ".join(words)
    if not all_known and vectors.find(phrase) is not None:
        say(f'{phrase}: is one entry of these vectors. Put the words in quotes, "{phrase}".')
    if not (all_known or interactive):
        click.get_current_context().exit(DataError.exit_code)


class _Question(NamedTuple):
    """Words whose neighbors are asked, and the first keys of the JSON answer."""

    words: list[FoundWord]
    title: str
    record: dict[str, Any]


def _word(vectors: Vectors, typed: str) -> _Question:
    found = vectors.lookup(typed)
    record = {"word": found.word} | _changes(vectors, [typed])
    return _Question([found], vectors.vocab.label(found.word), record)


def _line(vectors: Vectors, typed: str) -> _Question:
    known, unknown = vectors.find_words(typed)
    if not known:
        raise UnknownWord(f"{typed!r}: has no word with a vector. Use words of the training text.")
    if unknown:
        total = count_text(len(known) + len(unknown), "word")
        shown = " ".join(map(vectors.vocab.label, unknown))
        say(f"{typed}: {len(unknown)} of {total} left out as unknown: {shown}")
    return _Question(known, typed, {"line": typed, "unknown": unknown} | _from_subwords(vectors, known))


def _print_neighbors(
    vectors: Vectors, question: _Question, answers: Answers, *, as_json: bool, place: int | None
) -> None:
    """Print an answer; place: number of answers before, None without a header."""
    if as_json:
        records = [{"word": word, "similarity": value} for word, value in answers]
        print_json(question.record | {"neighbors": records})
    else:
        if place is not None:
            _print_title(question.title, place)
        _print_scores(vectors, answers)
    _explain_if_empty(answers, question.title)


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
    """Complete the analogy: A is to B as C is to ?.

    - stands for the next line of stdin.
    """
    a, b, c = _typed_texts((a, b, c))
    vectors = load_vectors(model, **vector_settings)
    answers = vectors.analogy(a, b, c, top, method)
    _print_answers(vectors, answers, _changes(vectors, (a, b, c)), as_json=as_json)


@click.command(
    cls=Command,
    examples=[
        "nlpseq query corpus.w2v 'king - man + woman'",
        "nlpseq query corpus.w2v 'king + 0.5*\"old land\" - man' --max-rank 10 --json",
        "printf 'girl\\nqueen\\n' > words.txt && nlpseq query corpus.w2v 'king + woman' --among words.txt",
    ],
)
@model_argument
@click.argument("expression", nargs=-1, required=True, metavar="EXPRESSION|-", type=Words())
@top_option
@click.option(
    "--among",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="answer with words of this file only, one per line",
)
@click.option(
    "--min-frequency",
    type=integer(1),
    metavar="N",
    help="answer with words that occur N times or more in the training text, or of unknown count",
)
@click.option("--max-rank", type=integer(1), metavar="N", help="answer with the N first words only")
@vector_options
@json_option
def query(
    model: Path,
    expression: tuple[str, ...],
    top: int,
    among: Path | None,
    min_frequency: int | None,
    max_rank: int | None,
    as_json: bool,
    **vector_settings: Any,
) -> None:
    """Print the words nearest to a sum of words.

    An example is 'king - man + 2*woman': + and - stand between spaces, and a number before * is a weight.
    Words count as vectors of length 1. A phrase in quotation marks is an entry of the vocabulary, or else the
    mean of its words; quotation marks also hold a word such as + or a*b. - alone reads expressions from
    stdin, one per line, and prints each above its answers.
    """
    from nlpseq.vectors.expressions import parse_expression

    texts = iter([" ".join(expression)])
    if expression == (STDIN,):
        texts = (text for batch in _stdin_lines() for text in batch if text.strip())
    vectors = load_vectors(model, **vector_settings)
    limits: dict[str, Any] = {"min_frequency": min_frequency or 0, "max_rank": max_rank}
    limits["among"] = None if among is None else _known_words(vectors, among)
    if min_frequency is not None:
        _warn_of_unknown_counts(vectors)
    asked = 0
    for text in texts:
        words = [word for term in parse_expression(text) for word in vectors.words_of(term)]
        answers = vectors.query(text, top, **limits)
        if expression == (STDIN,) and not as_json:
            _print_title(text, asked)
        record = {"expression": text} | _changes(vectors, words)
        _print_answers(vectors, answers, record, as_json=as_json)
        asked += 1
    if not asked:
        say_warning("stdin: holds no expression, so there is nothing to answer.")


@click.command(
    "odd-one-out",
    cls=Command,
    examples=[
        "nlpseq odd-one-out corpus.w2v king queen land",
        "nlpseq odd-one-out corpus.w2v king queen land --json",
    ],
)
@model_argument
@click.argument("words", nargs=-1, required=True, metavar="WORD...|-", type=Words())
@vector_options
@json_option
def odd_one_out(model: Path, words: tuple[str, ...], as_json: bool, **vector_settings: Any) -> None:
    """Print the WORD that fits least, and then the others.

    Each word has its cosine with the mean of all words, as vectors of length 1. - reads words from stdin, one
    per line.
    """
    typed = [word for batch in _batches(words) for word in batch]
    vectors = load_vectors(model, is_searched=False, **vector_settings)
    typed = without_blanks(vectors, typed)
    scores = vectors.odd_one_out(typed)
    changed = _changes(vectors, typed)
    if as_json:
        print_json({"word": next(iter(scores)), "scores": scores} | changed)
    else:
        _print_scores(vectors, scores.items())


@click.command(
    cls=Command,
    examples=[
        "nlpseq similarity corpus.w2v king queen",
        "nlpseq similarity corpus.w2v king queen --json",
        'nlpseq similarity corpus.w2v "king queen" "man woman"',
    ],
)
@model_argument
@click.argument("a", type=Words())
@click.argument("b", type=Words())
@vector_options
@json_option
def similarity(model: Path, a: str, b: str, as_json: bool, **vector_settings: Any) -> None:
    """Print the cosine of the vectors of A and B, from -1 to 1.

    A or B may be several words in quotes: their mean vector. - stands for the next line of stdin.
    """
    texts = _typed_texts((a, b))
    vectors = load_vectors(model, is_searched=False, **vector_settings)
    sets = [vectors.split_phrase(text) for text in texts]
    cosine = vectors.similarity(*sets)
    changed = _changes(vectors, [word for words in sets for word in words])
    if as_json:
        print_json({"similarity": cosine} | changed)
    else:
        print_line(f"{cosine:.4f}")


def _print_answers(vectors: Vectors, answers: Answers, record: dict[str, Any], *, as_json: bool) -> None:
    """Print answers; record: more keys of the JSON document."""
    if as_json:
        print_json(record | {"answers": [{"word": word, "score": value} for word, value in answers]})
    else:
        _print_scores(vectors, answers)
    _explain_if_empty(answers, "no answer")


def _print_title(title: str, place: int) -> None:
    """Print what is answered next, after a blank line except for the first answer."""
    if place > 0:
        print_line()
    print_line(title)


def _print_scores(vectors: Vectors, scores: Iterable[tuple[str, float]]) -> None:
    print_columns((vectors.vocab.label(word), f"{value:.4f}") for word, value in scores)


def _explain_if_empty(answers: Answers, title: str) -> None:
    if not answers:
        limits = [name for name in ("--among", "--min-frequency", "--max-rank") if _is_set(name)]
        also = f", nor words outside {', '.join(limits)}" if limits else ""
        never = "Words of the question, and without a trained vector, never answer"
        say_warning(f"{title}: no word is left. {never}{also}.")


def _is_set(option: str) -> bool:
    return click.get_current_context().params.get(option[2:].replace("-", "_")) is not None


def _changes(vectors: Vectors, words: Iterable[str]) -> dict[str, Any]:
    """Say which words were changed to be found or have a vector made from n-grams; return them for JSON."""
    from nlpseq.vectors.suggestions import show_word

    words, changed = list(words), dict[str, str]()
    found = vectors.find_vectors(words)
    for typed, each in zip(words, found, strict=True):
        used = vectors.find(typed) or (typed if each is None else each.word)
        if used != typed and vectors.vocab.find(typed) is None:
            changed[typed] = used
            say(f"{show_word(typed, used)}: read as {show_word(used)}")
    return ({"changed": changed} if changed else {}) | _from_subwords(vectors, found)


def _from_subwords(vectors: Vectors, found: Iterable[FoundWord | None]) -> dict[str, Any]:
    """Say which words have a vector made from n-grams, and return them for JSON."""
    from nlpseq.vectors.suggestions import show_word

    made = list(dict.fromkeys(each.word for each in found if each is not None and each.row is None))
    for word in made:
        lower = vectors.vocab.find(word.lower())
        hint = f". Did you mean {show_word(lower)}?" if lower not in (None, word) else ""
        say(f"{show_word(word)}: has no trained vector of its own; its vector is made from subwords{hint}")
    return {"from_subwords": made} if made else {}


def _known_words(vectors: Vectors, file: Path) -> list[str]:
    """Read the words of --among that the vectors have."""
    words = read_words(vectors, file)
    known = [word for word in words if vectors.find(word) is not None]
    if not known:
        raise DataError(f"{file}: holds no known word. Name a text with one word of the vectors per line.")
    if len(known) < len(words):
        say(f"{file}: {len(words) - len(known)} of {count_text(len(words), 'word')} left out as unknown")
    return known


def _warn_of_unknown_counts(vectors: Vectors) -> None:
    """Warn that --min-frequency does not limit words of unknown count, unless all are so."""
    unknown = int((vectors.vocab.counts < 0).sum())
    if 0 < unknown < len(vectors):
        say_warning(
            f"{count_text(unknown, 'word')} of unknown count: can answer in spite of --min-frequency."
        )


def _batches(words: Sequence[str], interactive: bool = False) -> Iterator[list[str]]:
    """Return the words to answer, as many at once as are known; - stands for the lines of stdin."""
    if interactive:
        if words or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError("-i: needs a terminal and no WORD. Leave out -i to name or pipe words.")
        return ([word] for word in _prompted_words())
    if not words and sys.stdin.isatty():
        raise click.UsageError("WORD: is missing. Name a word, pipe words into stdin, or use -i.")
    groups = groupby(words or (STDIN,), key=lambda word: word == STDIN)
    return (batch for is_stdin, group in groups for batch in (_stdin_lines() if is_stdin else [list(group)]))


def _stdin_lines() -> Iterator[list[str]]:
    return text_lines(sys.stdin.buffer)


def _typed_texts(texts: Sequence[str]) -> list[str]:
    """Replace each - by the next line of stdin."""
    if STDIN not in texts:
        return list(texts)
    lines = (line for batch in _stdin_lines() for line in batch)
    typed = [next(lines, None) if text == STDIN else text for text in texts]
    if None in typed:
        raise DataError("stdin: has fewer lines than there are -. Write one word or phrase per line.")
    return [text for text in typed if text is not None]


def _prompted_words() -> Iterator[str]:
    """Yield words typed at a prompt, until Ctrl-D."""
    import readline  # noqa: F401  # gives input() line editing and a history

    say("Type a word and press Enter. Press Ctrl-D to end.")
    while True:
        try:
            yield input("word> ")
        except EOFError:
            print_line()
            return
