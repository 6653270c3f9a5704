"""plot: pictures of complete, unfinished and corrupt runs."""

import json
import subprocess
import sys
from dataclasses import asdict
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import nlpseq as ns
from nlpseq.config import LMConfig
from nlpseq.dataset.report import zipf_line
from nlpseq.lm.checkpoint import Checkpoint
from nlpseq.lm.model import RecurrentLM
from nlpseq.training.metrics import MAX_FIGURE

pytest.importorskip("matplotlib")
from nlpseq.cli.plot import draw, draw_zipf

COURSE = [
    {"step": 100, "loss": 6.0, "perplexity": 403.4, "learning_rate": 0.003},
    {"step": 150, "valid_loss": 5.5, "valid_perplexity": 244.7},
    {"step": 200, "loss": 5.0, "perplexity": 148.4, "learning_rate": 0.001},
]


def save_run(path, metrics=COURSE, *, complete=True):
    vocab = ns.Vocab(["the", "<unk>", "<eos>"], np.array([5, 1, 2]), num_specials=2)
    config = LMConfig(hidden=3, dim=2)
    weights = dict(RecurrentLM(config, 3).named_parameters())
    meta = {"config": asdict(config), "text_config": asdict(ns.TextConfig()), "vocab_digest": vocab.digest}
    Checkpoint(meta, vocab, weights, metrics, None if complete else {"weights": torch.ones(1)}).save(path)
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return save_run(tmp_path / "corpus.lm")


