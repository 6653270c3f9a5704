"""MANIFEST.json: size and sha256 of the files of a complete result. JSON is read without trust."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlpseq.errors import SHORTAGE, ArtifactError

__all__ = ["MANIFEST", "Meta", "check_manifest", "corrupt", "entries", "file_sha256", "foreign_files"]
__all__ += ["read_json", "write_json", "write_manifest"]

Meta = dict[str, Any]
MANIFEST = "MANIFEST.json"

_MAX_JSON_BYTES = 256 << 20
_DATA_SUFFIXES = (".npy", ".tsv", ".safetensors", ".json", ".jsonl")  # of files that results are read from


def write_manifest(folder: Path, known_sums: dict[str, str]) -> None:
    """Write the manifest of a folder; known_sums saves time: file name to sha256 (hex)."""
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": known_sums.get(file.name) or file_sha256(file)}
        for file in sorted(folder.iterdir())
        if file.name != MANIFEST
    }
    write_json(folder / MANIFEST, {"files": files})


def check_manifest(path: Path, *, hashes: bool = True) -> None:
    """Raise ArtifactError unless all files, and no other data files, are there and unchanged."""
    listed = entries(path)
    for name, entry in listed.items():
        file = path / name
        if Path(name).name != name or not isinstance(entry, dict):
            raise corrupt(path / MANIFEST, f"has a bad entry {name!r}")
        if not file.is_file():
            raise corrupt(file, "is missing")
        if file.stat().st_size != entry.get("bytes"):
            raise corrupt(file, f"has {file.stat().st_size:,} bytes, its manifest says {entry.get('bytes')}")
        try:
            if hashes and file_sha256(file) != entry.get("sha256"):
                raise corrupt(file, "does not match its sha256")
        except OSError as error:
            raise corrupt(file, f"cannot be read ({error.strerror or error})", error) from error
    for file in path.iterdir():
        if file.suffix in _DATA_SUFFIXES and file.name not in (MANIFEST, *listed) and not file.is_dir():
            raise ArtifactError(f"{file}: is not in the manifest of its folder. Remove or move the file.")


def corrupt(path: Path, problem: str, cause: Exception | None = None) -> ArtifactError:
    """Return the error of a corrupt file or folder; raise its cause if memory or files ran short."""
    if isinstance(cause, OSError) and cause.errno in SHORTAGE:
        raise cause
    return ArtifactError(f"{path}: {problem}. Run the command that made the folder again, or copy it again.")


def foreign_files(path: Path) -> list[str]:
    """Return names of files in a result that nlpseq did not write, except hidden names."""
    with suppress(ArtifactError, FileNotFoundError):  # because a corrupt result may be overwritten
        own = {MANIFEST, *entries(path)} if (path / "meta.json").exists() else set()
        others = [each for each in path.iterdir() if each.name not in own and not each.name.startswith(".")]
        return sorted(each.name for each in others if not (each / MANIFEST).exists())
    return []


def entries(path: Path) -> Meta:
    """Return the entries of a manifest: bytes and sha256 (hex) by file name."""
    files = read_json(path / MANIFEST).get("files")
    if not isinstance(files, dict) or "meta.json" not in files:
        raise corrupt(path / MANIFEST, "lists no files")
    return files


def read_json(file: Path) -> Meta:
    """Return the object in a JSON file; raise ArtifactError for anything else."""
    try:
        if file.exists() and not (file.is_file() and file.stat().st_size <= _MAX_JSON_BYTES):
            raise ValueError(f"not a file of at most {_MAX_JSON_BYTES:,} bytes")
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise corrupt(file, "is missing, so the folder is not a complete result of nlpseq") from None
    except (ValueError, RecursionError, OSError) as error:
        raise corrupt(file, f"cannot be read as JSON ({error})", error) from error
    if not isinstance(value, dict):
        raise corrupt(file, "does not hold a JSON object")
    return value


def write_json(file: Path, value: Meta) -> None:
    """Write an object as indented JSON; lone surrogates, as in file names, become JSON escapes."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")


def file_sha256(file: Path) -> str:
    """Return the sha256 (hex) of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
