"""MANIFEST.json, which makes a folder a result: size and sha256 of its files, and JSON read without trust."""

import hashlib
import json
from pathlib import Path
from typing import Any

from nlpseq.errors import SHORTAGE, ArtifactError

MANIFEST = "MANIFEST.json"
MOST_JSON = 256 << 20  # bytes

Meta = dict[str, Any]

_READ = (".npy", ".tsv", ".safetensors", ".json", ".jsonl")  # what a result is read from


def write_manifest(folder: Path, known_sums: dict[str, str]) -> None:
    """Seal a folder. known_sums: sha256 (hex) of files of which it is known already."""
    entries = {
        file.name: {"bytes": file.stat().st_size, "sha256": known_sums.get(file.name) or file_sha256(file)}
        for file in sorted(folder.iterdir())
        if file.name != MANIFEST
    }
    write_json(folder / MANIFEST, {"files": entries})


def check_manifest(path: Path, *, hashes: bool = True) -> None:
    """Raise ArtifactError, naming file and check, unless all files are there with their size and sha256.

    No other file may be there that a result could be read from.
    """
    entries = _entries(path)
    for name, entry in entries.items():
        if Path(name).name != name or not isinstance(entry, dict):
            raise ArtifactError(f"{path / MANIFEST} has a bad entry {name!r}. Make the folder anew.")
        if damage := _damage(path / name, entry, hashes):
            raise ArtifactError(f"{path / name} {damage}. Make the folder anew, or copy it again.")
    for file in path.iterdir():
        if file.suffix in _READ and file.name not in (MANIFEST, *entries) and not file.is_dir():
            raise ArtifactError(f"{file} is not in its manifest. Remove it, or make the folder anew.")


def sums(path: Path) -> dict[str, str]:
    """sha256 (hex) of the files of a checked folder."""
    return {name: str(entry["sha256"]) for name, entry in _entries(path).items()}


def foreign_files(path: Path) -> list[str]:
    """Names of what is in a result's folder without being a part of it: files of others, or folders.

    Hidden ones are left out; where the manifest is damaged all files count as parts.
    """
    try:
        parts = {MANIFEST, *_entries(path)}
    except ArtifactError:
        return []
    return sorted(
        each.name
        for each in path.iterdir()
        if not (each.name in parts or each.name.startswith(".") or (each / MANIFEST).exists())
    )


def _entries(path: Path) -> Meta:
    entries = read_json(path / MANIFEST).get("files")
    if not isinstance(entries, dict) or "meta.json" not in entries:
        raise ArtifactError(f"{path / MANIFEST} lists no files. Make the folder anew.")
    return entries


def _damage(file: Path, entry: Meta, hashes: bool) -> str | None:
    if not file.is_file():
        return "is missing"
    if file.stat().st_size != entry.get("bytes"):
        return f"has {file.stat().st_size} bytes, its manifest says {entry.get('bytes')}"
    try:
        if hashes and file_sha256(file) != entry.get("sha256"):
            return "does not match its sha256"
    except OSError as error:
        if error.errno in SHORTAGE:
            raise
        return f"cannot be read: {error.strerror or error}"
    return None


def read_json(file: Path) -> Meta:
    try:
        if file.exists() and not (file.is_file() and file.stat().st_size <= MOST_JSON):
            raise ValueError("it is no file, or vast")
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{file} is missing, so its folder is no finished result of nlpseq. "
            "Name another, or make it anew."
        ) from None
    except (ValueError, RecursionError, OSError) as error:
        if isinstance(error, OSError) and error.errno in SHORTAGE:
            raise
        raise ArtifactError(
            f"{file} cannot be read as JSON ({error}). Make the folder anew, or copy it again."
        ) from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{file} does not hold a JSON object. Make the folder anew, or copy it again.")
    return value


def write_json(file: Path, value: Meta) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # A file name that is no Unicode holds lone surrogates; backslashreplace writes them as JSON escapes.
    file.write_text(text, "utf-8", errors="backslashreplace")


def file_sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
