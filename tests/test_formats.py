"""Vector files of other tools are read as they were meant, and damage is named, never guessed at."""

import gzip
import re
import struct
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nlpseq.errors import ArtifactError, DataError, ResourceError
from nlpseq.vectors.formats import read_vectors, write_word2vec_text

ODD_WORDS = [
    "</s>",
    "a\u00a0b",
    "\u0085",
    "\u2028",
    "\u3000x",
    "한국어",
    "12",
    "0.5",
    "\udcff\udcfe",
    "\x00",
    "w" * 150,
]
ALL_FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def is_plain(word: str) -> bool:
    return bool(word) and not any(space in word for space in " \t\n\r\v\f")


def words_of(num: int) -> st.SearchStrategy[list[str]]:
    any_bytes = st.binary(min_size=1, max_size=6).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    word = st.one_of(st.sampled_from(ODD_WORDS), st.text(st.characters(codec="utf-8"), min_size=1), any_bytes)
    return st.lists(word.filter(is_plain), min_size=num, max_size=num, unique=True)


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[list[str], npt.NDArray[np.float32]]:
    num, dim = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    return draw(words_of(num)), draw(hnp.arrays(np.float32, (num, dim), elements=ALL_FLOATS))


def as_binary(words: list[str], matrix: npt.NDArray[np.float32], newline: bytes) -> bytes:
    rows = [word.encode("utf-8", "surrogateescape") + b" " + row.astype("<f4").tobytes() + newline
            for word, row in zip(words, matrix, strict=True)]  # fmt: skip
    return b"%d %d\n" % matrix.shape + b"".join(rows)


