"""Corrupt and hostile files are named, never guessed at, and cost little memory."""

import bz2
import errno
import gzip
import io
import lzma
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
from as_ordinary_user import lose_rights
from support.vocabularies import FILE_NAMES, MATRIX, WORDS, same_bits, vocab_of, write

from nlpseq.errors import ArtifactError, DataError
from nlpseq.vectors.formats.names import Format
from nlpseq.vectors.formats.npy import read_npy
from nlpseq.vectors.formats.reader import ReadOptions, ReadSizes, open_source
from nlpseq.vectors.formats.registry import FILE_FORMATS, read_vectors


def npy(shape: object, descr: str = "<f4", by_columns: bool = False, body: bytes = b"\0" * 16) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': {by_columns}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + body


BINARY = b"2 2\na " + struct.pack("<2f", 1, 2) + b"\nb " + struct.pack("<2f", 3, 4) + b"\n"
CORRUPT = {
    "empty": (b"", "is empty, like a broken download"),
    "zero bytes": (b"\0" * 900, "holds zero bytes alone"),
    "number in the first row": (b"2 2\na 1 x\nb 3 4\n", "line 2 is not a word with 2 numbers: 'x' is not a"),
    "no number": (b"2 2\na 1 2\nb 3 x\n", "line 3 is not a word with 2 numbers: 'x' is not a number"),
    "first row short": (b"3 3\na 1 2\nb 3 4 5\nc 6 7 8\n", "line 2 is not a word with 3 numbers: 2 found"),
    "rows missing": (
        b"3 2\naaaaa 1 2\nbbbbb 3 4\n",
        "holds 2 vectors, but line 1 declares 3: the file is trunc",
    ),
    "rows too many": (
        b"1 2\na 1 2\nb 3 4\n",
        "holds 2 vectors, but line 1 declares 1: line 1 is wrong, or another file was joined",
    ),
    "fewer numbers": (b"2 3\na 1 2\nb 3 4\n", "line 1 declares vectors of 3 numbers, but line 2 ends in 2"),
    "more numbers": (
        b"2 2\na 1 2 3\nb 3 4 5\n",
        "line 1 declares vectors of 2 numbers, but line 2 ends in 3",
    ),
    "zero dimensions": (b"2 0\na\nb\n", "line 1 declares vectors of 0 numbers"),
    "last row truncated": (b"2 3\na 1 2 3\nb 4 5", "line 3 is truncated: it ends in 2 of 3 numbers"),
    "last row truncated, no sizes": (b"a 1 2 3\nb 4 5", "line 2 is truncated: it ends in 2 of 3 numbers"),
    "joined, with sizes": (b"1 2\na 1 2\n1 2\nb 3 4\n", "line 3 is a second line of sizes, as after joining"),
    "joined, other sizes": (b"2 2\na 1 2\nb 3 4\nc 1 2 3 4 5\n", "holds 3 vectors.* joining files with vect"),
    "joined, no sizes": (
        b"a 1 2\nb 3 4 5 6 7\n",
        "line 2 ends in 5 numbers, other lines in 2, as after joining",
    ),
    "joined, shorter": (
        b"a 1 2 3 4 5\nb 1 2 3 4 5\nc 1 2\n",
        "line 3 ends in 2 numbers, other lines in 5, as after joining two files or losing a part",
    ),
    "joined, longer first": (b"a 1 2 3 4 5\nb 3 4\nc 3 4\n", "line 1 ends in 5 numbers, other lines in 2"),
    "decimal comma": (b"2 2\na 1,5 0,25\nb 0,5 1,0\n", "line 2 .* '0,25' has a decimal comma"),
    "decimal comma, no sizes": (b"a 1,5 0,25\nb 0,5 1,0\n", "line 1 .* '0,25' has a decimal comma"),
    "decimal commas of the length of binary rows": (
        b"3 4\na 0,1 0,2 0,3 0,4\nb 0,5 0,6 0,7 0,8\nc 0,9 1,0 1,1 1,2\n",
        "line 2 is not a word with 4 numbers: '0,4' has a decimal comma",
    ),
    "decimal comma before a whole number": (b"a 1,5 2\nb 2,5 3\n", "line 1 .* '1,5' has a decimal comma"),
    "decimal comma later": (b"a 1 2\nb 3,0 4\nc 5 6\n", "line 2 .* 2 numbers: '3,0' has a decimal comma"),
    "underscore": (b"a 1 1_0\nb 0 1\n", "line 1 .* '1_0' has an underscore"),
    "no number of Windows": (
        b"a 1 2\nb 0 -1.#IND\n",
        "line 2 .* '-1.#IND' is not a number but a mark of Windows",
    ),
    "no number of new Windows": (
        b"a 1 2\nb 0 -nan(ind)\n",
        r"line 2 .* '-nan\(ind\)' is not a number but a mark",
    ),
    "comma for thousands": (
        b"2 2\na 1,000.5 2\nb 0 1\n",
        "line 2 .* '1,000.5' has a comma between its digits",
    ),
    "decimal commas alone": (
        b"a 0,5 0,25\nb 1 0,5\n",
        "line 1 is not a word with numbers: '0,25' .* as -0.25.$",
    ),
    "minus sign": (
        "a \u22121 2\nb 0 1\n".encode(),
        "line 1 .* 2 numbers: '\u22121' begins with a minus sign",
    ),
    "Fortran": (b"a 1 0.1D+01\nb 0 1\n", r"line 1 .* '0.1D\+01' has an exponent of Fortran"),
    "commas": (b"2 2\na 1.5,2.5\nb 0.5,1.0\n", "line 2 .* '1.5,2.5' has commas between its numbers"),
    "commas after the word": (b"2 2\na,1.5,2.5\nb,0.5,1.0\n", "line 2 is not a word with 2 numbers: 0 found"),
    "commas and spaces": (b"2 2\na, 1, 2\nb, 3, 4\n", "line 2 .* 2 numbers: '1,' ends in a comma"),
    "semicolons and spaces": (b"2 3\na 1; 2; 3\nb 4; 5; 6\n", "line 2 .* 3 numbers: '2;' ends in a .* semic"),
    "brackets": (b"2 2\na [1 2]\nb [0 1]\n", "line 2 .* '2]' is not a number"),
    "no-break spaces": ("2 2\na 1\u00a02\nb 0\u00a01\n".encode(), r"line 2 .* '1\\xa02' is not a number"),
    "blank lines": (b"\xef\xbb\xbf\n \r\n\t\n", "holds blank lines alone, like a broken download"),
    "sizes alone": (b"300 2", "line 1 declares 300 vectors of 2 numbers, more .*: the file is truncated, or"),
    "hexadecimal": (b"a 1 0x1p3\nb 0 1\n", "line 1 .* '0x1p3' is hexadecimal"),
    "vast text": (b"%d 2\na 1 2\n" % 10**12, "line 1 declares 1,000,000,000,000 vectors of 2 numbers"),
    "vast binary": (b"%d 300\na \0\1\2" % 10**12, "line 1 declares 1,000,000,000,000 vectors|more than"),
    "vast rows": (b"1 %d\na \0\1\2" % 10**17, "line 1 declares 1 vector of 100,000,000,000,000,000"),
    "endless line": (b"a 1" + b" 1" * (1 << 21), "line 1 is longer than"),
    "binary truncated": (
        BINARY[:-3],
        "byte 14 does not hold word 2 of 2 and its 2 numbers: the file is trunc",
    ),
    "binary continues": (
        BINARY + b"c ",
        "continues after the 2 vectors that line 1 declares: line 1 is wrong",
    ),
    "binary continues with newlines": (BINARY + b"\n", "continues after the 2 vectors"),
    "binary joined": (
        BINARY * 2,
        "continues after the 2 vectors .* byte 25 begins a second file, of 2 vectors",
    ),
    "no space in sight": (
        b"1 2\n" + b"a" * (1 << 22) + b" 12345678",
        "line 2 is longer than|byte 4 does not",
    ),
    "gzip truncated": (gzip.compress(b"a 1 2\nb 3 4\n")[:-9], r"is truncated after \d+ compressed bytes"),
    "gzip header": (b"\x1f\x8bnonsense", "is corrupt near byte 10 of the compressed data"),
    "gzip checksum": (gzip.compress(BINARY)[:-8] + b"\0" * 8, "is corrupt near byte"),
    "gzip declares too much": (gzip.compress(b"%d 3\na 1 2 3\n" % 10**12), "line 1 declares"),
    "bz2 checksum": (bz2.compress(BINARY)[:-4] + b"\0" * 4, "is corrupt near byte"),
    "xz truncated": (lzma.compress(BINARY)[:-9], "is truncated after"),
    "array truncated": (npy((2, 2))[:-1], "has 8. bytes, but its header declares 2 x 2|more than the file"),
    "array continues": (npy((2, 2)) + b"\0", "has .* bytes, but its header declares 2 x 2 numbers"),
    "gzipped array truncated": (gzip.compress(npy((2, 2))[:-1]), "does not hold the 2 x 2 numbers"),
    "gzipped array continues": (gzip.compress(npy((2, 2)) + b"\0"), "does not hold the 2 x 2 numbers"),
    "vast array": (npy((10**12, 10**12)), "has .* bytes, but its header declares 1,000,000,000,000 x"),
    "endless array": (npy((2**70, 1)), "its header declares 1,180,591,620,717,411,303,424 x 1 numbers"),
    "vast gzipped array": (gzip.compress(npy((10**12, 10**12))), "declares 1,000,000,000,000 vectors"),
    "negative array": (npy((-2, 2)), "not floats of shape .words, dimensions"),
    "negative array by columns": (gzip.compress(npy((-2, 2), by_columns=True)), "not floats of shape"),
    "array with a truth value for a size": (npy((True, 2), by_columns=True, body=b"\0" * 8), "not floats of"),
    "array of integers": (npy((2, 1), "<i8"), "holds int64 of shape .* not floats of shape"),
    "array of objects": (npy((2, 1), "|O"), "holds object of shape .* not floats of shape"),
    "array of texts": (
        npy((2,), "<U2"),
        r"is an array of texts .<U2., not of vectors\..* into NAME\.vocab\.tsv",
    ),
    "array of bytes": (npy((2, 2), "|S4"), "is an array of texts .*Name the array of vectors"),
    "flat array": (npy((4,)), "not floats of shape .words, dimensions"),
    "array with code": (b"\x93NUMPY\1\0\x10\0__import__('os')", "is not a readable .npy array"),
    "array with a deep header": (npy("-" * 9000 + "1"), "is not a readable .npy array"),
    "array with a vast header": (b"\x93NUMPY\2\0\xff\xff\xff\xff{}", "is not a readable .npy array"),
    "array of a new version": (b"\x93NUMPY\x09\0" + npy((2, 2))[8:], "is not a readable .npy array"),
    "array without words": (npy((2, 2)), "a.vocab.tsv with their words is missing"),
    "tensors without words": (b"1\t2\n3\t4\n", "a.metadata.tsv with their words is missing"),
}
TENSORS = {
    "short": (b"1\t2\n3\n", "line 2 is not 2 numbers: 1 found"),
    "long": (b"1\t2\n3\t4\t5\n", "line 2 is not 2 numbers: 3 found"),
    "with text": (b"1\t2\n3\tx\n", "line 2 is not 2 numbers: 'x' is not a number"),
}


