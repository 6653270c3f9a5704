"""Sources on the command line: formats, --column, --format, --sentences, messages, exit codes."""

import json
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = [{"title": f"Title {n}", "meta": {"body": "one two. three\nfour"}} for n in range(20)]
    Path("a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + "broken\n")


def meta_of(folder: str) -> dict:
    return json.loads(Path(folder, "meta.json").read_text())


def test_records_are_read_and_decisions_are_said(run_cli):
    done = run_cli("preprocess", "a.jsonl", "--column", "meta.body")
    assert (done.exit_code, done.stdout) == (0, "a.tokens\n")
    assert "a.jsonl: read as JSON lines, text from meta.body" in done.stderr
    assert "skipped 1 record without a JSON object or string; the first is a.jsonl, line 21." in done.stderr
    assert done.stderr.index("read as") < done.stderr.index("corpus: a.jsonl: 40 sentences, 80 tokens;")
    assert done.stderr.count("skipped") == 1
    meta = meta_of("a.tokens")
    assert (meta["num_sentences"], meta["num_tokens"]) == (40, 80)
    assert meta["read"]["formats"] == {"JSON lines, text from meta.body": "a.jsonl"}
    assert meta["config"]["column"] == "meta.body"


def test_unclear_column_ends_with_code_4_and_examples(run_cli):
    done = run_cli("train-w2v", "a.jsonl")
    assert done.exit_code == 4
    assert "a.jsonl: has 2 columns with text" in done.stderr and "title ('Title 0')" in done.stderr


@pytest.mark.parametrize(("sentences", "number"), [("documents", 20), ("punctuation", 40)])
def test_sentences_end_where_asked(run_cli, sentences, number):
    done = run_cli("preprocess", "a.jsonl", "--column", "meta.body", "--sentences", sentences)
    assert done.exit_code == 0, done.stderr
    assert meta_of("a.tokens")["num_sentences"] == number


def test_format_text_reads_lines_as_they_are(run_cli):
    done = run_cli("preprocess", "a.jsonl", "--format", "text", "--min-count", 1)
    assert done.exit_code == 0 and "read as" not in done.stderr
    assert meta_of("a.tokens")["num_sentences"] == 21


def test_language_model_is_evaluated_on_records(run_cli):
    pytest.importorskip("torch")
    Path("b.csv").write_text("id,body\n" + "".join(f"{n},one two three four\n" for n in range(30)))
    fast = ("--hidden", 8, "--dim", 4, "--epochs", 1, "--threads", 1, "-q")
    done = run_cli("train-lm", "a.jsonl", "--column", "meta.body", "--valid", "b.csv", *fast)
    assert done.exit_code == 4 and "b.csv: has no column 'meta.body'" in done.stderr
    assert run_cli("train-lm", "a.jsonl", "--column", "meta.body", *fast).exit_code == 0
    done = run_cli("eval-lm", "a.lm", "b.csv", "--column", "body", "--json")
    assert json.loads(done.stdout)["tokens"] == 150
    assert "b.csv: read as CSV with a heading, text from body" in done.stderr
    Path("plain.txt").write_text("one two three four\n" * 30)
    assert run_cli("eval-lm", "a.lm", "plain.txt").exit_code == 0
    done = run_cli("eval-lm", "a.lm", "plain.txt", "--column", "body")
    assert done.exit_code == 4 and "plain.txt: has no columns" in done.stderr
