"""Vectors survive every format to the bit, or are refused; gensim reads ours and we read gensim's."""

import gzip
import io
import os
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from support.vocabularies import NAMES, PLAIN_WORDS, is_bad, same_bits, vocabularies, write

from nlpseq.dataset.vocab import Vocab, unescape
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.formats import reader as _source, text as _text, writer as _target
from nlpseq.vectors.formats._parse_numba import take_lines
from nlpseq.vectors.formats.names import ENDINGS, TITLES, Format, files_of, format_of
from nlpseq.vectors.formats.registry import read_vectors, write_vectors
from nlpseq.vectors.formats.writer import digest_headings


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk, and the compiled loop for small files too."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(_text, "_COMPILED_FROM", 0)


@pytest.mark.parametrize("name", NAMES)
def test_any_vocabulary_survives_or_is_refused(tmp_path: Path, quick: None, name: str) -> None:
    for number, (words, matrix) in enumerate(vocabularies()):
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


@pytest.mark.parametrize("name", NAMES)
def test_escapes_keep_every_word_apart_and_give_it_back(tmp_path: Path, quick: None, name: str) -> None:
    for words, matrix in vocabularies():
        file = tmp_path / name
        write(file, words, matrix, bad_tokens="escape", force=True)
        found = read_vectors(file, format_of(file))
        assert len(set(found.vocab.words)) == len(words)
        assert same_bits(found.matrix_VD, matrix)
        given_back = found.vocab.words if name == "a.npy" else list(map(unescape, found.vocab.words))
        assert given_back == words


def assert_reads_back(file: Path, words: list[str], matrix: npt.NDArray[np.float32]) -> None:
    told, named = read_vectors(file), read_vectors(file, format_of(file))
    for found in (told, named):
        assert (found.vocab.words, found.format, found.notices) == (words, TITLES[format_of(file)], [])
        assert same_bits(np.asarray(found.matrix_VD), matrix)


@pytest.mark.parametrize("name", ["a.vec", "a.bin"])
def test_gensim_reads_any_vocabulary(tmp_path: Path, quick: None, name: str) -> None:
    keyed_vectors = gensim_class()
    for number, (words, matrix) in enumerate(vocabularies()):
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
def test_any_vocabulary_of_gensim_is_read(tmp_path: Path, quick: None, binary: bool) -> None:
    keyed_vectors = gensim_class()
    for words, matrix in vocabularies():
        kept = [
            row for row, word in enumerate(words) if not (is_bad(word, "a.vec") or SURROGATE.search(word))
        ]
        if not kept:
            continue
        words = [words[row] for row in kept]
        keyed = keyed_vectors(matrix.shape[1])
        keyed.add_vectors(words, matrix[kept])
        keyed.save_word2vec_format(str(tmp_path / "a"), binary=binary, sort_attr="")
        found = read_vectors(tmp_path / "a")
        assert found.format == TITLES["word2vec-binary" if binary else "word2vec"]
        assert found.vocab.words == words
        assert same_bits(found.matrix_VD, matrix[kept])


SURROGATE = re.compile("[\ud800-\udfff]")  # which gensim does not write


def gensim_class() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("gensim.models.keyedvectors").KeyedVectors


@pytest.mark.parametrize("dim", [1, 5])
@pytest.mark.parametrize("digits", [b"5\n\x12\x93", b"1234", b"-1e5"])
def test_binary_numbers_that_look_like_text_are_told_apart(tmp_path: Path, dim: int, digits: bytes) -> None:
    matrix = np.array([np.frombuffer(digits, np.float32)[0], *[0.1] * (4 * dim - 1)], np.float32)
    write(tmp_path / "a.bin", ["king", "queen", "a", "b"], matrix.reshape(4, dim))
    found = read_vectors(tmp_path / "a.bin")
    assert found.format == TITLES["word2vec-binary"] and same_bits(found.matrix_VD, matrix.reshape(4, dim))


