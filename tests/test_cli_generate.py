"""nlpseq generate as a person meets it."""

import json
from pathlib import Path

import lm_models
import pytest

from nlpseq.config import TextConfig


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TextConfig(lower=False, punctuation=True, min_count=1)
    words = ["the", "cat", "sat", ",", ".", "\x1b[31m"]
    lm_models.save_tiny_model(Path("tiny.lm"), text_config=config, words=words, scale=2)
    return tmp_path


def test_text_goes_on_from_the_prompt(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "12", "--seed", "3")
    assert done.exit_code == 0 and done.stdout.startswith("the cat") and done.stdout.endswith("\n")
    assert done.stderr == ""
    again = run_cli("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "12", "--seed", "3")
    assert again.stdout == done.stdout
    document = run_cli(
        *("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "12", "--seed", "3", "--json")
    )
    answer = json.loads(document.stdout)
    assert list(answer) == ["schema", "text"]
    shown = answer["text"].replace("\x1b", "\\x1b")  # a token that would command the terminal
    assert done.stdout == shown + "\n"


def test_no_token_commands_the_terminal(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--num-tokens", "200")
    assert "\\x1b[31m" in done.stdout and "\x1b" not in done.stdout


def test_several_texts(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--samples", "3", "--num-tokens", "5")
    assert done.stdout.count("---\n") == 2
    lines = run_cli(
        "generate", "tiny.lm", "--samples", "3", "--num-tokens", "5", "--json"
    ).stdout.splitlines()
    assert len({json.loads(line)["text"] for line in lines}) == 3


def test_unknown_words_are_said(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--prompt", "the dog sat", "--num-tokens", "3")
    assert done.exit_code == 0 and done.stdout.startswith("the dog sat")
    assert "the model does not know dog, and reads <unk> instead" in done.stderr


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["tiny.lm", "--temperature", "-1"], 2, "temperature is -1.0"),
        (["tiny.lm", "--beam", "3", "--samples", "2"], 2, "Leave one of them out"),
        (["tiny.lm", "--beam", "0"], 2, "beam is 0"),
        (["none.lm"], 5, "none.lm is not a folder written by nlpseq"),
    ],
)
def test_wrong_turns(run_cli, here, arguments, code, message):
    done = run_cli("generate", *arguments)
    assert done.exit_code == code and message in done.stderr and done.stdout == ""
