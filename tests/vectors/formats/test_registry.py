"""Vectors survive every format bit for bit or are refused; gensim and nlpseq read each other's files."""

import bz2
import gzip
import lzma
import os
import re
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.vocabularies import (
    FILE_NAMES,
    MATRIX,
    PLAIN_WORDS,
    WORDS,
    is_bad,
    random_vectors,
    same_bits,
    write,
)

from nlpseq.dataset.vocab import Vocab, unescape
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.reading.open import COMPRESSED_ENDINGS
from nlpseq.vectors.formats.names import ENDINGS, TITLES, Format, files_of, format_of
from nlpseq.vectors.formats.pairs import digest_headings
from nlpseq.vectors.formats.reader import ReadSizes
from nlpseq.vectors.formats.registry import is_vector_file, read_vectors, write_vectors
from nlpseq.vectors.formats.rows import VectorFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPILED = ReadSizes(compile_after=0)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}
SURROGATE = re.compile("[\ud800-\udfff]")  # not written by gensim


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def assert_reads_back(file: Path, words: list[str], matrix: npt.NDArray[np.float32]) -> None:
    for format in (None, format_of(file)):
        found = read_vectors(file, format, COMPILED)
        notices = [notice for notice in found.notices if "of zeros" not in notice]
        assert (found.vocab.words, found.format, notices) == (words, TITLES[format_of(file)], [])
        assert same_bits(np.asarray(found.matrix_VD), matrix)


