"""Estimate word2vec in blocks on many machines: `python tests/bench/simulation.py`.

The time of a pair and of finding pairs are measured here, on one core; the rest follows on paper. A segment
is trained in rounds. In a round every core trains one square of blocks or more. In the order of blocks.py the
cores of a machine first exchange their parts, then machines do, so a machine receives every input part once
in a segment. Outputs stay. A machine sends and receives at the same time.

    seconds of a segment = rounds * (squares of a core * seconds of a square + latency)
                           + bytes received by a machine / bandwidth

Tasks write parts and pairs to the object store, which costs seconds for each byte. The driver starts a task
for each square, and is the limit if starting tasks takes longer than training.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np

from nlpseq.config import Word2VecConfig
from nlpseq.core.counter_rng import Stream
from nlpseq.dataset.subsample import keep_thresholds
from nlpseq.word2vec.block_trainer import square_width
from nlpseq.word2vec.blocks import alias_tables, cut_vocabulary, find_pairs, split_parts, train_block
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys
from nlpseq.word2vec.weights import initial_weights

LATENCY_S = 0.003  # of a task and its message
SUBMIT_S = 0.001  # of the driver, for a task
PAIR_BYTES = 18
OBJECT_S = 1e-9  # of a byte that a task returns: 26 ms between two tasks with 32 MB of results
MACHINES = (1, 8, 64)
GIGABITS = (1, 10)


class Rates(NamedTuple):
    """Measured on one core, and the mean number of pairs of a word of text."""

    pair_s: float
    find_s: float  # for a word of text
    pairs_of_word: float


def measure(num_words: int, num_tokens: int, config: Word2VecConfig, num_parts: int) -> Rates:
    """Train one segment of random text with the frequencies of Zipf, in blocks."""
    chance = np.random.default_rng(1)
    share_V = 1 / np.arange(1, num_words + 1)
    share_V /= share_V.sum()
    tokens = chance.choice(num_words, num_tokens, p=share_V).astype(np.uint32)
    sentences = np.append(np.arange(0, num_tokens, 25), num_tokens)
    keep_V = keep_thresholds(np.bincount(tokens, minlength=num_words), config.subsample)
    tables = Tables(tokens, sentences, keep_V, np.zeros((1, 2), np.uint32))
    parts, keys = cut_vocabulary(num_words, num_parts, 1), epoch_keys(1, 0)
    inputs, outputs = (split_parts(weight, parts) for weight in initial_weights(num_words, config))
    alias = alias_tables(share_V**0.75, parts)
    find_pairs(tables, keys, config.window, parts, 0, 1000)
    started = time.perf_counter()
    pairs = find_pairs(tables, keys, config.window, parts, 0, num_tokens)
    found = time.perf_counter() - started
    for repeat in range(2):  # the first compiles
        started, num_pairs = time.perf_counter(), 0
        for block in range(num_parts**2 if repeat else 1):
            target, context = divmod(block, num_parts)
            weights = Weights(inputs[context], outputs[target])
            work = alias[target], keys[Stream.NEGATIVE], config.negatives, np.float32(0.025)
            num_pairs += train_block(pairs, block, weights, *work)[1]
    return Rates((time.perf_counter() - started) / num_pairs, found / num_tokens, num_pairs / num_tokens)


def hours(
    options: argparse.Namespace, rates: Rates, machines: int, gigabits: float
) -> tuple[float, dict[str, float]]:
    """Return the hours of the training, and the seconds of a segment by what they are spent on."""
    cores = machines * options.cores
    squares = -(-options.parts // square_width(options.parts, cores))  # of a round, and rounds of a segment
    matrix, pairs = options.words * options.dim * 4, options.segment * rates.pairs_of_word
    square_s = pairs / squares**2 * rates.pair_s + 2 * matrix / squares * OBJECT_S
    find_s = rates.find_s + rates.pairs_of_word * PAIR_BYTES * OBJECT_S
    received = (matrix + pairs * PAIR_BYTES / machines) * (machines > 1)
    spent = {
        "training": squares * -(-squares // cores) * square_s + options.segment * find_s / cores,
        "travel": received * 8 / (gigabits * 1e9) + squares * LATENCY_S,
    }
    if (started := squares**2 * SUBMIT_S) > sum(spent.values()):
        spent = {"starting tasks": started}
    segments = options.epochs * options.tokens / options.segment
    return segments * sum(spent.values()) / 3600, spent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=float, default=10e9)
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--cores", type=int, default=8, help="of a machine")
    parser.add_argument("--parts", type=int, default=64)
    parser.add_argument("--segment", type=float, default=200e6)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    config = Word2VecConfig(dim=options.dim, parts=8, share_negatives="pair")
    rates = measure(100_000, 1_000_000, config, 8)
    print(
        f"one core: {1 / rates.pair_s:,.0f} pairs/s; pairs of {1 / rates.find_s:,.0f} words/s found; "
        f"{rates.pairs_of_word:.1f} pairs a word\n"
    )
    print("| machines | Gbit/s | hours | faster than one | a segment |\n|---|---|---|---|---|")
    alone, _ = hours(options, rates, 1, 10)
    for gigabits in GIGABITS:
        for machines in MACHINES:
            taken, spent = hours(options, rates, machines, gigabits)
            parts = ", ".join(f"{seconds:.1f} s {name}" for name, seconds in spent.items())
            print(f"| {machines} | {gigabits} | {taken:.2f} | {alone / taken:.1f} | {parts} |")


if __name__ == "__main__":
    main()
