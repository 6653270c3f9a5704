"""The formats of vector files: what they are called, and which one the name of a file asks for.

    word2vec          .vec  text under a line `V D`; what fastText calls .vec, too
    glove             .txt  text without such a line
    word2vec-binary   .bin  a line `V D`, then words and float32
    npy               .npy  an array, and its words with their counts in NAME.vocab.tsv
    projector         .tsv  numbers for the TensorBoard projector, and their words in NAME.metadata.tsv
    nlpseq            .w2v  the folder that Vectors.save writes

All files may be gzipped, which a last .gz asks for. Only the standard library is needed here, so that the
command line can name the formats without loading anything.
"""

from pathlib import Path
from typing import Literal

from nlpseq.errors import ConfigError

Format = Literal["word2vec", "glove", "word2vec-binary", "npy", "projector", "nlpseq"]
BadTokens = Literal["error", "skip", "escape"]

TITLES: dict[Format, str] = {
    "word2vec": "word2vec text",
    "glove": "GloVe text",
    "word2vec-binary": "word2vec binary",
    "npy": ".npy with vocab.tsv",
    "projector": "projector TSV",
    "nlpseq": "a folder of nlpseq",
}
ENDINGS: dict[str, Format] = {
    ".vec": "word2vec",
    ".txt": "glove",
    ".bin": "word2vec-binary",
    ".npy": "npy",
    ".tsv": "projector",
    ".w2v": "nlpseq",
}
_PACKED = ".gz"
_WORDS_ENDING: dict[Format, str] = {"npy": ".vocab.tsv", "projector": ".metadata.tsv"}


def format_of(file: Path) -> Format:
    """The format that a name asks for; ConfigError where it asks for none."""
    ending = Path(_unpacked_name(file)).suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            f"{file} has no ending that names a format. End it in {', '.join(ENDINGS)}, "
            f"with {_PACKED} behind it or not, or give --format (in Python format=)."
        )
    return ENDINGS[ending]


def checked_format(format: Format) -> Format:
    """The format itself; ConfigError where there is none of this name."""
    if format not in TITLES:
        raise ConfigError(f"format is {format!r}. It must be one of {', '.join(TITLES)}.")
    return format


def is_gzipped(file: Path) -> bool:
    """Whether a name asks for gzip."""
    return file.name.lower().endswith(_PACKED)


def files_of(file: Path, format: Format) -> tuple[Path, ...]:
    """What is written under a name: the file of the words, where they have one, and the file itself."""
    if format not in _WORDS_ENDING:
        return (file,)
    name = _unpacked_name(file)
    stem = Path(name).stem if Path(name).suffix.lower() in ENDINGS else name
    return file.with_name(stem + _WORDS_ENDING[format] + (_PACKED if is_gzipped(file) else "")), file


def _unpacked_name(file: Path) -> str:
    return file.name[: -len(_PACKED)] if is_gzipped(file) else file.name
