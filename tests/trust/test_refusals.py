"""Settings and texts that cannot work are refused with a fix, and no existing result is lost."""

import json
import os
import random
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from commands import NLPSEQ
from conftest import RunCli
from support.results import stale_files
from tallies import Tally

import nlpseq as ns
from nlpseq.storage.manifest import MANIFEST

TEXT = "the cat sat on the mat\nthe dog sat on the mat\n" * 40
LM = ("train-lm", "--preset", "tiny", "--hidden", "8", "--dim", "8", "--epochs", "1", "--precision", "fp32")
W2V = ("train-w2v", "--min-count", "1", "--dim", "8", "--epochs", "1")
GLOVE = ("train-counts", "--method", "glove", "--min-count", "1", "--dim", "8", "--epochs", "2")
PPMI = ("train-counts", "--min-count", "1", "--dim", "2", "--subsample", "0")
TRAIN = {"w2v": W2V, "glove": GLOVE, "ppmi": PPMI, "lm": LM}

SMALL = {
    "nothing": "",
    "white space": " \n\t \n\u3000\n",
    "punctuation": "... !!!\n???\n",
    "one word": "word\n",
    "one word again and again": "word " * 50,
    "two words": "one two\n",
    "special words": "<unk> <eos>\n",
}
USABLE = {("glove", "one word again and again"), ("glove", "two words")}  # GloVe needs one counted pair
TOO_FEW = {("ppmi", "two words")}  # words for --dim 2


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def check_exit(result: object, wanted: int) -> None:
    code, err = result.exit_code, result.stderr  # type: ignore[attr-defined]
    assert code == wanted, (code, err)
    assert "internal error" not in err and "Traceback" not in err, err
    assert code == 0 or err.count(". ") >= 1, f"no fix: {err}"


@pytest.mark.parametrize("name", TRAIN)
def test_texts_too_small_for_training_are_refused(
    here: Path, tally: Tally, run_cli: RunCli, name: str
) -> None:
    for what, text in SMALL.items():
        wanted = 0 if (name, what) in USABLE else 2 if (name, what) in TOO_FEW else 4
        (here / "small.txt").write_text(text)
        shutil.rmtree(here / "out", ignore_errors=True)
        with tally.case(f"{name}, {what}"):
            result = run_cli(TRAIN[name][0], "small.txt", *TRAIN[name][1:], "-o", "out", "-q", "--force")
            check_exit(result, wanted)
            assert (here / "out").exists() == (wanted == 0)
            assert not stale_files(here)


def test_diverged_run_keeps_the_old_result(here: Path, tally: Tally, run_cli: RunCli) -> None:
    for name in ("w2v", "glove", "lm"):
        command, *settings = TRAIN[name]
        assert run_cli(command, "text.txt", *settings, "-o", name, "-q").exit_code == 0
        before = {file.name: file.read_bytes() for file in (here / name).iterdir()}
        for rate in ("1e6", "1e30"):
            with tally.case(f"{name}, {rate}"):
                result = run_cli(
                    command, "text.txt", *settings, "--learning-rate", rate, "-o", name, "-q", "--force"
                )
                check_exit(result, 1)
                assert "--learning-rate" in result.stderr, "no hint at the rate"
                assert {file.name: file.read_bytes() for file in (here / name).iterdir()} == before
                assert not stale_files(here)


FAR = [
    (W2V, ("--window", "1000"), 0),
    (GLOVE, ("--window", "1000"), 0),
    (LM, ("--bptt", "100000"), 0),
    (LM, ("--batch-size", "100000"), 4),
    (W2V, ("--max-vocab", "1"), 4),
    (W2V, ("--negatives", "0"), 2),
    (W2V, ("--dim", "0"), 2),
    (W2V, ("--window", "-1"), 2),
    (W2V, ("--learning-rate", "nan"), 2),
    (W2V, ("--learning-rate", "-1"), 2),
    (W2V, ("--epochs", "0"), 2),
    (W2V, ("--threads", "0"), 2),
    (W2V, ("--subsample", "-1"), 2),
    (PPMI, ("--dim", "1000"), 2),
    (LM, ("--epochs", "-1"), 2),
    (LM, ("--valid-share", "1.5"), 2),
    (LM, ("--clip-norm", "-1"), 2),
]


@pytest.mark.parametrize(("command", "more", "wanted"), FAR, ids=[" ".join(more) for _, more, _ in FAR])
def test_extreme_settings_work_or_are_refused(
    here: Path,
    tally: Tally,
    run_cli: RunCli,
    command: tuple[str, ...],
    more: tuple[str, ...],
    wanted: int,
) -> None:
    with tally.case(" ".join((command[0], *more))):
        check_exit(run_cli(command[0], "text.txt", *command[1:], *more, "-o", "out", "-q"), wanted)
        assert not stale_files(here)


