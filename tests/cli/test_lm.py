"""train-lm and eval-lm: files, messages, signals and resuming."""

import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.runs import check_kill_amid_training

import nlpseq as ns
from nlpseq.lm.checkpoint import Checkpoint
from nlpseq.training.runner import Checkpointer

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


def test_train_lm_then_eval_lm(run_cli, here):
    done = run_cli("train-lm", "story.txt", *FAST, "--epochs", "10", "--learning-rate", "0.02")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr
    for said in (
        "1 x lstm of 16 units, embedding 12: ",
        " weights; training: 10 epochs; threads: 1; seed: 1",
        "validation perplexity",
        "next: nlpseq generate story.lm",
    ):
        assert said in done.stderr
    meta = json.loads(Path("story.lm/meta.json").read_text())
    assert meta["complete"] and meta["text_config"]["punctuation"] and not meta["text_config"]["lower"]
    card = Path("story.lm/README.md").read_text()
    modes = {file.name: file.stat().st_mode for file in Path("story.lm").iterdir()}
    assert len(set(modes.values())) == 1, modes  # all files have equal rights
    for told in (
        "| corpus | story.txt |",
        "1 x lstm of 16 units",
        "10.0 passes",
        "nlpseq eval-lm THIS_FOLDER",
        "| unknown | 0.00% of the training text is <unk> |",
        "recurrent weights 0.",
    ):
        assert told in card
    assert f"{math.exp(min(meta['position']['valid_losses'])):.2f}" in card

    answer = json.loads(run_cli("eval-lm", "story.lm", "--json").stdout)
    keys = ["perplexity", "bits_per_token", "bits_per_character", "tokens", "unk"]
    figures = ["perplexity", "cache", "dynamic", "unigram", "kneser_ney"]
    later = ["unk_share", "unk_types", "known_tokens", *(f"known_{name}" for name in figures)]
    later += [*(f"spread_{name}" for name in figures), "spread_bits_per_character"]
    assert list(answer) == ["schema", *keys, *figures[1:], *later]
    assert answer["cache"] is answer["dynamic"] is None
    assert 1 < answer["perplexity"] < answer["unigram"] / 2 and answer["kneser_ney"] < answer["unigram"]

    named = run_cli("eval-lm", "story.lm", "story.txt", "--cache", "--dynamic")
    assert "read once in one column" in named.stderr and "cache: window" in named.stderr
    for row in ("perplexity", "perplexity with a cache", "perplexity with dynamic evaluation"):
        assert re.search(rf"^{row}  +\d", named.stdout, re.M), row


def test_eval_lm_reports_baselines_without_corpus(run_cli, here):
    run_cli("preprocess", "story.txt", "--valid-share", "0.1")
    assert run_cli("train-lm", "story.tokens", *FAST).exit_code == 0
    Path("story.tokens").rename("elsewhere")
    done = run_cli("eval-lm", "story.lm", "story.txt", "--json")
    answer = json.loads(done.stdout)
    assert answer["unigram"] is None and answer["kneser_ney"] is None and answer["perplexity"] > 1
    assert "no baselines: story.lm: the corpus is not found" in done.stderr
    asked = run_cli("eval-lm", "story.lm")
    assert (asked.exit_code, asked.stdout) == (5, "")


def test_eval_lm_refuses_changed_corpus(run_cli, here):
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
    assert done.exit_code == 5 and "story.lm: the corpus has changed since training started. " in done.stderr


def test_valid_file_uses_vocabulary_of_corpus(run_cli, here):
    Path("other.txt").write_text("A zebra sees my aunt.\n" * 30)
    assert run_cli("train-lm", "story.txt", "--valid", "other.txt", *FAST).exit_code == 0
    meta = json.loads(Path("story.lm/meta.json").read_text())
    assert meta["text_config"]["valid_share"] == 0 and meta["valid_tokens"] == 30 * 7
    assert "zebra" not in Path("story.lm/vocab.tsv").read_text()


