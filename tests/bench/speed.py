"""Compare each part with another tool: `python tests/bench/run.py speed`, all rows or one (--row).

Both sides of a row run by turns, each in a process of its own, nlpseq with a fresh cache; the ratio is the
median over the repeats. Compilation comes before the clock, except for the whole command. gensim reads in
the faster of two ways, found by one epoch of each.
"""

import argparse
import lzma
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from common import CORPUS, PLAIN, SETTINGS, check_tests, heading, run_fresh, tokenize_once, training_job
from measure import run_command, run_job

Figures = dict[str, Any]
Pairs = list[tuple[Figures, Figures]]  # theirs and ours, a pair for each repeat


class Row(NamedTuple):
    """One piece of work by nlpseq and by another tool, compared by `figure`."""

    tests: str  # file that must be green first
    against: str
    ours: Figures
    theirs: Figures
    figure: str
    must: float
    aim: float


SKIP_GRAM: Figures = {"work": "train", "objective": "skipgram"}
CBOW = SKIP_GRAM | {"objective": "cbow"}
PAIRS = SKIP_GRAM | {"settings": {"share_negatives": "pair"}}
COUNT = {"work": "count", "text_config": PLAIN | {"min_count": 10}}
WHOLE = {"work": "whole", "objective": "skipgram"}
RAW = {"work": "encode", "source": "raw", "text_config": {}}
GENSIM = "gensim 4.4"
ROWS = {
    "skip-gram": Row("word2vec/test_kernels", GENSIM, SKIP_GRAM, SKIP_GRAM, "train_seconds", 7, 10),
    "skip-gram, negatives for each pair": Row(
        "word2vec/test_kernels", GENSIM, PAIRS, SKIP_GRAM, "train_seconds", 1.5, 2.5
    ),
    "CBOW": Row("word2vec/test_kernels", GENSIM, CBOW, CBOW, "train_seconds", 2.7, 4),
    "white-space tokens to ids on disk": Row(
        "dataset/test_encode",
        "gensim's vocabulary alone",
        {"work": "encode"},
        {"work": "vocabulary"},
        "prepare_seconds",
        4,
        10,
    ),
    "raw text to ids on disk": Row(
        "dataset/test_encode",
        "re.findall, Counter, dict, 1 thread",
        RAW,
        {"work": "encode"},
        "prepare_seconds",
        3,
        6,
    ),
    "raw text to saved vectors": Row(
        "word2vec/test_kernels", "gensim from tokens", WHOLE, WHOLE, "seconds", 5, 8
    ),
    "anonymous memory of that": Row(
        "word2vec/test_kernels", "gensim from tokens", WHOLE, WHOLE, "peak_mb", 1, 1 / 0.7
    ),
    "counting pairs": Row(
        "counts/test_cooccurrence", "np.unique, SciPy, 1 thread", COUNT, COUNT, "count_seconds", 3, 10
    ),
}
MIN_REPEATS = 3  # for figures in README.md
COLUMNS = ("", "against", "theirs", "nlpseq", "times", "from", "to", "must", "aim", "quality")
SHOWN = 5  # columns in README.md, besides the last
README = Path(__file__).with_name("README.md")
SCORES = ("wordsim", "simlex", "analogies")
MIN_MEAN, MIN_SCORE = -0.5, -1.5  # points of quality against the other tool


