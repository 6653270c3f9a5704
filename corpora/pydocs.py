"""pydocs: the English in the docstrings of Python itself and of the scientific packages installed beside us.

A real corpus of about a million words on every machine, without a network. It is built once and kept in the
cache; another Python or another version of a package makes another one.
"""

import hashlib
import json
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from nlpseq.core.cache_dir import cache_dir
from nlpseq.core.resources import available_cores
from nlpseq.storage.artifact import write_error

BUILDER = 1  # to be raised when the text changes for the same packages
MAX_WORDS = 1_500_000
MAX_FILE_BYTES = 600_000  # larger sources are generated tables

# distribution -> folder, in the order in which they are taken until there are enough words
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


def build() -> Path:
    """The text file, one paragraph a line, in the cache; made when it is not there yet."""
    text = cache_dir("corpora") / f"pydocs-{_key()}.txt"
    if text.exists():
        return text
    unfinished = text.with_suffix(f".{uuid.uuid4().hex}")
    try:
        text.parent.mkdir(exist_ok=True)
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{paragraph}\n" for paragraph in _chosen(_paragraphs()))
        unfinished.replace(text)
    except OSError as error:
        raise write_error(text, error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return text


def _chosen(paragraphs: Iterator[str]) -> Iterator[str]:
    """The first MAX_WORDS words of paragraphs, each said once."""
    seen: set[str] = set()
    num_words = 0
    for paragraph in paragraphs:
        if paragraph in seen:
            continue
        seen.add(paragraph)
        num_words += len(paragraph.split())
        if num_words > MAX_WORDS:
            return
        yield paragraph


def _paragraphs() -> Iterator[str]:
    for _, root in _sources():
        yield from _read(_python_files(root))


def _sources() -> Iterator[tuple[str, Path]]:
    """Name with version, and folder, of Python's library and of every package that is there."""
    yield f"python {sys.version}", Path(sysconfig.get_paths()["stdlib"])
    for name, folder in PACKAGES.items():
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        yield f"{name} {found.version}", Path(str(found.locate_file(folder)))


def _key() -> str:
    names = "\n".join([f"builder {BUILDER}", *(name for name, _ in _sources())])
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _python_files(root: Path) -> list[Path]:
    files = (file for file in root.rglob("*.py") if not _SKIPPED_FOLDERS & {*file.relative_to(root).parts})
    return sorted(file for file in files if file.stat().st_size <= MAX_FILE_BYTES)


def _read(files: list[Path]) -> Iterator[str]:
    """The paragraphs of all files in order, read by as many processes as there are cores.

    They are plain child processes: unlike multiprocessing they ask nothing of the caller's script.
    """
    shares = available_cores()
    with ThreadPoolExecutor(shares) as pool:
        answers = list(pool.map(_read_share, [files[start::shares] for start in range(shares)]))
    for place in range(len(files)):
        yield from answers[place % shares][place // shares]


def _read_share(files: list[Path]) -> list[list[str]]:
    command = [sys.executable, "-P", "-m", "nlpseq.corpora.english"]
    question = json.dumps([str(file) for file in files])
    answer = subprocess.run(command, input=question.encode(), stdout=subprocess.PIPE, check=True).stdout
    return json.loads(answer)  # type: ignore[no-any-return]
