"""The same text and settings give the same bytes each time, and the same loss."""

from pathlib import Path

import pytest
from commands import Work, learnt, run
from tallies import Tally

from nlpseq.storage import artifact

W2V = ("train-w2v", "corpus.txt", "--dim", "24", "--epochs", "3")
GLOVE = ("train-counts", "corpus.txt", "--method", "glove", "--dim", "8", "--epochs", "3")
LM = ("train-lm", "corpus.txt", "--preset", "tiny", "--hidden", "8", "--dim", "8", "--epochs", "1")
SETTINGS = {"glove": (*GLOVE, "--threads", "2"), "lm": (*LM, "--precision", "fp32", "--threads", "1")}
for objective in ("skipgram", "cbow"):
    SETTINGS[f"{objective}, 1 thread"] = (*W2V, "--objective", objective, "--threads", "1")
    for threads in ("2", "3", "8"):
        settings = ("--objective", objective, "--deterministic", "--threads", threads)
        SETTINGS[f"{objective}, {threads} threads"] = (*W2V, *settings)
TOLD = ("loss", "valid_loss", "predictions")  # of meta.json


@pytest.mark.parametrize(
    ("name", "times"),
    [pytest.param(name, 15, id=name, marks=pytest.mark.trust) for name in SETTINGS],
)
def test_same_settings_give_same_bytes(folder: Path, tally: Tally, name: str, times: int) -> None:
    work, found = Work((*SETTINGS[name], "-o", "out"), "out"), []
    for number in range(times):
        code, err = run(work, folder)
        assert code == 0, err
        meta = artifact.peek_meta(folder / "out")
        found.append((learnt(folder / "out"), [meta.get(name) for name in TOLD]))
        with tally.case(f"{name}, {number}"):
            assert found[-1][0] and found[-1] == found[0]


@pytest.mark.slow
def test_glove_gives_same_bytes_on_any_threads(folder: Path, tally: Tally) -> None:
    found = []
    for threads in (1, 2, 3, 5):
        code, err = run(Work((*GLOVE, "--threads", str(threads), "-o", "out"), "out"), folder)
        assert code == 0, err
        found.append(learnt(folder / "out"))
        with tally.case(f"{threads} threads"):
            assert found[-1] == found[0]