def test_plot_writes_picture_and_prints_path(run_cli, run, tmp_path):
    result = run_cli("plot", run)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "corpus.lm.png\n", "")
    assert (tmp_path / "corpus.lm.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert {each.name for each in tmp_path.iterdir()} == {"corpus.lm", "corpus.lm.png"}


def test_plot_names_current_folder(run_cli, run, tmp_path, monkeypatch):
    monkeypatch.chdir(run)
    assert run_cli("plot", ".", "-o", tmp_path / "new" / "a.svg").exit_code == 0
    texts = svg_texts(tmp_path / "new" / "a.svg")
    assert "corpus.lm" in texts


def svg_texts(file):
    """Return the texts of a picture, which matplotlib keeps in comments."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.parse(file, parser).getroot()
    return [each.text.strip() for each in root.iter() if callable(each.tag)]


def test_draw_shows_measurements():
    figure = draw("a run", COURSE, None)
    loss, rate, perplexity = figure.axes
    training, validation = ([list(each) for each in line.get_data()] for line in loss.lines)
    assert training == [[100, 200], [6.0, 5.0]]
    assert validation == [[150], [5.5]]
    assert [list(each) for each in rate.lines[0].get_data()] == [[100, 200], [0.003, 0.001]]
    assert perplexity.get_yscale() == "log"
    np.testing.assert_allclose(np.log(perplexity.get_ylim()), loss.get_ylim())


def test_draw_marks_end_of_sampling():
    sampled = [COURSE[0] | {"softmax": "sampled"}, COURSE[2] | {"softmax": "full"}]
    loss = draw("a run", sampled, None).axes[0]
    assert list(loss.lines[-1].get_xdata()) == [100, 100]
    assert len(draw("a run", sampled[1:], None).axes[0].lines) == 1


def test_draw_without_training_losses():
    figure = draw("a run", COURSE[1:2], np.array([1.0, 0.1]))
    loss, gradients, perplexity = figure.axes
    assert [each.get_ylabel() for each in (loss, gradients)] == ["loss, nats per token", "gradient"]
    assert [each.get_label() for each in loss.lines] == ["validation"]
    assert list(gradients.lines[0].get_ydata()) == [1.0, 0.1]
    assert perplexity.get_ylim()[0] > 0


def test_plot_accepts_unfinished_run_and_odd_names(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("half$x^$", "왕.lm"):
        save_run(tmp_path / name, complete=False)
        result = run_cli("plot", name)
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_plot_draws_word2vec_and_glove(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a b c d e\nb c d e a b\n" * 40)
    common = ["text.txt", "--dim", 4, "--epochs", 3, "--threads", 1, "--subsample", 0]
    assert run_cli("train-w2v", *common, "--valid-share", 0.2).exit_code == 0
    assert run_cli("train-counts", "--method", "glove", *common).exit_code == 0
    for name, labels in (("text.w2v", {"training", "validation"}), ("text.glove", {"training"})):
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [0, 1, 2]
        assert all({"step", "seconds", "loss", "learning_rate"} <= line.keys() for line in lines)
        assert {line.get_label() for line in draw(name, lines, None).axes[0].lines} == labels
        result = run_cli("plot", name)
        assert (result.exit_code, result.stdout) == (0, f"{name}.png\n"), result.stderr
    refused = run_cli("plot", "text.w2v", "--gradients", "--force")
    assert (refused.exit_code, "is not a language model" in refused.stderr) == (2, True)


def test_plot_draws_word_frequencies_of_corpus(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [" ".join(["a"] * 12 + ["b"] * 6 + ["c"] * 4 + ["d"] * 3)] * 9
    (tmp_path / "text.txt").write_text("\n".join(lines))
    assert run_cli("preprocess", "text.txt").exit_code == 0
    result = run_cli("plot", "text.tokens")
    assert (result.exit_code, result.stdout) == (0, "text.tokens.png\n"), result.stderr
    assert run_cli("plot", "text.tokens", "-o", "zipf.svg").exit_code == 0
    assert {"text.tokens", "rank", "occurrences", "fitted, slope -1.00"} <= {
        *svg_texts(tmp_path / "zipf.svg")
    }
    refused = run_cli("plot", "text.tokens", "--gradients", "--force")
    assert (refused.exit_code, "holds an encoded corpus" in refused.stderr) == (5, True), refused.stderr
    (tmp_path / "text.tokens" / "vocab.tsv").write_text("short")
    assert run_cli("plot", "text.tokens", "--force").exit_code == 5


def test_draw_zipf_uses_logarithmic_axes():
    axes = draw_zipf("a corpus", zipf_line(np.array([10, 100, 1000]))).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [list(each) for each in axes.lines[0].get_data()] == [[1, 2, 3], [1000, 100, 10]]


def test_plot_needs_force_to_overwrite(run_cli, run, tmp_path):
    (tmp_path / "corpus.lm.png").write_text("mine")
    result = run_cli("plot", run)
    assert result.exit_code == 2
    assert ": already exists. Use --force" in result.stderr
    assert (tmp_path / "corpus.lm.png").read_text() == "mine"
    assert run_cli("plot", run, "--force").exit_code == 0


def test_failed_plot_keeps_old_picture(run_cli, run, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def fail(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    (tmp_path / "corpus.lm.png").write_text("mine")
    result = run_cli("plot", run, "--force")
    assert (result.exit_code, result.stdout) == (6, "")
    assert (tmp_path / "corpus.lm.png").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("output", "message"),
    [("a.jpg", "unknown picture format"), ("corpus.lm", "unknown picture format"), ("d.png", "is a folder")],
)
def test_plot_refuses_bad_output(run_cli, run, tmp_path, output, message):
    (tmp_path / "d.png").mkdir()
    result = run_cli("plot", run, "-o", output, "--force")
    assert result.exit_code == 2
    assert message in result.stderr


def test_plot_refuses_folders_without_metrics(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ns.Vectors(ns.Vocab(["a"], np.array([1])), np.ones((1, 2), np.float32)).save(tmp_path / "a.w2v")
    result = run_cli("plot", "a.w2v")
    assert (result.exit_code, "a.w2v: has no metrics.jsonl" in result.stderr) == (4, True)
    result = run_cli("plot", save_run(tmp_path / "new.lm", []))
    assert (result.exit_code, "has no measurements yet" in result.stderr) == (4, True)
    (tmp_path / "new.lm" / "metrics.jsonl").write_text("{}\n")
    result = run_cli("plot", "new.lm")
    assert (result.exit_code, "metrics.jsonl: has 3 bytes" in result.stderr) == (5, True)
    result = run_cli("plot", "nowhere.lm")
    assert (result.exit_code, "nowhere.lm: not found" in result.stderr) == (4, True)


@pytest.mark.parametrize(
    "line",
    [
        {"loss": 6.0},
        {"step": "1", "loss": 6.0},
        {"step": 1, "loss": float("nan")},
        {"step": 1, "learning_rate": [1]},
        {"step": 1, "valid_loss": -1.0, "valid_perplexity": 2.0},
        {"step": 1, "valid_loss": 1.0},
        {"step": 1, "valid_perplexity": 2.0},
        {"step": 1, "loss": 1e308},
        [],
    ],
)
def test_plot_refuses_forged_metrics(run_cli, tmp_path, line):
    result = run_cli("plot", save_run(tmp_path / "a.lm", [*COURSE, line]))
    assert result.exit_code == 5, result.stderr
    assert "metrics.jsonl: line 4 is not a measurement. Copy the folder again." in result.stderr


@pytest.mark.parametrize("loss", [705.0, 20000.0, 1e200, MAX_FIGURE])
def test_plot_accepts_huge_losses(run_cli, tmp_path, monkeypatch, loss):
    monkeypatch.chdir(tmp_path)
    last = {
        "step": 300,
        "loss": loss,
        "learning_rate": MAX_FIGURE,
        "valid_loss": loss,
        "valid_perplexity": MAX_FIGURE,
    }
    result = run_cli("plot", save_run(tmp_path / "a.lm", [*COURSE, last]))
    assert (result.exit_code, result.stderr) == (0, "")


def test_plot_explains_how_to_install_matplotlib(run_cli, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run_cli("plot", run)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert 'pip install ".[plot]"' in result.stderr


def test_plot_needs_neither_torch_nor_screen(run, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from nlpseq.cli import main\n"
        "try: main(['plot', 'corpus.lm'])\n"
        "finally: print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "corpus.lm.png\nFalse\n"), done.stderr


def test_plot_draws_gradients(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["a b c d e", "b c d e a b"] * 40
    (tmp_path / "text.txt").write_text("\n".join(lines))
    sizes = ["--hidden", 8, "--dim", 4, "--batch-size", 2, "--epochs", 1, "--threads", 1, "--device", "cpu"]
    trained = run_cli("train-lm", "text.txt", *sizes)
    assert trained.exit_code == 0, trained.stderr
    result = run_cli("plot", "text.lm", "--gradients", "-o", "flow.svg")
    assert (result.exit_code, result.stdout) == (0, "flow.svg\n"), result.stderr
    assert "steps back from a prediction" in svg_texts(tmp_path / "flow.svg")
    (tmp_path / "text.txt").unlink()  # the encoded text is still in the cache
    assert run_cli("plot", "text.lm", "--gradients").exit_code == 0
