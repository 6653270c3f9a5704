"""Readers for fuzz.py with options, a words file, a compression or a second reading.

An input begins with bytes of choice: of the format, of the options, of the file ending or of the compression.
A target writes the rest of the input to a file, reads the file, and asserts properties of every content.
Letters: V words, D dimensions.
"""

import io
import math
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from intact_files import PACKERS, TEXT

from nlpseq.config import FORMATS, TextConfig
from nlpseq.dataset.vocab import Vocab, escape, unescape
from nlpseq.errors import ArtifactError, NlpseqError
from nlpseq.evaluation.analogies import read_analogies
from nlpseq.evaluation.word_pairs import read_pairs
from nlpseq.reading.blocks import BlockLimits
from nlpseq.reading.corpus import ReadReport, open_corpus
from nlpseq.tokenizers.bpe import BPE, train_bpe
from nlpseq.vectors.expressions import parse_expression
from nlpseq.vectors.formats import binary, npy, parquet, text
from nlpseq.vectors.formats.names import files_of
from nlpseq.vectors.formats.reader import ReadOptions, ReadSizes
from nlpseq.vectors.formats.registry import FILE_FORMATS, read_vectors, write_vectors
from nlpseq.vectors.formats.rows import VectorFile, VectorRows, select_writable
from nlpseq.vectors.mapped_vocab import MappedVocab, index_words
from nlpseq.vectors.vectors import Vectors

WORDS_MARK = b"\n<words>\n"  # in an input, between the vectors and the file of their words
ENDINGS = ("txt", "jsonl", "csv", "tsv", "json", "parquet", "html", "ko.txt")
ENCODINGS = ("utf-8", "cp949", "utf-16", "latin-1")
SIZES = (ReadSizes(), ReadSizes(block_bytes=16, compile_after=0))
TOPS = (None, 1, 2, 1000)
WRITERS = {
    "word2vec": text.write_word2vec,
    "glove": text.write_glove,
    "word2vec-binary": binary.write_binary,
    "npy": npy.write_npy,
    "projector": text.write_projector,
    "parquet": parquet.write_parquet,
}


def pack_zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.md", "Nothing to read here.\n")
        archive.writestr("a/inner", content)
    return packed.getvalue()


