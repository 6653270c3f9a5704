"""Benchmarks, each with its quality beside its speed: `python tests/bench/run.py WORK`, which is one of
w2v, cbow-update, speed, vectors and ingredients.

w2v: skip-gram and CBOW against gensim, on the same white-space tokens and with the same settings. gensim's
faster mode is found first, by one epoch of each. Then every seed trains gensim and nlpseq in turn, each in a
process of its own and with a fresh cache. cbow-update: both gradients of the CBOW mean at several learning
rates. speed: each part beside what else does it. vectors: every kind of vectors on the same tokens.
ingredients: what each setting adds to skip-gram. The tables go to the terminal and to LOG.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Any

from common import CORPUS, check_tests, heading, tokenize_once, training_job
from measure import run_command, run_job
from speed import ROWS, speed
from vectors import ingredients, vectors
from worker import SETTINGS

HERE = Path(__file__).parent
SCORES = ("wordsim", "simlex", "analogies")
CBOW_RATES = {"legacy": (0.05, 0.075, 0.1), "corrected": (0.1, 0.15, 0.2)}
MUST = {"skipgram": 4.0, "cbow": 1.8}

COLUMNS = ("objective", "seed", "tool", "Mw/s", *SCORES, "mean", "prepare s", "train s", "peak MB")

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", choices=sorted(WORK))
    parser.add_argument(
        "--data", default="../shared/data", help="folder of enwiki-17m.txt.xz and the evaluation sets"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=SETTINGS["epochs"])
    parser.add_argument("--row", choices=list(ROWS), help="of speed: only this one")
    parser.add_argument(
        "--mode", choices=("file", "iterable"), default="file", help="of speed: how gensim reads"
    )
    options = parser.parse_args()
    check_tests("tests/test_kernels.py", "tests/test_layers.py")
    with tempfile.TemporaryDirectory(prefix="nlpseq-bench-") as folder:
        report = WORK[options.work](options, Path(folder))
    print(report)
    with (HERE / "LOG.md").open("a", encoding="utf-8") as log:
        log.write("\n" + report + "\n")


def w2v(options: argparse.Namespace, folder: Path) -> str:
    corpus = Path(options.data) / CORPUS
    job = training_job(options, tokenize_once(corpus, folder))
    rows: list[Figures] = []
    for objective in MUST:
        mode = faster_mode(job | {"objective": objective}, folder)
        for seed in range(1, options.seeds + 1):
            mine = job | {"objective": objective, "seed": seed, "evaluate": True, "mode": mode}
            cache = Path(tempfile.mkdtemp(dir=folder))
            theirs = run_job(mine | {"tool": "gensim"}, cache)
            encode = run_job(mine | {"tool": "nlpseq", "work": "encode"}, cache)
            ours = run_job(mine | {"tool": "nlpseq"}, cache)
            row = {"objective": objective, "seed": seed, "mode": mode}
            rows.append(row | {"gensim": theirs, "encode": encode, "nlpseq": ours})
            print(rows[-1], file=sys.stderr, flush=True)
    return format_report(options, rows, end_to_end(corpus, options, folder))


def cbow_update(options: argparse.Namespace, folder: Path) -> str:
    job = training_job(options, tokenize_once(Path(options.data) / CORPUS, folder))
    lines = [
        *heading("CBOW, the gradient of the mean", "cbow-update", options),
        "| update | learning rate | " + " | ".join(SCORES) + " | mean |",
        "|---" * (len(SCORES) + 3) + "|",
    ]
    for update, rates in CBOW_RATES.items():
        for rate in rates:
            settings = job["settings"] | {"cbow_update": update, "learning_rate": rate}
            mine = job | {"tool": "nlpseq", "objective": "cbow", "settings": settings}
            runs = [run_job(mine | {"seed": seed}, folder) for seed in range(1, options.seeds + 1)]
            scores = [mean(run[name] for run in runs) for name in SCORES]
            cells = [f"{100 * score:.1f}" for score in (*scores, mean(scores))]
            lines.append(f"| {update} | {rate} | " + " | ".join(cells) + " |")
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def faster_mode(job: Figures, folder: Path) -> str:
    """gensim's faster way of reading: from its own file reader, or from Python sentences."""
    probe = job | {"tool": "gensim", "seed": 1, "epochs": 1, "evaluate": False}
    speed = {
        mode: run_job(probe | {"mode": mode}, folder)["words_per_second"] for mode in ("file", "iterable")
    }
    print(job["objective"], "gensim, one epoch, words/s:", speed, file=sys.stderr, flush=True)
    return max(speed, key=lambda mode: speed[mode])


