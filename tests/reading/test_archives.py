"""zip and tar: members in stored order, every compression, corrupt and refused archives, memory."""

import gzip
import io
import json
import os
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.config import TextConfig
from nlpseq.errors import DataError
from nlpseq.reading.corpus import ReadReport, open_corpus

MEMBERS = {
    "b.txt": b"plain\n",
    "sub/a.jsonl": b'{"text": "record"}\n',
    "c.csv": b"id,body\n1,field\n",
    "d.gz": gzip.compress(b"compressed\n"),
    ".hidden": b"hidden\n",
    "__MACOSX/b.txt": b"hidden\n",
    "./e": "한글 without an end".encode(),
}
TEXT = "plain\nrecord\nfield\ncompressed\n한글 without an end"


MEMBERS_AS_TEXT = '{"text": "record"}', "id,body\n1,field"


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.mkdir("sub")
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(members: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def write(folder: Path, content: bytes, name: str = "a.bin") -> Path:
    return write_text(folder / name, content)


@pytest.mark.parametrize(
    "content",
    [
        *(zip_of(MEMBERS, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
        gzip.compress(zip_of(MEMBERS)),
        tar_of(MEMBERS) + bytes(200_000),
        tar_of(MEMBERS, "w:xz"),
    ],
    ids=["stored", "bzip2", "lzma", "zip.gz", "tar", "tar.xz"],
)
def test_members_are_read_in_stored_order(tmp_path, content):
    file = write(tmp_path, content)
    blocks, corpus = read(file), open_corpus(file)
    assert "".join(block.text for block in blocks) == TEXT
    assert text_of(file, format="text") == TEXT.replace("record", MEMBERS_AS_TEXT[0]).replace(
        "field", MEMBERS_AS_TEXT[1]
    )
    list(corpus.blocks(TextConfig(), ReadReport()))
    assert corpus.read_key == corpus.content_key()


@pytest.mark.parametrize("content", [zip_of(MEMBERS), tar_of(MEMBERS, "w:gz")], ids=["zip", "tar.gz"])
def test_archives_are_read_from_stdin(content, monkeypatch):
    read_end, write_end = os.pipe()
    os.write(write_end, content)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        assert text_of("-") == TEXT


def test_member_that_cannot_be_read_is_refused_by_name(tmp_path):
    encrypted = bytearray(zip_of({"a.txt": b"text\n", "secret.txt": b"text\n"}))
    entry = encrypted.rindex(b"PK\x01\x02")
    encrypted[entry + 8] |= 1
    with pytest.raises(DataError, match=r"a\.zip, member secret\.txt: is encrypted\. Extract"):
        read(write(tmp_path, bytes(encrypted), "a.zip"))
    encrypted[entry + 8], encrypted[entry + 10] = 0, 99
    with pytest.raises(DataError, match=r"member secret\.txt: is compressed by method 99\. Extract"):
        read(write(tmp_path, bytes(encrypted), "a.zip"))
    for pack in (zip_of, tar_of):
        with pytest.raises(DataError, match=r"a\.zip, member b: is an archive in an archive"):
            read(write(tmp_path, zip_of({"b": pack(MEMBERS)}), "a.zip"))


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_corrupt_archives_are_refused(tmp_path, make):
    whole = bytearray(make({"a.txt": os.urandom(2000).hex().encode(), "b.txt": b"text\n" * 500}))
    for length in (600, min(512 * 9, len(whole) - 9), len(whole) // 2):  # the second: between members of tar
        with pytest.raises(DataError, match=r"cut: is corrupt|cut, member [ab]\.txt: is corrupt"):
            read(write(tmp_path, bytes(whole[:length]), "cut"))
    whole[whole.rindex(b"b.txt", 0, -600) + 90 if make is tar_of else 300] ^= 0x55
    with pytest.raises(DataError, match=r"bad: is corrupt|bad, member [ab]\.txt: is corrupt"):
        read(write(tmp_path, bytes(whole), "bad"))


def test_forged_offsets_and_versions_of_zip_are_refused(tmp_path):
    whole = zip_of({"a.txt": b"text\n"})
    entry, end = whole.rindex(b"PK\x01\x02"), whole.rindex(b"PK\x05\x06")
    for place, forged in ((entry + 6, b"\xff"), (entry + 8, b"\x20"), (end + 16, b"\xff")):
        content = whole[:place] + forged + whole[place + 1 :]
        with pytest.raises(DataError, match=r"bad: is corrupt|bad, member [^:]*: is corrupt"):
            read(write(tmp_path, content, "bad"))


def test_member_of_zip_without_a_name_is_read(tmp_path):
    info = zipfile.ZipInfo()
    info.filename = ""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, archive.open(info, "w") as member:
        member.write(b"text\n")
    assert text_of(tmp_path / "a.zip") == "text\n"


def forged_tar(name: str, num_bytes: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a tar archive whose member declares another size or kind."""
    info = tarfile.TarInfo(name)
    info.size, info.type = num_bytes, kind
    return info.tobuf(tarfile.GNU_FORMAT) + b"a b\n".ljust(512, b"\0") + bytes(1024)


@pytest.mark.parametrize("name", ["a", ".hidden"])
def test_member_beyond_the_end_of_tar_is_refused_at_once(tmp_path, name):
    with pytest.raises(DataError, match=r"is corrupt \(unexpected end of data\)"):
        read(write(tmp_path, forged_tar(name, 2**60)))


def test_sparse_member_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"member a: is a sparse file\. Extract"):
        read(write(tmp_path, forged_tar("a", 512, tarfile.GNUTYPE_SPARSE)))


@pytest.mark.slow
def test_high_compression_takes_little_memory(tmp_path):
    lines = b"word " * 20 + b"\n"
    for name, content in (
        ("a.zip", zip_of({"a.txt": lines * 400_000})),
        ("a.tar.xz", tar_of({"a.txt": lines * 400_000}, "w:xz")),
    ):
        tracemalloc.start()
        blocks = open_corpus(write(tmp_path, content, name)).blocks(TextConfig(), ReadReport())
        assert sum(len(block.data) for block in blocks) == len(lines) * 400_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 25e6


def test_records_of_members_count_as_in_files(tmp_path):
    report = ReadReport()
    content = json.dumps({"text": "a"}) + "\nmalformed\n"
    file = write(tmp_path, zip_of({"x.jsonl": content.encode()}), "a.zip")
    assert text_of(file, report=report) == "a\n"
    assert report.formats == {"JSON lines, text from text": f"{file}, member x.jsonl"}
    assert f"; the first is {file}, member x.jsonl, line 2." in report.notices()[0]
