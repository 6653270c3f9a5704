"""Options: made from the config dataclasses, precedence of their values, and the imports of --help."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from nlpseq.cli import HOMES, main

from nlpseq.config import CooccurrenceConfig, GloveConfig, LMConfig, PPMIConfig, TextConfig, Word2VecConfig
from nlpseq.tokenizers.base import TOKENIZERS, TokenizerEntry

HEAVY = {"numpy", "scipy", "numba", "nltk", "torch", "cupy", "tqdm", "matplotlib", "pyarrow"}
OPTIONS_OF = {
    "train-w2v": [Word2VecConfig, TextConfig],
    "train-counts": [CooccurrenceConfig, PPMIConfig, GloveConfig, TextConfig],
    "train-lm": [LMConfig, TextConfig],
    "preprocess": [TextConfig, CooccurrenceConfig],
}


@pytest.fixture
def settings(run_cli, tmp_path, monkeypatch):
    """Return a function that encodes a text and returns the stored settings of text and counts."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("a b c a b\n" * 50)

    def run(*args, **env):
        done = run_cli("preprocess", "corpus.txt", "--force", "--cooccurrence", *args, env=env)
        assert done.exit_code == 0, done.stderr
        text = json.loads(Path("corpus.tokens/meta.json").read_text())["config"]
        counts = json.loads(Path("corpus.tokens/cooccurrence/meta.json").read_text())["config"]
        return text | counts

    return run


def test_no_options_give_the_defaults(settings):
    assert settings() == asdict(TextConfig()) | asdict(CooccurrenceConfig(subsample=1e-4))


@pytest.mark.parametrize("name", OPTIONS_OF)
def test_every_field_is_an_option(name):
    command = main.get_command(click.Context(main), name)
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    names = {each.name for config_type in OPTIONS_OF[name] for each in fields(config_type)}
    assert {"--" + each.replace("_", "-") for each in names} <= options
    assert {"--lower", "--no-lower"} <= options


@pytest.mark.parametrize("name", OPTIONS_OF)
def test_help_shows_what_the_korean_tokenizers_need(name, run_cli):
    shown = run_cli(name, "--help").stdout
    assert all(f"--{option}" in shown for option in ("morphemes", "pos", "user-dictionary"))


def test_flags_of_every_kind_set_the_config(settings):
    found = settings(
        *("--no-lower", "--min-count", 2, "--subsample", "1e-2", "--weighting", "harmonic"),
        *(
            "--normalize",
            "NFKC",
            "--keep",
            "urls,numbers",
            "--max-vocab",
            9,
            "--encoding",
            "cp949",
            "--phrase-threshold",
            3.5,
            "--phrases",
            1,
        ),
    )
    assert (found["lower"], found["min_count"], found["subsample"]) == (False, 2, 1e-2)
    assert (found["weighting"], found["max_vocab"], found["encoding"]) == ("harmonic", 9, "cp949")
    assert found["phrase_threshold"] == 3.5
    assert (found["normalize"], found["keep"], found["word_rule"]) == ("NFKC", "urls,numbers", 2)


def test_user_dictionary_option_stores_the_text(settings, run_cli, tmp_path, monkeypatch):
    monkeypatch.setitem(TOKENIZERS, "kiwi", TokenizerEntry(lambda text, config: text.split()))
    (tmp_path / "words.tsv").write_bytes("\ufeff꽃길\tNNG\r\n나무위키\tNNP\n".encode())
    found = settings("--tokenizer", "kiwi", "--user-dictionary", "words.tsv", "--pos", "N,VV")
    assert found["user_dictionary"] == "꽃길\tNNG\n나무위키\tNNP\n"
    assert found["pos"] == "N,VV"
    Path("latin.tsv").write_bytes(b"\xe9\tNNG\n")
    for file in ("gone.tsv", "latin.tsv"):
        refused = run_cli("preprocess", "corpus.txt", "--tokenizer", "kiwi", "--user-dictionary", file)
        assert refused.exit_code == 4
        assert f"{file}: not readable as UTF-8" in refused.stderr


