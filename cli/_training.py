"""Parts of the train commands: output, corpus, a run with progress and checkpoints, and its continuation."""

from __future__ import annotations

import math
import signal
import unicodedata
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nlpseq.config import CooccurrenceConfig, TextConfig
from nlpseq.core.resources import count_text
from nlpseq.errors import ConfigError

from ._inputs import SLOW_START, corpus_name, dataset_folder, encode_as, open_dataset, say_contents
from ._options import is_typed, require_with
from ._output import Progress, console, print_columns, printable, say, say_warning, shell_path, shell_quoted

if TYPE_CHECKING:
    from nlpseq.core.precompile import Kernel
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.dataset.vocab import Vocab
    from nlpseq.distributed.ray_engine import RayTasks
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.training.progress import TrainProgress
    from nlpseq.training.resume import UnfinishedRun
    from nlpseq.vectors.vectors import Vectors

Model = TypeVar("Model", bound="Vectors | LanguageModel")

EXAMPLE_RANKS = (100, 200, 400, 800)  # because the neighbors of more frequent words say little
MIN_LETTERS = ((4, 2), (1, 1))  # of an example, and of a Chinese, Japanese or Korean one; else the second


def prepare(
    sources: tuple[str, ...],
    text: TextConfig,
    threads: int | None = None,
    kernels: Sequence[Kernel] = (),
    subsample: float = 0.0,
    start: Vocab | None = None,
) -> TokenDataset:
    """Return the encoded corpus, and describe it.

    text: settings for a corpus that is not encoded yet. kernels: compiled before encoding, because compiling
    and encoding both need much memory. subsample: setting of the training, for warnings. start: vocabulary
    to extend by the words of the text.
    """
    folder = dataset_folder(sources)
    data = None if folder is None else open_dataset(folder)
    if kernels:
        from nlpseq.core.precompile import missing_kernels, precompile
        from nlpseq.dataset.encode import to_compile

        if new := missing_kernels([*(to_compile(text) if data is None else ()), *kernels]):
            say("compiling kernels (once for these settings)")
            precompile(new)
    if data is None:
        data = encode_as(sources, text, start=start, threads=threads)
    say_contents(data, subsample)
    return data


class Cluster:
    """The options of a cluster: see cluster_options."""

    def __init__(self, address: str | None, workers: str | None, *, plan: bool) -> None:
        for name in ("workers", "plan"):
            require_with(name, "--cluster", is_there=address is not None)
        self.address, self._workers, self.is_plan = address, workers, plan
        if address is not None:
            from nlpseq.distributed.ray_engine import check_options

            check_options(address, workers)

    def __bool__(self) -> bool:
        return self.address is not None

    def require_encoded(self, sources: tuple[str, ...]) -> None:
        """Raise ConfigError for a text if workers may be on other machines, which do not see the cache."""
        if self.address in (None, "local") or dataset_folder(sources) is not None:
            return
        names = " ".join(map(shell_quoted, sources))
        raise ConfigError(
            f"--cluster {self.address}: needs an encoded corpus that all machines see. Run nlpseq preprocess "
            f"{names} -o SHARED.tokens --cluster {self.address}, and name its folder."
        )

    def end_after_plan(self, rows: Iterable[tuple[str, str]]) -> None:
        """Print how the work is cut and end the command, if that is wanted."""
        if self.is_plan:
            print_columns(rows)
            raise click.exceptions.Exit

    def tasks(self, folder: Path, parts: int | None = None) -> RayTasks | None:
        """Return tasks on the cluster, which is left at the end of the command; None without a cluster.

        folder: that all machines must see. parts: tasks at once, at most.
        """
        if self.address is None:
            return None
        from nlpseq.distributed.ray_engine import check_shared_folder, open_cluster

        tasks = click.get_current_context().with_resource(open_cluster(self.address, self._workers))
        check_shared_folder(tasks, folder)
        say(f"cluster {self.address}: {count_text(tasks.workers, 'worker')}")
        if parts is not None and parts < tasks.workers:
            idle = count_text(tasks.workers - parts, "worker")
            say(f"{idle} will be idle, because the work has {count_text(parts, 'part')}")
        return tasks


def lock_result(path: Path, *, force: bool) -> None:
    """Lock the path of a new result until the command ends, and check it."""
    from nlpseq.training.checkpoint import lock_output

    click.get_current_context().with_resource(lock_output(path, force=force))


def count_on(
    tasks: RayTasks | None,
    config: CooccurrenceConfig,
    threads: int | None,
    progress: Progress,
    data: TokenDataset,
) -> Cooccurrence:
    """Count the neighbors in the train split, on the cluster if there are tasks."""
    if tasks is None:
        from nlpseq.counts.cooccurrence import count_cooccurrences

        return count_cooccurrences(data.split("train"), config, threads=threads, progress=progress.update)
    from nlpseq.distributed.counts import count_cooccurrences as count_by_spans

    return count_by_spans(data, config, tasks, progress=progress.update)


