"""Commands, options, names and links in the README files exist."""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from bench.picture import draw, read_points
from nlpseq.cli import main

import nlpseq

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md"] + [
    file
    for top in ("nlpseq", "cli", "corpora", "tests/bench")
    for file in sorted((ROOT / top).rglob("*.md"))
    if file.name != "LOG.md"
]
MIN_COMMANDS = {"README.md": 20, "cli/README.md": 1, "nlpseq/vectors/README.md": 2, "nlpseq/lm/README.md": 2}
MIN_PYTHON = {"README.md": 2, "nlpseq/README.md": 2, "nlpseq/vectors/README.md": 1}


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", READMES, ids=name_of)
def test_commands_and_options_in_readme_exist(file: Path) -> None:
    context = main.make_context("nlpseq", ["doctor"], resilient_parsing=True)
    lines = commands(file)
    assert len(lines) >= MIN_COMMANDS.get(name_of(file), 0)
    for line in lines:
        _, name, *args = shlex.split(line)
        command = main.get_command(context, name)
        assert command is not None, line
        known = {
            option for param in command.get_params(context) for option in [*param.opts, *param.secondary_opts]
        }
        assert {arg for arg in args if re.match(r"--?[a-z]", arg)} <= known, line


@pytest.mark.parametrize("file", READMES, ids=name_of)
def test_python_in_readme_uses_public_names(file: Path) -> None:
    found = blocks(file, "python")
    assert len(found) >= MIN_PYTHON.get(name_of(file), 0)
    for code in found:
        names = set[str]()
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ns":
                names.add(node.attr)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nlpseq"):
                module = import_module(str(node.module))
                assert {alias.name for alias in node.names} <= set(module.__all__), code
        assert names <= set(nlpseq.__all__)


@pytest.mark.parametrize("file", READMES, ids=name_of)
def test_links_in_readme_lead_to_files(file: Path) -> None:
    text = re.sub(r"```.*?```", "", file.read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = file.parent / path if path else file
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def blocks(file: Path, languages: str) -> list[str]:
    """Return the content of all fenced blocks, also of those inside a list."""
    return re.findall(
        rf"^ *```(?:{languages})\n(.*?)^ *```", file.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(file: Path) -> list[str]:
    """Return the commands in fenced blocks, also after `&&` and a pipe, and between backticks."""
    fenced = "\n".join(blocks(file, "sh|text"))
    lines = re.findall(r"(?:^ *(?:\$ )?|&& |\| )(nlpseq [^#&|\n]*)", fenced, re.MULTILINE)
    text = re.sub(r"```.*?```", "", file.read_text("utf-8"), flags=re.DOTALL)
    inline = re.findall(r"`(nlpseq [a-z][^`#&|]*)[^`]*`", text)
    return lines + [line.replace("\n", " ") for line in inline]


def anchors(file: Path) -> set[str]:
    """Return the anchors of a file's headings, built like GitHub's."""
    headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_picture_is_drawn_from_log() -> None:
    points = read_points((ROOT / "tests" / "bench" / "LOG.md").read_text("utf-8"))
    assert (ROOT / "tests" / "bench" / "picture.svg").read_text("utf-8") == draw(points)
