"""neighbors, analogy and similarity, on vectors with known answers."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support import terminals

from nlpseq.config import TextConfig
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors

ANGLES = {
    "king": 0,
    "queen": 10,
    "man": 90,
    "woman": 100,
    "café": 45,
    "왕비마마": 60,
    "evil\x1b[31m": -40,
    "\x9b": -50,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return vectors of words on a circle, whose angles give the cosines."""
    angles = np.radians(list(ANGLES.values()))
    matrix = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    vocab = Vocab(ANGLES, np.full(len(ANGLES), 9))
    path = tmp_path_factory.mktemp("queries") / "circle.w2v"
    Vectors(vocab, matrix, meta={"text_config": {"lower": True, "normalize": "NFC"}}).save(path)
    return path


def test_neighbors_of_one_word_are_two_columns(run_cli, model):
    result = run_cli("neighbors", model, "king", "--top", 3)
    assert result.stdout == "queen  0.9848\nevil\\x1b[31m  0.7660\ncafé  0.7071\n".replace(
        "queen  ", "queen         "
    ).replace("café  ", "café          ")
    assert result.exit_code == 0
    assert result.stderr == ""


def test_neighbors_of_several_words_have_headers(run_cli, model):
    result = run_cli("neighbors", model, "king", "man", "--top", 1)
    assert result.stdout == "king\nqueen  0.9848\n\nman\nwoman  0.9848\n"


def test_wide_characters_take_two_columns(run_cli, model):
    lines = run_cli("neighbors", model, "café", "--top", 2).stdout.splitlines()
    assert lines == ["왕비마마  0.9659", "queen     0.8192"]


def test_json_is_one_document_per_line_in_full_precision(run_cli, model):
    result = run_cli("neighbors", model, "king", "café", "--json")
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["word"] for document in documents] == ["king", "café"]
    assert all(document["schema"] == 1 for document in documents)
    assert set(documents[0]) == {"schema", "word", "neighbors"}
    first = documents[0]["neighbors"][0]
    assert first["word"] == "queen"
    assert first["similarity"] == dict(Vectors.load(model).neighbors("king"))["queen"]
    assert "café" in result.stdout, "UTF-8, not escaped"


def test_json_escapes_control_characters(run_cli, model):
    text = run_cli("neighbors", model, "king", "--json").stdout
    words = {entry["word"] for entry in json.loads(text)["neighbors"]}
    assert {"evil\x1b[31m", "\x9b"} <= words
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_lone_surrogate_is_valid_json(run_cli, tmp_path):
    Vectors(Vocab(["a", "b\udcff"], np.array([1, 1])), np.eye(2, dtype=np.float32)).save(tmp_path / "m")
    result = run_cli("neighbors", tmp_path / "m", "a", "--json")
    assert json.loads(result.stdout_bytes.decode("utf-8"))["neighbors"][0]["word"] == "b\udcff"
    assert run_cli("neighbors", tmp_path / "m", "a").stdout == "b\\udcff  0.0000\n"


def test_capitals_and_decomposed_letters_are_normalized(run_cli, model):
    assert run_cli("neighbors", model, "King").stdout == run_cli("neighbors", model, "king").stdout
    assert run_cli("similarity", model, "CAFE\u0301", "king").stdout == "0.7071\n"


def test_query_word_is_normalized_like_training_text(run_cli, tmp_path):
    path = tmp_path / "own.w2v"
    vocab = Vocab(["don't", "café", "b"], np.ones(3, np.int64))
    Vectors(vocab, np.eye(3, dtype=np.float32), meta={"text_config": asdict(TextConfig())}).save(path)
    for typed, known in (("Don’t", "don't"), ("CAFE\u0301", "café"), ("ca\u00adfé\u200d", "café")):
        assert json.loads(run_cli("neighbors", path, typed, "--json").stdout)["word"] == known


def test_query_of_several_words_names_its_known_words(run_cli, tmp_path):
    path = tmp_path / "own.w2v"
    vocab = Vocab(["well", "known", "b"], np.ones(3, np.int64))
    Vectors(vocab, np.eye(3, dtype=np.float32), meta={"text_config": asdict(TextConfig())}).save(path)
    result = run_cli("neighbors", path, "well-known-x")
    assert result.exit_code == 4
    assert "'well-known-x': is 3 words in the text of these vectors, because hyphens" in result.stderr
    assert "Use one of its known words: well, known." in result.stderr


def test_capitals_are_unknown_to_vector_file(run_cli, tmp_path):
    (tmp_path / "cased.vec").write_text("2 2\nking 1 0\nqueen 0 1\n")
    result = run_cli("neighbors", tmp_path / "cased.vec", "King")
    assert result.exit_code == 4
    assert "Did you mean king" in result.stderr