def refuse_inputs(path: Path, *inputs: str | Path | None, advice: str = "Use -o") -> None:
    """Raise ConfigError if the path of a result is an input of the command."""
    paths = [Path(each) for each in inputs if each]
    if path.resolve() in [each.resolve() for each in paths if each.exists()]:
        raise ConfigError(f"{path}: is an input of this command. {advice} to choose another path.")


def refuse_models(*texts: str | Path) -> None:
    """Raise ConfigError for the folder of a model that is named as a text."""
    from nlpseq.training.resume import KINDS, is_run

    for text in texts:
        for kind, title in KINDS.items():
            if is_run(Path(text), kind):
                raise ConfigError(
                    f"{text}: holds {title}, not a corpus. Name a text, or use --resume to continue a run."
                )


class TrainingSession(ExitStack):
    """A train command: its output, its progress, checkpoints and graceful shutdown.

    suffix: of the result. unit: of TrainProgress.done. slow_start: see Progress. The others are the
    training_options. path: of the result or the run, after lock_output or find_run.
    """

    def __init__(
        self,
        command: str,
        suffix: str,
        unit: str,
        slow_start: str = SLOW_START,
        *,
        sources: tuple[str, ...],
        output: Path | None = None,
        force: bool = False,
        resume: bool = False,
        checkpoint_every: float = 60.0,
        cluster: str | None = None,
        workers: str | None = None,
        plan: bool = False,
    ) -> None:
        super().__init__()
        self.cluster = Cluster(cluster, workers, plan=plan)
        self._command, self._suffix, self._unit, self._slow_start = command, suffix, unit, slow_start
        self.sources, self.is_resumed = sources, resume
        self._output, self.force, self._every = output, force, checkpoint_every
        self.path, self._corpus = output or Path(), tuple[str, ...]()  # the corpus of a run, if it is named
        self._console, self._is_stopping = console(), False

    def lock_output(self, *inputs: str | Path | None) -> Path:
        """Return the path of a new result, locked until the command ends.

        inputs: paths that may not be overwritten, besides the corpus. Raises an error if the path is taken.
        """
        refuse_models(*self.sources)
        self.cluster.require_encoded(self.sources)
        name = corpus_name(self.sources)
        self.path = self._output or Path(name + self._suffix)
        refuse_inputs(self.path, *self.sources, *inputs, advice="Use --resume to continue a run, or -o")
        lock_result(self.path, force=self.force)
        return self.path

    def train(self, function: Callable[..., Model], data: TokenDataset, valid: str | None = None) -> Model:
        """Call a function of the library with `progress` and `checkpoint`, and return the model.

        data, valid: for the provenance of the run.
        """
        from nlpseq.training.checkpoint import CheckpointConfig
        from nlpseq.training.provenance import describe_source

        checkpoint = CheckpointConfig(
            path=self.path,
            every=self._every,
            should_stop=lambda: self._is_stopping,
            force=self.force,
            provenance=describe_source(data, self.sources, valid),
        )
        with self:
            self.start()
            model = function(checkpoint=checkpoint, progress=self._report)
        return self._complete(model)

    def find_run(self, *start_only: str) -> UnfinishedRun:
        """Return the run that --resume means, locked until the command ends.

        start_only: options that only a new run accepts, besides --force.
        """
        from nlpseq.storage.locks import path_lock
        from nlpseq.training.resume import find_run, is_run, run_dir

        for name in filter(is_typed, ("force", "plan", *start_only)):
            raise ConfigError(f"--{name}: does not go with --resume. Leave it out.")
        first, output = self.sources[0], self._output
        path = run_dir(Path(first))
        is_named = is_run(path) or (first.endswith(self._suffix) and not path.exists())
        if len(self.sources) > 1 or not is_named:
            self._corpus = self.sources
            path = run_dir(output or Path(corpus_name(self.sources) + self._suffix))
        elif output is not None and output.resolve() != path.resolve():
            raise ConfigError(f"-o {output}: does not go with --resume of {path}. Leave it out.")
        if path.exists():  # because a lock creates the folders above
            click.get_current_context().with_resource(path_lock(path))
        self.path = path
        return find_run(path, self._command)

    def resume(
        self,
        run: UnfinishedRun,
        settings: dict[str, Any],
        on_start: Callable[[UnfinishedRun, TokenDataset], None],
        count_pairs: Callable[..., Cooccurrence] | None = None,
    ) -> Any:
        """Continue a run to its end, and return the model; on_start or count_pairs must call `start`."""
        if self.cluster and run.command != "train-counts" and run.settings.get("parts") is None:
            raise ConfigError(f"--cluster: {run.path} did not begin on a cluster or in parts. Leave it out.")
        from nlpseq.training.resume import Loaders, resume

        with self:
            model = resume(
                run,
                self._corpus,
                settings=settings,
                checkpoint_every=self._every,
                should_stop=lambda: self._is_stopping,
                progress=self._report,
                loaders=Loaders(encode_as, count_pairs),
                on_start=on_start,
                open_tasks=self.cluster.tasks,
            )
        return self._complete(model)

    def start(self, done: int = 0) -> None:
        """Begin progress and graceful shutdown; done: units that a resumed run has done before."""
        self._line = f"nlpseq {self._command} {shell_path(self.path)} --resume"
        note = f"its last checkpoint, if there is one yet, continues with: {self._line}"
        self._console.signals.on_first = self._request_stop
        self.callback(setattr, self._console.signals, "on_first", None)
        bar = Progress("training", self._unit, self._slow_start, begun=done, stopped_note=note)
        self._bar = self.enter_context(bar)

    def _request_stop(self) -> None:
        self._is_stopping = True
        with suppress(OSError, RuntimeError):  # stderr is closed, or the signal interrupted another message
            self._console.say("stopping after this step; send the signal again to stop at once")

    def _report(self, report: TrainProgress) -> None:
        figures = f"loss {report.loss:.4f}, learning rate {report.learning_rate:.5f}"
        if report.valid_loss is not None and self._command == "train-lm":
            figures += f", validation perplexity {math.exp(min(report.valid_loss, 700)):.2f}"
        elif report.valid_loss is not None:
            figures += f", validation loss {report.valid_loss:.4f}"
        self._bar.update(report.done, report.total, figures)

    def _complete(self, model: Model) -> Model:
        """Return the model of a complete run; after a signal, say how to continue the run and exit."""
        if not model.meta["complete"]:
            say(f"stopped and saved. Continue with: {self._line}")
            raise click.exceptions.Exit(128 + (self._console.signals.number or signal.SIGINT))
        return model


