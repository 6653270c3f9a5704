"""Measure byte-level BPE against `word` and against Hugging Face `tokenizers`: `python tests/bench/bpe.py`.

By turns on the plain text of a corpus, with compiled kernels: text to ids on disk with `word`, with BPE of
8,000 tokens trained on the text, and with the same tokenizer from a file. `tokenizers` encodes the first
lines of the text in memory, in batches, without writing. The table goes to the terminal and to LOG.md.
"""

import argparse
import datetime
import lzma
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common import CORPUS, check_tests
from measure import commit, machine

VOCAB_SIZE = 8000
BATCH_LINES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="../shared/data", help="folder of the corpora")
    parser.add_argument("--corpus", default=CORPUS, help="file in this folder, compressed with xz")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rival-mb", type=int, default=20, help="text for `tokenizers`, from the start")
    options = parser.parse_args()
    os.environ |= {"RAYON_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "true"}
    check_tests("tests/tokenizers/test_bpe.py", "tests/dataset/test_subwords.py")
    with tempfile.TemporaryDirectory(prefix="nlpseq-bench-") as folder:
        report = measure(options, Path(folder))
    print(report)
    with Path(__file__).with_name("LOG.md").open("a", encoding="utf-8") as log:
        log.write("\n" + report + "\n")


def measure(options: argparse.Namespace, folder: Path) -> str:
    import nlpseq as ns

    text, made = folder / "text.txt", folder / "made.json"
    text.write_bytes(lzma.decompress(Path(options.data, options.corpus).read_bytes()))
    configs = {
        "`word`": ns.TextConfig(),
        "BPE, training included": ns.TextConfig(tokenizer="bpe", vocab_size=VOCAB_SIZE),
        "BPE, tokenizer from a file": ns.TextConfig(tokenizer=str(made)),
    }
    rival = "`tokenizers`, encoding alone"
    seconds = {name: list[float]() for name in (*configs, rival)}
    for repeat in range(options.repeats + 1):  # the first compiles and is not counted
        for name, config in configs.items():
            started = time.perf_counter()
            data = ns.preprocess(
                ns.open_corpus(text), config, folder / "out", force=True, threads=options.threads
            )
            spent = time.perf_counter() - started
            if repeat:
                seconds[name].append(spent)
            if data.vocab.bpe:
                made.write_bytes(data.vocab.bpe.content)
        spent, encoded = rival_seconds(text, made, data.tokens, options.rival_mb * 1_000_000)
        if repeat:
            seconds[rival].append(spent * text.stat().st_size / encoded)
        print(f"repeat {repeat} of {options.repeats}", file=sys.stderr, flush=True)
    rows = [row(name, spent, seconds["`word`"], text.stat().st_size) for name, spent in seconds.items()]
    command = f"`python tests/bench/bpe.py --corpus {options.corpus} --repeats {options.repeats}`"
    lines = [
        f"## Byte-level BPE, {datetime.date.today().isoformat()}, commit {commit()}",
        "",
        f"{command} on {machine()}; {options.threads} threads, medians of {options.repeats} turns.",
        f"`tokenizers` encodes {encoded / 1e6:.0f} MB, and the ids are equal; its seconds are for all.",
        "",
        "| text to ids | s | MB/s | times of `word` | from | to |",
        "|---" * 6 + "|",
        *rows,
    ]
    return "\n".join(lines)


def row(name: str, spent: list[float], base: list[float], size: int) -> str:
    """Return a row of the table; base: seconds of `word` in the same turns."""
    ratios = [mine / theirs for mine, theirs in zip(spent, base, strict=True)]
    rate = size / 1e6 / median(spent)
    figures = f"{median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f}"
    return f"| {name} | {median(spent):.2f} | {rate:.1f} | {figures} |"


def rival_seconds(text: Path, made: Path, ids: object, max_bytes: int) -> tuple[float, int]:
    """Return the time of `tokenizers` for the start of a text, and its bytes; the ids must be the same."""
    import numpy as np
    from tokenizers import Tokenizer

    with text.open("rb") as stream:
        lines = [line.decode().removesuffix("\n") for line in stream.readlines(max_bytes)]
    rival, spent, expected = Tokenizer.from_file(str(made)), 0.0, list[int]()
    for start in range(0, len(lines), BATCH_LINES):
        started = time.perf_counter()
        found = rival.encode_batch_fast(lines[start : start + BATCH_LINES])
        spent += time.perf_counter() - started
        expected += [each for line in found for each in line.ids]
    assert np.array_equal(np.asarray(ids)[: len(expected)], expected), "the ids differ"
    return spent, sum(len(line.encode()) + 1 for line in lines)


if __name__ == "__main__":
    main()
