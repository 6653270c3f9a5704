"""Files of vectors in the formats of other tools, read and written.

naming.py lists the formats; each has its reader and its writer in one file: _text.py, _binary.py, _npy.py and
_projector.py. Sizes that a file promises are held against those it has before anything is allocated.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.storage import artifact
from nlpseq.vectors.formats.binary import read_binary, write_binary
from nlpseq.vectors.formats.names import BadTokens, Format, checked_format, files_of, format_of, is_gzipped
from nlpseq.vectors.formats.npy import MAGIC, read_npy, write_npy
from nlpseq.vectors.formats.projector import read_projector, tensor_dim, write_projector
from nlpseq.vectors.formats.reader import Source, opened, sizes_in
from nlpseq.vectors.formats.row_buffer import VectorFile, some
from nlpseq.vectors.formats.text import (
    glove_dim,
    is_number,
    read_glove,
    read_word2vec,
    write_glove,
    write_word2vec,
)
from nlpseq.vectors.formats.words import select_writable
from nlpseq.vectors.formats.writer import VectorRows, atomic_files, check_files

_MORE_LINES = 8  # looked at to tell text from binary, besides the first two
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")

_READERS: dict[Format, Callable[[Source], VectorFile]] = {
    "word2vec": read_word2vec,
    "glove": read_glove,
    "word2vec-binary": read_binary,
    "npy": read_npy,
    "projector": read_projector,
}
_WRITERS: dict[Format, Callable[..., None]] = {  # called with a table and a stream for each file
    "word2vec": write_word2vec,
    "glove": write_glove,
    "word2vec-binary": write_binary,
    "npy": write_npy,
    "projector": write_projector,
}


class Written(NamedTuple):
    """What was written: the file that was named comes first."""

    files: tuple[Path, ...]
    num_words: int
    notices: list[str]  # what became of words that the format could not hold


def read_vectors(file: Path, format: Format | None = None) -> VectorFile:
    """Words and vectors of a file, its format told by its content where none is named.

    Of repeated words the first is kept. Raises DataError where the file cannot be read, and ArtifactError,
    naming the line or the byte, where it is damaged or of another format. A header that promises more than
    the file can hold allocates nothing.
    """
    reader = _READERS.get(checked_format(format) if format else sniff_format(file))
    if reader is None:
        raise ConfigError(
            f"format is {format!r}, which is no file, as {file} would be. Leave the format out."
        )
    with opened(file) as source:
        return _without_repeats(reader(source))


def sniff_format(file: Path) -> Format:
    """What the first lines say; `words dimensions` counts as such only where so many numbers follow."""
    with opened(file) as source:
        first = source.first_line()
        if first.startswith(MAGIC):
            return "npy"
        if tensor_dim(first):
            return "projector"
        if (sizes := sizes_in(first)) is not None:
            second = source.first_line()
            numbers = second.rstrip().rsplit(b" ", max(1, sizes[1]))[1:]
            is_text = numbers and all(map(is_number, numbers)) and _goes_on_as_text(source, len(numbers))
            if second and not is_text:
                return "word2vec-binary"
            return "glove" if len(numbers) == 1 < sizes[1] else "word2vec"
    if glove_dim(first):
        return "glove"
    raise ArtifactError(
        f"{file}, line 1, is neither `words dimensions` nor a word and its numbers. "
        "Name a file of word2vec (text or binary), GloVe, .npy or projector TSV, or the folder of a model."
    )


def _goes_on_as_text(source: Source, dim: int) -> bool:
    """False where the next lines hold other things than so many numbers, and bytes that no text has.

    The bytes of a float32 may be digits by chance, and end with a newline; those of the next rows are not.
    """
    lines = [source.first_line() for _ in range(_MORE_LINES)]
    fields = [line.rstrip().rsplit(b" ", dim)[1:] for line in lines if line.strip()]
    if all(len(numbers) == dim and all(map(is_number, numbers)) for numbers in fields):
        return True
    try:
        return not _CONTROL.search(b"".join(lines).decode())
    except UnicodeDecodeError:
        return False


def _without_repeats(found: VectorFile) -> VectorFile:
    words = found.vocab.words
    hashes = np.sort(np.fromiter(map(hash, words), np.int64, len(words)))  # which equal words have in common
    if (hashes[1:] != hashes[:-1]).all():
        return found
    first = found.vocab.ids
    if len(first) == len(words):
        return found
    repeats = [word for row, word in enumerate(words) if first[word] != row]
    notice = f"{len(repeats)} rows repeat an earlier word and were left out: {some(repeats)}"
    rows = np.sort(np.fromiter(first.values(), np.intp))
    vocab = Vocab([words[row] for row in rows], found.vocab.counts[rows])
    return VectorFile(vocab, found.matrix_VD[rows], found.format, [*found.notices, notice])


def check_output(file: Path, format: Format | None = None, *, force: bool = False) -> Format:
    """Say before long work that its vectors could not be written here; the format they would have."""
    format = checked_format(format) if format else format_of(file)
    if format != "nlpseq":
        check_files(files_of(file, format), force=force)
    elif is_gzipped(file):
        raise ConfigError(f"{file} would be a folder, which cannot be gzipped. Leave out the .gz.")
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
    force: bool = False,
) -> Written:
    """Write a file that reads back to the bit, rows in their order, of the format its name asks for.

    What was there needs force=True and stays until the new file is whole. bad_tokens: what is done with words
    that the format cannot hold (see _words.py). Counts are kept by .npy alone.
    """
    format = check_output(file, format, force=force)
    assert format != "nlpseq", "Vectors.save writes folders"
    words, rows, notices = select_writable(vocab.words, format, bad_tokens)
    if not words:
        raise DataError(f"{file} was not written, as no word is left for it. Choose other vectors.")
    if not is_gzipped(file):  # every format takes four bytes for a number, or more
        artifact.check_free_disk(file, len(words) * matrix_VD.shape[1] * 4)
    files = files_of(file, format)
    with atomic_files(files, force=force) as streams:
        _WRITERS[format](VectorRows(words, vocab.counts, rows, matrix_VD), *streams)
    return Written(files[::-1], len(words), notices)
