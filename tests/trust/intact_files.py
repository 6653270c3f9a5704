"""Make the smallest result of every kind and file of every format, and change them."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from prober import Answer, Prober
from reference import fasttext
from support.lm_models import save_tiny_model
from support.results import seal_tree

import nlpseq as ns
from nlpseq.config import CooccurrenceConfig, GloveConfig, LMConfig, Ngrams, TextConfig
from nlpseq.counts.cooccurrence import Cooccurrence, count_cooccurrences
from nlpseq.counts.glove import train_glove
from nlpseq.counts.ppmi import ppmi
from nlpseq.lm.train import train_lm
from nlpseq.storage.manifest import MANIFEST
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.vectors.compact_matrix import COMPACT_DTYPES
from nlpseq.vectors.folder import LastWeights
from nlpseq.vectors.formats.registry import write_vectors
from nlpseq.vectors.shrink import shrink
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.start import Start
from nlpseq.word2vec.train import train_word2vec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "the cat sat on a mat\nthe dog sat on the cat\na mat is on the dog\n"
COUNTING = TextConfig(tokenizer="whitespace", min_count=1, valid_share=0.3)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}

RESULTS = {
    "tokens": ("a.tokens",),
    "counts": ("a.counts",),
    "vectors": ("a.w2v", "int8.w2v", "float16.w2v", "explicit.w2v", "subwords.w2v"),
    "run": ("half.w2v/checkpoint", "further.w2v/checkpoint"),
    "glove": ("half.glove/checkpoint",),
    "lm": ("a.lm", "half.lm/checkpoint"),
}
RUNS = {
    "resumed_run": ("half.w2v/checkpoint", "further.w2v/checkpoint"),
    "resumed_glove": ("half.glove/checkpoint",),
    "resumed_lm": ("half.lm/checkpoint",),
}
FORMAT_NAMES = ("vec", "txt", "bin", "npy", "tsv")
FASTTEXT_NAMES = ("fasttext.bin", "fasttext.bin.gz", "quantized.bin")
FORMATS = {
    "vectors": (*(f"a.{name}{ending}" for name in FORMAT_NAMES for ending in ("", ".gz")), *FASTTEXT_NAMES),
    "text": tuple(f"text.{name}" for name in PACKERS),
    "pairs": ("pairs.tsv", "pairs.csv"),
    "analogies": ("analogies.txt",),
}
KINDS = {name: kind for kinds in (RESULTS, FORMATS) for kind, names in kinds.items() for name in names}

REFUSED = (4, 5)  # exit codes of DataError and ArtifactError
MAX_MB = 200.0


def make_sound(folder: Path) -> Path:
    """Fill a folder with everything named in KINDS."""
    (folder / "corpus.txt").write_text(TEXT)
    data = ns.preprocess(ns.open_corpus(folder / "corpus.txt"), COUNTING, folder / "a.tokens")
    counts = count_cooccurrences(data.split("train"), CooccurrenceConfig(window=2))
    counts.save(folder / "a.counts")
    ppmi(counts).save(folder / "explicit.w2v")
    vocab = ns.Vocab(["the", "cat", "mat"], np.array([3, 2, 1]))
    matrix = np.array([[0.5, -1], [2, 3], [1, 0.25]], np.float32)
    vectors = Vectors(vocab, matrix, matrix * 2)
    vectors.save(folder / "a.w2v")
    for dtype in COMPACT_DTYPES:
        shrink(vectors, dtype=dtype).save(folder / f"{dtype}.w2v")
    rows = np.array([[1, 2], [-3, 0.5]], np.float32)
    subwords = SubwordVectors(rows, Ngrams(3, 4))
    last = LastWeights(np.append(matrix, rows, axis=0), matrix, np.array([9.0, 4.0, 0.0]))
    whole = Vectors(vocab, matrix, matrix * 2, subwords=subwords, last=last)
    whole.save(folder / "subwords.w2v")
    for name in FASTTEXT_NAMES[:2]:
        whole.write(folder / name, "fasttext")
    (folder / FASTTEXT_NAMES[2]).write_bytes(fasttext.quantized_content())
    save_tiny_model(folder / "a.lm", hidden=2, dim=2)
    _begin_runs(folder, data, counts)
    for name in FORMAT_NAMES:
        for ending in ("", ".gz"):
            write_vectors(folder / f"a.{name}{ending}", vocab, matrix)
    (folder / "pairs.tsv").write_text("cat\tdog\t7.5\nmat\tthe\t1\n")
    (folder / "pairs.csv").write_text('word 1,word 2,score\n"cat","dog",7.5\nmat,the,1\n')
    (folder / "analogies.txt").write_text(": family\nking queen man woman\n: gram1\na b c d\n")
    for name, pack in PACKERS.items():
        (folder / f"text.{name}").write_bytes(pack(TEXT.encode()))
    return folder


def _begin_runs(folder: Path, data: ns.TokenDataset, counts: Cooccurrence) -> None:
    """Start training runs and stop each at once, a language model after one validation."""

    def run(name: str) -> CheckpointConfig:
        return CheckpointConfig(path=folder / name, should_stop=lambda: True)

    word2vec = ns.Word2VecConfig(dim=2, window=2, negatives=3, threads=1)
    train_word2vec(data, word2vec, checkpoint=run("half.w2v"))
    with_ngrams = replace(word2vec, subwords="3:4", buckets=2)
    start = Start(train_word2vec(data, with_ngrams))
    further = ns.preprocess(
        ["the dog sat\nand ran\n"], COUNTING, folder / "further.tokens", start=start.vectors.vocab
    )
    train_word2vec(further, with_ngrams, start=start, checkpoint=run("further.w2v"))
    train_glove(counts, GloveConfig(dim=2, epochs=3, threads=1), checkpoint=run("half.glove"))
    settings = {"hidden": 2, "dim": 2, "batch_size": 2, "bptt": 3, "epochs": 4, "validate_every": 0.1}
    train_lm(data, LMConfig(**settings, threads=1, precision="fp32", device="cpu"), checkpoint=run("half.lm"))


class replaced:
    """The temporary replacement of the content of a file."""

    def __init__(self, file: Path, content: bytes) -> None:
        self._file, self._content, self._sound = file, content, file.read_bytes()

    def __enter__(self) -> None:
        self._file.write_bytes(self._content)

    def __exit__(self, *_: object) -> None:
        self._file.write_bytes(self._sound)


def resealed(prober: Prober, kind: str, path: Path) -> Answer:
    """Read a folder under a new manifest of its changed files."""
    manifest = path / MANIFEST
    if not manifest.exists():
        return prober.read(kind, path)
    with replaced(manifest, manifest.read_bytes()):
        seal_tree(path)
        return prober.read(kind, path)


def check(answer: Answer, name: str, sound: str | None = None) -> None:
    """Assert refusal by name, or a content with the digest `sound`, if given."""
    assert "broke" not in answer, answer["broke"]
    assert answer["mb"] < MAX_MB, f"memory grew by {answer['mb']:.0f} MB"
    if "refused" in answer:
        is_of_a_run = answer["refused"].startswith("training diverged: ")
        assert answer["code"] in REFUSED or is_of_a_run, answer
        assert name.removesuffix("/checkpoint") in answer["refused"], answer["refused"]
        assert answer["refused"].count(". ") >= 1, f"no fix: {answer['refused']}"
    elif sound is not None:
        assert answer["digest"] == sound, "corrupt content was read as valid"
