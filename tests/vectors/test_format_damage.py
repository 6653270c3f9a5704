"""Files of other tools are read as they were meant, and damage is named, never guessed at."""

import errno
import gzip
import os
import random
import re
import struct
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from rights import lose_rights
from support.vocabularies import NAMES, same_bits, vocab_of, write

from nlpseq.errors import ArtifactError, DataError
from nlpseq.vectors.formats import npy as _npy, text as _text
from nlpseq.vectors.formats.names import Format
from nlpseq.vectors.formats.reader import Source
from nlpseq.vectors.formats.registry import _READERS, VectorFile, read_vectors

WORDS, MATRIX = ["one", "둘"], np.array([[0.1, -2], [1e-5, 1024.5]], np.float32)


def test_what_other_tools_write(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text, how in {
        b"2 2\n</s> 0.100000 0.200000 \nking -1.000000 3.000000 \n": "word2vec text",  # word2vec.c
        b"2 2\n</s> 0.1 0.2 \nking -1 3 \n": "word2vec text",  # fastText
        b"2 2\r\n</s> 0.1 0.2\r\nking -1 3\r\n": "word2vec text",
        b"</s> 0.1 0.2\nking -1 3\n": "GloVe text",
        b"</s> 0.1 0.2\n\nking -1 3\n\n": "GloVe text",
    }.items():
        file.write_bytes(text)
        found = read_vectors(file)
        assert (found.vocab.words, found.format, found.notices) == (["</s>", "king"], how, [])
        assert same_bits(found.matrix_VD, np.array([[0.1, 0.2], [-1, 3]], np.float32))


def test_words_may_hold_spaces(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text(". . . 0.1 2\n1\u00a01/2 1 3\nto name@domain.com 4 5\n", "utf-8")
    found = read_vectors(tmp_path / "glove.txt")
    assert found.vocab.words == [". . .", "1\u00a01/2", "to name@domain.com"]
    assert found.matrix_VD.tolist() == [[np.float32(0.1), 2], [1, 3], [4, 5]]


def read(content: bytes, file: Path, format: Format | None = None) -> VectorFile:
    file.write_bytes(content)
    return read_vectors(file, format)


def test_a_first_line_of_two_whole_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a"
    numbers = b"12 5\n13 6\n"  # twelve vectors of five numbers are not here
    assert read(numbers, file).format == "GloVe text"
    assert read(numbers, file).vocab.words == ["12", "13"]
    both = b"1 1\na 5\n"
    assert read(both, file).vocab.words == ["a"]
    assert read(both, file, "word2vec").vocab.words == ["a"]
    assert read(both, file, "glove").vocab.words == ["1", "a"]
    bytes_of_text = b"1 1\na 1.25\n"
    assert read(bytes_of_text, file).matrix_VD.tolist() == [[1.25]]
    assert read(bytes_of_text, file, "word2vec-binary").matrix_VD.tobytes() == b"1.25"
    with pytest.raises(ArtifactError, match="line 1, is not `words dimensions`"):
        read(b"a 1 2\n", file, "word2vec")


def test_metadata_of_other_tools(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"1\t2\n3\t4\n")
    metadata = tmp_path / "a.metadata.tsv"
    for content in (b"king\nthe queen\n", b"king\r\nthe queen\r\n", b"king\nthe queen"):
        metadata.write_bytes(content)
        assert read_vectors(tmp_path / "a.tsv").vocab.words == ["king", "the queen"]
    for content, message in {
        b"word\nking\nqueen\n": "has 3 words, a.tsv has 2 vectors",
        b"word\tcount\nking\t3\nqueen\t2\n": "has several columns",
        b"": "has 0 words",
    }.items():
        metadata.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"a.metadata.tsv {message}"):
            read_vectors(tmp_path / "a.tsv")


@pytest.mark.parametrize("name", NAMES)
def test_the_first_of_repeated_words_is_kept(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ["a", "b", "a", "a"], np.array([[1], [2], [3], [4]], np.float32))
    found = read_vectors(tmp_path / name)
    assert found.vocab.words == ["a", "b"]
    assert found.vocab.counts.tolist() == ([4, 3] if name == "a.npy" else [-1, -1])
    assert found.matrix_VD.tolist() == [[1], [2]]
    assert found.notices == ["2 rows repeat an earlier word and were left out: 'a', 'a'"]


def test_a_missing_last_newline_is_said(tmp_path: Path) -> None:
    assert "may have been cut short" in read(b"a 1 2\nb 3 4", tmp_path / "a").notices[0]


def npy(shape: object, descr: str = "<f4", by_columns: bool = False, body: bytes = b"\0" * 16) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': {by_columns}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + body


BINARY = b"2 2\na " + struct.pack("<2f", 1, 2) + b"\nb " + struct.pack("<2f", 3, 4) + b"\n"
DAMAGED = {
    "empty": (b"", "line 1, is neither"),
    "prose": (b"Once upon a time\nthere was\n", "line 1, is neither"),
    "number in the first row": (b"2 2\na 1 x\nb 3 4\n", "line 1, promises|byte 4, holds neither"),
    "no number": (b"2 2\na 1 2\nb 3 x\n", "line 3, is no word with 2 numbers: could not convert"),
    "overflow": (b"2 2\na 1 2\nb 3 1e39\n", "line 3, is no word with 2 numbers: overflow"),
    "short row": (b"a 1 2\nb 3 4\nc 5\n", "line 3, is no word with 2 numbers: it has 1"),
    "first row short": (b"3 3\na 1 2\nb 3 4 5\nc 6 7 8\n", "line 2, is no word with 3 numbers: it has 2"),
    "long row": (b"a 1 2\nb 3 4 5\n", "line 2, is no word with 2 numbers: it has more"),
    "two spaces": (b"a 1 2\nb 3  4\n", "line 2, is no word with 2 numbers: it has more"),
    "tab": (b"a 1 2\nb 3\t4\n", "line 2, is no word with 2 numbers: it has 1"),
    "rows missing": (b"3 2\naaaaa 1 2\nbbbbb 3 4\n", "holds 2 vectors, its first line promises 3"),
    "rows too many": (b"1 2\na 1 2\nb 3 4\n", "holds 2 vectors, its first line promises 1"),
    "no numbers promised": (b"2 0\na\nb\n", "line 1, promises vectors of 0 numbers"),
    "vast text": (b"%d 2\na 1 2\n" % 10**12, "line 1, promises 1000000000000 vectors of 2 numbers"),
    "vast binary": (b"%d 300\na \0\1\2" % 10**12, "line 1, promises 1000000000000 vectors"),
    "vast rows": (b"1 %d\na \0\1\2" % 10**17, "line 1, promises 1 vectors of 100000000000000000"),
    "huge integers": (b"9" * 5000 + b" 2\na 1 2\n", "line 2, is no word"),
    "byte order mark": (b"\xef\xbb\xbf2 2\na 1 2\nb 3 4\n", "line 2, is no word with 1 numbers: it has more"),
    "endless line": (b"a 1" + b" 1" * (1 << 21), "line 1, is longer than"),
    "binary cut": (BINARY[:-3], "byte 14, holds neither as text nor as binary word 2 of 2 and its 2 numbers"),
    "binary goes on": (BINARY + b"c ", "goes on after the 2 vectors"),
    "binary goes on with newlines": (BINARY + b"\n", "goes on after the 2 vectors"),
    "no space in sight": (b"1 2\n" + b"a" * (1 << 22) + b" 12345678", "byte 4, holds neither"),
    "gzip cut": (gzip.compress(b"a 1 2\nb 3 4\n")[:-9], "is damaged gzip"),
    "gzip flipped": (b"\x1f\x8bnonsense", "is damaged gzip"),
    "gzip of a flipped body": (gzip.compress(BINARY)[:-8] + b"\0" * 8, "is damaged gzip"),
    "gzip promises too much": (gzip.compress(b"%d 3\na 1 2 3\n" % 10**12), "line 1, promises"),
    "array cut": (npy((2, 2))[:-1], "has 8. bytes, its header promises 2 x 2 numbers|more than the file"),
    "array goes on": (npy((2, 2)) + b"\0", "has .* bytes, its header promises 2 x 2 numbers"),
    "gzipped array cut": (gzip.compress(npy((2, 2))[:-1]), "does not hold the 2 x 2 numbers"),
    "gzipped array goes on": (gzip.compress(npy((2, 2)) + b"\0"), "does not hold the 2 x 2 numbers"),
    "vast array": (npy((10**12, 10**12)), "promises 1000000000000 vectors"),
    "endless array": (npy((2**70, 1)), "promises 1180591620717411303424 vectors"),
    "vast gzipped array": (gzip.compress(npy((10**12, 10**12))), "promises 1000000000000 vectors"),
    "negative array": (npy((-2, 2)), "bytes, its header promises -2 x 2|not a readable"),
    "array of doubles": (npy((2, 1), "<f8"), "holds float64 of shape .* expected float32"),
    "array of objects": (npy((2, 1), "|O"), "holds object of shape .* expected float32"),
    "array of the other end": (npy((2, 2), ">f4"), "holds >f4 of shape"),
    "array by columns": (npy((2, 2), by_columns=True), "expected float32 by rows"),
    "flat array": (npy((4,)), "expected float32 by rows, .words, dimensions"),
    "array of code": (b"\x93NUMPY\1\0\x10\0__import__('os')", "is not a readable .npy array"),
    "array under a deep header": (npy("-" * 9000 + "1"), "is not a readable .npy array"),
    "array under a vast header": (b"\x93NUMPY\2\0\xff\xff\xff\xff{}", "is not a readable .npy array"),
    "array of a new version": (b"\x93NUMPY\x09\0" + npy((2, 2))[8:], "is not a readable .npy array"),
    "array without words": (npy((2, 2)), "there is no a.vocab.tsv with their words"),
    "tensors without words": (b"1\t2\n3\t4\n", "there is no a.metadata.tsv with their words"),
    "short tensor": (b"1\t2\n3\n", "line 2, is no row of 2 numbers: it has 1"),
    "long tensor": (b"1\t2\n3\t4\t5\n", "line 2, is no row of 2 numbers: it has more"),
    "no tensor": (b"1\t2\n3\tx\n", "line 2, is no row of 2 numbers: could not convert"),
}  # fmt: skip


@pytest.mark.parametrize("compiled_from", [0, 1 << 20])
@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str, compiled_from: int
) -> None:
    monkeypatch.setattr(_text, "_COMPILED_FROM", compiled_from)
    file = tmp_path / "a.vec"
    with pytest.raises(ArtifactError, match=re.escape(str(file)) + f".*({message})") as raised:
        read(content, file)
    assert str(raised.value).count(". ") >= 1  # and the way out


