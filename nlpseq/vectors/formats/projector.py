"""Vectors for the TensorBoard projector: NAME.tsv has the numbers, NAME.metadata.tsv a word for each line.

Neither has a line of headings: where metadata has one column, the projector takes every line for a word.
"""

from typing import BinaryIO

from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.names import TITLES, files_of
from nlpseq.vectors.formats.reader import Source, Window, is_there, opened
from nlpseq.vectors.formats.row_buffer import RowBuffer, VectorFile, decoded, without_counts
from nlpseq.vectors.formats.text import TENSORS, fill, is_number, number_line
from nlpseq.vectors.formats.writer import VectorRows, encode_word


def tensor_dim(line: bytes) -> int:
    """How many numbers with tabs between them a line consists of, 0 if of anything else."""
    fields = line.rstrip().split(b"\t")
    return len(fields) if all(map(is_number, fields)) else 0


def read_projector(source: Source) -> VectorFile:
    first = source.first_line()
    rows = RowBuffer(tensor_dim(first) or 1)  # what is no line of numbers has not one number either
    notices = fill(rows, source, Window(source.stream, first), 1, TENSORS)
    words = _words_beside(source, rows.filled)
    return VectorFile(without_counts(words), rows.matrix(), TITLES["projector"], notices)


def _words_beside(source: Source, num_words: int) -> list[str]:
    beside = files_of(source.file, "projector")[0]
    if not is_there(beside):
        raise ArtifactError(
            f"{source.file} holds numbers alone, and there is no {beside.name} with their words beside it. "
            "Give the file of the words that name, or convert the model again."
        )
    with opened(beside) as metadata:
        content = metadata.stream.read()
    if b"\t" in content:
        raise ArtifactError(f"{beside} has several columns. Keep the one of the words, without its heading.")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if len(lines) != num_words:
        raise metadata.damage(f" has {len(lines)} words, {source.file.name} has {num_words} vectors")
    return [decoded(line.removesuffix(b"\r")) for line in lines]


def write_projector(table: VectorRows, metadata: BinaryIO, tensors: BinaryIO) -> None:
    for words, block_BD in table.blocks():
        metadata.write(b"".join(encode_word(word) + b"\n" for word in words))
        tensors.write(b"".join(number_line(row_D, "\t") for row_D in block_BD))
