"""Open the vectors of an archive: the only member of a zip or tar file that holds vectors, as a stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from nlpseq.errors import ArtifactError, DataError
from nlpseq.reading.archives import is_zip, tar_members, zip_members
from nlpseq.reading.open import READ_BYTES, RawBytes
from nlpseq.vectors.formats.names import files_of
from nlpseq.vectors.formats.reader import (
    DEFAULT_OPTIONS,
    DEFAULT_SIZES,
    ReadOptions,
    ReadSizes,
    Source,
    open_source,
    plain_stream,
)
from nlpseq.vectors.formats.recognize import is_archive, recognize

__all__ = ["SeveralFiles", "open_vectors"]

_MAX_MEMBERS = 100  # looked at, because archives of vectors have few files
_MAX_NAMED = 5  # members in a message


class SeveralFiles(DataError):
    """An archive holds more than one file of vectors."""


@contextmanager
def open_vectors(
    file: Path, sizes: ReadSizes = DEFAULT_SIZES, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[tuple[Source, list[str]]]:
    """Open a file of vectors, or the member of an archive that holds vectors, with notices.

    Raises DataError unless exactly one member holds vectors.
    """
    with open_source(file, sizes, options) as source:
        if not is_archive(source):
            yield source, []
            return
        members = islice(_members(source), _MAX_MEMBERS + 1)
        holds = {member.name: _holds_vectors(member) for member in members}
    chosen = _choose(file, holds)
    with open_source(file, sizes, options) as source:
        others = [name.removeprefix(f"{file}, ") for name in holds if name != chosen]
        for member in _members(source):
            if member.name == chosen:
                yield member, [f"{chosen} read, not {_names(others)}"] if others else []
                return


def _choose(file: Path, holds: dict[str, bool]) -> str:
    """Return the only member with vectors."""
    if len(holds) > _MAX_MEMBERS:
        raise DataError(
            f"{file}: holds more than {_MAX_MEMBERS} files. Extract the file of vectors and name it."
        )
    found = [name for name, is_held in holds.items() if is_held]
    if len(found) == 1:
        return found[0]
    names = _names([name.removeprefix(f"{file}, ") for name in found or holds])
    if found:
        raise SeveralFiles(f"{file}: holds {len(found)} files of vectors, {names}. Extract one and name it.")
    raise DataError(
        f"{file}: is an archive without a file of vectors, but with {names or 'no file'}. "
        "Extract the archive if its files need each other, and name the vectors."
    )


def _names(names: list[str]) -> str:
    return ", ".join(names[:_MAX_NAMED]) + (", ..." if len(names) > _MAX_NAMED else "")


def _members(source: Source) -> Iterator[Source]:
    """Yield each member of an archive, decompressed; read a member before the next."""
    stored = RawBytes(source.stream, str(source.file), hashed=False)
    if not is_zip(source.sample):
        chunks = iter(lambda: source.stream.read(READ_BYTES), b"")
        members = tar_members(chunks, source.name, ArtifactError)
    elif source.compressed:
        raise DataError(f"{source.file}: is a compressed zip archive. Decompress it, and name the zip file.")
    else:
        members = zip_members(stored, source.name, ArtifactError)
    for member in members:
        stream, sample, is_whole = plain_stream(member.raw, lambda: source.size, source.sizes)
        yield source._replace(
            name=member.raw.name, stream=stream, sample=sample, is_whole=is_whole, compressed=True
        )


def _holds_vectors(member: Source) -> bool:
    """Tell if a member holds vectors with their words; an archive in an archive does not."""
    try:
        return not is_archive(member) and len(files_of(member.file, recognize(member))) == 1
    except (ArtifactError, DataError):  # an empty file, too
        return False
