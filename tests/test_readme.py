"""Commands, options, names and links in the README files exist."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from bench.picture import draw, read_points
from nlpseq.cli import main

import nlpseq

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md"] + [
    file
    for top in ("nlpseq", "cli", "corpora", "tests/bench")
    for file in sorted((ROOT / top).rglob("README*.md"))
]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", READMES, ids=name_of)
def test_commands_and_options_in_readme_exist(file: Path) -> None:
    context = main.make_context("nlpseq", ["doctor"], resilient_parsing=True)
    for line in re.findall(r"^(?:\$ )?(nlpseq [^#|\n]*)", "\n".join(blocks(file, "sh|text")), re.MULTILINE):
        _, name, *args = shlex.split(line)
        command = main.get_command(context, name)
        assert command is not None, line
        known = {
            option for param in command.get_params(context) for option in [*param.opts, *param.secondary_opts]
        }
        assert {arg for arg in args if re.match(r"--?[a-z]", arg)} <= known, line


@pytest.mark.parametrize("file", READMES, ids=name_of)
def test_python_in_readme_uses_public_names(file: Path) -> None:
    for code in blocks(file, "python"):
        names = {
            node.attr
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ns"
        }
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
    return re.findall(rf"```(?:{languages})\n(.*?)```", file.read_text("utf-8"), re.DOTALL)


def anchors(file: Path) -> set[str]:
    """Return the anchors of a file's headings, built like GitHub's."""
    headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_picture_is_drawn_from_log() -> None:
    points = read_points((ROOT / "tests" / "bench" / "LOG.md").read_text("utf-8"))
    assert (ROOT / "tests" / "bench" / "picture.svg").read_text("utf-8") == draw(points)
