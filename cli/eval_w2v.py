"""nlpseq eval-w2v, compare: evaluate word vectors, one model or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.core.resources import count_text
from nlpseq.errors import DataError

from ._app import Command
from ._inputs import load_vectors
from ._options import (
    integer,
    json_option,
    model_argument,
    option_group,
    require_with,
    threads_option,
    vector_options,
)
from ._output import print_json, print_line, print_table, say, say_warning

__all__ = ["compare", "eval_w2v", "read_sets", "score_cells", "set_options"]

if TYPE_CHECKING:
    from nlpseq.evaluation.analogies import AnalogyFile
    from nlpseq.evaluation.files import Missing, Unused
    from nlpseq.evaluation.word_pairs import PairFile
    from nlpseq.vectors.vectors import Vectors

_FILE = click.Path(exists=False, dir_okay=False, path_type=Path)
set_options = option_group(
    click.option(
        "--pairs", type=_FILE, multiple=True, metavar="FILE", help="word pairs with scores; repeatable"
    ),
    click.option("--analogies", type=_FILE, metavar="FILE", help="analogies, four words a line"),
)
evaluation_options = option_group(
    set_options,
    click.option(
        "--restrict-vocab",
        type=integer(4),
        metavar="N",
        help="answer analogies with the N first words only [default: all]",
    ),
    click.option(
        "--oov",
        type=click.Choice(["skip", "zero"]),
        default="skip",
        help="skip items with a word without a vector, or count them as cosine 0 and as wrong",
    ),
    threads_option,
)
TOTALS = ("semantic", "syntactic", "all")
MAX_SHOWN = 5  # unused lines and unknown words in a message
TABS = "Separate the fields by tabs."
WAYS_OUT = {  # by reason; else CORRECT
    "too many words": TABS,
    "two whole numbers, perhaps a score with a decimal comma": TABS,
}
HOLDS = {"--pairs": "word pairs with a score", "--analogies": "analogies"}
CORRECT = "Correct the file."


@click.command(
    "eval-w2v",
    cls=Command,
    examples=[
        "nlpseq eval-w2v corpus.w2v --pairs pairs.tsv",
        "nlpseq eval-w2v corpus.w2v --pairs pairs.tsv --analogies questions.txt --json",
        "nlpseq eval-w2v corpus.w2v --analogies questions.txt --restrict-vocab 30000 --matrix w+c",
    ],
)
@model_argument
@evaluation_options
@vector_options
@json_option
def eval_w2v(
    model: Path,
    pairs: tuple[Path, ...],
    analogies: Path | None,
    restrict_vocab: int | None,
    oov: Any,
    threads: int | None,
    as_json: bool,
    **vector_settings: Any,
) -> None:
    """Evaluate the vectors of MODEL on human judgments of words.

    For word pairs, print Spearman's and Pearson's correlation of the human scores with the cosines, each with
    its p-value. For analogies, print the share of right answers by 3CosAdd and by 3CosMul. Each word is
    looked up as written, then in lower case. Items with a word that has no vector count as oov, see --oov.

    A line holds two words and a score, or four words, separated by tabs, semicolons, commas or spaces; the
    lines that are not used are shown with the reason. A correlation needs 3 pairs whose scores differ. If
    not one figure is defined, the exit code is 4.
    """
    if not pairs and analogies is None:
        raise click.UsageError("MODEL: nothing to evaluate on. Name a file with --pairs or --analogies.")
    is_searched = analogies is not None
    # first, because the files may be swapped
    vectors = load_vectors(model, is_searched=is_searched, **vector_settings)
    found = read_sets(pairs, analogies, restrict_vocab, oov, threads)(vectors)
    if as_json:
        print_json(found)
    else:
        _print_tables(found)
    sets = [*found["pairs"], *filter(None, [found["analogies"]])]
    for each in sets:
        _say_missing(each)
    treatment = "left out" if oov == "skip" else "counted as cosine 0 and as wrong"
    say(f"oov: pairs and questions with a word that has no vector, {treatment}")
    if all(each["reason"] for each in sets):
        raise DataError(
            f"{model}: nothing was measured, because no file has enough items whose words have vectors. "
            "Use other files, or a model of more words."
        )


def _print_tables(found: dict[str, Any]) -> None:
    if found["pairs"]:
        print_table(
            ("pairs", "Spearman", "p", "Pearson", "p", "used", "oov"),
            [_pairs_row(each) for each in found["pairs"]],
        )
    if found["analogies"]:
        totals = [found["analogies"][name] for name in TOTALS]
        print_table(
            ("analogies", "3CosAdd", "3CosMul", "used", "oov"),
            [
                (
                    each["name"],
                    *(_share_text(each[method]) for method in ("3cosadd", "3cosmul")),
                    *(f"{each[count]:,}" for count in ("used", "oov")),
                )
                for each in [*found["analogies"]["sections"], *filter(None, totals)]
            ],
        )


def _say_missing(found: dict[str, Any], place: str = "") -> None:
    """Say which words of a file have no vector, or one from subwords, and why a figure is undefined."""
    words, made, reason = found["oov_words"], found["from_subwords"], found["reason"]
    file = f"{place}{found['file']}"
    if made:
        say(f"{file}: {count_text(len(made), 'unseen word')} with a vector made from subwords: {_some(made)}")
    if words:
        say(f"{file}: {count_text(len(words), 'word')} without a vector: {_some(words)}")
    if reason:
        say_warning(f"{file}: gives no figure, because {reason}. Use a file with more items.")


def _say_unused(file: Path, unused: Unused) -> None:
    """Say which lines of a file are not used, and why."""
    from nlpseq.evaluation.files import COMMENT
    from nlpseq.evaluation.word_pairs import HEADING

    for reason, lines in unused.items():
        numbers = ("line " if len(lines) == 1 else "lines ") + _some([str(line.number) for line in lines])
        message = f"{file}: {count_text(len(lines), 'line')} not used, {reason}: {numbers}"
        if reason == COMMENT:
            say(message)
        elif reason == HEADING:
            say(f"{message} ({lines[0].text:.60})")
        else:
            say_warning(f"{message} ({lines[0].text:.60}). {WAYS_OUT.get(reason, CORRECT)}")


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MAX_SHOWN
    return ", ".join(names[:MAX_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


@click.command(
    cls=Command,
    examples=[
        "nlpseq compare corpus.w2v corpus.svd --pairs pairs.tsv",
        "nlpseq compare corpus.w2v corpus.svd --analogies questions.txt --top 5 --json",
        "nlpseq compare old.w2v new.w2v --moved 50 --min-frequency 20 --top 5",
    ],
)
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL MODEL...")
@evaluation_options
@click.option("--top", type=integer(1), default=10, help="nearest words to compare for each word")
@click.option(
    "--words",
    type=integer(1),
    default=1000,
    help="number of words to compare: the most frequent shared words",
)
@click.option("--moved", type=integer(1), metavar="N", help="show the N words that moved most")
@click.option(
    "--min-frequency",
    type=integer(1),
    default=50,
    help="with --moved: least occurrences of a word in the text of each model",
)
@vector_options
@json_option
def compare(
    models: tuple[Path, ...],
    pairs: tuple[Path, ...],
    analogies: Path | None,
    restrict_vocab: int | None,
    oov: Any,
    threads: int | None,
    top: int,
    words: int,
    moved: int | None,
    min_frequency: int,
    as_json: bool,
    **vector_settings: Any,
) -> None:
    """Compare MODELs by size, score and overlap of neighbors.

    The scores are the same as in eval-w2v, each followed by the number of pairs or questions. The overlap is
    the mean share of nearest words in common with the first model, among the words with a vector in both.

    --moved rotates the second of two models into the space of the first (see nlpseq align), and shows the
    words whose vectors have the lowest cosine then, with their nearest words in both models. Compared are
    the shared words that occur --min-frequency times in each text, or without counts are among the first
    10,000 words of the model.
    """
    if len(models) < 2:
        raise click.UsageError("MODEL: only one to compare. Name two or more models.")
    if moved and len(models) > 2:
        raise click.UsageError("--moved: compares two models. Name two, or leave out --moved.")
    require_with("min_frequency", "--moved", is_there=moved is not None)
    evaluate = read_sets(pairs, analogies, restrict_vocab, oov, threads)
    from nlpseq.evaluation.neighbor_overlap import neighbor_overlap
    from nlpseq.vectors.align import shared_words

    loaded = [load_vectors(model, **vector_settings) for model in models]
    records = [
        {
            "model": str(model),
            "words": len(vectors.vocab),
            "dim": vectors.matrix.shape[1],
            "shared": len(shared_words(loaded[0], vectors).words),
            "overlap": neighbor_overlap(loaded[0], vectors, top, words),
            **evaluate(vectors),
        }
        for model, vectors in zip(models, loaded, strict=True)
    ]
    changes = _moved(loaded[0], loaded[1], moved, min_frequency, top) if moved else None
    for record in records:
        for each in [*record["pairs"], *filter(None, [record["analogies"]])]:
            _say_missing(each, f"{record['model']}, ")
    if as_json:
        print_json({"models": records} | ({} if changes is None else {"moved": changes}))
        return
    columns = [_column(record) for record in records]
    rows = [(label, *(column[label] for column in columns)) for label in columns[0]]
    print_table(("", *map(str, models)), rows)
    for each in changes or ():
        label = loaded[0].vocab.label
        print_line(f"{label(each['word'])}  {each['similarity']:.4f}")
        for model, near in zip(models, each["neighbors"], strict=True):
            print_line(f"  {model}: {', '.join(label(answer['word']) for answer in near)}")
    say(f"overlap: of the {top} words nearest to each of up to {words:,} words, with {models[0]}")


def _moved(a: Vectors, b: Vectors, number: int, min_frequency: int, top: int) -> list[dict[str, Any]]:
    """Return the words that moved most, with their neighbors in both models."""
    from nlpseq.vectors.align import moved_words

    return [
        {
            "word": word,
            "similarity": cosine,
            "neighbors": [
                [{"word": other, "similarity": value} for other, value in vectors.neighbors(word, top)]
                for vectors in (a, b)
            ],
        }
        for word, cosine in moved_words(a, b, number, min_frequency)
    ]


def _column(record: dict[str, Any]) -> dict[str, str]:
    """Return the cells of a model in the table, by the label of the row."""
    counts = {"words": "words", "dimensions": "dim", "shared words": "shared"}
    sizes = {label: f"{record[key]:,}" for label, key in counts.items()}
    return sizes | score_cells(record) | {"overlap": _share_text(record["overlap"])}


def score_cells(record: dict[str, Any]) -> dict[str, str]:
    """Return the score of each set, with the number of items, by the label of the row."""
    cells = dict[str, str]()
    for each in record["pairs"]:
        figure = "-" if each["spearman"] is None else f"{each['spearman']:.4f}"
        cells[f"{each['file']}, Spearman"] = f"{figure} ({each['used']:,})"
    totals = {part: record["analogies"][part] for part in TOTALS} if record["analogies"] else {}
    for part, score in totals.items():
        for method, name in (("3cosadd", "3CosAdd"), ("3cosmul", "3CosMul")) if score else ():
            cells[f"analogies, {part}, {name}"] = f"{_share_text(score[method])} ({score['used']:,})"
    return cells


def read_sets(
    pairs: tuple[Path, ...],
    analogies: Path | None,
    restrict_vocab: int | None,
    missing: Missing,
    threads: int | None,
) -> Callable[[Vectors], dict[str, Any]]:
    """Read and check evaluation sets; return a function that scores vectors, with None for no value."""
    from nlpseq.evaluation.analogies import read_analogies
    from nlpseq.evaluation.word_pairs import read_pairs

    readers: dict[str, Callable[[Path], Any]] = {"--pairs": read_pairs, "--analogies": read_analogies}
    judgments = {file: _read_set(file, "--pairs", readers) for file in pairs}
    asked = {} if analogies is None else {analogies: _read_set(analogies, "--analogies", readers)}
    for file, judged in judgments.items():
        _say_unused(file, judged.unused)
    for file, questions in asked.items():
        _say_unused(file, questions.unused)
    settings: dict[str, Any] = {"restrict_vocab": restrict_vocab, "missing": missing, "threads": threads}

    def evaluate(vectors: Vectors) -> dict[str, Any]:
        scored = [_score_pairs(vectors, file, judged, missing) for file, judged in judgments.items()]
        answered = [_score_analogies(vectors, file, each, settings) for file, each in asked.items()]
        return {"pairs": scored, "analogies": answered[0] if answered else None}

    return evaluate


def _read_set(file: Path, option: str, readers: Mapping[str, Callable[[Path], Any]]) -> Any:
    """Read the file of an option; raise DataError that names the use of a file with other content."""
    from nlpseq.vectors.formats.registry import is_vector_file

    if is_vector_file(file) and not _has_pairs(file):
        raise DataError(f"{file}: holds vectors, not {HOLDS[option]}. Name the file as MODEL.")
    try:
        return readers[option](file)
    except DataError as error:
        (other,) = readers.keys() - {option}
        try:
            readers[other](file)
        except DataError:
            raise error from None
    raise DataError(f"{file}: holds no {HOLDS[option]}, but {HOLDS[other]}. Name the file with {other}.")


def _has_pairs(file: Path) -> bool:
    """Tell word pairs from vectors, whose second field is a number, too."""
    from nlpseq.evaluation.files import number_in
    from nlpseq.evaluation.word_pairs import read_pairs

    with suppress(DataError):
        return any(number_in(pair.b) is None for pair in read_pairs(file).pairs)
    return False


def _score_pairs(vectors: Vectors, file: Path, judged: PairFile, missing: Missing) -> dict[str, Any]:
    from nlpseq.evaluation.files import line_numbers, unseen_words
    from nlpseq.evaluation.word_pairs import evaluate_pairs

    scores = evaluate_pairs(vectors, judged.pairs, missing)._asdict()
    figures = {key: None if value != value else value for key, value in scores.items()}  # NaN is not itself
    words = [word for pair in judged.pairs for word in pair[:2]]
    return {
        "file": str(file),
        **figures,
        **unseen_words(vectors, words),
        "unused": line_numbers(judged.unused),
    }


def _score_analogies(
    vectors: Vectors, file: Path, asked: AnalogyFile, settings: dict[str, Any]
) -> dict[str, Any]:
    from nlpseq.evaluation.analogies import evaluate_analogies
    from nlpseq.evaluation.files import line_numbers, unseen_words

    sections = asked.sections
    records = [score.shares() for score in evaluate_analogies(vectors, sections, **settings)]
    words = [word for section in sections for question in section.questions for word in question]
    return {
        "file": str(file),
        "restrict_vocab": settings["restrict_vocab"],
        "sections": records[: len(sections)],
        **dict.fromkeys(TOTALS),
        **{record["name"]: record for record in records[len(sections) :]},
        "reason": None
        if records[-1]["used"]
        else "no question has three words with a vector and an answer of the vocabulary",
        **unseen_words(vectors, words),
        "unused": line_numbers(asked.unused),
    }


def _share_text(share: float | None) -> str:
    """Return a share in percent, or - for None."""
    return "-" if share is None else f"{share:.1%}"


def _pairs_row(found: dict[str, Any]) -> tuple[str, ...]:
    figures = (found["spearman"], found["spearman_p"], found["pearson"], found["pearson_p"])
    shown = (
        "-" if value is None else f"{value:.4f}" if place % 2 == 0 else f"{value:.1e}"
        for place, value in enumerate(figures)
    )
    return found["file"], *shown, f"{found['used']:,}", f"{found['oov']:,}"
