"""nlpseq compare: compare models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._app import Command
from ._inputs import load_vectors
from ._options import evaluation_options, integer, json_option, vector_options
from ._output import print_json, print_table, say
from .eval_w2v import EvaluationSets, share_text

__all__ = ["compare"]


@click.command(
    cls=Command,
    examples=[
        "nlpseq compare corpus.w2v corpus.svd --pairs pairs.tsv",
        "nlpseq compare corpus.w2v corpus.svd --analogies questions.txt --top 5 --json",
    ],
)
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL MODEL...")
@evaluation_options
@click.option(
    "--top", type=integer(1), default=10, show_default=True, help="nearest words to compare for each word"
)
@click.option(
    "--words",
    type=integer(1),
    default=1000,
    show_default=True,
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
    """Compare MODELs side by side: sizes, scores, and overlap of nearest words.

    The scores are the same as in eval-w2v, each followed by the number of pairs or questions. The overlap is
    the mean share of nearest words in common with the first model, among the words of both models.
    """
    if len(models) < 2:
        raise click.UsageError("One model is not enough to compare. Name two or more models.")
    has_sets = bool(pairs) or analogies is not None
    sets = EvaluationSets(pairs, analogies, restrict_vocab, oov, threads) if has_sets else None
    from nlpseq.evaluation.neighbor_overlap import neighbor_overlap

    loaded = [load_vectors(model, **vector_settings) for model in models]
    records = [
        {
            "model": str(model),
            "words": len(vectors.vocab),
            "dim": vectors.matrix.shape[1],
            "overlap": neighbor_overlap(loaded[0], vectors, top, words),
            **(sets.evaluate(vectors) if sets else {"pairs": [], "analogies": None}),
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
    for part in ("semantic", "syntactic", "all") if record["analogies"] else ():
        for method, name in (("3cosadd", "3CosAdd"), ("3cosmul", "3CosMul")):
            score = record["analogies"][part]
            cells[f"analogies, {part}, {name}"] = f"{share_text(score[method])} ({score['used']:,})"
    return cells | {"overlap": share_text(record["overlap"])}
