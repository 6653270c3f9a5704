"""Vector files of other tools: reading word2vec text and binary and GloVe text, writing word2vec text.

    word2vec text     a line `V D`, then V lines `word number ... number`; words hold no ASCII white space
    word2vec binary   a line `V D`, then V times `word`, a space, D little-endian float32; word2vec.c ends
                      each row with a newline, gensim does not
    GloVe text        as word2vec text without the first line; a few words of published files hold spaces

Any of them may be gzipped. Bytes that are not UTF-8 (word2vec.c cuts words in the middle of a character)
live on as surrogate escapes and are written as they came. Letters: V words, D dimensions.
"""

import gzip
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from nlpseq.artifact import TEMPORARY, write_error
from nlpseq.errors import ArtifactError, DataError

_ASCII_SPACES = " \t\n\r\v\f"
_LONGEST_LINE = 1 << 22  # bytes; 10,000 numbers take a few hundred thousand
_BLOCK = 1 << 20  # bytes read at once from a binary file
_MOST_INFLATED = 1032  # bytes that deflate can pack into one
_GZIP = b"\x1f\x8b"


class VectorFile(NamedTuple):
    """What a file of vectors holds."""

    words: list[str]
    matrix_VD: npt.NDArray[np.float32]
    format: str
    notices: list[str]  # what a person should know of the file, such as repeated words


