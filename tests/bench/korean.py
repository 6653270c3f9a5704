"""Compare letters of Hangul, characters and plain words on Korean text: `python tests/bench/run.py korean`.

All train skip-gram on the same tokens of kowiki-sample, so all have the same vocabulary. Scores use only
questions whose words are in this vocabulary; the last columns say how many.
"""

import argparse
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from common import heading, tokenize_once, training_job
from measure import run_job

Figures = dict[str, Any]

CORPUS = "kowiki-sample.txt.xz"
RUNS: dict[str, Figures] = {
    "words": {"tool": "nlpseq", "lengths": None},
    "characters 1:4": {"tool": "nlpseq", "lengths": "1:4"},
    "characters 3:6": {"tool": "nlpseq", "lengths": "3:6"},
    "jamo and characters 1:4": {"tool": "nlpseq", "lengths": "1:4", "units": "jamo"},
    "jamo and characters 3:6": {"tool": "nlpseq", "lengths": "3:6", "units": "jamo"},
    "fastText, characters 1:4": {"tool": "fasttext", "lengths": "1:4"},
    "fastText, characters 3:6": {"tool": "fasttext", "lengths": "3:6"},
}
COLUMNS = ("input", "word pairs", "analogies", "pairs", "questions", "seconds")


def korean(options: argparse.Namespace, folder: Path) -> str:
    job = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder))
    job |= {"work": "subwords", "buckets": options.buckets, "objective": "skipgram"}
    lines = [
        *heading("Korean", f"korean --buckets {options.buckets}", options),
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    for name, settings in RUNS.items():
        runs = [run_one(job | settings | {"seed": seed}, folder) for seed in range(1, options.seeds + 1)]
        print(name, runs, file=sys.stderr, flush=True)
        cells = [name, *(f"{100 * mean(run[score] for run in runs):.1f}" for score in ("pairs", "analogies"))]
        cells += [f"{runs[0]['used pairs']}", f"{runs[0]['used questions']}"]
        cells += [f"{mean(run['train_seconds'] for run in runs):.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def run_one(job: Figures, folder: Path) -> Figures:
    """Train a model, save it, and return its scores."""
    saved = folder / ("korean.bin" if job["tool"] == "fasttext" else "korean.w2v")
    found = run_job(job | {"saved": str(saved)}, folder)
    score = {"work": "score-korean", "tool": "nlpseq", "saved": str(saved), "data": job["data"]}
    return found | run_job(score, folder)
