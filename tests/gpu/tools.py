"""Steps of check.sh: report packages, write a synthetic corpus, measure skip-gram.

python tests/gpu/tools.py packages [--smoke]
python tests/gpu/tools.py benchmark --folder FOLDER [--corpus FILE] [--pairs FILE]... [--smoke]
"""

import argparse
import importlib
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "import_problems", "package_rows", "write_synthetic"]

PACKAGES = {  # module: (distributions, command that installs it)
    "numpy": (["numpy"], "pip install numpy"),
    "scipy": (["scipy"], "pip install scipy"),
    "numba": (["numba"], "pip install numba"),
    "pytest": (["pytest"], "pip install pytest"),
    "filelock": (["filelock"], "pip install filelock"),
    "cupy": (
        ["cupy-cuda12x", "cupy-cuda13x", "cupy"],
        "pip install cupy-cuda12x (CUDA 12) or cupy-cuda13x (CUDA 13; see the first lines of nvidia-smi)",
    ),
    "torch": (["torch"], "pip install torch (for your CUDA: pytorch.org, Get started)"),
    "safetensors": (["safetensors"], "pip install safetensors"),
}
ON_GPU = ("cupy",)  # packages that a smoke test does not need
ENTRY_POINTS = (  # of the code under test
    "nlpseq.dataset.encode",
    "nlpseq.reading.corpus",
    "nlpseq.word2vec.train",
    "nlpseq.evaluation.word_pairs",
    "nlpseq.lm.train",
)
TOPICS, TOPIC_WORDS, SENTENCE_WORDS = 100, 40, 20
TOPIC_SHARE = 0.135  # of the words of a sentence; small, because quality must not reach its maximum of 86.6


def package_rows(
    smoke: bool, load: Callable[[str], Any] = importlib.import_module
) -> Iterator[tuple[str, bool]]:
    """Yield a line per package and device, and True if it is usable or not needed."""
    yield f"Python {platform.python_version()}", sys.version_info >= (3, 11)
    for name, (distributions, command) in PACKAGES.items():
        try:
            load(name)
        except ImportError as error:
            if smoke and name in ON_GPU:
                yield f"{name}: not installed, not needed by a smoke test", True
            else:
                yield f"{name}: missing ({error}). Get it with: {command}", False
        else:
            yield f"{name} {_version(distributions)}", True
    if not smoke:
        yield from _devices(load)


def _version(distributions: list[str]) -> str:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "(unknown version)"


def _devices(load: Callable[[str], Any]) -> Iterator[tuple[str, bool]]:
    """Yield the GPUs that CuPy and PyTorch see."""
    try:
        cupy = load("cupy")
        name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        yield f"CuPy: {name}, CUDA runtime {cupy.cuda.runtime.runtimeGetVersion()}", True
    except Exception as error:  # CuPy raises driver and runtime errors of its own
        yield f"CuPy: no usable GPU ({error}). Check nvidia-smi and the CUDA version of CuPy.", False
    try:
        torch = load("torch")
        if torch.cuda.is_available():
            yield f"PyTorch: {torch.cuda.get_device_name()}, built for CUDA {torch.version.cuda}", True
        else:
            yield "PyTorch: no usable GPU. Install the CUDA build (pytorch.org, Get started).", False
    except ImportError:
        yield "PyTorch: not installed, so no language model.", False


def import_problems(load: Callable[[str], Any] = importlib.import_module) -> list[str]:
    """Return the modules of nlpseq that cannot be imported, with the reason."""
    problems = []
    for name in ENTRY_POINTS:
        try:
            load(name)
        except Exception as error:
            problems.append(f"{name}: cannot be imported ({error}).")
    return problems


def packages(options: argparse.Namespace) -> int:
    """Print packages, GPUs and import problems; return 1 if something is missing."""
    is_complete = True
    for line, is_usable in package_rows(options.smoke):
        print(("    " if is_usable else "    MISSING  ") + line)
        is_complete = is_complete and is_usable
    problems = import_problems()
    for line in problems:
        print(f"    MISSING  {line}")
    return int(not is_complete or bool(problems))


