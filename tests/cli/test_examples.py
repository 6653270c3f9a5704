"""Every example of every help text parses; `pytest -m slow` runs them, in the order of the help texts."""

import random
import shlex
import subprocess
from collections.abc import Iterator

import click
import numpy as np
import pytest
from nlpseq.cli import main

from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors

COURT = "the {} of the old land speaks to each {} and {} in the great hall"
PEOPLE = ("king", "queen", "man", "woman", "boy", "girl")


def commands(command: click.Command = main, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the name and command of every subcommand; groups come after their members."""
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for each in command.list_commands(ctx):
            below = command.get_command(ctx, each)
            assert below is not None
            yield from commands(below, f"{name} {each}".strip())
    yield name, command


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Change to a folder with the files that the examples name."""
    chance = random.Random(1)
    lines = [COURT.format(*chance.choices(PEOPLE, k=3)) for _ in range(120)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines))
    (tmp_path / "new.txt").write_text("\n".join(line.replace("hall", "palace") for line in lines))
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t9\nking\tman\t5\nland\tgirl\t1\n")
    words = sorted({*COURT.replace("{}", "").split(), *PEOPLE})
    (tmp_path / "anchors.txt").write_text("\n".join(words))
    for name, seed in (("old.w2v", 1), ("new.w2v", 2)):
        matrix = np.random.default_rng(seed).normal(size=(len(words), 5)).astype(np.float32)
        Vectors(Vocab(words, np.full(len(words), 99)), matrix).save(tmp_path / name)
    (tmp_path / "questions.txt").write_text(": family\nking queen man woman\nboy girl man woman\n")
    monkeypatch.chdir(tmp_path)


def examples(text: str) -> list[str]:
    """Return the lines after "Examples:", the end of a help text."""
    _, _, below = text.partition("\nExamples:\n")
    return [line.strip() for line in below.splitlines()]


def run_line(run_cli, line: str) -> str:
    """Run a pipeline, each nlpseq command in this process, and return its output."""
    data = ""
    for part in line.split(" | "):
        if part.startswith("nlpseq "):
            done = run_cli(*shlex.split(part)[1:], input=data)
            assert done.exit_code == 0, f"{line}\n{done.stderr}"
            data = done.stdout
        else:
            data = subprocess.run(
                part, shell=True, input=data, check=True, capture_output=True, text=True
            ).stdout
    return data


def test_every_help_text_ends_with_examples(run_cli):
    for name, _ in commands():
        found = examples(run_cli(*name.split(), "--help").stdout)
        assert found, f"nlpseq {name} --help"
        assert all("nlpseq " in line for line in found)
        assert name in " ".join(found)


def all_examples(run_cli) -> list[str]:
    help_texts = [run_cli(*name.split(), "--help").stdout for name, _ in commands()]
    lines = list(dict.fromkeys(line for text in help_texts for line in examples(text)))
    assert len(lines) > 15
    return lines


def test_examples_have_valid_options(run_cli):
    subcommands, parsed = dict(commands()), 0
    for line in all_examples(run_cli):
        for part in line.split(" | "):
            words = shlex.split(part.partition(" < ")[0].partition(" > ")[0])
            if words[0] != "nlpseq":
                continue
            name = " ".join(words[1:3]) if " ".join(words[1:3]) in subcommands else words[1]
            subcommands[name].make_context(name, words[1 + len(name.split()) :])
            parsed += 1
    assert parsed > 15


@pytest.mark.slow
@pytest.mark.usefixtures("corpus")
def test_all_examples_run(run_cli):
    for line in all_examples(run_cli):
        if not line.startswith("nlpseq demo"):  # see test_demo.py
            assert run_line(run_cli, line), line
