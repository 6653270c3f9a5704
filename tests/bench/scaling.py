"""Measure cost against threads and text: `run.py scaling`, `deterministic` and `growth`."""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import CORPUS, check_tests, heading, run_fresh, tokenize_once, training_job
from measure import run_job
from speed import SCORES, quality, scores_of

Figures = dict[str, Any]
WORKS: dict[str, tuple[Figures, str]] = {  # job, and the figure to compare
    "text to ids": ({"work": "encode"}, "prepare_seconds"),
    "skip-gram": ({"work": "train", "objective": "skipgram"}, "train_seconds"),
    "skip-gram, negatives for each pair": (
        {"work": "train", "objective": "skipgram", "settings": {"epochs": 1, "share_negatives": "pair"}},
        "train_seconds",
    ),
    "CBOW": ({"work": "train", "objective": "cbow"}, "train_seconds"),
    "counting pairs": ({"work": "count"}, "count_seconds"),
}
ONE_EPOCH: Figures = {"settings": {"epochs": 1}, "evaluate": False, "tool": "nlpseq"}
MILLIONS = (1, 4, 17)  # words
TESTS = (
    "tests/word2vec/test_kernels.py",
    "tests/dataset/test_encode.py",
    "tests/counts/test_cooccurrence.py",
)


def scaling(options: argparse.Namespace, folder: Path) -> str:
    """Compare one thread on one core with several, by turns; efficiency is speedup / threads."""
    check_tests(*TESTS)
    common = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder)) | ONE_EPOCH
    lines = [
        *heading("Threads", "scaling", options),
        f"| one epoch | 1 thread | {options.threads} threads | times | efficiency |",
        "|---|---|---|---|---|",
    ]
    for name, (work, figure) in WORKS.items():
        pairs = []
        for seed in range(1, options.seeds + 1):
            jobs = [common | work | {"seed": seed, "threads": n, "cores": n} for n in (1, options.threads)]
            pairs.append([run_fresh(job, folder)[figure] for job in jobs])
        alone, together = (median(side) for side in zip(*pairs, strict=True))
        times = median(one / many for one, many in pairs)
        cells = f"{alone:.1f} s | {together:.1f} s | {times:.2f} | {times / options.threads:.0%}"
        lines.append(f"| {name} | {cells} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def deterministic(options: argparse.Namespace, folder: Path) -> str:
    """Compare Hogwild and local SGD by turns, with scores of the vectors."""
    check_tests("tests/word2vec/test_kernels.py", "tests/word2vec/test_resume.py")
    common = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder)) | {"tool": "nlpseq"}
    lines = [
        *heading("Hogwild and local SGD", "deterministic", options),
        "| | Hogwild | local SGD | times as long | from | to | " + " | ".join(SCORES) + " | quality |",
        "|---" * (len(SCORES) + 7) + "|",
    ]
    for name, objective in {"skip-gram": "skipgram", "CBOW": "cbow"}.items():
        pairs = []
        for seed in range(1, options.seeds + 1):
            job = common | {"objective": objective, "seed": seed}
            ways = [job | {"settings": job["settings"] | {"deterministic": way}} for way in (False, True)]
            hogwild, local_sgd = (run_fresh(each, folder) for each in ways)
            pairs.append((hogwild, local_sgd))
        seconds = np.array([[figures["train_seconds"] for figures in pair] for pair in pairs])
        times = seconds[:, 1] / seconds[:, 0]
        cells = "{:.1f} s | {:.1f} s | {:.2f} | {:.2f} | {:.2f}".format(
            *np.median(seconds, axis=0), np.median(times), times.min(), times.max()
        )
        scores = " | ".join(f"{free:.1f} and {rounds:.1f}" for free, rounds in scores_of(pairs).values())
        lines.append(f"| {name} | {cells} | {scores} | {quality(pairs)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def growth(options: argparse.Namespace, folder: Path) -> str:
    """Measure seconds and peak memory for the first millions of words, and fit straight lines."""
    check_tests(*TESTS[:2])
    whole = tokenize_once(Path(options.data) / CORPUS, folder)
    common = training_job(options, whole) | ONE_EPOCH | {"objective": "skipgram"}
    lines = [
        *heading("More text", "growth", options),
        "| million words | types | encoding s | MB | an epoch of skip-gram s | MB | matrices MB |",
        "|---" * 7 + "|",
    ]
    rows = []
    for millions in MILLIONS:
        text = first_words(whole, millions * 1_000_000, folder / f"{millions}.txt")
        job = common | {"text": str(text)}
        runs = [grown(job | {"seed": seed}, folder) for seed in range(1, options.seeds + 1)]
        size = [millions, len(set(text.read_text("utf-8").split()))]
        rows.append([*size, *np.median(runs, axis=0)])
        lines.append("| " + " | ".join(f"{value:.3g}" for value in rows[-1]) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    words, types, encoding, encoding_mb, training, training_mb, matrices_mb = np.array(rows).T
    rest_mb = training_mb - matrices_mb
    lines += [
        "",
        f"- Encoding n million words: {line(words, encoding)} s; for n types: {line(types, encoding_mb)} MB.",
        f"- An epoch of n million words: {line(words, training)} s; memory without the matrices:",
        f"  {line(words, rest_mb)} MB.",
    ]
    return "\n".join(lines)


def grown(job: Figures, folder: Path) -> list[float]:
    """Return seconds and memory of encoding and training, with kernels compiled before."""
    cache = Path(tempfile.mkdtemp(dir=folder))
    _, encoded, trained = (run_job(job | {"work": work}, cache) for work in ("compile", "encode", "train"))
    matrices_mb = 2 * 4 * encoded["words"] * trained["row_floats"] / 1e6
    return [
        encoded["prepare_seconds"],
        encoded["peak_mb"],
        trained["train_seconds"],
        trained["peak_mb"],
        matrices_mb,
    ]


def first_words(text: Path, num: int, place: Path) -> Path:
    """Write the first lines of a text, up to `num` words."""
    found = 0
    with text.open(encoding="utf-8") as source, place.open("w", encoding="utf-8") as target:
        for sentence in source:
            if found >= num:
                break
            target.write(sentence)
            found += len(sentence.split())
    return place


def line(x: Any, y: Any) -> str:
    """Return the least-squares line through some points as a formula."""
    slope, start = np.polyfit(x, y, 1)
    return f"{start:.3g} + {slope:.3g} n"
