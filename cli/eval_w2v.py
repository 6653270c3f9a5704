"""nlpseq eval-w2v: evaluate word vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._app import Command
from ._evaluate import EvaluationSets, evaluation_options, share_text
from ._inputs import load_vectors, model_argument, vector_options
from ._options import json_option
from ._output import print_json, print_table, say

__all__ = ["eval_w2v"]

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
    sets = EvaluationSets.read(pairs, analogies, restrict_vocab, oov, threads)
    found = sets.evaluate(load_vectors(model, **vector_settings))
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
                    *(share_text(each[method]) for method in ("3cosadd", "3cosmul")),
                    *(f"{each[count]:,}" for count in ("used", "oov")),
                )
                for each in rows
            ],
        )
    treatment = "left out" if oov == "skip" else "counted as cosine 0 and as wrong"
    say(f"oov: pairs and questions with an unknown word, {treatment}")


def _pairs_row(found: dict[str, Any]) -> tuple[str, ...]:
    figures = (found["spearman"], found["spearman_p"], found["pearson"], found["pearson_p"])
    shown = (
        "-" if value is None else f"{value:.4f}" if place % 2 == 0 else f"{value:.1e}"
        for place, value in enumerate(figures)
    )
    return found["file"], *shown, f"{found['used']:,}", f"{found['oov']:,}"
