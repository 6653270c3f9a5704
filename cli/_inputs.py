"""Inputs of commands: corpus, language model and vectors, opened with a message about each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from nlpseq.config import TextConfig
from nlpseq.core.resources import count_text, size_text
from nlpseq.errors import ArtifactError, ConfigError, DataError

from ._options import explicit_settings, option_name
from ._output import Progress, say, say_notice, say_warning, shell_path

if TYPE_CHECKING:
    from nlpseq.dataset.encode import EncodeProgress
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.dataset.vocab import Vocab
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.reading.corpus import Corpus
    from nlpseq.vectors.vectors import Vectors

_ANNOUNCED = "nlpseq.announced"  # key of click.Context.meta: corpora announced as slow to build

READ_BYTES = 1 << 16
SLOW_START = "starting (the first run with these settings compiles kernels)"  # see Progress


def dataset_folder(sources: Sequence[str]) -> Path | None:
    """Return the folder if the sources are an encoded corpus, even a corrupt one."""
    from nlpseq.training.provenance import dataset_dir

    return dataset_dir(tuple(sources))


def corpus_name(sources: tuple[str, ...]) -> str:
    """Return the name that the results of a corpus get, without a suffix."""
    folder = dataset_folder(sources)
    return folder.resolve().name.partition(".")[0] if folder else open_sources(sources).name


def open_sources(sources: tuple[str, ...]) -> Corpus:
    """Open a corpus, and announce a corpus that is built first."""
    from nlpseq.reading.corpus import open_corpus

    built = {entry.name for entry in import_module("nlpseq.corpora").names() if entry.is_built}
    announced: set[str] = click.get_current_context().meta.setdefault(_ANNOUNCED, set())
    for name in built.intersection(sources) - announced:
        announced.add(name)
        if not Path(name).exists():
            say(f"corpus {name} (built from installed packages the first time, for some seconds)")
    return open_corpus(*sources)


def open_dataset(path: Path) -> TokenDataset:
    """Open an encoded corpus. Raises ConfigError if an explicit text setting differs."""
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.reading.decode import columns_of

    data = TokenDataset.open(path)
    has, columns = asdict(data.config), columns_of(data.meta.get("read", {}).get("formats", {}))
    has["column"] = has["column"] or ", ".join(columns) or None  # recognized if none was named
    for name, value in explicit_settings(TextConfig).items():
        if has[name] != value:
            raise ConfigError(
                f"{path}: encoded with {name} {has[name]!s:.60}, not {value!s:.60}. "
                f"Leave out {option_name(name)}, or name the text to encode the text again."
            )
    return data


class EncodingProgress(Progress):
    """Progress of encoding, in bytes on disk."""

    def __init__(self, corpus: Corpus) -> None:
        size = corpus.size_bytes()
        say(f"reading {corpus.describe()}" + (f" ({size_text(size)})" if size is not None else ""))
        super().__init__("encoding", "B", SLOW_START)

    def report(self, progress: EncodeProgress) -> None:
        self.update(progress.bytes_read, progress.total_bytes, count_text(progress.tokens, "token"))


def encode_as(
    sources: tuple[str, ...],
    config: TextConfig,
    vocab: Vocab | None = None,
    start: Vocab | None = None,
    threads: int | None = None,
) -> TokenDataset:
    """Encode a text, or take the encoded corpus from the cache.

    vocab, start: vocabulary to use as it is, or to extend.
    """
    from nlpseq.dataset.encode_cache import cached_dataset

    corpus = open_sources(sources)
    threads = threads or click.get_current_context().params.get("threads")
    with EncodingProgress(corpus) as bar:
        return cached_dataset(corpus, config, vocab=vocab, start=start, threads=threads, progress=bar.report)


def encode_for(sources: tuple[str, ...], config: TextConfig, vocab: Vocab) -> TokenDataset:
    """Encode a text without splits, with the vocabulary of a model."""
    from nlpseq.dataset.token_dataset import TokenDataset

    if folder := dataset_folder(sources):
        return TokenDataset.open(folder)
    data = encode_as(sources, replace(config, valid_share=0.0, test_share=0.0), vocab)
    say_formats(data)
    for notice in data.meta["notices"]:
        say_notice(notice)
    return data


@contextmanager
def offer_encoding(model: Path, encoding: str) -> Iterator[None]:
    """Name the encoding of the text of a model in errors about the encoding of another text."""
    try:
        yield
    except DataError as error:
        if encoding == TextConfig().encoding or "--encoding" not in str(error):
            raise
        raise DataError(f"{error} The text of {model} was in {encoding}.") from error


def say_formats(data: TokenDataset) -> None:
    """Say which files were read as JSON or tables, and the column of the text."""
    for description, file in data.meta.get("read", {}).get("formats", {}).items():
        say(f"{file}: read as {description}")


def say_contents(data: TokenDataset, subsample: float = 0.0, step: str = "training") -> None:
    """Describe an encoded corpus, with warnings about the text.

    subsample: setting of the step that reads the corpus next.
    """
    from nlpseq.dataset.diagnostics import diagnose
    from nlpseq.dataset.report import report_corpus

    say_formats(data)
    for title, text in report_corpus(data).rows():
        say(f"{title}: {text}")
    say(f"encoded corpus: {data.path}", level=1)
    for notice in [*data.meta["notices"], *diagnose(data, subsample, step)]:
        say_notice(notice)


def warn_if_unfinished(path: Path, meta: Mapping[str, Any]) -> None:
    """Warn of a checkpoint, and name the command that continues its run."""
    if meta.get("complete") is not False:
        return
    from nlpseq.storage.artifact import CHECKPOINT
    from nlpseq.training.checkpoint import check_unfinished, require_checkpoint

    try:
        command = check_unfinished(path, dict(meta))
        require_checkpoint(path.resolve().parent if path.resolve().name == CHECKPOINT else path)
    except (ArtifactError, ConfigError) as error:  # of another version, or a copy
        say_warning(str(error))
    else:
        line = f"nlpseq {command} {shell_path(path)} --resume"
        say_warning(f"{path}: is the checkpoint of an unfinished run. Continue it with {line}")


def load_model(path: Path, threads: int | None = None, device: str = "cpu") -> LanguageModel:
    """Load a language model onto its device, and set the number of threads."""
    from nlpseq.lm.device import open_device
    from nlpseq.lm.language_model import LanguageModel

    if not path.exists():
        raise DataError(f"{path}: does not exist. Name the folder of a language model.")
    lm = LanguageModel.load(path)
    warn_if_unfinished(path, lm.meta)
    lm.model.to(open_device(replace(lm.config, threads=threads, device=device)))
    return lm


def open_vectors(
    model: Path, source_format: Any = None, *, verify: bool, no_oov: bool = False, **loading: Any
) -> Vectors:
    """Load the vectors of a model or file, with warnings; loading: see loading_options."""
    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(model, source_format, **loading, verify=verify or None)
    if no_oov:
        vectors = vectors.without_subwords()
    warn_if_unfinished(model, vectors.meta)
    for notice in vectors.meta.get("notices", []):
        say_warning(notice if str(model) in notice else f"{model}: {notice}")
    return vectors


def load_vectors(
    model: Path,
    *,
    lenient: bool,
    load_top: int | None,
    verify: bool,
    no_oov: bool,
    is_searched: bool = True,
    **options: Any,
) -> Vectors:
    """Load vectors and postprocess them; options: see vector_options. is_searched: through all words."""
    from nlpseq.vectors.postprocess import postprocess

    vectors = open_vectors(model, lenient=lenient, load_top=load_top, verify=verify, no_oov=no_oov)
    if is_searched and vectors.is_slow_to_search:
        say(
            f"{model}: a search through all {len(vectors):,} words computes their vectors first, which can "
            "take minutes. To save them, convert the model to a .w2v folder once"
        )
    return postprocess(vectors, **options)


def text_lines(stream: IO[bytes]) -> Iterator[list[str]]:
    """Yield the lines of a text in UTF-8 without empty lines, as many at once as have come."""
    rest, is_start = b"", True
    while data := stream.read1(READ_BYTES):  # type: ignore[attr-defined]
        data = (rest + data).removeprefix(b"\xef\xbb\xbf") if is_start else rest + data
        *lines, rest = re.split(rb"\r\n|\r|\n", data)
        is_start = False
        yield [line.decode("utf-8", "surrogateescape") for line in lines if line]
    yield [rest.decode("utf-8", "surrogateescape")] if rest else []


def without_blanks(vectors: Vectors, lines: Iterable[str]) -> list[str]:
    """Return lines without white space around, but words of white space as they are.

    An empty line can only be an argument, and stays.
    """
    words = [(line, line if vectors.vocab.find(line) is not None else line.strip()) for line in lines]
    return [word for line, word in words if word or not line]


def read_words(vectors: Vectors, file: Path) -> list[str]:
    """Read a file of words, one per line; raise DataError if the file cannot be read."""
    try:
        with file.open("rb") as stream:
            return without_blanks(vectors, [word for lines in text_lines(stream) for word in lines])
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}. Name a text with one word per line.") from error
