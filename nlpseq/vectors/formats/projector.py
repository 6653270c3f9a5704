"""Read and write vectors for the TensorBoard projector: numbers in NAME.tsv, words in NAME.metadata.tsv.

The numbers have no headings. The metadata have headings for the digests of writer.py; metadata of other tools
have a single column, in which the projector takes every line as a word.
"""

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.names import TITLES, files_of
from nlpseq.vectors.formats.reader import Source, Window, open_source, path_exists
from nlpseq.vectors.formats.row_buffer import RowBuffer, VectorFile, decode_words, without_counts
from nlpseq.vectors.formats.text import NUMBERS_ONLY, is_number, number_line, read_lines
from nlpseq.vectors.formats.writer import VectorRows, check_pair, digest_headings, encode_word, split_digests

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
    matrix_VD = rows.matrix()
    words = _words_beside(source, matrix_VD)
    return VectorFile(without_counts(words), matrix_VD, TITLES["projector"], notices)


def _words_beside(source: Source, matrix_VD: npt.NDArray[np.float32]) -> list[str]:
    beside = files_of(source.file, "projector")[0]
    if not path_exists(beside):
        raise ArtifactError(
            f"{source.file}: holds numbers alone, and {beside.name} with their words is missing. "
            "Rename the words file so, or convert the model again."
        )
    with open_source(beside) as metadata:
        content, headings = split_digests(metadata.stream.read())
    if b"\t" in content:
        raise ArtifactError(f"{beside}: has several columns. Keep the words alone, without a heading.")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    lines = lines[1:] if headings else lines
    if len(lines) != len(matrix_VD):
        raise metadata.corrupt(f"has {len(lines)} words, but {source.file.name} has {len(matrix_VD)} vectors")
    words = [decode_words(line.removesuffix(b"\r")) for line in lines]
    check_pair((source.file, beside), headings, words, matrix_VD)
    return words


def write_projector(rows: VectorRows, metadata: BinaryIO, tensors: BinaryIO) -> None:
    """Write the numbers, and a word a line under the digests of both."""
    digests = digest_headings(rows.words, (block_BD for _, block_BD in rows.blocks()))
    metadata.write(b"word" + digests + b"\n")
    for words, block_BD in rows.blocks():
        metadata.write(b"".join(encode_word(word) + b"\n" for word in words))
        tensors.write(b"".join(number_line(row_D, "\t") for row_D in block_BD))
