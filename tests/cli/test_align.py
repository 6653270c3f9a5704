"""align and compare --moved: output, files and refused arguments."""

import json
from pathlib import Path

import numpy as np
import pytest

import nlpseq as ns
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors

WORDS = [f"w{v}" for v in range(30)]


def make(path, seed, words=WORDS, dim=4, count=99):
    matrix = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32)
    Vectors(Vocab(words, np.full(len(words), count)), matrix).save(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("old.w2v", 1)
    make("new.w2v", 2, [*WORDS[5:], "fresh"])
    make("wide.w2v", 3, dim=6)
    return tmp_path


def test_align_writes_a_folder_with_provenance(run_cli, here):
    done = run_cli("align", "old.w2v", "new.w2v", "-o", "out.w2v")
    assert (done.exit_code, done.stdout) == (0, "out.w2v\n"), done.stderr
    wanted = ns.align(Vectors.load("old.w2v"), Vectors.load("new.w2v"))
    found = Vectors.load("out.w2v")
    assert np.array_equal(found.matrix, wanted.matrix) and found.vocab.words == [*WORDS[5:], "fresh"]
    names = {"a": "old.w2v", "b": "new.w2v"}
    assert found.meta["alignment"] == wanted.meta["alignment"] | names
    figures = wanted.meta["alignment"]
    assert f"25 anchors; their mean cosine is {figures['mean_cosine_after']:.4f}, before" in done.stderr


def test_anchors_of_a_file_are_used(run_cli, here):
    Path("anchors.txt").write_text("w7\nw8\n\nw9\nw10\nzebra\nw11\nw1\n")
    done = run_cli("align", "old.w2v", "new.w2v", "--anchors", "anchors.txt", "-o", "out.w2v")
    assert "anchors.txt: 2 words without a vector in both models left out, such as zebra, w1" in done.stderr
    found = Vectors.load("out.w2v").meta["alignment"]
    assert (found["anchors"], found["left_out"]) == (5, ["zebra", "w1"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["old.w2v", "new.w2v"], 2, "-o"),
        (["old.w2v", "new.w2v", "-o", "wide.w2v"], 2, "wide.w2v: already exists. Use --force"),
        (["old.w2v", "wide.w2v", "-o", "out"], 4, "the models: have 4 and 6 dimensions"),
        (["old.w2v", "absent", "-o", "out"], 4, "absent: does not exist"),
        (["old.w2v", "new.w2v", "-o", "out", "--anchors", "absent"], 4, "absent: No such file"),
        (["old.w2v", "new.w2v", "-o", "out", "--anchors", "few"], 4, "anchors: 1 word with vectors in both"),
    ],
)
def test_align_refuses_invalid_arguments(run_cli, here, arguments, code, message):
    Path("few").write_text("w7\n")
    before = sorted(here.iterdir())
    done = run_cli("align", *arguments)
    assert (done.exit_code, done.stdout, message in done.stderr) == (code, "", True), done.stderr
    assert sorted(here.iterdir()) == before


def test_compare_shows_moved_words_with_neighbors(run_cli, here):
    options = ["old.w2v", "new.w2v", "--moved", "3", "--top", "2"]
    answer = json.loads(run_cli("compare", *options, "--json").stdout)
    assert [each["shared"] for each in answer["models"]] == [30, 25]
    moved = answer["moved"]
    cosines = [each["similarity"] for each in moved]
    assert len(moved) == 3 and cosines == sorted(cosines)
    old, new = Vectors.load("old.w2v"), Vectors.load("new.w2v")
    aligned = ns.align(old, new)
    for each in moved:
        a, b = old[each["word"]], aligned[each["word"]]
        assert each["similarity"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
        near = [[answer["word"] for answer in answers] for answers in each["neighbors"]]
        assert near == [[word for word, _ in model.neighbors(each["word"], 2)] for model in (old, new)]
    shown = run_cli("compare", *options).stdout.splitlines()
    rows = [line.split() for line in shown if line.startswith("shared words")]
    assert rows == [["shared", "words", "30", "25"]]
    first = moved[0]
    start = shown.index(f"{first['word']}  {first['similarity']:.4f}")
    assert shown[start + 2] == f"  new.w2v: {', '.join(each['word'] for each in first['neighbors'][1])}"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["old.w2v", "new.w2v", "wide.w2v", "--moved", "3"], 2, "--moved: compares two models"),
        (["old.w2v", "wide.w2v", "--moved", "3"], 4, "the models: have 4 and 6 dimensions"),
        (["old.w2v", "new.w2v", "--min-frequency", "3"], 2, "--min-frequency: has no effect without --moved"),
        (
            ["old.w2v", "new.w2v", "--moved", "3", "--min-frequency", "100"],
            4,
            "share no word that occurs 100",
        ),
    ],
)
def test_compare_refuses_moved_words_of_others(run_cli, here, arguments, code, message):
    done = run_cli("compare", *arguments, "--top", "2")
    assert (done.exit_code, done.stdout, message in done.stderr) == (code, "", True), done.stderr