@pytest.mark.parametrize(("content", "message"), TENSORS.values(), ids=TENSORS.keys())
def test_error_names_corrupt_tensors(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    (tmp_path / "a.metadata.tsv").write_text("king\nqueen\n")
    for options in (ReadOptions(), ReadOptions(lenient=True)):
        with pytest.raises(ArtifactError, match=message):
            read_vectors(tmp_path / "a.tsv", "projector", options=options)


@pytest.mark.parametrize("sizes", [ReadSizes(compile_after=0), ReadSizes()], ids=["compiled", "plain"])
@pytest.mark.parametrize(("content", "message"), CORRUPT.values(), ids=CORRUPT.keys())
def test_error_names_corrupt_vector_file(
    tmp_path: Path, content: bytes, message: str, sizes: ReadSizes
) -> None:
    file = tmp_path / "a.vec"
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=re.escape(str(file)) + f".*({message})") as raised:
        read_vectors(file, sizes=sizes)
    assert str(raised.value).count(". ") >= 1  # and the fix


@pytest.mark.parametrize("case", [case for case in CORRUPT if "vast" in case or "endless a" in case])
def test_impossible_header_allocates_nothing(tmp_path: Path, case: str) -> None:
    (tmp_path / "a").write_bytes(CORRUPT[case][0])
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError):
            read_vectors(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20  # a few blocks
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "compress",
    [
        pytest.param(gzip.compress, id="gz"),
        pytest.param(bz2.compress, id="bz2", marks=pytest.mark.slow),
        pytest.param(lzma.compress, id="xz", marks=pytest.mark.slow),
    ],
)
def test_decompression_bomb_is_refused(tmp_path: Path, compress) -> None:
    (tmp_path / "a").write_bytes(compress(b"word 1\n" * (5 << 20)))
    with pytest.raises(ArtifactError, match=r"decompresses to more than 200 times its size.*by hand"):
        read_vectors(tmp_path / "a")


