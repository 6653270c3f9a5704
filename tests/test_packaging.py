"""The installed package: `nlpseq` alone at top level, complete, and importing nothing heavy."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

import nlpseq

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {"LICENSE", "README.md", "cli", "corpora", "nlpseq", "pyproject.toml", "tests"}
HEAVY = ("numpy", "scipy", "numba", "nltk", "torch", "cupy", "gensim", "tqdm")
OTHER_FILES = {"nlpseq/py.typed", "nlpseq/README.md", "nlpseq/README.ko.md"}
OTHER_FILES |= {"nlpseq/vectors/README.md", "nlpseq/vectors/COMING_FROM.md"}
OTHER_FILES |= {"nlpseq/corpora/catalog.toml", "nlpseq/corpora/tiny/tiny.txt"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]


def run_python(code, folder):
    """Return the output of code run outside of the checkout; fail with stderr if the code fails."""
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize(
    "module",
    ["nlpseq", "nlpseq.config", "nlpseq.errors", "nlpseq.core.cache_dir", "nlpseq.cli", "nlpseq.corpora"],
)
def test_import_loads_nothing_heavy(module, tmp_path):
    code = f"import {module}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    assert run_python(code, tmp_path) == "[]"


def test_every_public_name_can_be_imported():
    for name in nlpseq.__all__:
        assert getattr(nlpseq, name).__name__ == name
    assert set(nlpseq.__all__) <= set(dir(nlpseq))
    with pytest.raises(AttributeError, match="module 'nlpseq' has no attribute 'no_such_name'"):
        _ = nlpseq.no_such_name


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "nlpseq" / "__init__.py").read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(homes) == sorted(nlpseq.__all__)
    for name, module in homes.items():
        assert getattr(nlpseq, name) is getattr(import_module(module), name)


def test_listed_packages_are_the_folders():
    renamed = SETUPTOOLS["package-dir"]
    folders = {file.parent for top in renamed.values() for file in (ROOT / top).rglob("__init__.py")}
    listed = {ROOT / Path(*folder_of(package, renamed)) for package in SETUPTOOLS["packages"]}
    assert listed == folders


def test_extra_all_names_every_extra_of_users():
    extras = PYPROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = everything.removeprefix("nlpseq[").removesuffix("]").split(",")
    assert sorted([*named, "all", "cuda12", "cuda13", "lint", "test"]) == sorted(extras)


def folder_of(package, renamed):
    return [renamed[package]] if package in renamed else package.split(".")


@pytest.mark.parametrize("name", ["cli", "corpora"])
def test_no_module_hides_a_renamed_folder(name):
    assert not list((ROOT / "nlpseq").glob(f"{name}*"))  # because the path finder would take this first


def test_top_level_is_the_agreed_layout():
    try:
        listing = ["git", "-C", str(ROOT), "ls-files"]
        tracked = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot list the files: {error}")
    assert {top for name in tracked if (top := name.split("/")[0]) and not top.startswith(".")} == TOP_LEVEL


def test_wheel_holds_one_complete_package(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in TOP_LEVEL - {"tests"}:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(source),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        info = next(name for name in held if name.endswith("top_level.txt"))
        assert archive.read(info).decode().split() == ["nlpseq"]
    assert {name.split("/")[0] for name in held} == {"nlpseq", info.split("/")[0]}
    missing = {installed_name(file) for file in sources()} - held
    assert not missing
    assert held >= OTHER_FILES


def sources():
    return [
        file.relative_to(ROOT) for top in ("nlpseq", "cli", "corpora") for file in (ROOT / top).rglob("*.py")
    ]


def installed_name(file):
    return str(file if file.parts[0] == "nlpseq" else Path("nlpseq", file))


def test_installed_packages_have_no_top_level_cli(tmp_path):
    assert run_python("import nlpseq.cli; print(nlpseq.cli.main.name)", tmp_path) == "nlpseq"
    looked_up = "from importlib.util import find_spec; print(find_spec('cli'), find_spec('corpora'))"
    assert run_python(looked_up, tmp_path) == "None None"


def test_python_m_nlpseq_runs_the_command(tmp_path):
    command = [sys.executable, "-m", "nlpseq", "--version"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("nlpseq ")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        pytest.param("nlpseq.cli", r"not installed.*pip install -e \.", id="nlpseq"),
        pytest.param("click", "ModuleNotFoundError: No module named 'click'", id="a-library"),
    ],
)
def test_missing_installation_is_reported(missing, message, tmp_path):
    code = f"""
import nlpseq.__main__ as module

def find_nothing(name):
    raise ModuleNotFoundError("No module named {missing!r}", name={missing!r})

module.import_module = find_nothing
module.main()
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    assert re.search(message, run.stderr)
