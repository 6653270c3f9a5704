"""train-counts: each method from a text to vectors that answer."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from nlpseq.errors import ResourceError
from nlpseq.training.runner import Checkpointer
from nlpseq.vectors.vectors import Vectors

FRUIT, TOOLS = ("apple", "pear", "plum", "cherry"), ("saw", "hammer", "drill", "plane")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Sentences about fruit and sentences about tools: near words are of one kind."""
    chance = random.Random(2)
    lines = [" ".join(chance.choices(chance.choice([FRUIT, TOOLS]), k=8)) for _ in range(400)]
    (tmp_path / "things.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


METHODS = {
    "ppmi": ["--method", "ppmi", "--subsample", "0"],
    "svd": ["--dim", "3", "--subsample", "0"],
    "glove": ["--method", "glove", "--dim", "6", "--epochs", "30"],
}


@pytest.mark.parametrize("suffix", METHODS)
def test_train_counts_groups_words(run_cli, here, suffix):
    done = run_cli("train-counts", "things.txt", *METHODS[suffix], "--threads", 1)
    assert (done.exit_code, done.stdout) == (0, f"things.{suffix}\n"), done.stderr
    assert "counted in" in done.stderr and f"next: nlpseq neighbors things.{suffix}" in done.stderr
    vectors = Vectors.load(f"things.{suffix}")
    for word in FRUIT:
        assert {near for near, _ in vectors.neighbors(word, 3)} == {*FRUIT} - {word}
    assert vectors.is_sparse == (suffix == "ppmi")
    assert vectors.meta["cooccurrence_config"]["weighting"] == ("harmonic" if suffix == "glove" else "flat")
    answer = json.loads(run_cli("neighbors", f"things.{suffix}", "saw", "--json", "--top", 3).stdout)
    assert {each["word"] for each in answer["neighbors"]} == {*TOOLS} - {"saw"}
    assert run_cli("inspect", f"things.{suffix}").exit_code == 0


def test_train_counts_gives_same_bytes_again(run_cli, here):
    for path in ("a.svd", "b.svd"):
        assert run_cli("train-counts", "things.txt", *METHODS["svd"], "-o", path).exit_code == 0
    assert Path("a.svd/vectors.npy").read_bytes() == Path("b.svd/vectors.npy").read_bytes()
    run_cli("train-counts", "things.txt", *METHODS["svd"], "-o", "c.svd", "--seed", 2)
    assert Path("a.svd/vectors.npy").read_bytes() != Path("c.svd/vectors.npy").read_bytes()


def test_stored_counts_are_used_if_settings_match(run_cli, here):
    assert run_cli("preprocess", "things.txt", "--cooccurrence", "--window", 3).exit_code == 0
    common = ["train-counts", "things.tokens", *METHODS["svd"]]
    subsampled = run_cli(*common, "--window", 3)
    assert "have subsample 0.0001 (not 0.0); counting again" in subsampled.stderr
    used = run_cli("train-counts", "things.tokens", "--dim", 3, "--window", 3, "-o", "a.svd")
    assert f"counts of {Path('things.tokens/cooccurrence')}\n" in used.stderr
    other = run_cli(*common, "--window", 2, "-o", "b.svd")
    assert other.exit_code == 0 and "have window 3 (not 2), subsample" in other.stderr
    run_cli("train-counts", "things.txt", "--dim", 3, "--window", 3, "-o", "c.svd")
    assert np.array_equal(Vectors.load("a.svd").matrix, Vectors.load("c.svd").matrix)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--x-max", "5"], 2, "--x-max is for --method glove, not ppmi-svd"),
        (["--method", "glove", "--shift", "5"], 2, "--shift is for --method ppmi, not glove"),
        (["--method", "ppmi", "--eigenvalue-power", "1"], 2, "--eigenvalue-power is for --method ppmi-svd"),
        (
            ["--dim", "8"],
            2,
            "--dim: 8 is too large, because 8 words give vectors of at most 7 dimensions. Use --dim 7",
        ),
        (["--dim", "3", "--min-count", "9999"], 4, "--min-count"),
        (["--shift", "99", "--subsample", "0"], 4, "PPMI above 0. Use a lower --shift (it is 99), or more"),
        (["--dim", "3", "--subsample", "1e-9"], 4, "0. Use --subsample 0 (it is 1e-09), or more text"),
        (["--smoothing", "2"], 2, "--smoothing: 2 is not valid"),
    ],
)
def test_train_counts_refuses_impossible_settings(run_cli, here, arguments, code, message):
    done = run_cli("train-counts", "things.txt", *arguments)
    assert (done.exit_code, message in done.stderr) == (code, True), done.stderr
    assert [each.name for each in here.iterdir()] == ["things.txt"]