def same_bits(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@settings(deadline=None, derandomize=True)
@given(vocabularies())
def test_text_reads_back_to_the_bit(folder: Path, vocabulary) -> None:
    words, matrix = vocabulary
    write_word2vec_text(folder / "a.vec", words, matrix)
    found = read_vectors(folder / "a.vec")
    assert (found.words, found.format, found.notices) == (words, "word2vec text", [])
    assert same_bits(found.matrix_VD, matrix)


@settings(deadline=None, derandomize=True)
@given(vocabularies(), st.sampled_from([b"", b"\n"]))
def test_binary_reads_back_to_the_bit(folder: Path, vocabulary, newline: bytes) -> None:
    words, matrix = vocabulary
    (folder / "a.bin").write_bytes(as_binary(words, matrix, newline))
    found = read_vectors(folder / "a.bin")
    assert (found.words, found.format, found.notices) == (words, "word2vec binary", [])
    assert same_bits(found.matrix_VD, matrix)


@settings(deadline=None, derandomize=True)
@given(vocabularies())
def test_glove_is_word2vec_text_without_its_first_line(folder: Path, vocabulary) -> None:
    words, matrix = (["first", *vocabulary[0]], np.vstack([vocabulary[1][:1], vocabulary[1]]))
    words = list(dict.fromkeys(words))
    matrix = matrix[: len(words)]
    write_word2vec_text(folder / "a.vec", words, matrix)
    (folder / "glove.txt").write_bytes((folder / "a.vec").read_bytes().split(b"\n", 1)[1])
    found = read_vectors(folder / "glove.txt")
    assert (found.words, found.format) == (words, "GloVe text")
    assert same_bits(found.matrix_VD, matrix)


def test_binary_larger_than_a_block(tmp_path: Path) -> None:
    words = [f"word{v}" for v in range(9000)]
    matrix = np.random.default_rng(1).normal(size=(9000, 61)).astype(np.float32)
    for newline in (b"", b"\n"):
        (tmp_path / "a.bin").write_bytes(as_binary(words, matrix, newline))
        found = read_vectors(tmp_path / "a.bin")
        assert found.words == words and same_bits(found.matrix_VD, matrix)


def test_text_is_short_and_plain(tmp_path: Path) -> None:
    write_word2vec_text(tmp_path / "a.vec", ["one", "둘"], np.array([[0.1, -2], [1e-5, 1024.5]], np.float32))
    assert (tmp_path / "a.vec").read_bytes().decode() == "2 2\none 0.1 -2.0\n둘 1e-05 1024.5\n"


def test_what_other_tools_write(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text, how in {
        b"2 2\n</s> 0.100000 0.200000 \nking -1.000000 3.000000 \n": "word2vec text",  # word2vec.c
        b"2 2\r\n</s> 0.1 0.2\r\nking -1 3\r\n": "word2vec text",
        b"</s> 0.1 0.2\nking -1 3\n": "GloVe text",
        b"</s> 0.1 0.2\n\nking -1 3\n\n": "GloVe text",
    }.items():
        file.write_bytes(text)
        found = read_vectors(file)
        assert (found.words, found.format) == (["</s>", "king"], how)
        assert same_bits(found.matrix_VD, np.array([[0.1, 0.2], [-1, 3]], np.float32))


def test_glove_words_may_hold_spaces(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text(". . . 0.1 2\n1\u00a01/2 1 3\nto name@domain.com 4 5\n", "utf-8")
    found = read_vectors(tmp_path / "glove.txt")
    assert found.words == [". . .", "1\u00a01/2", "to name@domain.com"]
    assert found.matrix_VD.tolist() == [[np.float32(0.1), 2], [1, 3], [4, 5]]


@pytest.mark.parametrize(
    "content", [b"2 2\na 1 2\nb 3 4\n", b"a 1 2\nb 3 4\n", b"2 2\na \0\0\0\0\0\0\0\0b 12345678"]
)
def test_gzip_is_told_by_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "packed").write_bytes(gzip.compress(content))
    plain, packed = read_vectors(tmp_path / "plain"), read_vectors(tmp_path / "packed")
    assert plain.words == packed.words == ["a", "b"]
    assert same_bits(plain.matrix_VD, packed.matrix_VD)


def test_the_first_of_repeated_words_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.vec").write_bytes(b"4 1\na 1\nb 2\na 3\na 4\n")
    found = read_vectors(tmp_path / "a.vec")
    assert found.words == ["a", "b"]
    assert found.matrix_VD.tolist() == [[1], [2]]
    assert found.notices == ["2 rows repeat an earlier word and were left out: 'a', 'a'"]


def test_a_missing_last_newline_is_said(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_bytes(b"a 1 2\nb 3 4")
    assert "may have been cut short" in read_vectors(tmp_path / "glove.txt").notices[0]


BINARY = b"2 2\na " + struct.pack("<2f", 1, 2) + b"\nb " + struct.pack("<2f", 3, 4) + b"\n"
DAMAGED = {
    "empty": (b"", "line 1, is neither"),
    "prose": (b"Once upon a time\nthere was\n", "line 1, is neither"),
    "number in the first row": (b"2 2\na 1 x\nb 3 4\n", "line 1, promises|byte 4, holds neither"),
    "no number": (b"2 2\na 1 2\nb 3 x\n", "line 3, is no word with 2 numbers: could not convert"),
    "overflow": (b"2 2\na 1 2\nb 3 1e39\n", "line 3, is no word with 2 numbers: overflow"),
    "short row": (b"a 1 2\nb 3 4\nc 5\n", "line 3, is no word with 2 numbers: it has 1"),
    "long row": (b"a 1 2\nb 3 4 5\n", "line 2, is no word with 2 numbers: it has more"),
    "two spaces": (b"a 1 2\nb 3  4\n", "line 2, is no word with 2 numbers: it has more"),
    "rows missing": (b"3 2\naaaaa 1 2\nbbbbb 3 4\n", "holds 2 vectors, its first line promises 3"),
    "rows too many": (b"1 2\na 1 2\nb 3 4\n", "holds 2 vectors, its first line promises 1"),
    "no numbers promised": (b"2 0\na\nb\n", "line 1, promises vectors of 0 numbers"),
    "vast text": (b"%d 300\na 1 2\n" % 10**12, "line 1, promises 1000000000000 vectors of 300 numbers"),
    "vast binary": (b"%d 300\na \0\1\2" % 10**12, "line 1, promises 1000000000000 vectors"),
    "huge integers": (b"9" * 5000 + b" 2\na 1 2\n", "line 2, is no word"),
    "byte order mark": (b"\xef\xbb\xbf2 2\na 1 2\nb 3 4\n", "line 2, is no word with 1 numbers: it has more"),
    "binary cut": (BINARY[:-3], "byte 14, holds neither as text nor as binary word 2 of 2 and its 2 numbers"),
    "binary goes on": (BINARY + b"c ", "goes on after the 2 vectors"),
    "no space in sight": (b"1 2\n" + b"a" * (1 << 22) + b" 12345678", "byte 4, holds neither"),
    "gzip cut": (gzip.compress(b"a 1 2\nb 3 4\n")[:-9], "is damaged gzip"),
    "gzip flipped": (b"\x1f\x8bnonsense", "is damaged gzip"),
    "gzip promises too much": (gzip.compress(b"%d 300\na 1 2\n" % 10**12), "line 1, promises"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.vec"
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=re.escape(str(file)) + f".*({message})") as raised:
        read_vectors(file)
    assert str(raised.value).count(". ") >= 1  # and the way out


def test_every_cut_of_a_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    for end in range(len(BINARY) - 1):  # the last newline may be missing
        file.write_bytes(BINARY[:end])
        with pytest.raises(ArtifactError):
            read_vectors(file)
    text = b"2 2\nking 1.25 2.5\nqueen 3.75 4.5\n"
    for end in range(len(text)):
        file.write_bytes(text[:end])
        try:
            assert "cut short" in read_vectors(file).notices[0]
        except ArtifactError:
            continue


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_vectors(tmp_path / "no.vec")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_vectors(tmp_path)


def test_words_the_format_cannot_hold(tmp_path: Path) -> None:
    words = ["fine", "", "a b", "a\tb", "a\nb", "a\rb", "a\vb", "a\u00a0b"]
    with pytest.raises(
        DataError, match=r"cannot hold 6 of the words.*'', 'a b', 'a\\tb', 'a\\nb', 'a\\rb', \.\.\.\."
    ):
        write_word2vec_text(tmp_path / "a.vec", words, np.zeros((8, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_whole_until_the_new_one_is(tmp_path: Path) -> None:
    file = tmp_path / "a.vec"
    write_word2vec_text(file, ["old"], np.zeros((1, 2), np.float32))
    before = file.read_bytes()
    with pytest.raises(ValueError, match="zip"):
        write_word2vec_text(file, ["new", "one more"[:3]], np.zeros((1, 2), np.float32))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(ResourceError, match="cannot be written"):
        write_word2vec_text(tmp_path / "no folder" / "a.vec", ["new"], np.zeros((1, 2), np.float32))


def gensim_vectors(words: list[str], matrix: npt.NDArray[np.float32]):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keyed = pytest.importorskip("gensim.models.keyedvectors").KeyedVectors(matrix.shape[1])
        keyed.add_vectors(words, matrix)
    return keyed


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_writes_we_read(tmp_path: Path, binary: bool) -> None:
    words = [word for word in ODD_WORDS if "\udcff" not in word]
    matrix = np.random.default_rng(2).normal(size=(len(words), 9)).astype(np.float32)
    gensim_vectors(words, matrix).save_word2vec_format(str(tmp_path / "a"), binary=binary)
    found = read_vectors(tmp_path / "a")
    assert found.format == ("word2vec binary" if binary else "word2vec text")
    assert sorted(found.words) == sorted(words)
    assert same_bits(found.matrix_VD, matrix[[words.index(word) for word in found.words]])


def test_we_write_gensim_reads(tmp_path: Path) -> None:
    matrix = np.random.default_rng(3).normal(size=(len(ODD_WORDS), 9)).astype(np.float32)
    write_word2vec_text(tmp_path / "a.vec", ODD_WORDS, matrix)
    keyed = type(gensim_vectors(["a"], matrix[:1])).load_word2vec_format(
        str(tmp_path / "a.vec"), unicode_errors="surrogateescape"
    )
    assert keyed.index_to_key == ODD_WORDS
    assert same_bits(keyed.vectors, matrix)
