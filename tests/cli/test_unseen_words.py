"""Commands answer unseen words from their n-grams and say so; --no-oov refuses them."""

import json
from pathlib import Path

import numpy as np
import pytest

from nlpseq.config import Ngrams
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.vectors import Vectors

WORDS = ["king", "queen", "man", "woman", "land"]
NOTE = "has no trained vector of its own; its vector is made from subwords\n"


@pytest.fixture
def model(tmp_path, monkeypatch):
    draw = np.random.default_rng(5).normal
    subwords = SubwordVectors(draw(size=(50, 4)).astype(np.float32), Ngrams(3, 5))
    vectors = Vectors(Vocab(WORDS, np.arange(5, 0, -1)), draw(size=(5, 4)), subwords=subwords)
    vectors.meta = {"text_config": {"lower": True, "normalize": "NFC"}}
    monkeypatch.chdir(tmp_path)
    vectors.save("a.w2v")
    vectors.write("a.bin", "fasttext")
    return vectors


@pytest.mark.parametrize("file", ["a.w2v", "a.bin"])
@pytest.mark.parametrize(
    ("command", "unseen"),
    [
        (["neighbors", "wrod"], ["wrod"]),
        (["neighbors", "king and wrod", "--lines"], ["and", "wrod"]),
        (["analogy", "kings", "king", "wrod"], ["kings", "wrod"]),
        (["query", "king - wrod + 2*kings"], ["wrod", "kings"]),
        (["odd-one-out", "king", "wrod", "man"], ["wrod"]),
        (["similarity", "king", "wrod kings"], ["wrod", "kings"]),
    ],
    ids=lambda value: value[0],
)
def test_queries_answer_unseen_words_and_say_so(run_cli, model, file, command, unseen):
    name, *rest = command
    done = run_cli(name, file, *rest, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["from_subwords"] == unseen
    assert done.stderr == "".join(f"{word}: {NOTE}" for word in unseen)
    refused = run_cli(name, file, *rest, "--no-oov")
    if "--lines" in rest:
        assert "2 of 3 words left out as unknown: and wrod" in refused.stderr
    else:
        assert refused.exit_code == 4 and "is not among the 5 words" in refused.stderr


def test_known_words_are_answered_without_a_note(run_cli, model):
    done = run_cli("similarity", "a.bin", "king", "man", "--json")
    assert done.stderr == "" and "from_subwords" not in json.loads(done.stdout)


def test_typed_form_and_form_of_ngrams_are_both_told(run_cli, model):
    done = run_cli("neighbors", "a.w2v", "WROD", "--json")
    answer = json.loads(done.stdout)
    assert answer["word"] == "wrod" and answer["from_subwords"] == ["wrod"]
    assert answer["changed"] == {"WROD": "wrod"} and "WROD: read as wrod\n" in done.stderr
    wanted = [{"word": word, "similarity": value} for word, value in model.neighbors("wrod")]
    assert answer["neighbors"] == wanted


def test_evaluation_counts_words_without_any_vector(run_cli, model):
    Path("pairs.tsv").write_text("king\twrod\t1\nkings\tqueens\t2\nman\twoman\t5\nking\tq\t3\n")
    Path("short.tsv").write_text("king\tman\t1\nqueen\tman\t2\nland\twoman\t4\n")
    model.subwords = model.subwords._replace(ngrams=Ngrams(4, 5))  # so that q has no n-gram
    model.save("b.w2v")
    done = run_cli("eval-w2v", "b.w2v", "--pairs", "pairs.tsv", "--json")
    (pairs,) = json.loads(done.stdout)["pairs"]
    assert (pairs["used"], pairs["oov"]) == (3, 1)
    assert pairs["from_subwords"] == ["wrod", "kings", "queens"] and pairs["oov_words"] == ["q"]
    assert "pairs.tsv: 3 unseen words with a vector made from subwords: wrod, kings, queens\n" in done.stderr
    done = run_cli("eval-w2v", "b.w2v", "--pairs", "pairs.tsv", "--pairs", "short.tsv", "--no-oov", "--json")
    assert json.loads(done.stdout)["pairs"][0]["oov"] == 3
    done = run_cli("compare", "b.w2v", "a.bin", "--pairs", "pairs.tsv", "--top", "2", "--json")
    used = [record["pairs"][0]["used"] for record in json.loads(done.stdout)["models"]]
    assert used == [3, 4], done.stderr


def test_analogies_name_unseen_words(run_cli, model):
    Path("questions.txt").write_text("king wrod man woman\nking queen man woman\n")
    done = run_cli("eval-w2v", "a.w2v", "--analogies", "questions.txt", "--json")
    assert json.loads(done.stdout)["analogies"]["from_subwords"] == ["wrod"]


def test_search_through_a_mapped_model_says_that_it_takes_long(run_cli, model, monkeypatch):
    monkeypatch.setattr("nlpseq.vectors.vectors.SLOW_WORDS", 5)
    said = "a.bin: a search through all 5 words computes their vectors first"
    assert said in run_cli("neighbors", "a.bin", "king").stderr
    assert said not in run_cli("similarity", "a.bin", "king", "queen").stderr
    assert said not in run_cli("convert", "a.bin", "b.w2v").stderr
    assert "computes" not in run_cli("neighbors", "a.w2v", "king").stderr


def test_unseen_words_are_not_taken_for_one_entry(run_cli, model):
    model.subwords = model.subwords._replace(ngrams=Ngrams(6, 7))  # of <ab cd>, but not of <ab>
    model.write("b.bin", "fasttext")
    done = run_cli("neighbors", "b.bin", "ab", "cd")
    assert done.exit_code == 4 and "is one entry" not in done.stderr


def test_list_of_words_is_converted_with_unseen_words(run_cli, model):
    Path("words.txt").write_text("wrod\nking\n")
    done = run_cli("convert", "a.bin", "out.vec", "--words", "words.txt")
    assert done.exit_code == 0 and "1 unseen word with a vector made from subwords: 'wrod'" in done.stderr
    found = Vectors.load("out.vec")
    assert list(found) == ["king", "wrod"]
    np.testing.assert_allclose(found["wrod"], model["wrod"], rtol=1e-5)
    done = run_cli("convert", "a.bin", "out.vec", "--words", "words.txt", "--no-oov", "--force")
    assert list(Vectors.load("out.vec")) == ["king"] and "1 word to keep not found: 'wrod'" in done.stderr


def test_words_of_unknown_count_answer_with_a_warning(run_cli, model):
    Path("words.txt").write_text("wrod\n" + "\n".join(WORDS))
    run_cli("convert", "a.w2v", "b.w2v", "--words", "words.txt")
    done = run_cli("query", "b.w2v", "king", "--min-frequency", "4", "--json")
    assert {answer["word"] for answer in json.loads(done.stdout)["answers"]} == {"queen", "wrod"}
    assert "1 word of unknown count: can answer in spite of --min-frequency." in done.stderr
    assert run_cli("query", "a.w2v", "king", "--min-frequency", "4").stderr == ""


def test_inspect_counts_rows_that_are_not_finite(run_cli, model):
    content = Path("a.bin").read_bytes()
    end = len(content) - 1 - 16 - 5 * 4 * 4  # of the rows of n-grams: before a flag, sizes and output vectors
    Path("b.bin").write_bytes(content[: end - 16] + b"\xff" * 16 + content[end:])
    done = run_cli("inspect", "b.bin", "--json")
    notice = "1 n-gram row not finite or too large, read as zeros: row 50"
    assert json.loads(done.stdout)["meta"]["notices"] == [notice]
    assert run_cli("neighbors", "b.bin", "king").stderr == ""
    assert notice in run_cli("neighbors", "b.bin", "king", "--verify").stderr


def test_fasttext_files_are_converted_and_inspected(run_cli, model):
    done = run_cli("convert", "a.w2v", "b.bin", "--format", "fasttext")
    assert done.stdout == "b.bin\n" and "5 words x 4: a fastText model" in done.stderr
    assert run_cli("convert", "b.bin", "b.w2v").exit_code == 0
    np.testing.assert_allclose(Vectors.load("b.w2v")["wrod"], model["wrod"], rtol=1e-5)
    meta = json.loads(run_cli("inspect", "b.bin", "--json").stdout)
    assert meta["kind"] == "a fastText model" and meta["whole"] is True
    assert meta["meta"]["subwords"] == {"shortest": 3, "longest": 5, "units": "characters", "buckets": 50}
    Path("b.bin").write_bytes(Path("b.bin").read_bytes()[:-1])
    for command in (["neighbors", "b.bin", "king"], ["inspect", "b.bin"]):
        done = run_cli(*command)
        assert done.exit_code == 5 and "b.bin: ends in the output matrix" in done.stderr
