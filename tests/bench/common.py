"""Shared by the benchmarks of word vectors: text, settings, and the head of a report."""

import argparse
import datetime
import lzma
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from measure import commit, machine, run_job
from worker import GENSIM_RATE, RESTRICT, SETTINGS

HERE = Path(__file__).parent
CORPUS = "enwiki-17m.txt.xz"
PLAIN = {"tokenizer": "whitespace", "lower": False, "min_count": SETTINGS["min_count"]}

PROTOCOL = f"""\
enwiki-17m, white-space tokens of one plain file unless said otherwise; {SETTINGS}
with learning rates {GENSIM_RATE} for gensim, the defaults for nlpseq; analogies by 3CosAdd among
the {RESTRICT:,} most frequent words, scores x 100; memory is peak anonymous memory of a process tree."""

Figures = dict[str, Any]


def check_tests(*files: str) -> None:
    """Run test files once each, because the speed of a wrong kernel says nothing; exit if one is red."""
    for file in files:
        _check_tests(file)


@cache
def _check_tests(file: str) -> None:
    pytest = Path(sys.executable).with_name("pytest")
    if subprocess.run([pytest, "-q", file], cwd=HERE.parents[1]).returncode:
        raise SystemExit(f"{file}: red, so no benchmark. Run `pytest {file}`, and fix the code first.")


def training_job(options: argparse.Namespace, text: Path) -> Figures:
    """Return the job that all training of a benchmark starts from."""
    return {
        "work": "train",
        "evaluate": True,
        "text": str(text),
        "data": options.data,
        "threads": options.threads,
        "epochs": options.epochs,
        "text_config": PLAIN,
        "settings": {"epochs": options.epochs},
    }


def run_fresh(job: Figures, folder: Path) -> Figures:
    """Run a job with a fresh cache; a separate process encodes the text before training or counting."""
    place = Path(tempfile.mkdtemp(dir=folder))
    if job["work"] in ("train", "count"):
        run_job(job | {"work": "encode"}, place)
    return run_job(job, place)


def tokenize_once(corpus: Path, folder: Path) -> Path:
    """Write the corpus for both tools: lower-case words between spaces, one paragraph a line."""
    from nlpseq.config import TextConfig
    from nlpseq.tokenizers.base import tokenize

    text, config = folder / "tokens.txt", TextConfig()
    with lzma.open(corpus, "rt", encoding="utf-8") as source, text.open("w", encoding="utf-8") as target:
        for line in source:
            target.write(" ".join(tokenize(line, config)) + "\n")
    return text


def heading(title: str, work: str, options: argparse.Namespace) -> list[str]:
    today = datetime.date.today().isoformat()
    arguments = f"--seeds {options.seeds} --threads {options.threads} --epochs {options.epochs}"
    arguments += f' --row "{options.row}"' if options.row else ""
    return [
        f"## {title}, {today}, commit {commit()}",
        "",
        f"`python tests/bench/run.py {work} {arguments}` on {machine()}.",
        PROTOCOL,
        "",
    ]
