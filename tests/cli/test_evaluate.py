"""eval-w2v and compare: output and refused arguments."""

import json
from pathlib import Path

import numpy as np
import pytest

from nlpseq.dataset.vocab import Vocab
from nlpseq.evaluation.word_pairs import evaluate_pairs, read_pairs
from nlpseq.vectors.postprocess import postprocess
from nlpseq.vectors.vectors import Vectors

PAIRS = "a\tb\t1\na\tc\t2\nb\td\t5\nc\td\t3\na\tzebra\t9\n"
QUESTIONS = ": family\na b c d\na c b zebra\n: gram1-plural\nb c d e\nd c b a\n"


def make(path, seed=0, words="abcdefghijklm"):
    rng = np.random.default_rng(seed)
    matrix, contexts = rng.normal(size=(2, len(words), 4)).astype(np.float32)
    vectors = Vectors(Vocab(words, np.arange(len(words), 0, -1)), matrix, contexts)
    vectors.save(path)
    return vectors


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("one.w2v")
    make("two.w2v", seed=1)
    Path("pairs.tsv").write_text(PAIRS)
    Path("questions.txt").write_text(QUESTIONS)
    Path("node.vec").write_text("3 4\na 1 2 3 4\nb 2 3 4 5\nc 3 1 2 1\n")
    Path("pairs.csv").write_text("word1,word2,score\ncat,dog,7.5\nking,queen,8\n")
    return tmp_path


def test_eval_w2v_json_equals_library(run_cli, here):
    done = run_cli("eval-w2v", "one.w2v", "--pairs", "pairs.tsv", "--analogies", "questions.txt", "--json")
    answer = json.loads(done.stdout)
    wanted = evaluate_pairs(Vectors.load("one.w2v"), read_pairs(Path("pairs.tsv")).pairs)
    facts = {"file": "pairs.tsv", "oov_words": ["zebra"], "from_subwords": [], "unused": {}}
    assert answer["schema"] == 1 and answer["pairs"] == [facts | wanted._asdict()]
    analogies = answer["analogies"]
    assert [each["name"] for each in analogies["sections"]] == ["family", "gram1-plural"]
    assert (analogies["semantic"]["used"], analogies["semantic"]["oov"]) == (1, 1)
    assert analogies["all"]["used"] == 3 and 0 <= analogies["all"]["3cosmul"] <= 1


def test_eval_w2v_prints_aligned_tables(run_cli, here):
    done = run_cli("eval-w2v", "one.w2v", "--pairs", "pairs.tsv", "--analogies", "questions.txt")
    header, row, *analogies = done.stdout.splitlines()
    assert header.split() == ["pairs", "Spearman", "p", "Pearson", "p", "used", "oov"]
    assert row.split()[0] == "pairs.tsv" and row.split()[-2:] == ["4", "1"]
    assert [line.split()[0] for line in analogies] == [
        *("analogies", "family", "gram1-plural", "semantic", "syntactic", "all")
    ]
    assert len({len(line) for line in analogies}) == 1  # columns are aligned
    assert "oov: pairs and questions with a word that has no vector, left out" in done.stderr


def test_vector_options_equal_postprocess(run_cli, here):
    options = ["--matrix", "w+c", "--center", "--remove-components", "1"]
    done = run_cli("eval-w2v", "one.w2v", "--pairs", "pairs.tsv", "--json", *options, "--oov", "zero")
    taken = postprocess(Vectors.load("one.w2v"), matrix="w+c", center=True, remove_components=1)
    wanted = evaluate_pairs(taken, read_pairs(Path("pairs.tsv")).pairs, "zero")
    assert json.loads(done.stdout)["pairs"][0]["spearman"] == wanted.spearman
    near = json.loads(run_cli("neighbors", "one.w2v", "a", "--json", *options).stdout)["neighbors"]
    assert [each["word"] for each in near] == [word for word, _ in taken.neighbors("a")]


def test_undefined_correlation_is_null(run_cli, here):
    Path("few.tsv").write_text("a\tzebra\t1\n")
    done = run_cli("eval-w2v", "one.w2v", "--pairs", "few.tsv", "--json")
    found = json.loads(done.stdout)["pairs"][0]
    assert found["spearman"] is None and found["reason"] == "0 pairs used, and a correlation needs 3"
    shown = run_cli("eval-w2v", "one.w2v", "--pairs", "few.tsv")
    assert shown.stdout.splitlines()[1].split() == ["few.tsv", "-", "-", "-", "-", "0", "1"]
    assert "warning: few.tsv: gives no figure, because 0 pairs used" in shown.stderr
    assert "few.tsv: 1 word without a vector: zebra" in shown.stderr


def test_exit_code_is_0_if_anything_was_measured(run_cli, here):
    Path("few.tsv").write_text("a\tzebra\t1\n")
    Path("odd.txt").write_text("zebra a b c\n")
    nothing = run_cli("eval-w2v", "one.w2v", "--pairs", "few.tsv", "--analogies", "odd.txt", "--json")
    assert nothing.exit_code == 4 and "one.w2v: nothing was measured" in nothing.stderr
    analogies = json.loads(nothing.stdout)["analogies"]
    assert analogies["reason"] == "no question has three words with a vector and an answer of the vocabulary"
    assert (analogies["oov_words"], analogies["all"]["3cosadd"]) == (["zebra"], None)
    for more in (["--pairs", "pairs.tsv"], ["--analogies", "questions.txt"]):
        assert run_cli("eval-w2v", "one.w2v", "--pairs", "few.tsv", *more).exit_code == 0


