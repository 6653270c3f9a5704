"""Arguments of commands: corpus, language model and vectors, opened with a message about each."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nlpseq.config import LMConfig, TextConfig
from nlpseq.config.fields import to_dict
from nlpseq.core.resources import size_text
from nlpseq.errors import ConfigError, DataError

from ._options import explicit_settings, integer, is_typed, option_name, threads_option
from ._output import Progress, printable, say, say_detail, say_warning

if TYPE_CHECKING:
    from nlpseq.core.precompile import Kernel
    from nlpseq.dataset.encode import EncodeProgress
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.dataset.vocab import Vocab
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.reading.corpus import Corpus
    from nlpseq.vectors.vectors import Vectors


F = TypeVar("F", bound=Callable[..., Any])

corpus_argument = click.argument("sources", metavar="CORPUS...", nargs=-1, required=True)

_ANNOUNCED = "nlpseq.announced"  # key of click.Context.meta: corpora announced as slow to build

COMPILING = "compiling kernels (once for these settings)"


def dataset_folder(sources: Sequence[str]) -> Path | None:
    """Return the folder if the sources are an encoded corpus, even a corrupt one."""
    from nlpseq.training.provenance import dataset_dir

    return dataset_dir(tuple(sources))


def corpus_name(sources: tuple[str, ...]) -> str:
    """Return the name that the results of a corpus get, without a suffix."""
    folder = dataset_folder(sources)
    return folder.resolve().name.partition(".")[0] if folder else open_sources(sources).name


def output_path(name: str, suffix: str, output: Path | None, *, force: bool) -> Path:
    """Return the path of the result, locked until the command ends. Raises an error if it is not writable."""
    from nlpseq.storage import artifact

    path = output or Path(name + suffix)
    lock_output(path)
    artifact.check_writable(path, force=force)
    return path


def lock_output(path: Path) -> None:
    """Lock an output path until the command ends."""
    from nlpseq.storage.locks import path_lock

    click.get_current_context().with_resource(path_lock(path))


def open_sources(sources: tuple[str, ...]) -> Corpus:
    """Open a corpus, and announce a corpus that is built first."""
    from nlpseq.reading.corpus import open_corpus

    built = {entry.name for entry in import_module("nlpseq.corpora").names() if entry.file is None}
    announced: set[str] = click.get_current_context().meta.setdefault(_ANNOUNCED, set())
    for name in built.intersection(sources) - announced:
        announced.add(name)
        if not Path(name).exists():
            say(f"corpus {name} (built from installed packages the first time, for some seconds)")
    return open_corpus(*sources)


def open_dataset(path: Path) -> TokenDataset:
    """Open an encoded corpus. Raises ConfigError if an explicit text setting differs."""
    from nlpseq.dataset.token_dataset import TokenDataset

    data = TokenDataset.open(path)
    has = to_dict(data.config)
    for name, value in explicit_settings(TextConfig).items():
        if has[name] != value:
            raise ConfigError(
                f"{path}: encoded with {name} {has[name]}, not {value}. "
                f"Leave out {option_name(name)}, or name the text to encode the text again."
            )
    return data


def encode(corpus: Corpus, config: TextConfig, threads: int | None) -> TokenDataset:
    """Encode a corpus, or take the encoded corpus from the cache."""
    from nlpseq.dataset.encode_cache import cached_dataset

    with EncodingProgress(corpus) as progress:
        return cached_dataset(corpus, config, threads=threads, progress=progress.report)


def prepare(
    sources: tuple[str, ...],
    suffix: str,
    output: Path | None,
    threads: int | None,
    *,
    force: bool,
    text: TextConfig,
    kernels: Sequence[Kernel] = (),
) -> tuple[Path, TokenDataset]:
    """Return the output path of vectors and the encoded corpus, and describe the corpus.

    text: settings for a corpus that is not encoded yet. kernels: compiled before encoding, because compiling
    and encoding both need much memory.
    """
    folder = dataset_folder(sources)
    if folder is not None:
        if output is not None and output.resolve() == folder.resolve():
            raise ConfigError(f"{output}: this is the corpus. Use -o to choose another path.")
        path = output_path(folder.resolve().name.partition(".")[0], suffix, output, force=force)
        data = open_dataset(folder)
        _compile(kernels)
    else:
        corpus = open_sources(sources)
        path = output_path(corpus.name, suffix, output, force=force)
        if kernels:
            from nlpseq.dataset.encode import to_compile

            _compile([*to_compile(text), *kernels])
        data = encode(corpus, text, threads)
    say_contents(data)
    return path, data


def _compile(kernels: Sequence[Kernel]) -> None:
    """Compile the kernels that the cache lacks."""
    from nlpseq.core.precompile import missing_kernels, precompile

    if new := missing_kernels(kernels):
        say(COMPILING)
        precompile(new)


def say_contents(data: TokenDataset) -> None:
    """Describe an encoded corpus, with warnings about the text."""
    vocab = data.vocab
    unknown = int(vocab.counts[vocab.num_words]) / max(1, int(vocab.counts[: vocab.num_words + 1].sum()))
    entries = "characters" if data.config.tokenizer == "char" else "words"
    is_split = data.config.valid_share or data.config.test_share
    counted = "the train split" if is_split else "the text"  # source of the vocabulary
    say(
        f"{data.num_tokens:,} tokens in {data.num_sentences:,} sentences, "
        f"{vocab.num_words:,} {entries} in the vocabulary, {unknown:.2%} of {counted} <unk>"
    )
    say_detail(f"encoded corpus: {data.path}")
    say_notices(data)


def say_notices(data: TokenDataset) -> None:
    """Print the warnings about the text of an encoded corpus."""
    for notice in data.meta["notices"]:
        say_warning(notice)


class EncodingProgress(Progress):
    """Progress of encoding, in bytes on disk."""

    def __init__(self, corpus: Corpus) -> None:
        size = corpus.size_bytes()
        say(f"reading {corpus.describe()}" + (f" ({size_text(size)})" if size is not None else ""))
        super().__init__("encoding", "B", COMPILING)

    def report(self, progress: EncodeProgress) -> None:
        self.update(progress.bytes_read, progress.total_bytes, f"{progress.tokens:,} tokens")


lm_argument = click.argument("model", metavar="LM", type=click.Path(path_type=Path))


def machine_options(command: F) -> F:
    """Add --threads and --device, parameters of load_model."""
    device = click.option(
        "--device", default="cpu", show_default=True, help="device of the model: cpu, cuda or cuda:N"
    )
    return threads_option(device(command))


def load_model(path: Path, threads: int | None = None, device: str = "cpu") -> LanguageModel:
    """Load a language model onto its device, and set the number of threads."""
    from nlpseq.lm.device import open_device
    from nlpseq.lm.language_model import LanguageModel

    require_run(path)
    lm = LanguageModel.load(path)
    if not lm.meta["complete"]:
        say_warning(
            f"{path} is unfinished: this is its best state so far. "
            f"Continue with: nlpseq train-lm {shlex.quote(str(path))} --resume"
        )
    lm.model.to(open_device(replace(lm.config, threads=threads, device=device)))
    return lm


def require_run(path: Path) -> None:
    """Raise DataError if the folder of a language model does not exist."""
    if not path.exists():
        raise DataError(f"{path}: does not exist. Name the folder of a language model.")


def encode_as(
    sources: tuple[str, ...], config: TextConfig, vocab: Vocab | None = None, threads: int | None = None
) -> TokenDataset:
    """Encode a text, with a given vocabulary if any, on the threads of the command."""
    from nlpseq.dataset.encode_cache import cached_dataset

    corpus = open_sources(sources)
    lm_threads, param = (
        explicit_settings(LMConfig).get("threads"),
        click.get_current_context().params.get("threads"),
    )
    threads = threads or lm_threads or param
    with EncodingProgress(corpus) as progress:
        return cached_dataset(corpus, config, vocab=vocab, threads=threads, progress=progress.report)


def encode_for(sources: tuple[str, ...], config: TextConfig, vocab: Vocab) -> TokenDataset:
    """Encode a text without splits, with the vocabulary of a model."""
    from nlpseq.dataset.token_dataset import TokenDataset

    if folder := dataset_folder(sources):
        return TokenDataset.open(folder)
    data = encode_as(sources, replace(config, valid_share=0.0, test_share=0.0), vocab)
    say_notices(data)
    return data


model_argument = click.argument("model", type=click.Path(path_type=Path))

_VECTOR_OPTIONS = (
    click.option(
        "--matrix",
        type=click.Choice(["w", "w+c"]),
        default="w",
        show_default=True,
        help="word vectors, or word vectors plus context vectors",
    ),
    click.option("--center", is_flag=True, help="subtract the mean vector"),
    click.option(
        "--remove-components",
        type=integer(0),
        default=0,
        show_default=True,
        metavar="N",
        help="remove the N principal components of largest variance",
    ),
)


def vector_options(command: F) -> F:
    """Add the options of load_vectors."""
    for option in reversed(_VECTOR_OPTIONS):
        command = option(command)
    return command


def load_vectors(model: Path, **options: Any) -> Vectors:
    """Load the vectors of a model or file, with warnings, and postprocess the vectors."""
    from nlpseq.vectors.postprocess import postprocess
    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(model)
    if vectors.meta.get("complete") is False:
        command = "train-counts" if vectors.meta.get("model") == "glove" else "train-w2v"
        say_warning(
            f"{model} is unfinished: these are its vectors so far. "
            f"Continue with: nlpseq {command} {shlex.quote(str(model))} --resume"
        )
    for notice in vectors.meta.get("notices", []):
        say_warning(notice)
    return postprocess(vectors, **options)


EXAMPLE_RANKS = (100, 200, 400, 800)  # because the neighbors of more frequent words say little


def say_neighbors(path: Path, vectors: Vectors) -> None:
    """Print the neighbors of a few words, and the next command."""
    words = example_words(vectors.vocab.words)
    for word in words:
        nearest = ", ".join(printable(other) for other, _ in vectors.neighbors(word, top=5))
        say(f"  {printable(word)}: {nearest}")
    say(f"next: nlpseq neighbors {shlex.quote(str(path))} {shlex.quote(words[0])}")


def example_words(words: list[str]) -> list[str]:
    """Return example words: the first alphabetic word from each of EXAMPLE_RANKS on."""
    ranks = [rank for rank in EXAMPLE_RANKS if rank < len(words)] or [len(words) // 2]
    found = [next((word for word in words[rank:] if word.isalpha()), words[rank]) for rank in ranks]
    return list(dict.fromkeys(found))


def run_folder(
    sources: tuple[str, ...], output: Path | None, suffix: str, start_only: Sequence[str]
) -> tuple[Path, tuple[str, ...]]:
    """Lock and return the folder of the run that --resume means, and the corpus if a person named one.

    start_only: options that only a new run accepts.
    """
    from nlpseq.storage.artifact import CHECKPOINT
    from nlpseq.storage.locks import remove_stale_temporaries
    from nlpseq.training.checkpoint import has_checkpoint
    from nlpseq.training.resume import is_run

    for name in filter(is_typed, start_only):
        raise ConfigError(f"--{name}: does not go with --resume. Leave it out.")
    for place in (output, *map(Path, sources)):
        if place is not None:
            remove_stale_temporaries(place.resolve().parent)  # which completes an interrupted commit
    first = Path(sources[0])
    if len(sources) == 1 and (is_run(first) or (sources[0].endswith(suffix) and not first.exists())):
        if output is not None and output.resolve() != first.resolve():
            raise ConfigError(f"-o {output}: does not go with --resume of {first}. Leave it out.")
        path, corpus = first, tuple[str, ...]()
    else:
        path, corpus = output or Path(corpus_name(sources) + suffix), sources
    if path.name == CHECKPOINT and has_checkpoint(path.parent):
        path = path.parent
    lock_output(path)
    return path, corpus
