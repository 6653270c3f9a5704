"""From CORPUS... on the command line to encoded text."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlpseq.config import TextConfig
from nlpseq.errors import ConfigError
from nlpseq.settings import to_dict

from ._console import say, say_detail, say_warning, size_text
from ._options import given
from ._progress import Progress

if TYPE_CHECKING:
    from nlpseq.compiling import Kernel
    from nlpseq.text.corpus import Corpus
    from nlpseq.text.dataset import TokenDataset
    from nlpseq.text.encode import EncodeProgress

corpus_argument = click.argument("sources", metavar="CORPUS...", nargs=-1, required=True)

_SAID = "nlpseq.said"  # key of click.Context.meta: corpora of which it was said that they take time

COMPILING = "compiling kernels (once for these settings)"


def dataset_folder(sources: Sequence[str]) -> Path | None:
    """The folder of an encoded corpus, if that is what was named; even of a damaged one."""
    encoded = [Path(source) for source in sources if _is_encoded(Path(source))]
    if encoded and len(sources) > 1:
        raise ConfigError(
            f"{encoded[0]} is an encoded corpus, which can only be used alone. Name it alone, or texts."
        )
    return encoded[0] if encoded else None


def _is_encoded(path: Path) -> bool:
    return any((path / file).exists() for file in ("MANIFEST.json", "tokens.npy"))


def corpus_name(sources: tuple[str, ...]) -> str:
    """What results of a corpus are named after."""
    folder = dataset_folder(sources)
    return folder.resolve().name.partition(".")[0] if folder else open_sources(sources).name


def output_path(name: str, suffix: str, output: Path | None, *, force: bool) -> Path:
    """Where the result goes; it is checked now that it can."""
    from nlpseq import artifact

    path = output or Path(name + suffix)
    artifact.check_writable(path, force=force)
    return path


def claim(path: Path) -> None:
    """Have a place to write for this command alone, until it ends."""
    from nlpseq.claim import claimed

    click.get_current_context().with_resource(claimed(path))


def open_sources(sources: tuple[str, ...]) -> Corpus:
    """The corpus that was named; building one takes seconds, so that is said before it is asked for."""
    from nlpseq.text.corpus import open_corpus

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
    from nlpseq.text.dataset import TokenDataset

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
    from nlpseq.text.encode import cached_dataset

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
            from nlpseq.text.encode import to_compile

            _compile([*to_compile(text), *kernels])
        data = encode(corpus, text, threads)
    say_contents(data)
    return path, data


def _compile(kernels: Sequence[Kernel]) -> None:
    """Have kernels compiled that are not in the cache yet."""
    from nlpseq.compiling import compile_apart, to_compile_apart

    if new := to_compile_apart(kernels):
        say(COMPILING)
        compile_apart(new)


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
