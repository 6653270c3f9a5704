"""Optional tokenizers for parametrized tests, and a package with an entry point."""

from pathlib import Path

import pytest

from nlpseq.config import TextConfig
from nlpseq.errors import MissingExtra
from nlpseq.tokenizers.base import TOKENIZERS, package_versions

__all__ = ["CORE", "OPTIONAL", "install_tokenizer"]

CORE = [  # without bpe, which needs a vocabulary
    name for name, entry in TOKENIZERS.items() if entry.extra is None and name != "bpe"
]


def reason_to_skip(tokenizer: str) -> str:
    """Return the message of a missing extra, "" if it is installed."""
    try:
        package_versions(tokenizer)
    except MissingExtra as error:
        return str(error)
    return ""


OPTIONAL = [
    pytest.param(
        TextConfig(tokenizer=name),
        marks=[pytest.mark.extras, pytest.mark.skipif(bool(reason), reason=reason)],
        id=name,
    )
    for name in TOKENIZERS
    if TOKENIZERS[name].extra
    for reason in [reason_to_skip(name)]
]


def install_tokenizer(folder: Path, name: str, code: str) -> None:
    """Write a package of version 1.5 with a tokenizer, the function `split` of the code."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[nlpseq.tokenizers]\n{name} = {name}:split\n")