def test_vectors_option_starts_embeddings(run_cli, here):
    assert run_cli("train-w2v", "story.txt", "--dim", "8", "--min-count", "1", "--epochs", "2").exit_code == 0
    done = run_cli("train-lm", "story.txt", *NETWORK[4:], "--epochs", "1", "--vectors", "story.w2v")
    assert done.exit_code == 0 and re.search(r"vectors know \d+\.\d% of the vocabulary", done.stderr), (
        done.stderr
    )
    meta = json.loads(Path("story.lm/meta.json").read_text())
    assert meta["config"]["dim"] == 8 and meta["facts"]["vectors_cover_text"] > 0.5


def stopped(arguments, sign):
    """Return exit code and messages of a run, sent a signal after the first checkpoint."""
    line = [sys.executable, "-m", "nlpseq", "train-lm", *arguments, "--checkpoint-every", "0.1s"]
    run = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_for_checkpoint(run)
    run.send_signal(sign)
    _, said = run.communicate(timeout=60)
    return run.returncode, said


def wait_for_checkpoint(run):
    deadline = time.monotonic() + 60
    while not Path("story.lm/checkpoint").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("sign, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_lm_checkpoint(run_cli, here, sign, code):
    returned, said = stopped(["story.txt", *NETWORK, "--epochs", "100000"], sign)
    assert returned == code, said
    assert "stopped and saved. Continue with: nlpseq train-lm story.lm --resume" in said
    kept = Checkpoint.load(Path("story.lm/checkpoint"))
    assert kept.meta["complete"] is False and kept.meta["position"]["step"] > 0


@pytest.mark.slow
def test_stopped_lm_run_resumes(run_cli, here):
    stopped(["story.txt", *NETWORK, "--time-budget", "8s"], signal.SIGINT)
    used = Checkpoint.load(Path("story.lm/checkpoint")).meta["position"]["seconds"]
    assert run_cli("inspect", "story.lm/checkpoint").exit_code == 0
    done = run_cli("train-lm", "story.lm", "--resume")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr
    assert Checkpoint.load(Path("story.lm")).meta["position"]["seconds"] > used
    again = run_cli("train-lm", "story.lm", "--resume")
    assert again.exit_code == 2 and "story.lm: training is complete" in again.stderr


@pytest.mark.slow
def test_second_signal_keeps_last_lm_checkpoint(here):
    line = [sys.executable, "-m", "nlpseq", "train-lm", "story.txt", *NETWORK, "--epochs", "100000"]
    run = subprocess.Popen([*line, "--checkpoint-every", "0.1s"], stderr=subprocess.PIPE, text=True)
    wait_for_checkpoint(run)
    run.send_signal(signal.SIGSTOP)  # to deliver both signals together
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGCONT)
    _, said = run.communicate(timeout=60)
    assert run.returncode in (130, 143), said
    assert (
        "its last checkpoint, if there is one yet, continues with: nlpseq train-lm story.lm --resume" in said
    )
    assert Checkpoint.load(Path("story.lm/checkpoint")).meta["complete"] is False


@pytest.mark.slow
def test_kill_amid_lm_training_keeps_old_model(run_cli, here):
    check_kill_amid_training(run_cli, Path("story.lm"), "train-lm", "story.txt", *FAST)


@pytest.mark.slow
def test_ctrl_c_saves_with_closed_stderr(here):
    line = [sys.executable, "-m", "nlpseq", "train-lm", "story.txt", *NETWORK, "--epochs", "100000"]
    run = subprocess.Popen([*line, "--checkpoint-every", "1h"], stderr=subprocess.PIPE)
    assert run.stderr is not None
    assert any(b"weights; training" in line for line in run.stderr)
    time.sleep(3)
    run.stderr.close()
    run.send_signal(signal.SIGINT)
    run.wait(timeout=60)
    kept = Checkpoint.load(Path("story.lm/checkpoint"))
    assert kept.meta["complete"] is False and kept.meta["position"]["step"] > 0


