"""Recognize files without plain text by their first bytes, and name a tool to extract the text of each kind.

Compressed files are recognized in open.py, encodings in encodings.py.
"""

import re
from typing import NamedTuple

__all__ = ["NON_TEXT", "NonText", "recognize_non_text"]


class NonText(NamedTuple):
    """A kind of file without plain text."""

    name: str
    pattern: bytes  # regular expression for the first bytes; `.` is any byte
    tool: str = ""  # extracts the text; "" for a kind without any
    is_readable: bool = False  # text with markup or commands, which an explicit --format text reads as it is


_SPACE = rb"(?:\xef\xbb\xbf)?\s*"
_MEMBER = rb"PK\x03\x04.{26}"  # header of the first member of a zip file, before the member's name

NON_TEXT = (
    NonText("HTML page", _SPACE + rb"(?i:(?>(?:<!--.*?-->\s*)*)<(?:!doctype html|html|head|body)\b)",
            "trafilatura", is_readable=True),
    NonText("Wikipedia dump", _SPACE + rb"(?:<\?xml\b[^>]*>\s*)?<mediawiki\b", "wikiextractor",
            is_readable=True),
    NonText("XML document", _SPACE + rb"<\?xml\b", "pandoc -t plain", is_readable=True),
    NonText("PDF document", rb"%PDF-", "pdftotext"),
    NonText("PostScript document", rb"%!PS", "ps2ascii", is_readable=True),
    NonText("RTF document", rb"\{\\rtf", "pandoc -t plain", is_readable=True),
    NonText("Office document (docx, xlsx, pptx)", _MEMBER + rb"(?:\[Content|_rels/|docProps/"
            + rb"|(?:word|xl|ppt)/[\w/]{1,60}\.(?:xml|rels))", "pandoc -t plain"),
    NonText("OpenDocument", _MEMBER + rb"mimetype.{0,64}application/vnd\.oasis", "pandoc -t plain"),
    NonText("EPUB book", _MEMBER + rb"mimetype.{0,64}application/epub", "pandoc -t plain"),
    NonText("old Office document (doc, xls, ppt)", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "antiword, xls2csv or catppt"),
    NonText("Mobipocket book", rb".{60}BOOKMOBI", "ebook-convert"),
    NonText("DjVu document", rb"AT&TFORM", "djvutxt"),
    NonText("image", rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\*\0|MM\0\*|BM.{4}\0{4}|8BPS\0",
            "tesseract"),
    NonText("audio", rb"RIFF.{4}WAVE|OggS\0|fLaC\0|ID3[\x02-\x04]", "whisper"),
    NonText("video", rb"\0\0..ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI |\0\0\x01\xba", "whisper"),
    NonText("SQLite database", rb"SQLite format 3\0", "sqlite3"),
    NonText("Git LFS pointer", rb"version https://git-lfs\.github\.com/spec/", "git lfs pull",
            is_readable=True),
    NonText("RAR or 7-Zip archive", rb"Rar!\x1a\x07|7z\xbc\xaf\x27\x1c", "7z x"),
    NonText("model of PyTorch", _MEMBER + rb"(?:[^/\s]{1,99}/)?"
            + rb"(?:data\.pkl|byteorder|version(?![./s])|\.format_version)|\x80[\x02-\x05]\x8a\x0a"),
    NonText("NumPy array", rb"\x93NUMPY[\x01-\x03]|" + _MEMBER + rb"[^/\s]{1,99}\.npy"),
    NonText("Java archive", _MEMBER + rb"META-INF/"),
    NonText("pickle", rb"\x80[\x02-\x05](?:\x95.{6}\0\0|[\]}(cKMJX)GN\x88\x89\x8a\x8c])"
            rb"|\([dl]p[01]\n|ccopy_reg\n"),  # of Python 2
    NonText("safetensors file", rb".{5}\0{3}\{\s*\""),
    NonText("GGUF model", rb"GGUF.\0{3}"),
    NonText("fastText model", rb"\xba\x16\x4f\x2f"),
    NonText("HDF5 file", rb"\x89HDF\r\n\x1a\n"),
    NonText("executable", rb"\x7fELF|MZ[^\n]{0,62}\0{3}|\xca\xfe\xba\xbe\0|\xcf\xfa\xed\xfe\x07|\0asm\x01\0"),
)  # fmt: skip
_PATTERNS = [(kind, re.compile(kind.pattern, re.DOTALL)) for kind in NON_TEXT]


def recognize_non_text(head: bytes) -> NonText | None:
    """Return the kind of a file from its first bytes; None if the file may be text."""
    return next((kind for kind, pattern in _PATTERNS if pattern.match(head)), None)
