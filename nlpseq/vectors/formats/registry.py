"""Read and write vector files in the formats of other tools.

names.py lists the formats; recognize.py tells them apart; text.py, binary.py and others read and write them.
The sizes in a header are compared with the size of the file before anything is allocated.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.vectors.compact_matrix import CompactMatrix
from nlpseq.vectors.formats import binary, fasttext, npy, parquet, text
from nlpseq.vectors.formats.archive import SeveralFiles, open_vectors
from nlpseq.vectors.formats.names import FOLDERS, BadTokens, Format, files_of, format_of, is_gzipped
from nlpseq.vectors.formats.reader import (
    DEFAULT_OPTIONS,
    DEFAULT_SIZES,
    ReadOptions,
    ReadSizes,
    Source,
    path_exists,
)
from nlpseq.vectors.formats.recognize import recognize
from nlpseq.vectors.formats.rows import VectorFile, VectorRows, WholeModel, quote_first, select_writable
from nlpseq.vectors.formats.spacy import write_spacy
from nlpseq.vectors.formats.static import word_tokenizer, write_static
from nlpseq.vectors.formats.text_rows import FewerNumbers
from nlpseq.vectors.formats.writer import atomic_files, check_files
from nlpseq.vectors.lazy_rows import row_blocks

__all__ = [
    "FILE_FORMATS", "Written", "check_output", "is_vector_file", "read_vectors", "sniff_format",
    "write_vectors",
]  # fmt: skip

EXPORT = "export"  # kind of a folder for another tool
_MAX_NAMED = 5  # rows in a notice
_WORDS_ALONE = WholeModel()

# (reader, writer); a writer takes the rows and a stream for each file
_FORMATS: dict[Format, tuple[Callable[[Source], VectorFile], Callable[..., None]]] = {
    "word2vec": (text.read_word2vec, text.write_word2vec),
    "glove": (text.read_glove, text.write_glove),
    "word2vec-binary": (binary.read_binary, binary.write_binary),
    "npy": (npy.read_npy, npy.write_npy),
    "projector": (text.read_projector, text.write_projector),
    "parquet": (parquet.read_parquet, parquet.write_parquet),
    "fasttext": (fasttext.read_fasttext, fasttext.write_fasttext),
}
FILE_FORMATS = tuple(_FORMATS)


class Written(NamedTuple):
    """The files that were written, the named one first."""

    files: tuple[Path, ...]
    num_words: int
    notices: list[str]  # about words that the format could not hold


def read_vectors(
    file: Path,
    format: Format | None = None,
    sizes: ReadSizes = DEFAULT_SIZES,
    options: ReadOptions = DEFAULT_OPTIONS,
) -> VectorFile:
    """Read words and vectors; the format is recognized by the content unless given.

    The first of repeated words is kept, and a row with nan or inf becomes zero; a notice tells of both.
    Compressed files (.gz, .bz2, .xz, .zst) are recognized by the content, and a zip or tar archive may hold a
    single file of vectors among others. Raises DataError if the file cannot be read or is something else,
    ConfigError for an unknown format, and ArtifactError with the line or byte if the file is corrupt or in
    another format. Memory is allocated only for sizes that the file can hold.
    """
    format = format_of(file, format) if format else None
    if format is not None and format not in _FORMATS:
        raise ConfigError(f"format: {format!r} is a folder, and {file} is not. Leave the format out.")
    if options.load_top is not None and options.load_top < 1:
        raise ConfigError(f"load_top: {options.load_top} is too small. Choose 1 or more.")
    max_dim: int | None = None
    while True:
        with open_vectors(file, sizes, options) as (source, notices):
            read, _ = _FORMATS[format or recognize(source)]
            try:
                found = read(source._replace(max_dim=max_dim))
            except FewerNumbers as fewer:
                max_dim = fewer.dim
            else:
                if isinstance(found.matrix_VD, CompactMatrix):  # checked when its rows are taken
                    return found._replace(notices=[*notices, *found.notices])
                found = _zero_unusable_rows(found)
                return _drop_repeats(found._replace(notices=[*notices, *found.notices]))


def sniff_format(file: Path) -> Format:
    """Recognize the format of a file as read_vectors does, and raise its errors."""
    with open_vectors(file) as (source, _):
        return recognize(source)


def is_vector_file(file: Path) -> bool:
    """Tell vectors, even corrupt ones, from other files by the rules of the loader.

    Numbers without words are vectors if the words file of the format exists.
    """
    try:
        format = sniff_format(file)
    except SeveralFiles:
        return True
    except (ArtifactError, DataError):
        return False
    words_file, *array = files_of(file, format)
    if array:
        return path_exists(words_file)
    return format != "parquet" or parquet.has_vectors(file)


def _zero_unusable_rows(found: VectorFile) -> VectorFile:
    """Set rows that are not finite to zero, and note these rows and the other rows of zeros."""
    not_finite, zero = list[int](), list[int]()
    for block in row_blocks(len(found.matrix_VD)):
        block_BD = found.matrix_VD[block]
        with np.errstate(over="ignore", invalid="ignore"):
            sums_B = np.einsum("bd->b", block_BD)  # faster than sum
        rows = np.flatnonzero(~np.isfinite(sums_B) | (sums_B == 0)) + block.start  # the only ones to look at
        not_finite += rows[~np.isfinite(found.matrix_VD[rows]).all(axis=1)].tolist()
        zero += rows[~found.matrix_VD[rows].any(axis=1)].tolist()
    found.matrix_VD[not_finite] = 0
    kinds = {"not finite, read as zeros": not_finite, "of zeros": zero}
    notices = [
        f"{count_text(len(rows), 'row')} {kind}: {_places(found, rows)}"
        for kind, rows in kinds.items()
        if rows
    ]
    words = [found.vocab.words[row] for row in not_finite]
    return found._replace(notices=[*found.notices, *notices], not_finite=words)


def _places(found: VectorFile, rows: list[int]) -> str:
    """Return the lines and words of the first rows."""
    places = list[str]()
    for row in islice(rows, _MAX_NAMED):
        line = next((line + row - first for first, line in reversed(found.first_lines) if first <= row), None)
        place = f"row {row + 1:,}" if line is None else f"line {line:,}"
        places.append(f"{place} ({found.vocab.words[row]!r})")
    return ", ".join(places) + (", ..." if len(rows) > _MAX_NAMED else "")


def _drop_repeats(found: VectorFile) -> VectorFile:
    """Keep the first of repeated words."""
    words = found.vocab.words
    hashes = np.sort(np.fromiter(map(hash, words), np.int64, len(words)))  # equal words have equal hashes
    if (hashes[1:] != hashes[:-1]).all():
        return found
    first = found.vocab.ids
    if len(first) == len(words):
        return found
    repeats = [word for row, word in enumerate(words) if first[word] != row]
    notice = f"{count_text(len(repeats), 'row')} left out, repeating a word: {quote_first(repeats)}"
    rows = np.sort(np.fromiter(first.values(), np.intp))
    vocab = Vocab([words[row] for row in rows], found.vocab.counts[rows])
    return found._replace(
        vocab=vocab, matrix_VD=found.matrix_VD[rows], notices=[*found.notices, notice], first_lines=()
    )


def check_output(file: Path, format: Format | None = None, *, force: bool = False) -> Format:
    """Check before long work that vectors can be written to this path, and return their format."""
    format = format_of(file, format)
    gzipped = is_gzipped(file)
    if format not in FOLDERS:
        check_files(files_of(file, format), force=force)
    elif gzipped:
        raise ConfigError(f"{file}: would be a folder, which cannot be gzipped. Leave out the .gz.")
    else:
        artifact.check_writable(file, force=force)
    return format


def write_vectors(
    file: Path,
    vocab: Vocab,
    matrix_VD: npt.NDArray[np.float32],
    format: Format | None = None,
    bad_tokens: BadTokens = "error",
    *,
    config: TextConfig | None = None,
    model: WholeModel = _WORDS_ALONE,
    force: bool = False,
) -> Written:
    """Write vectors so that they read back bit for bit, in the same order.

    format: by default the one that the file name asks for. bad_tokens: how to treat words that the format
    cannot hold (see rows.py). config: settings of the training text, for a tokenizer. model: parts
    that a fastText model holds too. force: overwrite existing files, which stay until the new ones are
    complete. Only .npy, Parquet and fastText models keep counts.
    """
    format = check_output(file, format, force=force)
    assert format != "nlpseq", "Vectors.save writes it"
    words, rows, notices = select_writable(vocab.words, format, bad_tokens)
    if not words:
        raise DataError(f"{file}: was not written, because no word is left for it. Choose other vectors.")
    if not is_gzipped(file):  # every format takes at least four bytes for a number
        num_rows = len(words)
        if format == "fasttext":
            num_rows = 2 * len(words) + (len(model.subwords.rows_BD) if model.subwords else 0)
        artifact.check_free_disk(file, num_rows * matrix_VD.shape[1] * 4)
    selected = VectorRows(words, vocab.counts, rows, matrix_VD, model)
    if format in FOLDERS:
        with artifact.create(file, EXPORT, 1, force=force) as folder:
            _fill_export(folder, format, selected, vocab, config)
        return Written((file,), len(words), notices)
    files, (_, write) = files_of(file, format), _FORMATS[format]
    with atomic_files(files, force=force) as streams:
        write(selected, *streams)
    return Written(files[::-1], len(words), notices)


def _fill_export(
    folder: artifact.Folder, format: Format, rows: VectorRows, vocab: Vocab, config: TextConfig | None
) -> None:
    """Write a folder that other tools open; meta.json and the manifest make it a result of nlpseq."""
    if format == "spacy":
        write_spacy(rows, folder)
    elif vocab.bpe and list(rows.words) == vocab.bpe.tokens:
        write_static(rows, folder, vocab.bpe.content)
    else:
        write_static(rows, folder, word_tokenizer(rows.words, config))
    sizes = {"num_words": len(rows.words), "dim": rows.matrix_VD.shape[1]}
    folder.write_meta({"export": format, **sizes})
