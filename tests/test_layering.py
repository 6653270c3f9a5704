"""The direction of imports: who may import whom, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = {
    *("artifact", "cache", "claim", "compiling", "config", "csr", "draws", "errors", "leftovers", "malloc"),
    *("manifest", "metrics", "npy", "run_folder", "settings"),
}
MAY_IMPORT = {
    **{room: {"errors", "settings"} for room in BASE},
    "csr": {"artifact", "errors", "npy"},
    "npy": {"errors"},
    "metrics": {"artifact", "errors", "settings"},
    "artifact": {"errors", "leftovers", "manifest", "npy"},
    "leftovers": {"claim"},
    "run_folder": {"artifact", "errors"},
    "_draws_numba": {"draws"},
    "_first_numba": set(),
    "_prefetch_numba": set(),
    "compiling": {"cache", "_first_numba"},
    "text": BASE | {"_prefetch_numba"},
    "vectors": BASE | {"text"},
    "counts": BASE | {"text", "vectors", "_draws_numba"},
    "w2v": BASE | {"text", "vectors", "_draws_numba", "_prefetch_numba"},
    "lm": BASE | {"text", "vectors"},
    "evaluation": BASE | {"text", "vectors"},
    "__init__": BASE | {"text", "vectors", "counts", "w2v", "lm", "evaluation"},
    "__main__": set(),
    "sklearn": BASE | {"text", "vectors"},
    "corpora": BASE,
    "cli": BASE | {"text", "vectors", "counts", "w2v", "lm", "evaluation", "__init__"},
}
ONLY_IN = {  # third-party module -> where it may be imported
    "click": "cli/*.py",
    "llvmlite": "*_numba.py",
    "cupy": "nlpseq/w2v/kernels/*.py",
    "matplotlib": "cli/plot.py",
    "nltk": "nlpseq/text/tokenize.py",
    "numba": "*_numba.py",
    "pickle": "nowhere",
    "torch": "nlpseq/lm/*.py",
    "sklearn": "nlpseq/sklearn.py",
    "tqdm": "cli/*.py",
}
FILES = sorted(
    file.relative_to(ROOT)
    for folder in ("nlpseq", "cli", "corpora")
    for file in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_point_downwards(file: Path) -> None:
    room = file.parts[0] if file.parts[0] != "nlpseq" else file.with_suffix("").parts[1]
    for module in imported(file):
        top, _, rest = module.partition(".")
        if top == "nlpseq":
            target = rest.partition(".")[0] or "__init__"
            assert target in MAY_IMPORT[room] | {room}, f"{file} imports {module}"
        assert file.match(ONLY_IN.get(top, "*")), f"{file} imports {module}"


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / file).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{file} imports relatively from above its folder"
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.level == 0)