def test_flag_precedes_environment_precedes_file(settings, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[cooccurrence]\nwindow = 7\nseed = 7\nweighting = 'harmonic'\n[text]\nlower = false\n")
    found = settings("--config", file, "--window", 9, NLPSEQ_WINDOW="8", NLPSEQ_SEED="8")
    assert (found["window"], found["seed"], found["weighting"], found["side"]) == (
        *(9, 8, "harmonic", "symmetric"),
    )
    assert found["lower"] is False
    assert settings("--config", file, NLPSEQ_LOWER="1")["lower"] is True
    assert settings("--config", file, "--lower")["lower"] is True


def test_flag_with_default_value_precedes_file(settings, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[cooccurrence]\nwindow = 7\n")
    assert settings("--config", file, "--window", 5)["window"] == 5


def test_table_of_another_command_has_no_effect(settings, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[word2vec]\nwindow = 3\n[glove]\nseed = 9\n")
    found = settings("--config", file)
    assert (found["window"], found["seed"]) == (5, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[text]\nmin_cuont = 3\n",
            "table [text]: min_cuont: unknown setting of TextConfig. Did you mean min_count?",
        ),
        (
            "[word2vec]\ndim = 0\n",
            "table [word2vec]: dim: 0 is not valid. The value must be from 1 to 10,000.",
        ),
        (
            "[word2vec]\ndim = '9'\n",
            "table [word2vec]: dim: '9' is not valid. The value must be of type int.",
        ),
        ("[word2vce]\ndim = 9\n", "word2vce is not a table of settings. Did you mean [word2vec]?"),
        (
            "dim = 9\n",
            "dim is not a table of settings. Use one of [text], [word2vec], [cooccurrence], [ppmi], ",
        ),
        ("text = 9\n", "text is not a table of settings."),
        ("[word2vec]\ndim = \n", "not readable as TOML (Invalid value (at line 2, column 7))"),
    ],
)
def test_invalid_config_file_is_refused(run_cli, tmp_path, text, message):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    result = run_cli("train-w2v", "corpus.txt", "--config", file)
    assert result.exit_code == 2
    assert message in result.stderr
    assert str(file) in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train-w2v", "x", "--dmi", "3"], "--dmi: no such option. Did you mean --dim?"),
        (["train-w2v", "x", "--dim", "three"], "error: --dim: 'three' is not a valid integer"),
        (["train-w2v", "x", "--dim"], "error: --dim: needs a value."),
        (["train-w2v", "x", "--dim", "0"], "--dim: 0 is not valid. The value must be from 1 to 10,000."),
        (
            ["train-w2v", "x", "--subsample", "nan"],
            "--subsample: nan is not valid. The value must be from 0 to 1",
        ),
        (
            ["train-w2v", "x", "--threads", "1025"],
            "--threads: 1025 is not valid. The value must be from 1 to",
        ),
        (
            ["preprocess", "x", "--threads", "0"],
            "--threads: 0 is not valid. The value must be from 1 to 1,024",
        ),
        (
            ["train-lm", "x", "--time-budget", "0s"],
            "--time-budget: 0s is not valid. The value must be above 0.",
        ),
        (["train-lm", "x", "--time-budget", "soon"], "'soon' is not a duration. Write 90s, 10m or 1h30m."),
        (["train-w2v", "x", "--objective", "glove"], "'glove' is not one of 'skipgram', 'cbow'"),
        (
            ["train-w2v", "x", "--encoding", "utf-99"],
            "--encoding: 'utf-99' is not valid. The value must be a",
        ),
        (["train-w2v", "x", "--config", "missing.toml"], "'missing.toml' does not exist"),
        (["train-w2v"], "error: CORPUS...: is missing. Try `nlpseq train-w2v --help`."),
        (["train-lm", "x", "--learning-rate", "nan"], "The value must be a finite number above 0."),
        (
            ["train-lm", "x", "--learning-rate", "0"],
            "--learning-rate: 0 is not valid. The value must be above 0.",
        ),
        (["similarity", "x", "a", "b", "c"], "error: c: more than the command takes."),
        (["trian-w2v", "x"], "trian-w2v: no such command. Did you mean train-w2v?"),
        (["preprocess", "x", "--window", "3"], "--window: has no effect without --cooccurrence"),
        (["neighbors", "x", "king", "--top", "0"], "--top: 0 is not valid. The value must be at least 1."),
    ],
)
def test_usage_error_is_one_line(run_cli, args, message):
    result = run_cli(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("nlpseq: error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [("many", "'many' is not a valid integer"), ("0", "--dim: 0 is not valid. The value must be from 1")],
)
def test_invalid_environment_variable_is_refused(run_cli, value, message):
    result = run_cli("train-w2v", "x", env={"NLPSEQ_DIM": value})
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("command", OPTIONS_OF)
def test_help_shows_options_of_words(run_cli, command):
    text = run_cli(command, "--help").stdout
    assert "--normalize [NFC|NFKC|none]" in text and "--keep TEXT" in text
    assert "--word-rule" not in text, "hidden"


def test_help_shows_defaults_bounds_and_sections(run_cli):
    text = " ".join(run_cli("train-w2v", "--help").stdout.split())
    assert "--dim INTEGER" in text
    assert "[default: 100; 1<=x<=10000]" in text
    assert "--subsample FLOAT" in text and "[default: 0.001; 0<=x<=1]" in text
    assert "--lower / --no-lower" in text
    assert "[skipgram|cbow]" in text
    assert (
        text.index(" Options: ")
        < text.index(" word2vec: ")
        < text.index(" Text: ")
        < text.index(" Examples: ")
    )
    assert "--smoothing" not in text, "hidden: set by the file"
    assert "--time-budget DURATION" in (text := " ".join(run_cli("train-lm", "--help").stdout.split()))
    assert "[default without epochs: 10m] [x>0]" in text


@pytest.mark.parametrize("group", [[], ["corpora"]])
def test_group_help_shows_whole_summaries(run_cli, group):
    found = run_cli(*group, "--help", env={"COLUMNS": "80"}).stdout
    summaries = found.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(summaries) > 2
    for line in summaries:
        assert re.fullmatch(r"  [a-z0-9-]+  +[A-Z].*[^.]\.", line) and len(line) <= 80, line


HELP = f"""
import sys
from nlpseq.__main__ import main
for command in {[*([name] for name in ("", *HOMES)), ["corpora", "list"]]}:
    args = [part for part in command if part]
    sys.argv = ["nlpseq", *args, "--help"]
    try:
        main()
    except SystemExit as ending:
        assert not ending.code, args
    print("\\0", " ".join(args), "\\0", *{HEAVY} & set(sys.modules), "\\0")
"""


def test_help_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split("\0")[:-1]
    texts, names, heavy = parts[::3], parts[1::3], parts[2::3]
    assert len(names) == len(HOMES) + 2
    for text, name, modules in zip(texts, names, heavy, strict=True):
        assert text.lstrip().startswith(f"Usage: {f'nlpseq {name.strip()}'.strip()} "), name
        assert "\nExamples:\n" in text, name
        assert not modules.strip(), f"nlpseq {name} --help imports {modules}"


MODULES = """
import sys
before = len(sys.modules)
from nlpseq.__main__ import main
sys.argv = ["nlpseq", "--help"]
try:
    main()
finally:
    print(len(sys.modules) - before, file=sys.stderr)
"""
MAX_MODULES = 250  # with the modules of click and of the standard library


def test_help_imports_few_modules():
    done = subprocess.run([sys.executable, "-c", MODULES], capture_output=True, text=True)
    assert int(done.stderr.splitlines()[-1]) < MAX_MODULES


def test_version_of_script_and_module_agree():
    def output(*command):
        return subprocess.check_output([*command, "--version"], text=True)

    script = sys.executable.rpartition("/")[0] + "/nlpseq"
    assert output(script) == output(sys.executable, "-m", "nlpseq") == f"nlpseq {version('nlpseq')}\n"
    assert main.name == "nlpseq"
