"""Inputs of a fuzzer, put in their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sound import replaced
from support.results import seal_tree as seal

from nlpseq.storage.manifest import MANIFEST

FINDINGS = Path(__file__).with_name("findings")


@contextmanager
def put(data: bytes, path: Path) -> Iterator[None]:
    """The file holds the data; of a folder the file that the first byte names holds the rest."""
    if not path.is_dir():
        with replaced(path, data):
            yield
        return
    files = sorted(path.iterdir())
    file, manifest = files[data[0] % len(files) if data else 0], path / MANIFEST
    with replaced(manifest, manifest.read_bytes()), replaced(file, data[1:]):
        if file != manifest:
            seal(path)
        yield
