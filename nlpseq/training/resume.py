"""resume: continue any run exactly from the last checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from nlpseq.config import CooccurrenceConfig, GloveConfig, LMConfig, TextConfig, Word2VecConfig
from nlpseq.config.fields import from_stored, is_number
from nlpseq.core.tasks import Tasks
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage import artifact
from nlpseq.storage.locks import remove_stale_temporaries
from nlpseq.training.checkpoint import (
    CheckpointConfig,
    check_unfinished,
    has_checkpoint,
    require_checkpoint,
)
from nlpseq.training.progress import ProgressCallback
from nlpseq.training.provenance import Encode, describe_source, encode_sources, find_dataset, find_valid

if TYPE_CHECKING:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.vectors.vectors import Vectors

__all__ = ["KINDS", "Loaders", "UnfinishedRun", "find_run", "is_run", "resume", "run_dir"]

KINDS = {"vectors": "word vectors", "lm": "a language model"}  # results of runs


class _Stage(NamedTuple):
    configs: dict[str, type]  # by key in meta.json
    changeable: tuple[str, ...]  # settings of the machine, not of the run


_STAGES = {  # by the name of the command
    "train-w2v": _Stage(
        {"config": Word2VecConfig, "text_config": TextConfig}, ("threads", "backend", "kernel")
    ),
    "train-counts": _Stage(
        {"glove_config": GloveConfig, "cooccurrence_config": CooccurrenceConfig, "text_config": TextConfig},
        ("threads",),
    ),
    "train-lm": _Stage({"config": LMConfig, "text_config": TextConfig}, ("threads", "device", "precision")),
}


@dataclass(frozen=True)
class UnfinishedRun:
    """A run with a checkpoint, still stopped."""

    path: Path
    command: str
    meta: artifact.Meta  # of the checkpoint
    configs: dict[str, Any]  # by key in meta.json, as the run started

    @property
    def settings(self) -> dict[str, Any]:
        """Return every setting of the start of the run."""
        return {name: value for config in self.configs.values() for name, value in asdict(config).items()}

    def changed(self, wanted: Mapping[str, Any]) -> "tuple[UnfinishedRun, dict[str, Any]]":
        """Return the run with the wanted settings, and the settings with new values, such as `threads`.

        Raises ConfigError if a setting may not change.
        """
        has, changeable = self.settings, _STAGES[self.command].changeable
        changes = {name: value for name, value in wanted.items() if has.get(name) != value}
        for name, value in changes.items():
            if name not in changeable:
                raise ConfigError(
                    f"{self.path}: the run started with {name} {has.get(name)}, not {value}. Leave out the "
                    "setting (also of --config and NLPSEQ_* variables), or train again with --force."
                )
        configs = {
            key: replace(config, **{name: new for name, new in changes.items() if hasattr(config, name)})
            for key, config in self.configs.items()
        }
        return replace(self, configs=configs), changes

    def stored_counter(self, name: str) -> float:
        """Return a counter of the checkpoint, such as `epoch`.

        Raises ArtifactError if the checkpoint has no such number.
        """
        value = self.meta["position"].get(name)
        if not is_number(value):
            raise ArtifactError(
                f"{self.path / artifact.CHECKPOINT / 'meta.json'}: is not valid ({name}: {value!r:.50}). "
                "Train again with --force."
            )
        return value


class Loaders(NamedTuple):
    """Functions that load the corpus of a run; commands pass their own, with progress bars."""

    encode: Encode = encode_sources
    count_pairs: "Callable[[TokenDataset, CooccurrenceConfig, int | None], Cooccurrence] | None" = None


def is_run(path: Path, kind: str | None = None) -> bool:
    """Return True if a folder holds a model, complete or not; kind: "vectors" or "lm", by default both."""
    place = path if artifact.is_result(path) else path / artifact.CHECKPOINT
    kinds = (kind,) if kind else KINDS
    return artifact.is_result(place) and artifact.peek_meta(place).get("format") in [
        f"nlpseq-{each}" for each in kinds
    ]


def run_dir(path: Path) -> Path:
    """Return the folder of a run, also for its checkpoint; first complete an interrupted commit."""
    remove_stale_temporaries(path.resolve().parent)
    return path.parent if path.name == artifact.CHECKPOINT and has_checkpoint(path.parent) else path


def find_run(path: Path, command: str | None = None) -> UnfinishedRun:
    """Return the unfinished run of a folder; the folder of the checkpoint will do.

    command: the only command allowed. Raises DataError if there is no folder, ConfigError if the run is
    complete or of another command, ArtifactError if the checkpoint is corrupt or of another version.
    """
    path = run_dir(path)
    if command is not None:
        other = "vectors" if command == "train-lm" else "lm"
        if is_run(path, other) and not has_checkpoint(path):
            raise ConfigError(
                f"{path}: holds {KINDS[other]} of a complete training, not a run of {command}. Name a run of "
                f"{command}, or its corpus."
            )
    require_checkpoint(path)
    place = path / artifact.CHECKPOINT
    meta = artifact.load_consistent(place, lambda: artifact.peek_meta(place))
    own_command = check_unfinished(path, meta)
    if own_command not in _STAGES or not isinstance(meta.get("position"), dict):
        raise ArtifactError(f"{place / 'meta.json'}: is not valid. Train again with --force.")
    if command not in (None, own_command):
        raise ConfigError(
            f"{path}: is a run of {own_command}. Continue it with nlpseq {own_command} {path} --resume."
        )
    try:
        stage = _STAGES[own_command]
        configs: dict[str, Any] = {key: from_stored(each, meta[key]) for key, each in stage.configs.items()}
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{place / 'meta.json'}: is not valid ({error}). Train again with --force."
        ) from error
    return UnfinishedRun(path, own_command, meta, configs)


def resume(
    path: Path | str | UnfinishedRun,
    corpus: str | Sequence[str] = (),
    *,
    command: str | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    checkpoint_every: float = 60.0,
    should_stop: Callable[[], bool] = lambda: False,
    progress: ProgressCallback | None = None,
    loaders: Loaders = Loaders(),  # noqa: B008  (immutable)
    on_start: Callable[[UnfinishedRun, TokenDataset], None] | None = None,
    open_tasks: Callable[[Path], Tasks | None] = lambda folder: None,
) -> "Vectors | LanguageModel":
    """Continue a run of word2vec, GloVe or the language model, and store the result in the same folder.

    path: of the run, or the run itself. corpus: where the text is now; by default where the run stored it.
    command: the only command allowed for a path. settings: of the run, checked, or new values of machine
    settings, such as threads. checkpoint_every: seconds. on_start: called before training. open_tasks: return
    workers for a run in parts, which all see the folder of the encoded corpus, or None for threads.
    Raises the errors of find_run, and ArtifactError if the corpus has changed.
    """
    run = path if isinstance(path, UnfinishedRun) else find_run(Path(path), command)
    run, changes = run.changed(settings)
    sources = (corpus,) if isinstance(corpus, str) else tuple(corpus)
    data = find_dataset(run.path, run.meta, sources, loaders.encode)
    source = run.meta.get("source")
    provenance = dict(source) if isinstance(source, dict) else {}
    if sources:
        provenance |= describe_source(data, sources) | {"valid": provenance.get("valid")}
    if on_start is not None:
        on_start(run, data)
    config = CheckpointConfig(
        path=run.path, every=checkpoint_every, should_stop=should_stop, provenance=provenance
    )
    if run.command == "train-w2v":
        from nlpseq.word2vec.train import resume_word2vec

        tasks = open_tasks(data.path)
        return resume_word2vec(config, data, changes=changes, progress=progress, tasks=tasks)
    if run.command == "train-counts":
        from nlpseq.counts.cooccurrence import find_or_count
        from nlpseq.counts.glove import resume_glove

        counting, threads = run.configs["cooccurrence_config"], run.configs["glove_config"].threads
        if loaders.count_pairs is not None:
            counts = loaders.count_pairs(data, counting, threads)
        else:
            counts = find_or_count(data, counting, threads=threads)
        return resume_glove(config, counts, changes=changes, progress=progress)
    from nlpseq.lm.train import resume_lm

    valid = find_valid(run.path, run.meta, data, loaders.encode)
    tasks = open_tasks(data.path)
    return resume_lm(config, data, valid=valid, changes=changes, progress=progress, tasks=tasks)
