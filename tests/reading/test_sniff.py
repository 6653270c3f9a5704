"""Recognition of files that are not text."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from support.texts import text_of, write_text

from nlpseq.errors import DataError
from nlpseq.reading.corpus import ReadReport
from nlpseq.reading.sniff import NON_TEXT, recognize_non_text


def zipped(*members):
    """Return a zip file with these members, each with its name as content, or a pair of name and content."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member in members:
            archive.writestr(*(member if isinstance(member, tuple) else (member, member)))
    return out.getvalue()


def saved(save, *arrays):
    out = io.BytesIO()
    save(out, *arrays)
    return out.getvalue()


OPEN_DOCUMENT = ("mimetype", "application/vnd.oasis.opendocument.text")
HEADS = {
    "HTML page": [b"<!DOCTYPE html>\n<p>", b"\xef\xbb\xbf\n<!-- a -->\n<HTML lang='ko'>", b"<html>"],
    "Wikipedia dump": [b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">'],
    "XML document": [b'<?xml version="1.0"?><doc>'],
    "PDF document": [b"%PDF-1.7\n%\xe2\xe3"],
    "PostScript document": [b"%!PS-Adobe-3.0"],
    "RTF document": [rb"{\rtf1\ansi"],
    "Office document (docx, xlsx, pptx)": [zipped("[Content_Types].xml", "word/document.xml")],
    "OpenDocument": [zipped(OPEN_DOCUMENT, "content.xml")],
    "EPUB book": [zipped(("mimetype", "application/epub+zip"))],
    "old Office document (doc, xls, ppt)": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"],
    "Mobipocket book": [b"x" * 60 + b"BOOKMOBI"],
    "DjVu document": [b"AT&TFORM\0\0"],
    "image": [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\1\2\3\4WEBPVP8 "],
    "audio": [b"RIFF\1\2\3\4WAVEfmt ", b"OggS\0\2", b"ID3\x03\0"],
    "video": [b"\0\0\0\x18ftypmp42", b"\x1a\x45\xdf\xa3\x01"],
    "SQLite database": [b"SQLite format 3\0\x10"],
    "Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"],
    "RAR or 7-Zip archive": [b"Rar!\x1a\x07\x01\0", b"7z\xbc\xaf\x27\x1c\0\4"],
    "model of PyTorch": [zipped("model/data.pkl", "model/version")],
    "NumPy array": [saved(np.save, np.arange(3)), saved(np.savez, np.arange(3))],
    "Java archive": [zipped("META-INF/MANIFEST.MF")],
    "pickle": [
        *(b"(dp0\nVa\np1\nI1\ns.", b"(lp1\nI1\na.", b"ccopy_reg\n_reconstructor\np0\n"),
        *(
            pickle.dumps(value, protocol)
            for value in ({"a": 1}, [1, 2], "text", 1.5)
            for protocol in (2, 3, 4, 5)
        ),
    ],
    "safetensors file": [b"\x40\0\0\0\0\0\0\0" + b'{"__metadata__":{"format":"pt"}'],
    "GGUF model": [b"GGUF\x03\0\0\0"],
    "fastText model": [b"\xba\x16\x4f\x2f\x0c\0\0\0"],
    "HDF5 file": [b"\x89HDF\r\n\x1a\n\0"],
    "executable": [b"\x7fELF\x02\x01", b"MZ\x90\0\3\0\0\0\4\0\0\0"],
}


@pytest.mark.parametrize("name", HEADS)
def test_kind_is_recognized(name):
    for head in HEADS[name]:
        kind = recognize_non_text(head)
        assert kind is not None and kind.name == name, head


READABLE = ("HTML page", "Wikipedia dump", "XML document", "PostScript document", "RTF document")
READABLE += ("Git LFS pointer",)


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_format_text_reads_what_is_readable(tmp_path, name, tokenizer):
    for head in HEADS[name]:
        file, report = write_text(tmp_path / "a.txt", head), ReadReport()
        with pytest.raises(
            DataError, match=r"a\.txt: is not text .*, or use --format text to read the file as"
        ):
            text_of(file, tokenizer=tokenizer)
        text = text_of(file, report=report, format="text", tokenizer=tokenizer)
        assert text.removeprefix("\ufeff") == head.decode("utf-8-sig")
        assert f"a.txt ({name}): read as plain text" in report.notices()[0]


@pytest.mark.parametrize("name", [name for name in HEADS if name not in READABLE])
def test_format_text_refuses_what_is_not_text(tmp_path, name):
    for head in HEADS[name]:
        with pytest.raises(DataError, match=r"a\.txt: is not text \([^)]*\).*") as refusal:
            text_of(write_text(tmp_path / "a.txt", head), format="text")
        assert "--format" not in str(refusal.value)


def test_every_kind_has_a_case():
    assert [kind.name for kind in NON_TEXT] == [*HEADS]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"plain text",
        b"<doc id=1>\nan article\n</doc>",
        b"< html is a word here",
        b"version 2 of the text",
        b"MZ is no program here, and this line is long enough to hold no zeros at all.",
        b"BM 1234 is a bus",
        b"%PD",
        b"the ftype of a font",
        "яузы".encode("cp1251"),
        "“NUMPY” is a word".encode("cp1252"),
        b"<!-- a comment -->\n" * 3_000 + b"<text>",  # without a choice at each comment
        b"{'json': 1}",
        b"ID3 is an algorithm",
        "한국어".encode(),
        zipped("corpus.txt"),
        zipped("word/a.txt"),
        zipped("versions/a.txt", "b"),
        zipped(("a.txt", "Save the vectors as data.npy")),
        b"PAR1\x15\x04",
    ],
)
def test_other_files_are_left_alone(head):
    assert recognize_non_text(head) is None