@pytest.fixture
def unfinished(run_cli, here, monkeypatch):
    """Return a function to start a run of story.txt, stopped at the first step."""

    def begin(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(Checkpointer, "should_stop", lambda self: True)
            done = run_cli("train-lm", *arguments, *FAST)
        assert done.exit_code == 130 and "stopped and saved" in done.stderr, done.stderr

    return begin


def test_resume_finds_run_by_corpus(run_cli, unfinished):
    unfinished("story.txt")
    done = run_cli("train-lm", "story.txt", "--resume", "--epochs", "2")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr
    assert re.search(r"continuing at step 1, after \d+ s and 28 tokens", done.stderr)


def test_lm_checkpoint_answers_with_warning(run_cli, unfinished):
    unfinished("story.txt")
    said = (
        "warning: story.lm/checkpoint: is the checkpoint of an unfinished run. "
        "Continue it with nlpseq train-lm story.lm/checkpoint --resume"
    )
    for command, *more in (["generate", "--num-tokens", 3], ["score", "story.txt"], ["eval-lm"], ["inspect"]):
        done = run_cli(command, "story.lm/checkpoint", *more)
        assert done.exit_code == 0 and said in done.stderr, command
        refused = run_cli(command, "story.lm", *more)
        assert refused.exit_code == 5 and "story.lm: unfinished run without a result" in refused.stderr
    assert run_cli("train-lm", "story.lm/checkpoint", "--resume").exit_code == 0
    assert "unfinished" not in run_cli("generate", "story.lm", "--num-tokens", "3").stderr


@pytest.mark.slow
def test_valid_may_be_the_name_of_a_corpus(run_cli, here):
    assert run_cli("train-lm", "story.txt", "--valid", "tiny", *FAST).exit_code == 0
    assert json.loads(Path("story.lm/meta.json").read_text())["source"]["valid"] == "tiny"
    assert run_cli("eval-lm", "story.lm", "story.txt", "--cache").exit_code == 0  # reads tiny again
    for name, problem in (("tinny", "tinny: no such file, folder or corpus"), ("-", "read only once")):
        done = run_cli("train-lm", "story.txt", "--valid", name, *FAST, "-o", "new.lm")
        assert done.exit_code == 4 and problem in done.stderr


@pytest.mark.parametrize("options", [["--pos", "N"], ["--vocab-size", 300]])
def test_encoded_corpus_refuses_options_of_the_text(run_cli, here, options):
    assert run_cli("preprocess", "story.txt").exit_code == 0
    for command in ("train-w2v", "train-counts", "train-lm"):
        done = run_cli(command, "story.tokens", *options)
        assert done.exit_code == 2
        problem = "is encoded already, so no option of the text has an effect"
        assert f"story.tokens: {problem}. Leave out {options[0]}, or" in done.stderr


def test_eval_lm_warns_of_many_unknown_words(run_cli, here):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    assert "are <unk>" not in run_cli("eval-lm", "story.lm").stderr
    Path("other.txt").write_text("The zebra sees a dog.\n")
    done = run_cli("eval-lm", "story.lm", "other.txt")
    assert "14.3% of the tokens are <unk>, and <unk> is easier to predict" in done.stderr
    assert re.search(r"^tokens <unk> +1$", done.stdout, re.M)
    first, *others = done.stdout.splitlines()
    assert first.startswith("perplexity, <unk> spread over its types  ") and len(others) < 8
    assert [re.split("  +", each)[0] for each in others[:2]] == [
        f"perplexity, {way}" for way in ("known tokens", "<unk> as one word")
    ]
    detailed = run_cli("eval-lm", "story.lm", "other.txt", "-v").stdout
    assert detailed.startswith(done.stdout) and re.search(r"^tokens but <unk> +6$", detailed, re.M)
    assert len(detailed.splitlines()) > 15
    quiet = run_cli("eval-lm", "story.lm", "other.txt", "--cache", "--json", "-q")
    answer = json.loads(quiet.stdout)
    assert "are <unk>" in quiet.stderr and answer["unk_share"] == 1 / 7 and answer["unk_types"] == 1
    assert answer["spread_cache"] == answer["cache"] and answer["known_cache"] > 1


def test_resume_finds_run_by_encoded_corpus(run_cli, here, unfinished):
    assert run_cli("preprocess", "story.txt", "--valid-share", "0.1").exit_code == 0
    unfinished("story.tokens")
    done = run_cli("train-lm", "story.tokens", "--resume")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr


def test_resume_finds_moved_lm_corpus_if_named(run_cli, here, unfinished):
    unfinished("story.txt")
    Path("elsewhere").mkdir()
    Path("story.txt").rename("elsewhere/story.txt")
    meta = json.loads(Path("story.lm/checkpoint/meta.json").read_text())
    shutil.rmtree(meta["source"]["encoded"])
    gone = run_cli("train-lm", "story.lm", "--resume")
    assert gone.exit_code == 5 and "the corpus is not found" in gone.stderr
    done = run_cli("train-lm", "elsewhere/story.txt", "--resume")
    assert done.exit_code == 0, done.stderr
    assert run_cli("eval-lm", "story.lm", "--json").exit_code == 0


def test_resume_refuses_other_corpus_of_same_name(run_cli, here, unfinished):
    unfinished("story.txt")
    Path("b").mkdir()
    Path("b/story.txt").write_text("Another story.\n" * 300)
    done = run_cli("train-lm", "b/story.txt", "--resume")
    assert done.exit_code == 5 and "story.lm: the corpus has changed since training started. " in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--hidden", "17"], "story.lm: the run started with hidden 16, not 17. Leave out the setting"),
        (["--lower"], "story.lm: the run started with lower False, not True"),
        (["--preset", "tiny"], "--preset: does not go with --resume"),
        (["--valid", "story.txt"], "--valid: does not go with --resume"),
        (["--force"], "--force: does not go with --resume"),
        (["-o", "other.lm"], "-o other.lm: does not go with --resume of story.lm"),
    ],
)
def test_resume_lm_refuses_other_settings(run_cli, unfinished, arguments, message):
    unfinished("story.txt")
    done = run_cli("train-lm", "story.lm", "--resume", *arguments)
    assert done.exit_code == 2 and message in done.stderr, done.stderr