def speed(options: argparse.Namespace, folder: Path) -> str:
    rows = {name: row for name, row in ROWS.items() if options.row in (None, name)}
    check_tests(*{f"tests/{row.tests}.py" for row in rows.values()})
    common = prepared(options, folder)
    peak = run_job(common | {"work": "peak", "tool": "nlpseq"}, folder)
    modes, measured = dict[str, str](), dict[str, Pairs]()
    table, notes = [COLUMNS, ("---",) * len(COLUMNS)], list[str]()
    for name, row in rows.items():
        if repr(row.ours) not in measured:
            objective = row.theirs.get("objective")
            if objective and objective not in modes:
                modes[objective] = faster_mode(common | {"objective": objective}, folder)
            beside = [each.ours for each in rows.values() if each.theirs == row.theirs]
            for seed in range(1, options.seeds + 1):
                job = common | {"mode": modes.get(objective), "seed": seed}
                measure(row.theirs, beside, job, folder, measured)
        pairs = measured[repr(row.ours)]
        table.append(cells(name, row, pairs))
        notes += details(name, pairs, peak)
        print(lines_of(table[-1:]), file=sys.stderr, flush=True)
    if options.row is None:
        notes += starting(folder)
    if options.seeds >= MIN_REPEATS and options.epochs == SETTINGS["epochs"]:
        write_readme(table[2:])
    flops, moved = (peak[name] / 1e9 for name in ("flops_per_second", "bytes_per_second"))
    notes += [
        f"- The machine does {flops:.0f} GFLOP/s of multiply-adds and copies {moved:.0f} GB/s, read and",
        "  written." + "".join(f" gensim read by {mode} for {name}." for name, mode in modes.items()),
    ]
    return "\n".join([*heading("Speed", "speed", options), lines_of(table), "", *notes])


def prepared(options: argparse.Namespace, folder: Path) -> Figures:
    """Return the job that all others start from, with the raw text and the tokens."""
    corpus, raw = Path(options.data) / CORPUS, folder / "raw.txt"
    raw.write_bytes(lzma.decompress(corpus.read_bytes()))
    return training_job(options, tokenize_once(corpus, folder)) | {"raw": str(raw)}


def write_readme(table: list[tuple[str, ...]]) -> None:
    """Replace the rows of the same name in README.md: first columns, and the last."""
    shown, text = [lines_of([(*line[:SHOWN], line[-1])]) for line in table], README.read_text("utf-8")
    for row in shown:
        name = re.escape(row.split("|")[1])
        text, found = re.subn(rf"(?m)^\|{name}\|.*$", lambda _, row=row: row, text)
        assert found, f"{README}: no row{name}. Add the row to the table."
    README.write_text(text, "utf-8")


def faster_mode(job: Figures, folder: Path) -> str:
    """Return the faster way for gensim to read: the corpus file, or Python sentences."""
    probe = job | {"tool": "gensim", "seed": 1, "epochs": 1, "evaluate": False}
    found = {mode: run_job(probe | {"mode": mode}, folder) for mode in ("file", "iterable")}
    return min(found, key=lambda mode: float(found[mode]["train_seconds"]))


def measure(
    theirs: Figures, beside: list[Figures], common: Figures, folder: Path, measured: dict[str, Pairs]
) -> None:
    """Measure the other tool once, and then nlpseq for each row beside it."""
    theirs = common | theirs | {"tool": "other", "saved": str(folder / "whole.kv")}
    found = run_job(theirs, folder)
    if theirs["work"] == "whole":
        found = run_job(theirs | {"work": "evaluate"}, folder) | found
    for work in {repr(ours): ours for ours in beside}.values():
        ours = common | work | {"tool": "nlpseq", "saved": str(folder / "whole.w2v")}
        ours["settings"] = common["settings"] | work.get("settings", {})
        pair = found, run_command_of(ours, folder) if work == WHOLE else run_fresh(ours, folder)
        check_same_work(*pair)
        measured.setdefault(repr(work), []).append(pair)


def check_same_work(theirs: Figures, ours: Figures) -> None:
    """Exit if both sides did a different amount of work."""
    for name in {"tokens", "pairs"} & set(theirs) & set(ours):
        if abs(theirs[name] / ours[name] - 1) > 0.01:
            raise SystemExit(f"{name}: {theirs[name]} against {ours[name]}. Compare equal work only.")


def run_command_of(job: Figures, folder: Path) -> Figures:
    """Measure the command that a person types, compilation included."""
    command = [nlpseq(), "train-w2v", job["raw"], "-q", "-o", job["saved"], "--force"]
    command += ["--epochs", str(job["epochs"]), "--threads", str(job["threads"]), "--seed", str(job["seed"])]
    run_command(command, Path(tempfile.mkdtemp(dir=folder)), figures := {})
    return run_job(job | {"work": "evaluate"}, folder) | figures


