"""Benchmarks of the language model on Penn Treebank: `python tests/bench/lm.py speed|reach|budget`.

speed   tokens/s of training at the sizes of a plain PyTorch loop (lm_baseline.py), full softmax, alternating
reach   the shortest --time-budget that reaches the loop's validation perplexity after six epochs
budget  test perplexity after --budget: static, with neural cache and with dynamic evaluation

The table is printed and appended to LOG.md. Settings are tuned on the validation text; the test text is read
once per seed, at the end.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from measure import commit, machine, run_command

HERE = Path(__file__).parent
TEXT = ["--tokenizer", "whitespace", "--min-count", "1"]
SAME_SIZES = [
    *("--layers", "2", "--hidden", "200", "--dim", "200", "--batch-size", "20", "--bptt", "35"),
    *("--dropout-input", "0.2", "--dropout-hidden", "0.2", "--dropout-output", "0.2", "--weight-drop", "0"),
    *("--dropout-words", "0", "--optimizer", "sgd", "--learning-rate", "20", "--clip-norm", "0.25"),
    *("--schedule", "plateau", "--averaging", "none", "--softmax", "full", "--weight-decay", "0"),
    *("--validate-every", "1"),
]
BASELINE_EPOCHS = 6
MIN_SPEEDUP = 1.3
SPEED_STEPS = 450  # of the plain loop, a third of an epoch
BUDGETS = (75, 90, 120, 180, 240)  # seconds tried by `reach`

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", choices=sorted(WORK))
    parser.add_argument("--data", default="../shared/data", help="folder of ptb.train.txt and the like")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--settings", default="", help="options for train-lm, as one argument")
    options = parser.parse_args()
    check_tests()
    with tempfile.TemporaryDirectory(prefix="nlpseq-bench-") as folder:
        lines = WORK[options.work](options, Path(folder))
    report = "\n".join([*heading(options), *lines])
    print(report)
    with (HERE / "LOG.md").open("a", encoding="utf-8") as log:
        log.write("\n" + report + "\n")


def check_tests() -> None:
    pytest = Path(sys.executable).with_name("pytest")
    tests = ["tests/lm/test_model.py", "tests/lm/test_losses.py", "tests/lm/test_batches.py"]
    if subprocess.run([pytest, "-q", *tests], cwd=HERE.parents[1]).returncode:
        raise SystemExit("the language model's tests are red: no benchmark.")


def speed(options: argparse.Namespace, folder: Path) -> list[str]:
    """Compare tokens/s at equal sizes.

    The plain loop is fp32 with a mask per time step; nlpseq draws one mask, and takes bf16 if faster.
    """
    lines = [
        "| seed | plain loop, tokens/s | nlpseq, fp32 | ratio | nlpseq, auto | ratio |",
        "|---" * 6 + "|",
    ]
    ratios: dict[str, list[float]] = {"fp32": [], "auto": []}
    for seed in range(1, options.seeds + 1):
        theirs = baseline(options, seed, epochs=1, steps=SPEED_STEPS)["tokens_per_second"]
        cells = [f"{seed}", f"{theirs:,.0f}"]
        for precision, found in ratios.items():
            settings = ["--epochs", "1", *SAME_SIZES, "--precision", precision]
            ours = tokens_per_second(train(options, folder, seed, settings))
            found.append(ours / theirs)
            cells += [f"{ours:,.0f}", f"{found[-1]:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    same, auto = (median(found) for found in ratios.values())
    verdict = f"**{auto:.2f} times the plain loop**, {same:.2f} in fp32 (must be {MIN_SPEEDUP}, aim 2)."
    return [*lines, "", verdict + " FALLS SHORT." * (auto < MIN_SPEEDUP)]


def reach(options: argparse.Namespace, folder: Path) -> list[str]:
    theirs = baseline(options, 1, BASELINE_EPOCHS)
    goal, seconds = min(zip(theirs["valid"], theirs["seconds"], strict=True))
    rate, test = f"{theirs['tokens_per_second']:,.0f} tokens/s", f"{theirs['test']:.1f}"
    lines = [
        f"Plain loop: {BASELINE_EPOCHS} epochs in {seconds:.0f} s, {rate}, valid {goal:.1f}, test {test}.",
        "The plain loop is evaluated in ten columns, nlpseq in one.",
        "",
        "| budget | valid, by seed | whole command |",
        "|---|---|---|",
    ]
    for budget in BUDGETS:
        settings, found, walls = ["--time-budget", f"{budget}s"], [], []
        for seed in range(1, options.seeds + 1):
            figures: Figures = {}
            model = train(options, folder, seed, settings, figures)
            found.append(evaluate(options, model, "valid")["perplexity"])
            walls.append(figures["seconds"])
        shown = ", ".join(f"{each:.1f}" for each in found)
        lines.append(f"| {budget} s | {shown} | {median(walls):.0f} s |")
        print(lines[-1], file=sys.stderr, flush=True)
        if median(found) <= goal:
            share = f"**1/{seconds / budget:.1f} of its time** (must be 1/3, aim 1/6)"
            verdict = f"nlpseq reaches that in {budget} s, {share}." + " FALLS SHORT." * (
                seconds < 3 * budget
            )
            return [*lines, "", verdict]
    return [*lines, "", "FALLS SHORT."]


def budget(options: argparse.Namespace, folder: Path) -> list[str]:
    names = ("perplexity", "cache", "dynamic", "unigram", "kneser_ney")
    columns = ("seed", "valid", "test, static", "test, cache", "test, dynamic", "unigram", "5-gram")
    lines = [f"| {' | '.join(columns)} | tokens/s | peak MB |", "|---" * (len(columns) + 2) + "|"]
    rows = []
    for seed in range(1, options.seeds + 1):
        figures: Figures = {}
        model = train(options, folder, seed, ["--time-budget", options.budget], figures)
        valid = evaluate(options, model, "valid")
        test = evaluate(options, model, "test", "--cache", "--dynamic")
        rows.append([valid["perplexity"], *(test[name] for name in names)])
        cells = [f"{each:.2f}" for each in rows[-1]]
        lines.append(
            f"| {seed} | {' | '.join(cells)} | {tokens_per_second(model):,.0f} | {figures['peak_mb']:.0f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    middle = [median(column) for column in zip(*rows, strict=True)]
    return [*lines, "| median | " + " | ".join(f"{each:.2f}" for each in middle) + " | | |"]


def baseline(options: argparse.Namespace, seed: int, epochs: int, steps: int | None = None) -> Figures:
    """Run the plain loop; steps: length of a single epoch, to measure speed alone."""
    job = {"data": options.data, "epochs": epochs, "steps": steps, "threads": options.threads, "seed": seed}
    script = HERE / "lm_baseline.py"
    done = subprocess.run([sys.executable, script, json.dumps(job)], stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def train(
    options: argparse.Namespace, folder: Path, seed: int, settings: list[str], figures: Figures | None = None
) -> Path:
    """Train a model by the command line and return its folder."""
    model = Path(tempfile.mkdtemp(dir=folder)) / "ptb.lm"
    texts = [f"{options.data}/ptb.train.txt", "--valid", f"{options.data}/ptb.valid.txt"]
    common = ["--seed", str(seed), "--threads", str(options.threads), "-o", str(model), "-q"]
    line = [nlpseq(), "train-lm", *texts, *TEXT, *settings, *options.settings.split(), *common]
    run_command(line, folder, {} if figures is None else figures)
    return model


def evaluate(options: argparse.Namespace, model: Path, name: str, *flags: str) -> Figures:
    text = f"{options.data}/ptb.{name}.txt"
    line = [nlpseq(), "eval-lm", str(model), text, "--json", "-q", *flags]
    answer: Figures = json.loads(run_command(line, model.parents[1], {}))
    return answer


def tokens_per_second(model: Path) -> float:
    """Return the speed of training from metrics.jsonl, without validations.

    A line with a loss covers the training since the line before.
    """
    lines = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    spent = [
        (after["seconds"] - before["seconds"], after["tokens"] - before["tokens"])
        for before, after in pairwise([{"seconds": 0, "tokens": 0}, *lines])
        if "loss" in after
    ]
    return sum(tokens for _, tokens in spent) / sum(seconds for seconds, _ in spent)


def nlpseq() -> str:
    return str(Path(sys.executable).with_name("nlpseq"))


def heading(options: argparse.Namespace) -> list[str]:
    today = datetime.date.today().isoformat()
    line = f"{options.work} --seeds {options.seeds} --threads {options.threads} --budget {options.budget}"
    line += f' --settings="{options.settings}"' if options.settings else ""
    return [
        f"## Language model on Penn Treebank, {options.work}, {today}, commit {commit()}",
        "",
        f"`python tests/bench/lm.py {line}` on {machine()}.",
        f"Words as in the files ({' '.join(TEXT)}): 10,000 entries; perplexity by `nlpseq eval-lm`.",
        "",
    ]


WORK = {"speed": speed, "reach": reach, "budget": budget}

if __name__ == "__main__":
    main()
