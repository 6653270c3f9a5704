"""nlpseq score: one line of output for each line of any input."""

import gzip
import json
import re
from importlib import import_module

import pytest
from support import lm_models, terminals

from nlpseq.config import TextConfig
from nlpseq.reading.blocks import BlockLimits
from nlpseq.reading.corpus import Block, Corpus

LINES = ["The cat sat.", "", "a zebra", "tab\there \x1b[31m", "the cat " * 30]


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lm_models.save_tiny_model(tmp_path / "tiny.lm")


def records(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_text_column_tells_tab_from_its_escape(run_cli, model):
    result = run_cli("score", "tiny.lm", "--tokens", input="a\tb\na\\x09b\n")
    columns = [line.split("\t")[4:] for line in result.stdout.splitlines()]
    assert [text for text, *_ in columns] == ["a\\x09b", "a\\\\x09b"]
    assert columns[1][2].startswith("<unk:\\\\> ")


def test_json_has_one_document_per_line(run_cli, model, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    found = records(run_cli("score", "tiny.lm", "text.txt", "--json"))
    assert [each["text"] for each in found] == LINES
    for each, line in zip(found, LINES, strict=True):
        assert list(each) == ["schema", "text", "log_prob", "perplexity", "tokens", "unk"]
        expected = model.score(line)
        # float32, and other shapes of the same matrix products
        assert each["log_prob"] == pytest.approx(expected.log_prob, rel=1e-5)
        assert each["perplexity"] == pytest.approx(expected.perplexity, rel=1e-5)
        assert (each["schema"], each["tokens"], each["unk"]) == (1, len(expected.tokens), expected.unk)


def test_json_token_log_probs_sum_to_sentence(run_cli, model):
    (found,) = records(run_cli("score", "tiny.lm", "--tokens", "--json", input="The zebra sat\n"))
    pairs = found["token_log_probs"]
    assert [set(each) for each in pairs] == [{"token", "log_prob"}] * 4
    assert [each["token"] for each in pairs] == ["the", "<unk:zebra>", "sat", "<eos>"]
    assert sum(each["log_prob"] for each in pairs) == pytest.approx(found["log_prob"])


def test_score_columns_are_separated_by_tabs(run_cli, model):
    result = run_cli("score", "tiny.lm", input="\n".join(LINES) + "\n")
    first, second = result.stderr.splitlines()
    assert first == "columns: log_prob, perplexity, tokens, unk, text"
    assert re.match(r"nlpseq: warning: unknown words: \d of \d+ tokens, scored as <unk>", second)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [len(row) for row in rows] == [5] * len(LINES)
    assert [row[4] for row in rows] == [*LINES[:3], "tab\\x09here \\x1b[31m", LINES[4]]
    expected = model.score(LINES[0])
    assert float(rows[0][0]) == pytest.approx(expected.log_prob, abs=1e-4)
    assert float(rows[0][1]) == pytest.approx(expected.perplexity, abs=1e-3)
    assert rows[2][2:4] == ["3", "1"]


def test_score_prints_tokens_as_columns(run_cli, model):
    result = run_cli("score", "tiny.lm", "-", "--tokens", "-q", input="the zebra\n\n")
    assert result.stderr.count("\n") == 1 and "warning: unknown words: 1 of 4 tokens" in result.stderr
    first, second = (line.split("\t") for line in result.stdout.splitlines())
    assert [field.rpartition(" ")[0] for field in first[5:]] == ["the", "<unk:zebra>", "<eos>"]
    assert [field.rpartition(" ")[0] for field in second[5:]] == ["<eos>"]
    assert sum(float(field.rpartition(" ")[2]) for field in first[5:]) == pytest.approx(
        float(first[0]), abs=1e-3
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"\n\na\r\n\r\nb\n\n", ["", "", "a", "", "b", ""]),
        (b"\xef\xbb\xbfa\nb\0c", ["a", "b c"]),
        (gzip.compress("é\nb\n".encode(), mtime=0), ["é", "b"]),
    ],
)
def test_input_and_output_lines_match_one_to_one(run_cli, model, tmp_path, data, expected):
    (tmp_path / "text").write_bytes(data)
    assert [each["text"] for each in records(run_cli("score", "tiny.lm", "text", "--json"))] == expected
    assert [each["text"] for each in records(run_cli("score", "tiny.lm", "--json", input=data))] == expected


