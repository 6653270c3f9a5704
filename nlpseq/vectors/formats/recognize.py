"""Recognize the format of vectors by their first bytes, and name what is in a file without vectors.

The loader and `nlpseq inspect` ask the same functions, so that they agree about every file.
"""

import re
import shlex
from codecs import BOM_UTF8, getincrementaldecoder
from contextlib import suppress

from nlpseq.errors import ArtifactError, DataError
from nlpseq.reading.archives import is_tar, is_zip
from nlpseq.reading.encodings import marked_encoding
from nlpseq.reading.sniff import recognize_non_text
from nlpseq.vectors.formats import fasttext, npy, parquet, text
from nlpseq.vectors.formats.fields import BLANK, Ending, count_numbers, parse_sizes, split_ending
from nlpseq.vectors.formats.names import Format
from nlpseq.vectors.formats.reader import Source

__all__ = ["is_archive", "recognize"]

_LISTED = re.compile(rb"[^,;]*+([,;])[-+\d.,;eE \t\"]++\r?+")  # a word and its numbers
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_FIRST_FIELD = re.compile(rb"^[^ \t,;]*+")
_OF_NUMBERS = b"0123456789+-.,;:eE_'[]() \t\r\xc2\xa0"  # U+00A0, too
_ADVICE = {  # kind of file: what to do with it
    "gensim model": "Write its vectors with gensim: KeyedVectors.load(FILE).save_word2vec_format('OUT.bin', "
    "binary=True), for a whole model Word2Vec.load(FILE).wv.",
    "pickle": "nlpseq runs no code of a file. Load it in Python where you trust it, and write word2vec text.",
    "model of PyTorch": "Load it with torch, and write the rows of its embedding as word2vec text.",
    "Git LFS pointer": "Type `git lfs pull` in its repository, or download the file itself.",
    "HTML page": "Download the file itself: open the address in a browser to see what the page says.",
    "XML document": "Download the file itself: a failed download may be an error message in XML.",
    "JSON": "Write a word and its numbers on each line, separated by spaces.",
    "NumPy array": "Store one array with np.save(FILE, array), and its words in NAME.vocab.tsv, one a line.",
    "RAR or 7-Zip archive": "Extract it with `7z x`, and name the file of vectors in it.",
}
_NEITHER = "line 1 is neither `words dimensions` nor a word and numbers"
_NAME_VECTORS = (
    "Name a file of word2vec (text or binary), GloVe, .npy or projector TSV, or the folder of a model."
)


def is_archive(source: Source) -> bool:
    """Tell if a file is a zip or tar archive, not a document or model inside one."""
    head = source.sample
    return is_tar(head) or (is_zip(head) and recognize_non_text(head) is None)


def recognize(source: Source) -> Format:
    """Return the format; raises DataError for anything but vectors, ArtifactError if they are corrupt."""
    if source.sample.startswith(npy.MAGIC):
        return "npy"
    if source.sample.startswith(parquet.MAGIC):
        return "parquet"
    if source.sample.startswith(fasttext.MAGIC):
        return "fasttext"
    _refuse_broken(source)
    sample = text.sample_lines(source)
    if _are_tensors(sample.lines):
        return "projector"
    if parse_sizes(sample.first):
        return "word2vec" if _is_text(source, sample) else "word2vec-binary"
    endings = list(map(split_ending, sample.lines))
    if not _are_rows(endings):
        raise _not_vectors(source)
    if all(field.isdigit() for line in sample.lines for field in line.split()):
        raise DataError(
            f"{source.name}: holds whole numbers alone, not words. If the first number of each line is the "
            "word, type: nlpseq convert --from glove FILE OUT"
        )
    return "glove"


def _refuse_broken(source: Source) -> None:
    """Raise the error for an empty file, and for line ends that no vectors have."""
    head = source.sample
    if not head.strip(b"\0"):
        holds = "holds zero bytes alone" if head else "is empty"
        raise ArtifactError(f"{source.name}: {holds}, like a broken download. Download or copy it again.")
    if source.is_whole and not head.removeprefix(BOM_UTF8).strip(BLANK):
        holds = "holds blank lines alone"
        raise ArtifactError(f"{source.name}: {holds}, like a broken download. Download or copy it again.")
    first = head.partition(b"\n")[0]
    if b"\r" in first.rstrip(b"\r") and not _CONTROL.search(first):
        raise ArtifactError(
            f"{source.name}: ends lines with carriage returns alone. Convert it: tr '\\r' '\\n' < OLD > NEW."
        )


