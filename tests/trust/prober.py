"""Read files in a child process, because a hostile file may end the process.

Input is a kind of file and a path a line. Output is a line of JSON: `digest` of the content read, `refused`
with the error message and exit `code`, or `broke` with a traceback; and `mb`, the growth of memory.
"""

import hashlib
import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAX_CPU_S = 20  # of a read, but for the first of a kind, which loads libraries
MAX_WALL_S = 120.0  # generous because a loaded machine is slow
NEVER = 1e9  # s between checkpoints, because one would overwrite the file under test
MAX_ADDRESS_BYTES = 4 << 30  # because torch alone takes more than 1 GiB

Answer = dict[str, Any]


def read_tokens(path: Path) -> bytes:
    from nlpseq.dataset.token_dataset import TokenDataset

    data = TokenDataset.open(path)
    train = data.split("train")
    return train.sentences.tobytes() + data.tokens.tobytes() + "\n".join(data.vocab.words).encode()


def read_counts(path: Path) -> bytes:
    from nlpseq.counts.cooccurrence import Cooccurrence

    counts = Cooccurrence.load(path)
    sums = counts.matrix.sum(axis=0)
    return sums.tobytes() + "\n".join(counts.vocab.words).encode("utf-8", "surrogatepass")


def read_vectors(path: Path) -> bytes:
    import numpy as np

    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(path)
    if len(vectors.vocab):
        vectors.neighbors(vectors.vocab.words[0], top=3)
        vectors.find_words("unseen")
    dense = vectors.matrix.toarray() if vectors.is_sparse else np.asarray(vectors.matrix)
    assert np.isfinite(dense).all() and len(dense) == len(vectors.vocab.words)
    rows = b"" if vectors.subwords is None else np.asarray(vectors.subwords.rows_BD).tobytes()
    texts = [*vectors.vocab.words, *vectors.meta.get("notices", [])]
    return dense.tobytes() + rows + "\n".join(texts).encode("utf-8", "surrogatepass")


def read_lm(path: Path) -> bytes:
    from nlpseq.lm.checkpoint import Checkpoint
    from nlpseq.lm.language_model import LanguageModel

    model = LanguageModel.from_checkpoint(path, Checkpoint.load(path))
    return model.score("the cat").log_probs.tobytes()


def read_run(path: Path) -> bytes:
    from nlpseq.word2vec.checkpoint import load_checkpoint

    run = load_checkpoint(path.parent)
    weights = [*run.weights, *(mean for mean in run.means or () if mean is not None)]
    return repr((run.config, run.state)).encode() + b"".join(weight.tobytes() for weight in weights)


def read_glove(path: Path) -> bytes:
    from nlpseq.counts.glove_checkpoint import load_checkpoint

    run = load_checkpoint(path.parent)
    return repr((run.config, run.state)).encode() + b"".join(weight.tobytes() for weight in run.weights)


def read_resumed_run(path: Path) -> bytes:
    """Resume a copy of the run, and return what it learned."""
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.word2vec.train import resume_word2vec

    run = path.parent
    data = TokenDataset.open(run.parent / {"further.w2v": "further.tokens"}.get(run.name, "a.tokens"))
    with copied_run(path) as config:
        return resume_word2vec(config, data).matrix.tobytes()


def read_resumed_glove(path: Path) -> bytes:
    from nlpseq.counts.cooccurrence import Cooccurrence
    from nlpseq.counts.glove import resume_glove

    counts = Cooccurrence.load(path.parent.parent / "a.counts")
    with copied_run(path) as config:
        return resume_glove(config, counts).matrix.tobytes()


def read_resumed_lm(path: Path) -> bytes:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.lm.train import resume_lm

    data = TokenDataset.open(path.parent.parent / "a.tokens")
    with copied_run(path) as config:
        model = resume_lm(config, data)
    return b"".join(weight.detach().numpy().tobytes() for weight in model.model.parameters())


@contextmanager
def copied_run(checkpoint: Path) -> Iterator[Any]:
    """Copy the run of a checkpoint, because a complete run has no checkpoint any more."""
    from nlpseq.training.checkpoint import CheckpointConfig

    run = checkpoint.parent
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(run, Path(folder, run.name))
        yield CheckpointConfig(path=copy, every=NEVER)


def read_text(path: Path) -> bytes:
    from nlpseq.config import TextConfig
    from nlpseq.reading.corpus import ReadReport, open_corpus

    digest = hashlib.sha256()
    for block in open_corpus(path).blocks(TextConfig(), ReadReport()):
        digest.update(block.data)
    return digest.digest()


def read_pairs(path: Path) -> bytes:
    from nlpseq.evaluation import word_pairs as pairs

    return repr(pairs.read_pairs(path)).encode()


def read_analogies(path: Path) -> bytes:
    from nlpseq.evaluation import analogies

    return repr(analogies.read_analogies(path)).encode()


READERS: dict[str, Callable[[Path], bytes]] = {
    name.removeprefix("read_"): reader for name, reader in globals().items() if name.startswith("read_")
}


class Prober:
    """The child process, restarted after it ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._read = set[str]()

    def read(self, kind: str, path: Path) -> Answer:
        """Read a file; read the first of a kind twice, because the first loads libraries."""
        if self._child is None:
            self._read = set()
        if kind not in self._read:
            self._read.add(kind)
            self._ask(kind, path)
        return self._ask(kind, path)

    def _ask(self, kind: str, path: Path) -> Answer:
        child = self._child or self._start()
        assert child.stdin is not None and child.stdout is not None
        clock = threading.Timer(MAX_WALL_S, child.kill)
        clock.start()
        print(kind, path, file=child.stdin, flush=True)
        line = child.stdout.readline()
        clock.cancel()
        if line:
            answer: Answer = json.loads(line)
            return answer
        self.close()
        limits = f"{MAX_CPU_S} s of processor time or {MAX_WALL_S:g} s"
        return {"broke": f"the process ended with {child.returncode}, perhaps after {limits}"}

    def close(self) -> None:
        if self._child is not None:
            self._child.communicate()
            self._child = None

    def _start(self) -> subprocess.Popen[str]:
        self._child = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self._child


def answer(kind: str, path: Path) -> Answer:
    """Read a file in this process."""
    from nlpseq.errors import NlpseqError

    Path("/proc/self/clear_refs").write_text("5")  # resets the peak of memory
    before = peak_mb()
    try:
        found: Answer = {"digest": hashlib.sha256(READERS[kind](path)).hexdigest()}
    except NlpseqError as error:
        found = {"refused": str(error), "code": error.exit_code}
    except Exception:
        found = {"broke": traceback.format_exc()}
    return found | {"mb": peak_mb() - before}


def limit_cpu(seconds: int) -> None:
    """Let the kernel end this process by SIGXCPU after more seconds of processor time; 0: no limit."""
    soft = math.ceil(time.process_time()) + seconds if seconds else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def peak_mb() -> float:
    """Return the peak memory of this process, without the parent that getrusage includes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    warnings.simplefilter("ignore")  # NumPy's about headers of Python 2
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    loaded = set[str]()
    for line in sys.stdin:
        kind, _, path = line.rstrip("\n").partition(" ")
        limit_cpu(MAX_CPU_S if kind in loaded else 0)
        print(json.dumps(answer(kind, Path(path))), flush=True)
        loaded.add(kind)


if __name__ == "__main__":
    main()