def test_files_without_last_line_end_stay_separate(run_cli, model, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"the {name}")
    found = records(run_cli("score", "tiny.lm", "*.txt", "--json"))
    assert [each["text"] for each in found] == ["the a", "the b"]


def test_column_of_records_is_scored(run_cli, model, tmp_path):
    (tmp_path / "a.csv").write_text("title,body,stars\nx,the cat,5\ny,sat,4\n")
    found = records(run_cli("score", "tiny.lm", "a.csv", "--column", "body", "--json"))
    assert [each["text"] for each in found] == ["the cat", "sat"]
    found = records(run_cli("score", "tiny.lm", "a.csv", "--format", "text", "--json"))
    assert found[0]["text"] == "title,body,stars"
    plain = run_cli("score", "tiny.lm", "--column", "body", input="the cat\n")
    assert plain.exit_code == 4 and "stdin: has no columns" in plain.stderr


def test_lines_join_parts_of_several_blocks():
    lines = import_module("nlpseq.cli.score").lines
    blocks = [("a\nb", False), ("the c", True), ("at s", True), ("at\n\nx\n", False), ("\n", False)]
    assert list(lines(Block(text.encode(), continues, 0) for text, continues in blocks)) == [
        "a",
        "b",
        "the cat sat",
        "",
        "x",
        "",
    ]


def test_very_long_line_is_one_sentence(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks, limits = Corpus.blocks, BlockLimits(line_chars=50, block_bytes=200)
    monkeypatch.setattr(Corpus, "blocks", lambda *read: blocks(*read, limits))
    lm_models.save_tiny_model(tmp_path / "tiny.lm", text_config=TextConfig(tokenizer="toktok"))
    long = "the cat sat " * 50
    found = records(run_cli("score", "tiny.lm", "--json", input=f"{long}\na\n"))
    assert [(each["text"], each["tokens"]) for each in found] == [(long, 151), ("a", 2)]


def test_invalid_bytes_are_replaced_with_warning(run_cli, model):
    result = run_cli("score", "tiny.lm", "--json", input=b"caf\xff\nthe\n")
    assert [each["text"] for each in records(result)] == ["caf\ufffd", "the"]
    assert ": 1 invalid byte for" in result.stderr
    strict = run_cli("score", "tiny.lm", "--encoding-errors", "strict", input=b"caf\xff\n")
    assert strict.exit_code == 4
    assert "byte 3 is invalid" in strict.stderr


def test_text_is_utf_8_whatever_the_corpus_was(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lm_models.save_tiny_model(tmp_path / "old.lm", text_config=TextConfig(encoding="latin-1"))
    inputs = [((), "café".encode()), ((), "café".encode("utf-16")), (("--encoding", "latin-1"), b"caf\xe9")]
    for options, data in inputs:
        (found,) = records(run_cli("score", "old.lm", "--json", *options, input=data))
        assert (found["text"], found["unk"]) == ("café", 0)
    wrong = run_cli("score", "old.lm", input=b"caf\xe9")
    assert wrong.exit_code == 4
    assert wrong.stderr.endswith("not text. The text of old.lm was in latin-1.\n")
    assert run_cli("score", "old.lm", "--encoding", "klingon", input="x").exit_code == 2


def test_missing_file_gives_exit_code_4(run_cli, model):
    result = run_cli("score", "tiny.lm", "nowhere.txt")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "nowhere.txt: no such file" in result.stderr


def test_result_folder_is_refused_as_text(run_cli, model):
    result = run_cli("score", "tiny.lm", "tiny.lm")
    assert result.exit_code == 4
    assert "tiny.lm: a result of nlpseq, not a text" in result.stderr


def test_missing_text_on_terminal_is_usage_error():
    done = terminals.run_on_terminal("score", "tiny.lm")
    assert done.returncode == 2
    assert "FILE: is missing. Name a text, pipe sentences into stdin, or use - to" in done.stderr
