"""nlpseq generate: prompts, samples, beam search and sampling options."""

import json
from pathlib import Path

import pytest
from support import lm_models, terminals

from nlpseq.config import TextConfig


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TextConfig(lower=False, punctuation=True, min_count=1)
    words = ["the", "cat", "sat", ",", ".", "\x1b[31m"]
    lm_models.save_tiny_model(Path("tiny.lm"), text_config=config, words=words, scale=2)
    return tmp_path


def test_text_continues_prompt_reproducibly(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "12", "--seed", "3")
    assert done.exit_code == 0 and done.stdout.startswith("the cat") and done.stdout.endswith("\n")
    assert done.stderr == "seed: 3\n"
    again = run_cli("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "12", "--seed", "3")
    assert again.stdout == done.stdout
    document = run_cli(
        *("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "12", "--seed", "3", "--json")
    )
    answer = json.loads(document.stdout)
    assert list(answer) == ["schema", "text"]
    assert done.stdout == answer["text"] + "\n"


@pytest.mark.slow
def test_only_a_terminal_gets_control_characters_escaped(run_cli, here):
    piped = run_cli("generate", "tiny.lm", "--num-tokens", "50", "--seed", "4").stdout
    shown = terminals.output_on_terminal("generate", "tiny.lm", "--num-tokens", "50", "--seed", "4")
    assert "\x1b[31m" in piped and shown == piped.replace("\x1b", "\\x1b")


def test_samples_are_separate_and_different(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--samples", "3", "--num-tokens", "5")
    assert done.stdout.count("---\n") == 2
    lines = run_cli(
        "generate", "tiny.lm", "--samples", "3", "--num-tokens", "5", "--json"
    ).stdout.splitlines()
    assert len({json.loads(line)["text"] for line in lines}) == 3


def test_unknown_prompt_word_gets_warning(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--prompt", "the dog sat", "--num-tokens", "3")
    assert done.exit_code == 0 and done.stdout.startswith("the dog sat")
    assert "the model does not know 'dog', and reads <unk> instead" in done.stderr
    joined = run_cli("generate", "tiny.lm", "--prompt", "the do\u200dg <unk>", "--num-tokens", "1")
    assert "does not know 'do\\u200dg', and" in joined.stderr


def test_prompt_is_utf_8_in_any_locale(run_cli, here):
    typed = "the 왕".encode().decode("ascii", "surrogateescape")  # as Python reads it in the locale C
    done = run_cli("generate", "tiny.lm", "--prompt", typed, "--num-tokens", "3")
    assert done.exit_code == 0 and done.stdout.startswith("the 왕")


def test_help_shows_bounds_of_sampling(run_cli):
    shown = " ".join(run_cli("generate", "--help").stdout.split())
    assert "1e-06<=x<=1000000" in shown and "0<x<=1" in shown, shown


def test_dash_reads_prompt_from_stdin(run_cli, here):
    done = run_cli("generate", "tiny.lm", "--prompt", "-", "--num-tokens", "5", input="the cat\nthe\n")
    typed = run_cli("generate", "tiny.lm", "--prompt", "the cat\nthe", "--num-tokens", "5")
    assert done.stdout == typed.stdout and done.stdout.startswith("the cat\nthe")


@pytest.mark.parametrize("settings, same_as", [
    (["--temperature", "1e-39"], ["--temperature", "0"]),
    (["--temperature", "1e-45", "--top-k", "2"], ["--temperature", "0"]),
    (["--temperature", "5e-324", "--top-p", "0.5"], ["--temperature", "0"]),
    (["--temperature", "1e39"], ["--temperature", "1e300"]),
])  # fmt: skip
def test_extreme_temperature_is_greedy_or_uniform(run_cli, here, settings, same_as):
    done, other = (run_cli("generate", "tiny.lm", *each, "--num-tokens", "9") for each in (settings, same_as))
    assert done.exit_code == 0 and done.stdout == other.stdout


def test_text_ends_after_requested_sentences(run_cli, here):
    for arguments in (["--sentences", "1"], ["--sentences", "1", "--samples", "2"], ["--num-tokens", "3"]):
        done = run_cli("generate", "tiny.lm", "--prompt", "the cat", "--num-tokens", "300", *arguments)
        lines = done.stdout.split("\n")
        assert lines[-1] == "" and lines[-2] != "", arguments
        assert len([line for line in lines if line not in ("", "---")]) == (2 if "2" in arguments else 1)


def test_beam_search_is_deterministic(run_cli, here):
    once, again = (run_cli("generate", "tiny.lm", "--beam", "4", "--num-tokens", "9") for _ in range(2))
    assert (once.exit_code, once.stderr) == (0, "") and once.stdout == again.stdout


def test_sampling_options_restrict_tokens(run_cli, here):
    # Each option is so strict that only the most probable token stays.
    wanted = run_cli("generate", "tiny.lm", "--temperature", "0", "--num-tokens", "9").stdout
    for strict in (["--top-k", "1"], ["--top-p", "1e-9"], ["--min-p", "1"]):
        assert run_cli("generate", "tiny.lm", *strict, "--num-tokens", "9").stdout == wanted
    assert run_cli("generate", "tiny.lm", "--num-tokens", "9").stdout != wanted
    fresh = run_cli("generate", "tiny.lm", "--repetition-penalty", "1e6", "--top-k", "1", "--num-tokens", "4")
    assert len(set(fresh.stdout.split())) == len(fresh.stdout.split()) > 1
    assert "<unk>" in run_cli("generate", "tiny.lm", "--unk", "--num-tokens", "200").stdout
    assert "<unk>" not in run_cli("generate", "tiny.lm", "--num-tokens", "200").stdout


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["tiny.lm", "--temperature", "-1"], 2, "--temperature: -1 is not valid"),
        (["tiny.lm", "--beam", "3", "--samples", "2"], 2, "--samples: has no effect with --beam"),
        (["tiny.lm", "--beam", "3", "--top-p", "0.9"], 2, "--top-p: has no effect with --beam"),
        (["tiny.lm", "--device", "toaster"], 3, "device 'toaster': cannot be used"),
        (["tiny.lm", "--beam", "0"], 2, "--beam: 0 is not valid"),
        (["tiny.lm", "--repetition-penalty", "1e-300"], 2, "The value must be from 1e-06 to 1,000,000"),
        (["none.lm"], 4, "none.lm: does not exist"),
    ],
)
def test_invalid_option_is_refused(run_cli, here, arguments, code, message):
    done = run_cli("generate", *arguments)
    assert done.exit_code == code and message in done.stderr and done.stdout == ""
