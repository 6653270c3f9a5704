"""train-lm --resume: what its runs are like, and the texts they go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlpseq.config import LMConfig, TextConfig

from ._inputs import find_valid
from ._options import explicit_settings
from ._resume import RunKind, Unfinished
from ._whereabouts import find_data, whereabouts, whereabouts_now

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
    data = find_data(run.path, run.meta, run.sources, explicit_settings(LMConfig).get("threads"))
    valid_file = run.meta.get("source", {}).get("valid")
    valid = find_valid(run.path, run.meta, data) if valid_file else None
    return data, valid, whereabouts_now(run, data) | {"valid": valid_file}


def whereabouts_lm(
    sources: tuple[str, ...], data: Any, valid: Path | None, *, beside: bool
) -> dict[str, Any]:
    """What a run stores to find its texts again."""
    file = None if valid is None else str(valid.resolve())
    return whereabouts(sources, data, beside=beside) | {"valid": file}