def end_to_end(corpus: Path, options: argparse.Namespace, folder: Path) -> Figures:
    """The command a person types, from the compressed raw text to saved vectors, compilation included."""
    cache, output = Path(tempfile.mkdtemp(dir=folder)), folder / "end.w2v"
    nlpseq = str(Path(sys.executable).with_name("nlpseq"))
    flags = ["--epochs", str(options.epochs), "--threads", str(options.threads), "-q"]
    figures: Figures = {}
    run_command([nlpseq, "train-w2v", str(corpus), "-o", str(output), *flags], cache, figures)
    scores = run_job(
        {"work": "evaluate", "tool": "nlpseq", "folder": str(output), "data": options.data}, cache
    )
    return {name: scores[name] for name in SCORES} | figures


def format_report(options: argparse.Namespace, rows: list[Figures], whole: Figures) -> str:
    lines = [
        *heading("word2vec against gensim", "w2v", options),
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    for row in rows:
        theirs, ours = row["gensim"], row["nlpseq"]
        ours = ours | {"prepare_seconds": row["encode"]["prepare_seconds"]}
        lines.append(format_row(row, f"gensim ({row['mode']})", theirs, f"{theirs['peak_mb']:.0f}"))
        peaks = f"{row['encode']['peak_mb']:.0f} encoding, {ours['peak_mb']:.0f} training"
        lines.append(format_row(row, "nlpseq", ours, peaks))
    lines += ["", *(verdict(objective, rows) for objective in MUST), ""]
    scores = ", ".join(f"{name} {100 * whole[name]:.1f}" for name in SCORES)
    lines.append(
        f"`nlpseq train-w2v enwiki-17m.txt.xz` end to end, compilation included: {whole['seconds']:.0f} s, "
        f"peak {whole['peak_mb']:.0f} MB; {scores}."
    )
    compiling = [row["nlpseq"]["compile_seconds"] for row in rows]
    lines.append(
        f"First-use compilation of a training kernel: median {median(compiling):.1f} s, not in Mw/s."
    )
    return "\n".join(lines)


def format_row(row: Figures, tool: str, figures: Figures, peak: str) -> str:
    speed = f"{figures['words_per_second'] / 1e6:.2f}"
    scores = [f"{100 * score:.1f}" for score in (*(figures[name] for name in SCORES), quality(figures))]
    seconds = [f"{figures[name]:.1f}" for name in ("prepare_seconds", "train_seconds")]
    return (
        "| " + " | ".join([row["objective"], str(row["seed"]), tool, speed, *scores, *seconds, peak]) + " |"
    )


def quality(figures: Figures) -> float:
    return mean(figures[name] for name in SCORES)


def verdict(objective: str, rows: list[Figures]) -> str:
    """Speed ratio and quality differences of one objective, against what they must be."""
    mine = [row for row in rows if row["objective"] == objective]
    ratios = [row["nlpseq"]["words_per_second"] / row["gensim"]["words_per_second"] for row in mine]
    by_mean = 100 * mean(quality(row["nlpseq"]) - quality(row["gensim"]) for row in mine)
    by_score = {
        name: 100 * mean(row["nlpseq"][name] - row["gensim"][name] for row in mine) for name in SCORES
    }
    holds = median(ratios) >= MUST[objective] and by_mean >= -0.5 and min(by_score.values()) >= -1.5
    differences = ", ".join(f"{name} {value:+.1f}" for name, value in by_score.items())
    return (
        f"- {objective}: **{median(ratios):.1f} times gensim** (from {min(ratios):.1f} to {max(ratios):.1f}; "
        f"must be {MUST[objective]}), mean of the scores {by_mean:+.2f} points (must be -0.5 or more), "
        f"{differences} (each -1.5 or more): {'holds' if holds else 'FALLS SHORT'}."
    )


WORK = {
    "w2v": w2v,
    "cbow-update": cbow_update,
    "speed": speed,
    "vectors": vectors,
    "ingredients": ingredients,
}

if __name__ == "__main__":
    main()
