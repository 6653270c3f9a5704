"""How fast each part is beside what else does it: `python tests/bench/run.py speed`, all rows or one (--row).

Both sides of a row run in turn, each in a process of its own and ours with a fresh cache; the ratio is the
median over the repeats. Kernels are compiled before the clock runs, except where a whole command is timed.
"""

import argparse
import lzma
import sys
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from common import CORPUS, PLAIN, check_tests, heading, tokenize_once, training_job
from measure import run_command, run_job

Figures = dict[str, Any]


class Row(NamedTuple):
    """One piece of work, by us and by another, and how much less of `figure` we need."""

    tests: str  # what has to be green first
    ours: Figures
    theirs: Figures
    figure: str
    must: float
    aim: float


TRAINING = {"work": "train", "evaluate": True}
PAIRS = {"settings": {"share_negatives": "pair"}}
COUNT = {"work": "count", "text_config": PLAIN | {"min_count": 10}}
WHOLE = {"work": "whole", "objective": "skipgram"}
ROWS = {
    "skip-gram": Row(
        "kernels",
        TRAINING | {"objective": "skipgram"},
        TRAINING | {"objective": "skipgram"},
        "train_seconds",
        7,
        10,
    ),
    "skip-gram, negatives for each pair": Row(
        "kernels",
        TRAINING | {"objective": "skipgram"} | PAIRS,
        TRAINING | {"objective": "skipgram"},
        "train_seconds",
        1.5,
        2.5,
    ),
    "CBOW": Row(
        "kernels", TRAINING | {"objective": "cbow"}, TRAINING | {"objective": "cbow"}, "train_seconds", 2.7, 4
    ),
    "white-space text to ids on disk": Row(
        "encode", {"work": "encode"}, {"work": "vocabulary"}, "prepare_seconds", 4, 10
    ),
    "raw text to ids on disk": Row(
        "encode",
        {"work": "encode", "source": "raw", "text_config": {}},
        {"work": "encode"},
        "prepare_seconds",
        3,
        6,
    ),
    "raw text to saved vectors, from tokens by gensim": Row("kernels", WHOLE, WHOLE, "seconds", 5, 8),
    "peak memory of that": Row("kernels", WHOLE, WHOLE, "peak_mb", 1, 1 / 0.7),
    "counting pairs": Row("cooccurrence", COUNT, COUNT, "count_seconds", 3, 10),
    "1,000 neighbours, one by one": Row(
        "vectors", {"work": "queries"}, {"work": "queries"}, "query_seconds", 2, 5
    ),
}
COLUMNS = ("", "the other", "nlpseq", "times", "from", "to", "must", "aim", "quality")


def speed(options: argparse.Namespace, folder: Path) -> str:
    rows = {name: row for name, row in ROWS.items() if options.row in (None, name)}
    check_tests(*{f"tests/test_{row.tests}.py" for row in rows.values()})
    corpus, raw = Path(options.data) / CORPUS, folder / "raw.txt"
    raw.write_bytes(lzma.decompress(corpus.read_bytes()))
    common = training_job(options, tokenize_once(corpus, folder)) | {"raw": str(raw), "mode": options.mode}
    lines = [*heading("Speed", "speed", options), table_row(COLUMNS), "|---" * len(COLUMNS) + "|"]
    seeds, measured = range(1, options.seeds + 1), dict[str, list[tuple[Figures, Figures]]]()
    for name, row in rows.items():
        work = repr((row.ours, row.theirs))  # rows may look at different figures of it
        if work not in measured:
            measured[work] = [measure(row, common | {"seed": seed}, folder) for seed in seeds]
        lines.append(format_row(name, row, measured[work]))
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def measure(row: Row, common: Figures, folder: Path) -> tuple[Figures, Figures]:
    """What the other needs, which has no cache to be fresh, and what we need."""
    return run_job(common | row.theirs | {"tool": "other"}, folder), run_ours(common | row.ours, folder)


def run_ours(job: Figures, folder: Path) -> Figures:
    """With a fresh cache; what is trained or counted on is encoded before, in a process of its own."""
    cache = Path(tempfile.mkdtemp(dir=folder))
    if job["work"] == "whole":
        command = [str(Path(sys.executable).with_name("nlpseq")), "train-w2v", job["raw"], "-q"]
        command += ["--epochs", str(job["epochs"]), "--threads", str(job["threads"])]
        run_command([*command, "-o", str(cache / "whole.w2v")], cache, figures := {})
        return figures
    job = job | {"tool": "nlpseq", "settings": {"epochs": job["epochs"]} | job["settings"]}
    if job["work"] in ("train", "count"):
        run_job(job | {"work": "encode"}, cache)
    return run_job(job, cache)


def format_row(name: str, row: Row, pairs: list[tuple[Figures, Figures]]) -> str:
    values = [(theirs[row.figure], ours[row.figure]) for theirs, ours in pairs]
    ratios = [theirs / ours for theirs, ours in values]
    sides = [f"{median(side):.3g}" for side in zip(*values, strict=True)]
    figures = [f"{value:.2f}" for value in (median(ratios), min(ratios), max(ratios), row.must, row.aim)]
    return table_row([name, *sides, *figures, quality(pairs)])


def quality(pairs: list[tuple[Figures, Figures]]) -> str:
    """How much better our vectors are, in points of the mean of the three scores."""
    scores = ("wordsim", "simlex", "analogies")
    if scores[0] not in pairs[0][0]:
        return ""
    return f"{100 * mean(ours[name] - theirs[name] for theirs, ours in pairs for name in scores):+.2f}"


def table_row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