def test_unused_lines_are_shown_with_reason(run_cli, here):
    Path("more.txt").write_text("# a\nw1 w2 score\na b 1,5\na b c 2\nb c 3\nc d 4\nb d\na d\n")
    done = run_cli("eval-w2v", "one.w2v", "--pairs", "more.txt", "--json")
    unused = {"comment": [1], "heading": [2], "too many words": [4], "no score": [7, 8]}
    assert json.loads(done.stdout)["pairs"][0]["unused"] == unused
    for line in (
        "more.txt: 1 line not used, comment: line 1\n",
        "more.txt: 1 line not used, heading: line 2 (w1 w2 score)\n",
        "warning: more.txt: 1 line not used, too many words: line 4 (a b c 2). Separate the fields by tabs.",
        "warning: more.txt: 2 lines not used, no score: lines 7, 8 (b d). Correct the file.\n",
    ):
        assert line in done.stderr


def test_unnamed_parts_are_left_out_of_tables(run_cli, here):
    Path("plain.txt").write_text("a b c d\n: E01\nb c d e\n")
    options = ["--analogies", "plain.txt"]
    shown = run_cli("eval-w2v", "one.w2v", *options).stdout
    assert [line.split("  ")[0] for line in shown.splitlines()] == ["analogies", "(no section)", "E01", "all"]
    found = json.loads(run_cli("eval-w2v", "one.w2v", *options, "--json").stdout)["analogies"]
    assert found["semantic"] is found["syntactic"] is None and found["all"]["used"] == 2
    assert "semantic" not in run_cli("compare", "one.w2v", "two.w2v", *options).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["one.w2v"], 2, "MODEL: nothing to evaluate on. Name a file with --pairs"),
        (["one.w2v", "--pairs", "absent"], 4, "absent: does not exist"),
        (
            ["one.w2v", "--analogies", "pairs.tsv"],
            4,
            "pairs.tsv: holds no analogies, but word pairs with a score. Name the file with --pairs.",
        ),
        (
            ["one.w2v", "--pairs", "questions.txt"],
            4,
            "holds no word pairs with a score, but analogies. Name the",
        ),
        (["one.w2v", "--pairs", "node.vec"], 4, "node.vec: holds vectors, not word pairs with a score. Name"),
        (
            ["one.w2v", "--analogies", "node.vec"],
            4,
            "node.vec: holds vectors, not analogies. Name the file as",
        ),
        (["absent.w2v", "--pairs", "pairs.tsv"], 4, "absent.w2v: does not exist"),
        (
            ["one.w2v", "--pairs", "pairs.tsv", "--remove-components", "4"],
            2,
            "--remove-components: 4 is out of range",
        ),
    ],
)
def test_eval_w2v_refuses_invalid_arguments(run_cli, here, arguments, code, message):
    done = run_cli("eval-w2v", *arguments)
    assert (done.exit_code, done.stdout, message in done.stderr) == (code, "", True), done.stderr


def test_eval_w2v_of_swapped_files_refuses_the_model(run_cli, here):
    done = run_cli("eval-w2v", "pairs.csv", "--pairs", "node.vec")
    assert done.exit_code == 4 and "error: pairs.csv: is a text without vectors" in done.stderr
    assert "node.vec" not in done.stderr


def test_compare_equals_eval_w2v_of_each_model(run_cli, here):
    arguments = ["one.w2v", "two.w2v", "one.w2v", "--pairs", "pairs.tsv", "--analogies", "questions.txt"]
    done = run_cli("compare", *arguments, "--top", 3, "--json")
    one, two, again = json.loads(done.stdout)["models"]
    assert one["overlap"] == again["overlap"] == 1 > two["overlap"]
    alone = json.loads(run_cli("eval-w2v", "two.w2v", *arguments[3:], "--json").stdout)
    assert (two["pairs"], two["analogies"]) == (alone["pairs"], alone["analogies"])
    assert (two["model"], two["words"], two["dim"]) == ("two.w2v", 13, 4)

    rows = [line.split("  ") for line in run_cli("compare", *arguments, "--top", 3).stdout.splitlines()]
    shown = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert shown["words"] == ["13"] * 3 and shown["overlap"][0] == "100.0%"
    assert shown["pairs.tsv, Spearman"][1] == f"{two['pairs'][0]['spearman']:.4f} (4)"
    assert shown["analogies, all, 3CosAdd"][0] == f"{one['analogies']['all']['3cosadd']:.1%} (3)"


def test_compare_needs_two_models_and_shared_words(run_cli, here):
    done = run_cli("compare", "one.w2v")
    assert done.exit_code == 2 and "MODEL: only one to compare" in done.stderr
    apart = run_cli("compare", "one.w2v", "two.w2v", "--top", 13)
    assert apart.exit_code == 4 and "share 13 words, too few for 13 neighbors" in apart.stderr
