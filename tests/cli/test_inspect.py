"""inspect, doctor and corpora."""

import gzip
import json
import re
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support.languages import text_in
from support.results import seal, write_sealed_meta

from nlpseq.config import LMConfig, TextConfig
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.vectors import Vectors


@pytest.fixture
def vectors(tmp_path):
    """Return a folder of three vectors."""
    path = tmp_path / "small.w2v"
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2) + 1
    Vectors(Vocab(["왕", "king", "evil\x1b"], np.array([3, 2, 1])), matrix, meta={"corpus": "왕.txt"}).save(
        path
    )
    return path


def inspected(run_cli, path, code=0):
    result = run_cli("inspect", path, "--json")
    assert result.exit_code == code, result.stderr
    answer = json.loads(result.stdout)
    assert set(answer) == {"schema", "kind", "whole", "meta"}
    return answer


def test_corrupt_counts_of_corpus_give_exit_code_5(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("a b c a b\n" * 5)
    assert run_cli("preprocess", "corpus.txt", "--cooccurrence").exit_code == 0
    assert run_cli("inspect", "corpus.tokens").exit_code == 0
    data = Path("corpus.tokens", "cooccurrence", "data.npy")
    data.write_bytes(data.read_bytes()[:-1])
    found = run_cli("inspect", "corpus.tokens", "--json")
    assert found.exit_code == 5 and "cooccurrence/data.npy: has" in found.stderr
    assert json.loads(found.stdout)["whole"] is False


def test_vectors_folder_shows_meta(run_cli, vectors):
    answer = inspected(run_cli, vectors)
    assert (answer["schema"], answer["kind"], answer["whole"]) == (1, "vectors", True)
    assert answer["meta"] == json.loads((vectors / "meta.json").read_text())
    text = run_cli("inspect", vectors).stdout
    assert text.startswith("kind            vectors\nwhole           yes\n")
    assert "corpus          왕.txt\n" in text


def test_figures_are_rounded_but_settings_are_not(run_cli, tmp_path):
    meta = {"loss": [3.8724203458368525, 12.0], "words_per_second": 2595403.9, "seconds": 0.00819761}
    meta["config"] = {"subsample": 0.00123456}
    Vectors(Vocab(["a"], np.array([1])), np.ones((1, 1)), meta=meta).save(tmp_path / "a.w2v")
    rows = dict(line.split(None, 1) for line in run_cli("inspect", tmp_path / "a.w2v").stdout.splitlines())
    assert (rows["loss"], rows["words_per_second"]) == ("3.872, 12", "2,595,404")
    assert (rows["seconds"], rows["config.subsample"]) == ("0.008198", "0.00123456")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "vectors.npy").unlink(), "vectors.npy: is missing"),
        (lambda folder: flip_last_bit(folder / "vectors.npy"), "vectors.npy: does not match its sha256"),
        (lambda folder: (folder / "vocab.tsv").write_text("short"), "vocab.tsv: has 5 bytes"),
        (lambda folder: (folder / "meta.json").write_text("{"), "meta.json: cannot be read as JSON"),
        (lambda folder: (folder / "meta.json").write_text('{"format": "nlpseq-future"}'), "nlpseq-future"),
    ],
)
def test_corrupt_file_is_named_with_exit_code_5(run_cli, vectors, damage, message):
    damage(vectors)
    assert inspected(run_cli, vectors, code=5)["whole"] is False
    result = run_cli("inspect", vectors)
    assert "\nwhole" in result.stdout
    assert " no\n" in result.stdout
    assert message in result.stderr


@pytest.mark.parametrize("notices", [5, [1, None]])
def test_forged_notices_give_exit_code_5(run_cli, vectors, notices):
    write_sealed_meta(vectors, json.loads((vectors / "meta.json").read_text()) | {"notices": notices})
    result = run_cli("inspect", vectors)
    assert result.exit_code == 5 and "has notices that are not texts" in result.stderr
    assert " no\n" in result.stdout


