"""Compare neighbor queries with gensim: `python tests/bench/run.py queries`.

Both answer the same words by turns in one process, on random vectors. The ratios are medians over the turns,
of CPU seconds and of seconds; the first turn is a warm-up.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from common import check_tests, heading

NUM_WORDS, DIM, NUM_QUERIES = 75_000, 100, 1000
TURNS = 7


class Seconds(NamedTuple):
    """CPU time of all threads, and time on the clock."""

    cpu: float
    clock: float


def queries(options: argparse.Namespace, folder: Path) -> str:
    check_tests(
        "tests/vectors/test_queries.py", "tests/vectors/test_coarse.py", "tests/vectors/test_gensim_names.py"
    )
    from nlpseq.dataset.vocab import Vocab
    from nlpseq.vectors.vectors import Vectors

    matrix = np.random.default_rng(0).normal(size=(NUM_WORDS, DIM)).astype(np.float32)
    words = [f"w{number}" for number in range(NUM_WORDS)]
    vectors = Vectors(Vocab(words, np.ones(NUM_WORDS, np.int64)), matrix)
    keyed, asked = vectors.to_gensim(), words[:NUM_QUERIES]
    sides: dict[str, Callable[[], Any]] = {
        "gensim": lambda: [keyed.most_similar(word, topn=10) for word in asked],
        "one by one": lambda: [vectors.neighbors(word, top=10) for word in asked],
        "in one call": lambda: vectors.neighbors_of(asked, top=10),
    }
    turns = [{name: seconds_of(work) for name, work in sides.items()} for _ in range(TURNS)][1:]
    lines = [
        *heading("Queries", "queries", options),
        f"{NUM_QUERIES:,} queries for 10 neighbors, {NUM_WORDS:,} random vectors of {DIM} dimensions.",
        "",
        "| nlpseq | CPU of gensim | CPU | times less CPU | times as fast | must | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, must, aim in (("one by one", 2.4, 5), ("in one call", 4, 8)):
        cpu, clock = (
            median(getattr(turn["gensim"], kind) / getattr(turn[name], kind) for turn in turns)
            for kind in Seconds._fields
        )
        spent = [median(turn[side].cpu for turn in turns) for side in ("gensim", name)]
        lines.append(
            f"| {name} | {spent[0]:.3g} s | {spent[1]:.3g} s | {cpu:.2f} | {clock:.2f} | {must} | {aim} |"
        )
    return "\n".join(lines)


def seconds_of(work: Callable[[], Any]) -> Seconds:
    started = time.process_time(), time.perf_counter()
    work()
    return Seconds(time.process_time() - started[0], time.perf_counter() - started[1])
