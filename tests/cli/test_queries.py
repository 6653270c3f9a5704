"""neighbors, analogy, query, odd-one-out and similarity, on vectors with known answers."""

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
    assert "Use one of these words: well, known." in result.stderr


def test_capitals_are_unknown_to_vector_file(run_cli, tmp_path):
    (tmp_path / "cased.vec").write_text("2 2\nking 1 0\nqueen 0 1\n")
    result = run_cli("neighbors", tmp_path / "cased.vec", "King")
    assert result.exit_code == 4
    assert "Did you mean king" in result.stderr
    unknown = run_cli("neighbors", tmp_path / "cased.vec", "xyz")
    assert "Check the spelling" in unknown.stderr and "vocab.tsv" not in unknown.stderr


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
    assert set(answer) == {"schema", "answers", "changed"}
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


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"caf\\xe9"), ("cp1252", b"caf\xe9")])
def test_ascii_terminal_gets_escapes_but_files_utf_8(model, monkeypatch, encoding, shown):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("PYTHONUTF8", "0")
    on_terminal = terminals.bytes_on_terminal("neighbors", model, "king")
    assert shown in on_terminal
    assert b"\\uc655\\ube44" in on_terminal
    for options in ([], ["--json"]):
        command = [sys.executable, "-m", "nlpseq", "neighbors", str(model), "king", *options]
        found = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8")
        assert "café" in found and "왕비마마" in found


def test_typed_words_are_utf_8_in_any_locale(model):
    env = os.environ | {"PYTHONUTF8": "0", "LC_ALL": "C"}
    command = [sys.executable, "-m", "nlpseq", "neighbors", str(model), "--json"]
    for arguments, typed in ((["왕비마마"], ""), ([], "왕비마마\r왕비마마\r")):
        done = subprocess.run([*command, *arguments], env=env, input=typed.encode(), capture_output=True)
        assert done.returncode == 0, done.stderr
        assert '"word": "왕비마마"' in done.stdout.decode()


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "cp1252"}])
def test_arguments_stdin_and_files_are_read_alike(model, tmp_path, locale):
    env = os.environ | {"PYTHONUTF8": "0"} | locale
    (tmp_path / "words.txt").write_text("\ufeff왕비마마\r\ncafé\n", "utf-8")
    command = [sys.executable, "-m", "nlpseq", "query", str(model), "--json"]
    for arguments, typed in ((["왕비마마 - café"], ""), (["-"], "왕비마마 - café\n")):
        done = subprocess.run([*command, *arguments], env=env, input=typed.encode(), capture_output=True)
        assert len(json.loads(done.stdout)["answers"]) == 6, done.stderr
    among = [*command, "king + man", "--among", str(tmp_path / "words.txt")]
    found = json.loads(subprocess.run(among, env=env, capture_output=True, check=True).stdout)
    assert {each["word"] for each in found["answers"]} == {"왕비마마", "café"}


@pytest.fixture
def spaced(tmp_path) -> Path:
    """Return vectors of words that are hard to type."""
    words = ["\u00a0", "-5", "-", "king", " a", "\u2028", "\ufeff"]
    vocab = Vocab(words, np.ones(len(words), np.int64))
    Vectors(vocab, np.eye(len(words), 3, dtype=np.float32) + 1).save(tmp_path / "spaced")
    return tmp_path / "spaced"


@pytest.mark.parametrize("word", ["\u00a0", "-5", "-", "king", " a", "\u2028"])
def test_any_word_is_found_on_stdin_and_as_an_argument(run_cli, spaced, word):
    result = run_cli("neighbors", spaced, "--json", input=f"{word}\n")
    assert json.loads(result.stdout)["word"] == word
    given = run_cli("neighbors", spaced, "--json", "--", word, input=f"{word}\n")
    assert given.stdout == result.stdout
    asked = run_cli("query", spaced, "--json", "-", input=f'"{word}" + 2*king\n' * (word != "king"))
    assert all(each["word"] != word for each in json.loads(asked.stdout or '{"answers": []}')["answers"])


