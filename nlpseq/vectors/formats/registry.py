"""Read and write vector files in the formats of other tools.

names.py lists the formats; text.py, binary.py and npy.py read and write them. The sizes
in a header are compared with the size of the file before anything is allocated.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.vectors.formats import binary, npy, parquet, text
from nlpseq.vectors.formats.names import FOLDERS, BadTokens, Format, files_of, format_of, is_gzipped
from nlpseq.vectors.formats.reader import (
    DEFAULT_SIZES,
    ReadSizes,
    Source,
    open_source,
    parse_sizes,
    path_exists,
)
from nlpseq.vectors.formats.rows import VectorFile, VectorRows, quote_first, select_writable
from nlpseq.vectors.formats.spacy import write_spacy
from nlpseq.vectors.formats.static import word_tokenizer, write_static
from nlpseq.vectors.formats.writer import atomic_files, check_files

__all__ = [
    "FILE_FORMATS", "Written", "check_output", "is_vector_file", "read_vectors", "sniff_format",
    "write_vectors",
]  # fmt: skip

EXPORT = "export"  # kind of a folder for another tool
_MORE_LINES = 8  # read to tell text from binary, besides the first two
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")

# (reader, writer); a writer takes the rows and a stream for each file
_FORMATS: dict[Format, tuple[Callable[[Source], VectorFile], Callable[..., None]]] = {
    "word2vec": (text.read_word2vec, text.write_word2vec),
    "glove": (text.read_glove, text.write_glove),
    "word2vec-binary": (binary.read_binary, binary.write_binary),
    "npy": (npy.read_npy, npy.write_npy),
    "projector": (text.read_projector, text.write_projector),
    "parquet": (parquet.read_parquet, parquet.write_parquet),
}
FILE_FORMATS = tuple(_FORMATS)


class Written(NamedTuple):
    """The files that were written, the named one first."""

    files: tuple[Path, ...]
    num_words: int
    notices: list[str]  # about words that the format could not hold


def read_vectors(file: Path, format: Format | None = None, sizes: ReadSizes = DEFAULT_SIZES) -> VectorFile:
    """Read words and vectors; the format is recognized by the content unless given.

    Of repeated words the first is kept. Compressed files (.gz, .bz2, .xz, .zst) are recognized by their
    content. Raises DataError if the file cannot be read, ConfigError for an unknown format, and ArtifactError
    with the line or byte if the file is corrupt or in another format. A header that declares an impossible
    size never causes an allocation.
    """
    format = format_of(file, format) if format else sniff_format(file)
    if format not in _FORMATS:
        raise ConfigError(f"format: {format!r} is a folder, and {file} is not. Leave the format out.")
    read, _ = _FORMATS[format]
    with open_source(file, sizes) as source:
        return _drop_repeats(read(source))


def sniff_format(file: Path) -> Format:
    """Recognize the format by the first lines; raises ArtifactError if they fit none."""
    with open_source(file) as source:
        first = source.read_line()
        if first.startswith(npy.MAGIC):
            return "npy"
        if first.startswith(parquet.MAGIC):
            return "parquet"
        if b"\r" in first.rstrip(b"\r\n"):
            raise ArtifactError(
                f"{file}: ends lines with carriage returns alone. Convert it: tr '\\r' '\\n' < OLD > NEW."
            )
        if text.count_numbers(first, text.NUMBERS_ONLY):
            return "projector"
        if (sizes := parse_sizes(first)) is not None:
            second = source.read_line()
            numbers = second.rstrip().rsplit(b" ", max(1, sizes[1]))[1:]
            is_row = numbers and all(map(text.is_number, numbers))
            if second and not (is_row and _continues_as_text(source, len(numbers))):
                return "word2vec-binary"
            return "glove" if len(numbers) == 1 < sizes[1] else "word2vec"  # "12 5": a word and a number
        if text.count_numbers(first, text.WORD_FIRST):
            if all(field.isdigit() for field in (first + source.read_line()).split()):
                raise ArtifactError(f"{file}: holds whole numbers alone, not words. Name a file of vectors.")
            return "glove"
    raise ArtifactError(
        f"{file}: line 1 is neither `words dimensions` nor a word and numbers. "
        "Name a file of word2vec (text or binary), GloVe, .npy or projector TSV, or the folder of a model."
    )


def is_vector_file(file: Path) -> bool:
    """Tell vectors from other files by the rules of the loader.

    A first line with a single number, such as `Chapter 1`, is evidence of vectors only if the next lines
    have a single number too, or if the words file of the format exists.
    """
    try:
        format = sniff_format(file)
    except (ArtifactError, DataError):
        return False
    words_file, *array = files_of(file, format)
    if array:
        return path_exists(words_file)
    if format == "parquet":
        return parquet.has_vectors(file)
    if format != "glove":
        return True
    with open_source(file) as source:
        dim = text.count_numbers(source.read_line(), text.WORD_FIRST)
        more = [source.read_line() for _ in range(_MORE_LINES)]
    return dim > 1 or (dim == 1 and _have_numbers(more, 1))


def _continues_as_text(source: Source, dim: int) -> bool:
    """Tell whether the next lines have `dim` numbers, or hold nothing but text.

    The bytes of a float32 may by chance be digits and a newline, but hardly in every row.
    """
    lines = [source.read_line() for _ in range(_MORE_LINES)]
    if _have_numbers(lines, dim):
        return True
    try:
        return not _CONTROL.search(b"".join(lines).decode())
    except UnicodeDecodeError:
        return False


def _have_numbers(lines: list[bytes], dim: int) -> bool:
    """Tell whether each line that is not blank ends with `dim` numbers."""
    fields = [line.rstrip().rsplit(b" ", dim)[1:] for line in lines if line.strip()]
    return all(len(numbers) == dim and all(map(text.is_number, numbers)) for numbers in fields)


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
    return VectorFile(vocab, found.matrix_VD[rows], found.format, [*found.notices, notice])


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
    force: bool = False,
) -> Written:
    """Write vectors so that they read back bit for bit, in the same order.

    format: by default the one that the file name asks for. bad_tokens: how to treat words that the format
    cannot hold (see rows.py). config: settings of the training text, for a tokenizer. force: overwrite
    existing files, which stay until the new ones are complete. Only .npy and Parquet keep counts.
    """
    format = check_output(file, format, force=force)
    assert format != "nlpseq", "Vectors.save writes it"
    words, rows, notices = select_writable(vocab.words, format, bad_tokens)
    if not words:
        raise DataError(f"{file}: was not written, because no word is left for it. Choose other vectors.")
    if not is_gzipped(file):  # every format takes at least four bytes for a number
        artifact.check_free_disk(file, len(words) * matrix_VD.shape[1] * 4)
    selected = VectorRows(words, vocab.counts, rows, matrix_VD)
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