def test_resume_ignores_length_from_environment(run_cli, unfinished, monkeypatch):
    monkeypatch.setenv("NLPSEQ_TIME_BUDGET", "1h")
    unfinished("story.txt")
    assert run_cli("train-lm", "story.lm", "--resume").exit_code == 0


def test_resume_names_corrupt_encoded_corpus(run_cli, here, unfinished):
    run_cli("preprocess", "story.txt", "--valid-share", "0.1")
    unfinished("story.tokens")
    with Path("story.tokens/tokens.npy").open("r+b") as tokens:
        tokens.truncate(200)
    done = run_cli("train-lm", "story.lm", "--resume")
    assert done.exit_code == 5 and "tokens.npy: has 200 bytes" in done.stderr


def test_command_resumes_lm_run_of_python(run_cli, here):
    from nlpseq.lm.train import CheckpointConfig, train_lm

    run_cli("preprocess", "story.txt", "--valid-share", "0.1")
    data = ns.TokenDataset.open("story.tokens")
    config = ns.LMConfig(hidden=16, dim=12, batch_size=4, bptt=7, samples=5, threads=1, epochs=1)
    train_lm(data, config, checkpoint=CheckpointConfig(path=Path("run.lm"), should_stop=lambda: True))
    done = run_cli("train-lm", "run.lm", "--resume")
    assert done.exit_code == 0, done.stderr
    assert json.loads(run_cli("eval-lm", "run.lm", "story.txt", "--json").stdout)["kneser_ney"] > 1


@pytest.mark.slow
def test_resume_lm_command_accepts_other_threads(run_cli, unfinished):
    unfinished("story.txt")
    assert run_cli("train-lm", "story.lm", "--resume", "--threads", "2").exit_code == 0
    assert json.loads(Path("story.lm/meta.json").read_text())["config"]["threads"] == 2


def test_resume_refuses_changed_validation_text(run_cli, here, unfinished):
    Path("other.txt").write_text("A zebra sees my aunt.\n" * 30)
    unfinished("story.txt", "--valid", "other.txt")
    Path("other.txt").write_text("A dog sees my aunt.\n" * 30)
    done = run_cli("train-lm", "story.lm", "--resume")
    assert done.exit_code == 5
    assert re.search(r"story\.lm: the validation text \S*other\.txt has changed\. Restore", done.stderr)
    Path("other.txt").unlink()
    assert run_cli("eval-lm", "story.lm/checkpoint", "story.txt").exit_code == 0
    asked = run_cli("eval-lm", "story.lm/checkpoint", "story.txt", "--cache")
    assert asked.exit_code == 5 and "--cache and --dynamic need the validation text" in asked.stderr