def say_untrained(vocab: Vocab, untrained: Sequence[int], ways_out: str) -> None:
    """Say how many words are not in the text; warn of words in it that got a vector of zeros.

    untrained: ids of both. ways_out: sentence for the warning.
    """
    unseen, total = vocab.absent_ids, count_text(len(vocab), "token" if vocab.bpe else "word")
    if num_unseen := len(unseen):
        say(f"{num_unseen:,} of {total} do not occur in this text, and no answer names them")
    if num_without := len({*untrained} - {*unseen.tolist()}):
        zeros = f"{num_without:,} of {total} got a vector of zeros"
        say_warning(f"{zeros}, because training had no pair of them. {ways_out}")


def say_neighbors(path: Path, vectors: Vectors) -> None:
    """Print the neighbors of a few words, and the next command."""
    label, words = vectors.vocab.label, example_words(vectors.vocab, {*vectors.untrained_ids.tolist()})
    for word in words:
        nearest = ", ".join(printable(label(other)) for other, _ in vectors.neighbors(word, top=5))
        say(f"  {printable(word)}: {nearest}")
    say(f"next: nlpseq neighbors {shell_path(path)} {shell_quoted(words[0])}")


def example_words(vocab: Vocab, left_out: Container[int] = ()) -> list[str]:
    """Return example words: the first content word from each of EXAMPLE_RANKS on.

    left_out: ids of words without a vector. A short vocabulary has one example, from its middle.
    """
    by_count = (-vocab.counts[: vocab.num_words]).argsort(kind="stable").tolist()
    words = [vocab.words[word_id] for word_id in by_count if word_id not in left_out]
    ranks = [rank for rank in EXAMPLE_RANKS if rank < len(words)] or [len(words) // 2]
    for lengths in MIN_LETTERS:
        queries = (filter(None, (_as_query(word, vocab, lengths) for word in words[rank:])) for rank in ranks)
        if found := [query for each in queries if (query := next(each, None))]:
            return list(dict.fromkeys(found))
    return [words[ranks[0]]]


def _as_query(word: str, vocab: Vocab, lengths: tuple[int, int]) -> str | None:
    """Return an entry as a person writes it; None for few letters, other characters, or a part of a word.

    lengths: least number of letters, and of Chinese, Japanese and Korean ones.
    """
    from nlpseq.tokenizers.bpe import SPACE_MARK

    text = vocab.label(word).removeprefix(SPACE_MARK) if vocab.bpe else word
    is_wide = unicodedata.east_asian_width(text[:1] or " ") in "WF"
    is_word = all(unicodedata.category(char)[0] in "LM" for char in text)
    return text if is_word and len(text) >= lengths[is_wide] and vocab.find(text) == word else None
