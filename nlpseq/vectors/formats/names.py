"""Names and file endings of the vector formats.

    word2vec          .vec  text under a line `V D`; also fastText's .vec
    glove             .txt  text without a header line
    word2vec-binary   .bin  a line `V D`, then words and float32
    npy               .npy  an array; words and counts are in NAME.vocab.tsv
    projector         .tsv  numbers for the TensorBoard projector; words are in NAME.metadata.tsv
    parquet           .parquet  columns word, count and vector
    fasttext          .bin  a model of fastText, with n-grams; written if named; .ftz is read
    nlpseq            .w2v  the folder written by Vectors.save
    static            .static   a folder for model2vec and sentence-transformers, written only
    spacy             .spacy    a folder for spaCy, written only

A final .gz asks for gzip. Files compressed by gzip, bzip2, xz or zstd and zip and tar archives can be read.
This module imports the standard library alone, because `--help` lists the formats.
"""

from pathlib import Path
from typing import Literal

from nlpseq.errors import ConfigError

__all__ = ["ENDINGS", "FOLDERS", "TITLES", "BadTokens", "Format", "files_of", "format_of", "is_gzipped"]

Format = Literal[
    "word2vec",
    "glove",
    "word2vec-binary",
    "npy",
    "projector",
    "parquet",
    "fasttext",
    "nlpseq",
    "static",
    "spacy",
]
BadTokens = Literal["error", "skip", "escape"]

TITLES: dict[Format, str] = {
    "word2vec": "word2vec text",
    "glove": "GloVe text",
    "word2vec-binary": "word2vec binary",
    "npy": ".npy with vocab.tsv",
    "projector": "projector TSV",
    "parquet": "Parquet",
    "fasttext": "a fastText model",
    "nlpseq": "a folder of nlpseq",
    "static": "a folder for model2vec and sentence-transformers",
    "spacy": "a folder for spaCy",
}
FOLDERS: tuple[Format, ...] = ("nlpseq", "static", "spacy")
ENDINGS: dict[str, Format] = {
    ".vec": "word2vec",
    ".txt": "glove",
    ".bin": "word2vec-binary",
    ".npy": "npy",
    ".tsv": "projector",
    ".parquet": "parquet",
    ".w2v": "nlpseq",
    ".static": "static",
    ".spacy": "spacy",
}
_GZIP = ".gz"
_READ_ONLY = (".bz2", ".xz", ".zst")  # endings of files never written
_WORDS_ENDING: dict[Format, str] = {"npy": ".vocab.tsv", "projector": ".metadata.tsv"}


def format_of(file: Path, format: Format | None = None) -> Format:
    """Return the given format, else the one of the file ending; raises ConfigError if unknown."""
    if format:
        if format not in TITLES:
            raise ConfigError(f"format: {format!r} is unknown. Choose one of {', '.join(TITLES)}.")
        return format
    ending = Path(_split_compression(file)[0]).suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            f"{file}: the name has no ending of a format. End it in {', '.join(ENDINGS)}, "
            f"optionally followed by {_GZIP}, or give --format."
        )
    return ENDINGS[ending]


def is_gzipped(file: Path) -> bool:
    """Tell whether a file to write is to be gzipped; raises ConfigError for other compressions."""
    ending = _split_compression(file)[1].lower()
    if ending in _READ_ONLY:
        raise ConfigError(
            f"{file}: {ending} files can be read, but not written. Leave out {ending}, or use {_GZIP}."
        )
    return ending == _GZIP


def files_of(file: Path, format: Format) -> tuple[Path, ...]:
    """Return the files of stored vectors: the words file, if any, then `file`."""
    if format not in _WORDS_ENDING:
        return (file,)
    name, compression = _split_compression(file)
    stem = Path(name).stem if Path(name).suffix.lower() in ENDINGS else name
    return file.with_name(stem + _WORDS_ENDING[format] + compression), file


def _split_compression(file: Path) -> tuple[str, str]:
    """Split a name such as a.vec.gz into a.vec and .gz."""
    ending = file.suffix if file.suffix.lower() in (_GZIP, *_READ_ONLY) else ""
    return file.name.removesuffix(ending), ending