@pytest.mark.filterwarnings("default:.*holds an unfinished run")
def test_train_lm_needs_force_over_unfinished_run(run_cli, unfinished):
    unfinished("story.txt")
    done = run_cli("train-lm", "story.txt", *FAST)
    assert (
        done.exit_code == 2
        and "story.lm: already exists and holds an unfinished run. Continue it with" in done.stderr
    )
    assert run_cli("train-lm", "story.txt", *FAST, "--force").exit_code == 0


def test_old_model_stays_until_new_one_is_complete(run_cli, here, unfinished):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    whole = Path("story.lm/model.safetensors").read_bytes()
    unfinished("story.txt", "--force")
    assert Path("story.lm/model.safetensors").read_bytes() == whole
    assert json.loads(Path("story.lm/checkpoint/meta.json").read_text())["complete"] is False
    done = run_cli("train-lm", "story.txt", "--resume")
    assert (done.exit_code, done.stdout) == (0, "story.lm\n"), done.stderr
    assert not Path("story.lm/checkpoint").exists()
    assert run_cli("eval-lm", "story.lm", "--json").exit_code == 0
    assert json.loads(Path("story.lm/meta.json").read_text())["complete"] is True


def test_train_lm_refuses_phrases_and_sparse_vectors(run_cli, here):
    phrases = run_cli("train-lm", "story.txt", *FAST, "--phrases", "1")
    assert phrases.exit_code == 2 and "--phrases: is only for word vectors" in phrases.stderr
    counted = ["train-counts", "story.txt", "--method", "ppmi", "--subsample", "0", "--min-count", "1"]
    assert run_cli(*counted).exit_code == 0
    explicit = run_cli("train-lm", "story.txt", *FAST, "--vectors", "story.ppmi")
    assert explicit.exit_code == 4 and "holds sparse vectors" in explicit.stderr
    assert run_cli("preprocess", "story.txt", "--phrases", "1", "--valid-share", "0.1").exit_code == 0
    encoded = run_cli("train-lm", "story.tokens", *FAST)
    assert encoded.exit_code == 2 and "encoded with phrases" in encoded.stderr


@pytest.mark.slow
def test_train_lm_loads_the_first_vectors_of_a_file(run_cli, here):
    Path("cut.vec").write_text("9 2\nthe 1 2\na 3 4\ncut 1")
    for options in (["--lenient"], ["--load-top", "2"]):
        alone = run_cli("train-lm", "story.txt", *FAST, *options)
        assert alone.exit_code == 2 and f"{options[0]}: has no effect without --vectors" in alone.stderr
        done = run_cli(
            "train-lm", "story.txt", *NETWORK[4:], "--epochs", "1", "--vectors", "cut.vec", *options
        )
        assert done.exit_code == 0, done.stderr
        assert json.loads(Path("story.lm/meta.json").read_text())["config"]["dim"] == 2
        shutil.rmtree("story.lm")


def test_train_lm_refuses_model_as_corpus(run_cli, here):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    done = run_cli("train-lm", "story.lm", *FAST)
    assert done.exit_code == 2 and "story.lm: holds a language model, not a corpus" in done.stderr


def test_train_lm_never_overwrites_its_inputs(run_cli, here):
    run_cli("preprocess", "story.txt", "--valid-share", "0.1")
    run_cli("train-w2v", "story.txt", "--dim", "12", "--min-count", "1", "--subsample", "0")
    for arguments in (
        ["story.tokens", "-o", "story.tokens"],
        ["story.txt", "--vectors", "story.w2v", "-o", "story.w2v"],
        ["story.txt", "--valid", "story.tokens", "-o", "./story.tokens"],
    ):
        done = run_cli("train-lm", *arguments, *FAST, "--force")
        assert done.exit_code == 2 and "is an input of this command" in done.stderr, arguments
    assert run_cli("inspect", "story.tokens").exit_code == run_cli("inspect", "story.w2v").exit_code == 0


