"""Read and write vectors as text: word2vec's, GloVe's, and the tensors of the TensorBoard projector.

    word2vec text     a line `V D`, then V lines `word number ... number`; also fastText's .vec
    GloVe text        the same lines without the first; a few words of published files contain spaces
    tensors           lines `number<TAB>...<TAB>number`; the words are in NAME.metadata.tsv

Without a line `V D`, D is the fewest numbers that any line ends in. The first lines give a value, and reading
starts again if a later line ends in fewer. A line far from the usual number is corrupt or of another file.

The metadata have headings for the digests of pairs.py; metadata of other tools have a single column, in which
the projector takes every line as a word.
Numbers are written with the fewest digits that read back bit for bit.
Letters: V words, D dimensions, B rows of a block.
"""

from codecs import BOM_UTF8
from collections import Counter
from typing import BinaryIO, NamedTuple

from nlpseq.core.resources import count_text
from nlpseq.errors import ArtifactError
from nlpseq.vectors.formats.fields import BLANK, Ending, count_numbers, parse_sizes, split_ending
from nlpseq.vectors.formats.pairs import digest_headings, read_words_beside, words_alone
from nlpseq.vectors.formats.reader import LOAD_ALL, MAX_LINE_BYTES, Source
from nlpseq.vectors.formats.rows import WORD_ENCODING, VectorFile, VectorRows
from nlpseq.vectors.formats.text_rows import MAX_EXTRA, RowReader, TextLayout

__all__ = [
    "Sample", "read_glove", "read_projector", "read_word2vec", "sample_lines", "write_glove",
    "write_projector", "write_word2vec",
]  # fmt: skip

_MAX_SAMPLED = 8  # lines
_TAKE_ROWS = (
    "Copy the file again, take D from the rows with --lenient, or, if line 1 is a row, convert the file with "
    "--from glove"
)


class Sample(NamedTuple):
    """The first lines that are not blank, each with its number and the offset of its end."""

    lines: list[bytes]
    numbers: list[int]
    ends: list[int]
    start: int  # bytes of a byte order mark

    @property
    def first(self) -> bytes:
        """The first line, empty in an empty file."""
        return self.lines[0] if self.lines else b""


def sample_lines(source: Source) -> Sample:
    """Return the first whole lines; a last line without its end counts only if it is the only row."""
    sample = source.sample
    has_mark = sample.startswith(BOM_UTF8) and sample[3:4] not in (b" ", b"\t")  # else the mark is the word
    start = end = len(BOM_UTF8) if has_mark else 0
    found = Sample([], [], [], start)
    for number, line in enumerate(sample[start:].split(b"\n"), 1):
        end += len(line) + 1
        is_open = end > len(sample)
        has_rows = len(found.lines) > (parse_sizes(found.first) is not None)
        if len(found.lines) == _MAX_SAMPLED or (is_open and has_rows):
            break
        if line.strip(BLANK):
            found.lines.append(line)
            found.numbers.append(number)
            found.ends.append(min(end, len(sample)))
    if found.lines and len(found.lines[-1]) >= MAX_LINE_BYTES:
        raise source.too_long(found.numbers[-1])
    return found


def read_word2vec(source: Source) -> VectorFile:
    """Read the rows after a line `V D`.

    Raises ArtifactError if there are fewer or more than V, or if D does not fit the rows; options.lenient
    reads the rows there are, with notices.
    """
    sample = sample_lines(source)
    sizes = parse_sizes(sample.first)
    if sizes is None:
        raise ArtifactError(
            f"{source.name}: line 1 is not `words dimensions`, with which this format begins. "
            "Name the right format with --from, or none."
        )
    num_words, dim = sizes
    if dim == 0:
        raise source.corrupt("line 1 declares vectors of 0 numbers")
    endings = list(map(split_ending, sample.lines[1:]))
    layout = TextLayout(dim, dim, True, num_words, sample.ends[0], sample.numbers[0] + 1)
    notices = list[str]()
    if problem := _misfit(dim, endings, sample):
        if not source.options.lenient:
            raise source.corrupt(problem, _TAKE_ROWS)
        notices.append(problem)
        layout = _without_declared(layout, endings, source)
    source.check_room(num_words, layout.dim, 2 * layout.dim)
    if not source.options.lenient:
        num_rows = min(num_words, source.options.load_top or num_words)
        source.check_room(num_rows, dim, num_rows * (2 * dim + 1), LOAD_ALL)
    reader = RowReader(source, layout)
    reader.read()
    return reader.finish("word2vec", notices)