def test_compression_is_sniffed_whatever_the_name(tmp_path: Path) -> None:
    for content in (b"1 1\na 1\n", lzma.compress(b"1 1\na 1\n")):
        (tmp_path / "a.vec.gz").write_bytes(content)
        assert read_vectors(tmp_path / "a.vec.gz").vocab.words == ["a"]


@pytest.mark.parametrize("name", FILE_NAMES)
def test_every_truncation_is_noticed(tmp_path: Path, name: str) -> None:
    words, matrix = ["king", "queen", "a"], np.array([[1.25, 2.5], [3.75, 4.5], [5.5, 6.25]], np.float32)
    for ending in ("", ".gz"):
        for file in write(tmp_path / (name + ending), words, matrix).files:
            whole = file.read_bytes()
            for end in range(len(whole)):
                file.write_bytes(whole[:end])
                assert is_noticed(tmp_path / (name + ending), whole, end), f"{file.name} cut at {end}"
            file.write_bytes(whole)


def is_noticed(file: Path, whole: bytes, end: int) -> bool:
    """Accept truncation at the end of a GloVe line, or of the last newline of words, as invisible."""
    try:
        found = read_vectors(file)
    except (ArtifactError, DataError):
        return True
    at_line_end = whole[end : end + 1] == b"\n" or whole[end - 1 : end] == b"\n"
    return bool(found.notices) or (at_line_end and (end == len(whole) - 1 or file.name == "a.txt"))