def test_only_the_first_byte_order_mark_of_stdin_is_dropped(run_cli, spaced):
    result = run_cli("neighbors", spaced, "--json", input="\ufeffking\n\ufeff\n")
    assert [json.loads(line)["word"] for line in result.stdout.splitlines()] == ["king", "\ufeff"]


@pytest.mark.parametrize("command", ["neighbors", "query", "odd-one-out", "similarity", "analogy"])
def test_message_about_a_dash_names_the_way_out(run_cli, spaced, command):
    result = run_cli(command, spaced, "-5")
    assert result.exit_code == 2
    assert (
        f"-5: no such option. Try -- before words that begin with a dash: `nlpseq {command} ... -- -5`."
        in (result.stderr)
    )
    assert "Did you mean --top" in run_cli("neighbors", spaced, "--tpo", "3").stderr


def test_dash_stands_for_stdin_in_every_command(run_cli, model):
    def run(*args, lines):
        result = run_cli(args[0], model, *args[1:], "--json", input="\n".join(lines))
        assert result.exit_code == 0, result.stderr
        return result.stdout

    assert run("neighbors", "-", lines=["king", "man"]) == run("neighbors", "king", "man", lines=[])
    assert run("neighbors", "man", "-", lines=["king"]) == run("neighbors", "man", "king", lines=[])
    assert run("query", "-", lines=["", "king - man"]) == run("query", "king", "-", "man", lines=[])
    odd = run("odd-one-out", "king", "queen", "man", lines=[])
    assert run("odd-one-out", "-", lines=["king", "queen", "man"]) == odd
    assert run("odd-one-out", "king", "-", lines=["queen", "man"]) == odd
    assert run("analogy", "-", "king", "-", lines=["man", "woman"]) == run(
        "analogy", "man", "king", "woman", lines=[]
    )
    assert run("similarity", "-", "-", lines=["king man", "café"]) == run(
        "similarity", "king man", "café", lines=[]
    )
    short = run_cli("similarity", model, "-", "-", input="king\n")
    assert (short.exit_code, "stdin: has fewer lines than there are -" in short.stderr) == (4, True)


