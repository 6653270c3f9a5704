"""Compare training with character n-grams to gensim and fastText: `python tests/bench/run.py subwords`.

All three train on the same tokens, with n-grams of 3 to 6 characters in the same number of buckets, each with
the default learning rate of the tool. The tools run by turns, each in a new process. Seconds are the time of
training; fastText does not report the time, so its seconds, and the seconds of nlpseq beside them, include
the pass over the vocabulary. nlpseq evaluates the saved models of all.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Any

from common import CORPUS, check_tests, heading, tokenize_once, training_job
from measure import run_job

Figures = dict[str, Any]

OBJECTIVES = ("skipgram", "cbow")
TOOLS = ("gensim", "fasttext", "nlpseq")
ENDINGS = {"gensim": "bin", "fasttext": "bin", "nlpseq": "w2v"}
BUCKETS = 200_000
COLUMNS = ("objective", "tool", "raw words/s", "times", "rare words", "oov", "wordsim", "simlex", "analogies")
SCORES = ("rare words", "wordsim", "simlex", "analogies")


def subwords(options: argparse.Namespace, folder: Path) -> str:
    check_tests("tests/word2vec/test_subwords.py", "tests/vectors/test_subwords.py")
    job = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder))
    job |= {"work": "subwords", "buckets": options.buckets, "lengths": "3:6"}
    lines = [
        *heading("Character n-grams", f"subwords --buckets {options.buckets}", options),
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    for objective in options.objectives:
        runs: dict[str, list[Figures]] = {tool: [] for tool in TOOLS}
        for seed in range(1, options.seeds + 1):
            for tool in TOOLS:
                runs[tool].append(run_one(job | {"tool": tool, "objective": objective, "seed": seed}, folder))
                print(objective, tool, runs[tool][-1], file=sys.stderr, flush=True)
        lines += [f"| {objective} | {line(tool, runs)} |" for tool in TOOLS]
    return "\n".join(lines)


def run_one(job: Figures, folder: Path) -> Figures:
    """Train a model, save it, and return its figures with its scores."""
    saved = folder / f"{job['tool']}.{ENDINGS[job['tool']]}"
    job, cache = job | {"saved": str(saved)}, Path(tempfile.mkdtemp(dir=folder))
    encoded = run_job(job | {"work": "encode"}, cache) if job["tool"] == "nlpseq" else {}
    found = encoded | run_job(job, cache)
    score = {"work": "score", "tool": "nlpseq", "saved": str(saved), "data": job["data"]}
    return run_job(score, folder) | found


def line(tool: str, runs: dict[str, list[Figures]]) -> str:
    """Return the cells of a tool: speed, the median of the ratios of each turn, mean scores."""
    whole = tool == "fasttext"  # its seconds include the vocabulary
    ratios = [
        seconds(theirs) / seconds(ours, whole=whole)
        for theirs, ours in zip(runs[tool], runs["nlpseq"], strict=True)
    ]
    speeds = [run["words"] / run["train_seconds"] for run in runs[tool]]
    scores = [f"{100 * mean(run[name] for run in runs[tool]):.1f}" for name in SCORES]
    oov = f"{mean(run['oov'] for run in runs[tool]):.0f}"
    ratio = "" if tool == "nlpseq" else f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return " | ".join([tool, f"{median(speeds):,.0f}", ratio, scores[0], oov, *scores[1:]])


def seconds(run: Figures, *, whole: bool = False) -> float:
    return float(run["train_seconds"] + (run["prepare_seconds"] if whole else 0))