def test_results_of_newer_versions_are_refused(here: Path, tally: Tally, run_cli: RunCli) -> None:
    made = {"w2v": W2V, "lm": LM}
    for name, (command, *settings) in made.items():
        assert run_cli(command, "text.txt", *settings, "-o", name, "-q").exit_code == 0
    assert (
        run_cli("preprocess", "text.txt", "--cooccurrence", "--min-count", "1", "-o", "tokens").exit_code == 0
    )
    readers = [
        ("w2v", ("neighbors", "w2v", "the")),
        ("w2v", ("convert", "w2v", "out.vec")),
        ("lm", ("generate", "lm", "--prompt", "the")),
        ("lm", ("score", "lm", "text.txt")),
        ("tokens", ("train-w2v", "tokens", "--dim", "8", "-o", "out")),
        ("tokens/cooccurrence", ("train-counts", "tokens", "--dim", "2", "-o", "out")),
    ]
    for name, command in readers:
        meta = here / name / "meta.json"
        sound = meta.read_text()
        meta.write_text(json.dumps(json.loads(sound) | {"format_version": 99, "nlpseq_version": "77.0"}))
        with tally.case(" ".join(command)):
            result = run_cli(*command)
            check_exit(result, 5)
            assert "99" in result.stderr and "77.0" in result.stderr, result.stderr
        meta.write_text(sound)


def test_text_changed_with_same_size_and_time_is_read(here: Path, tally: Tally, run_cli: RunCli) -> None:
    text = here / "text.txt"
    stat = text.stat()
    commands = [(*W2V, "-o", "out"), (*PPMI, "-o", "out"), (*LM, "-o", "out")]
    for command, *settings in commands:
        text.write_text(TEXT)
        os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert run_cli(command, "text.txt", *settings, "-q", "--force").exit_code == 0
        text.write_text(TEXT.replace("cat", "cow"))
        os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert (text.stat().st_size, text.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        with tally.case(command):
            assert run_cli(command, "text.txt", *settings, "-q", "--force").exit_code == 0
            words = ns.Vocab.load(here / "out" / "vocab.tsv").words
            assert "cow" in words and "cat" not in words


CHANGES = ("cut", "grown", "replaced", "gone")
NUM_LINES = 100_000  # read in more time than passes before the change


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(2, id="fast", marks=pytest.mark.slow),
        pytest.param(40, id="whole", marks=pytest.mark.trust),
    ],
)
def test_text_that_changes_during_reading_is_refused(tmp_path: Path, tally: Tally, times: int) -> None:
    """Or read completely, before or after the change."""
    text, chance, line = tmp_path / "text.txt", random.Random(3), "the cat sat on the mat\n"
    command = [*NLPSEQ, "preprocess", "text.txt", "-o", "out", "-q", "--force", "--threads", "1"]
    for number in range(times):
        text.write_text(line * NUM_LINES)
        change = CHANGES[number % len(CHANGES)]
        with tally.case(f"{change}, {number}"):
            child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
            wait_until_open(text, child)
            time.sleep(chance.uniform(0, 0.2))
            lines = change_text(text, line, change)
            _, err = child.communicate(timeout=60)
            assert child.returncode in (0, 4), (child.returncode, err)
            if child.returncode:
                assert "changed during reading" in err or "cannot be read" in err, err
            else:
                data = ns.TokenDataset.open(tmp_path / "out")
                assert data.num_sentences in (NUM_LINES, lines), "it was read in part"
            assert not stale_files(tmp_path)


def wait_until_open(file: Path, child: subprocess.Popen[str]) -> None:
    """Wait until a process has opened a file."""
    while child.poll() is None:
        for handle in Path(f"/proc/{child.pid}/fd").iterdir():
            with suppress(OSError):
                if handle.readlink() == file:
                    return
        time.sleep(0.002)


def change_text(text: Path, line: str, change: str) -> int:
    """Change the text, and return the new number of lines."""
    if change == "cut":
        os.truncate(text, len(line) * (NUM_LINES // 10))
        return NUM_LINES // 10
    if change == "grown":
        with text.open("a") as file:
            file.write(line * 1000)
        return NUM_LINES + 1000
    text.unlink()
    if change == "replaced":
        text.write_text(line * (NUM_LINES // 2))
    return NUM_LINES // 2


def test_mismatched_vocabularies_are_refused(here: Path, tally: Tally, run_cli: RunCli) -> None:
    (here / "other.txt").write_text(TEXT.replace("cat", "horse"))
    command, *settings = LM
    assert run_cli(command, "text.txt", *settings, "-o", "lm", "-q").exit_code == 0
    assert run_cli("preprocess", "other.txt", "--min-count", "1", "-o", "other.tokens").exit_code == 0
    with tally.case("perplexity of a text encoded with other words"):
        check_exit(run_cli("eval-lm", "lm", "other.tokens"), 5)
    with tally.case("validation on a text encoded with other words"):
        result = run_cli(command, "text.txt", *settings, "--valid", "other.tokens", "-o", "out", "-q")
        check_exit(result, 5)
    with tally.case("a manifest of another result"):
        manifest = here / "lm" / MANIFEST
        manifest.write_text((here / "other.tokens" / MANIFEST).read_text())
        check_exit(run_cli("generate", "lm", "--prompt", "the"), 5)
