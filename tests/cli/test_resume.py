"""Stopping and resuming of train-w2v and train-counts."""

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from support.runs import check_kill_amid_training
from support.texts import random_corpus

import nlpseq as ns
from nlpseq.storage.manifest import write_json, write_manifest
from nlpseq.training.runner import Checkpointer
from nlpseq.word2vec import parallel

COMMANDS = {
    "one thread": ["train-w2v", "--threads", "1", "--epochs", "8", "--dim", "8"],
    "the same each time": ["train-w2v", "--threads", "3", "--deterministic", "--epochs", "8", "--dim", "8"],
    "glove": ["train-counts", "--method", "glove", "--threads", "2", "--epochs", "4", "--dim", "8"],
}
FILES = {"MANIFEST.json", "meta.json", "metrics.jsonl", "vocab.tsv", "vectors.npy", "contexts.npy"}
FOLDERS = {"train-w2v": "corpus.w2v", "train-counts": "corpus.glove"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Write corpus.txt with 20,000 tokens of 50 types into the current folder."""
    random_corpus(tmp_path, num_types=50, num_lines=2000)
    monkeypatch.chdir(tmp_path)
    sizes = parallel.ParallelSizes(500, 1500, full_sync_every=4, poll_seconds=0.0)
    monkeypatch.setattr(parallel, "DEFAULT_SIZES", sizes)


def stop_every_run(monkeypatch, looks):
    """Request a stop at the given look."""

    def should_stop(checkpointer):
        return next(vars(checkpointer).setdefault("looks", itertools.count())) >= looks

    monkeypatch.setattr(Checkpointer, "should_stop", should_stop)


@pytest.fixture
def stopped(run_cli, monkeypatch):
    """Stop a run of train-w2v, and return its folder."""
    with monkeypatch.context() as patch:
        stop_every_run(patch, 0)
        assert run_cli("train-w2v", "corpus.txt", "--epochs", "40", "--dim", "8").exit_code == 130
    return Path("corpus.w2v")


@pytest.mark.parametrize("name", COMMANDS)
def test_resume_after_stops_gives_same_bytes(run_cli, monkeypatch, name):
    command, *settings = COMMANDS[name]
    path = FOLDERS[command]
    assert run_cli(command, "corpus.txt", *settings, "-o", "whole").exit_code == 0
    assert {file.name for file in Path("whole").iterdir()} == FILES
    with monkeypatch.context() as patch:
        stop_every_run(patch, 4)
        result = run_cli(command, "corpus.txt", *settings)
        for named in ([path], ["corpus.txt", *settings], [path]):
            assert result.exit_code == 130, result.stderr
            assert f"stopped and saved. Continue with: nlpseq {command} {path} --resume" in result.stderr
            again = run_cli(command, "corpus.txt", *settings)
            assert again.exit_code == 2
            assert f"{path}: already exists and holds an unfinished run. Continue it with" in again.stderr
            result = run_cli(command, *named, "--resume")
            assert "continuing in epoch" in result.stderr
    result = run_cli(command, path, "--resume")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{path}\n"
    for file in ("vectors.npy", "contexts.npy", "vocab.tsv"):
        assert Path(path, file).read_bytes() == Path("whole", file).read_bytes()
    left, wanted = ({file.name for file in Path(each).iterdir()} for each in (path, "whole"))
    assert left == wanted, "something is left of the checkpoint"
    over = run_cli(command, path, "--resume")
    assert over.exit_code == 2
    assert f"{path}: training is complete" in over.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dim", "9"], "the run started with dim 8, not 9"),
        (["--preset", "quality"], "--preset: does not go with --resume"),
        (["--force"], "--force: does not go with --resume"),
        (["--min-count", "3"], "the run started with min_count 5, not 3"),
        (["-o", "other.w2v"], "-o other.w2v: does not go with --resume of corpus.w2v"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_resume_refuses_other_settings(run_cli, stopped, options, said):
    result = run_cli("train-w2v", "corpus.w2v", "--resume", *options)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.slow
def test_resume_accepts_other_threads(run_cli, stopped):
    result = run_cli("train-w2v", "corpus.w2v", "--resume", "--threads", "3")
    assert result.exit_code == 0, result.stderr
    assert json.loads((stopped / "meta.json").read_text())["threads"] == 3


def test_resume_names_command_of_other_run(run_cli, stopped):
    result = run_cli("train-counts", stopped, "--method", "glove", "--resume")
    assert result.exit_code == 2
    assert (
        "corpus.w2v: is a run of train-w2v. Continue it with nlpseq train-w2v corpus.w2v --resume"
        in result.stderr
    )


def test_kill_amid_training_keeps_old_result(run_cli):
    command, *settings = COMMANDS["glove"]
    check_kill_amid_training(run_cli, Path("corpus.glove"), command, "corpus.txt", *settings)


@pytest.mark.filterwarnings("default:.*holds an unfinished run")
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "named",
    ["the result", *(pytest.param(each, marks=pytest.mark.slow) for each in ("the text", "the checkpoint"))],
)
def test_old_result_stays_until_new_one_is_complete(run_cli, monkeypatch, name, named):
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
    assert f"warning: {path}: holds an unfinished run, which the first checkpoint" in stopped.stderr
    assert stopped.exit_code == 130
    assert f"Continue with: nlpseq {command} {path} --resume" in stopped.stderr
    assert (path / "vectors.npy").read_bytes() == whole
    assert run_cli("inspect", path).exit_code == 0
    refused = run_cli(*again)
    assert refused.exit_code == 2
    assert f"{path}: already exists and holds an unfinished run." in refused.stderr
    source = {"the text": "corpus.txt", "the result": str(path), "the checkpoint": f"{path}/checkpoint"}[
        named
    ]
    more = ["--method", "glove"] if name == "glove" else []
    result = run_cli(command, source, *more, "--resume")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{path}\n"
    assert {file.name for file in path.iterdir()} == FILES
    assert run_cli(*again, "-o", "apart").exit_code == 0
    assert (path / "vectors.npy").read_bytes() == Path("apart", "vectors.npy").read_bytes()


@pytest.mark.filterwarnings("default:.*holds an unfinished run")
def test_forced_run_warns_before_it_overwrites_a_checkpoint(run_cli, monkeypatch, stopped):
    stop_every_run(monkeypatch, 2)
    again = run_cli("train-w2v", "corpus.txt", "--seed", "7", "--force")
    assert again.exit_code == 130
    assert again.stderr.count("warning") == 1
    assert (
        "warning: corpus.w2v: holds an unfinished run, which the first checkpoint or the result overwrites. "
        "Stop at once and move the folder to keep it." in again.stderr
    )
    assert json.loads((stopped / "checkpoint" / "meta.json").read_text())["config"]["seed"] == 7


@pytest.mark.filterwarnings("default:.*holds an unfinished run")
@pytest.mark.parametrize(
    "line",
    [
        ["train-counts", "corpus.txt", "--method", "ppmi", "--subsample", "0"],
        ["train-counts", "corpus.txt", "--dim", "3", "--subsample", "0"],
        ["train-counts", "corpus.txt", "--method", "glove", "--epochs", "1"],
        ["preprocess", "corpus.txt"],
        ["convert", "copy.w2v", "corpus.w2v"],
    ],
    ids=" ".join,
)
def test_every_writer_warns_before_it_overwrites_a_run(run_cli, stopped, line):
    assert run_cli("convert", "corpus.w2v/checkpoint", "copy.w2v").exit_code == 0
    output = [] if "convert" in line else ["-o", "corpus.w2v"]
    refused = run_cli(*line, *output)
    assert refused.exit_code == 2
    assert "corpus.w2v: already exists and holds an unfinished run. Continue it with" in refused.stderr
    done = run_cli(*line, *output, "--force")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("warning: corpus.w2v: holds an unfinished run, which") == 1
    assert not (stopped / "checkpoint").exists()


@pytest.mark.slow
def test_python_run_leaves_the_same_files_and_resumes(run_cli, stopped):
    assert run_cli("preprocess", "corpus.txt").exit_code == 0
    data = ns.TokenDataset.open("corpus.tokens")
    config = ns.Word2VecConfig(epochs=50, dim=8, threads=1)
    for path, stop in (("whole.w2v", False), ("run.w2v", True)):
        checkpoint = ns.CheckpointConfig(path=path, should_stop=lambda stop=stop: stop)
        ns.train_word2vec(data, config, checkpoint=checkpoint)
    assert {file.name for file in Path("whole.w2v").iterdir()} == FILES
    assert [file.name for file in Path("run.w2v").iterdir()] == ["checkpoint"]
    vectors = ns.resume("run.w2v")
    assert vectors.meta["complete"]
    assert {file.name for file in Path("run.w2v").iterdir()} == FILES
    assert Path("run.w2v/vectors.npy").read_bytes() == Path("whole.w2v/vectors.npy").read_bytes()


def test_resume_needs_run(run_cli):
    unsaved = run_cli("train-w2v", "model.w2v", "--resume")
    assert unsaved.exit_code == 4
    assert "model.w2v: not found, so there is no run to continue." in unsaved.stderr
    nothing = run_cli("train-w2v", "corpus.txt", "--resume")
    assert nothing.exit_code == 4
    assert "corpus.w2v: not found, so there is no run to continue" in nothing.stderr
    for line in (["gone/deep/model.w2v"], ["corpus.txt", "-o", "gone/deep/model.w2v"]):
        assert run_cli("train-w2v", *line, "--resume").exit_code == 4
        assert not Path("gone").exists()
    other = run_cli("train-counts", "corpus.txt", "--resume", "--method", "ppmi")
    assert other.exit_code == 2
    assert "--resume: is only for --method glove, not ppmi" in other.stderr


def test_resume_finds_moved_corpus_if_named(run_cli, stopped):
    text = Path("corpus.txt").rename("moved.txt")
    shutil.rmtree(json.loads((stopped / "checkpoint" / "meta.json").read_text())["source"]["encoded"])
    lost = run_cli("train-w2v", "corpus.w2v", "--resume")
    assert lost.exit_code == 5
    assert "corpus.w2v: the corpus is not found" in lost.stderr
    found = run_cli("train-w2v", "moved.txt", "--resume", "-o", "corpus.w2v")
    assert found.exit_code == 0, found.stderr
    assert text.exists()


@pytest.mark.parametrize("source", ["/dev/zero", "pipe", "*pe", 5, None])
def test_resume_never_reads_pipe_unasked(run_cli, stopped, source):
    os.mkfifo("pipe")
    checkpoint = stopped / "checkpoint"
    meta = json.loads((checkpoint / "meta.json").read_text())
    sources = {"sources": [source], "encoded": str(Path.cwd() / "gone")}
    write_json(checkpoint / "meta.json", meta | {"source": meta["source"] | sources})
    write_manifest(checkpoint, {})
    result = run_cli("train-w2v", "corpus.w2v", "--resume")
    assert result.exit_code == 5, result.stderr
    assert "corpus.w2v: the corpus is not found" in result.stderr


def test_resume_refuses_changed_corpus(run_cli, stopped):
    text = Path("corpus.txt").read_text()
    Path("corpus.txt").write_text(text.replace("wordaa", "wordab", 1))
    shutil.rmtree(json.loads((stopped / "checkpoint" / "meta.json").read_text())["source"]["encoded"])
    result = run_cli("train-w2v", "corpus.w2v", "--resume")
    assert result.exit_code == 5
    assert "corpus.w2v: the corpus has changed since training started" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        ["neighbors", "RUN", "wordaa"],
        ["analogy", "RUN", "wordaa", "wordab", "wordac"],
        ["similarity", "RUN", "wordaa", "wordab"],
        ["eval-w2v", "RUN", "--pairs", "pairs.tsv"],
        ["compare", "RUN", "RUN"],
        ["convert", "RUN", "copy.vec"],
        ["inspect", "RUN"],
    ],
    ids=lambda line: line[0],
)
def test_commands_read_checkpoint_but_not_unfinished_run(run_cli, stopped, line):
    Path("pairs.tsv").write_text("wordaa\twordab\t9\nwordab\twordac\t5\nwordaa\twordac\t1\n")
    refused = run_cli(*(each.replace("RUN", "corpus.w2v") for each in line))
    assert refused.exit_code == 5
    result = run_cli(*(each.replace("RUN", "corpus.w2v/checkpoint") for each in line))
    assert result.exit_code == 0, result.stderr
    assert (
        "warning: corpus.w2v/checkpoint: is the checkpoint of an unfinished run. "
        "Continue it with nlpseq train-w2v corpus.w2v/checkpoint --resume" in result.stderr
    )
    assert (
        "corpus.w2v: unfinished run without a result. Continue with nlpseq train-w2v corpus.w2v --resume, "
        "or open corpus.w2v/checkpoint for the state so far." in refused.stderr
    )


def test_checkpoint_of_other_version_is_not_continued(run_cli, stopped):
    old = (stopped / "checkpoint").rename("old.w2v")
    write_json(old / "meta.json", {**json.loads((old / "meta.json").read_text()), "checkpoint": None})
    write_manifest(old, {})
    said = "old.w2v: unfinished run of another version of nlpseq, which this version cannot continue. "
    read = run_cli("neighbors", "old.w2v", "wordaa")
    assert read.exit_code == 0 and f"warning: {said}" in read.stderr
    resumed = run_cli("train-w2v", "old.w2v", "--resume")
    assert resumed.exit_code == 5 and said in resumed.stderr
    assert "--resume" not in read.stderr + resumed.stderr


def test_copy_of_a_checkpoint_is_not_a_run(run_cli, stopped):
    assert run_cli("convert", "corpus.w2v/checkpoint", "copy.w2v").exit_code == 0
    assert "unfinished" not in run_cli("neighbors", "copy.w2v", "wordaa").stderr
    assert run_cli("train-w2v", "copy.w2v", "--resume").exit_code == 2


@pytest.mark.slow
def test_deterministic_training_gives_same_bytes_again(run_cli):
    for name in ("first", "second"):
        run = run_cli("train-w2v", "corpus.txt", *COMMANDS["the same each time"][1:], "-o", name)
        assert run.exit_code == 0, run.stderr
    assert Path("first/vectors.npy").read_bytes() == Path("second/vectors.npy").read_bytes()
