"""nlpseq eval-w2v, compare: evaluate word vectors, one model or several side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._app import Command
from ._inputs import load_vectors
from ._options import integer, json_option, model_argument, option_group, threads_option, vector_options
from ._output import print_json, print_table, say

__all__ = ["compare", "eval_w2v"]

if TYPE_CHECKING:
    from nlpseq.evaluation.word_pairs import Missing
    from nlpseq.vectors.vectors import Vectors

_FILE = click.Path(exists=False, dir_okay=False, path_type=Path)
evaluation_options = option_group(
    click.option(
        "--pairs", type=_FILE, multiple=True, metavar="FILE", help="word pairs with scores; repeatable"
    ),
    click.option("--analogies", type=_FILE, metavar="FILE", help="analogies in sections"),
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
        help="skip items with an unknown word, or count them as cosine 0 and as wrong",
    ),
    threads_option,
)
TOTALS = ("semantic", "syntactic", "all")


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
    looked up as written, then in lower case. Items with an unknown word count as oov, see --oov.
    """
    if not pairs and analogies is None:
        raise click.UsageError("MODEL: nothing to evaluate on. Name a file with --pairs or --analogies.")
    evaluate = _read_sets(pairs, analogies, restrict_vocab, oov, threads)
    found = evaluate(load_vectors(model, **vector_settings))
    if as_json:
        print_json(found)
        return
    if found["pairs"]:
        print_table(
            ("pairs", "Spearman", "p", "Pearson", "p", "used", "oov"),
            [_pairs_row(each) for each in found["pairs"]],
        )
    if found["analogies"]:
        rows = [*found["analogies"]["sections"], *(found["analogies"][name] for name in TOTALS)]
        print_table(
            ("analogies", "3CosAdd", "3CosMul", "used", "oov"),
            [
                (
                    each["name"],
                    *(_share_text(each[method]) for method in ("3cosadd", "3cosmul")),
                    *(f"{each[count]:,}" for count in ("used", "oov")),
                )
                for each in rows
            ],
        )
    treatment = "left out" if oov == "skip" else "counted as cosine 0 and as wrong"
    say(f"oov: pairs and questions with an unknown word, {treatment}")


@click.command(
    cls=Command,
    examples=[
        "nlpseq compare corpus.w2v corpus.svd --pairs pairs.tsv",
        "nlpseq compare corpus.w2v corpus.svd --analogies questions.txt --top 5 --json",
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
    as_json: bool,
    **vector_settings: Any,
) -> None:
    """Compare MODELs by size, score and overlap of neighbors.

    The scores are the same as in eval-w2v, each followed by the number of pairs or questions. The overlap is
    the mean share of nearest words in common with the first model, among the words of both models.
    """
    if len(models) < 2:
        raise click.UsageError("MODEL: only one to compare. Name two or more models.")
    evaluate = _read_sets(pairs, analogies, restrict_vocab, oov, threads)
    from nlpseq.evaluation.neighbor_overlap import neighbor_overlap

    loaded = [load_vectors(model, **vector_settings) for model in models]
    records = [
        {
            "model": str(model),
            "words": len(vectors.vocab),
            "dim": vectors.matrix.shape[1],
            "overlap": neighbor_overlap(loaded[0], vectors, top, words),
            **evaluate(vectors),
        }
        for model, vectors in zip(models, loaded, strict=True)
    ]
    if as_json:
        print_json({"models": records})
        return
    columns = [_column(record) for record in records]
    rows = [(label, *(column[label] for column in columns)) for label in columns[0]]
    print_table(("", *map(str, models)), rows)
    say(f"overlap: of the {top} words nearest to each of up to {words:,} words, with {models[0]}")


def _column(record: dict[str, Any]) -> dict[str, str]:
    """Return the cells of a model in the table, by the label of the row."""
    cells = {"words": f"{record['words']:,}", "dimensions": f"{record['dim']:,}"}
    for each in record["pairs"]:
        figure = "-" if each["spearman"] is None else f"{each['spearman']:.4f}"
        cells[f"{each['file']}, Spearman"] = f"{figure} ({each['used']:,})"
    for part in TOTALS if record["analogies"] else ():
        for method, name in (("3cosadd", "3CosAdd"), ("3cosmul", "3CosMul")):
            score = record["analogies"][part]
            cells[f"analogies, {part}, {name}"] = f"{_share_text(score[method])} ({score['used']:,})"
    return cells | {"overlap": _share_text(record["overlap"])}


def _read_sets(
    pairs: tuple[Path, ...],
    analogies: Path | None,
    restrict_vocab: int | None,
    missing: Missing,
    threads: int | None,
) -> Callable[[Vectors], dict[str, Any]]:
    """Read and check evaluation sets; return a function that scores vectors, with None for no value."""
    from nlpseq.evaluation.analogies import evaluate_analogies, read_analogies
    from nlpseq.evaluation.word_pairs import evaluate_pairs, read_pairs

    sections = None if analogies is None else read_analogies(analogies)
    judgments = {str(file): read_pairs(file) for file in pairs}
    settings: dict[str, Any] = {"restrict_vocab": restrict_vocab, "missing": missing, "threads": threads}

    def evaluate(vectors: Vectors) -> dict[str, Any]:
        found: dict[str, Any] = {"pairs": [], "analogies": None}
        for file, judged in judgments.items():
            scores = evaluate_pairs(vectors, judged, missing)._asdict()
            scores = {key: None if math.isnan(value) else value for key, value in scores.items()}
            found["pairs"].append({"file": file} | scores)
        if sections is not None:
            scored = [score.shares() for score in evaluate_analogies(vectors, sections, **settings)]
            totals = dict(zip(TOTALS, scored[-3:], strict=True))
            source = {"file": str(analogies), "restrict_vocab": restrict_vocab, "sections": scored[:-3]}
            found["analogies"] = source | totals
        return found

    return evaluate


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
