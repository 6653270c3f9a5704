"""Evaluation sets of eval-w2v and compare, and the scores of vectors on these sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._options import integer, threads_option

if TYPE_CHECKING:
    from nlpseq.evaluation.analogies import Section
    from nlpseq.evaluation.word_pairs import Missing, Pair
    from nlpseq.vectors.vectors import Vectors

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(exists=False, dir_okay=False, path_type=Path)
_OPTIONS = (
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
        show_default=True,
        help="skip items with an unknown word, or count them as cosine 0 and as wrong",
    ),
    threads_option,
)


def evaluation_options(command: F) -> F:
    """Add the options of EvaluationSets.read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class EvaluationSets:
    """Evaluation sets, read and checked."""

    pairs: dict[str, list[Pair]]  # by file
    analogies: tuple[str, list[Section]] | None
    restrict_vocab: int | None
    missing: Missing
    threads: int | None

    @classmethod
    def read(
        cls,
        pairs: tuple[Path, ...],
        analogies: Path | None,
        restrict_vocab: int | None,
        missing: Missing,
        threads: int | None,
    ) -> EvaluationSets:
        """Read the sets. Raises UsageError if the user named none."""
        if not pairs and analogies is None:
            raise click.UsageError("No evaluation set. Name a file with --pairs or --analogies.")
        from nlpseq.evaluation.analogies import read_analogies
        from nlpseq.evaluation.word_pairs import read_pairs

        questions = None if analogies is None else (str(analogies), read_analogies(analogies))
        return cls(
            {str(file): read_pairs(file) for file in pairs}, questions, restrict_vocab, missing, threads
        )

    def evaluate(self, vectors: Vectors) -> dict[str, Any]:
        """Return the scores of vectors for JSON, None for a score without a value."""
        from nlpseq.evaluation.word_pairs import evaluate_pairs

        agreements = {
            file: evaluate_pairs(vectors, pairs, self.missing) for file, pairs in self.pairs.items()
        }
        found = [
            {"file": file}
            | {key: None if math.isnan(value) else value for key, value in each._asdict().items()}  # for JSON
            for file, each in agreements.items()
        ]
        return {"pairs": found, "analogies": self._analogies(vectors)}

    def _analogies(self, vectors: Vectors) -> dict[str, Any] | None:
        if self.analogies is None:
            return None
        from nlpseq.evaluation.analogies import evaluate_analogies

        file, sections = self.analogies
        scores = evaluate_analogies(
            vectors, sections, restrict_vocab=self.restrict_vocab, missing=self.missing, threads=self.threads
        )
        *each, semantic, syntactic, whole = [score.shares() for score in scores]
        totals = {"semantic": semantic, "syntactic": syntactic, "all": whole}
        return {"file": file, "restrict_vocab": self.restrict_vocab, "sections": each, **totals}


def share_text(share: float | None) -> str:
    """Return a share in percent, or - for None."""
    return "-" if share is None else f"{share:.1%}"