@pytest.mark.parametrize("name", FILE_NAMES)
def test_flipped_bits_never_crash(tmp_path: Path, name: str) -> None:
    files = write(tmp_path / name, ["king", "queen"], MATRIX).files
    chance = random.Random(1)
    for file in files:
        whole = file.read_bytes()
        for offset in range(min(len(whole), 96)):
            flipped = bytearray(whole)
            flipped[offset] ^= 1 << chance.randrange(8)
            file.write_bytes(flipped)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's about headers of Python 2
                try:
                    read_vectors(tmp_path / name)
                except (ArtifactError, DataError):
                    continue
        file.write_bytes(whole)


def test_words_file_must_fit_the_array(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", WORDS, MATRIX)
    vocab_of(["a", "b", "c"]).save(tmp_path / "a.vocab.tsv")
    with pytest.raises(ArtifactError, match=r"a\.vocab\.tsv: has 3 words, but a\.npy has 2 vectors"):
        read_vectors(tmp_path / "a.npy")
    for content, message in {
        "word\tcount\tspecials=0\nking\nqueen\n": r"a\.vocab\.tsv:? is not a vocabulary",
        "word\tcount\nking\t3\nqueen\t2\n": r"a\.vocab\.tsv: has several columns",
        "king\n": r"a\.vocab\.tsv: has 1 word, but a\.npy has 2 vectors",
    }.items():
        (tmp_path / "a.vocab.tsv").write_text(content)
        with pytest.raises(ArtifactError, match=message):
            read_vectors(tmp_path / "a.npy")


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", ">f2", ">f4", "<f8", ">f8"])
def test_arrays_of_other_types_are_read(tmp_path: Path, dtype: str, order: str, ending: str) -> None:
    matrix = np.random.default_rng(2).normal(size=(700, 300)).astype(dtype)
    content = io.BytesIO()
    np.save(content, np.asarray(matrix, order=order))
    (tmp_path / f"a.npy{ending}").write_bytes(
        gzip.compress(content.getvalue()) if ending else content.getvalue()
    )
    (tmp_path / f"a.vocab.tsv{ending}").write_text("".join(f"word{v}\n" for v in range(700)))
    found = read_vectors(tmp_path / f"a.npy{ending}")
    assert same_bits(found.matrix_VD, np.ascontiguousarray(matrix.astype(np.float32)))
    assert found.vocab.words == [f"word{v}" for v in range(700)]
    assert found.notices == [
        f"a.vocab.tsv{ending} has no digest, so the order of the words could not be checked"
    ]
    first = read_vectors(tmp_path / f"a.npy{ending}", options=ReadOptions(load_top=3))
    assert (first.vocab.words, first.matrix_VD.tolist()) == (
        ["word0", "word1", "word2"],
        matrix[:3].astype(np.float32).tolist(),
    )


def test_projector_metadata_of_other_tools_loads(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"1\t2\n3\t4\n")
    metadata = tmp_path / "a.metadata.tsv"
    mark = b"\xef\xbb\xbf"
    for content in (b"king\nthe queen\n", mark + b"king\r\nthe queen\r\n", b"king\nthe queen"):
        metadata.write_bytes(content)
        assert read_vectors(tmp_path / "a.tsv").vocab.words == ["king", "the queen"]
    for content, message in {
        b"word\nking\nqueen\n": "has 3 words, but a.tsv has 2 vectors",
        b"word\tcount\nking\t3\nqueen\t2\n": "has several columns",
        b"": "has 0 words",
    }.items():
        metadata.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"a.metadata.tsv: {message}"):
            read_vectors(tmp_path / "a.tsv")