WORDS, MATRIX = ["one", "둘"], np.array([[0.1, -2], [1e-5, 1024.5]], np.float32)
HEADINGS = digest_headings(WORDS, [MATRIX])
CONTENTS = {
    "a.vec": {"a.vec": b"2 2\none 0.1 -2.0\n\xeb\x91\x98 1e-05 1024.5\n"},
    "a.txt": {"a.txt": b"one 0.1 -2.0\n\xeb\x91\x98 1e-05 1024.5\n"},
    "a.bin": {
        "a.bin": struct.pack("<8s2f5s2fs", b"2 2\none ", 0.1, -2, b"\n\xeb\x91\x98 ", 1e-5, 1024.5, b"\n")
    },
    "a.tsv": {"a.tsv": b"0.1\t-2.0\n1e-05\t1024.5\n", "a.metadata.tsv": b"word" + HEADINGS + b"\none\n\xeb\x91\x98\n"},
    "a.npy": {"a.vocab.tsv": b"word\tcount\tspecials=0" + HEADINGS + b"\none\t2\n\xeb\x91\x98\t1\n"},
}


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_of_a_file(tmp_path: Path, name: str) -> None:
    written = write(tmp_path / name, WORDS, MATRIX)
    assert written.files == (tmp_path / name, *[tmp_path / each for each in CONTENTS[name] if each != name])
    assert sorted(tmp_path.iterdir()) == sorted(written.files)
    for each, content in CONTENTS[name].items():
        assert (tmp_path / each).read_bytes() == content
    if name == "a.npy":
        assert same_bits(np.load(tmp_path / name, allow_pickle=False), MATRIX)
    packed = write(tmp_path / (name + ".gz"), WORDS, MATRIX)
    for plain, gzipped in zip(written.files, packed.files, strict=True):
        assert gzipped.name == plain.name + ".gz"
        assert gzip.decompress(gzipped.read_bytes()) == plain.read_bytes()


def test_gzip_holds_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = set()
    for now in (1.0e9, 1.1e9):
        monkeypatch.setattr("time.time", lambda now=now: now)
        contents.add(write(tmp_path / "a.vec.gz", WORDS, MATRIX, force=True).files[0].read_bytes())
    assert len(contents) == 1


def test_counts_are_kept_beside_an_array(tmp_path: Path) -> None:
    vocab = Vocab(["a", "b", "c"], np.array([9, -1, 3]))
    write_vectors(tmp_path / "a.npy", vocab, np.eye(3, dtype=np.float32))
    assert read_vectors(tmp_path / "a.npy").vocab.counts.tolist() == [9, -1, 3]
    write_vectors(tmp_path / "a.vec", vocab, np.eye(3, dtype=np.float32))
    assert read_vectors(tmp_path / "a.vec").vocab.counts.tolist() == [-1, -1, -1]


def test_a_name_names_its_format() -> None:
    assert {ending: format_of(Path(f"a.b{ending}.gz")) for ending in ENDINGS} == ENDINGS
    assert format_of(Path("A.VEC")) == "word2vec"
    for name in ("corpus", "corpus.gz", "corpus.dat", ".vec"):
        with pytest.raises(ConfigError, match="has no ending that names a format"):
            format_of(Path(name))


@pytest.mark.parametrize(
    ("name", "format", "beside"),
    [
        ("x/a.b.npy", "npy", "x/a.b.vocab.tsv"),
        ("a.npy.gz", "npy", "a.vocab.tsv.gz"),
        ("a.tsv", "projector", "a.metadata.tsv"),
        ("a.dat", "projector", "a.dat.metadata.tsv"),
    ],
)
def test_what_lies_beside(name: str, format: Format, beside: str) -> None:
    assert files_of(Path(name), format) == (Path(beside), Path(name))


def test_unknown_choices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format is 'word2vek'"):
        write(tmp_path / "a", WORDS, MATRIX, format="word2vek")
    with pytest.raises(ConfigError, match="bad_tokens is 'drop'"):
        write(tmp_path / "a.vec", WORDS, MATRIX, bad_tokens="drop")
    with pytest.raises(ConfigError, match=r"format is 'nlpseq', which is no file, as .* would be"):
        read_vectors(tmp_path / "a", "nlpseq")
    assert list(tmp_path.iterdir()) == []


