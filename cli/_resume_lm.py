"""train-lm --resume: which run is meant, and what it needs to go on exactly where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from nlpseq.config import LMConfig, TextConfig
from nlpseq.errors import ConfigError, DataError
from nlpseq.settings import to_dict

from ._corpus import corpus_name
from ._lm import find_data, find_valid, whereabouts
from ._options import given

FRESH_ONLY = ("preset", "valid", "vectors", "force")  # options of train-lm that begin a run
OF_THE_MACHINE = ("threads", "device")  # settings that may change with it


class Unfinished(NamedTuple):
    """A run to go on with, as it lies on disk."""

    path: Path
    meta: dict[str, Any]
    changes: dict[str, Any]  # of settings, where the machine is another one
    sources: tuple[str, ...]  # the corpus, where it was named


def unfinished_run(sources: tuple[str, ...], output: Path | None) -> Unfinished:
    """The run that was named, itself or by its corpus; an error for settings it was not begun with."""
    from nlpseq import artifact
    from nlpseq.lm.checkpoint import KIND, VERSION, model_config

    path, corpus = _run_folder(sources, output)
    meta = artifact.load_meta(path, KIND, VERSION, verify=False)
    config, text_config = model_config(path, meta)
    _refuse_new(path, to_dict(config) | to_dict(text_config))
    changes = {name: value for name, value in given(LMConfig).items() if name in OF_THE_MACHINE}
    return Unfinished(path, meta, changes, corpus)


def data_of(run: Unfinished) -> tuple[Any, Any, dict[str, Any]]:
    """Corpus and validation text of a run, as it was begun, and where they are now."""
    data = find_data(run.path, run.meta, run.sources)
    valid_file = run.meta["source"]["valid"]
    valid = find_valid(run.path, run.meta, data) if valid_file else None
    source = run.meta["source"]
    if run.sources:
        source = whereabouts(run.sources, data, valid_file and Path(valid_file))
    return data, valid, source


def _run_folder(sources: tuple[str, ...], output: Path | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of the run, and the corpus where that was named instead."""
    if len(sources) == 1 and (Path(sources[0]) / "metrics.jsonl").exists():
        return Path(sources[0]), ()
    path = output or Path(corpus_name(sources) + ".lm")
    if not path.exists():
        raise DataError(f"{path} does not exist, so there is no run to go on with. Leave out --resume.")
    return path, sources


def _refuse_new(path: Path, stored: dict[str, Any]) -> None:
    """ConfigError for what would make it another run."""
    ctx = click.get_current_context()
    for name in FRESH_ONLY:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{name} does not go with --resume: {path} has begun. Leave it out.")
    for name, value in (given(LMConfig) | given(TextConfig)).items():
        if name not in OF_THE_MACHINE and stored[name] != value:
            raise ConfigError(
                f"{path} was begun with {name} {stored[name]}, not {value}. "
                "Leave the setting out (also of --config and NLPSEQ_* variables), or train anew with --force."
            )