def pack_tar(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a/inner-ü")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


PACKS: tuple[Callable[[bytes], bytes], ...] = (bytes, *PACKERS.values(), pack_zip, pack_tar)


class Target(NamedTuple):
    """A reader of inputs, inputs to begin with, and tokens to insert."""

    read: Callable[[bytes, Path], object]
    seeds: Callable[[Path], list[bytes]]
    tokens: tuple[str, ...] = ()


def read_vector_file(data: bytes, folder: Path) -> None:
    """Read vectors in any format, write the vectors, and read the written file."""
    choice, pack, options, content = data[:1], data[1:2], data[2:3], data[3:]
    format = (None, *FILE_FORMATS)[(choice or b"\0")[0] % (len(FILE_FORMATS) + 1)]
    flags = (options or b"\0")[0]
    content, _, words = content.partition(WORDS_MARK)
    file = folder / "given.vectors"
    file.write_bytes(PACKS[(pack or b"\0")[0] % len(PACKS)](content))
    for each in ("npy", "projector"):
        files_of(file, each)[0].write_bytes(words)
    lenient, top = bool(flags & 1), TOPS[flags >> 1 & 3]
    found = read_vectors(file, format, SIZES[flags >> 3 & 1], ReadOptions(lenient, top))
    matrix_VD = found.matrix_VD
    assert matrix_VD.dtype == np.float32 and matrix_VD.ndim == 2
    assert len(found.vocab) == len(found.vocab.words) == len(found.vocab.counts) == len(matrix_VD)
    assert len(set(found.vocab.words)) == len(matrix_VD), "a word repeats"
    assert np.isfinite(matrix_VD).all(), "a number is not finite"
    assert top is None or len(matrix_VD) <= top, "more rows than were asked for"
    other = read_vectors(file, format, SIZES[~flags >> 3 & 1], ReadOptions(lenient, top))
    assert other.vocab.words == found.vocab.words, "words depend on the sizes of reading"
    assert other.matrix_VD.tobytes() == matrix_VD.tobytes(), "numbers depend on the sizes of reading"
    if matrix_VD.size and crc32(data) % 4 == 0:
        check_written_again(found, folder / "again.vectors", sum(data))


def check_written_again(found: VectorFile, file: Path, choice: int) -> None:
    """Assert equal words and numbers after writing and reading."""
    format = FILE_FORMATS[choice % len(FILE_FORMATS)]
    is_escaped = choice // len(FILE_FORMATS) % 2 == 1
    words, rows, _ = select_writable(found.vocab.words, format, "escape" if is_escaped else "skip")
    if not words:
        return
    with ExitStack() as opened:  # without locks, because locks take most of the time
        streams = [opened.enter_context(each.open("wb")) for each in files_of(file, format)]
        WRITERS[format](VectorRows(words, found.vocab.counts, rows, found.matrix_VD), *streams)
    again = read_vectors(file, format)
    words = again.vocab.words
    if is_escaped and format != "npy":
        words = [unescape(word) for word in words]
        assert words == found.vocab.words, "escaped words were read as others"
    assert len(words) == len(rows), "words are missing"
    assert words == [found.vocab.words[row] for row in rows.tolist()], "other words were read"
    assert again.matrix_VD.tobytes() == found.matrix_VD[rows].tobytes(), "numbers changed"
    if format in ("npy", "parquet"):
        assert (again.vocab.counts == found.vocab.counts[rows]).all(), "counts changed"


def vector_seeds(whole: Path) -> list[bytes]:
    """Return files of all formats, recognized and named, packed and plain."""
    seeds = list[bytes]()
    names = {"word2vec": "vec", "glove": "txt", "word2vec-binary": "bin", "npy": "npy", "projector": "tsv"}
    for number, format in enumerate(FILE_FORMATS, 1):
        file = whole / f"a.{names.get(format, format)}"
        if not file.exists():
            vectors = Vectors.load(whole / "a.w2v")
            write_vectors(file, vectors.vocab, np.asarray(vectors.matrix), format)
        words, *array = files_of(file, format)
        content = WORDS_MARK.join(each.read_bytes() for each in (*array, words))
        for choice in (0, number):
            packs = range(len(PACKS)) if choice == 0 else (0,)
            seeds += [bytes([choice, pack, flags]) + content for pack in packs for flags in (0, 9, 11)]
    odd = b"the 1.5 -2e-3 .5\nnew york 1 nan inf\n\nthe 1 2 3\n7 8 9 10\r\ncaf\xe9 1 2\n"
    fortran = io.BytesIO()
    np.save(fortran, np.asfortranarray(np.array([[0.5, -1], [2, 3], [1, 0.25]], ">f8")))
    return [
        *seeds,
        *(bytes([choice, 0, flags]) + odd for choice in (0, 2) for flags in (0, 1, 8)),
        b"\0\0\x01" + b"6 3\n" + odd,
        b"\0\0\0" + fortran.getvalue() + WORDS_MARK + b"the\ncat\nmat\n",
        b"\0\0\0" + b"1,5 2,5\n" + odd,
    ]


def read_raw_vectors(data: bytes, folder: Path) -> None:
    """Read an input as a compressed file or an archive, perhaps corrupt."""
    read_vector_file(b"\0\0" + data, folder)


def raw_seeds(whole: Path) -> list[bytes]:
    """Return compressed files and archives."""
    plain = (whole / "a.vec").read_bytes()
    return [b"\0" + pack(plain) for pack in PACKS] + [b"\1" + zip_by(method)(plain) for method in (12, 14)]


def zip_by(method: int) -> Callable[[bytes], bytes]:
    """Return a function that makes a zip file with another method of compression."""

    def pack(content: bytes) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            archive.writestr("inner", content)
        return packed.getvalue()

    return pack


def read_evaluation(data: bytes, folder: Path) -> None:
    """Read word pairs or analogies."""
    file = folder / "questions.txt"
    file.write_bytes(data[1:])
    if data[:1] < b"\x80":
        found = read_pairs(file)
        assert found.pairs and all(math.isfinite(pair.score) for pair in found.pairs), "a score is not finite"
        assert all(pair.a and pair.b for pair in found.pairs), "a word is empty"
    else:
        sections = read_analogies(file)
        assert sections, "nothing was read"


def evaluation_seeds(whole: Path) -> list[bytes]:
    pairs = [(whole / name).read_bytes() for name in ("pairs.tsv", "pairs.csv")]
    pairs += [b"# comment\n1. cat dog 7,5\n2. mat the 1e-3\n", b'"new york";"a;b";.5\r\n']
    analogies = [(whole / "analogies.txt").read_bytes(), b": a\n1\tking\tqueen\tman\twoman\n", b"a b c d\n"]
    return [b"\0" + each for each in pairs] + [b"\xff" + each for each in analogies]


def read_expression(data: bytes, folder: Path) -> None:
    """Parse an expression, and ask vectors for answers."""
    expression = data.decode("utf-8", "surrogateescape")
    terms = parse_expression(expression)
    assert terms and all(math.isfinite(term.weight) and term.text for term in terms)
    vocab = Vocab(["king", "man", "new york", "woman"], np.array([4, 3, 2, 1]))
    vectors = Vectors(vocab, np.array([[1, 2], [3, -1], [0, 1], [1, 1]], np.float32))
    answers = vectors.query(expression, top=2)
    assert all(math.isfinite(score) and -1.01 < score < 1.01 for _, score in answers), answers


def expression_seeds(whole: Path) -> list[bytes]:
    return [b"king - man + 2*woman", b'"new york" - king', b'-1e-3*man + .5*"new york"', b'"a ""b"" c" + x']


def read_tokenizer(data: bytes, folder: Path) -> None:
    """Read a tokenizer.json; encode and decode texts."""
    file = folder / "tokenizer.json"
    file.write_bytes(data)
    bpe = BPE.load(file)
    for content in (b"the cat's 12 h\xc3\xa9llo\n\xff  x", b"<|endoftext|>the", data[-200:]):
        ids = bpe.encode(content)
        assert all(0 <= token_id < len(bpe.tokens) for token_id in ids)
        assert bpe.added or bpe.decode(ids) == content, "another text was decoded"
    assert len(list(map(bpe.label, bpe.tokens))) == len(bpe.tokens)


def tokenizer_seeds(whole: Path) -> list[bytes]:
    lines = "\n".join([*TEXT.split(), " the", " cat", ""])
    content = train_bpe(lines.encode(), np.ones(lines.count("\n"), np.int64), 262).content
    added = '{"id": 262, "content": "<|endoftext|>", "single_word": false, "normalized": false}'
    extended = content.replace(b'"added_tokens": []', f'"added_tokens": [{added}]'.encode())
    assert extended != content
    return [content, extended]


def read_corpus(data: bytes, folder: Path) -> None:
    """Read a text in any format, by large and by small blocks."""
    ending, pack, form, rest = (*(data[n : n + 1] or b"\0" for n in range(3)), data[3:])
    for old in folder.glob("text.*"):
        old.unlink()
    file = folder / f"text.{ENDINGS[ending[0] % len(ENDINGS)]}"
    file.write_bytes(PACKS[pack[0] % len(PACKS)](rest))
    config = TextConfig(
        format=[*("auto",) * 9, *FORMATS][form[0] % 16],
        encoding=ENCODINGS[ending[0] >> 3 & 3],
        column=(None, None, "text", "a.b")[ending[0] >> 5 & 3],
        sentences=("lines", "documents", "punctuation", "lines")[pack[0] >> 3 & 3],
        tokenizer=("word", "char")[pack[0] >> 5 & 1],
        encoding_errors=("replace", "strict")[pack[0] >> 6 & 1],
        normalize="none",
    )
    texts = list[str]()
    for limits in (BlockLimits(), BlockLimits(block_bytes=64)):
        blocks = [*open_corpus(file).blocks(config, ReadReport(), limits)]
        texts.append("".join(block.text for block in blocks))
    assert texts[0] == texts[1], "the text depends on the size of blocks"
    texts[0].encode("utf-8")


def corpus_seeds(whole: Path) -> list[bytes]:
    """Return the same text in all formats, packings and encodings."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    lines = TEXT.splitlines()
    table = pa.table({"text": lines, "n": [1, 2, 3], "a": [{"b": line} for line in lines]})
    columns, stream, arrow = io.BytesIO(), io.BytesIO(), io.BytesIO()
    write_table(table, columns)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)
    contents = {
        0: TEXT.encode() + "한국어 문장. Ünï!\r\n\0\x1b".encode(),
        1: b"".join(b'{"text": "%b\\u00e9\\ud83d\\ude00", "a": {"b": "x"}}\n' % s.encode() for s in lines),
        2: b'id,text\n1,"the ""cat"", sat"\n2,on a mat\n',
        3: b"text\tn\nthe cat\t1\na mat\t2\n",
        4: b'[{"text": "the cat"}, {"text": "a mat", "x": [1, null]}, "string"]',
        5: columns.getvalue(),
        6: b"<html><body><p>the cat &amp; the dog</p></body></html>",
        7: "한국어 문장입니다. 그리고 또 하나의 문장이 있습니다.\n".encode("cp949"),
        32: stream.getvalue(),
        64: arrow.getvalue(),
        69: columns.getvalue(),
    }
    seeds = [bytes([ending, 0, 0]) + content for ending, content in contents.items()]
    seeds += [bytes([n, pack, 0]) + contents[n] for n in (0, 1) for pack in range(1, len(PACKS))]
    seeds += [bytes([8, 0, 0]) + contents[7], b"\0\0\0" + "the cat\n".encode("utf-16")]
    return seeds + [b"\0\0\0" + pack(contents[0]) for pack in PACKS]


def read_arrow(data: bytes, folder: Path) -> None:
    """Read a column of Parquet or Arrow."""
    read_corpus(b"\5\0\0" + data, folder)


def arrow_seeds(whole: Path) -> list[bytes]:
    return [
        seed[3:] for seed in corpus_seeds(whole) if seed[3:].startswith((b"PAR1", b"ARROW1", b"\xff\xff"))
    ]


def read_parquet_vectors(data: bytes, folder: Path) -> None:
    """Read vectors in Parquet."""
    read_vector_file(b"\0\0" + data, folder)


def parquet_seeds(whole: Path) -> list[bytes]:
    return [
        flags + seed[3:] for seed in vector_seeds(whole) for flags in (b"\0", b"\4") if seed[3:7] == b"PAR1"
    ]


def read_vocabulary(data: bytes, folder: Path) -> None:
    """Read vocab.tsv at once and mapped."""
    alone = folder / "vocabulary"  # without a tokenizer.json
    alone.mkdir(exist_ok=True)
    file = alone / "vocab.tsv"
    file.write_bytes(data)
    try:
        vocab = Vocab.load(file)
    except ArtifactError as error:
        assert str(file) in str(error), "the message does not name the file"
        vocab = None
    try:
        mapped = MappedVocab(file, index_words(file))
    except ArtifactError as error:
        assert str(file) in str(error), "the message does not name the file"
        return
    assert vocab is not None, "mapped, but refused at once"
    assert mapped.words == vocab.words, "other words are mapped"
    assert (mapped.counts == vocab.counts).all()
    assert Vocab.from_bytes(vocab.to_bytes(), file).words == vocab.words
    for row, word in enumerate(vocab.words):
        if mapped.words.stored(row) == escape(word).encode():
            assert mapped.ids[word] <= row


def vocabulary_seeds(whole: Path) -> list[bytes]:
    odd = "word\tcount\tspecials=0\n\\u0007\t5\n\\\\x\t3\n\\e\t-1\n한국\t0\n"
    return [(whole / name / "vocab.tsv").read_bytes() for name in ("a.w2v", "a.tokens")] + [odd.encode()]


JSON_TOKENS = ("NaN", "1e999", "\\ud800", "null", "true", "[[", "{}", '"":', "99999999999999999999")
NUMBER_TOKENS = ("nan", "inf", "-", "1e39", "1e-50", "1_0", "0x1p3", "1,5", "1#INF", " ", "\t", "\r\n", "\n")
TARGETS = {
    "vector-files": Target(read_vector_file, vector_seeds, NUMBER_TOKENS),
    "packed-vectors": Target(read_raw_vectors, raw_seeds),
    "parquet-vectors": Target(read_parquet_vectors, parquet_seeds),
    "evaluation": Target(read_evaluation, evaluation_seeds, (*NUMBER_TOKENS, '""', '"', ";", ",", ": ", "#")),
    "expressions": Target(
        read_expression, expression_seeds, ("king", "man", '"new york"', " - ", "*", "1e308")
    ),
    "tokenizers": Target(
        read_tokenizer, tokenizer_seeds, (*JSON_TOKENS, '"added_tokens"', '"content"', '"id"')
    ),
    "corpora": Target(read_corpus, corpus_seeds, (*JSON_TOKENS, '"text"', '""', "\r", "<p>", "&amp;")),
    "arrow": Target(read_arrow, arrow_seeds),
    "vocabularies": Target(read_vocabulary, vocabulary_seeds, ("\\u", "\\e", "\t", "specials=", "-1", "\n")),
}


def run_target(target: Target, data: bytes, folder: Path) -> None:
    """Read an input; assert that an error message names the file and a way out."""
    try:
        target.read(data, folder)
    except NlpseqError as error:
        message = str(error)
        is_of_a_query = target.read is read_expression
        assert is_of_a_query or str(folder) in message, f"no file is named: {message}"
        assert ". " in message, f"no way out: {message}"
