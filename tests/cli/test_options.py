"""Options out of the config dataclasses, where their values come from, and what --help costs."""

import json
import subprocess
import sys
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner
from nlpseq.cli import HOMES, main
from nlpseq.cli._app import Command
from nlpseq.cli._options import config_file_option, config_options, resolved

from nlpseq.config import CooccurrenceConfig, TextConfig, Word2VecConfig
from nlpseq.config.fields import to_dict

HEAVY = {"numpy", "scipy", "numba", "nltk", "torch", "cupy", "tqdm"}


@click.command(cls=Command)
@config_file_option
@config_options(Word2VecConfig)
@config_options(TextConfig)
def show():
    print(json.dumps(to_dict(resolved(Word2VecConfig)) | to_dict(resolved(TextConfig))))


def shown(*args, **env):
    result = CliRunner().invoke(show, [str(arg) for arg in args], env=env, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_without_options_the_defaults_hold():
    assert shown() == to_dict(Word2VecConfig()) | to_dict(TextConfig())


def test_every_field_is_an_option():
    names = {param.name for param in show.params}
    assert {each.name for each in (*fields(Word2VecConfig), *fields(TextConfig))} <= names
    options = {option for param in show.params for option in (*param.opts, *param.secondary_opts)}
    assert {"--min-count", "--lower", "--no-lower", "--share-negatives", "--learning-rate"} <= options


def test_flags_of_every_kind():
    got = shown(
        *("--no-lower", "--min-count", 2, "--subsample", "1e-4", "--objective", "cbow"),
        *("--learning-rate", 0.1, "--max-vocab", 9, "--encoding", "cp949"),
    )
    assert (got["lower"], got["min_count"], got["subsample"], got["objective"]) == (False, 2, 1e-4, "cbow")
    assert (got["learning_rate"], got["max_vocab"], got["encoding"]) == (0.1, 9, "cp949")


def test_flag_before_environment_before_file_before_default(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[word2vec]\ndim = 7\nwindow = 7\nnegatives = 7\n[text]\nlower = false\n")
    got = shown("--config", file, "--dim", 9, NLPSEQ_DIM="8", NLPSEQ_WINDOW="8")
    assert [got[name] for name in ("dim", "window", "negatives", "epochs")] == [9, 8, 7, None]
    assert got["lower"] is False
    assert shown("--config", file, NLPSEQ_LOWER="1")["lower"] is True
    assert shown("--config", file, "--lower")["lower"] is True


def test_a_flag_that_repeats_the_default_wins_over_the_file(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[word2vec]\ndim = 7\n")
    assert shown("--config", file, "--dim", Word2VecConfig().dim)["dim"] == Word2VecConfig().dim


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[text]\nmin_cuont = 3\n",
            "table [text]: 'min_cuont' is no setting of TextConfig. Did you mean min_count?",
        ),
        ("[word2vec]\ndim = 0\n", "table [word2vec]: dim is 0. It must be from 1 to 10000."),
        ("[word2vec]\ndim = '9'\n", "table [word2vec]: dim is '9'. It must be of type int."),
        ("[word2vce]\ndim = 9\n", "'word2vce' is no table of settings. Did you mean [word2vec]?"),
        (
            "dim = 9\n",
            "'dim' is no table of settings. Known are [text], [word2vec], [cooccurrence], [ppmi], ",
        ),
        ("text = 9\n", "'text' is no table of settings."),
        ("[word2vec]\ndim = \n", "cannot be read as TOML: Invalid value (at line 2, column 7)"),
    ],
)
def test_errors_in_the_file(run_cli, tmp_path, text, message):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    result = run_cli("train-w2v", "corpus.txt", "--config", file)
    assert result.exit_code == 2
    assert message in result.stderr
    assert str(file) in result.stderr


def test_a_table_of_another_command_is_checked_and_left_alone(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[cooccurrence]\nwindow = 3\n")
    assert shown("--config", file)["window"] == Word2VecConfig().window
    assert CooccurrenceConfig().window == 5


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train-w2v", "x", "--dmi", "3"], "No such option '--dmi'. Did you mean '--dim'?"),
        (["train-w2v", "x", "--dim", "three"], "'three' is not a valid integer"),
        (["train-w2v", "x", "--dim", "0"], "dim is 0. It must be from 1 to 10000."),
        (["train-w2v", "x", "--objective", "glove"], "'glove' is not one of 'skipgram', 'cbow'"),
        (["train-w2v", "x", "--encoding", "utf-99"], "encoding is 'utf-99'. It must be a text encoding"),
        (["train-w2v", "x", "--config", "missing.toml"], "'missing.toml' does not exist"),
        (["train-w2v"], "Missing argument"),
        (["trian-w2v", "x"], "No such command 'trian-w2v'. Did you mean 'train-w2v'?"),
        (["preprocess", "x", "--window", "3"], "--window is for counting neighbours. Add --cooccurrence"),
    ],
)
def test_usage_errors(run_cli, args, message):
    result = run_cli(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("nlpseq: error: ")
    assert result.stdout == ""


def test_a_wrong_variable_is_a_usage_error(run_cli):
    result = run_cli("train-w2v", "x", env={"NLPSEQ_DIM": "many"})
    assert result.exit_code == 2
    assert "'many' is not a valid integer" in result.stderr


def test_help_shows_defaults_and_sections(run_cli):
    text = run_cli("train-w2v", "--help").stdout
    assert "--dim INTEGER" in text
    assert "[default: 100]" in text
    assert "--lower / --no-lower" in text
    assert "[skipgram|cbow]" in text
    assert (
        text.index("\nOptions:")
        < text.index("\nword2vec:")
        < text.index("\nText:")
        < text.index("\nExamples:")
    )
    assert "--smoothing" not in text, "left to the file"


@pytest.mark.parametrize("command", ["", *HOMES, "corpora list"])
def test_help_imports_nothing_heavy(command):
    code = f"""
import sys
from nlpseq.cli import main
try:
    main({[*command.split(), "--help"]!r})
except SystemExit as ending:
    assert not ending.code
sys.exit(" ".join({HEAVY!r} & set(sys.modules)) or None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: {' '.join(['nlpseq', *command.split()])} ")
    assert "\nExamples:\n" in done.stdout


def test_help_costs_less_than_a_fifth_of_a_second():
    code = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "nlpseq", "--help"], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""

    def seconds() -> float:
        return float(subprocess.check_output([sys.executable, "-c", code]))

    assert any(seconds() < 0.2 for _ in range(20)), "a machine at work makes it slower, never faster"


def test_version_and_the_module_are_the_command():
    def said(*command):
        return subprocess.check_output([*command, "--version"], text=True)

    from importlib.metadata import version

    script = sys.executable.rpartition("/")[0] + "/nlpseq"
    assert said(script) == said(sys.executable, "-m", "nlpseq") == f"nlpseq {version('nlpseq')}\n"
    assert main.name == "nlpseq"