@pytest.mark.parametrize("num_vocabularies", [60, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [*FILE_NAMES, "a.parquet"])
def test_any_vocabulary_reads_back_or_is_refused(
    tmp_path: Path, no_fsync: None, name: str, num_vocabularies: int
) -> None:
    if name == "a.parquet":
        pytest.importorskip("pyarrow")
    for number, (words, matrix) in enumerate(random_vectors(num_vocabularies)):
        file = tmp_path / (name + ".gz" * (number % 3 == 0))
        bad = [word for word in words if is_bad(word, name)]
        if not bad:
            write(file, words, matrix, force=True)
            assert_reads_back(file, words, matrix)
            continue
        with pytest.raises(DataError, match=f"cannot hold {len(bad)} of the words") as refused:
            write(file, words, matrix, force=True)
        assert ", ".join(map(repr, bad[:5])) in str(refused.value)
        kept = [row for row, word in enumerate(words) if word not in bad]
        if kept:
            write(file, words, matrix, bad_tokens="skip", force=True)
            assert_reads_back(file, [words[row] for row in kept], matrix[kept])
        else:
            with pytest.raises(DataError, match="no word is left"):
                write(file, words, matrix, bad_tokens="skip", force=True)


@pytest.mark.parametrize(
    "name",
    ["a.vec", "a.npy", *(pytest.param(each, marks=pytest.mark.slow) for each in ("a.txt", "a.bin", "a.tsv"))],
)
def test_escaped_words_stay_distinct_and_unescape(tmp_path: Path, no_fsync: None, name: str) -> None:
    for words, matrix in random_vectors():
        file = tmp_path / name
        write(file, words, matrix, bad_tokens="escape", force=True)
        found = read_vectors(file, format_of(file), COMPILED)
        assert len(set(found.vocab.words)) == len(words)
        assert same_bits(found.matrix_VD, matrix)
        restored = found.vocab.words if name == "a.npy" else list(map(unescape, found.vocab.words))
        assert restored == words


@pytest.mark.parametrize("ending", COMPRESSED_ENDINGS)
@pytest.mark.parametrize("name", FILE_NAMES)
def test_compressed_files_are_read(tmp_path: Path, name: str, ending: str) -> None:
    words = [word for word in PLAIN_WORDS if not is_bad(word, name)]
    matrix = np.arange(1, 2 * len(words) + 1, dtype=np.float32).reshape(-1, 2) / 3
    for plain in write(tmp_path / name, words, matrix).files:
        (tmp_path / (plain.name + ending)).write_bytes(COMPRESSORS[ending](plain.read_bytes()))
        plain.unlink()
    assert_reads_back(tmp_path / (name + ending), words, matrix)
    assert is_vector_file(tmp_path / (name + ending))


@pytest.mark.parametrize("ending", [".bz2", ".xz", ".zst"])
def test_only_gzip_compression_is_written(tmp_path: Path, ending: str) -> None:
    for name in ("a.vec", "a.w2v"):
        with pytest.raises(ConfigError, match=rf"\{ending} files can be read, but not written"):
            write(tmp_path / (name + ending), WORDS, MATRIX)
    assert list(tmp_path.iterdir()) == []


def gensim_class() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("gensim.models.keyedvectors").KeyedVectors


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.vec", "a.bin"])
def test_gensim_reads_any_vocabulary(tmp_path: Path, no_fsync: None, name: str) -> None:
    keyed_vectors = gensim_class()
    for number, (words, matrix) in enumerate(random_vectors()):
        file = tmp_path / (name + ".gz" * (number % 9 == 0))
        try:
            written = write(file, words, matrix, bad_tokens="skip", force=True)
        except DataError:
            continue
        keyed = keyed_vectors.load_word2vec_format(
            str(file), binary=name == "a.bin", unicode_errors="surrogateescape"
        )
        kept = [row for row, word in enumerate(words) if not is_bad(word, name)]
        assert keyed.index_to_key == [words[row] for row in kept]
        assert len(kept) == written.num_words
        assert same_bits(keyed.vectors, matrix[kept])


@pytest.mark.parametrize("binary", [False, True])
def test_files_of_gensim_are_read(tmp_path: Path, binary: bool) -> None:
    keyed_vectors = gensim_class()
    for words, matrix in random_vectors():
        kept = [
            row for row, word in enumerate(words) if not (is_bad(word, "a.vec") or SURROGATE.search(word))
        ]
        if not kept:
            continue
        words = [words[row] for row in kept]
        keyed = keyed_vectors(matrix.shape[1])
        keyed.add_vectors(words, matrix[kept])
        keyed.save_word2vec_format(str(tmp_path / "a"), binary=binary, sort_attr="")
        found = read_vectors(tmp_path / "a", sizes=COMPILED)
        assert found.format == TITLES["word2vec-binary" if binary else "word2vec"]
        assert found.vocab.words == words
        assert same_bits(found.matrix_VD, matrix[kept])


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (b"2 2\n</s> 0.100000 0.200000 \nking -1.000000 3.000000 \n", "word2vec text"),  # word2vec.c
        (b"2 2\n</s> 0.1 0.2 \nking -1 3 \n", "word2vec text"),  # fastText
        (b"2 2\r\n</s> 0.1 0.2\r\nking -1 3\r\n", "word2vec text"),
        (b"</s> 0.1 0.2\nking -1 3\n", "GloVe text"),
        (b"</s> 0.1 0.2\n\nking -1 3\n\n", "GloVe text"),
    ],
    ids=["word2vec.c", "fastText", "CRLF", "GloVe", "blank lines"],
)
def test_vector_text_files_of_other_tools_load(tmp_path: Path, content: bytes, title: str) -> None:
    found = read(content, tmp_path / "a.txt")
    assert (found.vocab.words, found.format, found.notices) == (["</s>", "king"], title, [])
    assert same_bits(found.matrix_VD, np.array([[0.1, 0.2], [-1, 3]], np.float32))


def read(content: bytes, file: Path, format: Format | None = None) -> VectorFile:
    file.write_bytes(content)
    return read_vectors(file, format)


def test_glove_words_may_contain_spaces(tmp_path: Path) -> None:
    content = ". . . 0.1 2\n1\u00a01/2 1 3\nto name@domain.com 4 5\n"
    found = read(content.encode(), tmp_path / "glove.txt")
    assert found.vocab.words == [". . .", "1\u00a01/2", "to name@domain.com"]
    assert found.matrix_VD.tolist() == [[np.float32(0.1), 2], [1, 3], [4, 5]]


