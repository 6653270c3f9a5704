"""train-lm and eval-lm as a person meets them."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nlpseq.lm.checkpoint import Checkpoint

NETWORK = [
    *("--hidden", "16", "--dim", "12", "--batch-size", "4", "--bptt", "7", "--samples", "5"),
    *("--threads", "1", "--precision", "fp32", "--device", "cpu"),
]
FAST = [*NETWORK, "--epochs", "2"]
SUBJECTS, VERBS = ("the cat", "a dog", "my aunt"), ("sees", "likes", "hears")


@pytest.fixture
def here(tmp_path, monkeypatch):
    chance = random.Random(3)
    sentences = [
        f"{chance.choice(SUBJECTS).capitalize()} {chance.choice(VERBS)} {chance.choice(SUBJECTS)}."
        for _ in range(400)
    ]
    (tmp_path / "story.txt").write_text("\n".join(sentences) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_text_file_to_a_perplexity(run_cli, here):
    done = run_cli("train-lm", "story.txt", *FAST, "--epochs", "20", "--learning-rate", "0.01")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr
    for said in (
        "1 x lstm of 16 units, embedding 12: ",
        " weights; training: 20 epochs; threads: 1; seed: 1",
        "validation perplexity",
        "next: nlpseq generate story.lm",
    ):
        assert said in done.stderr
    meta = json.loads(Path("story.lm/meta.json").read_text())
    assert meta["complete"] and meta["text_config"]["punctuation"] and not meta["text_config"]["lower"]
    assert "Perplexities of models with different" in Path("story.lm/README.md").read_text()

    answer = json.loads(run_cli("eval-lm", "story.lm", "--json").stdout)
    keys = ["perplexity", "bits_per_token", "bits_per_character", "tokens", "unk"]
    assert list(answer) == ["schema", *keys, "cache", "dynamic", "unigram", "kneser_ney"]
    assert answer["cache"] is answer["dynamic"] is None
    assert 1 < answer["perplexity"] < answer["unigram"] / 2 and answer["kneser_ney"] < answer["unigram"]

    named = run_cli("eval-lm", "story.lm", "story.txt", "--cache", "--dynamic")
    assert "read once in one column" in named.stderr and "cache: window" in named.stderr
    assert re.search(r"^perplexity +\d", named.stdout, re.M) and re.search(
        r"^dynamic +\d", named.stdout, re.M
    )


def test_without_its_corpus_there_are_no_baselines_and_it_is_said(run_cli, here):
    run_cli("preprocess", "story.txt", "--valid-share", "0.1")
    assert run_cli("train-lm", "story.tokens", *FAST).exit_code == 0
    Path("story.tokens").rename("elsewhere")
    done = run_cli("eval-lm", "story.lm", "story.txt", "--json")
    answer = json.loads(done.stdout)
    assert answer["unigram"] is None and answer["kneser_ney"] is None and answer["perplexity"] > 1
    assert "no baselines: the corpus of story.lm is not to be found" in done.stderr
    asked = run_cli("eval-lm", "story.lm")
    assert (asked.exit_code, asked.stdout) == (5, "")


def test_a_changed_corpus_is_noticed(run_cli, here):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    with Path("story.txt").open("a") as text:
        text.write("Nothing is the same.\n" * 50)
    os.environ["NLPSEQ_CACHE_DIR"], kept = str(here / "fresh"), os.environ["NLPSEQ_CACHE_DIR"]
    try:
        meta = json.loads(Path("story.lm/meta.json").read_text())
        meta["source"]["encoded"] = "gone"
        model = Checkpoint.load(Path("story.lm"))
        model._replace(meta=meta).save(Path("story.lm"), force=True)
        done = run_cli("eval-lm", "story.lm")
    finally:
        os.environ["NLPSEQ_CACHE_DIR"] = kept
    assert done.exit_code == 5 and "has changed since it was trained" in done.stderr


def test_a_file_to_validate_on_has_the_words_of_the_text(run_cli, here):
    Path("other.txt").write_text("A zebra sees my aunt.\n" * 30)
    assert run_cli("train-lm", "story.txt", "--valid", "other.txt", *FAST).exit_code == 0
    meta = json.loads(Path("story.lm/meta.json").read_text())
    assert meta["text_config"]["valid_share"] == 0 and meta["valid_tokens"] == 30 * 7
    assert "zebra" not in Path("story.lm/vocab.tsv").read_text()


def test_vectors_to_start_from(run_cli, here):
    assert (
        run_cli("train-w2v", "story.txt", "--dim", "6", "--min-count", "1", "--subsample", "0").exit_code == 0
    )
    done = run_cli("train-lm", "story.txt", *NETWORK[4:], "--epochs", "1", "--vectors", "story.w2v")
    assert done.exit_code == 0 and re.search(r"vectors know \d+\.\d% of the vocabulary", done.stderr), (
        done.stderr
    )
    meta = json.loads(Path("story.lm/meta.json").read_text())
    assert meta["config"]["dim"] == 6 and meta["facts"]["vectors_cover_text"] > 0.5


def stopped(arguments, sign):
    """Exit code and messages of a run that gets a signal once its first checkpoint is there."""
    line = [sys.executable, "-m", "nlpseq", "train-lm", *arguments, "--checkpoint-every", "0.1s"]
    run = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not Path("story.lm").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(sign)
    _, said = run.communicate(timeout=60)
    return run.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("sign, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_is_saved_and_says_how_to_go_on(run_cli, here, sign, code):
    returned, said = stopped(["story.txt", *NETWORK, "--epochs", "100000"], sign)
    assert returned == code, said
    assert "stopped and saved. Go on with: nlpseq train-lm story.lm --resume" in said
    kept = Checkpoint.load(Path("story.lm"))
    assert kept.meta["complete"] is False and kept.meta["position"]["step"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["story.lm", "story.txt"])
def test_a_stopped_run_goes_on(run_cli, here, name):
    stopped(["story.txt", *NETWORK, "--time-budget", "8s"], signal.SIGINT)
    used = Checkpoint.load(Path("story.lm")).meta["position"]["seconds"]
    assert run_cli("inspect", "story.lm").exit_code == 0
    done = run_cli("train-lm", name, "--resume")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr
    assert Checkpoint.load(Path("story.lm")).meta["position"]["seconds"] > used
    again = run_cli("train-lm", "story.lm", "--resume")
    assert again.exit_code == 2 and "story.lm is complete" in again.stderr


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["story.txt", "--epochs", "2", "--time-budget", "5s"], 2, "left out where epochs are given"),
        (["story.txt", "--time-budget", "soon"], 2, "no length of time. Write 90s, 10m or 1h30m"),
        (["story.txt", "--hidden", "0"], 2, "hidden is 0. It must be at least 1"),
        (["nothing.txt"], 4, "nothing.txt"),
        (["story.txt", "--resume"], 4, "there is no run to go on with"),
        (["short.txt"], 4, "short.txt"),
        (["story.txt", "--batch-size", "5000"], 4, "Give more text, or lower --batch-size"),
        (["story.txt", "--device", "toaster"], 3, "device 'toaster' cannot be used"),
        (["story.txt", "--preset", "huge"], 2, "'huge'"),
        (["story.txt", "--valid", "none.txt"], 2, "none.txt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_turns(run_cli, here, arguments, code, message):
    Path("short.txt").write_text("one two\n")
    done = run_cli("train-lm", *arguments)
    assert done.exit_code == code, done.stderr
    assert message in done.stderr and not done.stdout and not Path("story.lm").exists()


def test_without_the_memory_no_work_is_begun(run_cli, here, monkeypatch):
    monkeypatch.setattr("nlpseq.cli._corpus.available_memory", lambda: 10_000)
    done = run_cli("train-lm", "story.txt", *FAST)
    assert done.exit_code == 6 and "Lower --hidden, --dim or --max-vocab" in done.stderr
    assert not Path("story.lm").exists()


def test_an_existing_model_is_not_overwritten(run_cli, here):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    done = run_cli("train-lm", "story.txt", *FAST)
    assert done.exit_code == 2 and "story.lm already exists" in done.stderr
    assert run_cli("train-lm", "story.txt", *FAST, "--force").exit_code == 0


@pytest.mark.parametrize(
    "line",
    [["train-lm", "story.txt"], ["eval-lm", "x.lm"], ["score", "x.lm", "story.txt"], ["generate", "x.lm"]],
)
def test_without_torch_the_line_that_installs_it_is_said(here, line):
    block = "import sys; sys.modules['torch'] = None; from nlpseq.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", block, *line], capture_output=True, text=True)
    assert done.returncode == 3 and done.stdout == ""
    assert re.search(r"needs PyTorch, which is not installed\. .*pip install \S*nlpseq\[lm\]", done.stderr)
    assert "Traceback" not in done.stderr
