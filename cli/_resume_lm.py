"""train-lm --resume: what its runs are like, and the texts they go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlpseq.config import LMConfig, TextConfig

from ._lm import find_valid
from ._options import given
from ._resume import RunKind, Unfinished, find_data, whereabouts

KIND = RunKind(
    suffix=".lm",
    format="lm",
    version=1,
    configs={"config": LMConfig, "text_config": TextConfig},
    fresh_only=("preset", "valid", "vectors", "force"),
    of_the_machine=("threads", "device", "precision"),
    lengths=("epochs", "time_budget"),
)


def data_of(run: Unfinished) -> tuple[Any, Any, dict[str, Any]]:
    """Corpus and validation text of a run, as it was begun, and where they are now."""
    data = find_data(run.path, run.meta, run.sources, given(LMConfig).get("threads"))
    source = run.meta.get("source", {})
    valid_file = source.get("valid")
    valid = find_valid(run.path, run.meta, data) if valid_file else None
    if run.sources:
        source = whereabouts(run.sources, data) | {"valid": valid_file}
    return data, valid, source


def whereabouts_lm(sources: tuple[str, ...], data: Any, valid: Path | None) -> dict[str, Any]:
    """What a run stores to find its texts again."""
    return whereabouts(sources, data) | {"valid": None if valid is None else str(valid.resolve())}
