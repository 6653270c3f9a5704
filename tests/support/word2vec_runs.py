"""A small text of words in groups with common contexts, its encoding, and an early stop."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nlpseq.config import TextConfig, Word2VecConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.reading.corpus import open_corpus

GROUPS = {
    "animals": ["cat", "dog", "cow", "hen", "pig", "owl"],
    "days": ["monday", "tuesday", "friday", "sunday"],
}
SMALL = Word2VecConfig(dim=16, window=2, negatives=3, subsample=0, smoothing=0.75, threads=1, epochs=3)


def sentences(num: int, seed: int = 0) -> str:
    """Return sentences of one group each, so words of a group share their contexts."""
    rng = np.random.default_rng(seed)
    names = list(GROUPS)
    lines = []
    for _ in range(num):
        group = names[rng.integers(2)]
        words = [
            group + str(rng.integers(3)) if rng.random() < 0.4 else str(rng.choice(GROUPS[group]))
            for _ in range(8)
        ]
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def encode(folder: Path, text: str, **settings: object) -> TokenDataset:
    (folder / "corpus.txt").write_text(text)
    config = TextConfig(**({"min_count": 1, "tokenizer": "whitespace"} | settings))  # type: ignore[arg-type]
    return preprocess(open_corpus(folder / "corpus.txt"), config, folder / "corpus.tokens", force=True)


def stop_after(looks: int) -> Callable[[], bool]:
    """Return a should_stop: False for some looks, then True. Word2vec looks at least once an epoch."""
    count = itertools.count()
    return lambda: next(count) >= looks
