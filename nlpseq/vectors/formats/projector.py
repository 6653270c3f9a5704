"""Read and write vectors for the TensorBoard projector: numbers in NAME.tsv, words in NAME.metadata.tsv.

Neither file has a heading: the projector takes every line of metadata with one column as a word.
"""

from typing import BinaryIO

from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.names import TITLES, files_of
from nlpseq.vectors.formats.reader import Source, Window, open_source, path_exists
from nlpseq.vectors.formats.row_buffer import RowBuffer, VectorFile, decode_words, without_counts
from nlpseq.vectors.formats.text import NUMBERS_ONLY, is_number, number_line, read_lines
from nlpseq.vectors.formats.writer import VectorRows, encode_word

__all__ = ["read_projector", "tensor_dim", "write_projector"]


def tensor_dim(line: bytes) -> int:
    """Count the tab-separated numbers of a line; 0 if it holds anything else."""
    fields = line.rstrip().split(b"\t")
    return len(fields) if all(map(is_number, fields)) else 0


def read_projector(source: Source) -> VectorFile:
    """Read lines of numbers and the words beside them."""
    first = source.read_line()
    rows = RowBuffer(tensor_dim(first) or 1)  # 1, so that the parser refuses the line
    notices = read_lines(rows, source, Window(source, first), 1, NUMBERS_ONLY)
    words = _words_beside(source, rows.filled)
    return VectorFile(without_counts(words), rows.matrix(), TITLES["projector"], notices)


def _words_beside(source: Source, num_words: int) -> list[str]:
    beside = files_of(source.file, "projector")[0]
    if not path_exists(beside):
        raise ArtifactError(
            f"{source.file}: holds numbers alone, and {beside.name} with their words is missing. "
            "Rename the words file so, or convert the model again."
        )
    with open_source(beside) as metadata:
        content = metadata.stream.read()
    if b"\t" in content:
        raise ArtifactError(f"{beside}: has several columns. Keep the words alone, without a heading.")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if len(lines) != num_words:
        raise metadata.corrupt(f"has {len(lines)} words, but {source.file.name} has {num_words} vectors")
    return [decode_words(line.removesuffix(b"\r")) for line in lines]


def write_projector(rows: VectorRows, metadata: BinaryIO, tensors: BinaryIO) -> None:
    """Write the numbers, and a word a line."""
    for words, block_BD in rows.blocks():
        metadata.write(b"".join(encode_word(word) + b"\n" for word in words))
        tensors.write(b"".join(number_line(row_D, "\t") for row_D in block_BD))
