"""Files that are not vectors are named, and archives with one file of vectors are read."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nlpseq.errors import ArtifactError, DataError
from nlpseq.vectors.formats.reader import ReadOptions
from nlpseq.vectors.formats.registry import is_vector_file, read_vectors

TEXT = b"2 2\na 1 2\nb 3 4\n"
BINARY = b"2 2\na " + struct.pack("<2f", 1, 2) + b"\nb " + struct.pack("<2f", 3, 4) + b"\n"


def npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, vectors=np.eye(2))
    return content.getvalue()


FOREIGN = {
    "prose": (
        b"Once upon a time\nthere was\n",
        "is a text without vectors, because line 1 is neither.*`nlpseq train-w2v .*a.(vec|bin)`. Name",
    ),
    "unknown bytes": (b"\x01\x02\xfe\x10\n\x03 x\x05\n", r"(?<=: )line 1 is neither"),
    "web page": (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", r"\(HTML page\)\. Download the file"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        r"\(Git LFS pointer\)\. Type `git lfs pull`",
    ),
    "pickle": (pickle.dumps({"king": [0.1, 0.2]}, 4), r"\(pickle\)\. nlpseq runs no code"),
    "pickle of Python 2": (b"(dp0\nVking\np1\n", r"\(pickle\)"),
    "gensim": (
        b"\x80\x04\x95\x5d\x01\0\0\0\0\0\0\x8c\x1agensim.models.keyedvectors\x94",
        "save_word2vec_format",
    ),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "7z x"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\n", "PDF document"),
    "npz": (npz(), r"\(NumPy array\)\. Store one array"),
    "UTF-16": (
        "2 2\na 1 2\nb 3 4\n".encode("utf-16"),
        "is text in UTF-16-LE, not in UTF-8. Convert it: iconv",
    ),
    "whole numbers": (b"1 2 3\n4 5 6\n", "holds whole numbers alone.* --from glove"),
    "commas": (b"a,1.5,2.5\nb,0.5,1.0\n", "separates its fields by ','. Write spaces or tabs"),
    "semicolons": (b"word;x;y\na;1,5;2,5\nb;0,5;1,0\n", "separates its fields by ';'. Write spaces or tabs"),
    "commas and spaces": (b"a, 1.5, 2.5\nb, 0.5, 1.0\n", "separates its fields by ','"),
    "commas after a space": (b"a 1.5, 2.5, 3\nb 0.5, 1.0, 4\n", "separates its fields by ','"),
    "semicolons and spaces": (b"a; 1,5; 2,5\nb; 0,5; 1\n", "separates its fields by ';'"),
    "dates": (b"January 3, 2001\nMarch 14, 2002\n", "separates its fields by ','"),
    "prose with commas": (b"Once, 3 men\nIn 1984, 23\nthere was, alas\n", "line 1 is neither"),
    "JSON": (b'{"a": [1.0, 2.0]}\n', r"\(JSON\)\. Write a word and its numbers"),
    "error in XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a failed download"),
}


@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN.keys())
def test_file_without_vectors_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    for name in ("a.vec", "a.bin"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            read_vectors(tmp_path / name)
        assert not is_vector_file(tmp_path / name)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


PACKED = {
    "zip": zipped,
    "stored zip": lambda members: zipped(members, zipfile.ZIP_STORED),
    "tar": tarred,
    "tar.gz": lambda members: tarred(members, "w:gz"),
    "tar.xz": lambda members: tarred(members, "w:xz"),
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED.keys())
@pytest.mark.parametrize(
    "content",
    [TEXT, BINARY, TEXT[4:], gzip.compress(BINARY, mtime=0)],
    ids=["text", "binary", "glove", "gzip"],
)
def test_archive_with_one_file_of_vectors_is_read(tmp_path: Path, pack, content: bytes) -> None:
    file = tmp_path / "a.vec"
    file.write_bytes(pack({"v/x.bin": content}))
    assert is_vector_file(file)
    found = read_vectors(file)
    assert (found.vocab.words, found.matrix_VD.tolist()) == (["a", "b"], [[1, 2], [3, 4]])
    assert found.notices == []
    others = {"README": b"Some vectors.\n", "b.npy": b"\x93NUMPY", "empty": b""}
    file.write_bytes(pack({"v/x.bin": content} | others))
    found = read_vectors(file)
    assert found.notices == [f"{file}, member v/x.bin read, not member README, member b.npy, member empty"]
    assert found.matrix_VD.tolist() == [[1, 2], [3, 4]]


def test_archive_needs_exactly_one_file_of_vectors(tmp_path: Path) -> None:
    for pack in PACKED.values():
        (tmp_path / "a").write_bytes(pack({"x.txt": TEXT, "y.txt": TEXT, "z": b"prose\n"}))
        with pytest.raises(
            DataError, match=r"a: holds 2 files of vectors, member x\.txt, member y\.txt\. Ext"
        ):
            read_vectors(tmp_path / "a")
        (tmp_path / "a").write_bytes(pack({"z": b"prose\n"}))
        with pytest.raises(
            DataError, match=r"a: is an archive without a file of vectors, but with member z\."
        ):
            read_vectors(tmp_path / "a")


def test_archive_of_many_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(zipped({"x.txt": TEXT} | {str(n): b"prose\n" for n in range(100)}))
    with pytest.raises(DataError, match="a: holds more than 100 files"):
        read_vectors(tmp_path / "a")
    assert not is_vector_file(tmp_path / "a")


def test_corrupt_archive_is_named(tmp_path: Path) -> None:
    words = b"".join(b"word%d 0.%d 1\n" % (v, v) for v in range(90_000))
    content = zipped({"x.vec": words}, zipfile.ZIP_STORED)
    damages = {
        "is corrupt .File is not a zip file": content[:-30],
        r"member x\.vec: is corrupt .*CRC": content[:900_000] + b"7" + content[900_001:],
        "is corrupt": tarred({"x.vec": words})[:900_000],
    }
    for message, damaged in damages.items():
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(ArtifactError, match=f"a.*{message}"):
            read_vectors(tmp_path / "a")


def test_error_in_a_member_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"x.vec": b"2 2\na 1 2\nb 3\n"}))
    with pytest.raises(ArtifactError, match=r"a\.zip, member x\.vec: line 3 is not a word with 2 numbers"):
        read_vectors(tmp_path / "a.zip")
    lenient = read_vectors(tmp_path / "a.zip", options=ReadOptions(lenient=True))
    assert lenient.vocab.words == ["a"]


@pytest.mark.parametrize(
    ("content", "words", "notice"),
    [
        (BINARY[:-3], "a", "byte 14 does not hold word 2 of 2"),
        (BINARY.replace(b"2 2", b"9 2"), "ab", "byte 25 does not hold word 3 of 9"),
        (
            BINARY.replace(b"2 2", b"1 2"),
            "ab",
            "continues after the 1 vector that line 1 declares: line 1 is wrong",
        ),
        (BINARY * 2, "ab", "byte 25 begins a second file, of 2 vectors"),
    ],
    ids=["truncated", "too few", "too many", "joined"],
)
def test_lenient_binary_keeps_the_rows_there_are(
    tmp_path: Path, content: bytes, words: str, notice: str
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArtifactError, match="--lenient"):
        read_vectors(tmp_path / "a")
    found = read_vectors(tmp_path / "a", options=ReadOptions(lenient=True))
    assert found.vocab.words == list(words) and notice in found.notices[0]
    assert found.matrix_VD.tolist() == [[1, 2], [3, 4]][: len(words)]
    first = read_vectors(tmp_path / "a", options=ReadOptions(load_top=1))
    assert first.vocab.words == ["a"] and first.notices == []


def test_lenient_binary_needs_a_row(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BINARY[:9])
    with pytest.raises(ArtifactError, match="byte 4 does not hold word 1 of 2"):
        read_vectors(tmp_path / "a", "word2vec-binary", options=ReadOptions(lenient=True))