def cells(name: str, row: Row, pairs: Pairs) -> tuple[str, ...]:
    values = [(theirs[row.figure], ours[row.figure]) for theirs, ours in pairs]
    ratios = [theirs / ours for theirs, ours in values]
    unit = "MB" if row.figure == "peak_mb" else "s"
    sides = [f"{median(side):.3g} {unit}" for side in zip(*values, strict=True)]
    figures = [f"{value:.2f}" for value in (median(ratios), min(ratios), max(ratios), row.must, row.aim)]
    return name, row.against, *sides, *figures, quality(pairs)


def scores_of(pairs: Pairs) -> dict[str, tuple[float, ...]]:
    """Return scores x 100 of both sides; empty if nothing was trained."""
    names = [name for name in SCORES if name in pairs[0][1]]
    return {
        name: tuple(100 * mean(figures[name] for figures in side) for side in zip(*pairs, strict=True))
        for name in names
    }


def quality(pairs: Pairs) -> str:
    """Return the gain in points of the mean of three scores, with a warning if too low."""
    better = [ours - theirs for theirs, ours in scores_of(pairs).values()]
    if not better:
        return ""
    as_good = mean(better) >= MIN_MEAN and min(better) >= MIN_SCORE
    return f"{mean(better):+.1f}" + ("" if as_good else " (TOO LOW)")


def details(name: str, pairs: Pairs, peak: Figures) -> list[str]:
    """Return lines about trained vectors: scores, and the share of the machine's limits."""
    ours = [figures for _, figures in pairs]
    scores = scores_of(pairs).items()
    lines = [f"- {name}: " + ", ".join(f"{score} {a:.1f} and {b:.1f}" for score, (a, b) in scores) + "."]
    if "predictions" in ours[0]:
        flops, moved = (median(figure) for figure in zip(*map(work_per_second, ours), strict=True))
        share, share_moved = flops / peak["flops_per_second"], moved / peak["bytes_per_second"]
        compiling = median(figures["compile_seconds"] for figures in ours)
        lines += [
            f"  {flops / 1e9:.0f} GFLOP/s, {share:.0%} of the machine's peak; rows of",
            f"  {moved / 1e9:.0f} GB/s, {share_moved:.0%} of the copy rate; compiled in {compiling:.1f} s.",
        ]
    return lines if scores else []


def work_per_second(figures: Figures) -> tuple[float, float]:
    """Return FLOP/s of products and gradients, and bytes/s of rows read and written.

    A prediction has 1 + K products of D numbers and as many gradients of both sides; a window reads and
    writes the rows of all outputs, a prediction reads and writes the row of the context.
    """
    outputs, row_bytes = 1 + figures["negatives"], 4 * figures["dim"]
    flops = figures["predictions"] * outputs * figures["dim"] * 3 * 2
    moved = 2 * row_bytes * (figures["contexts"] + outputs * figures["groups"])
    return flops / figures["train_seconds"], moved / figures["train_seconds"]


def starting(folder: Path) -> list[str]:
    """Measure the start of a command, the first time and later."""
    small, cache = folder / "small.txt", Path(tempfile.mkdtemp(dir=folder))
    small.write_text("the cat sat on the mat and the dog sat on the rug\n" * 200)
    command = [nlpseq(), "train-w2v", str(small), "-q", "--min-count", "1", "--subsample", "0"]
    seconds = []
    for turn in range(3):
        run_command([*command, "--epochs", "1", "-o", f"{small}{turn}.w2v"], cache, figures := {})
        seconds.append(figures["seconds"])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        subprocess.run([nlpseq(), "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 5
    return [
        f"- `train-w2v` on 2,400 words: {seconds[0]:.1f} s the first time, {min(seconds[1:]):.1f} s later;",
        f"  `nlpseq --help` takes {cpu:.2f} s of CPU.",
    ]


def nlpseq() -> str:
    return str(Path(sys.executable).with_name("nlpseq"))


def lines_of(table: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in table)