def test_two_whole_numbers_in_line_1_are_sizes(tmp_path: Path) -> None:
    file = tmp_path / "a"
    both = b"1 1\na 5\n"
    assert read(both, file).vocab.words == ["a"]
    assert read(both, file, "word2vec").vocab.words == ["a"]
    assert read(both, file, "glove").vocab.words == ["1", "a"]
    bytes_of_text = b"1 1\na 1.25\n"
    assert read(bytes_of_text, file).matrix_VD.tolist() == [[1.25]]
    assert read(bytes_of_text, file, "word2vec-binary").matrix_VD.tobytes() == b"1.25"
    with pytest.raises(ArtifactError, match="line 1 is not `words dimensions`"):
        read(b"a 1 2\n", file, "word2vec")
    numbers = b"12 5\n13 6\n"
    with pytest.raises(ArtifactError, match=r"5 numbers, but line 2 ends in 1\..*--from glove"):
        read(numbers, file)
    assert read(numbers, file, "glove").vocab.words == ["12", "13"]


@pytest.mark.parametrize("dim", [1, 5])
@pytest.mark.parametrize("digits", [b"5\n\x12\x93", b"1234", b"-1e5"])
def test_binary_numbers_like_text_are_sniffed(tmp_path: Path, dim: int, digits: bytes) -> None:
    matrix = np.array([np.frombuffer(digits, np.float32)[0], *[0.1] * (4 * dim - 1)], np.float32)
    write(tmp_path / "a.bin", ["king", "queen", "a", "b"], matrix.reshape(4, dim))
    found = read_vectors(tmp_path / "a.bin")
    assert found.format == TITLES["word2vec-binary"] and same_bits(found.matrix_VD, matrix.reshape(4, dim))


@pytest.mark.parametrize("name", FILE_NAMES)
def test_is_vector_file_accepts_every_format(tmp_path: Path, name: str) -> None:
    assert is_vector_file(write(tmp_path / f"flat{name}", WORDS, MATRIX[:, :1]).files[0])
    file = write(tmp_path / name, WORDS, MATRIX).files[0]
    assert is_vector_file(file)
    file.write_bytes(file.read_bytes()[:-3])  # a truncated file is still one of vectors
    assert is_vector_file(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Once upon a time\n",
        b"Chapter 1\n\nIt was a dark night.\n",
        b"1\nOne\n",
        b"1\t2\n",
        b"\x93NUMPY",
    ],
)
def test_is_vector_file_rejects_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert not is_vector_file(tmp_path / "a")


@pytest.mark.parametrize("name", FILE_NAMES)
def test_first_of_repeated_words_is_kept(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ["a", "b", "a", "a"], np.array([[1], [2], [3], [4]], np.float32))
    found = read_vectors(tmp_path / name)
    assert found.vocab.words == ["a", "b"]
    assert found.vocab.counts.tolist() == ([4, 3] if name == "a.npy" else [-1, -1])
    assert found.matrix_VD.tolist() == [[1], [2]]
    assert found.notices == ["2 rows left out, repeating a word: 'a', 'a'"]


def test_missing_last_newline_is_noticed(tmp_path: Path) -> None:
    assert "may be truncated" in read(b"a 1 2\nb 3 4", tmp_path / "a").notices[0]


DIGESTS = digest_headings(WORDS, [MATRIX])
CONTENTS = {
    "a.vec": {"a.vec": b"2 2\none 0.1 -2.0\n\xeb\x91\x98 1e-05 1024.5\n"},
    "a.txt": {"a.txt": b"one 0.1 -2.0\n\xeb\x91\x98 1e-05 1024.5\n"},
    "a.bin": {
        "a.bin": struct.pack("<8s2f5s2fs", b"2 2\none ", 0.1, -2, b"\n\xeb\x91\x98 ", 1e-5, 1024.5, b"\n")
    },
    "a.tsv": {
        "a.tsv": b"0.1\t-2.0\n1e-05\t1024.5\n",
        "a.metadata.tsv": b"word" + DIGESTS + b"\none\n\xeb\x91\x98\n",
    },
    "a.npy": {"a.vocab.tsv": b"word\tcount\tspecials=0" + DIGESTS + b"\none\t2\n\xeb\x91\x98\t1\n"},
}


