"""Measure queries of millions of vectors: `python tests/bench/large_vectors.py --words 300000`.

Random vectors of 300 dimensions with words of realistic lengths are written as a word2vec binary in a zip
file, and as a folder that is converted to int8. Each figure is the time from the start of a command to its
answer, in a new process. With --buckets, the words have n-grams, in a model of fastText and in a folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from measure import anonymous_bytes, commit, machine

from nlpseq.config import Ngrams
from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.vectors import Vectors

TARGET_WORDS = 3_000_000
MUST_S, AIM_S = 4.0, 1.0  # from command to answer, of a folder of int8 loaded before
ZIP_MUST_S, ZIP_AIM_S = 60.0, 30.0  # of a binary in a zip file
LENGTHS = (8.0, 3.0)  # mean and deviation of the letters of a word
LETTERS = np.frombuffer(b"etaoinshrdlcumwfgypbvkjxqz", np.uint8)
QUERY = 12  # number of the word that the queries ask for
BLOCK_WORDS = 50_000
INTERVAL_S = 0.01  # between two measurements of memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--words", type=int, default=TARGET_WORDS)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--buckets", type=int, help="rows of n-grams; 2,000,000 and as many words: 7 GB")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", help="for the files, deleted afterwards [default: a temporary folder]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["NLPSEQ_CACHE_DIR"] = f"{folder}/cache"
        print((report_ngrams if options.buckets else report)(options, Path(folder)))


def report(options: argparse.Namespace, folder: Path) -> str:
    """Return a section for LOG.md."""
    words, matrix_VD = random_words(options.words), random_matrix(options.words, options.dim, folder)
    vectors, query = Vectors(Vocab(words, np.arange(len(words), 0, -1)), matrix_VD), words[QUERY]
    write_zip(vectors, folder)
    rows = [("large.zip: answer", *measured(["neighbors", "large.zip", query], folder))]
    (folder / "large.zip").unlink()
    vectors.save(folder / "large.w2v")
    small = ["convert", "large.w2v", "int8.w2v", "--dtype", "int8"]
    rows.append(("convert --dtype int8", *measured(small, folder)))
    bytes_of = {name: dense_bytes(folder / name) for name in ("large.w2v", "int8.w2v")}
    time.sleep(1)  # a record is made of files that did not change just before
    for name in ("int8.w2v", "large.w2v"):
        command = ["neighbors", name, query]
        rows.append((f"{name}: first answer, all bytes checked", *measured(command, folder)))
        runs = [measured(command, folder) for _ in range(options.repeats)]
        rows.append((f"{name}: answer when loaded before", *map(float, np.median(runs, axis=0))))
        rows.append((f"{name}: unknown word", *measured(["neighbors", name, query + "q"], folder, code=4)))
    share = bytes_of["int8.w2v"] / bytes_of["large.w2v"]
    factor = TARGET_WORDS / options.words
    lines = [
        f"## Large vectors, {time.strftime('%Y-%m-%d')}, commit {commit()}",
        "",
        f"`python tests/bench/large_vectors.py --words {options.words} --dim {options.dim}` on {machine()}.",
        f"{options.words:,} random vectors x {options.dim}. Medians of {options.repeats} commands.",
        "Peaks are of anonymous memory.",
        f"Vectors and scales of int8 take {share:.4f} of the bytes of float32.",
        "",
        "| command | seconds | CPU seconds | peak MB | seconds at 3,000,000 words, extrapolated |",
        "|---|---|---|---|---|",
    ]
    start_s = measured(["--version"], folder)[0]
    for name, seconds, cpu, peak in rows:
        scaled = start_s + (seconds - start_s) * factor
        lines.append(f"| {name} | {seconds:.2f} | {cpu:.2f} | {peak:.0f} | {scaled:.1f} |")
    lines += ["", f"An answer of int8 loaded before must come within {MUST_S:g} s (aim {AIM_S:g} s)."]
    return "\n".join(
        [*lines, f"An answer of the zip file must come within {ZIP_MUST_S:g} s (aim {ZIP_AIM_S:g} s)."]
    )


def report_ngrams(options: argparse.Namespace, folder: Path) -> str:
    """Return a section for LOG.md about a model of fastText, and a folder with the same vectors."""
    words, matrix_VD = random_words(options.words), random_matrix(options.words, options.dim, folder)
    (folder / "ngrams").mkdir()
    rows_BD = random_matrix(options.buckets, options.dim, folder / "ngrams")
    subwords = SubwordVectors(rows_BD, Ngrams(3, 6))
    vocab = Vocab(words, np.arange(len(words), 0, -1))
    vectors, rows = Vectors(vocab, matrix_VD, matrix_VD, subwords=subwords), list[tuple[Any, ...]]()
    vectors.write(folder / "large.bin", "fasttext")
    size = (folder / "large.bin").stat().st_size
    vectors.save(folder / "large.w2v")
    time.sleep(1)  # a record is made of files that did not change just before
    for name in ("large.bin", "large.w2v"):
        for title, word in (
            ("first answer", words[QUERY]),
            ("again", words[QUERY]),
            ("unseen word", "unseen"),
        ):
            rows.append((f"{name}: {title}", *measured(["neighbors", name, word], folder)))
            print(rows[-1], file=sys.stderr, flush=True)
    sizes = f"--words {options.words} --dim {options.dim} --buckets {options.buckets}"
    command = f"python tests/bench/large_vectors.py {sizes}"
    lines = [
        f"## Large models with n-grams, {time.strftime('%Y-%m-%d')}, commit {commit()}",
        "",
        f"`{command}` on {machine()}.",
        f"A model of fastText of {size / 1e9:.1f} GB, and a folder. Peaks are of anonymous memory.",
        "",
        "| command | seconds | CPU seconds | peak MB |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {name} | {s:.2f} | {cpu:.2f} | {mb:.0f} |" for name, s, cpu, mb in rows)])


def measured(args: list[str], folder: Path, code: int = 0) -> tuple[float, float, float]:
    """Run a command, and return its seconds, CPU seconds and peak memory in MB."""
    start, peak = time.perf_counter(), 0
    child = subprocess.Popen(
        [sys.executable, "-m", "nlpseq", *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
        peak = max(peak, anonymous_bytes(child.pid))
        time.sleep(INTERVAL_S)
    seconds, (_, status, usage) = time.perf_counter() - start, ended
    if os.waitstatus_to_exitcode(status) != code:
        raise SystemExit(f"nlpseq {' '.join(args)}: ended with {os.waitstatus_to_exitcode(status)}.")
    return seconds, usage.ru_utime + usage.ru_stime, peak / 1e6


def random_words(num_words: int) -> list[str]:
    """Return different words of letters, with lengths of a normal distribution."""
    rng = np.random.default_rng(1)
    lengths = np.clip(rng.normal(*LENGTHS, num_words).round(), 2, 30).astype(np.int64)
    ends = np.concatenate([[0], lengths.cumsum()])
    text = rng.choice(LETTERS, ends[-1]).tobytes().decode()
    return [f"{text[start:end]}{v}" for v, (start, end) in enumerate(pairwise(ends.tolist()))]


def random_matrix(num_words: int, dim: int, folder: Path) -> Any:
    """Return a mapped float32 matrix of normal numbers, (num_words, dim)."""
    file = folder / "random.npy"
    matrix_VD = np.lib.format.open_memmap(file, "w+", np.float32, (num_words, dim))
    for start in range(0, num_words, BLOCK_WORDS):
        block = matrix_VD[start : start + BLOCK_WORDS]
        block[:] = np.random.default_rng(start).normal(size=block.shape)
    return matrix_VD


def write_zip(vectors: Vectors, folder: Path) -> None:
    """Write a word2vec binary into large.zip, deflated."""
    vectors.write(folder / "large.bin")
    with ZipFile(folder / "large.zip", "w", ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(folder / "large.bin", "large.bin")
    (folder / "large.bin").unlink()


def dense_bytes(path: Path) -> int:
    """Return the bytes of the vectors in a folder, with their scales."""
    files = [path / name for name in ("vectors.npy", "scales.npy")]
    return sum(file.stat().st_size for file in files if file.exists())


if __name__ == "__main__":
    main()
