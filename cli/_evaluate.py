"""The evaluation sets that eval-w2v and compare are given, and what vectors are worth on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._options import threads_option

if TYPE_CHECKING:
    from nlpseq.evaluation.analogies import Section
    from nlpseq.evaluation.word_pairs import Missing, Pair
    from nlpseq.vectors.vectors import Vectors

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(exists=False, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--pairs", type=_FILE, multiple=True, metavar="FILE", help="scored word pairs; may be repeated"
    ),
    click.option("--analogies", type=_FILE, metavar="FILE", help="analogies in sections"),
    click.option(
        "--restrict-vocab",
        type=click.IntRange(min=4),
        metavar="N",
        help="analogies among the N first words alone [default: all]",
    ),
    click.option(
        "--oov",
        type=click.Choice(["skip", "zero"]),
        default="skip",
        show_default=True,
        help="leave out what has an unknown word, or take it to be of cosine 0 and wrong",
    ),
    threads_option,
)


def evaluation_options(command: F) -> F:
    """Decorator: the options that Sets.read takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Sets:
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
    ) -> Sets:
        """Everything there is to read, before any model is; UsageError where nothing was named."""
        if not pairs and analogies is None:
            raise click.UsageError("No evaluation set was named. Name one with --pairs or --analogies.")
        from nlpseq.evaluation.analogies import read_analogies
        from nlpseq.evaluation.word_pairs import read_pairs

        questions = None if analogies is None else (str(analogies), read_analogies(analogies))
        return cls(
            {str(file): read_pairs(file) for file in pairs}, questions, restrict_vocab, missing, threads
        )

    def judge(self, vectors: Vectors) -> dict[str, Any]:
        """What vectors are worth, ready for JSON: None where a figure cannot be had."""
        from nlpseq.evaluation.word_pairs import evaluate_pairs

        agreements = {
            file: evaluate_pairs(vectors, pairs, self.missing) for file, pairs in self.pairs.items()
        }
        found = [
            {"file": file} | {key: _number(value) for key, value in each._asdict().items()}
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
    """A share for a person, in percent."""
    return "-" if share is None else f"{share:.1%}"


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
