"""Compare the speed of the working tree with an older revision: `run.py speed --base REV`.

Both versions run by turns, each in a process of its own, through the public API alone, because module paths
differ between revisions. The ratio is the median over the repeats. An older revision is checked out into a
git worktree for the time of the comparison.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from common import CORPUS, check_tests, heading, tokenize_once
from measure import run_command

ROOT = Path(__file__).parents[2]
MIN_REPEATS = 5
MAX_SLOWDOWN = 1.05
WORKER = """
import json
import sys
import time

import nlpseq as ns

job = json.loads(sys.argv[1])
text = ns.TextConfig(tokenizer="whitespace", lower=False, min_count=5)


def encode(source, out):
    started = time.perf_counter()
    data = ns.preprocess(ns.open_corpus(source), text, out, force=True)
    return data, time.perf_counter() - started


encode(job["small"], job["out"] + "-small.tokens")  # compiles
data, seconds = encode(job["text"], job["out"] + ".tokens")
if job["objective"]:
    settings = {"dim": 100, "window": 5, "negatives": 5, "subsample": 1e-3}
    settings |= {name: job[name] for name in ("objective", "epochs", "threads", "seed")}
    seconds = ns.train_word2vec(data, ns.Word2VecConfig(**settings)).meta["seconds"]
print(json.dumps(seconds))
"""
ROWS: dict[str, str | None] = {  # objective of the worker; None for the whole command
    "skip-gram": "skipgram",
    "CBOW": "cbow",
    "white-space text to ids": "",
    "whole command": None,
}


def compare_revisions(options: argparse.Namespace, folder: Path) -> str:
    """Return a table of seconds and ratios, a row for each kind of work."""
    check_tests("tests/word2vec/test_kernels.py", "tests/dataset/test_encode.py")
    repeats = max(options.seeds, MIN_REPEATS)
    text = tokenize_once(Path(options.data) / CORPUS, folder)
    (folder / "small.txt").write_text("the cat sat on the mat and the dog sat on the rug\n" * 200)
    with ExitStack() as stack:
        old = import_folder(checkout(options.base, folder, stack), folder / "base")
        new = import_folder(ROOT, folder / "head")
        lines = [
            *heading("Speed of two versions", f"speed --base {options.base}", options),
            f"Medians of {repeats} repeats by turns; a ratio above 1 means that the working tree is faster.",
            "",
            "| | base | working tree | ratio | from | to |",
            "|---|---|---|---|---|---|",
        ]
        for name, objective in ROWS.items():
            pairs = []
            for seed in range(1, repeats + 1):
                versions = [old, new] if seed % 2 else [new, old]  # because a machine warms up and slows down
                times = {version: seconds_of(version, text, objective, seed, options) for version in versions}
                pairs.append((times[old], times[new]))
            lines.append(row_of(name, pairs))
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def row_of(name: str, pairs: list[tuple[float, float]]) -> str:
    """Return a row of the table, with a warning if the working tree is slower than allowed."""
    ratios = [old / new for old, new in pairs]
    base, head = (median(side) for side in zip(*pairs, strict=True))
    warning = " (TOO SLOW)" if median(ratios) < 1 / MAX_SLOWDOWN else ""
    figures = f"{median(ratios):.2f}{warning} | {min(ratios):.2f} | {max(ratios):.2f}"
    return f"| {name} | {base:.3g} s | {head:.3g} s | {figures} |"


def seconds_of(
    version: Path, text: Path, objective: str | None, seed: int, options: argparse.Namespace
) -> float:
    """Return the seconds of one piece of work by one version."""
    settings = {"epochs": options.epochs, "threads": options.threads, "seed": seed}
    if objective is None:
        command = [sys.executable, "-m", "nlpseq", "train-w2v", str(text), "-q", "--force"]
        command += [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        cache = Path(tempfile.mkdtemp(dir=version))  # because a new user has no compiled kernels
        command += ["-o", str(version / "whole.w2v")]
        run_command(command, cache, figures := {}, PYTHONPATH=str(version))
        return float(figures["seconds"])
    job: dict[str, Any] = settings | {"text": str(text), "objective": objective}
    job |= {"small": str(text.with_name("small.txt")), "out": str(version / "encoded")}
    command = [sys.executable, "-c", WORKER, json.dumps(job)]
    return float(json.loads(run_command(command, version / "cache", {}, PYTHONPATH=str(version))))


def checkout(revision: str, folder: Path, stack: ExitStack) -> Path:
    """Check a revision out into a git worktree, to be removed at the end of the stack."""
    tree = folder / f"tree-{revision.replace('/', '-')}"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
    stack.callback(subprocess.run, [*git, "remove", "--force", str(tree)], check=True)
    return tree


def import_folder(tree: Path, folder: Path) -> Path:
    """Fill a folder for PYTHONPATH with links to one version, its commands and corpora included.

    An installed nlpseq would else lend `nlpseq.cli` of the checkout to every version.
    """
    package = folder / "nlpseq"
    package.mkdir(parents=True)
    for file in [*(tree / "nlpseq").iterdir(), tree / "cli", tree / "corpora"]:
        if file.name != "__pycache__":
            (package / file.name).symlink_to(file)
    return folder