def _is_text(source: Source, sample: text.Sample) -> bool:
    """Tell text from binary after the line of sizes.

    In text, most lines end in a number; or all is UTF-8 without control characters, and some line ends in a
    number, perhaps of another notation, or most bytes are of numbers. The bytes of a float32 may by chance be
    digits and a newline, but hardly in most rows.
    """
    endings = list(map(split_ending, sample.lines[1:]))
    numbered = sum(ending.num_numbers > 0 for ending in endings)
    if not endings or 2 * numbered > len(endings):
        return True
    rest = source.sample[sample.ends[0] :]
    has_numbers = any(ending.num_numbers or ending.foreign for ending in endings) or _are_figures(rest)
    if has_numbers and not _CONTROL.search(rest):
        with suppress(UnicodeDecodeError):
            getincrementaldecoder("utf-8")().decode(rest)  # the sample may end inside a character
            return True
    return False


def _are_figures(text: bytes) -> bool:
    """Tell if lines, without the first field, are nearly all bytes of numbers and of their separators."""
    after = b"".join(_FIRST_FIELD.sub(b"", line) for line in text.split(b"\n"))
    return 10 * len(after.translate(None, _OF_NUMBERS)) < len(after)


def _are_tensors(lines: list[bytes]) -> bool:
    """Tell lines of as many numbers each, separated by tabs, from other text."""
    counts = set(map(count_numbers, lines))
    return len(counts) == 1 and 0 not in counts and not any(b" " in line.strip() for line in lines)


def _are_rows(endings: list[Ending]) -> bool:
    """Tell rows of vectors from other text: most end in several numbers, or all in one.

    A comma or semicolon before the last numbers is of prose, or of a file with other separators.
    """
    counts = [
        0 if ending.before.endswith((b",", b";")) else ending.num_numbers + (ending.foreign is not None)
        for ending in endings
    ]
    several = sum(count > 1 for count in counts)
    return bool(counts) and (2 * several >= len(counts) or min(counts) > 0)


def _not_vectors(source: Source) -> DataError:
    """Return the error that says what a file is."""
    head, name = source.sample, source.name
    encoding = (marked_encoding(head) or "utf-8").upper()
    if encoding != "UTF-8":
        return DataError(
            f"{name}: is text in {encoding}, not in UTF-8. "
            f"Convert it: iconv -f {encoding} -t UTF-8 OLD > NEW."
        )
    kind = recognize_non_text(head)
    title = kind.name if kind else None
    if title == "pickle" and b"gensim" in head:
        title = "gensim model"
    if title is None and re.match(rb"(?:\xef\xbb\xbf)?\s*[\[{]\s*[\"\[{]", head):
        title = "JSON"
    if title is None and (separator := _other_separator(head)):
        return DataError(
            f"{name}: separates its fields by {separator!r}. "
            "Write spaces or tabs between a word and its numbers."
        )
    if title is None and not _CONTROL.search(head):
        return DataError(
            f"{name}: is a text without vectors, because {_NEITHER}. Train vectors on "
            f"the text with `nlpseq train-w2v {shlex.quote(str(source.file))}`. {_NAME_VECTORS}"
        )
    if title is None:
        return DataError(f"{name}: {_NEITHER}. {_NAME_VECTORS}")
    advice = _ADVICE.get(title, _NAME_VECTORS)
    return DataError(f"{name}: is not vectors ({title}). {advice}")


def _other_separator(head: bytes) -> str | None:
    """Return the comma or semicolon between the fields of most of the first lines, else None."""
    lines = [line for line in head.split(b"\n")[:8] if line.strip()]
    found = [match[1] for line in lines if (match := _LISTED.fullmatch(line))]
    return found[0].decode() if 2 * len(found) > len(lines) else None