def write_synthetic(
    folder: Path, sentences: int, topic_share: float = TOPIC_SHARE, seed: int = 1
) -> tuple[Path, Path]:
    """Write a corpus of topics and word pairs that score 1 within a topic and 0 across; return both files."""
    import numpy as np

    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, TOPIC_WORDS + 1)  # Zipf
    topic_S = rng.integers(TOPICS, size=sentences)
    word_SW = rng.choice(TOPIC_WORDS, size=(sentences, SENTENCE_WORDS), p=shares / shares.sum())
    is_topical_SW = rng.random(word_SW.shape) < topic_share
    topic_SW = np.where(is_topical_SW, topic_S[:, None], rng.integers(TOPICS, size=word_SW.shape))
    words = np.array([f"t{topic}w{word}" for topic in range(TOPICS) for word in range(TOPIC_WORDS)])
    corpus, pairs = folder / "synthetic.txt", folder / "synthetic-pairs.tsv"
    with corpus.open("w") as file:
        for start in range(0, sentences, 10_000):
            block = slice(start, start + 10_000)
            lines = words[topic_SW[block] * TOPIC_WORDS + word_SW[block]].tolist()
            file.writelines(" ".join(line) + "\n" for line in lines)
    rows = []
    for number in range(400):
        topic, other = rng.choice(TOPICS, size=2, replace=False)
        first, second = rng.choice(TOPIC_WORDS, size=2, replace=False)
        is_same = number % 2
        rows.append(f"t{topic}w{first}\tt{topic if is_same else other}w{second}\t{is_same}\n")
    pairs.write_text("".join(rows))
    return corpus, pairs


def benchmark(options: argparse.Namespace) -> int:
    """Print a table of words/s and Spearman's rho for each backend; return 1 if quality is missing."""
    import nlpseq as ns
    from nlpseq.core.resources import available_cores
    from nlpseq.evaluation.word_pairs import evaluate_pairs, read_pairs

    sentences = 3_000 if options.smoke else 200_000
    synthetic = write_synthetic(options.folder, sentences)
    corpus, pair_files = options.corpus or synthetic[0], options.pairs or [synthetic[1]]
    text = ns.TextConfig(tokenizer="whitespace", min_count=5)
    data = ns.preprocess(ns.open_corpus(corpus), text, options.folder / "corpus.tokens", force=True)
    pairs = [(file, read_pairs(file).pairs) for file in pair_files]
    backends = ["numpy"] if options.smoke else ["cupy", "numpy"]
    dim = 32 if options.smoke else 100
    print(f"{data.num_tokens:,} tokens, {len(data.vocab):,} words, {options.epochs} epochs, {dim} dimensions")
    titles = ["skip-gram", "words/s", "seconds", *(f"Spearman x 100, {file.name}" for file, _ in pairs)]
    print(f"| {' | '.join(titles)} |")
    print("| --- | ---: | ---: |" + " ---: |" * len(pairs))
    is_valid = True
    for backend in backends:
        config = ns.Word2VecConfig(dim=dim, epochs=options.epochs, backend=backend, kernel="fused")
        with_one_epoch = ns.Word2VecConfig(dim=dim, epochs=1, backend=backend, kernel="fused")
        ns.train_word2vec(_small(ns, options.folder, text), with_one_epoch)  # compiles the kernel
        started = time.perf_counter()
        vectors = ns.train_word2vec(data, config)
        spent = time.perf_counter() - started
        found = [evaluate_pairs(vectors, rows).spearman for _, rows in pairs]
        is_valid = is_valid and all(value == value for value in found)  # NaN: too few known pairs
        name = "CUDA kernel" if backend == "cupy" else f"CPU kernel, {available_cores()} cores"
        words = f"{data.num_tokens * options.epochs / spent:,.0f}"
        print(
            f"| {name} | {words} | {spent:.1f} | {' | '.join(f'{100 * value:.1f}' for value in found)} |",
            flush=True,
        )
    if not is_valid:
        print("The corpus has too few of the pairs' words. Give pairs that fit it with --pairs.")
    return int(not is_valid)


def _small(ns: Any, folder: Path, text: Any) -> Any:
    """Return a dataset of a few sentences."""
    place = folder / "small"
    place.mkdir(exist_ok=True)
    corpus, _ = write_synthetic(place, 500)
    return ns.preprocess(ns.open_corpus(corpus), text, place / "small.tokens", force=True)


def main(arguments: list[str] | None = None) -> int:
    """Run a step of check.sh."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for run in (packages, benchmark):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--smoke", action="store_true")
    command.add_argument("--folder", type=Path, required=True)
    command.add_argument("--corpus", type=Path)
    command.add_argument("--pairs", type=Path, action="append")
    command.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
