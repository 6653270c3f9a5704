"""The overlap of neighbors equals plain neighbor queries."""

import numpy as np
import pytest
from support.random_vectors import random_model

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError
from nlpseq.evaluation.neighbor_overlap import neighbor_overlap
from nlpseq.vectors.vectors import Vectors


def test_overlap_leaves_out_words_not_in_the_text():
    a, b = random_model(40), random_model(40, seed=1)
    counts = np.where(np.arange(40) % 4 == 0, 0, 5)
    kept = counts > 0
    words = [word for word, is_kept in zip(a.vocab.words, kept, strict=True) if is_kept]
    small = [Vectors(Vocab(words, counts[kept]), each.matrix[kept]) for each in (a, b)]
    unseen = Vectors(Vocab(b.vocab.words, counts), b.matrix)
    assert neighbor_overlap(a, unseen, 3) == neighbor_overlap(*small, 3) != neighbor_overlap(a, b, 3)


def test_neighbor_overlap_matches_plain_queries():
    a, b = random_model(40), random_model(60, seed=1)
    mine = [{word for word, _ in a.neighbors(f"w{v}", 3)} for v in range(20)]
    inside = Vectors(Vocab(b.vocab.words[:40], b.vocab.counts[:40]), b.matrix[:40])
    theirs = [{word for word, _ in inside.neighbors(f"w{v}", 3)} for v in range(20)]
    expected = np.mean([len(x & y) / 3 for x, y in zip(mine, theirs, strict=True)])
    assert neighbor_overlap(a, b, 3, 20) == pytest.approx(expected) and 0 < expected < 1
    assert neighbor_overlap(a, a, 3) == 1
    with pytest.raises(DataError, match="the models: share 40 words, too few"):
        neighbor_overlap(a, b, 40)