def _misfit(dim: int, endings: list[Ending], sample: Sample) -> str | None:
    """Return how the D of line 1 differs from the numbers of all sampled rows, None if it may fit."""
    counts = [ending.num_numbers for ending in endings if not ending.foreign]
    is_open = len(endings) == 1 and sample.ends[0] + len(sample.lines[1]) >= sample.ends[1]
    if not any(counts) or is_open or not (max(counts) < dim or (min(counts) > dim and len(counts) > 1)):
        return None
    rows = zip(sample.numbers[1:], endings, strict=True)
    line, count = next((line, ending.num_numbers) for line, ending in rows if ending.num_numbers)
    declared = f"line {sample.numbers[0]} declares vectors of {count_text(dim, 'number')}"
    return f"{declared}, but line {line} ends in {count:,}"


def read_glove(source: Source) -> VectorFile:
    """Read lines without a line of sizes before them; raises FewerNumbers to be read again."""
    sample = sample_lines(source)
    layout = TextLayout(0, 0, False, None, sample.start, 1)
    layout = _without_declared(layout, list(map(split_ending, sample.lines)), source)
    reader = RowReader(source, layout)
    reader.read()
    return reader.finish("glove")


def _without_declared(layout: TextLayout, endings: list[Ending], source: Source) -> TextLayout:
    """Take D from the numbers at the ends of lines."""
    counts = [ending.num_numbers for ending in endings if not ending.foreign]
    ranked = sorted(Counter(counts).items(), key=lambda item: (-item[1], item[0]))
    usual = ranked[0][0] if ranked else 0
    dim = source.max_dim or min((n for n in counts if n >= max(1, usual - MAX_EXTRA)), default=1)
    return layout._replace(dim=dim, usual=usual, is_declared=False)


def read_projector(source: Source) -> VectorFile:
    """Read lines of as many numbers as the first, and the words beside them."""
    sample = sample_lines(source)
    dim = count_numbers(sample.first) or 1  # 1, so that the first line is refused
    reader = RowReader(source, TextLayout(dim, dim, True, None, sample.start, 1), has_word=False)
    reader.read()
    found = reader.finish("projector")
    num_words = None if len(found.matrix_VD) == source.options.load_top else len(found.matrix_VD)
    vocab, notices = read_words_beside(source, "projector", found.matrix_VD, words_alone, num_words)
    return found._replace(vocab=vocab, notices=[*found.notices, *notices])


def write_word2vec(rows: VectorRows, stream: BinaryIO) -> None:
    """Write the header and the rows."""
    stream.write(b"%d %d\n" % (len(rows.words), rows.matrix_VD.shape[1]))
    write_glove(rows, stream)


def write_glove(rows: VectorRows, stream: BinaryIO) -> None:
    """Write a line `word number ... number` for each row."""
    for words, block_BD in rows.blocks():
        pairs = zip(words, block_BD, strict=True)
        lines = (f"{word} {' '.join(map(str, row_D))}\n" for word, row_D in pairs)
        stream.write("".join(lines).encode(*WORD_ENCODING))


def write_projector(rows: VectorRows, metadata: BinaryIO, tensors: BinaryIO) -> None:
    """Write the numbers, and a word a line under the digests of both."""
    digests = digest_headings(rows.words, (block_BD for _, block_BD in rows.blocks()))
    metadata.write(b"word" + digests + b"\n")
    for words, block_BD in rows.blocks():
        metadata.write("".join(f"{word}\n" for word in words).encode(*WORD_ENCODING))
        tensors.write("".join("\t".join(map(str, row_D)) + "\n" for row_D in block_BD).encode())
