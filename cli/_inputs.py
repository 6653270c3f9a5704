"""Corpus, model and vectors named on the command line."""

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

from ._options import given, is_flag, threads_option
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

_SAID = "nlpseq.said"  # key of click.Context.meta: corpora of which it was said that they take time

COMPILING = "compiling kernels (once for these settings)"


def dataset_folder(sources: Sequence[str]) -> Path | None:
    """Return the folder of an encoded corpus if the sources are one, even a corrupt one."""
    from nlpseq.training.provenance import dataset_dir

    return dataset_dir(tuple(sources))


def corpus_name(sources: tuple[str, ...]) -> str:
    """What results of a corpus are named after."""
    folder = dataset_folder(sources)
    return folder.resolve().name.partition(".")[0] if folder else open_sources(sources).name


def output_path(name: str, suffix: str, output: Path | None, *, force: bool) -> Path:
    """Where the result goes; it is checked now that it can."""
    from nlpseq.storage import artifact

    path = output or Path(name + suffix)
    artifact.check_writable(path, force=force)
    return path


def claim(path: Path) -> None:
    """Have a place to write for this command alone, until it ends."""
    from nlpseq.storage.locks import path_lock

    click.get_current_context().with_resource(path_lock(path))


def open_sources(sources: tuple[str, ...]) -> Corpus:
    """The corpus that was named; building one takes seconds, so that is said before it is asked for."""
    from nlpseq.reading.corpus import open_corpus

    built = {entry.name for entry in import_module("nlpseq.corpora").names() if entry.file is None}
    said: set[str] = click.get_current_context().meta.setdefault(_SAID, set())
    for name in built.intersection(sources) - said:
        said.add(name)
        if not Path(name).exists():
            say(
                f"corpus {name} (the first time it is built from what is installed, which takes some seconds)"
            )
    return open_corpus(*sources)


def open_dataset(path: Path) -> TokenDataset:
    """The encoded corpus in a folder; ConfigError where it was not made with the text settings given."""
    from nlpseq.dataset.token_dataset import TokenDataset

    data = TokenDataset.open(path)
    has = to_dict(data.config)
    for name, value in given(TextConfig).items():
        if has[name] != value:
            raise ConfigError(
                f"{path} was encoded with {name} {has[name]}, not {value}. "
                "Leave the setting out, or name the text itself to encode it anew."
            )
    return data


def encode(corpus: Corpus, config: TextConfig, threads: int | None) -> TokenDataset:
    """The corpus encoded with these settings, out of the cache where it is there already."""
    from nlpseq.dataset.encode import cached_dataset

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
    """Where vectors will go and what they are trained on, which is said.

    text: how to encode one. kernels: what training will need compiled, which is done before a text is
    encoded, as both take memory.
    """
    folder = dataset_folder(sources)
    if folder is not None:
        if output is not None and output.resolve() == folder.resolve():
            raise ConfigError(f"{output} is the corpus itself. Choose another place with -o.")
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
    """Have kernels compiled that are not in the cache yet."""
    from nlpseq.core.precompile import missing_kernels, precompile

    if new := missing_kernels(kernels):
        say(COMPILING)
        precompile(new)


def say_contents(data: TokenDataset) -> None:
    """What an encoded corpus holds, and what was odd about the text."""
    vocab = data.vocab
    unknown = int(vocab.counts[vocab.num_words]) / max(1, int(vocab.counts[: vocab.num_words + 1].sum()))
    entries = "characters" if data.config.tokenizer == "char" else "words"
    is_split = data.config.valid_share or data.config.test_share
    counted = "the train split" if is_split else "the text"  # the vocabulary is made from it
    say(
        f"{data.num_tokens:,} tokens in {data.num_sentences:,} sentences, "
        f"{vocab.num_words:,} {entries} in the vocabulary, {unknown:.2%} of {counted} <unk>"
    )
    say_detail(f"encoded corpus: {data.path}")
    say_notices(data)


def say_notices(data: TokenDataset) -> None:
    """What a person should know of how a text was read."""
    for notice in data.meta["notices"]:
        say_warning(notice)