@pytest.mark.parametrize("case", [case for case in DAMAGED if "vast" in case or "endless a" in case])
def test_a_hostile_header_allocates_nothing(tmp_path: Path, case: str) -> None:
    (tmp_path / "a").write_bytes(DAMAGED[case][0])
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError):
            read_vectors(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20  # a few blocks
    finally:
        tracemalloc.stop()


def test_gzip_out_of_all_proportion_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(b"word 1\n" * (5 << 20))
    with pytest.raises(ArtifactError, match=r"unpacks to more than 200 times its size.*gunzip"):
        read(bomb, tmp_path / "a")


def test_words_beside_an_array_are_held_against_it(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", WORDS, MATRIX)
    vocab_of(["a", "b", "c"]).save(tmp_path / "a.vocab.tsv")
    with pytest.raises(ArtifactError, match=r"a\.vocab\.tsv has 3 words, a\.npy has 2 vectors"):
        read_vectors(tmp_path / "a.npy")
    (tmp_path / "a.vocab.tsv").write_text("king\nqueen\n")
    with pytest.raises(ArtifactError, match=r"a\.vocab\.tsv: is not a vocabulary"):
        read_vectors(tmp_path / "a.npy")


def test_an_array_outlives_its_file(tmp_path: Path) -> None:
    """Looking at one that is mapped would end the process."""
    file = write(tmp_path / "a.npy", WORDS, MATRIX).files[0]
    found = read_vectors(file).matrix_VD
    assert not isinstance(found, np.memmap) and not isinstance(found.base, np.memmap)
    os.truncate(file, 0)
    assert same_bits(found, MATRIX)


def test_an_array_that_another_program_cuts_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.npy", ["king", "queen"], np.ones((2, 300_000), np.float32)).files[0]
    shape_of = _npy._shape

    def cut_behind_the_header(source: Source) -> tuple[int, int]:
        shape = shape_of(source)
        os.truncate(file, 2 << 20)
        return shape

    monkeypatch.setattr(_npy, "_shape", cut_behind_the_header)
    with pytest.raises(ArtifactError, match=f"{file} does not hold the 2 x 300000 numbers that its header"):
        read_vectors(file)


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.npy", WORDS, MATRIX).files[0]

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise MemoryError("no room")

    def refuse_to_open(*_args: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with monkeypatch.context() as starved, pytest.raises(MemoryError, match="no room"):
        starved.setitem(_npy._READ_HEADER, (1, 0), refuse)
        read_vectors(file)
    with monkeypatch.context() as starved, pytest.raises(MemoryError, match="no room"):
        starved.setattr(np, "empty", refuse)
        read_vectors(file)
    with monkeypatch.context() as starved, pytest.raises(MemoryError, match=f"{file} could not be read"):
        starved.setattr(Path, "open", refuse_to_open)
        read_vectors(file)


def test_an_array_without_words(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy((0, 2), body=b""))
    (tmp_path / "a.vocab.tsv").write_bytes(b"word\tcount\tspecials=0\n")
    assert read_vectors(tmp_path / "a.npy").matrix_VD.shape == (0, 2)


@pytest.mark.parametrize("name", NAMES)
def test_every_cut_of_a_file_is_noticed(tmp_path: Path, name: str) -> None:
    words, matrix = ["king", "queen", "a"], np.array([[1.25, 2.5], [3.75, 4.5], [5.5, 6.25]], np.float32)
    for ending in ("", ".gz"):
        for file in write(tmp_path / (name + ending), words, matrix).files:
            whole = file.read_bytes()
            for end in range(len(whole)):
                file.write_bytes(whole[:end])
                assert is_noticed(tmp_path / (name + ending), whole, end), f"{file.name} cut at {end}"
            file.write_bytes(whole)


def is_noticed(file: Path, whole: bytes, end: int) -> bool:
    """A cut at the end of a line of GloVe cannot be seen, nor can a missing last newline of words."""
    try:
        found = read_vectors(file)
    except ArtifactError:
        return True
    at_line_end = whole[end : end + 1] == b"\n" or whole[end - 1 : end] == b"\n"
    return bool(found.notices) or (at_line_end and (end == len(whole) - 1 or file.name == "a.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bits_are_read_or_named_but_never_crash(tmp_path: Path, name: str) -> None:
    files = write(tmp_path / name, ["king", "queen"], MATRIX).files
    chance = random.Random(1)
    for file in files:
        whole = file.read_bytes()
        for place in range(min(len(whole), 96)):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << chance.randrange(8)
            file.write_bytes(flipped)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's, of headers as Python 2 wrote them
                try:
                    read_vectors(tmp_path / name)
                except (ArtifactError, DataError):
                    continue
        file.write_bytes(whole)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_vectors(tmp_path / "no.vec")
    with pytest.raises(ArtifactError, match="cannot be read as a file, as it is a folder"):
        read_vectors(tmp_path)


@pytest.mark.parametrize("format", [None, *_READERS])
def test_a_name_that_no_file_can_have(tmp_path: Path, format: Format | None) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for name, reason in {
        "n" * 300: "File name too long",
        "circle": "Too many levels of symbolic links",
    }.items():
        with pytest.raises(DataError, match=f"{name} cannot be read .{reason}.*. Check its name, and"):
            read_vectors(tmp_path / name, format)


@pytest.mark.parametrize("ending", [".npy", ".tsv"])
def test_a_name_too_long_for_words_beside_it(tmp_path: Path, ending: str) -> None:
    file = write(tmp_path / f"a{ending}", WORDS, MATRIX).files[0]
    long = file.rename(tmp_path / ("a" * 250 + ending))
    with pytest.raises(ArtifactError, match=f"{long} holds numbers alone, and there is no aaa"):
        read_vectors(long)


def test_a_file_that_may_not_be_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "a.vec", WORDS, MATRIX)
    reading = f"from nlpseq.vectors.formats.registry import *; read_vectors(Path('{tmp_path}/a.vec'))"
    tmp_path.chmod(0o000)
    done = subprocess.run(
        [sys.executable, "-c", reading], preexec_fn=lose_rights, capture_output=True, text=True, check=False
    )
    tmp_path.chmod(0o755)
    assert f"DataError: {tmp_path}/a.vec cannot be read (Permission denied). Check" in done.stderr, (
        done.stderr
    )


@pytest.mark.parametrize("format", [None, *_READERS])
def test_what_cannot_be_read_twice_is_refused_before_it_is_read(
    tmp_path: Path, format: Format | None
) -> None:
    os.mkfifo(tmp_path / "pipe")  # whose opening would wait, as nobody writes into it
    reading, writing = os.pipe()
    os.write(writing, b"a 1 2\nb 3 4\n")
    for file in (Path("/dev/null"), Path("/dev/zero"), Path(f"/dev/fd/{reading}"), tmp_path / "pipe"):
        message = f"{file} cannot be read as vectors, as it is a pipe or a device. Save it to a file"
        with pytest.raises(DataError, match=message):
            read_vectors(file, format)
    assert os.read(reading, 99) == b"a 1 2\nb 3 4\n"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_words_from_a_device_are_refused(tmp_path: Path, name: str) -> None:
    words = write(tmp_path / name, WORDS, MATRIX).files[1]
    words.unlink()
    words.symlink_to("/dev/null")
    with pytest.raises(DataError, match=f"{words} cannot be read as vectors, as it is a pipe or a device"):
        read_vectors(tmp_path / name)
