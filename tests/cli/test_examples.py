"""Every example of every help text runs, in the order in which a person would type them."""

import os
import random
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from nlpseq.cli import main

COURT = "the {} of the old land speaks to each {} and {} in the great hall"
PEOPLE = ("king", "queen", "man", "woman", "boy", "girl")


def commands(command: click.Command = main, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below `command` with what is typed for it; those that hold others come last."""
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for each in command.list_commands(ctx):
            below = command.get_command(ctx, each)
            assert below is not None
            yield from commands(below, f"{name} {each}".strip())
    yield name, command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    chance = random.Random(1)
    lines = [COURT.format(*chance.choices(PEOPLE, k=3)) for _ in range(300)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines))
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t9\nking\tman\t5\nland\tgirl\t1\n")
    (tmp_path / "questions.txt").write_text(": family\nking queen man woman\nboy girl man woman\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examples(text: str) -> list[str]:
    """The lines under "Examples:", with which a help text ends."""
    _, _, below = text.partition("\nExamples:\n")
    return [line.strip() for line in below.splitlines()]


def test_every_help_text_ends_with_examples(run_cli):
    for name, _ in commands():
        found = examples(run_cli(*name.split(), "--help").stdout)
        assert found, f"nlpseq {name} --help"
        assert all("nlpseq " in line for line in found)
        assert name in " ".join(found)


def test_all_examples_run(run_cli, folder):
    help_texts = [run_cli(*name.split(), "--help").stdout for name, _ in commands()]
    lines = dict.fromkeys(line for text in help_texts for line in examples(text))
    lines = [line for line in lines if not line.startswith("nlpseq demo")]  # see test_demo.py
    assert len(lines) > 15
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in lines:
        if "|" in line:
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {line}"],
                env=os.environ | {"PATH": path},
                capture_output=True,
            )
            assert done.returncode == 0, f"{line}\n{done.stderr.decode()}"
            assert done.stdout, line
        else:
            program, *args = shlex.split(line)
            result = run_cli(*args)
            assert (program, result.exit_code) == ("nlpseq", 0), f"{line}\n{result.stderr}"
            assert result.stdout, line
