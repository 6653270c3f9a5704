"""Formats of two files, an array and its words: .npy with .vocab.tsv, .tsv with .metadata.tsv.

Both files get their names one after the other, so a kill between the two renames leaves files of different
exports. Therefore the first line of the words file ends in two more headings, `array=<sha256 of the numbers>`
and `words=<sha256 of the words>`; readers compare both.

Other tools accept these headings: pandas reads two empty columns, the Embedding Projector takes a first line
with tabs as headings and skips missing values. Older versions of nlpseq refuse such a words file. Files
without digests, of older versions or other tools, are still read.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import count_text
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.names import Format, files_of
from nlpseq.vectors.formats.reader import Source, open_source, path_exists
from nlpseq.vectors.formats.rows import UNKNOWN_COUNT, WORD_ENCODING

__all__ = ["digest_headings", "read_words_beside", "words_alone"]

_DIGESTS = re.compile(rb"(?<=\S)\tarray=[0-9a-f]{64}\twords=[0-9a-f]{64}(?=\r?\n)")


def digest_headings(words: Sequence[str], blocks: Iterable[npt.NDArray[np.float32]]) -> bytes:
    """Return the column headings that identify these words and vectors."""
    digest = sha256()
    for block_BD in blocks:
        digest.update(np.ascontiguousarray(block_BD, "<f4").data)
    word_digest = Vocab(words, np.zeros(len(words), np.int64)).digest
    return f"\tarray={digest.hexdigest()}\twords={word_digest}".encode()


def read_words_beside(
    source: Source,
    format: Format,
    matrix_VD: npt.NDArray[np.float32],
    parse: Callable[[bytes, bool, Path], Vocab],
    num_words: int | None,
) -> tuple[Vocab, list[str]]:
    """Read the words file of an array, and notices; raise ArtifactError unless the two belong together.

    matrix_VD: the first vectors. parse: called with the content without digests, whether it had digests, and
    the path. num_words: vectors of the file, None if it was not read to its end.
    """
    beside = files_of(source.file, format)[0]
    if not path_exists(beside):
        raise ArtifactError(
            f"{source.name}: holds numbers alone, and {beside.name} with their words is missing. "
            "Copy both files, rename the words file so, or convert the model again."
        )
    with open_source(beside) as stored:
        content = stored.stream.read()
        found = _DIGESTS.search(content, 0, content.find(b"\n") + 1)
        if found:
            content = content[: found.start()] + content[found.end() :]
        vocab = parse(content, found is not None, beside)
    if found and not _belong(found[0], vocab, matrix_VD, is_whole=num_words == len(matrix_VD)):
        raise ArtifactError(
            f"{source.name} and {beside}: do not belong together, because their digests differ. "
            "Convert the model again, or copy both files again."
        )
    if len(vocab) < len(matrix_VD) or num_words not in (None, len(vocab)):
        raise stored.corrupt(
            f"has {count_text(len(vocab), 'word')}, but {source.file.name} has "
            f"{num_words or len(matrix_VD):,} vectors"
        )
    unchecked = f"{beside.name} has no digest, so the order of the words could not be checked"
    first = Vocab(vocab.words[: len(matrix_VD)], vocab.counts[: len(matrix_VD)])
    return first, [] if found else [unchecked]


def _belong(headings: bytes, vocab: Vocab, matrix_VD: npt.NDArray[np.float32], *, is_whole: bool) -> bool:
    """Compare the digests; of an array read in part, the digest of the words alone."""
    expected = digest_headings(vocab.words, [matrix_VD])
    if is_whole:
        return headings == expected
    return headings.rpartition(b"\t")[2] == expected.rpartition(b"\t")[2]


def words_alone(content: bytes, has_heading: bool, file: Path) -> Vocab:
    """Read a word a line, without counts; raises ArtifactError if there are several columns."""
    if b"\t" in content:
        raise ArtifactError(f"{file}: has several columns. Keep the words alone, without a heading.")
    content = (
        content.removesuffix(b"\n") if has_heading else content.removesuffix(b"\n").removeprefix(BOM_UTF8)
    )
    lines = content.split(b"\n") if content else []
    words = [line.removesuffix(b"\r").decode(*WORD_ENCODING) for line in lines[has_heading:]]
    return Vocab(words, np.full(len(words), UNKNOWN_COUNT))
