"""Change a stored result and update the manifest, as a forger would; find stale files."""

import json
from pathlib import Path
from typing import Any

from nlpseq.storage.locks import PREFIX
from nlpseq.storage.manifest import MANIFEST, file_sha256


def seal(path: Path, *names: str) -> None:
    """Write the present size and sha256 of the named files, or of all files, into the manifest."""
    manifest = path / MANIFEST
    files = json.loads(manifest.read_text())["files"] if names else {}
    for file in path.iterdir():
        if file.is_file() and file != manifest and (not names or file.name in names):
            files[file.name] = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
    manifest.write_text(json.dumps({"files": files}))


def seal_tree(path: Path) -> None:
    """Seal every folder of a result."""
    for manifest in path.rglob(MANIFEST):
        seal(manifest.parent)


def write_sealed_meta(path: Path, meta: dict[str, Any]) -> None:
    """Replace meta.json and seal it."""
    (path / "meta.json").write_text(json.dumps(meta))
    seal(path, "meta.json")


def stale_files(folder: Path) -> list[str]:
    """Return the names of temporaries and locks below a folder."""
    return [str(file.relative_to(folder)) for file in folder.rglob(f"{PREFIX}*")]
