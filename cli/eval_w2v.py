"""nlpseq eval-w2v: evaluate word vectors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._app import Command
from ._inputs import load_vectors
from ._options import evaluation_options, json_option, model_argument, vector_options
from ._output import print_json, print_table, say

__all__ = ["EvaluationSets", "eval_w2v", "share_text"]

if TYPE_CHECKING:
    from nlpseq.evaluation.word_pairs import Missing
    from nlpseq.vectors.vectors import Vectors

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
    sets = EvaluationSets(pairs, analogies, restrict_vocab, oov, threads)
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


class EvaluationSets:
    """Evaluation sets, read and checked. Raises UsageError if the user named none."""

    def __init__(
        self,
        pairs: tuple[Path, ...],
        analogies: Path | None,
        restrict_vocab: int | None,
        missing: Missing,
        threads: int | None,
    ) -> None:
        if not pairs and analogies is None:
            raise click.UsageError("No evaluation set. Name a file with --pairs or --analogies.")
        from nlpseq.evaluation.analogies import read_analogies
        from nlpseq.evaluation.word_pairs import read_pairs

        self._sections = None if analogies is None else read_analogies(analogies)
        self._pairs = {str(file): read_pairs(file) for file in pairs}
        self._file, self._restrict_vocab = str(analogies), restrict_vocab
        self._missing: Missing = missing
        self._threads = threads

    def evaluate(self, vectors: Vectors) -> dict[str, Any]:
        """Return the scores of vectors for JSON, None for a score without a value."""
        from nlpseq.evaluation.word_pairs import evaluate_pairs

        found = []
        for file, pairs in self._pairs.items():
            scores = evaluate_pairs(vectors, pairs, self._missing)._asdict()
            scores = {key: None if math.isnan(value) else value for key, value in scores.items()}
            found.append({"file": file} | scores)
        return {"pairs": found, "analogies": self._analogies(vectors)}

    def _analogies(self, vectors: Vectors) -> dict[str, Any] | None:
        if self._sections is None:
            return None
        from nlpseq.evaluation.analogies import evaluate_analogies

        settings: dict[str, Any] = {"missing": self._missing, "threads": self._threads}
        scores = evaluate_analogies(vectors, self._sections, restrict_vocab=self._restrict_vocab, **settings)
        *sections, semantic, syntactic, whole = [score.shares() for score in scores]
        totals = {"semantic": semantic, "syntactic": syntactic, "all": whole}
        return {"file": self._file, "restrict_vocab": self._restrict_vocab, "sections": sections, **totals}


def share_text(share: float | None) -> str:
    """Return a share in percent, or - for None."""
    return "-" if share is None else f"{share:.1%}"


def _pairs_row(found: dict[str, Any]) -> tuple[str, ...]:
    figures = (found["spearman"], found["spearman_p"], found["pearson"], found["pearson_p"])
    shown = (
        "-" if value is None else f"{value:.4f}" if place % 2 == 0 else f"{value:.1e}"
        for place, value in enumerate(figures)
    )
    return found["file"], *shown, f"{found['used']:,}", f"{found['oov']:,}"
