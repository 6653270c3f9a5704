"""nlpseq convert: convert vectors between nlpseq and the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from nlpseq.core.resources import count_text
from nlpseq.vectors.formats.names import FOLDERS, TITLES, BadTokens, format_of

from ._app import Command
from ._inputs import open_vectors, read_words
from ._options import force_option, integer, loading_options, model_argument
from ._output import print_path, say, say_warning

__all__ = ["convert"]

_NAMES = list(TITLES)
_FILE = click.Path(path_type=Path)


@click.command(
    cls=Command,
    examples=[
        "nlpseq convert corpus.w2v corpus.vec",
        "nlpseq convert corpus.w2v corpus.bin.gz",
        "nlpseq convert corpus.w2v model.bin --format fasttext",
        "nlpseq convert corpus.vec corpus.npy",
        "nlpseq convert corpus.npy corpus.tsv --bad-tokens skip",
        "nlpseq convert corpus.w2v small.w2v --keep-top 1000 --pca 50 --dtype int8",
    ],
)
@model_argument
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(_NAMES), help="format of OUT [default: by the ending of OUT]")
@click.option(
    "--from",
    "source_format",
    type=click.Choice([name for name in _NAMES if name not in FOLDERS]),
    help="format of MODEL [default: by its content]",
)
@click.option(
    "--bad-tokens",
    type=click.Choice(get_args(BadTokens)),
    default="error",
    help="treatment of words that are empty or contain a separator of the format: stop with an error, skip "
    "the word, or escape every word as in vocab.tsv (a space as \\u0020)",
)
@click.option(
    "--words",
    type=_FILE,
    metavar="FILE",
    help="keep the words of a file, one a line, alone; with n-grams also unseen words",
)
@click.option("--drop", type=_FILE, metavar="FILE", help="leave out the words of a file, one a line")
@click.option("--keep-top", type=integer(1), metavar="N", help="keep the first N words left")
@click.option("--pca", type=integer(1), metavar="D", help="keep the D principal components")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "int8"]),
    help="type of the numbers of a .w2v folder; int8 has a scale for each word [default: as in MODEL]",
)
@loading_options
@force_option
def convert(
    model: Path,
    out: Path,
    format: Any,
    source_format: Any,
    bad_tokens: Any,
    words: Path | None,
    drop: Path | None,
    keep_top: int | None,
    pca: int | None,
    dtype: Any,
    force: bool,
    **loading: Any,
) -> None:
    """Write the vectors of MODEL to OUT, for another tool.

    The ending of OUT chooses the format:

    \b
    .vec      word2vec text, also fastText's .vec                (word2vec)
    .txt      GloVe text, without a line of sizes                (glove)
    .bin      word2vec binary                                    (word2vec-binary)
    .bin      a fastText model, with --format fasttext           (fasttext)
    .npy      an array; words and counts in NAME.vocab.tsv       (npy)
    .tsv      TensorBoard projector; words in NAME.metadata.tsv  (projector)
    .parquet  columns word, count, vector; needs [data]          (parquet)
    .w2v      a folder of nlpseq                                 (nlpseq)
    .static   a folder for model2vec, sentence-transformers      (static)
    .spacy    a folder for spaCy; needs spaCy                    (spacy)

    Add .gz to compress a file. MODEL can have any of these formats, recognized by its content. The numbers
    stay the same to the bit, without --pca and --dtype, and in a fastText model to the precision of float32.
    Of a fastText model, .bin or quantized .ftz, the vectors are read, with its n-grams if it has any. All
    rows of n-grams are kept, unless --no-oov leaves them out. The options that make vectors smaller work in
    the order --words, --drop, --keep-top, --pca, --dtype. The paths of the written files go to stdout.
    """  # noqa: D301  # because click reads the backspace
    from nlpseq.storage.locks import path_lock
    from nlpseq.training.checkpoint import lock_output
    from nlpseq.vectors.folder import has_last_weights
    from nlpseq.vectors.formats.registry import check_output
    from nlpseq.vectors.shrink import check_dtype, shrink

    is_folder = (format or format_of(out)) in FOLDERS
    with lock_output(out, force=force) if is_folder else path_lock(out):
        chosen = check_output(out, format, force=force)
        check_dtype(dtype, chosen)
        vectors = open_vectors(model, source_format, **loading)
        kept = None if words is None else read_words(vectors, words)
        dropped = [] if drop is None else read_words(vectors, drop)
        smaller = shrink(vectors, words=kept, drop=dropped, keep_top=keep_top, pca=pca, dtype=dtype)
        written = smaller.write(out, format, bad_tokens, force=force)
    new = [] if smaller is vectors else list(smaller.meta["notices"])
    if smaller.subwords is not None and chosen not in ("nlpseq", "fasttext"):
        has_letters = smaller.subwords.ngrams.units == "jamo"
        new.append(
            f"n-grams left out, because {TITLES[chosen]} has no place for them. Write a .w2v folder"
            f"{'' if has_letters else ', or use --format fasttext,'} to keep them"
        )
    if chosen == "nlpseq" and has_last_weights(model) and smaller.last is None:
        new.append(
            "the last weights of the continued training are left out, so the next one goes on with the means"
        )
    for notice in [*new, *written.notices]:
        say_warning(notice)
    say(f"{count_text(written.num_words, 'word')} x {smaller.matrix.shape[1]:,}: {TITLES[chosen]}")
    for file in written.files:
        print_path(file)
