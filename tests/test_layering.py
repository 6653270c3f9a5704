"""The direction of imports and the homes of optional libraries, read from the source."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [  # a module imports from the same layer and from layers below
    {"storage", "core", "config", "errors"},
    {"tokenizers", "reading"},
    {"dataset"},
    {"vectors", "training"},
    {"word2vec", "counts", "lm"},
    {"evaluation", "distributed"},
    {"__init__", "__main__", "sklearn", "corpora"},
    {"cli"},
]
SIDE_BY_SIDE = LAYERS[4]  # packages that do not import each other
UPWARDS = {Path("nlpseq/training/resume.py")}  # because a resumed run names the stage to start
STANDARD_LIBRARY_ALONE = ("nlpseq/__main__.py", "nlpseq/errors.py")
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
HOMES = {  # third-party module: pattern of the files that may import the module
    "charset_normalizer": "nlpseq/reading/encodings.py",
    "click": "cli/*.py",
    "cupy": "nlpseq/word2vec/kernels/*.py",
    "fsspec": "nlpseq/reading/cloud.py",
    "fugashi": "nlpseq/tokenizers/japanese.py",
    "filelock": "nlpseq/storage/locks.py",
    "jieba": "nlpseq/tokenizers/chinese.py",
    "kiwipiepy": "nlpseq/tokenizers/korean.py",
    "llvmlite": "*_numba.py",
    "matplotlib": "cli/plot.py",
    "mecab_ko": "nlpseq/tokenizers/korean.py",
    "nltk": "nlpseq/tokenizers/nltk.py",
    "numba": "*_numba.py",
    "pickle": "nowhere",
    "pythainlp": "nlpseq/tokenizers/thai.py",
    "ray": "nlpseq/distributed/ray_engine.py",
    "pyarrow": "parquet.py",  # of reading, and of vectors/formats
    "spacy": "nlpseq/vectors/formats/spacy.py",
    "sklearn": "nlpseq/sklearn.py",
    "torch": "nlpseq/lm/*.py",
    "tqdm": "cli/*.py",
    "unidic_lite": "nlpseq/tokenizers/japanese.py",
}
FILES = sorted(
    file.relative_to(ROOT)
    for folder in ("nlpseq", "cli", "corpora")
    for file in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_point_downwards(file: Path) -> None:
    own = file.parts[0] if file.parts[0] != "nlpseq" else file.with_suffix("").parts[1]
    for module in imported(file):
        top, _, rest = module.partition(".")
        if top == "nlpseq":
            other = rest.partition(".")[0] or "__init__"
            assert LEVEL[other] <= LEVEL[own] or file in UPWARDS, f"{file} imports {module}"
            assert other == own or not {own, other} <= SIDE_BY_SIDE, f"{file} imports {module}"
        assert file.match(HOMES.get(top, "*")), f"{file} imports {module}"


@pytest.mark.parametrize("file", STANDARD_LIBRARY_ALONE)
def test_start_and_errors_import_standard_library(file: str) -> None:
    modules = {module.partition(".")[0] for module in imported(Path(file))}
    assert modules and modules <= sys.stdlib_module_names


def test_package_root_has_four_modules() -> None:
    loose = {file.name for file in (ROOT / "nlpseq").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "errors.py", "sklearn.py"}


def imported(file: Path) -> Iterator[str]:
    """Yield the absolute modules of all imports in a file, functions included."""
    for node in ast.walk(ast.parse((ROOT / file).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{file} imports relatively from above the folder"
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.level == 0)
