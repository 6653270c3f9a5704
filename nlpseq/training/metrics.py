"""metrics.jsonl of a language model: the course of its training, one measurement a line, oldest first.

It needs no PyTorch, which a plot does without.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from nlpseq.config.fields import is_number
from nlpseq.errors import ArtifactError
from nlpseq.storage.artifact import Meta

METRICS = "metrics.jsonl"
MOST = 1e305  # of a figure: a perplexity is at most exp(700), and a picture needs room above what it shows

_FIGURES = {"loss", "learning_rate", "valid_loss", "valid_perplexity"}  # of which a line has some


def write_metrics(folder: Path, metrics: Sequence[Meta]) -> None:
    """One line of JSON for each, into the folder of a run."""
    (folder / METRICS).write_text("".join(json.dumps(each) + "\n" for each in metrics))


def read_metrics(folder: Path) -> list[Meta]:
    """The measurements of a run; ArtifactError where they are not such as it stores."""
    file = folder / METRICS
    try:
        metrics = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{file} cannot be read ({error}). Copy the folder again.") from error
    for number, each in enumerate(metrics, 1):
        if not (isinstance(each, dict) and _is_measurement(each)):
            raise ArtifactError(f"{file}, line {number}, is no measurement. Copy the folder again.")
    return metrics


def _is_measurement(line: Meta) -> bool:
    """Whether it tells its step, and each figure that is drawn or resumed from is a number."""
    has_both = ("valid_loss" in line) == ("valid_perplexity" in line)
    return has_both and all(is_number(line.get(name), MOST) for name in {"step", *(_FIGURES & line.keys())})
