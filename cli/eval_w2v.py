"""nlpseq eval-w2v: how good word vectors are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._app import Command
from ._evaluate import Sets, evaluation_options, share_text
from ._inputs import load_vectors, vector_options
from ._options import json_option
from ._output import print_json, print_table, say

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
@click.argument("model", type=click.Path(path_type=Path))
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
    **taken: Any,
) -> None:
    """Hold the vectors of MODEL to what people say of words.

    Pairs of words that people scored give Spearman's and Pearson's correlation with the cosines, and the
    probability of so much by chance; analogies the share that 3CosAdd and 3CosMul answer right. A word is
    looked up as it stands and then in lower case; what has an unknown word is left out, and counted as oov.
    """
    sets = Sets.read(pairs, analogies, restrict_vocab, oov, threads)
    found = sets.judge(load_vectors(model, **taken))
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
            ("analogies", "3CosAdd", "3CosMul", "used", "oov"), [_analogies_row(each) for each in rows]
        )
    treated = "left out" if oov == "skip" else "of cosine 0, and wrong"
    say(f"oov: pairs and questions with an unknown word, {treated}")


def _pairs_row(found: dict[str, Any]) -> tuple[str, ...]:
    figures = (found["spearman"], found["spearman_p"], found["pearson"], found["pearson_p"])
    shown = (
        "-" if value is None else f"{value:.4f}" if place % 2 == 0 else f"{value:.1e}"
        for place, value in enumerate(figures)
    )
    return found["file"], *shown, f"{found['used']:,}", f"{found['oov']:,}"


def _analogies_row(found: dict[str, Any]) -> tuple[str, ...]:
    shares = (share_text(found[method]) for method in ("3cosadd", "3cosmul"))
    return found["name"], *shares, f"{found['used']:,}", f"{found['oov']:,}"
