"""Write the bytes of fastText's models number by number: the specification of vectors/formats/fasttext.py.

After saveModel, Dictionary::save, QuantMatrix::save and ProductQuantizer::save of fastText (src/, MIT).
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from reference.subwords import fnv1a, ngrams

WORDS = ("</s>", "강아지", "👩‍👩‍👧", "the", "a", "café", "𐍈")
UNSEEN = ("강아지들", "unseen", "🙂🙂")
DIM, BUCKETS, MINN, MAXN = 5, 11, 2, 4


class Model(NamedTuple):
    """The numbers of a model before they are written."""

    words: Sequence[str]
    own: np.ndarray
    buckets: np.ndarray
    output: np.ndarray
    minn: int = MINN
    maxn: int = MAXN

    def vector(self, word: str) -> np.ndarray:
        """Return the mean of the rows of a word."""
        rows = [self.own[self.words.index(word)]] if word in self.words else []
        if len(self.buckets) and self.maxn:
            found = ngrams(word, self.minn, self.maxn)
            rows += [self.buckets[fnv1a(ngram) % len(self.buckets)] for ngram in found]
        return np.mean(np.array(rows, np.float64), axis=0)


def random_model(seed: int = 1, words: Sequence[str] = WORDS, buckets: int = BUCKETS) -> Model:
    draw = np.random.default_rng(seed).normal
    sizes = (len(words), buckets, len(words))
    return Model(words, *(draw(size=(size, DIM)).astype(np.float32) for size in sizes))


def content(
    model: Model,
    *,
    version: int = 12,
    kind: int = 2,
    loss: int = 2,
    labels: Sequence[str] = (),
    pruned: Sequence[tuple[int, int]] | None = None,
    matrix: bytes | None = None,
    **forged: int,
) -> bytes:
    """Return the file; kind: 1 cbow, 2 skip-gram, 3 supervised. matrix: the input, quantized.

    forged: numbers to write in place of the numbers of the model, by name.
    """
    num_words, num_labels = len(model.words), len(labels)
    numbers = {
        "dim": DIM, "ws": 3, "epoch": 4, "minCount": 2, "neg": 6, "wordNgrams": 1, "loss": loss,
        "model": kind, "bucket": len(model.buckets), "minn": model.minn, "maxn": model.maxn,
        "lrUpdateRate": 100,
        "entries": num_words + num_labels, "words": num_words, "num_labels": num_labels,
        "tokens": 100, "num_pruned": -1 if pruned is None else len(pruned),
        "rows": num_words + len(model.buckets), "columns": DIM, "quantized": matrix is not None,
        "outputs": num_labels if kind == 3 else num_words, "count": 3, "type": 0,
    } | forged  # fmt: skip
    of = numbers.__getitem__
    names = list(numbers)[:12]
    parts = [struct.pack("<2i", 793712314, version), *(struct.pack("<i", of(name)) for name in names)]
    parts += [struct.pack("<d", 1e-4), struct.pack("<3i", of("entries"), of("words"), of("num_labels"))]
    parts += [struct.pack("<2q", of("tokens"), of("num_pruned"))]
    for place, word in enumerate(model.words):
        parts.append(word.encode("utf-8", "surrogateescape") + b"\0")
        parts.append(struct.pack("<qb", of("count") + num_words - place, of("type")))
    for label in labels:
        parts.append(f"__label__{label}".encode() + b"\0" + struct.pack("<qb", 9, 1))
    parts += [struct.pack("<2i", *pair) for pair in pruned or ()]
    parts.append(struct.pack("<B", of("quantized")))
    dense = np.concatenate([model.own, model.buckets]).tobytes()
    parts.append(struct.pack("<2q", of("rows"), of("columns")) + dense if matrix is None else matrix)
    parts.append(b"\0" + struct.pack("<2q", of("outputs"), DIM))
    outputs = model.output[: num_labels if kind == 3 else num_words]
    return b"".join([*parts, outputs.tobytes()])


def quantized(rows: int, part: int, seed: int = 1, *, norms: bool = False) -> tuple[bytes, np.ndarray]:
    """Return a quantized matrix of random codes and centroids, and the rows that it stands for."""
    chance = np.random.default_rng(seed)
    num_parts = -(-DIM // part)
    last = DIM - (num_parts - 1) * part
    codes = chance.integers(0, 256, (rows, num_parts), np.uint8)
    centroids = [chance.normal(size=(256, part)).astype(np.float32) for _ in range(num_parts - 1)]
    centroids.append(chance.normal(size=(256, last)).astype(np.float32))
    written = b"".join(each.tobytes() for each in centroids)
    stored = struct.pack("<B2qi", norms, rows, DIM, codes.size) + codes.tobytes()
    stored += struct.pack("<4i", DIM, num_parts, part, last) + written
    found = np.array([np.concatenate([centroids[p][code] for p, code in enumerate(row)]) for row in codes])
    if not norms:
        return stored, found
    norm_codes = chance.integers(0, 256, rows, np.uint8)
    norm_centroids = chance.normal(size=256).astype(np.float32)
    stored += norm_codes.tobytes() + struct.pack("<4i", 1, 1, 1, 1) + norm_centroids.tobytes()
    return stored, found * norm_centroids[norm_codes][:, None]


def quantized_content() -> bytes:
    """Return a small supervised model with quantized vectors and pruned n-grams."""
    matrix, _ = quantized(len(WORDS) + 2, 3, norms=True)
    return content(random_model(), kind=3, loss=3, labels=("x",), matrix=matrix, pruned=[(4, 1), (7, 0)])
