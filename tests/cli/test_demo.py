"""demo: the tour on `pydocs`, its results, and the analogies that must come out right."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from nlpseq.cli.demo import ANALOGIES, RESULTS, WORDS, demo, show_model

import nlpseq as ns
from nlpseq.errors import ConfigError
from nlpseq.storage.locks import path_lock
from nlpseq.training.runner import Checkpointer

SENTENCES = [
    *("the row has rows and the column has columns", "an array of arrays or a matrix of matrices"),
    *("a function calls functions and a method calls methods", "upper and lower and left and right"),
    "a string of the maximum",
]


@pytest.fixture
def small_pydocs(monkeypatch, tmp_path):
    """Put a text of five sentences in the place of the real corpus."""
    text = tmp_path / "small.txt"
    text.write_text("\n".join(SENTENCES * 300))
    monkeypatch.setattr("nlpseq.corpora.pydocs.build", lambda: text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_torch(monkeypatch):
    """Make `import torch` fail, also if another test has imported the language model."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "nlpseq.lm", raising=False)


def test_demo_without_torch_trains_only_vectors(run_cli, small_pydocs, no_torch):
    result = run_cli("demo")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "demo"), result.stderr
    for word in WORDS:
        assert f"nearest to {word}: " in result.stdout
    assert "row : rows = column : " in result.stdout
    assert "pip install" in result.stderr
    assert "nlpseq neighbors demo/pydocs.w2v" in result.stderr
    assert "nlpseq generate" not in result.stderr
    assert ns.Vectors.load(small_pydocs / "demo" / "pydocs.w2v").vocab.num_words > 20
    assert not (small_pydocs / "demo" / "pydocs.lm").exists()
    again = run_cli("demo")
    assert again.exit_code == 2 and "--force" in again.stderr


@pytest.mark.parametrize("name", RESULTS)
def test_demo_keeps_folders_of_other_programs(run_cli, small_pydocs, name):
    existing = small_pydocs / "tour" / name
    existing.mkdir(parents=True)
    (existing / "note.txt").write_text("mine")
    result = run_cli("demo", "-o", "tour")
    assert result.exit_code == 2
    assert name in result.stderr and "-o" in result.stderr
    assert [each.name for each in existing.parent.iterdir()] == [name]


def test_demo_run_has_learning_curves(run_cli, small_pydocs, no_torch):
    pytest.importorskip("matplotlib")
    assert run_cli("demo").exit_code == 0
    plotted = run_cli("plot", "demo/pydocs.w2v")
    assert plotted.exit_code == 0, plotted.stderr


def test_demo_locks_its_results_from_the_start(run_cli, small_pydocs, no_torch, monkeypatch):
    locked = []

    def build():
        for name in RESULTS:
            with pytest.raises(ConfigError, match="is being written by another process"):
                ThreadPoolExecutor(1).submit(path_lock(Path("demo", name)).__enter__).result()
            locked.append(name)
        return small_pydocs / "small.txt"

    monkeypatch.setattr("nlpseq.corpora.pydocs.build", build)
    assert run_cli("demo").exit_code == 0
    assert set(locked) == set(RESULTS)


def test_stopped_demo_saves_its_run(run_cli, small_pydocs, no_torch, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "should_stop", lambda self: True)
        stopped = run_cli("demo")
    assert stopped.exit_code == 130
    assert "Continue with: nlpseq train-w2v demo/pydocs.w2v --resume" in stopped.stderr
    assert run_cli("train-w2v", "demo/pydocs.w2v", "--resume").exit_code == 0


def test_demo_model_generates_a_sentence(small_pydocs, capsys):
    pytest.importorskip("torch")
    config = ns.LMConfig(hidden=8, dim=8, time_budget=0.1, precision="fp32", threads=1)
    with click.Context(demo):
        assert show_model(small_pydocs, config=config)
    assert capsys.readouterr().out.startswith("generated: ")
    assert ns.LanguageModel.load(small_pydocs / "pydocs.lm").meta["complete"]


@pytest.mark.slow
def test_demo_on_pydocs_finds_analogies_and_generates(run_cli, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    result = run_cli("demo")
    assert result.exit_code == 0, result.stderr
    for a, b, c, d in ANALOGIES:
        assert f"{a} : {b} = {c} : {d}\n" in result.stdout
    assert "generated: Return the" in result.stdout
    for name in RESULTS:
        assert (tmp_path / "demo" / name).is_dir()
    assert 'nlpseq generate demo/pydocs.lm --prompt "The"' in result.stderr
