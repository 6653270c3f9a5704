"""Measure skip-gram in blocks and work on a cluster: `run.py blocks` and `run.py cluster`."""

import argparse
import random
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

from common import CORPUS, check_tests, heading, tokenize_once, training_job
from measure import run_job
from speed import SCORES

Figures = dict[str, Any]

PARTS = 8
PAIR = {"share_negatives": "pair"}
BLOCKS = PAIR | {"parts": PARTS}
WAYS: dict[str, Figures] = {
    "negatives for each pair": PAIR,
    f"{PARTS} parts": BLOCKS,
    "default, negatives for each window": {},
}
RARELY = 5.0  # seconds; measuring the memory of many processes slows down those that share memory
COPIES = 10  # of the text, for the cost of preprocess
TURNS: dict[str, tuple[int | None, bool]] = {  # workers, and whether word2vec is trained in blocks
    "threads": (None, False),
    "threads, blocks": (None, True),
    "2 workers": (2, True),
    "1 worker": (1, True),
}


def blocks(options: argparse.Namespace, folder: Path) -> str:
    """Compare the scores of blocks with training in the order of the text, by turns."""
    check_tests("tests/word2vec/test_blocks.py", "tests/word2vec/test_block_trainer.py")
    job = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder))
    job |= {"tool": "nlpseq", "objective": "skipgram"}
    runs: dict[str, list[Figures]] = {name: [] for name in WAYS}
    for seed in range(1, options.seeds + 1):
        for name, settings in WAYS.items():
            runs[name].append(run_job(job | {"seed": seed, "settings": job["settings"] | settings}, folder))
            print(name, seed, runs[name][-1], file=sys.stderr, flush=True)
    lines = [
        *heading("Skip-gram in blocks", "blocks", options),
        "| | " + " | ".join(SCORES) + " | mean | against the first | seconds |",
        "|---" * (len(SCORES) + 4) + "|",
    ]
    first = None
    for name, figures in runs.items():
        scores = [100 * mean(each[score] for each in figures) for score in SCORES]
        first = mean(scores) if first is None else first
        cells = [f"{score:.1f}" for score in (*scores, mean(scores))]
        cells += [f"{mean(scores) - first:+.1f}", f"{median(each['train_seconds'] for each in figures):.0f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cluster(options: argparse.Namespace, folder: Path) -> str:
    """Compare a cluster on this machine with threads, by turns, after its workers have loaded nlpseq."""
    check_tests("tests/distributed/test_preprocess.py", "tests/word2vec/test_block_trainer.py")
    text = tokenize_once(Path(options.data) / CORPUS, folder)
    job = training_job(options, text) | {"tool": "nlpseq", "evaluate": False}
    large = repeat_lines(text, COPIES)
    encode = job | {"work": "preprocess", "text": str(large), "saved": str(folder / "text.tokens")}
    works: dict[str, tuple[list[Figures], str]] = {
        f"preprocess, {large.stat().st_size / 1e9:.2f} GB": (
            [
                encode | {"workers": workers}
                for workers, is_blocks in TURNS.values()
                if workers or not is_blocks
            ],
            "prepare_seconds",
        ),
        "skip-gram": (
            [
                job
                | {"work": "train", "objective": "skipgram", "workers": workers}
                | {"settings": job["settings"] | (BLOCKS if is_blocks else PAIR)}
                for workers, is_blocks in TURNS.values()
            ],
            "train_seconds",
        ),
    }
    lines = [
        *heading("Work on a cluster of this machine", "cluster", options),
        "| | " + " | ".join(TURNS) + " | 2 workers / threads | 1 worker / 2 workers |",
        "|---" * (len(TURNS) + 3) + "|",
    ]
    for name, (turns, figure) in works.items():
        seconds: list[list[float]] = []
        for seed in range(1, options.seeds + 1):
            seconds.append([run_job(turn | {"seed": seed}, folder, RARELY)[figure] for turn in turns])
            print(name, seconds[-1], file=sys.stderr, flush=True)
        cells = [f"{median(side):.1f} s" for side in zip(*seconds, strict=True)]
        cells[1:1] = [""] * (len(TURNS) - len(cells))  # text to ids has no blocks
        cells.append(f"{median(each[-2] / each[0] for each in seconds):.2f}")
        cells.append(f"{median(each[-1] / each[-2] for each in seconds):.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def repeat_lines(text: Path, copies: int) -> Path:
    """Write the lines of a text several times, in random order."""
    lines = text.read_text("utf-8").splitlines(keepends=True) * copies
    random.Random(1).shuffle(lines)
    repeated = text.with_name(f"{copies}-times.txt")
    with repeated.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    return repeated