def test_words_are_read_from_stdin(run_cli, model):
    result = run_cli("neighbors", model, "--top", 1, "--json", input="king\n\n  man \n")
    assert [json.loads(line)["word"] for line in result.stdout.splitlines()] == ["king", "man"]


def test_unknown_word_keeps_answers_to_others(run_cli, model):
    result = run_cli("neighbors", model, "--top", 1, "--json", input="king\nqeen\nman\n")
    assert result.exit_code == 4
    assert len(result.stdout.splitlines()) == 2
    assert "nlpseq: error: 'qeen': is not among" in result.stderr
    assert "Did you mean queen" in result.stderr


def test_single_unknown_word_is_an_error(run_cli, model):
    result = run_cli("neighbors", model, "qeen")
    assert result.exit_code == 4
    assert result.stdout == ""
    assert result.stderr.count("nlpseq: error:") == 1


def test_missing_word_on_terminal_is_usage_error(model):
    done = terminals.run_on_terminal("neighbors", model)
    assert done.returncode == 2
    assert "Name a word, pipe words into stdin, or use -i" in done.stderr


def test_interactive_needs_a_terminal(run_cli, model):
    result = run_cli("neighbors", model, "-i", input="king\n")
    assert result.exit_code == 2
    assert "-i: needs a terminal" in result.stderr


def test_interactive_answers_until_ctrl_d(model):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "nlpseq", "neighbors", str(model), "-i", "--top", "1"]
    env = os.environ | {"TERM": "dumb", "INPUTRC": os.devnull}
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    shown = ""
    for typed in (b"king\n", b"qeen\n", b"man\n", b"\x04"):
        shown += read_terminal(master, until="word> ")
        os.write(master, typed)
    shown += read_terminal(master)
    os.close(master)
    assert child.wait() == 0
    assert "queen  0.9848" in shown
    assert "Did you mean queen" in shown
    assert "woman  0.9848" in shown


def read_terminal(master: int, until: str | None = None) -> str:
    """Return the output on a terminal up to `until`, or until the last program ends."""
    shown = b""
    with suppress(OSError):  # Linux reports the end of the last writer as an error
        while not (until and shown.endswith(until.encode())):
            shown += os.read(master, 4096)
    return shown.decode()


def test_analogy_answers_known_question(run_cli, model):
    assert run_cli("analogy", model, "man", "king", "woman").stdout.startswith("queen ")
    answer = json.loads(run_cli("analogy", model, "man", "king", "Woman", "--json", "--top", 2).stdout)
    assert set(answer) == {"schema", "answers"}
    assert [set(each) for each in answer["answers"]] == [{"word", "score"}] * 2
    assert answer["answers"][0]["word"] == "queen"


def test_analogy_by_3cosmul_equals_library(run_cli, model):
    add, multiply = (
        json.loads(run_cli("analogy", model, "man", "king", "woman", "--json", "--method", method).stdout)
        for method in ("3cosadd", "3cosmul")
    )
    expected = Vectors.load(model).analogy("man", "king", "woman", method="3cosmul")
    assert [(each["word"], each["score"]) for each in multiply["answers"]] == expected
    assert add["answers"][0]["score"] != multiply["answers"][0]["score"]


def test_similarity_equals_library(run_cli, model):
    assert run_cli("similarity", model, "king", "queen").stdout == "0.9848\n"
    answer = json.loads(run_cli("similarity", model, "king", "queen", "--json").stdout)
    assert answer == {"schema": 1, "similarity": Vectors.load(model).similarity("king", "queen")}


def test_top_must_be_positive(run_cli, model):
    result = run_cli("neighbors", model, "king", "--top", 0)
    assert result.exit_code == 2
    assert "--top" in result.stderr


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"caf\\xe9"), ("latin-1", b"caf\xe9")])
def test_ascii_terminal_gets_escapes_but_json_utf_8(model, encoding, shown):
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "nlpseq", "neighbors", str(model), "king"]
    plain = subprocess.run(command, env=env, capture_output=True)
    assert plain.returncode == 0
    assert shown in plain.stdout
    assert b"\\uc655\\ube44" in plain.stdout
    as_json = subprocess.run([*command, "--json"], env=env, capture_output=True, check=True)
    assert "café" in as_json.stdout.decode("utf-8")


def test_typed_words_are_utf_8_in_any_locale(model):
    env = os.environ | {"PYTHONUTF8": "0", "LC_ALL": "C"}
    command = [sys.executable, "-m", "nlpseq", "neighbors", str(model), "--json"]
    for arguments, typed in ((["왕비마마"], ""), ([], "왕비마마\r왕비마마\r")):
        done = subprocess.run([*command, *arguments], env=env, input=typed.encode(), capture_output=True)
        assert done.returncode == 0, done.stderr
        assert '"word": "왕비마마"' in done.stdout.decode()