def test_stdin_answers_each_line_when_it_comes(model):
    command = [sys.executable, "-m", "nlpseq", "neighbors", str(model), "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        for word in ("king", "man"):
            child.stdin.write(f"{word}\n")
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["word"] == word
        child.stdin.close()
    assert child.returncode == 0


def test_changed_word_is_named(run_cli, model):
    plain = run_cli("neighbors", model, "king", "--json")
    assert (plain.stderr, "changed" in json.loads(plain.stdout)) == ("", False)
    for args in (
        ["neighbors", "King"],
        ["query", "King - man"],
        ["query", '"King man"'],
        ["odd-one-out", "King", "man", "woman"],
        ["similarity", "King man", "woman"],
        ["analogy", "man", "King", "woman"],
    ):
        result = run_cli(args[0], model, *args[1:], "--json")
        assert "King: read as king\n" in result.stderr, args
        assert json.loads(result.stdout)["changed"] == {"King": "king"}
    alike = run_cli("similarity", model, "cafe\u0301", "king", "--json")
    assert "'cafe\\u0301': read as café\n" in alike.stderr


def test_query_answers_an_expression(run_cli, model):
    result = run_cli("query", model, "king - man + woman", "--json", "--top", 2)
    answers = json.loads(result.stdout)["answers"]
    assert [(each["word"], each["score"]) for each in answers] == Vectors.load(model).query(
        "king - man + woman", 2
    )
    assert (
        run_cli("query", model, "king", "-", "man", "+", "woman", "--json", "--top", 2).stdout
        == result.stdout
    )
    assert run_cli("query", model, "king - man + woman", "--top", 1).stdout.startswith("queen  ")


def test_expressions_of_stdin_stand_above_their_answers(run_cli, model):
    typed = ["king - man", "queen - woman"]
    first, second = (run_cli("query", model, text, "--top", 2).stdout for text in typed)
    result = run_cli("query", model, "-", "--top", 2, input="\n".join(typed))
    assert result.stdout == f"{typed[0]}\n{first}\n{typed[1]}\n{second}"
    records = run_cli("query", model, "-", "--json", input="\n".join(typed)).stdout.splitlines()
    assert [json.loads(line)["expression"] for line in records] == typed


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([""], 2, "expression: is empty"),
        (["king / man"], 2, "expression: / is not + or -"),
        (["x*king"], 2, "the weight of x*king is not a finite number"),
        (["king - king"], 2, "king occurs twice"),
        (["king - king + King"], 2, "king occurs twice"),
        (["king - King"], 4, "words: their vectors cancel out"),
        (["king - qeen"], 4, "'qeen': is not among"),
        (["king", "--among", "missing.txt"], 4, "missing.txt: No such file"),
        (["king", "--min-frequency", "0"], 2, "--min-frequency: 0 is not valid"),
    ],
)
def test_wrong_query_is_an_error(run_cli, model, args, code, message):
    result = run_cli("query", model, *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_query_among_a_file(run_cli, model, tmp_path):
    (tmp_path / "words.txt").write_text("queen\n woman \nqeen\n")
    result = run_cli("query", model, "king", "--among", tmp_path / "words.txt")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["queen", "woman"]
    assert "words.txt: 1 of 3 words left out as unknown" in result.stderr
    (tmp_path / "words.txt").write_text("qeen\n")
    refused = run_cli("query", model, "king", "--among", tmp_path / "words.txt")
    assert (refused.exit_code, "holds no known word" in refused.stderr) == (4, True)
    (tmp_path / "file.vec").write_text("2 2\nking 1 0\nqueen 0 1\n")
    no_counts = run_cli("query", tmp_path / "file.vec", "king", "--min-frequency", 2)
    assert (no_counts.exit_code, no_counts.stderr.count("--min-frequency: these vectors have no")) == (2, 1)


def test_empty_answer_says_why(run_cli, model, tmp_path):
    result = run_cli("query", model, "king - man", "--max-rank", 1)
    assert (result.exit_code, result.stdout) == (0, "")
    never = "Words of the question, and without a trained vector, never answer"
    assert f"no word is left. {never}, nor words outside --max-rank" in result.stderr
    (tmp_path / "one.vec").write_text("1 2\nking 1 0\n")
    alone = run_cli("neighbors", tmp_path / "one.vec", "king", "--json")
    assert json.loads(alone.stdout)["neighbors"] == [] and "king: no word is left" in alone.stderr
    for command, what in (("neighbors", "words"), ("query", "expression")):
        silent = run_cli(command, model, "-", input="\n \n")
        assert (silent.exit_code, silent.stdout) == (0, "")
        assert f"stdin: holds no {what}" in silent.stderr


def test_zero_vectors_have_no_cosine(run_cli, tmp_path):
    (tmp_path / "z.vec").write_text("4 2\na 1 0\nd -1 0\nz 0 0\nf -0.5 0\n")
    assert run_cli("neighbors", tmp_path / "z.vec", "a", "--top", 1).stdout == "d  -1.0000\n"
    for args in (
        ["neighbors", "z"],
        ["similarity", "z", "z"],
        ["query", "a + z"],
        ["odd-one-out", "a", "d", "z"],
    ):
        result = run_cli(args[0], tmp_path / "z.vec", *args[1:])
        assert (result.exit_code, "'z': has a vector of zeros" in result.stderr) == (4, True), args


def test_odd_one_out_is_printed_first(run_cli, model):
    result = run_cli("odd-one-out", model, "king", "queen", "man")
    assert result.stdout.startswith("man  ")
    answer = json.loads(run_cli("odd-one-out", model, "king", "queen", "man", "--json").stdout)
    assert answer == {
        "schema": 1, "word": "man", "scores": Vectors.load(model).odd_one_out(["king", "queen", "man"]),
    }  # fmt: skip
    few = run_cli("odd-one-out", model, "king", "man")
    assert (few.exit_code, "words: fewer than three" in few.stderr) == (2, True)


def test_similarity_of_two_sets(run_cli, model):
    answer = json.loads(run_cli("similarity", model, "king queen", "man woman", "--json").stdout)
    assert answer["similarity"] == Vectors.load(model).similarity(["king", "queen"], ["man", "woman"])


def test_lines_are_answered_as_the_mean_of_their_words(run_cli, model):
    lines = "The King and man\nqeen\n\nking\n"
    result = run_cli("neighbors", model, "--lines", "--json", "--top", 3, input=lines)
    first, last = (json.loads(line) for line in result.stdout.splitlines())
    found = Vectors.load(model).neighbors_of([["king", "man"]], 3)[0]
    assert [(each["word"], each["similarity"]) for each in first["neighbors"]] == found
    assert (first["line"], first["unknown"]) == ("The King and man", ["the", "and"])
    assert (
        last["neighbors"]
        == json.loads(run_cli("neighbors", model, "king", "--json", "--top", 3).stdout)["neighbors"]
    )
    assert "The King and man: 2 of 4 words left out as unknown: the and" in result.stderr
    assert "'qeen': has no word with a vector" in result.stderr
    assert result.exit_code == 4


def test_lines_of_a_vector_file_are_split_at_spaces(run_cli, tmp_path):
    (tmp_path / "file.vec").write_text("4 2\nking 1 0\nMan 0 1\nz 0 0\nx 1 1\n")
    result = run_cli("neighbors", tmp_path / "file.vec", "--lines", "king Man z", "--json")
    answer = json.loads(result.stdout)
    assert (answer["unknown"], answer["neighbors"][0]["word"]) == (["z"], "x")


def test_empty_argument_is_a_word(run_cli, tmp_path):
    (tmp_path / "a.vec").write_text("2 2\n 1 2\nking 1 1\n")
    found = run_cli("neighbors", tmp_path / "a.vec", "")
    assert (found.exit_code, found.stdout) == (0, "king  0.9487\n")
    (tmp_path / "b.vec").write_text("1 2\nking 1 1\n")
    unknown = run_cli("neighbors", tmp_path / "b.vec", "")
    assert unknown.exit_code == 4 and "'': is not among the 1 word" in unknown.stderr
    blank = run_cli("neighbors", tmp_path / "b.vec", " ")
    assert "WORD: holds no words, so there is no answer" in blank.stderr


@pytest.fixture
def new_york(tmp_path):
    (tmp_path / "a.vec").write_text("3 2\nnew york 1 2\nfile 1 3\nmodule 2 1\n")
    return tmp_path / "a.vec"


def test_entry_with_a_space_is_named(run_cli, new_york):
    unquoted = run_cli("neighbors", new_york, "new", "york")
    assert unquoted.exit_code == 4
    assert 'new york: is one entry of these vectors. Put the words in quotes, "new york".' in unquoted.stderr
    assert run_cli("neighbors", new_york, "new york").stdout.startswith("file")


def test_signs_without_spaces_are_named(run_cli, new_york):
    refused = run_cli("query", new_york, "file-module+file")
    assert refused.exit_code == 4
    assert "Signs stand between spaces: `file - module + file`." in refused.stderr
    assert "Signs" not in run_cli("query", new_york, "files").stderr


def test_dashes_of_options_and_words_are_told_apart(run_cli, new_york):
    after = run_cli("neighbors", new_york, "--", "file", "--top", "1")
    assert after.exit_code == 4 and after.stderr.count("Options come before --.") == 1
    nothing = run_cli("neighbors", new_york, "-v", input="")
    assert "Words that begin with a dash come after --." in nothing.stderr