def binary_file(words: list[str], matrix: npt.NDArray[np.float32], newline: bytes) -> bytes:
    rows = [word.encode() + b" " + row.tobytes() + newline for word, row in zip(words, matrix, strict=True)]
    return b"%d %d\n" % matrix.shape + b"".join(rows)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_binary_of_many_blocks(tmp_path: Path, newline: bytes, packed: bool) -> None:
    words = [f"word{v}" for v in range(9000)]
    matrix = np.random.default_rng(1).normal(size=(9000, 61)).astype("<f4")
    content = binary_file(words, matrix, newline)
    (tmp_path / "a.bin").write_bytes(gzip.compress(content, 1) if packed else content)
    found = read_vectors(tmp_path / "a.bin")
    assert found.vocab.words == words
    assert same_bits(found.matrix_VD, matrix)


@pytest.mark.parametrize("num_bytes", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.tsv"])
def test_blocks_may_end_anywhere(
    tmp_path: Path, quick: None, monkeypatch: Any, name: str, num_bytes: int
) -> None:
    monkeypatch.setattr(_source, "_BLOCK", num_bytes)
    words, matrix = list(PLAIN_WORDS), np.arange(len(PLAIN_WORDS) * 3, dtype=np.float32).reshape(-1, 3) / 7
    assert_reads_back(write(tmp_path / name, words, matrix).files[0], words, matrix)


def test_text_of_many_blocks(tmp_path: Path, quick: None) -> None:
    words = ["a b" if v == 3000 else f"word{v}" for v in range(6000)]  # one line is not plain
    matrix = np.random.default_rng(1).normal(size=(6000, 40)).astype(np.float32)
    text = io.BytesIO()
    table = _target.VectorRows(words, np.zeros(6000, np.int64), np.arange(6000), matrix)
    _text.write_word2vec(table, text)
    for content in (text.getvalue(), gzip.compress(text.getvalue(), 1)):
        (tmp_path / "a.vec").write_bytes(content)
        found = read_vectors(tmp_path / "a.vec")
        assert (found.vocab.words, found.notices) == (words, [])
        assert same_bits(found.matrix_VD, matrix)


def in_the_middle(number: float) -> str:
    """A number half-way to the next float32, where the last bit of a double decides."""
    return repr((number + float(np.nextafter(np.float32(number), np.float32(np.inf)))) / 2)


NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, min_value=-1e38, max_value=1e38).map(repr),
    st.from_regex(r"[+-]?([0-9]{1,25}|[0-9]{0,22}\.[0-9]{1,25})([eE][+-]?0{0,3}[0-9]{1,2})?", fullmatch=True),
    st.floats(2.0**-99, 2.0**99, width=32).map(in_the_middle),
    st.sampled_from(
        [
            *("0", "-0", "-0.0", ".5", "5.", "+", "-", ".", "e5", "1e", "1e+", "1_0", "0x1", "nan", "-inf"),
            *("1e39", "3.4028235e38", "3.4028236e38", "1e-45", "7e-46", "1e-99", "1-2", "--1", "1,5"),
            *("16777217", "16777217.000000001", "1e0000000001", "0.1000000000000000055511151231257827"),
        ]
    ),
)


@settings(deadline=None, derandomize=True)
@given(st.lists(NUMBERS, min_size=1, max_size=4), st.sampled_from(["", " ", "\r", " \t"]), st.booleans())
def test_the_compiled_loop_reads_as_the_reference_does(numbers: list[str], end: str, has_word: bool) -> None:
    layout = _text._WORD_FIRST if has_word else _text.TENSORS
    fields = (["a\u00a0b"] if has_word else []) + numbers
    line = (layout.separator.decode().join(fields) + end).encode() + b"\n"
    block, matrix = np.frombuffer(bytearray(line), np.uint8), np.empty((1, len(numbers)), np.float32)
    taken, used, named = take_lines(block, 0, len(line), layout.separator[0], has_word, matrix, 0)
    try:
        word, row = _text.parse_row(line, len(numbers), layout)
    except (ValueError, FloatingPointError):
        assert taken == 0
        return
    if taken:
        assert (used, same_bits(matrix[0], row)) == (len(line), True)
        assert block[:named].tobytes() == (word + b"\n" if has_word else b"")
    else:
        assert not all(re.fullmatch(r"-?\d{1,7}\.\d{1,7}", number) for number in numbers), "a plain line"
