"""nlpseq convert, and the README on other tools."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.checked import FolderRecord
from nlpseq.vectors.formats.names import ENDINGS, FOLDERS, TITLES, files_of
from nlpseq.vectors.mapped_vocab import index_words
from nlpseq.vectors.vectors import Vectors

README = Path(__file__).parents[2] / "nlpseq" / "vectors" / "README.md"
MATRIX = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
WORDS = ["king", "a\u00a0b", "왕", "12", "</s>"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    Vectors(Vocab(WORDS, np.array([9, 7, 5, 3, 1])), MATRIX).save(tmp_path / "corpus.w2v")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def converted(run_cli, *args, code=0):
    result = run_cli("convert", *args)
    assert result.exit_code == code, result.stderr
    return result


def assert_same(file, counts):
    found = Vectors.load(file)
    assert found.vocab.words == WORDS
    assert found.matrix.tobytes() == MATRIX.tobytes()
    assert found.vocab.counts.tolist() == counts


KEEP_COUNTS = (".npy", ".parquet", ".w2v")


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_format_converts_into_every_other(run_cli, folder, packed):
    counts = [9, 7, 5, 3, 1]
    endings = [ending for ending, form in ENDINGS.items() if form not in FOLDERS or form == "nlpseq"]
    names = [f"{{}}{ending}{packed * (ending != '.w2v')}" for ending in endings]
    for source in names:
        source = source.format("from")
        converted(run_cli, "corpus.w2v", source)
        keeps = source.removesuffix(".gz").endswith(KEEP_COUNTS)
        for target in names:
            target = target.format("to")
            result = converted(run_cli, source, target, "--force")
            form = ENDINGS[Path(target.removesuffix(".gz")).suffix]
            assert result.stdout.splitlines() == [str(file) for file in files_of(Path(target), form)[::-1]]
            assert result.stderr == f"5 words x 3: {TITLES[form]}\n"
            kept = keeps and target.removesuffix(".gz").endswith(KEEP_COUNTS)
            assert_same(folder / target, counts if kept else [-1] * 5)


def test_format_options_override_detection(run_cli, folder):
    converted(run_cli, "corpus.w2v", "vectors.dat", "--format", "word2vec-binary")
    assert (folder / "vectors.dat").read_bytes().startswith(b"5 3\nking ")
    converted(run_cli, "vectors.dat", "vectors.vec", "--format", "glove", "--from", "word2vec-binary")
    assert (folder / "vectors.vec").read_bytes().startswith(b"king ")
    (folder / "numbers").write_text("2 1\n7 8\n9 6\n")
    converted(run_cli, "numbers", "a.vec")
    converted(run_cli, "numbers", "b.vec", "--from", "glove")
    assert Vectors.load("a.vec").vocab.words == ["7", "9"]
    assert Vectors.load("b.vec").vocab.words == ["2", "7", "9"]


def test_output_path_is_checked_before_input(run_cli, folder):
    (folder / "corpus.vec").write_text("old")
    missing = "no such model"
    assert "already exists" in converted(run_cli, missing, "corpus.vec", code=2).stderr
    assert "no ending of a format" in converted(run_cli, missing, "corpus", code=2).stderr
    assert "cannot be gzipped" in converted(run_cli, missing, "b.w2v.gz", code=2).stderr
    assert "cannot be written" in converted(run_cli, missing, "corpus.vec/a.vec", code=6).stderr
    assert "does not exist" in converted(run_cli, missing, "b.vec", code=4).stderr
    assert (folder / "corpus.vec").read_text() == "old"
    converted(run_cli, "corpus.w2v", "corpus.vec", "--force")
    assert_same(folder / "corpus.vec", [-1] * 5)


def test_symlink_stays_and_device_is_refused(run_cli, folder):
    Path("there").mkdir()
    Path("there/a.vec").write_text("old")
    Path("link.vec").symlink_to("there/a.vec")
    converted(run_cli, "corpus.w2v", "link.vec", "--force")
    assert Path("link.vec").is_symlink() and Vectors.load("there/a.vec").vocab.words == WORDS
    done = converted(run_cli, "corpus.w2v", "/dev/null", "--format", "glove", "--force", code=2)
    assert "is a device or a pipe" in done.stderr and Path("/dev/null").is_char_device()


def test_corrupt_input_gives_exit_code_5_and_no_files(run_cli, folder):
    (folder / "bad.vec").write_text("9 2\nking 1 0\n")
    before = sorted(folder.iterdir())
    assert "declares 9 vectors" in converted(run_cli, "bad.vec", "a.bin", code=5).stderr
    converted(run_cli, "corpus.w2v", "a.bin", "--from", "glove", code=5)
    assert sorted(folder.iterdir()) == before


def test_bad_tokens_error_skip_escape(run_cli, folder):
    words = ["fine", "", "a b", "a\tb", "a\nb", "a\rb", "a\vb", "\\"]
    Vectors(Vocab(words, np.arange(8, 0, -1)), np.eye(8, 2, dtype=np.float32)).save("odd.w2v")
    refused = converted(run_cli, "odd.w2v", "a.vec", code=4)
    assert "cannot hold 6 of the words" in refused.stderr
    assert r"'', 'a b', 'a\tb', 'a\nb', 'a\rb', ..." in refused.stderr
    assert refused.stdout == "" and not (folder / "a.vec").exists()
    skipped = converted(run_cli, "odd.w2v", "a.vec", "--bad-tokens", "skip")
    assert "6 words left out" in skipped.stderr and "2 words x 2" in skipped.stderr
    assert (folder / "a.vec").read_text() == "2 2\nfine 1.0 0.0\n\\ 0.0 0.0\n"
    escaped = converted(run_cli, "odd.w2v", "b.vec", "--bad-tokens", "escape")
    assert "7 words written with escapes" in escaped.stderr
    shown = [line.split()[0] for line in (folder / "b.vec").read_text().splitlines()[1:]]
    assert shown == ["fine", "\\e", "a\\u0020b", "a\\tb", "a\\nb", "a\\rb", "a\\u000bb", "\\\\"]
    converted(run_cli, "odd.w2v", "c.npy")
    assert Vectors.load("c.npy").vocab.words == words


def test_other_commands_read_converted_files(run_cli, folder):
    expected = run_cli("neighbors", "corpus.w2v", "king").stdout
    for name in ("corpus.npy", "corpus.tsv.gz", "corpus.bin"):
        converted(run_cli, "corpus.w2v", name)
        assert run_cli("neighbors", name, "king").stdout == expected
    kinds = [
        json.loads(run_cli("inspect", name, "--json").stdout)["kind"]
        for name in ("corpus.npy", "corpus.tsv.gz")
    ]
    assert kinds == [TITLES["npy"], TITLES["projector"]]


def test_convert_makes_smaller_folders(run_cli, folder):
    (folder / "keep.txt").write_text("\ufeff왕\r\n\n12\n king \nno\n", "utf-8", newline="")
    (folder / "drop.txt").write_text("12\n")
    done = converted(run_cli, "corpus.w2v", "small.w2v", "--words", "keep.txt", "--drop", "drop.txt")
    assert "warning: 1 word to keep not found: 'no'" in done.stderr
    assert done.stderr.endswith("2 words x 3: a folder of nlpseq\n")
    assert Vectors.load("small.w2v").vocab.words == ["king", "왕"]
    converted(run_cli, "corpus.w2v", "top.vec", "--keep-top", "2", "--pca", "2")
    assert Vectors.load("top.vec").matrix.shape == (2, 2)
    assert "no word left" in converted(run_cli, "top.vec", "b.vec", "--words", "drop.txt", code=4).stderr
    assert "Choose from 1" in converted(run_cli, "top.vec", "b.vec", "--pca", "3", code=2).stderr
    assert (
        "none.txt: No such file"
        in converted(run_cli, "top.vec", "b.vec", "--words", "none.txt", code=4).stderr
    )


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_compact_folder_converts_and_answers(run_cli, folder, dtype):
    converted(run_cli, "corpus.w2v", "small.w2v", "--dtype", dtype)
    assert Vectors.load("small.w2v").dtype == dtype
    for command, *words in (("neighbors", "king"), ("analogy", "king", "12", "왕")):
        plain, compact = (
            [line.rpartition("  ") for line in run_cli(command, model, *words).stdout.splitlines()]
            for model in ("corpus.w2v", "small.w2v")
        )
        assert [word for word, _, _ in compact] == [word for word, _, _ in plain] != []
        scores = [[float(score) for _, _, score in answers] for answers in (plain, compact)]
        np.testing.assert_allclose(scores[1], scores[0], atol=0.01)
    assert run_cli("similarity", "small.w2v", "king", "12").exit_code == 0
    assert run_cli("compare", "corpus.w2v", "small.w2v", "--top", "2").exit_code == 0
    assert run_cli("neighbors", "small.w2v", "king", "--center", "--remove-components", "1").exit_code == 0
    for target in ("b.w2v", "b.vec", "b.npy"):
        converted(run_cli, "small.w2v", target)
        assert np.array_equal(Vectors.load(target).matrix, np.asarray(Vectors.load("small.w2v").matrix))
    assert Vectors.load("b.w2v").dtype == dtype
    refused = converted(run_cli, "corpus.w2v", "b.bin", "--dtype", dtype, code=2)
    assert f"--dtype {dtype}: cannot be written as word2vec binary" in refused.stderr
    assert not (folder / "b.bin").exists()


@pytest.fixture
def changed(folder, monkeypatch):
    """Change a folder, and keep its record as if no time of a file had changed."""
    table = index_words(folder / "corpus.w2v" / "vocab.tsv").table
    monkeypatch.setattr(FolderRecord, "load", lambda _: table)
    file = folder / "corpus.w2v" / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "command",
    [
        *(["neighbors", "corpus.w2v", "king"], ["analogy", "corpus.w2v", "king", "12", "왕"]),
        *(["similarity", "corpus.w2v", "king", "12"], ["convert", "corpus.w2v", "b.vec"]),
        *(["compare", "corpus.w2v", "corpus.w2v", "--top", "2"],),
    ],
)
def test_verify_compares_checksums_again(run_cli, changed, command):
    assert run_cli(*command).exit_code == 0
    refused = run_cli(*command, "--verify", *["--force"] * (command[0] == "convert"))
    assert refused.exit_code == 5 and "vectors.npy: does not match its sha256" in refused.stderr


def test_inspect_always_compares_checksums(run_cli, changed):
    refused = run_cli("inspect", "corpus.w2v")
    assert refused.exit_code == 5 and "vectors.npy: does not match its sha256" in refused.stderr


def test_help_lists_every_ending(run_cli):
    shown = run_cli("convert", "--help").stdout
    for ending, form in ENDINGS.items():
        assert re.search(rf"^ *{re.escape(ending)} .*\({form}\)$", shown, re.MULTILINE)


def test_gensim_opens_result_by_readme_code(run_cli, folder):
    pytest.importorskip("gensim")
    converted(run_cli, "corpus.w2v", "corpus.bin")
    (code,) = re.findall(r"```python\n(from gensim[^`]*)```", README.read_text("utf-8"))
    assert len([line for line in code.splitlines() if line]) == 3
    code += "print(vectors.index_to_key, vectors.vectors.tobytes().hex())"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().strip() == f"{WORDS} {MATRIX.tobytes().hex()}"


def test_readme_lists_every_ending():
    section = README.read_text("utf-8").partition("\n## File formats\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\.\w+)`", section, re.MULTILINE) == list(ENDINGS)


def test_lenient_and_load_top_reach_every_command(run_cli, folder):
    Path("pairs.tsv").write_text("king\tqueen\t3\nking\tman\t1\nman\twoman\t2\n")
    Path("cut.vec").write_text("9 2\nking 1 0\nqueen 1 1\nman 0 1\nwoman 1 2\ncut 1")
    commands = [
        ("convert", "cut.vec", "b.vec", "--force"),
        ("neighbors", "cut.vec", "king"),
        ("similarity", "cut.vec", "king", "queen"),
        ("analogy", "cut.vec", "man", "king", "queen"),
        ("query", "cut.vec", "king - man + woman"),
        ("odd-one-out", "cut.vec", "king", "queen", "man"),
        ("align", "cut.vec", "cut.vec", "-o", "aligned.w2v", "--force"),
        ("eval-w2v", "cut.vec", "--pairs", "pairs.tsv"),
        ("compare", "cut.vec", "cut.vec", "--top", "1"),
    ]
    for command in commands:
        refused = run_cli(*command)
        assert refused.exit_code == 5 and "--lenient" in refused.stderr, command
        lenient = run_cli(*command, "--lenient")
        assert lenient.exit_code == 0, lenient.stderr
        assert "warning: cut.vec: holds 4 vectors, but line 1 declares 9" in lenient.stderr
        assert "warning: cut.vec: 1 line left out: line 6 is truncated" in lenient.stderr
        warnings = [line for line in lenient.stderr.splitlines() if "warning: " in line]
        assert all(line.count("cut.vec") == 1 for line in warnings), warnings
        first = run_cli(*command, "--load-top", "4")
        assert first.exit_code == 0 and "warning: " not in first.stderr, first.stderr


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (". . . 0.4 0.5\nthe 0.1 0.2\n", TITLES["glove"], 0),
        ("3 4\na 0,1 0,2 0,3 0,4\nb 0,5 0,6 0,7 0,8\nc 0,9 1,0 1,1 1,2\n", "vectors", 5),
        ("1 3\na 1 2 3\nb 4 5 6\nc 7 8 9\n", "vectors", 5),
        ("king\t0.1 0.2 0.3\nqueen\t0.2 0.1 0.3\n", TITLES["glove"], 0),
        ("2 3\nairbus 1 2 3\nboeing 747 0.1 0.2 0.3\n", TITLES["word2vec"], 0),
        ("Once upon a time\n", "text", 4),
    ],
    ids=["spaces", "decimal commas", "count", "tabs", "digits", "prose"],
)
def test_inspect_and_convert_agree(run_cli, folder, content, kind, code):
    Path("a.vec").write_text(content)
    shown = run_cli("inspect", "a.vec", "--json")
    assert json.loads(shown.stdout)["kind"] == kind
    assert shown.exit_code == (0 if code == 4 else code)
    assert converted(run_cli, "a.vec", "b.npy", code=code).stdout.startswith("b.npy\n") == (code == 0)
