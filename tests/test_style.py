"""Rules of language and of public names that a program can check, read from the source without imports."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = [file for folder in ("nlpseq", "cli", "corpora") for file in sorted((ROOT / folder).rglob("*.py"))]
TESTS = [file for file in sorted((ROOT / "tests").rglob("*.py")) if "golden" not in file.parts]
READMES = [ROOT / "README.md"] + [
    file
    for top in ("nlpseq", "cli", "corpora", "tests/bench")
    for file in sorted((ROOT / top).rglob("*.md"))
    if file.name not in ("LOG.md", "README.ko.md")
]

PRO_WORDS = {
    *("what", "which", "that", "it", "its", "one", "ones", "such", "those", "this", "these", "they", "them"),
    *("itself", "themselves", "there"),
}
MAX_PRO_WORDS = 6  # per 100 words
MIN_WORDS = 40  # in a shorter text the share says nothing
ODD_OPENING = re.compile(r"(what|which|whether|where|of|that|as)\b", re.IGNORECASE)
BANNED = re.compile(
    r"\b(anew|in the way|held against|hopeless|the one who|those of|what comes)\b", re.IGNORECASE
)
MAX_TEST_NAME = 60  # characters
MAX_README_LINES = 180


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


def test_prose_is_plain() -> None:
    wrong = []
    for file in [*PRODUCT, *TESTS, *READMES]:
        text = "\n".join(prose(file))
        words = re.findall(r"[a-z']+", text.lower())
        share = 100 * sum(word in PRO_WORDS for word in words) / max(len(words), 1)
        if len(words) >= MIN_WORDS and share > MAX_PRO_WORDS:
            wrong.append(f"{name_of(file)}: {share:.1f} pro-words per 100")
        if (idioms := BANNED.findall(text)) and file != Path(__file__):
            wrong.append(f"{name_of(file)}: {idioms}")
    report(wrong)


def report(wrong: list[str]) -> None:
    """Fail with all lines, if there are any."""
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= MAX_README_LINES


def prose(file: Path) -> Iterator[str]:
    """Yield the docstrings and comments of a Python file, or a README without its code."""
    if file.suffix == ".md":
        yield re.sub(r"```.*?```", "", file.read_text("utf-8"), flags=re.DOTALL)
        return
    yield from docstrings(file, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    for token in tokenize.generate_tokens(io.StringIO(file.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def docstrings(file: Path, kinds: tuple[type[ast.AST], ...]) -> list[str]:
    nodes = (node for node in ast.walk(tree_of(file)) if isinstance(node, kinds))
    return [doc for node in nodes if (doc := ast.get_docstring(node))]  # type: ignore[arg-type]


def test_docstrings_open_with_a_verb() -> None:
    docs = ((file, doc) for file in [*PRODUCT, *TESTS] for doc in docstrings(file, (ast.FunctionDef,)))
    report([f"{name_of(file)}: {doc[:60]}" for file, doc in docs if ODD_OPENING.match(doc)])


def test_names_of_tests_are_short() -> None:
    nodes = ((file, node) for file in TESTS for node in ast.walk(tree_of(file)))
    names = [(file, node.name) for file, node in nodes if isinstance(node, ast.FunctionDef)]
    long = [(file, name) for file, name in names if name.startswith("test_") and len(name) > MAX_TEST_NAME]
    report([f"{name_of(file)}: {name}" for file, name in long])


def test_public_modules_declare_their_names() -> None:
    wrong = []
    for file in (file for file in PRODUCT if not file.name.startswith("_")):
        names = public_names(file)
        if names is None:
            wrong.append(f"{name_of(file)}: no __all__")
        elif missing := names - defined_names(tree_of(file)):
            wrong.append(f"{name_of(file)}: __all__ names {missing}, not defined here")
    report(wrong)


def public_names(file: Path) -> set[str] | None:
    """Return the strings of `__all__`, or None if a module does not declare it as a literal, or several."""
    names = None
    for node in tree_of(file).body:
        target = getattr(node, "target", None) or getattr(node, "targets", [None])[0]
        is_all = isinstance(target, ast.Name) and target.id == "__all__"
        if (
            is_all
            and isinstance(node, (ast.Assign, ast.AugAssign))
            and isinstance(node.value, (ast.List, ast.Tuple))
        ):
            names = (names or set()) | set(ast.literal_eval(node.value))
    return names


def defined_names(tree: ast.Module) -> set[str]:
    """Return the names that the statements of a module bind, also inside `if` and `try`."""
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_tests_use_public_names_only() -> None:
    trees = [(file, tree_of(file)) for file in TESTS]
    uses = [(file, use) for file, tree in trees for use in (*private_imports(tree), *private_patches(tree))]
    report([f"{name_of(file)}: {use}" for file, use in uses])


def private_imports(tree: ast.Module) -> Iterator[str]:
    """Yield imports of tests, of private modules, and of names outside the `__all__` of their module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if is_test(full) or (
                    is_own(full) and (is_private(full) or not is_declared(node.module, alias.name))
                ):
                    yield f"line {node.lineno}: {full}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if is_test(alias.name) or (is_own(alias.name) and is_private(alias.name)):
                    yield f"line {node.lineno}: {alias.name}"


def is_test(module: str) -> bool:
    return any(part.startswith("test_") for part in module.split("."))


def is_own(module: str) -> bool:
    return module.partition(".")[0] == "nlpseq"


def is_private(dotted: str) -> bool:
    return any(re.match(r"_(?!_)", part) for part in dotted.split("."))


def is_declared(module: str, name: str) -> bool:
    """Say if a module exports a name, or is a package with a module of this name."""
    parts = module.split(".")[1:]
    path = ROOT / parts[0] if parts[:1] in (["cli"], ["corpora"]) else ROOT / "nlpseq"
    path = path.joinpath(*parts[parts[:1] in (["cli"], ["corpora"]) :])
    if path.is_dir():
        if (path / f"{name}.py").exists() or (path / name).is_dir() or path == ROOT / "nlpseq":
            return True
        path = path / "__init__"
    return name in (public_names(path.with_suffix(".py")) or ())


def private_patches(tree: ast.Module) -> Iterator[str]:
    """Yield uses of `_name` of an imported module, and patches of private names by string."""
    imports = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    own = {
        (alias.asname or alias.name).partition(".")[0]
        for node in imports
        for alias in node.names
        if is_own(getattr(node, "module", None) or alias.name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if isinstance(node.value, ast.Name) and node.value.id in own:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("patch.setattr", "patch.delattr")
        ):
            texts = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
            if any(isinstance(text, str) and is_private(text) for text in texts):
                yield f"line {node.lineno}: {ast.unparse(node)[:70]}"
