"""Measure speed and quality side by side: `python tests/bench/run.py WORK`.

Kinds of WORK:

    speed           each part against another tool, on the same text with the same settings;
                    with --base REV the working tree against an older revision
    scaling         one thread against several
    deterministic   Hogwild threads against local SGD
    growth          time and memory against the size of the text
    sources         JSON lines, CSV and Parquet against plain text
    vectors         every kind of vectors on the same tokens
    ingredients     gain of each setting of skip-gram
    queries         nearest words, one by one and in one call
    subwords        training with character n-grams against gensim and fastText
    korean          letters of Hangul against characters and plain words
    continued       pieces of a text, one after another, against all of it at once
    cbow-update     both gradients of the CBOW mean at several learning rates
    blocks          skip-gram in blocks against training in the order of the text
    cluster         a cluster on this machine against threads

Tables go to the terminal and to LOG.md. A table of all rows of `speed` also updates README.md in this folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from blocks import blocks, cluster
from common import CORPUS, check_tests, heading, tokenize_once, training_job
from continued import continued
from korean import korean
from measure import run_job
from queries import queries
from revisions import compare_revisions
from scaling import deterministic, growth, scaling
from sources import sources
from speed import ROWS, SCORES, speed
from subwords import BUCKETS, OBJECTIVES, subwords
from vectors import ingredients, vectors
from worker import SETTINGS

HERE = Path(__file__).parent
CBOW_RATES = {"legacy": (0.05, 0.075, 0.1), "corrected": (0.1, 0.15, 0.2)}

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
    parser.add_argument("--row", choices=list(ROWS), help="the only row of speed to measure")
    parser.add_argument(
        "--base", metavar="REV", help="compare speed with this revision instead of other tools"
    )
    parser.add_argument("--buckets", type=int, default=BUCKETS, help="rows of n-grams, for subwords")
    parser.add_argument(
        "--objectives", nargs="+", default=OBJECTIVES, choices=OBJECTIVES, help="for subwords"
    )
    options = parser.parse_args()
    if options.base and options.work != "speed":
        parser.error("--base: not an option of this work. Use it with `speed`.")
    check_tests("tests/word2vec/test_kernels.py", "tests/word2vec/test_layers.py")
    with tempfile.TemporaryDirectory(prefix="nlpseq-bench-") as folder:
        work = compare_revisions if options.base else WORK[options.work]
        report = work(options, Path(folder))
    print(report)
    with (HERE / "LOG.md").open("a", encoding="utf-8") as log:
        log.write("\n" + report + "\n")


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


WORK = {
    "cbow-update": cbow_update,
    "speed": speed,
    "scaling": scaling,
    "sources": sources,
    "deterministic": deterministic,
    "continued": continued,
    "growth": growth,
    "vectors": vectors,
    "ingredients": ingredients,
    "queries": queries,
    "korean": korean,
    "subwords": subwords,
    "blocks": blocks,
    "cluster": cluster,
}

if __name__ == "__main__":
    main()
