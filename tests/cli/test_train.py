"""preprocess and train-w2v: files, messages, progress and signals."""

import itertools
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from support.results import stale_files
from support.texts import random_corpus

from nlpseq.config import WORD2VEC_PRESETS
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.storage.locks import PREFIX
from nlpseq.tokenizers.bpe import train_bpe
from nlpseq.vectors.vectors import Vectors

NLPSEQ = [sys.executable, "-m", "nlpseq"]
QUICK = ("--epochs", "1", "--threads", "1")
OFTEN = ("--checkpoint-every", "0.05s")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write corpus.txt with 20,000 tokens of 50 types into the current folder."""
    random_corpus(tmp_path, num_types=50, num_lines=2000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_w2v_names_result_after_corpus(run_cli, folder):
    result = run_cli("train-w2v", "corpus.txt", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "corpus.w2v\n"
    vectors = Vectors.load("corpus.w2v")
    assert vectors.matrix.shape == (50, 100)
    assert vectors.meta["config"]["seed"] == 1
    for said in (
        "reading corpus.txt (140.0 kB)",
        "corpus: corpus.txt: 2,000 sentences, 20,000 tokens; 10.0 tokens a sentence",
        "vocabulary: 50 words; 50 types in the text, 0.00% of the text <unk>",
        "scripts: Latin 100.0%",
        "50 words x 100, 2 matrices: 40.0 kB; epochs: 1 of 20,000 words; threads: 1; seed: 1",
        "backend numpy, kernel fused",
        "loss ",
        "next: nlpseq neighbors corpus.w2v word",
    ):
        assert said in result.stderr


SMALL = ("--dim", "16", "--window", "2", "--negatives", "3")


def test_train_w2v_says_buckets_of_subwords(run_cli, folder):
    default = run_cli("train-w2v", "corpus.txt", "--subwords", "3:4", *SMALL, *QUICK)
    assert default.exit_code == 0, default.stderr
    buckets = len(Vectors.load("corpus.w2v").subwords.rows_BD)
    assert f"n-grams of 3:4 characters in {buckets} buckets (default: distinct n-grams, at" in default.stderr
    assert "50 words x 16, 3 matrices: " in default.stderr
    chosen = run_cli(
        "train-w2v", "corpus.txt", "--subwords", "3:4", "--buckets", "9", *SMALL, *QUICK, "--force"
    )
    assert "n-grams of 3:4 characters in 9 buckets\n" in chosen.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--subwords", "6:3"), "is not valid. The value must be"),
        (("--buckets", "9"), "--buckets: has no effect without subwords. Add --subwords"),
        (("--subword-units", "jamo"), "--subword-units: has no effect without subwords. Add --subwords"),
    ],
    ids=str,
)
def test_train_w2v_refuses_useless_subwords(run_cli, folder, options, said):
    result = run_cli("train-w2v", "corpus.txt", *options)
    assert result.exit_code == 2 and said in result.stderr
    assert not Path("corpus.w2v").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cbow-update", "corrected"], "--cbow-update: has no effect without --objective cbow"),
        (["--share-negatives", "pair", "--objective", "cbow"], "has no effect without --objective skipgram"),
        (
            ["--negatives", "20", "--loss", "softmax"],
            "--negatives: has no effect without --loss negative-sampling",
        ),
        (
            ["--share-negatives", "pair", "--subwords", "3:6"],
            "--share-negatives: has no effect with --subwords",
        ),
        (["--phrase-threshold", "10"], "--phrase-threshold: has no effect without --phrases"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_train_w2v_refuses_settings_without_effect(run_cli, folder, options, said):
    result = run_cli("train-w2v", "corpus.txt", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path("corpus.w2v").exists()


def test_same_command_gives_same_bytes_and_needs_force(run_cli, folder):
    first = run_cli("train-w2v", "corpus.txt", *QUICK, "--seed", "7")
    before = Path("corpus.w2v/vectors.npy").read_bytes()
    again = run_cli("train-w2v", "corpus.txt", *QUICK, "--seed", "7")
    assert (first.exit_code, again.exit_code) == (0, 2)
    assert "corpus.w2v: already exists. Use --force" in again.stderr
    assert "reading" not in again.stderr, "said before the work, not after it"
    assert run_cli("train-w2v", "corpus.txt", *QUICK, "--seed", "7", "--force").exit_code == 0
    assert Path("corpus.w2v/vectors.npy").read_bytes() == before
    assert Vectors.load("corpus.w2v").meta["config"]["seed"] == 7


def test_early_stop_makes_valid_split(run_cli, folder):
    done = run_cli("train-w2v", "corpus.txt", "--early-stop", "--epochs", 6, "--threads", 1)
    assert done.exit_code == 0, done.stderr
    meta = Vectors.load("corpus.w2v").meta
    assert meta["text_config"]["valid_share"] == 0.05 and len(meta["valid_loss"]) == meta["epochs"]
    best = meta["best_epoch"]
    assert f"validation loss {min(meta['valid_loss']):.4f} in epoch {best + 1}, the lowest" in done.stderr
    assert run_cli("preprocess", "corpus.txt").exit_code == 0
    without = run_cli("train-w2v", "corpus.tokens", "--early-stop", "-o", "b.w2v")
    assert without.exit_code == 4 and "has no valid split" in without.stderr


def test_preprocess_then_train(run_cli, folder):
    done = run_cli("preprocess", "corpus.txt", "--min-count", "2", "--lower")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "corpus.tokens\n"
    assert "next: nlpseq train-w2v corpus.tokens" in done.stderr
    assert TokenDataset.open("corpus.tokens").config.min_count == 2
    trained = run_cli("train-w2v", "corpus.tokens", *QUICK)
    assert trained.stdout == "corpus.w2v\n"
    assert "reading" not in trained.stderr


def test_text_settings_must_match_encoded_corpus(run_cli, folder):
    run_cli("preprocess", "corpus.txt")
    wrong = run_cli("train-w2v", "corpus.tokens", *QUICK, "--min-count", "3")
    assert wrong.exit_code == 2
    assert "corpus.tokens: encoded with min_count 5, not 3. Leave out --min-count" in wrong.stderr
    assert run_cli("train-w2v", "corpus.tokens", *QUICK, "--min-count", "5").exit_code == 0


def test_refusal_names_the_recognized_column(run_cli, folder):
    Path("records.csv").write_text("number,body\n" + "1,the king and the queen\n" * 200)
    assert run_cli("preprocess", "records.csv").exit_code == 0
    wrong = run_cli("train-w2v", "records.tokens", *QUICK, "--column", "title")
    assert wrong.exit_code == 2
    assert "records.tokens: encoded with column body, not title. Leave out --column" in wrong.stderr
    assert run_cli("train-w2v", "records.tokens", *QUICK, "--column", "body").exit_code == 0


def test_preprocess_warns_of_subsampling_for_counts_alone(run_cli, folder):
    Path("few.txt").write_text("the king and the queen\n" * 300)
    plain = run_cli("preprocess", "few.txt", "--force")
    assert "--subsample" not in plain.stderr
    counted = run_cli("preprocess", "few.txt", "--cooccurrence", "--force")
    assert re.search(
        r"--subsample 0\.0001 keeps about \d+ of 1,500 tokens for --cooccurrence\.", counted.stderr
    )


def test_preprocess_counts_cooccurrences(run_cli, folder):
    options = ("--cooccurrence", "--window", "3", "--side", "right", "--weighting", "harmonic")
    result = run_cli("preprocess", "corpus.txt", *options, "-o", "new/counted.tokens")
    assert result.exit_code == 0, result.stderr
    assert "pairs of neighbors in new/counted.tokens/cooccurrence" in result.stderr
    counts = import_module("nlpseq.counts.cooccurrence").Cooccurrence.load("new/counted.tokens/cooccurrence")
    assert (counts.config.window, counts.config.side, counts.config.weighting) == (3, "right", "harmonic")
    TokenDataset.open("new/counted.tokens")


def test_preprocess_refuses_encoded_corpus(run_cli, folder):
    run_cli("preprocess", "corpus.txt")
    result = run_cli("preprocess", "corpus.tokens", "-o", "twice.tokens")
    assert result.exit_code == 2
    assert "corpus.tokens: already encoded" in result.stderr


def test_encoded_corpus_is_not_read_as_text(run_cli, folder):
    run_cli("preprocess", "corpus.txt")
    result = run_cli("train-w2v", "corpus.txt", "corpus.tokens")
    assert result.exit_code == 2
    assert "corpus.tokens: an encoded corpus can only be used alone" in result.stderr
    run_cli("train-w2v", "corpus.tokens", *QUICK)
    vectors = run_cli("train-w2v", "corpus.w2v", "-o", "other.w2v")
    assert vectors.exit_code == 2
    assert "corpus.w2v: holds word vectors, not a corpus" in vectors.stderr
    assert "corpus.w2v: holds word vectors, not a corpus" in run_cli("preprocess", "corpus.w2v").stderr


def test_train_w2v_never_overwrites_its_corpus(run_cli, folder):
    run_cli("preprocess", "corpus.txt")
    result = run_cli("train-w2v", "corpus.tokens", "-o", "corpus.tokens", "--force")
    assert result.exit_code == 2
    assert "corpus.tokens: is an input of this command" in result.stderr
    TokenDataset.open("corpus.tokens")


def test_corrupt_encoded_corpus_is_not_read_as_text(run_cli, folder):
    run_cli("preprocess", "corpus.txt")
    Path("corpus.tokens/MANIFEST.json").unlink()
    result = run_cli("train-w2v", "corpus.tokens", *QUICK)
    assert result.exit_code == 5
    assert "MANIFEST.json: is missing" in result.stderr


def test_output_name_drops_folder_and_suffixes(run_cli, folder):
    elsewhere = folder / "else where"
    elsewhere.mkdir()
    (folder / "corpus.txt").rename(elsewhere / "news.2024.txt")
    assert run_cli("preprocess", elsewhere / "news.2024.txt").stdout == "news.tokens\n"
    assert run_cli("preprocess", "-", input="a b c " * 9).stdout == "stdin.tokens\n"


def test_preprocess_warns_of_invalid_bytes(run_cli, folder):
    Path("bad.txt").write_bytes(b"good \xff good " * 9)
    result = run_cli("preprocess", "bad.txt")
    assert result.exit_code == 0
    assert re.search(r"^nlpseq: warning: .*bad\.txt.*: 9 invalid bytes", result.stderr, re.MULTILINE)
    strict = run_cli("preprocess", "bad.txt", "--encoding-errors", "strict", "--force")
    assert strict.exit_code == 4
    assert "byte 5 is invalid" in strict.stderr


def test_words_never_trained_give_a_warning(run_cli, folder):
    Path("lone.txt").write_text("alpha beta gamma\nlonely\n" * 400)
    done = run_cli("train-w2v", "lone.txt", "--dim", 8, "--epochs", 1, "--subsample", 0, "-q")
    assert "1 of 4 words got a vector of zeros, because training had no pair" in done.stderr
    assert "repeat another. Remove the copies" in done.stderr
    asked = run_cli("neighbors", "lone.w2v", "lonely")
    assert asked.exit_code == 4 and "'lonely': its vector is zero, because training found" in asked.stderr
    assert "lonely" not in run_cli("neighbors", "lone.w2v", "alpha").stdout
    rare = run_cli("train-w2v", "corpus.txt", *QUICK, "--subsample", "1e-7")
    vectors = Vectors.load("corpus.w2v")
    untrained = vectors.vocab.words[vectors.zero_ids[0]]
    asked = run_cli("neighbors", "corpus.w2v", untrained)
    assert "Use `nlpseq train-w2v --subsample 0` (it is 1e-07), more text, or longer" in asked.stderr
    assert "--subsample 1e-07 keeps about" in rare.stderr
    assert re.search(r"\d+ of 50 words got a vector of zeros, .* --subsample 0 \(it is 1e-07\)", rare.stderr)


def test_quiet_and_verbose_set_message_level(run_cli, folder):
    quiet = run_cli("train-w2v", "corpus.txt", *QUICK, "-q")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "corpus.w2v\n", "")
    verbose = run_cli("train-w2v", "corpus.txt", *QUICK, "-v", "--force")
    assert "Word2VecConfig(objective='skipgram'" in verbose.stderr


def test_train_w2v_checks_memory_first(run_cli, folder, monkeypatch):
    """Count two matrices of float32, stored, and trained in rows padded to 16."""
    needed = 2 * 4 * 50 * (100 + 112)
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: needed - 1)
    result = run_cli("train-w2v", "corpus.txt", *QUICK)
    assert result.exit_code == 6
    assert re.search(r"training needs [\d.]+ kB of memory and [\d.]+ kB are available", result.stderr)
    assert not Path("corpus.w2v").exists()
    monkeypatch.setattr("nlpseq.core.resources.available_memory", lambda: needed)
    assert run_cli("train-w2v", "corpus.txt", *QUICK).exit_code == 0


def test_train_w2v_checks_kernel_first(run_cli, folder):
    result = run_cli("train-w2v", "corpus.txt", "--loss", "softmax", "--kernel", "fused")
    assert result.exit_code == 2
    assert "no softmax loss" in result.stderr
    assert "reading" not in result.stderr


def test_progress_without_terminal_is_plain_lines(run_cli, folder, monkeypatch):
    hours = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: 3600.0 * next(hours))
    encoded = run_cli("preprocess", "corpus.txt").stderr
    assert any(line.startswith("encoding: 100%, 20,000 tokens, ") for line in encoded.splitlines())
    err = run_cli("train-w2v", "corpus.txt", *QUICK).stderr
    training = [line for line in err.splitlines() if line.startswith("training: ")]
    assert training[-1].startswith("training: 100%, loss ")
    assert "learning rate " in training[-1]
    assert "words/s, 00:00 left" in training[-1]


@pytest.mark.slow
def test_messages_in_file_have_no_control_characters(folder):
    done = subprocess.run([*NLPSEQ, "train-w2v", "corpus.txt", *QUICK], capture_output=True)
    assert done.returncode == 0
    assert done.stdout == b"corpus.w2v\n"
    assert b"trained in" in done.stderr
    assert b"\r" not in done.stderr
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize("term", ["xterm", pytest.param("dumb", marks=pytest.mark.slow)])
def test_progress_bar_needs_capable_terminal(folder, term):
    master, slave = pty.openpty()
    command = [*NLPSEQ, "train-w2v", "corpus.txt", "--epochs", "150", "--threads", "1"]
    env = os.environ | {"TERM": term, "NO_COLOR": "1", "COLUMNS": "150"}
    child = subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=env)
    os.close(slave)
    shown = read_terminal(master).replace("\r\n", "\n")
    out, _ = child.communicate(timeout=120)
    assert (child.returncode, out) == (0, b"corpus.w2v\n")
    assert ("\rtraining: " in shown) == (term == "xterm")
    assert ("words/s, loss" in shown and ", learning rate" in shown and " left" in shown) == (term == "xterm")
    assert ("\r" in shown) == (term == "xterm")
    assert "\x1b[3" not in shown, "no color"


def read_terminal(master):
    """Return everything shown on a terminal."""
    shown = b""
    with suppress(OSError):  # because Linux raises it at the end
        while select.select([master], [], [], 120)[0]:
            shown += os.read(master, 4096)
    os.close(master)
    return shown.decode()


def started_training():
    """Start `nlpseq train-w2v corpus.txt` for days, and return after the first checkpoint."""
    child = subprocess.Popen(
        [*NLPSEQ, "train-w2v", "corpus.txt", "--epochs", "100000000", "--threads", "2", *OFTEN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # because SIGINT may be ignored
    )
    while not Path("corpus.w2v/checkpoint").exists():
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    return child


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_checkpoint(run_cli, folder, sent, code):
    child = started_training()
    child.send_signal(sent)
    out, err = child.communicate(timeout=120)
    assert child.returncode == code
    assert out == ""
    assert "stopped and saved. Continue with: nlpseq train-w2v corpus.w2v --resume" in err
    assert "Traceback" not in err
    assert stale_files(folder) == []
    asked = run_cli(
        "neighbors", "corpus.w2v/checkpoint", Vectors.load("corpus.w2v/checkpoint").vocab.words[0]
    )
    assert "corpus.w2v/checkpoint: is the checkpoint of an unfinished run." in asked.stderr
    assert len(asked.stdout.splitlines()) > 1


def test_second_signal_keeps_last_checkpoint(folder):
    child = started_training()
    os.kill(child.pid, signal.SIGSTOP)  # to deliver both signals together
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    os.kill(child.pid, signal.SIGCONT)
    _, err = child.communicate(timeout=120)
    assert child.returncode in (130, 143)
    assert "Traceback" not in err
    assert not Vectors.load("corpus.w2v/checkpoint").meta["complete"]
    assert stale_files(folder) == []


def is_writing(folder):
    """Tell if a result is begun; an empty directory, which is soon gone, tries the rights of the folder."""
    with suppress(FileNotFoundError):
        return any(folder.glob(f"{PREFIX}tmp-*/*"))
    return False


def test_signal_during_encoding_leaves_no_files(folder):
    command = [*NLPSEQ, "preprocess", "-"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stderr is not None
    assert child.stderr.readline() == b"reading stdin\n"
    while not is_writing(folder):
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    child.wait(timeout=120)  # while stdin is open
    _, err = child.communicate()
    assert child.returncode == 143, err
    assert b"encoding stopped" in err
    assert stale_files(folder) == []
    assert not Path("stdin.tokens").exists()


def test_meta_holds_training_figures(run_cli, folder):
    run_cli("train-w2v", "corpus.txt", *QUICK)
    meta = json.loads(Path("corpus.w2v/meta.json").read_text())
    assert len(meta["loss"]) == 1
    assert {"backend", "kernel", "threads", "seconds", "words_per_second"} <= set(meta)


def examples(words, left_out=(), counts=None):
    """Return the example words of a vocabulary, by default in order of count."""
    counts = range(len(words), 0, -1) if counts is None else counts
    return import_module("nlpseq.cli._training").example_words(Vocab(words, np.array(counts)), left_out)


def test_example_words_skip_most_frequent_words():
    words = [f"{number}" if number % 10 else f"w{'x' * (number // 10)}" for number in range(1000)]
    chosen = [words[100], words[200], words[400], words[800]]
    assert examples(words) == chosen
    assert examples(words[::-1], counts=range(1000)) == chosen
    assert examples(words, {100})[0] == words[110]


def test_example_words_have_several_letters():
    assert examples(["a", "the", "of", "ª", "king"]) == ["king"]
    assert examples(["은", "는", "왕", "임금"]) == ["임금"]
    assert examples(["a", "b", "c"]) == ["b"] and examples(["1", "2"]) == ["2"]


def test_example_words_of_bpe_begin_words():
    entries = ["ª", "ing", "ation", "Ġof", "Ġking", "Ġìĸ´", "Ġqueen"]
    vocab = Vocab(entries, np.array([1, 9, 8, 7, 3, 6, 2]))
    vocab.bpe = train_bpe(b"", np.zeros(0, np.int64), 0)
    assert import_module("nlpseq.cli._training").example_words(vocab) == ["king"]


class AtOnce(threading.Timer):
    """A timer that does not wait."""

    def start(self):
        self.function(*self.args, **self.kwargs)


def test_cached_kernels_are_not_said_to_compile(run_cli, folder, monkeypatch):
    monkeypatch.setattr("threading.Timer", AtOnce)
    run_cli("train-w2v", "corpus.txt", *QUICK)
    again = run_cli("train-w2v", "corpus.txt", *QUICK, "--force")
    assert "starting (the first run with these settings compiles kernels)" in again.stderr
    assert not re.search("^compiling", again.stderr, re.MULTILINE)


def test_next_command_quotes_no_letters(run_cli, folder):
    Path("corpus.txt").write_text("대학교 학생 선생님 교실 운동장\n" * 50)
    done = run_cli("train-w2v", "corpus.txt", *QUICK, "-o", "한글.w2v")
    assert re.search(r"^next: nlpseq neighbors 한글\.w2v [가-힣]+$", done.stderr, re.MULTILINE), done.stderr


def test_preset_sets_defaults_and_flag_wins(run_cli, folder):
    done = run_cli("train-w2v", "corpus.txt", "--preset", "quality", "--dim", "10", *QUICK)
    assert done.exit_code == 0, done.stderr
    config = json.loads(Path("corpus.w2v/meta.json").read_text())["config"]
    wanted = WORD2VEC_PRESETS["quality"] | {"dim": 10, "epochs": 1}
    assert {name: config[name] for name in wanted} == wanted


def test_early_stop_refuses_valid_share_0(run_cli, folder):
    done = run_cli("train-w2v", "corpus.txt", "--early-stop", "--valid-share", "0", *QUICK)
    assert (
        done.exit_code == 2 and "--early-stop: needs a valid split. Leave out --valid-share 0." in done.stderr
    )
    assert run_cli("train-w2v", "corpus.txt", "--early-stop", *QUICK).exit_code == 0


def test_commands_to_copy_quote_odd_names(run_cli, folder):
    names = {
        "-x.tokens": "./-x.tokens",
        "a b.tokens": "'a b.tokens'",
        "말뭉치-ñ.tokens": "말뭉치-ñ.tokens",
        "ข้อ;ความ.tokens": "'ข้อ;ความ.tokens'",
        "ข้อความ.tokens": "ข้อความ.tokens",
        os.fsdecode(b"\xff'.tokens"): r"$'\xff\x27.tokens'",
    }
    for name, quoted in names.items():
        done = run_cli("preprocess", "corpus.txt", "-o", name)
        assert done.stderr.splitlines()[-1] == f"next: nlpseq train-w2v {quoted}"
        typed = f"test -e {quoted}"
        assert subprocess.run(["bash", "-c", typed], cwd=folder).returncode == 0


def test_file_with_a_dash_is_not_an_option(run_cli, folder):
    Path("corpus.txt").rename("-dash.txt")
    result = run_cli("preprocess", "-dash.txt")
    assert result.exit_code == 2
    assert result.stderr.endswith("-d: no such option. Try ./-dash.txt for the file -dash.txt.\n")