@pytest.mark.parametrize("by_columns", [False, True])
def test_array_without_rows_loads(tmp_path: Path, by_columns: bool) -> None:
    (tmp_path / "a.npy").write_bytes(npy((0, 2), by_columns=by_columns, body=b""))
    (tmp_path / "a.vocab.tsv").write_bytes(b"word\tcount\tspecials=0\n")
    assert read_vectors(tmp_path / "a.npy").matrix_VD.shape == (0, 2)


def test_array_is_copied_not_mapped(tmp_path: Path) -> None:
    """A mapped file that shrinks would end the process."""
    file = write(tmp_path / "a.npy", WORDS, MATRIX).files[0]
    found = read_vectors(file).matrix_VD
    assert not isinstance(found, np.memmap) and not isinstance(found.base, np.memmap)
    os.truncate(file, 0)
    assert same_bits(found, MATRIX)


def test_array_truncated_while_open_is_corrupt(tmp_path: Path) -> None:
    file = write(tmp_path / "a.npy", ["king", "queen"], np.ones((2, 300_000), np.float32)).files[0]
    with open_source(file) as source:
        os.truncate(file, 2 << 20)
        with pytest.raises(ArtifactError, match=f"{file}: does not hold the 2 x 300,000 numbers"):
            read_npy(source)


def test_memory_shortage_is_not_corruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.npy", WORDS, MATRIX).files[0]

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise MemoryError("no room")

    def refuse_to_open(*_args: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    for owner, name, broken, message in (
        (np.lib.format, "read_array_header_1_0", refuse, "no room"),
        (np, "empty", refuse, "no room"),
        (Path, "open", refuse_to_open, f"{file}: could not be read"),
    ):
        with monkeypatch.context() as starved, pytest.raises(MemoryError, match=message):
            starved.setattr(owner, name, broken)
            read_vectors(file)


def test_errors_name_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_vectors(tmp_path / "no.vec")
    with pytest.raises(ArtifactError, match="is a folder, not a file"):
        read_vectors(tmp_path)


@pytest.mark.parametrize("format", [None, *FILE_FORMATS])
def test_impossible_names_are_refused(tmp_path: Path, format: Format | None) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for name, reason in {
        "n" * 300: "File name too long",
        "circle": "Too many levels of symbolic links",
    }.items():
        with pytest.raises(DataError, match=f"{name}: cannot be read .{reason}.*. Check that the path"):
            read_vectors(tmp_path / name, format)


@pytest.mark.parametrize("ending", [".npy", ".tsv"])
def test_name_too_long_for_words_file_is_refused(tmp_path: Path, ending: str) -> None:
    file = write(tmp_path / f"a{ending}", WORDS, MATRIX).files[0]
    long = file.rename(tmp_path / ("a" * 250 + ending))
    with pytest.raises(ArtifactError, match=f"{long}: holds numbers alone, and aaa"):
        read_vectors(long)


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.vec", WORDS, MATRIX)
    code = "from pathlib import Path; from nlpseq.vectors.formats.registry import read_vectors; "
    code += f"read_vectors(Path('{tmp_path}/a.vec'))"
    tmp_path.chmod(0o000)
    done = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=lose_rights, capture_output=True, text=True, check=False
    )
    tmp_path.chmod(0o755)
    assert f"DataError: {tmp_path}/a.vec: cannot be read (Permission denied). Check" in done.stderr, (
        done.stderr
    )


@pytest.mark.parametrize("format", [None, *FILE_FORMATS])
def test_pipes_and_devices_are_refused_unread(tmp_path: Path, format: Format | None) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    reading, writing = os.pipe()
    os.write(writing, b"a 1 2\nb 3 4\n")
    for file in (Path("/dev/null"), Path("/dev/zero"), Path(f"/dev/fd/{reading}"), tmp_path / "pipe"):
        with pytest.raises(DataError, match=f"{file}: is a pipe or a device, which cannot be read twice"):
            read_vectors(file, format)
    assert os.read(reading, 99) == b"a 1 2\nb 3 4\n"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_words_from_a_device_are_refused(tmp_path: Path, name: str) -> None:
    words = write(tmp_path / name, WORDS, MATRIX).files[1]
    words.unlink()
    words.symlink_to("/dev/null")
    with pytest.raises(DataError, match=f"{words}: is a pipe or a device, which cannot be read twice"):
        read_vectors(tmp_path / name)
