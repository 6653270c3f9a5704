"""--resume: which run is meant, and what it needs to go on exactly where it was."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nlpseq.config.fields import from_dict, is_number, to_dict
from nlpseq.errors import ArtifactError, ConfigError, DataError

from ._inputs import COMPILING, claim, corpus_name
from ._options import explicit_settings, is_typed
from ._output import Progress, say, say_warning
from ._shutdown import GracefulShutdown

if TYPE_CHECKING:
    from nlpseq.training.checkpoint import CheckpointConfig
    from nlpseq.vectors.vectors import Vectors


UNFINISHED = ".unfinished"  # behind the name of a run, while another result has that name


class RunKind(NamedTuple):
    """What the runs of a command are like on disk, and which of their settings may change."""

    suffix: str
    format: str  # of artifact.create
    version: int
    configs: dict[str, type]  # by their key in meta.json
    fresh_only: tuple[str, ...]  # options of the command that begin a run
    of_the_machine: tuple[str, ...]  # settings that may change with it
    lengths: tuple[str, ...] = ()  # settings of which a run has one or the other
    model: str = ""  # what `model` in meta.json begins with


class Unfinished(NamedTuple):
    """A run to go on with, as it lies on disk."""

    path: Path
    meta: dict[str, Any]
    configs: dict[str, Any]  # as it was begun, by their key in meta.json, with the changes
    changes: dict[str, Any]  # of settings, where the machine is another one
    sources: tuple[str, ...]  # the corpus, where it was named


def unfinished_run(sources: tuple[str, ...], output: Path | None, kind: RunKind) -> Unfinished:
    """The run that was named, itself or by its corpus; an error for settings it was not begun with."""
    from nlpseq.storage import artifact

    path, corpus = _run_folder(sources, output, kind)
    meta = artifact.load_meta(path, kind.format, kind.version, verify=False)
    if meta.get("complete") is not False:
        raise ConfigError(f"{path} is complete. Use it as it is, or train anew from its text with --force.")
    if not str(meta.get("model", "")).startswith(kind.model):
        raise ConfigError(
            f"{path} is a run of {meta.get('model')}. Go on with it by the command that began it."
        )
    if not isinstance(meta.get("position"), dict) or not isinstance(meta.get("source", {}), dict):
        raise ArtifactError(f"{path / 'meta.json'} does not say how far the run is. Train the model again.")
    claim(place_of_result(path, meta))
    configs = {key: _stored_config(path, meta, key, config_type) for key, config_type in kind.configs.items()}
    has = {name: value for config in configs.values() for name, value in to_dict(config).items()}
    wanted = {
        name: value for each in kind.configs.values() for name, value in explicit_settings(each).items()
    }
    _refuse_new(path, has, wanted, kind)
    changes = {name: wanted[name] for name in kind.of_the_machine if wanted.get(name, has[name]) != has[name]}
    changed = {
        key: replace(config, **{name: value for name, value in changes.items() if hasattr(config, name)})
        for key, config in configs.items()
    }
    return Unfinished(path, meta, changed, changes, corpus)


def _stored_config(path: Path, meta: dict[str, Any], key: str, config_type: type) -> Any:
    try:
        return from_dict(config_type, meta[key])
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path / 'meta.json'} is not valid ({error}). Train the model again.") from error


def _run_folder(sources: tuple[str, ...], output: Path | None, kind: RunKind) -> tuple[Path, tuple[str, ...]]:
    """The folder of the run, and the corpus where that was named instead."""
    from nlpseq.storage.locks import remove_stale_temporaries

    for place in (output, *map(Path, sources)):
        if place is not None:
            remove_stale_temporaries(place.resolve().parent)  # which ends what a kill cut short
    if len(sources) == 1 and is_run(Path(sources[0]), kind):
        if output is not None and output.resolve() != Path(sources[0]).resolve():
            raise ConfigError(f"-o {output} does not go with --resume of {sources[0]}. Leave it out.")
        return _unfinished_one(Path(sources[0])), ()
    if len(sources) == 1 and sources[0].endswith(kind.suffix) and not Path(sources[0]).exists():
        run = _unfinished_one(Path(sources[0]))
        if not run.exists():
            raise DataError(
                f"{run} does not exist, so there is no run to go on with. Name a corpus to begin one."
            )
        return run, ()
    path = output or Path(corpus_name(sources) + kind.suffix)
    run = _unfinished_one(path)
    if not run.exists():
        raise DataError(f"{path} does not exist, so there is no run to go on with. Leave out --resume.")
    return run, sources


def _unfinished_one(path: Path) -> Path:
    """The run beside a complete result, if there is one, else what is at the path."""
    beside = _beside(path)
    return beside if is_unfinished(beside) and not is_unfinished(path) else path


def _beside(path: Path) -> Path:
    return path.with_name(path.name + UNFINISHED)


def place_of_run(path: Path) -> Path:
    """Where a run is stored that is to end at `path`: beside a complete result, which stays until then."""
    return _beside(path) if path.exists() and not is_unfinished(path) else path


def place_of_result(run: Path, meta: dict[str, Any]) -> Path:
    """Where a run ends that is stored in a folder and described by this meta.json."""
    is_beside = meta.get("source", {}).get("beside", False)
    return run.with_name(run.name.removesuffix(UNFINISHED)) if is_beside else run


def store(run: Path, vectors: Vectors, *, force: bool) -> Path:
    """Store what a complete run has learnt, and remove what it was stored in; where the result is."""
    from nlpseq.storage import artifact

    path = place_of_result(run, vectors.meta)
    vectors.save(path, force=force or path != run or is_unfinished(path))
    if path != run:
        artifact.discard(run)
    return path


def is_run(path: Path, kind: RunKind) -> bool:
    """Whether this is a folder that such a run is stored in."""
    from nlpseq.storage import artifact

    is_result = path.is_dir() and artifact.is_result(path)
    return is_result and artifact.peek_meta(path).get("format") == f"nlpseq-{kind.format}"


def is_unfinished(path: Path) -> bool:
    """Whether a run is stored there that could go on."""
    from nlpseq.storage import artifact

    try:
        return artifact.peek_meta(path).get("complete") is False
    except ArtifactError:
        return False


def claim_place(path: Path, *, force: bool, has_checkpoints: bool = True) -> None:
    """Have the place of a new run for it alone; ConfigError where one is that could go on, unless forced.

    has_checkpoints: whether they go to NAME.unfinished where NAME is complete.
    """
    from nlpseq.storage import artifact
    from nlpseq.storage.locks import remove_stale_temporaries

    claim(path)
    remove_stale_temporaries(path.resolve().parent)  # which may end what is in the way then
    try:
        is_there = path.exists()
    except OSError as error:
        raise artifact.write_error(path, error) from error
    places = (path, _beside(path)) if has_checkpoints else (path,)
    runs = [run for run in places if is_there and is_unfinished(run)]
    if not runs:
        return
    if force:
        say_warning(
            f"{runs[0]} is unfinished, and what is trained now replaces it, "
            "at its first checkpoint or its end. To keep it, stop this command at once and move it away."
        )
    elif runs[0] == path:
        raise ConfigError(
            f"{path} already exists and is unfinished. Go on with it by --resume, or replace it with --force."
        )
    else:
        raise ConfigError(
            f"{path} already exists, and {runs[0]} is an unfinished run to replace it. "
            "Go on with that by --resume, or replace both with --force."
        )


def _refuse_new(path: Path, has: dict[str, Any], wanted: dict[str, Any], kind: RunKind) -> None:
    """ConfigError for what would make it another run."""
    for name in kind.fresh_only:
        if is_typed(name):
            raise ConfigError(f"--{name} does not go with --resume: {path} has begun. Leave it out.")
    for name, value in wanted.items():
        was_outranked = name in kind.lengths and has[name] is None and not is_typed(name)
        if name not in kind.of_the_machine and has[name] != value and not was_outranked:
            raise ConfigError(
                f"{path} was begun with {name} {has[name]}, not {value}. "
                "Leave the setting out (also of --config and NLPSEQ_* variables), or train anew with --force."
            )


def reached(run: Unfinished, name: str) -> float:
    """How far it is; ArtifactError where that is no number."""
    value = run.meta["position"].get(name)
    if not is_number(value):
        raise ArtifactError(
            f"{run.path / 'meta.json'} is not valid ({name}: {value!r}). Train the model again."
        )
    return value


def train_in(
    folder: CheckpointConfig, command: str, unit: str, train: Callable[[CheckpointConfig, Progress], Vectors]
) -> Vectors:
    """Train, and show how it goes; where that is stopped, what was learnt is stored, and the process ends."""
    line = f"nlpseq {command} {shlex.quote(str(folder.path))} --resume"
    note = f"its last checkpoint, if there is one yet, goes on with: {line}"
    with GracefulShutdown() as stop, Progress("training", unit, COMPILING, stopped_note=note) as progress:
        vectors = train(replace(folder, should_stop=lambda: stop.requested), progress)
    if not vectors.meta["complete"]:
        say(f"stopped and saved. Go on with: {line}")
        stop.exit()
    return vectors
