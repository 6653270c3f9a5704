"""pydocs: English docstrings of Python itself and of installed scientific packages.

A real corpus of about a million words on every machine, without a network. The text is built once and cached;
another version of Python or of a package gives another text.
"""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from nlpseq.core.cache_dir import cache_dir
from nlpseq.core.resources import available_cores
from nlpseq.storage.artifact import write_errors
from nlpseq.storage.locks import remove_stale_temporaries, temporary

__all__ = ["MAX_FILE_BYTES", "PACKAGES", "build", "cached_text", "installed_sources", "python_files"]

_BUILDER = 1  # increase if the text changes for the same packages
MAX_WORDS = 1_500_000
MAX_FILE_BYTES = 600_000  # because larger sources are generated tables

# distribution: folder, read in this order until MAX_WORDS
PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "numba": "numba",
    "llvmlite": "llvmlite",
    "nltk": "nltk",
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "sympy": "sympy",
    "matplotlib": "matplotlib",
    "torch": "torch",
    "networkx": "networkx",
    "gensim": "gensim",
    "statsmodels": "statsmodels",
    "scikit-image": "skimage",
    "jax": "jax",
}
_SKIPPED_FOLDERS = {
    *("test", "tests", "testing", "idlelib", "turtledemo", "lib2to3", "ensurepip", "encodings", "pydoc_data"),
    *("site-packages", "dist-packages", "__pycache__", "_vendor", "_vendored", "externals"),
}


Source = tuple[str, Path]  # name with version, folder


def build(sources: Sequence[Source] | None = None, max_words: int = MAX_WORDS) -> Path:
    """Return the text file in the cache, one paragraph a line; build the text if missing.

    sources: default Python and the packages installed. Raises ResourceError if the disk is full.
    """
    sources = list(installed_sources()) if sources is None else sources
    text = cached_text(sources)
    if text.exists():
        return text
    remove_stale_temporaries(text.parent)
    # another name than the text's, because several processes may build the same
    with write_errors(text), temporary(text.with_name(uuid.uuid4().hex)) as new:
        with new.open("w", encoding="utf-8", newline="\n") as file:
            paragraphs = (text for _, root in sources for text in _read(python_files(root)))
            file.writelines(f"{paragraph}\n" for paragraph in _take_words(paragraphs, max_words))
        new.replace(text)
    return text


def cached_text(sources: Iterable[Source]) -> Path:
    """Return the path of the text in the cache, built or not."""
    names = "\n".join([f"builder {_BUILDER}", *(name for name, _ in sources)])
    key = hashlib.sha256(names.encode()).hexdigest()[:16]
    return cache_dir("corpora") / f"pydocs-{key}.txt"


def _take_words(paragraphs: Iterator[str], max_words: int) -> Iterator[str]:
    """Yield different paragraphs until max_words."""
    seen: set[str] = set()
    num_words = 0
    for paragraph in paragraphs:
        if paragraph in seen:
            continue
        seen.add(paragraph)
        num_words += len(paragraph.split())
        if num_words > max_words:
            return
        yield paragraph


def installed_sources() -> Iterator[Source]:
    """Yield name with version, and folder, of Python's library and of each installed package."""
    yield f"python {sys.version}", Path(sysconfig.get_paths()["stdlib"])
    for name, folder in PACKAGES.items():
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        yield f"{name} {found.version}", Path(str(found.locate_file(folder)))


def python_files(root: Path) -> list[Path]:
    """Return the source files below a folder, sorted, without tests and large files."""
    files = list[Path]()
    for parent, folders, names in os.walk(root):
        folders[:] = {*folders} - _SKIPPED_FOLDERS  # never listed, because site-packages may be huge
        files += [Path(parent, name) for name in names if name.endswith(".py")]
    return sorted(file for file in files if file.stat().st_size <= MAX_FILE_BYTES)


def _read(files: list[Path]) -> Iterator[str]:
    """Yield the paragraphs of all files in order, parsed by a child process on each core.

    Plain child processes, because multiprocessing would need a guard in the caller's script.
    """
    command = [sys.executable, "-P", "-m", "nlpseq.corpora.english"]
    shares = available_cores()
    inputs = [json.dumps([str(file) for file in files[start::shares]]).encode() for start in range(shares)]
    run = partial(subprocess.run, command, stdout=subprocess.PIPE, check=True)
    with ThreadPoolExecutor(shares) as pool:
        answers = [json.loads(done.stdout) for done in pool.map(lambda paths: run(input=paths), inputs)]
    for number in range(len(files)):
        yield from answers[number % shares][number // shares]
