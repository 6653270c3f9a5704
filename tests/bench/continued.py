"""Compare continued training on the pieces of a text, by `start`, with a single training on the whole text.

`python tests/bench/run.py continued`. Each piece has the same number of lines and of epochs. Pieces are read
with --min-count 1 and --max-vocab, the number of words of the single training, as README.md advises for small
texts. Every row says how many questions have a word without a vector.
"""

import argparse
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from common import CORPUS, check_tests, heading, tokenize_once, training_job
from measure import run_job

Figures = dict[str, Any]

PIECES = (1, 2, 20)
SCORES = ("wordsim", "simlex", "analogies")
COLUMNS = ("pieces", "words", *SCORES, "mean", "against one", "oov of wordsim, rare words", "seconds")


def continued(options: argparse.Namespace, folder: Path) -> str:
    check_tests("tests/word2vec/test_start.py", "tests/dataset/test_joint_vocab.py")
    text = tokenize_once(Path(options.data) / CORPUS, folder)
    job = training_job(options, text) | {"work": "pieces", "tool": "nlpseq", "objective": "skipgram"}
    lines = [
        *heading("Continued training with new text", "continued", options),
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    whole, num_words = 0.0, 0
    for number in PIECES:
        mine = job | {"pieces": [str(piece) for piece in cut(text, number)]}
        if number > 1:
            mine |= {"text_config": job["text_config"] | {"min_count": 1, "max_vocab": num_words}}
        runs = [run_job(mine | {"seed": seed}, folder) for seed in range(1, options.seeds + 1)]
        print(number, runs, file=sys.stderr, flush=True)
        scores = [100 * mean(run[name] for run in runs) for name in SCORES]
        if number == 1:
            whole, num_words = mean(scores), runs[0]["words"]
        cells = [f"{number}", f"{mean(run['words'] for run in runs):,.0f}"]
        cells += [f"{score:.1f}" for score in (*scores, mean(scores))]
        cells += [f"{mean(scores) - whole:+.1f}", f"{runs[0]['wordsim oov']}, {runs[0]['oov']}"]
        cells += [f"{mean(run['train_seconds'] for run in runs):.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cut(text: Path, number: int) -> list[Path]:
    """Write the lines of a text to files of the same number of lines."""
    lines = text.read_text("utf-8").splitlines(keepends=True)
    pieces = [text.with_name(f"{number}-{piece:02}.txt") for piece in range(number)]
    for piece, path in enumerate(pieces):
        part = lines[len(lines) * piece // number : len(lines) * (piece + 1) // number]
        path.write_text("".join(part), "utf-8")
    return pieces
