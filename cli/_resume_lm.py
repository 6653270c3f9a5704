"""train-lm --resume: which run is meant, and what it needs to go on exactly where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nlpseq.config import LMConfig, TextConfig
from nlpseq.errors import ConfigError, DataError
from nlpseq.settings import to_dict

from ._corpus import corpus_name
from ._lm import find_data, find_valid, whereabouts
from ._options import given, is_flag

LENGTHS = ("epochs", "time_budget")  # of a run, one or the other
FRESH_ONLY = ("preset", "valid", "vectors", "force")  # options of train-lm that begin a run
OF_THE_MACHINE = ("threads", "device", "precision")  # settings that may change with it


class Unfinished(NamedTuple):
    """A run to go on with, as it lies on disk."""

    path: Path
    meta: dict[str, Any]
    config: LMConfig
    changes: dict[str, Any]  # of settings, where the machine is another one
    sources: tuple[str, ...]  # the corpus, where it was named


def unfinished_run(sources: tuple[str, ...], output: Path | None) -> Unfinished:
    """The run that was named, itself or by its corpus; an error for settings it was not begun with."""
    from nlpseq import artifact
    from nlpseq.lm.checkpoint import KIND, VERSION, model_config

    path, corpus = _run_folder(sources, output)
    meta = artifact.load_meta(path, KIND, VERSION, verify=False)
    if meta.get("complete"):
        raise ConfigError(f"{path} is complete. Use it as it is, or train anew from its text with --force.")
    config, text_config = model_config(path, meta)
    has, wanted = to_dict(config) | to_dict(text_config), given(LMConfig)
    _refuse_new(path, has)
    changes = {name: wanted[name] for name in OF_THE_MACHINE if wanted.get(name, has[name]) != has[name]}
    return Unfinished(path, meta, replace(config, **changes), changes, corpus)


def data_of(run: Unfinished) -> tuple[Any, Any, dict[str, Any]]:
    """Corpus and validation text of a run, as it was begun, and where they are now."""
    data = find_data(run.path, run.meta, run.sources)
    source = run.meta.get("source", {})
    valid_file = source.get("valid")
    valid = find_valid(run.path, run.meta, data) if valid_file else None
    if run.sources:
        source = whereabouts(run.sources, data, valid_file and Path(valid_file))
    return data, valid, source


def _run_folder(sources: tuple[str, ...], output: Path | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of the run, and the corpus where that was named instead."""
    if len(sources) == 1 and (Path(sources[0]) / "metrics.jsonl").exists():
        if output is not None and output.resolve() != Path(sources[0]).resolve():
            raise ConfigError(f"-o {output} does not go with --resume of {sources[0]}. Leave it out.")
        return Path(sources[0]), ()
    path = output or Path(corpus_name(sources) + ".lm")
    if not path.exists():
        raise DataError(f"{path} does not exist, so there is no run to go on with. Leave out --resume.")
    return path, sources


def _refuse_new(path: Path, stored: dict[str, Any]) -> None:
    """ConfigError for what would make it another run."""
    for name in FRESH_ONLY:
        if is_flag(name):
            raise ConfigError(f"--{name} does not go with --resume: {path} has begun. Leave it out.")
    for name, value in (given(LMConfig) | given(TextConfig)).items():
        was_outranked = name in LENGTHS and stored[name] is None and not is_flag(name)
        if name not in OF_THE_MACHINE and stored[name] != value and not was_outranked:
            raise ConfigError(
                f"{path} was begun with {name} {stored[name]}, not {value}. "
                "Leave the setting out (also of --config and NLPSEQ_* variables), or train anew with --force."
            )
