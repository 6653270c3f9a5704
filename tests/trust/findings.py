"""Apply inputs of a fuzzer to a file or folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from intact_files import replaced
from support.results import seal_tree as seal

from nlpseq.storage.manifest import MANIFEST

FINDINGS = Path(__file__).with_name("findings")


@contextmanager
def put(data: bytes, path: Path) -> Iterator[None]:
    """Replace a file by the data; in a folder, the first byte of the data selects the file."""
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
