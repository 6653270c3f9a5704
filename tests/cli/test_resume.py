"""Runs of train-w2v and train-counts that are stopped and go on, as a person does it."""

import itertools
import json
import os
import random
import shutil
from pathlib import Path

import pytest

from nlpseq.storage.manifest import write_json, write_manifest

COMMANDS = {
    "one thread": ["train-w2v", "--threads", "1", "--epochs", "8", "--dim", "8"],
    "the same each time": ["train-w2v", "--threads", "3", "--deterministic", "--epochs", "8", "--dim", "8"],
    "glove": ["train-counts", "--method", "glove", "--threads", "2", "--epochs", "4", "--dim", "8"],
}
FOLDERS = {"train-w2v": "corpus.w2v", "train-counts": "corpus.glove"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with corpus.txt in it: 20,000 words of 50."""
    chance = random.Random(0)
    words = [f"word{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(50)]
    lines = [" ".join(chance.choices(words, k=10)) for _ in range(2000)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nlpseq.word2vec.run.POLL", 0.001)
    monkeypatch.setattr("nlpseq.word2vec.parallel.Hogwild.chunk", 500)
    monkeypatch.setattr("nlpseq.word2vec.parallel.ROUND", 1500)
    monkeypatch.setattr("nlpseq.word2vec.parallel.WHOLE", 4)


def stop_every_run(monkeypatch, looks):
    """As if a person pressed Ctrl-C once training has looked so many times whether one did."""

    def asks(stop):
        return next(vars(stop).setdefault("looks", itertools.count())) >= looks

    asked = property(asks, lambda stop, value: None)
    monkeypatch.setattr("nlpseq.cli._shutdown.GracefulShutdown.requested", asked, raising=False)


@pytest.fixture
def stopped(run_cli, monkeypatch):
    """corpus.w2v, of a run that was stopped."""
    with monkeypatch.context() as patch:
        stop_every_run(patch, 0)
        assert run_cli("train-w2v", "corpus.txt", "--epochs", "1000", "--dim", "8").exit_code == 130
    return Path("corpus.w2v")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(run_cli, monkeypatch, name):
    command, *settings = COMMANDS[name]
    path = FOLDERS[command]
    assert run_cli(command, "corpus.txt", *settings, "-o", "whole").exit_code == 0
    stop_every_run(monkeypatch, 4)
    result, parts = run_cli(command, "corpus.txt", *settings), 0
    while result.exit_code == 130:
        assert f"stopped and saved. Go on with: nlpseq {command} {path} --resume" in result.stderr
        again = run_cli(command, "corpus.txt", *settings)
        assert again.exit_code == 2
        assert f"{path} already exists and is unfinished. Go on with it by --resume" in again.stderr
        parts += 1
        named = [path] if parts % 2 else ["corpus.txt", *settings]
        result = run_cli(command, *named, "--resume")
        assert "going on in epoch" in result.stderr
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{path}\n"
    assert parts > 2
    for file in ("vectors.npy", "contexts.npy", "vocab.tsv"):
        assert Path(path, file).read_bytes() == Path("whole", file).read_bytes()
    left, wanted = ({file.name for file in Path(each).iterdir()} for each in (path, "whole"))
    assert left == wanted, "something is left of the checkpoint"
    over = run_cli(command, path, "--resume")
    assert over.exit_code == 2
    assert f"{path} is complete" in over.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dim", "9"], "was begun with dim 8, not 9"),
        (["--preset", "quality"], "--preset does not go with --resume"),
        (["--force"], "--force does not go with --resume"),
        (["--min-count", "3"], "was begun with min_count 5, not 3"),
        (["-o", "other.w2v"], "-o other.w2v does not go with --resume of corpus.w2v"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_resume_takes_no_settings_of_another_run(run_cli, stopped, options, said):
    result = run_cli("train-w2v", "corpus.w2v", "--resume", *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_resume_may_change_the_threads(run_cli, stopped):
    result = run_cli("train-w2v", "corpus.w2v", "--resume", "--threads", "3")
    assert result.exit_code == 0, result.stderr
    assert json.loads((stopped / "meta.json").read_text())["threads"] == 3


def test_resume_names_the_command_of_another_run(run_cli, stopped):
    result = run_cli("train-counts", stopped, "--method", "glove", "--resume")
    assert result.exit_code == 2
    assert "corpus.w2v is a run of word2vec skipgram. Go on with it by the command" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("named", ["the text", "the result", "the run"])
def test_a_result_that_is_to_be_replaced_stays_until_then(run_cli, monkeypatch, name, named):
    command, *settings = COMMANDS[name]
    path = Path(FOLDERS[command])
    assert run_cli(command, "corpus.txt", *settings).exit_code == 0
    whole = (path / "vectors.npy").read_bytes()
    again = [command, "corpus.txt", *settings, "--seed", "7"]
    with monkeypatch.context() as patch:
        stop_every_run(patch, 2)
        stopped = run_cli(*again, "--force")
        assert "warning" not in stopped.stderr
        stopped = run_cli(*again, "--force")
    assert f"warning: {path}.unfinished is unfinished, and what is trained now replaces it" in stopped.stderr
    assert stopped.exit_code == 130
    assert f"Go on with: nlpseq {command} {path}.unfinished --resume" in stopped.stderr
    assert (path / "vectors.npy").read_bytes() == whole
    refused = run_cli(*again)
    assert refused.exit_code == 2
    assert (
        f"{path} already exists, and {path}.unfinished is an unfinished run to replace it." in refused.stderr
    )
    source = {"the text": "corpus.txt", "the result": str(path), "the run": f"{path}.unfinished"}[named]
    more = ["--method", "glove"] if name == "glove" else []
    result = run_cli(command, source, *more, "--resume")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{path}\n"
    assert not Path(f"{path}.unfinished").exists()
    assert run_cli(*again, "-o", "apart").exit_code == 0
    assert (path / "vectors.npy").read_bytes() == Path("apart", "vectors.npy").read_bytes()


@pytest.mark.parametrize("has_another", [False, True])
def test_a_new_run_says_which_unfinished_one_it_replaces(run_cli, monkeypatch, stopped, has_another):
    beside = Path("corpus.w2v.unfinished")
    if has_another:
        shutil.copytree(stopped, beside)
    stop_every_run(monkeypatch, 2)
    again = run_cli("train-w2v", "corpus.txt", "--seed", "7", "--force")
    assert again.exit_code == 130
    assert again.stderr.count("warning") == 1
    assert (
        "warning: corpus.w2v is unfinished, and what is trained now replaces it, "
        "at its first checkpoint or its end. To keep it, stop this command at once and move it away."
        in again.stderr
    )
    assert json.loads((stopped / "meta.json").read_text())["config"]["seed"] == 7
    assert beside.exists() == has_another


def test_counts_that_are_only_factorised_leave_a_run_beside_them(run_cli, stopped):
    beside = stopped.rename("corpus.ppmi.unfinished")
    for _ in range(2):
        made = run_cli("train-counts", "corpus.txt", "--method", "ppmi", "-o", "corpus.ppmi", "--force")
        assert (made.exit_code, "unfinished" in made.stderr) == (0, False)
    again = run_cli("train-counts", "corpus.txt", "--method", "ppmi", "-o", "corpus.ppmi")
    assert (again.exit_code, "corpus.ppmi: already exists. Use --force" in again.stderr) == (2, True)
    assert beside.exists()


def test_resume_needs_a_run(run_cli):
    unsaved = run_cli("train-w2v", "model.w2v", "--resume")
    assert unsaved.exit_code == 4
    assert "model.w2v does not exist, so there is no run to go on with." in unsaved.stderr
    nothing = run_cli("train-w2v", "corpus.txt", "--resume")
    assert nothing.exit_code == 4
    assert "corpus.w2v does not exist, so there is no run to go on with" in nothing.stderr
    other = run_cli("train-counts", "corpus.txt", "--resume", "--method", "ppmi")
    assert other.exit_code == 2
    assert "--resume is for --method glove; ppmi has nothing to go on with" in other.stderr


def test_resume_finds_the_text_where_it_is_now_and_as_it_was(run_cli, stopped):
    text = Path("corpus.txt").rename("moved.txt")
    shutil.rmtree(json.loads((stopped / "meta.json").read_text())["source"]["encoded"])
    lost = run_cli("train-w2v", "corpus.w2v", "--resume")
    assert lost.exit_code == 5
    assert "the corpus of corpus.w2v is not to be found" in lost.stderr
    found = run_cli("train-w2v", "moved.txt", "--resume", "-o", "corpus.w2v")
    assert found.exit_code == 0, found.stderr
    assert text.exists()


@pytest.mark.parametrize("source", ["/dev/zero", "pipe", "*pe", 5, None])
def test_resume_reads_nothing_unasked_that_never_ends(run_cli, stopped, source):
    os.mkfifo("pipe")
    meta = json.loads((stopped / "meta.json").read_text())
    sources = {"sources": [source], "encoded": str(Path.cwd() / "gone")}
    write_json(stopped / "meta.json", meta | {"source": meta["source"] | sources})
    write_manifest(stopped, {})
    result = run_cli("train-w2v", "corpus.w2v", "--resume")
    assert result.exit_code == 5, result.stderr
    assert "the corpus of corpus.w2v is not to be found" in result.stderr


def test_resume_refuses_a_text_that_has_changed(run_cli, stopped):
    text = Path("corpus.txt").read_text()
    Path("corpus.txt").write_text(text.replace("wordaa", "wordab", 1))
    shutil.rmtree(json.loads((stopped / "meta.json").read_text())["source"]["encoded"])
    result = run_cli("train-w2v", "corpus.w2v", "--resume")
    assert result.exit_code == 5
    assert "the corpus of corpus.w2v has changed since it was trained" in result.stderr


def test_what_can_be_asked_of_an_unfinished_run_says_that_it_is_one(run_cli, stopped):
    result = run_cli("neighbors", "corpus.w2v", "wordaa")
    assert result.exit_code == 0
    assert "corpus.w2v is unfinished: these are its vectors so far." in result.stderr
    assert "nlpseq train-w2v corpus.w2v --resume" in result.stderr


def test_a_copy_of_its_vectors_is_no_run(run_cli, stopped):
    assert run_cli("convert", "corpus.w2v", "copy.w2v").exit_code == 0
    assert "unfinished" not in run_cli("neighbors", "copy.w2v", "wordaa").stderr
    assert run_cli("train-w2v", "copy.w2v", "--resume").exit_code == 2


def test_deterministic_training_is_the_same_each_time(run_cli):
    for name in ("first", "second"):
        run = run_cli("train-w2v", "corpus.txt", *COMMANDS["the same each time"][1:], "-o", name)
        assert run.exit_code == 0, run.stderr
    assert Path("first/vectors.npy").read_bytes() == Path("second/vectors.npy").read_bytes()
