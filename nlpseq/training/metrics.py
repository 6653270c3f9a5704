"""metrics.jsonl: the measurements of a training run, one JSON object a line, oldest first.

Each line has `step` and `epoch`, `seconds` of training so far, and some of `loss`, `learning_rate`,
`valid_loss`; lines of a language model also have perplexities.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlpseq.config.fields import is_number
from nlpseq.errors import ArtifactError, DataError
from nlpseq.storage import artifact
from nlpseq.storage.artifact import Meta
from nlpseq.training.checkpoint import has_checkpoint

__all__ = ["MAX_FIGURE", "METRICS", "Curves", "read_curves", "read_metrics", "write_metrics"]

METRICS = "metrics.jsonl"
MAX_FIGURE = 1e305  # because a perplexity is at most exp(700), and a picture needs a margin above it

_FIGURES = {"loss", "learning_rate", "valid_loss", "valid_perplexity"}
_KINDS = {"nlpseq-vectors": "vectors", "nlpseq-lm": "lm"}  # formats of a run
_VERSION = 1  # of both


class Curves(NamedTuple):
    """Measurements of a run, with the folder and meta.json beside them."""

    folder: Path
    meta: Meta
    metrics: list[Meta]


def write_metrics(folder: Path, metrics: Sequence[Meta]) -> None:
    """Write the measurements into the folder of a run."""
    (folder / METRICS).write_text("".join(json.dumps(each) + "\n" for each in metrics))


def read_metrics(folder: Path, *, has_perplexity: bool = False) -> list[Meta]:
    """Return the measurements of a run; raise ArtifactError if a line is not valid.

    has_perplexity: a validation must have its perplexity too.
    """
    file = folder / METRICS
    try:
        metrics = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{file}: cannot be read ({error}). Copy the folder again.") from error
    for number, line in enumerate(metrics, 1):
        if not (isinstance(line, dict) and _is_measurement(line, has_perplexity)):
            raise ArtifactError(f"{file}: line {number} is not a measurement. Copy the folder again.")
    return metrics


def read_curves(path: Path) -> Curves:
    """Return the measurements of a result, or of the checkpoint of an unfinished run.

    Raises DataError if the path does not exist or nothing was measured, ArtifactError if it is corrupt.
    """
    if not path.exists():
        raise DataError(f"{path}: not found. Name the folder of a trained model.")
    folder = path if artifact.is_result(path) or not has_checkpoint(path) else path / artifact.CHECKPOINT
    kind = _KINDS.get(str(artifact.peek_meta(folder).get("format")), "lm")
    meta = artifact.load_meta(folder, kind, _VERSION)
    if kind == "vectors" and not (folder / METRICS).exists():
        raise DataError(f"{path}: has no {METRICS}. Plot a run of train-w2v, train-lm or GloVe.")
    metrics = read_metrics(folder, has_perplexity=kind == "lm")
    if not metrics:
        raise DataError(f"{path}: has no measurements yet. Continue the run with --resume.")
    return Curves(folder, meta, metrics)


def _is_measurement(line: Meta, has_perplexity: bool) -> bool:
    """Return True if a line has a step, and every figure is a number."""
    is_paired = not has_perplexity or ("valid_loss" in line) == ("valid_perplexity" in line)
    return is_paired and all(
        is_number(line.get(name), MAX_FIGURE) for name in {"step", *(_FIGURES & line.keys())}
    )
