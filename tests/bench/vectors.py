"""Compare every kind of vectors on the same tokens, by one evaluator: `python tests/bench/run.py vectors`.

Each model has a process of its own. Encoding (in gensim the vocabulary pass) and compilation come before the
clock, so seconds and memory are for counting and training alone.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from common import CORPUS, RESTRICT, check_tests, heading, tokenize_once, training_job
from measure import run_job

from nlpseq.config import WORD2VEC_PRESETS

Figures = dict[str, Any]

MODELS: dict[str, Figures] = {
    "gensim skip-gram": {"tool": "gensim", "objective": "skipgram", "mode": "file"},
    "gensim CBOW": {"tool": "gensim", "objective": "cbow", "mode": "file"},
    "skip-gram": {"objective": "skipgram"},
    "skip-gram, preset quality": {"objective": "skipgram", "settings": WORD2VEC_PRESETS["quality"]},
    "CBOW, legacy update": {"objective": "cbow", "settings": {"cbow_update": "legacy"}},
    "CBOW, corrected update": {"objective": "cbow", "settings": {"cbow_update": "corrected"}},
    "PPMI": {"method": "ppmi"},
    "PPMI-SVD": {"method": "ppmi-svd"},
    "GloVe, w+c": {"method": "glove", "matrix": "w+c"},
}
PRESET = WORD2VEC_PRESETS["quality"]
INGREDIENTS: dict[str, Figures] = {
    "skip-gram as it is": {},
    "300 dimensions": {"dim": 300},
    "300 dimensions, 15 epochs: the preset": PRESET,
    "the preset, 15 negatives": PRESET | {"negatives": 15},
    "the preset, subsampling 1e-4": PRESET | {"subsample": 1e-4},
}
WARM_UP: Figures = {"counting": {"window": 1, "subsample": 1e-5}, "training": {"dim": 2}}
SCORES = (
    "wordsim",
    "simlex",
    "semantic add",
    "semantic mul",
    "syntactic add",
    "syntactic mul",
    "all add",
    "all mul",
)


def vectors(options: argparse.Namespace, folder: Path) -> str:
    check_tests(
        "tests/counts/test_svd.py",
        "tests/counts/test_ppmi.py",
        "tests/counts/test_glove.py",
        "tests/evaluation/test_word_pairs.py",
        "tests/evaluation/test_analogies.py",
    )
    job = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder))
    cache = Path(tempfile.mkdtemp(dir=folder))
    run_job(job | {"tool": "nlpseq", "work": "encode"}, cache)
    for model in MODELS.values():
        if "method" in model:  # because only these include compilation in their seconds
            run_job(job | {"tool": "nlpseq", "work": "vectors", "seed": 0} | model | WARM_UP, cache)
    lines = [
        *heading("Vectors of every kind", "vectors", options),
        "Count-based vectors: window 5, subsampling 1e-4, 300 dimensions; GloVe: window 10, harmonic.",
        f"All scores by nlpseq's own evaluation, analogies among {RESTRICT:,} words.",
        "",
        "| | " + " | ".join(SCORES) + " | seconds | peak MB |",
        "|---" * (len(SCORES) + 3) + "|",
    ]
    for name, model in MODELS.items():
        mine = job | {"tool": "nlpseq"} | model | {"work": "vectors"}
        mine["settings"] = {"epochs": options.epochs} | model.get("settings", {})
        runs = [run_job(mine | {"seed": seed}, cache) for seed in range(1, options.seeds + 1)]
        cells = [f"{100 * mean(run[score] for run in runs):.1f}" for score in SCORES]
        cells += [f"{mean(run[figure] for run in runs):.0f}" for figure in ("train_seconds", "peak_mb")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def ingredients(options: argparse.Namespace, folder: Path) -> str:
    """Measure the gain of each setting of skip-gram."""
    check_tests("tests/word2vec/test_kernels.py", "tests/evaluation/test_analogies.py")
    job = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder))
    cache = Path(tempfile.mkdtemp(dir=folder))
    lines = [
        *heading("Gain of each setting", "ingredients", options),
        "| | " + " | ".join(SCORES) + " | seconds |",
        "|---" * (len(SCORES) + 2) + "|",
    ]
    for name, settings in INGREDIENTS.items():
        mine = job | {"tool": "nlpseq", "work": "vectors", "objective": "skipgram"}
        mine["settings"] = {"epochs": options.epochs} | settings
        runs = [run_job(mine | {"seed": seed}, cache) for seed in range(1, options.seeds + 1)]
        cells = [f"{100 * mean(run[score] for run in runs):.1f}" for score in SCORES]
        cells.append(f"{mean(run['train_seconds'] for run in runs):.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)