def test_open_dim_is_lowered_with_a_notice(run_cli, here):
    done = run_cli("train-counts", "things.txt", "--subsample", "0")
    assert done.exit_code == 0 and "--dim: 7, the most for 8 words" in done.stderr, done.stderr
    vectors = Vectors.load("things.svd")
    assert vectors.matrix.shape[1] == vectors.meta["svd_config"]["dim"] <= 7


def test_explicit_dim_is_refused_before_counting(run_cli, here):
    done = run_cli("train-counts", "things.txt", "--dim", 9)
    assert done.exit_code == 2 and "pairs of" not in done.stderr


@pytest.mark.parametrize("method", ["ppmi", "ppmi-svd", "glove"])
def test_words_without_pairs_give_a_warning(run_cli, here, method):
    Path("things.txt").write_text("alpha beta gamma\ngamma alpha\nlonely\n" * 50)
    done = run_cli("train-counts", "things.txt", "--method", method, "--subsample", "0", "-o", "out")
    message = "1 of 4 words got a vector of zeros, because training had no pair of them. Use more text"
    assert done.stderr.count(message) == 1
    for options in ([], ["--center"] if method != "ppmi" else []):
        asked = run_cli("neighbors", "out", "lonely", *options)
        assert asked.exit_code == 4 and "'lonely': its vector is zero" in asked.stderr
        assert "lonely" not in run_cli("neighbors", "out", "alpha", *options).stdout


GLOVE = ["train-counts", "things.txt", "--method", "glove", "--dim", "6", "--epochs", "3"]
GLOVE_BYTES = 2 * 4 * 8 * (2 * (6 + 1) + 6)  # values with their sums, and a copy of the vectors


def test_glove_memory_is_checked_before_counting(run_cli, here, monkeypatch):
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: GLOVE_BYTES - 1)
    done = run_cli(*GLOVE)
    assert done.exit_code == 6, done.stderr
    assert "training needs 1.3 kB of memory and 1.3 kB are available. Lower --dim" in done.stderr
    assert "8 words x 6, 2 matrices: 384 bytes; memory: 1.3 kB beside the counts; epochs: 3" in done.stderr
    assert "pairs of" not in done.stderr, "it was counted"
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: GLOVE_BYTES)
    done = run_cli(*GLOVE)
    assert (done.exit_code, "32 pairs of" in done.stderr) == (6, True), "what takes more are the pairs"
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: GLOVE_BYTES + 32 * 56)
    assert run_cli(*GLOVE).exit_code == 0


def test_glove_disk_is_checked_before_counting(run_cli, here, monkeypatch):
    def is_full(path, size):
        if path.name == "things.glove":
            raise ResourceError(f"{size} bytes. There are none.")

    monkeypatch.setattr("nlpseq.storage.artifact.check_free_disk", is_full)
    done = run_cli(*GLOVE)
    assert (done.exit_code, f"{2 * GLOVE_BYTES} bytes" in done.stderr) == (6, True), done.stderr
    assert "pairs of" not in done.stderr, "it was counted"


def test_resumed_glove_checks_memory(run_cli, here, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "should_stop", lambda self: True)
        assert run_cli(*GLOVE).exit_code == 130
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: GLOVE_BYTES - 1)
    done = run_cli("train-counts", "things.glove", "--resume")
    assert done.exit_code == 6, done.stderr
    assert "training needs 1.3 kB of memory" in done.stderr and "pairs of" not in done.stderr


def test_config_file_reaches_each_stage(run_cli, here):
    Path("settings.toml").write_text(
        "[cooccurrence]\nwindow = 2\nsubsample = 0.0\n[ppmi]\nshift = 1.5\n[svd]\ndim = 3\n"
    )
    done = run_cli("train-counts", "things.txt", "--config", "settings.toml")
    assert done.exit_code == 0, done.stderr
    meta = Vectors.load("things.svd").meta
    configs = [meta[f"{name}_config"] for name in ("cooccurrence", "ppmi", "svd")]
    assert (configs[0]["window"], configs[1]["shift"], configs[2]["dim"]) == (2, 1.5, 3)
