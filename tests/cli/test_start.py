"""train-w2v and preprocess with --start: messages, files, refusals, and stops."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference.fasttext import quantized_content
from support.texts import random_corpus

from nlpseq.training.runner import Checkpointer
from nlpseq.vectors.vectors import Vectors

QUICK = ("--epochs", "2", "--threads", "1")


@pytest.fixture(autouse=True)
def old(run_cli, tmp_path, monkeypatch):
    """Train old.w2v, and write new.txt with words of old.txt and other words."""
    monkeypatch.chdir(tmp_path)
    random_corpus(tmp_path, num_types=40, num_lines=600).rename("old.txt")
    text = random_corpus(tmp_path, num_types=50, num_lines=300).read_text()
    Path("new.txt").write_text(text)
    Path("pairs.tsv").write_text(
        "wordaa\twordab\t9\nwordac\twordad\t5\nwordaa\twordbx\t1\nwordae\twordaf\t3\n"
    )
    Path("questions.txt").write_text(": family\nwordaa wordab wordac wordad\n")
    assert run_cli("train-w2v", "old.txt", "--dim", "8", *QUICK).exit_code == 0


def test_start_says_drift_and_scores(run_cli):
    before = {file.name: file.read_bytes() for file in Path("old.w2v").iterdir()}
    options = ("--start", "old.w2v", "--pairs", "pairs.tsv", "--analogies", "questions.txt")
    done = run_cli("train-w2v", "new.txt", *options, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "new.w2v\n"
    for said in (
        "old.w2v: 40 known words, 10 new words; the text is 33.3% of all tokens",
        "50 words x 8, 4 matrices: 6.4 kB",
        "drift of 40 known words: mean cosine distance ",
        "moved most: word",
        "pairs.tsv, Spearman: ",
        " before, ",
        "analogies, all, 3CosAdd: ",
    ):
        assert said in done.stderr
    assert {file.name: file.read_bytes() for file in Path("old.w2v").iterdir()} == before
    meta = json.loads(Path("new.w2v/meta.json").read_text())
    assert meta["config"]["dim"] == 8 and meta["start"]["words"] == 40
    done = run_cli("train-w2v", "old.txt", "--start", "new.w2v", *QUICK, "-o", "next.w2v")
    assert done.exit_code == 0 and "new.w2v: 50 known words, 0 new words" in done.stderr, done.stderr


def test_convert_says_that_last_weights_are_left_out(run_cli):
    assert run_cli("train-w2v", "new.txt", "--start", "old.w2v", *QUICK).exit_code == 0
    said = "the last weights of the continued training are left out"
    for options in ([], ["--dtype", "float16"], ["--keep-top", "9"], ["--load-top", "9"]):
        is_left_out = bool(options)
        done = run_cli("convert", "new.w2v", "copy.w2v", *options, "--force")
        assert done.exit_code == 0 and (said in done.stderr) == is_left_out, done.stderr
        assert (Vectors.load("copy.w2v").last is None) == is_left_out
    assert said not in run_cli("convert", "new.w2v", "copy.vec").stderr


def test_corpus_of_a_start_without_one_is_warned_of(run_cli):
    assert run_cli("preprocess", "new.txt", "--start", "old.w2v").exit_code == 0
    done = run_cli("train-w2v", "new.tokens", *QUICK)
    assert done.exit_code == 0 and "50 words x 100, 2 matrices: 40.0 kB" in done.stderr
    assert "new.tokens: has the words of a start too. Use --start MODEL to go on" in done.stderr


def test_freeze_known_keeps_known_vectors(run_cli):
    done = run_cli("train-w2v", "new.txt", "--start", "old.w2v", "--freeze-known", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "drift of 40 known words: mean cosine distance 0\n" in done.stderr
    old, new = Vectors.load("old.w2v"), Vectors.load("new.w2v")
    assert all(old[word].tobytes() == new[word].tobytes() for word in old)


def test_scores_after_are_also_of_known_words(run_cli):
    done = run_cli(
        "train-w2v", "new.txt", "--start", "old.w2v", "--freeze-known", "--pairs", "pairs.tsv", *QUICK
    )
    line = next(line for line in done.stderr.splitlines() if "Spearman" in line)
    before, known = re.findall(r"Spearman: (\S+ \(\d+\)) before, .* after; (\S+ \(\d+\)) with known", line)[0]
    assert before == known


def test_buckets_of_a_start_are_compared(run_cli):
    options = ("--subwords", "3:4", "--buckets", "50", *QUICK)
    assert run_cli("train-w2v", "old.txt", *options, "-o", "ngrams.w2v").exit_code == 0
    done = run_cli("train-w2v", "new.txt", "--start", "ngrams.w2v", "--buckets", "9", *QUICK)
    assert done.exit_code == 2 and "buckets: 9 contradicts ngrams.w2v, which has 50" in done.stderr
    done = run_cli("train-w2v", "new.txt", "--start", "ngrams.w2v", "--buckets", "50", *QUICK)
    assert done.exit_code == 0 and "new words share the 50 buckets of the start" in done.stderr, done.stderr


def test_start_from_a_vector_file(run_cli):
    assert run_cli("convert", "old.w2v", "old.vec").exit_code == 0
    done = run_cli("train-w2v", "new.txt", "--start", "old.vec", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "old.vec: has no output vectors of word2vec, so these begin at zero" in done.stderr
    assert "; earlier texts are taken as long as this one, because no counts are known" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dim", "9"], "--dim: 9 contradicts "),
        (["--no-lower"], "--lower: False contradicts "),
        (["--tokenizer", "char"], "--tokenizer: char contradicts "),
        (["--preset", "quality"], "--preset: does not go with --start"),
        (["-o", "old.w2v", "--force"], "old.w2v: is an input of this command"),
        (["--freeze-known", "--backend", "cupy", "--kernel", "fused"], "--kernel fused: cannot freeze words"),
        (["--resume"], "--start: does not go with --resume"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_train_refuses_what_contradicts_a_start(run_cli, options, said):
    done = run_cli("train-w2v", "new.txt", "--start", "old.w2v", *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not Path("new.w2v").exists()


def test_sparse_and_pruned_vectors_are_no_start(run_cli):
    assert run_cli("train-counts", "old.txt", "--method", "ppmi", "--subsample", "0").exit_code == 0
    Path("old.ftz").write_bytes(quantized_content())
    said = {"old.ppmi": "holds sparse PPMI vectors", "old.ftz": "was quantized and lost n-grams"}
    for start, problem in said.items():
        done = run_cli("train-w2v", "new.txt", "--start", start, *QUICK)
        assert done.exit_code == 4 and f"{start}: {problem}" in done.stderr
        assert not Path("new.w2v").exists()


def test_text_that_drops_all_known_words_is_trained(run_cli):
    Path("other.txt").write_text("a b c d\n" * 5000)
    options = ("--max-vocab", "4", "--pairs", "pairs.tsv")
    done = run_cli("train-w2v", "other.txt", "--start", "old.w2v", *options, *QUICK)
    assert done.exit_code == 0 and done.stdout == "other.w2v\n", done.stderr
    assert "0 known words, 4 new words, 40 known words dropped" in done.stderr
    assert "drift: no known word with a vector is left. Raise --max-vocab" in done.stderr


@pytest.mark.parametrize(
    "option", [["--freeze-known"], ["--pairs", "pairs.tsv"], ["--analogies", "questions.txt"]]
)
def test_options_of_a_start_need_one(run_cli, option):
    done = run_cli("train-w2v", "new.txt", *option)
    assert done.exit_code == 2
    assert f"{option[0]}: has no effect without --start" in done.stderr


@pytest.mark.parametrize("frozen", [["--freeze-known"], []], ids=str)
def test_stopped_start_continues(run_cli, monkeypatch, frozen):
    looks = itertools.count()
    options = ("--start", "old.w2v", *frozen, "--epochs", "30", "--threads", "1")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "should_stop", lambda checkpointer: next(looks) == 3)
        assert run_cli("train-w2v", "new.txt", *options).exit_code == 130
    done = run_cli("train-w2v", "new.w2v", "--resume", "--pairs", "pairs.tsv")
    assert done.exit_code == 0, done.stderr
    assert ("drift of 40 known words: mean cosine distance 0\n" in done.stderr) == bool(frozen)
    assert "pairs.tsv, Spearman: " in done.stderr and f"{2 if frozen else 4} matrices" in done.stderr


def test_resume_without_the_start_says_how_to_compare(run_cli, monkeypatch):
    looks = itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "should_stop", lambda checkpointer: next(looks) == 3)
        options = ("--start", "old.w2v", "--epochs", "30", "--threads", "1")
        assert run_cli("train-w2v", "new.txt", *options).exit_code == 130
    shutil.rmtree("old.w2v")
    done = run_cli("train-w2v", "new.w2v", "--resume", "--pairs", "pairs.tsv")
    assert done.exit_code == 0, done.stderr
    assert "pairs.tsv, Spearman: - before, " in done.stderr
    assert (
        "drift, scores before: will not be shown, because the vectors of the start are not found ("
        in done.stderr
    )
    assert f"or use nlpseq compare {Path('old.w2v').resolve()} new.w2v later." in done.stderr


def test_encoded_text_needs_the_vocabulary_of_the_start(run_cli):
    assert run_cli("preprocess", "new.txt", "-o", "alone.tokens").exit_code == 0
    done = run_cli("train-w2v", "alone.tokens", "--start", "old.w2v", *QUICK)
    assert done.exit_code == 2
    assert "alone.tokens: was not encoded with the words and counts of" in done.stderr
    done = run_cli("preprocess", "new.txt", "--start", "old.w2v")
    assert "next: nlpseq train-w2v new.tokens --start MODEL" in done.stderr
    for source, name in (("new.tokens", "a.w2v"), ("new.txt", "b.w2v")):
        done = run_cli("train-w2v", source, "--start", "old.w2v", *QUICK, "-o", name)
        assert done.exit_code == 0, done.stderr
    for file in ("vectors.npy", "vocab.tsv"):
        assert Path("a.w2v", file).read_bytes() == Path("b.w2v", file).read_bytes()


def test_preprocess_adds_counts(run_cli):
    counting = ("--cooccurrence", "--subsample", "0", "--min-count", "1")
    assert run_cli("preprocess", "old.txt", *counting).exit_code == 0
    done = run_cli("preprocess", "new.txt", "--start", "old.tokens", "--cooccurrence", "--threads", "1")
    assert done.exit_code == 0, done.stderr
    Path("both.txt").write_text(Path("old.txt").read_text() + Path("new.txt").read_text())
    assert run_cli("preprocess", "both.txt", *counting).exit_code == 0
    assert Path("new.tokens/vocab.tsv").read_bytes() == Path("both.tokens/vocab.tsv").read_bytes()
    for name in ("data.npy", "indices.npy", "indptr.npy"):
        both = (np.load(f"{folder}/cooccurrence/{name}") for folder in ("new.tokens", "both.tokens"))
        np.testing.assert_array_equal(*both)
    done = run_cli("train-counts", "new.tokens", "--dim", "5", "--subsample", "0")
    assert done.exit_code == 0 and "counts of new.tokens/cooccurrence" in done.stderr, done.stderr


def test_counts_of_earlier_texts_are_not_counted_again(run_cli):
    counting = ("--cooccurrence", "--subsample", "0", "--min-count", "1")
    assert run_cli("preprocess", "old.txt", *counting).exit_code == 0
    assert run_cli("preprocess", "new.txt", "--start", "old.tokens", "--cooccurrence").exit_code == 0
    done = run_cli("train-counts", "new.tokens", "--dim", "5")
    assert done.exit_code == 2
    assert "new.tokens/cooccurrence: has subsample 0.0 (not 0.0001)" in done.stderr
    assert "Use --subsample 0.0." in done.stderr
    glove = ("train-counts", "new.tokens", "--method", "glove", "--dim", "5", "--epochs", "1")
    done = run_cli(*glove)
    assert done.exit_code == 2 and "Use --window 5 --weighting flat." in done.stderr
    done = run_cli(*glove, "--window", "5", "--weighting", "flat", "--seed", "9")
    assert done.exit_code == 0 and "counts of new.tokens/cooccurrence" in done.stderr, done.stderr


def test_text_with_words_of_unknown_count_is_counted(run_cli):
    assert run_cli("convert", "old.w2v", "old.vec").exit_code == 0
    assert run_cli("preprocess", "new.txt", "--start", "old.vec").exit_code == 0
    done = run_cli("train-counts", "new.tokens", "--dim", "5", "--subsample", "0.01")
    assert done.exit_code == 0, done.stderr
    assert "new.tokens: has no counts of earlier texts, so only this text is counted" in done.stderr


@pytest.mark.parametrize(
    ("start", "options", "said"),
    [
        ("old.w2v", ["--cooccurrence"], "old.w2v: is not an encoded corpus, so that it has no counts"),
        ("plain.tokens", ["--cooccurrence"], "plain.tokens: has no counts of neighbors"),
        ("counted.tokens", ["--cooccurrence", "--window", "3"], "--window: 3 contradicts counted.tokens"),
        ("plain.tokens", ["--tokenizer", "char"], "--tokenizer: char contradicts plain.tokens"),
        (
            "plain.tokens",
            ["-o", "plain.tokens", "--force"],
            "plain.tokens: is an input of this command. Use -o",
        ),
        ("old.w2v", ["-o", "old.w2v", "--force"], "old.w2v: is an input of this command. Use -o"),
    ],
    ids=str,
)
def test_preprocess_refuses_what_contradicts_a_start(run_cli, start, options, said):
    if start != "old.w2v":
        counting = ["--cooccurrence"] if start == "counted.tokens" else []
        assert run_cli("preprocess", "old.txt", "-o", start, *counting).exit_code == 0
    done = run_cli("preprocess", "new.txt", "--start", start, *options)
    assert done.exit_code == 2
    assert said in done.stderr
