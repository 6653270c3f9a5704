"""Join two vocabularies and choose the rows of a start in plain Python: the specification."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import SPECIALS

Entries = list[tuple[str, int]]


def join(earlier: Entries, text: Sequence[str], min_count: int, max_vocab: int | None) -> Entries:
    """Return the joint words and counts.

    earlier: words and counts, -1 if unknown. text: tokens of the new text.
    """
    counts = Counter(text)
    known = {word for word, _ in earlier}
    new = [
        (word, count)
        for word, count in counts.items()
        if word not in known and word not in SPECIALS and count >= min_count
    ]
    old = [
        (word, count + counts[word] if count >= 0 else -1) for word, count in earlier if word not in SPECIALS
    ]

    def by_count(entry: tuple[str, int]) -> tuple[int, str]:
        return -entry[1], entry[0]

    uncounted = [entry for entry in old if entry[1] < 0]
    counted = [entry for entry in old + new if entry[1] >= 0]
    return (uncounted + sorted(counted, key=by_count))[:max_vocab]


def start_rows(
    words: Sequence[str],
    vectors: Mapping[str, npt.NDArray[np.float32]],
    contexts: Mapping[str, npt.NDArray[np.float32]],
    random_VD: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the inputs and outputs with which training of the joint words begins.

    vectors, contexts: of the start. A word without a vector, or with a vector of zeros, begins at random_VD,
    and a word without an output at zeros.
    """
    in_VD, out_VD = random_VD.copy(), np.zeros_like(random_VD)
    for v, word in enumerate(words):
        if word in vectors and vectors[word].any():
            in_VD[v] = vectors[word]
        if word in contexts:
            out_VD[v] = contexts[word]
    return in_VD, out_VD