class EncodingProgress(Progress):
    """Progress in bytes of a corpus, as they lie on disk."""

    def __init__(self, corpus: Corpus) -> None:
        size = corpus.size_bytes()
        say(f"reading {corpus.describe()}" + (f" ({size_text(size)})" if size is not None else ""))
        super().__init__("encoding", "B", COMPILING)

    def report(self, progress: EncodeProgress) -> None:
        self.update(progress.bytes_read, progress.total_bytes, f"{progress.tokens:,} tokens")


lm_argument = click.argument("model", metavar="LM", type=click.Path(path_type=Path))


def machine_options(command: F) -> F:
    """Decorator: --threads and --device, which load_model takes."""
    device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N")
    return threads_option(device(command))


def load_model(path: Path, threads: int | None = None, device: str = "cpu") -> LanguageModel:
    """The model in a folder, on the device where it is to run, and this machine made ready for it."""
    from nlpseq.lm.device import open_device
    from nlpseq.lm.language_model import LanguageModel

    require_run(path)
    lm = LanguageModel.load(path)
    if not lm.meta["complete"]:
        say_warning(
            f"{path} is unfinished: this is its best state so far. "
            f"Go on with: nlpseq train-lm {shlex.quote(str(path))} --resume"
        )
    lm.model.to(open_device(replace(lm.config, threads=threads, device=device)))
    return lm


def require_run(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} does not exist. Name the folder of a language model.")


def encode_as(
    sources: tuple[str, ...], config: TextConfig, vocab: Vocab | None = None, threads: int | None = None
) -> TokenDataset:
    """Return a text encoded with these settings, and with the vocabulary if one is given."""
    from nlpseq.dataset.encode import cached_dataset

    corpus = open_sources(sources)
    threads = threads or given(LMConfig).get("threads") or click.get_current_context().params.get("threads")
    with EncodingProgress(corpus) as progress:
        return cached_dataset(corpus, config, vocab=vocab, threads=threads, progress=progress.report)


def encode_for(sources: tuple[str, ...], config: TextConfig, vocab: Vocab) -> TokenDataset:
    """A whole text, unsplit, as a model with this vocabulary reads it."""
    from nlpseq.dataset.token_dataset import TokenDataset

    if folder := dataset_folder(sources):
        return TokenDataset.open(folder)
    data = encode_as(sources, replace(config, valid_share=0.0, test_share=0.0), vocab)
    say_notices(data)
    return data


TELLING_RANKS = (100, 200, 400, 800)  # words more frequent than these have neighbours that say little

_OPTIONS = (
    click.option(
        "--matrix",
        type=click.Choice(["w", "w+c"]),
        default="w",
        show_default=True,
        help="word vectors, or with the vectors of the same words as contexts added",
    ),
    click.option("--center", is_flag=True, help="subtract the mean vector"),
    click.option(
        "--remove-components",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="remove the N directions in which all vectors vary most",
    ),
)


def vector_options(command: F) -> F:
    """Decorator: the options that load_vectors takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def load_vectors(model: Path, **taken: Any) -> Vectors:
    """The vectors of a model or file, taken as the options say; what is odd about the file is said."""
    from nlpseq.vectors.postprocess import postprocess
    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(model)
    if vectors.meta.get("complete") is False:
        command = "train-counts" if vectors.meta.get("model") == "glove" else "train-w2v"
        say_warning(
            f"{model} is unfinished: these are its vectors so far. "
            f"Go on with: nlpseq {command} {shlex.quote(str(model))} --resume"
        )
    for notice in vectors.meta.get("notices", []):
        say_warning(notice)
    return postprocess(vectors, **taken)


def say_neighbors(path: Path, vectors: Vectors) -> None:
    """The neighbours of a few words, and what to type next."""
    words = telling_words(vectors.vocab.words)
    for word in words:
        nearest = ", ".join(printable(other) for other, _ in vectors.neighbors(word, top=5))
        say(f"  {printable(word)}: {nearest}")
    say(f"next: nlpseq neighbors {shlex.quote(str(path))} {shlex.quote(words[0])}")


def telling_words(words: list[str]) -> list[str]:
    """A few frequent words, but for the most frequent ones: the first of letters alone from each rank on."""
    ranks = [rank for rank in TELLING_RANKS if rank < len(words)] or [len(words) // 2]
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

    for name in filter(is_flag, start_only):
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
    claim(path)
    return path, corpus