def test_eval_lm_uses_test_split_of_encoded_corpus(run_cli, here):
    run_cli("preprocess", "story.txt", "--valid-share", "0.1", "--test-share", "0.1")
    assert run_cli("train-lm", "story.tokens", *FAST).exit_code == 0
    named = run_cli("eval-lm", "story.lm", "story.tokens", "--json")
    assert "evaluating on the test split of story.tokens" in named.stderr
    assert json.loads(named.stdout) == json.loads(run_cli("eval-lm", "story.lm", "--json").stdout)

    run_cli("preprocess", "story.txt", "--valid-share", "0.1", "-o", "rest.tokens")
    done = run_cli("train-lm", "rest.tokens", *FAST)
    assert "next: nlpseq generate rest.lm" in done.stderr and "nlpseq eval-lm rest.lm TEXT" in done.stderr
    for text in ([], ["rest.tokens"]):
        asked = run_cli("eval-lm", "rest.lm", *text)
        assert asked.exit_code == 4 and "no test split, and the model was trained on the rest" in asked.stderr


def test_length_flag_outranks_environment_and_file(run_cli, here, monkeypatch):
    monkeypatch.setenv("NLPSEQ_TIME_BUDGET", "1h")
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    Path("lm.toml").write_text("[lm]\nepochs = 100000\nhidden = 17\n")
    monkeypatch.setenv("NLPSEQ_TIME_BUDGET", "0.1s")
    done = run_cli("train-lm", "story.txt", "--config", "lm.toml", "--dim", "12", "-o", "b.lm")
    assert done.exit_code == 0, done.stderr
    config = json.loads(Path("b.lm/meta.json").read_text())["config"]
    assert (config["time_budget"], config["epochs"], config["hidden"]) == (0.1, None, 17)


def test_budget_below_an_epoch_gives_a_warning(run_cli, here):
    Path("story.txt").write_text(Path("story.txt").read_text() * 60)
    done = run_cli("train-lm", "story.txt", *NETWORK, "--time-budget", "0.05s", "-q")
    assert re.search(r"budget ended after \d+\.\d% of the text. Use --time-budget \d+s or more", done.stderr)


def test_perplexity_above_vocabulary_gives_a_warning(run_cli, here):
    Path("often.txt").write_text("the cat sees\n" * 900 + "w x y z\n" * 3)
    Path("rare.txt").write_text("z y x w\n" * 30)
    settings = [*NETWORK, "--epochs", "3", "--learning-rate", "0.02", "--valid", "rare.txt"]
    done = run_cli("train-lm", "often.txt", *settings, "-q")
    assert "the validation perplexity is above 9, the perplexity of a uniform guess" in done.stderr


def test_train_lm_refuses_vocabulary_of_one_word(run_cli, here):
    Path("ja.txt").write_text("私は学生です\n" * 300)
    done = run_cli("train-lm", "ja.txt", *FAST)
    assert done.exit_code == 4 and "ja.txt: the vocabulary has 1 word" in done.stderr
    assert "For text without spaces between words use --tokenizer char." in done.stderr


def test_messages_name_the_text_not_the_cache(run_cli, here):
    for arguments in (["--batch-size", "100000"], ["--valid-share", "0"]):
        done = run_cli("train-lm", "story.txt", *NETWORK[:4], *arguments)
        assert done.stderr.splitlines()[-1].startswith("nlpseq: error: story.txt: has "), done.stderr


def test_other_command_names_complete_model_on_resume(run_cli, here):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    done = run_cli("train-w2v", "story.lm", "--resume")
    assert done.exit_code == 2 and "story.lm: holds a language model of a complete training" in done.stderr


def test_lm_preset_sets_sizes_and_flag_wins(run_cli, here):
    done = run_cli("train-lm", "story.txt", "--preset", "tiny", "--dim", "10", "--epochs", "1", "-q")
    assert done.exit_code == 0
    config = json.loads(Path("story.lm/meta.json").read_text())["config"]
    assert (config["hidden"], config["dim"]) == (128, 10)


