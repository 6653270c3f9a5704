"""Train two versions side by side and compare their arrays to the bit.

    python tests/bench/same_bits.py --base REV

Trains skip-gram, CBOW, GloVe and the language model on one thread with a fixed seed, by the revision REV and
by the working tree (or by `--head REV`), on a synthetic corpus or on `--corpus FILE`. Prints a line for each
result and exits with 1 if any differs. No digests are stored, because processors round differently.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from revisions import ROOT, checkout

TRAIN = """
import sys
from pathlib import Path
import numpy as np
import nlpseq as ns

corpus, out = ns.open_corpus(sys.argv[1]), Path(sys.argv[2])
data = ns.preprocess(corpus, ns.TextConfig(min_count=2, valid_share=0.05), out / "corpus.tokens")
arrays = {"tokens": data.tokens}
common = {"dim": 37, "epochs": 2, "threads": 1, "seed": 11}
runs = {
    "skipgram": {"objective": "skipgram"},
    "skipgram-pair": {"objective": "skipgram", "share_negatives": "pair"},
    "cbow": {"objective": "cbow"},
    "cbow-corrected": {"objective": "cbow", "cbow_update": "corrected"},
    "layers": {"objective": "skipgram", "kernel": "layers", "loss": "softmax", "epochs": 1, "dim": 5},
}
for name, settings in runs.items():
    vectors = ns.train_word2vec(data, ns.Word2VecConfig(**(common | settings)))
    arrays |= {name: vectors.matrix, f"{name}-contexts": vectors.contexts}
counts = ns.count_cooccurrences(data.split("train"), ns.CooccurrenceConfig(window=5))
vectors = ns.train_glove(counts, ns.GloveConfig(dim=37, epochs=3, threads=1, seed=11))
arrays |= {"glove": vectors.matrix, "glove-contexts": vectors.contexts}
ppmi = ns.ppmi(counts)
arrays |= {"counts": counts.matrix.data, "ppmi": ppmi.matrix.data}
arrays["svd"] = ns.train_svd(ppmi, ns.SVDConfig(dim=37, seed=11)).matrix
text = ns.TextConfig(lower=False, punctuation=True, min_count=2, valid_share=0.05)
data = ns.preprocess(corpus, text, out / "lm.tokens")
for cell in ("lstm", "gru"):
    settings = {"hidden": 24, "dim": 16, "epochs": 1, "threads": 1, "precision": "fp32", "device": "cpu"}
    model = ns.train_lm(data, ns.LMConfig(cell=cell, seed=11, **settings))
    arrays[f"lm-{cell}"] = np.array([model.perplexity(data.split("valid"))])
    model.save(out / f"{cell}.lm")
    file = (out / f"{cell}.lm" / "model.safetensors").read_bytes()
    arrays[f"lm-{cell}-weights"] = np.frombuffer(file, np.uint8)
np.savez(out / "arrays.npz", **arrays)
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True, help="revision to compare with")
    parser.add_argument("--head", help="revision to check [default: the working tree]")
    parser.add_argument("--corpus", type=Path, help="text to train on [default: 200,000 synthetic words]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nlpseq-bits-") as folder, ExitStack() as stack:
        corpus = options.corpus or write_corpus(Path(folder, "corpus.txt"))
        base = train(checkout(options.base, Path(folder), stack), corpus, Path(folder, "base"))
        tree = ROOT if options.head is None else checkout(options.head, Path(folder), stack)
        return compare(base, train(tree, corpus, Path(folder, "head")))


def write_corpus(path: Path) -> Path:
    """Write sentences of words drawn by Zipf's law; every second word depends on the word before."""
    random = np.random.default_rng(0)
    ids = np.minimum(random.zipf(1.3, 200_000), 5_000)
    follows = random.random(len(ids)) < 0.5
    ids[1:][follows[1:]] = ids[:-1][follows[1:]] * 7 % 5_000
    lines = [" ".join(f"w{i}" for i in line) for line in ids.reshape(-1, 20)]
    path.write_text("\n".join(lines) + "\n")
    return path


def train(tree: Path, corpus: Path, out: Path) -> dict[str, np.ndarray]:
    """Train everything by one version, in a new process with a new cache."""
    out.mkdir()
    environment = os.environ | {"PYTHONPATH": str(tree), "NLPSEQ_CACHE_DIR": str(out / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", TRAIN, str(corpus.resolve()), str(out)]
    subprocess.run(command, cwd=out, env=environment, check=True)
    with np.load(out / "arrays.npz") as arrays:
        return dict(arrays)


def compare(base: dict[str, np.ndarray], head: dict[str, np.ndarray]) -> int:
    """Print a line for each array; return 1 if any array differs, else 0."""
    code = 0
    for name in sorted(base.keys() | head.keys()):
        same = name in base and name in head and equal_bits(base[name], head[name])
        code |= not same
        print(f"{name:24} {'same' if same else 'DIFFERS'}")
    return code


def equal_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


if __name__ == "__main__":
    sys.exit(main())