def test_forged_empty_train_split_gives_exit_code_5(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_cli("preprocess", "tiny")
    path = Path("tiny.tokens")
    meta = json.loads((path / "meta.json").read_text())
    end = meta["num_sentences"]
    write_sealed_meta(path, meta | {"splits": {"train": [0, 0], "valid": [0, end], "test": [end, end]}})
    assert inspected(run_cli, path, code=5)["whole"] is False
    assert "field splits does not match" in run_cli("inspect", path).stderr


def flip_last_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_inspect_shows_the_figures_of_encoding(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("title,text\n" + "1,the cat and the dog\n" * 20 + "broken\n")
    said = run_cli("preprocess", "a.csv", "--valid-share", 0.2).stderr
    rows = dict(line.partition(": ")[::2] for line in said.splitlines())
    shown = run_cli("inspect", "a.tokens").stdout.splitlines()
    for title in ("corpus", "vocabulary", "scripts", "most frequent", "splits"):
        assert any(line.split("  ")[0] == title and line.endswith(f"  {rows[title]}") for line in shown), (
            title
        )
    assert rows["most frequent"] == "the and cat dog"
    assert run_cli("preprocess", "a.csv", "-q", "--force").stderr.count("warning") == said.count("warning")
    statistics = inspected(run_cli, "a.tokens")["meta"]["statistics"]
    assert (statistics["sentences"], statistics["skipped"]) == (
        20,
        {"without 2 fields, as the first line has": 1},
    )


def test_inspect_prints_text_without_brackets(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("the cat and the dog\n" * 600)
    run_cli("preprocess", "a.txt")
    run_cli("train-w2v", "a.tokens", "--dim", 4, "--epochs", 2, "--threads", 1)
    for name in ("a.tokens", "a.w2v", "a.txt"):
        text = run_cli("inspect", name).stdout
        assert not re.search(r"[\[\]{}]|null|  $", text, re.MULTILINE), text
        assert not re.search(r"^notices", text, re.MULTILINE)
    shown = run_cli("inspect", "a.txt").stdout
    assert "\nbytes         12,000\n" in shown and "\nfirst_tokens  the, cat, and, the, dog\n" in shown


def test_inspect_escapes_control_characters(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("the \x07\x07 cat\n" * 40)
    said = run_cli("preprocess", "a.txt", "--tokenizer", "bpe", "--vocab-size", 260).stderr
    assert r"\x07" in said and "\x07" not in said + run_cli("inspect", "a.tokens").stdout


def test_inspect_shows_encoded_corpus_and_its_counts(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_cli("preprocess", "tiny", "--cooccurrence")
    tokens = inspected(run_cli, "tiny.tokens")
    assert (tokens["kind"], tokens["whole"]) == ("tokens", True)
    assert tokens["meta"]["num_sentences"] > 0
    assert "config.tokenizer" in run_cli("inspect", "tiny.tokens").stdout
    assert inspected(run_cli, "tiny.tokens/cooccurrence")["kind"] == "cooccurrence"
    Path("toy.txt").write_text("the quick brown fox\n")
    run_cli("preprocess", "toy.txt", "--min-count", 1)
    assert "4 tokens: too few to learn from" in inspected(run_cli, "toy.tokens")["meta"]["notices"][0]


@pytest.fixture
def language_model(tmp_path):
    """Return a folder of a language model of one word."""
    pytest.importorskip("torch")
    from nlpseq.lm.checkpoint import Checkpoint
    from nlpseq.lm.model import RecurrentLM

    path, config = tmp_path / "small.lm", LMConfig(hidden=3, dim=2)
    vocab = Vocab(["the", "<unk>", "<eos>"], np.array([5, 1, 2]), num_specials=2)
    meta = {"config": asdict(config), "text_config": asdict(TextConfig()), "vocab_digest": vocab.digest}
    Checkpoint(meta, vocab, dict(RecurrentLM(config, 3).named_parameters()), []).save(path)
    return path


@pytest.mark.parametrize("has_torch", [True, False])
def test_inspect_shows_lm_with_and_without_torch(run_cli, language_model, monkeypatch, has_torch):
    if not has_torch:
        for name in [each for each in sys.modules if each.startswith("nlpseq.lm")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    answer = inspected(run_cli, language_model)
    assert (answer["kind"], answer["whole"]) == ("lm", True)
    assert answer["meta"]["config"]["hidden"] == 3
    flip_last_bit(language_model / "model.safetensors")
    assert inspected(run_cli, language_model, code=5)["whole"] is False
    assert "model.safetensors: does not match its sha256" in run_cli("inspect", language_model).stderr


def test_lm_with_other_vocabulary_gives_exit_code_5(run_cli, language_model):
    other = Vocab(["a", "<unk>", "<eos>"], np.array([5, 1, 2]), num_specials=2)
    other.save(language_model / "vocab.tsv")
    seal(language_model)
    assert inspected(run_cli, language_model, code=5)["kind"] == "lm"
    assert "is not the vocabulary of this model" in run_cli("inspect", language_model).stderr


def test_foreign_folder_gives_exit_code_5(run_cli, tmp_path):
    (tmp_path / "photo.jpg").touch()
    result = run_cli("inspect", tmp_path)
    assert result.exit_code == 5
    assert "is not a complete result of nlpseq" in result.stderr


def test_inspect_shows_vector_files_of_other_tools(run_cli, tmp_path):
    (tmp_path / "glove.txt").write_text("king 1 0 0\nqueen 0 1 0\n")
    (tmp_path / "text.vec").write_text("2 2\nking 1 0\nqueen 0 1\n")
    (tmp_path / "plain.vec.gz").write_text("2 2\nking 1 0\nqueen 0 1\n")
    (tmp_path / "binary.bin").write_bytes(b"1 2\nking " + np.ones(2, "<f4").tobytes() + b"\n")
    for name, kind, size in [
        ("glove.txt", "GloVe text", (2, 3)),
        ("text.vec", "word2vec text", (2, 2)),
        ("binary.bin", "word2vec binary", (1, 2)),
        ("plain.vec.gz", "word2vec text", (2, 2)),
    ]:
        answer = inspected(run_cli, tmp_path / name)
        assert (answer["kind"], answer["whole"]) == (kind, True)
        assert (answer["meta"]["num_words"], answer["meta"]["dim"]) == size


def test_truncated_vector_file_gives_exit_code_5(run_cli, tmp_path):
    (tmp_path / "text.vec").write_text("9 2\nking 1 0\nqueen 0 1\n")
    assert inspected(run_cli, tmp_path / "text.vec", code=5)["kind"] == "vectors"
    assert "declares 9" in run_cli("inspect", tmp_path / "text.vec").stderr


def test_text_shows_encoding_and_first_tokens(run_cli, tmp_path):
    (tmp_path / "corpus.txt").write_text("\nThe King, the Queen.\nMore.\n")
    answer = inspected(run_cli, tmp_path / "corpus.txt")
    assert (answer["kind"], answer["whole"]) == ("text", None)
    assert answer["meta"]["encoding"] == "utf-8"
    assert answer["meta"]["first_tokens"] == ["the", "king", "the", "queen"]
    (tmp_path / "empty.txt").touch()
    assert inspected(run_cli, tmp_path / "empty.txt")["meta"]["first_tokens"] == []


def test_inspect_recognizes_encodings(run_cli, tmp_path):
    (tmp_path / "korean.txt").write_bytes(text_in("Korean", "cp949", 900))
    meta = inspected(run_cli, tmp_path / "korean.txt")["meta"]
    assert meta["encoding"] == "cp949" and "Use --encoding cp949" in meta["notices"][0]
    (tmp_path / "wide.txt").write_text("wide", encoding="utf-16")
    meta = inspected(run_cli, tmp_path / "wide.txt")["meta"]
    assert (meta["encoding"], meta["first_tokens"], meta["notices"]) == ("utf-16-le", ["wide"], [])


def test_inspect_of_word_pairs_names_their_use(run_cli, tmp_path):
    (tmp_path / "pairs.csv").write_text("word1,word2,score\ncat,dog,7.5\nking,queen,8\n")
    answer = inspected(run_cli, tmp_path / "pairs.csv")
    assert (answer["kind"], answer["whole"]) == ("text", None)
    (notice,) = answer["meta"]["notices"]
    assert "pairs.csv: has 2 columns with text" in notice and "nlpseq eval-w2v MODEL --pairs" in notice
    assert "In a training command, name one with --column" in notice
    assert notice.endswith(": word1 ('cat'), word2 ('dog').")


@pytest.mark.parametrize(
    ("content", "kind", "advice"),
    [
        (b"%PDF-1.7\n", "PDF document", "pdftotext"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "HTML page", "trafilatura"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS pointer", "git lfs pull"),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.", "pickle", "Leave the file out"),
        (b"(dp0\nVa\np1\nI1\ns.", "pickle", "Leave the file out"),
    ],
)
def test_inspect_names_files_that_are_no_text(run_cli, tmp_path, content, kind, advice):
    (tmp_path / "a.vec").write_bytes(content)
    answer = inspected(run_cli, tmp_path / "a.vec")
    assert (answer["kind"], answer["whole"]) == (kind, None)
    assert advice in answer["meta"]["notices"][0]


def test_inspect_names_archives_without_a_text(run_cli, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as outer:
        pass
    assert inspected(run_cli, tmp_path / "a.zip")["kind"] == "text"
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as outer:
        outer.write(tmp_path / "a.zip", "inner.zip")
    answer = inspected(run_cli, tmp_path / "b.zip")
    assert (answer["kind"], answer["whole"]) == ("archive", None)
    assert "Extract the inner archive" in answer["meta"]["notices"][0]


def test_text_of_integers_is_not_taken_for_vectors(run_cli, tmp_path):
    (tmp_path / "numbers.txt").write_text("1 2 3\n4 5 6\n")
    assert inspected(run_cli, tmp_path / "numbers.txt")["kind"] == "text"
    result = run_cli("neighbors", tmp_path / "numbers.txt", "4")
    assert result.exit_code == 4
    assert "holds whole numbers alone" in result.stderr


def test_truncated_gzip_gives_exit_code_5(run_cli, tmp_path):
    (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress(b"many words " * 9)[:-9])
    assert inspected(run_cli, tmp_path / "corpus.txt.gz", code=5)["whole"] is False


def test_doctor_reports_versions_and_backends(run_cli):
    found = json.loads(run_cli("doctor", "--json").stdout)
    assert found["schema"] == 1
    assert {"python", "nlpseq", "numpy", "scipy", "numba", "click", "nltk", "torch"} <= set(found["versions"])
    assert found["versions"]["numpy"] == np.__version__
    assert found["backends"]["numpy"] == {"usable": True, "reason": None}
    cupy = found["backends"]["cupy"]
    assert cupy["usable"] or "use --backend numpy" in cupy["reason"].lower()
    assert found["cores"] >= 1
    assert Path(found["cache"]["path"]).is_dir()
    assert found["cache"]["bytes"] >= 0
    assert {"numba_cache", "terminal"} <= set(found)
    lines = run_cli("doctor").stdout.splitlines()
    for name, extra in (
        ("pyarrow", "data"),
        ("fsspec", "data"),
        ("jieba", "zh"),
        ("scikit-learn", "sklearn"),
    ):
        shown = found["versions"][name] or f'not installed; pip install ".[{extra}]"'
        assert any(line.startswith(name) and line.endswith(f"  {shown}") for line in lines), name
    assert any(line.split() == ["numpy", np.__version__] for line in lines)
    assert any(line.startswith("backend numpy") and line.endswith("  usable") for line in lines)


def test_corpora_list_and_path_know_the_corpora(run_cli):
    listed = json.loads(run_cli("corpora", "list", "--json").stdout)
    assert listed["schema"] == 1
    assert {"pydocs", "tiny"} <= {entry["name"] for entry in listed["corpora"]}
    assert all({"name", "summary", "licence"} <= set(entry) for entry in listed["corpora"])
    assert "tiny" in run_cli("corpora", "list").stdout
    assert Path(run_cli("corpora", "path", "tiny").stdout.rstrip("\n")).read_text()


def test_folder_for_another_tool_is_described(run_cli, tmp_path):
    Vectors(Vocab(["a", "b"], np.array([2, 1])), np.ones((2, 3), np.float32)).write(tmp_path / "a.static")
    found = run_cli("inspect", tmp_path / "a.static", "--json")
    assert (found.exit_code, json.loads(found.stdout)["whole"]) == (0, True), found.stderr
    (tmp_path / "a.static" / "tokenizer.json").write_bytes(b"{}")
    assert run_cli("inspect", tmp_path / "a.static").exit_code == 5
