"""Vectors for the TensorBoard projector: NAME.tsv has the numbers, NAME.metadata.tsv a word for each line.

The numbers have no headings. The metadata have headings since writer.py stores digests there; metadata of
other tools have a single column, in which the projector takes every line as a word.
"""

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.names import TITLES, files_of
from nlpseq.vectors.formats.reader import Source, Window, is_there, opened
from nlpseq.vectors.formats.row_buffer import RowBuffer, VectorFile, decoded, without_counts
from nlpseq.vectors.formats.text import TENSORS, fill, is_number, number_line
from nlpseq.vectors.formats.writer import VectorRows, check_pair, digest_headings, encode_word, split_digests


def tensor_dim(line: bytes) -> int:
    """How many numbers with tabs between them a line consists of, 0 if of anything else."""
    fields = line.rstrip().split(b"\t")
    return len(fields) if all(map(is_number, fields)) else 0


def read_projector(source: Source) -> VectorFile:
    first = source.first_line()
    rows = RowBuffer(tensor_dim(first) or 1)  # what is no line of numbers has not one number either
    notices = fill(rows, source, Window(source.stream, first), 1, TENSORS)
    matrix_VD = rows.matrix()
    words = _words_beside(source, matrix_VD)
    return VectorFile(without_counts(words), matrix_VD, TITLES["projector"], notices)


def _words_beside(source: Source, matrix_VD: npt.NDArray[np.float32]) -> list[str]:
    beside = files_of(source.file, "projector")[0]
    if not is_there(beside):
        raise ArtifactError(
            f"{source.file} holds numbers alone, and there is no {beside.name} with their words beside it. "
            "Give the file of the words that name, or convert the model again."
        )
    with opened(beside) as metadata:
        content, headings = split_digests(metadata.stream.read())
    if b"\t" in content:
        raise ArtifactError(f"{beside} has several columns. Keep the one of the words, without its heading.")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    lines = lines[1:] if headings else lines
    if len(lines) != len(matrix_VD):
        raise metadata.damage(f" has {len(lines)} words, {source.file.name} has {len(matrix_VD)} vectors")
    words = [decoded(line.removesuffix(b"\r")) for line in lines]
    check_pair((source.file, beside), headings, words, matrix_VD)
    return words


def write_projector(table: VectorRows, metadata: BinaryIO, tensors: BinaryIO) -> None:
    headings = digest_headings(table.words, (block_BD for _, block_BD in table.blocks()))
    metadata.write(b"word" + headings + b"\n")
    for words, block_BD in table.blocks():
        metadata.write(b"".join(encode_word(word) + b"\n" for word in words))
        tensors.write(b"".join(number_line(row_D, "\t") for row_D in block_BD))