def test_torch_out_of_memory_exits_6(run_cli, here, monkeypatch):
    def fail(self):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("nlpseq.lm.trainer.Trainer.train_chunk", fail)
    done = run_cli("train-lm", "story.txt", *FAST)
    assert done.exit_code == 6 and "memory ran out" in done.stderr and "--batch-size" in done.stderr


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (
            ["story.txt", "--epochs", "2", "--time-budget", "5s"],
            2,
            "The value must be left out if epochs are set",
        ),
        (["story.txt", "--time-budget", "soon"], 2, "not a duration. Write 90s, 10m or 1h30m"),
        (["story.txt", "--hidden", "0"], 2, "hidden: 0 is not valid. The value must be from 1 to 1,000,000"),
        (["nothing.txt"], 4, "nothing.txt"),
        (["story.txt", "--resume"], 4, "there is no run to continue"),
        (["short.txt"], 4, "short.txt"),
        (["story.txt", "--batch-size", "5000"], 4, "Give more text, or lower --batch-size"),
        (["story.txt", "--device", "toaster"], 3, "device 'toaster': cannot be used"),
        (["story.txt", "--preset", "huge"], 2, "'huge'"),
        (["story.txt", "--valid", "none.txt"], 4, "none.txt: no such file, folder or corpus"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_train_lm_explains_user_errors(run_cli, here, arguments, code, message):
    Path("short.txt").write_text("one two\n")
    done = run_cli("train-lm", *arguments)
    assert done.exit_code == code, done.stderr
    assert message in done.stderr and not done.stdout and not Path("story.lm").exists()


def test_train_lm_checks_memory_first(run_cli, here, monkeypatch):
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: 10_000)
    done = run_cli("train-lm", "story.txt", *FAST)
    assert done.exit_code == 6 and "Lower --hidden, --dim or --max-vocab" in done.stderr
    assert not Path("story.lm").exists()


def test_train_lm_needs_force_to_overwrite(run_cli, here):
    assert run_cli("train-lm", "story.txt", *FAST).exit_code == 0
    done = run_cli("train-lm", "story.txt", *FAST)
    assert done.exit_code == 2 and "story.lm: already exists" in done.stderr
    assert run_cli("train-lm", "story.txt", *FAST, "--force").exit_code == 0


@pytest.mark.parametrize(
    "line",
    [["train-lm", "story.txt"], ["eval-lm", "x.lm"], ["score", "x.lm", "story.txt"], ["generate", "x.lm"]],
)
def test_lm_commands_explain_how_to_install_torch(here, line):
    block = "import sys; sys.modules['torch'] = None; from nlpseq.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", block, *line], capture_output=True, text=True)
    assert done.returncode == 3 and done.stdout == ""
    assert re.search(
        r"language model: needs PyTorch, which is not installed\. .*pip install \"\.\[lm\]\"", done.stderr
    )
    assert "Traceback" not in done.stderr


def test_texts_in_utf_8_are_read_as_such(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "le café était très agréable\n" * 60
    for name, encoding in {"u8": "utf-8", "u16": "utf-16", "l1": "latin-1"}.items():
        Path(f"{name}.txt").write_bytes(text.encode(encoding))
    done = run_cli("train-lm", "l1.txt", "--encoding", "latin-1", "--valid", "u8.txt", *FAST)
    assert "nlpseq: note: u8.txt (utf-8): read in this encoding" in done.stderr
    asked = [
        ("u8.txt",),
        ("u16.txt",),
        ("l1.txt", "--encoding", "latin-1"),
        ("u8.txt", "--encoding", "latin-1"),
    ]
    answers = [run_cli("eval-lm", "l1.lm", *arguments, "--json") for arguments in asked]
    assert [json.loads(each.stdout)["unk"] for each in answers] == [0] * 4
    assert len({each.stdout for each in answers}) == 1
    refused = run_cli("eval-lm", "l1.lm", "l1.txt")
    assert refused.exit_code == 4
    assert "looks like cp1252" in refused.stderr and "The text of l1.lm was in latin-1." in refused.stderr
    assert run_cli("eval-lm", "l1.lm", "--encoding", "latin-1").exit_code == 2