def read_vectors(file: Path) -> VectorFile:
    """Words and vectors of a word2vec or GloVe file, its format told by its content.

    Of repeated words the first is kept. Raises ArtifactError, naming the line or the byte, where the file is
    damaged or of another format. A header that promises more than the file can hold allocates nothing.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as raw:
            if raw.read(len(_GZIP)) == _GZIP:
                with gzip.open(file) as unpacked:
                    stream = cast(IO[bytes], unpacked)
                    return _without_repeats(_Reader(file, stream, size * _MOST_INFLATED).read())
            raw.seek(0)
            return _without_repeats(_Reader(file, raw, size).read())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damage(file, f" is damaged gzip ({error})") from error
    except FileNotFoundError:
        raise DataError(f"{file} does not exist. Name a model or a file of vectors.") from None
    except OSError as error:
        raise ArtifactError(f"{file} cannot be read: {error.strerror}. Check its permissions.") from error


def write_word2vec_text(file: Path, words: Sequence[str], matrix_VD: npt.NDArray[np.float32]) -> None:
    """Write `file` as word2vec text that reads back to the bit; it takes its name only when whole.

    Raises DataError for words the format has no way to write: empty, or with ASCII white space in them.
    """
    bad = [word for word in words if not word or any(space in word for space in _ASCII_SPACES)]
    if bad:
        raise DataError(
            f"word2vec text cannot hold {len(bad)} of the words, which are empty or hold white space: "
            f"{_some(bad)}. Remove them, or keep the vectors as an nlpseq folder."
        )
    with _replacing(file) as stream:
        stream.write(f"{len(words)} {matrix_VD.shape[1]}\n".encode())
        for word, row_D in zip(words, matrix_VD, strict=True):
            numbers = " ".join(map(str, row_D))  # str of a float32: the shortest that reads back the same
            stream.write(f"{word} {numbers}\n".encode("utf-8", "surrogateescape"))


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """A file to fill that takes the name `file` once it is whole and on disk."""
    temporary = file.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise write_error(file, error) from error
    finally:
        temporary.unlink(missing_ok=True)


class _Reader:
    """Reads one file; `most_bytes` is the most it can hold, unpacked."""

    def __init__(self, file: Path, stream: IO[bytes], most_bytes: int) -> None:
        self.file = file
        self.stream = stream
        self.most_bytes = most_bytes

    def read(self) -> VectorFile:
        first = self.stream.readline(_LONGEST_LINE)
        header = first.split()
        if len(header) != 2 or not all(field.isdigit() and len(field) < 19 for field in header):
            return self._glove(first)
        num_words, dim = int(header[0]), int(header[1])
        if dim == 0:
            raise self._damage(", line 1, promises vectors of 0 numbers")
        if self._text_follows(dim):
            return self._word2vec_text(num_words, dim)
        return self._word2vec_binary(num_words, dim)

    def _text_follows(self, dim: int) -> bool:
        place = self.stream.tell()
        line = self.stream.readline(_LONGEST_LINE)
        self.stream.seek(place)
        numbers = _fields(line, dim)[1:]
        return not line or (len(numbers) > 0 and all(map(_is_number, numbers)))

    def _glove(self, first: bytes) -> VectorFile:
        fields = first.rstrip().split(b" ")
        dim = next((d for d, field in enumerate(fields[:0:-1]) if not _is_number(field)), len(fields) - 1)
        if dim < 1:
            raise ArtifactError(
                f"{self.file}, line 1, is neither `words dimensions` nor a word and its numbers. "
                "Name a file of word2vec (text or binary) or GloVe, or the folder of a model."
            )
        self.stream.seek(0)
        return self._rows(dim, first_line=1)._replace(format="GloVe text")

    def _word2vec_text(self, num_words: int, dim: int) -> VectorFile:
        self._check_promise(num_words, dim, row_bytes=2 * dim + 1)  # ` 0` D times and a newline
        found = self._rows(dim, first_line=2)
        if len(found.words) != num_words:
            raise self._damage(f" holds {len(found.words)} vectors, its first line promises {num_words}")
        return found

    def _rows(self, dim: int, first_line: int) -> VectorFile:
        words, numbers = list[str](), bytearray()
        row = b"\n"
        for line, row in enumerate(iter(lambda: self.stream.readline(_LONGEST_LINE), b""), first_line):
            if not row.strip():
                continue
            try:
                word, row_D = _parse_row(row, dim)
            except (ValueError, FloatingPointError) as error:
                raise self._damage(f", line {line}, is no word with {dim} numbers: {error}") from None
            words.append(word)
            numbers += row_D.tobytes()
        notices = list[str]()
        if not row.endswith(b"\n"):
            notices.append(f"{self.file} ends without a newline and may have been cut short")
        return VectorFile(words, _matrix(numbers, np.dtype(np.float32), dim), "word2vec text", notices)

    def _word2vec_binary(self, num_words: int, dim: int) -> VectorFile:
        self._check_promise(num_words, dim, row_bytes=4 * dim + 1)
        words, numbers = list[str](), bytearray()
        block, place = b"", 0  # block[place:] was read and is not taken yet
        while len(words) < num_words:
            space = block.find(b" ", place)
            end = space + 1 + 4 * dim
            if space >= 0 and end <= len(block):
                words.append(_decode(block[place:space].removeprefix(b"\n")))
                numbers += block[space + 1 : end]
                place = end
                continue
            block, place = block[place:], 0
            more = self.stream.read(_BLOCK)
            if not more or (space < 0 and len(block) > _BLOCK):
                start = self.stream.tell() - len(more) - len(block)
                missing = f"word {len(words) + 1} of {num_words} and its {dim} numbers"
                raise self._damage(f", byte {start}, holds neither as text nor as binary {missing}")
            block += more
        if block[place:] + self.stream.read(2) not in (b"", b"\n"):
            raise self._damage(f" goes on after the {num_words} vectors that line 1 promises")
        return VectorFile(words, _matrix(numbers, np.dtype("<f4"), dim), "word2vec binary", [])

    def _check_promise(self, num_words: int, dim: int, row_bytes: int) -> None:
        if num_words * row_bytes > self.most_bytes:
            promise = f"{num_words} vectors of {dim} numbers"
            raise self._damage(f", line 1, promises {promise}, more than the file can hold")

    def _damage(self, what: str) -> ArtifactError:
        return _damage(self.file, what)


def _damage(file: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{file}{what}. Copy the file again, or make it anew.")


def _parse_row(row: bytes, dim: int) -> tuple[str, npt.NDArray[np.float32]]:
    word, *numbers = _fields(row, dim)
    if len(numbers) < dim:
        raise ValueError(f"it has {len(numbers)}")
    if b" " in word and _is_number(word.rsplit(b" ", 1)[1]):
        raise ValueError("it has more")
    with np.errstate(over="raise"):
        return _decode(word), np.array(numbers, np.float32)


def _fields(row: bytes, dim: int) -> list[bytes]:
    """Word and numbers of a line, split from the right on spaces alone: words may hold any white space."""
    return row.rstrip().rsplit(b" ", dim)


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _decode(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


def _matrix(numbers: bytearray, stored: np.dtype[np.float32], dim: int) -> npt.NDArray[np.float32]:
    """(V, D) over the bytes collected row by row, so that what is allocated follows what was read."""
    return np.frombuffer(numbers, stored).astype(np.float32, copy=False).reshape(-1, dim)


def _without_repeats(found: VectorFile) -> VectorFile:
    first = {word: row for row, word in reversed(list(enumerate(found.words)))}
    if len(first) == len(found.words):
        return found
    repeats = [word for row, word in enumerate(found.words) if first[word] != row]
    notice = f"{len(repeats)} rows repeat an earlier word and were left out: {_some(repeats)}"
    rows = sorted(first.values())
    words = [found.words[row] for row in rows]
    return VectorFile(words, found.matrix_VD[rows], found.format, [*found.notices, notice])


def _some(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words[:5])) + (", ..." if len(words) > 5 else "")