@pytest.mark.parametrize("name", FILE_NAMES)
def test_each_vector_format_writes_expected_bytes(tmp_path: Path, name: str) -> None:
    written = write(tmp_path / name, WORDS, MATRIX)
    assert written.files == (tmp_path / name, *[tmp_path / each for each in CONTENTS[name] if each != name])
    assert sorted(tmp_path.iterdir()) == sorted(written.files)
    for each, content in CONTENTS[name].items():
        assert (tmp_path / each).read_bytes() == content
    if name == "a.npy":
        assert same_bits(np.load(tmp_path / name, allow_pickle=False), MATRIX)
    gzipped_files = write(tmp_path / (name + ".gz"), WORDS, MATRIX).files
    for plain, gzipped in zip(written.files, gzipped_files, strict=True):
        assert gzipped.name == plain.name + ".gz"
        assert gzip.decompress(gzipped.read_bytes()) == plain.read_bytes()


def test_gzip_stores_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = set()
    for now in (1.0e9, 1.1e9):
        monkeypatch.setattr("time.time", lambda now=now: now)
        contents.add(write(tmp_path / "a.vec.gz", WORDS, MATRIX, force=True).files[0].read_bytes())
    assert len(contents) == 1


def test_only_npy_files_keep_counts(tmp_path: Path) -> None:
    vocab = Vocab(["a", "b", "c"], np.array([9, -1, 3]))
    write_vectors(tmp_path / "a.npy", vocab, np.eye(3, dtype=np.float32))
    assert read_vectors(tmp_path / "a.npy").vocab.counts.tolist() == [9, -1, 3]
    write_vectors(tmp_path / "a.vec", vocab, np.eye(3, dtype=np.float32))
    assert read_vectors(tmp_path / "a.vec").vocab.counts.tolist() == [-1, -1, -1]


def test_file_ending_selects_format() -> None:
    for compression in ("", *COMPRESSED_ENDINGS):
        assert {ending: format_of(Path(f"a.b{ending}{compression}")) for ending in ENDINGS} == ENDINGS
    assert format_of(Path("A.VEC")) == "word2vec"
    for name in ("corpus", "corpus.gz", "corpus.dat", ".vec"):
        with pytest.raises(ConfigError, match="the name has no ending of a format"):
            format_of(Path(name))


@pytest.mark.parametrize(
    ("name", "format", "words_name"),
    [
        ("x/a.b.npy", "npy", "x/a.b.vocab.tsv"),
        ("a.npy.gz", "npy", "a.vocab.tsv.gz"),
        ("a.npy.xz", "npy", "a.vocab.tsv.xz"),
        ("a.tsv", "projector", "a.metadata.tsv"),
        ("a.dat", "projector", "a.dat.metadata.tsv"),
    ],
)
def test_files_of_names_the_words_file(name: str, format: Format, words_name: str) -> None:
    assert files_of(Path(name), format) == (Path(words_name), Path(name))


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format: 'word2vek' is unknown"):
        write(tmp_path / "a", WORDS, MATRIX, format="word2vek")
    with pytest.raises(ConfigError, match="bad_tokens: 'drop' is unknown"):
        write(tmp_path / "a.vec", WORDS, MATRIX, bad_tokens="drop")
    with pytest.raises(ConfigError, match=r"format: 'nlpseq' is a folder, and .* is not"):
        read_vectors(tmp_path / "a", "nlpseq")
    assert list(tmp_path.iterdir()) == []


def test_lines_that_end_with_carriage_returns_alone_are_refused(tmp_path):
    (tmp_path / "old.vec").write_bytes(b"2 2\ra 1 2\rb 3 4\r")
    with pytest.raises(ArtifactError, match=r"old\.vec: ends lines with carriage returns alone"):
        read_vectors(tmp_path / "old.vec")
