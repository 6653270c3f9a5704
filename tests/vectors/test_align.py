"""Alignment recovers a rotation, equals SciPy's, and finds the word with a changed use first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import csr_array
from scipy.stats import ortho_group
from support.vocabularies import vocab_of
from support.word2vec_runs import GROUPS, encode, sentences

import nlpseq as ns
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError
from nlpseq.vectors.align import moved_words, shared_words
from nlpseq.vectors.vectors import Vectors

D = 5
A_WORDS, B_WORDS = [f"w{v}" for v in range(40)], [f"w{v}" for v in range(45, 5, -1)]  # 34 in common


def model(words: list[str], seed: int, counts: Any = None) -> Vectors:
    matrix = np.random.default_rng(seed).normal(size=(len(words), D)).astype(np.float32)
    counts = np.arange(len(words), 0, -1) if counts is None else np.array(counts)
    return Vectors(Vocab(words, counts), matrix, matrix[::-1].copy(), {"seed": seed})


def rotated_copy(a: Vectors, words: list[str]) -> tuple[Vectors, Any]:
    """Return vectors of other words, with the vectors of `a` for shared words, all rotated."""
    rotation = ortho_group.rvs(D, random_state=3)
    b = model(words, 9)
    for n, word in enumerate(words):
        if word in a:
            b.matrix[n] = a[word]
    b.matrix[:] = b.matrix @ rotation
    return b, rotation


def test_align_undoes_a_rotation() -> None:
    a = model(A_WORDS, 1)
    b, rotation = rotated_copy(a, B_WORDS)
    aligned = ns.align(a, b)
    np.testing.assert_allclose(aligned.matrix, b.matrix @ rotation.T, atol=1e-5)
    np.testing.assert_allclose(aligned["w20"], a["w20"], atol=1e-5)
    found = aligned.meta["alignment"]
    assert found["anchors"] == 34 and found["mean_cosine_after"] == pytest.approx(1, abs=1e-6)
    assert found["mean_cosine_before"] < 0.9 and aligned.meta["seed"] == 9 and "alignment" not in b.meta


def test_words_without_a_vector_in_one_model_are_not_shared() -> None:
    a, b = model(A_WORDS, 1), model(B_WORDS, 2)
    a.matrix[A_WORDS.index("w20")] = 0
    b.matrix[B_WORDS.index("w21")] = 0
    b.vocab.counts[B_WORDS.index("w22")] = 0
    left = {word for word in A_WORDS if word in b} - set(shared_words(a, b).words)
    assert left == {"w20", "w21", "w22"}


def test_rotation_equals_scipy_and_keeps_cosines() -> None:
    a, b = model(A_WORDS, 1), model(B_WORDS, 2)
    aligned = ns.align(a, b)
    words = [word for word in A_WORDS if word in b]
    units = [each.rows([each.vocab.ids[word] for word in words]) for each in (a, b)]
    expected, _ = orthogonal_procrustes(units[1], units[0])
    np.testing.assert_allclose(aligned.matrix, b.matrix @ expected, atol=1e-5)
    np.testing.assert_allclose(aligned.unit @ aligned.unit.T, b.unit @ b.unit.T, atol=1e-5)
    assert b.contexts is not None and aligned.contexts is not None
    np.testing.assert_allclose(aligned.matrix @ aligned.contexts.T, b.matrix @ b.contexts.T, atol=1e-4)
    cosines = [(units[0] * other).sum(axis=1).mean() for other in (units[1], units[1] @ expected)]
    found = aligned.meta["alignment"]
    assert [found["mean_cosine_before"], found["mean_cosine_after"]] == pytest.approx(cosines, abs=1e-6)
    assert found["mean_cosine_after"] > found["mean_cosine_before"]


def test_anchors_determine_the_rotation() -> None:
    a = model(A_WORDS, 1)
    b, _ = rotated_copy(a, B_WORDS)
    anchors = [f"w{v}" for v in range(10, 20)]
    for word in set(B_WORDS) - set(anchors):  # no word but the anchors fits
        b.matrix[b.vocab.ids[word]] *= -1
    aligned = ns.align(a, b, [*anchors, "w10", "w1", "zebra"])
    assert all(np.allclose(aligned[word], a[word], atol=1e-5) for word in anchors)
    found = aligned.meta["alignment"]
    assert (found["anchors"], found["left_out"]) == (10, ["w1", "zebra"])


def test_shared_words_are_ordered_by_the_smaller_count() -> None:
    a, b = model(["a", "b", "c", "d"], 1, [9, 8, 7, 6]), model(["d", "x", "b", "a"], 2, [50, 40, 7, 5])
    shared = shared_words(a, b)
    assert (shared.words, shared.a_N.tolist(), shared.b_N.tolist()) == (["b", "d", "a"], [1, 3, 0], [2, 0, 3])
    unknown = Vectors(Vocab(b.vocab.words, [-1] * 4), b.matrix)
    assert shared_words(a, unknown).words == ["b", "a", "d"], "by the later place"
    zeros = Vectors(a.vocab, a.matrix * np.array([[1], [0], [1], [1]], np.float32))
    assert shared_words(zeros, b).words == ["d", "a"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            Vectors(vocab_of(A_WORDS), np.ones((40, 3), np.float32)),
            "have 5 and 3 dimensions, .* --dim",
        ),
        (
            Vectors(vocab_of(A_WORDS), csr_array(np.eye(40, dtype=np.float32))),
            "sparse PPMI .* ppmi-svd",
        ),
        (model(["w1", "w2", "w3", "w4", "x"], 2), "4 words with vectors in both .* rotation of 5 dimensions"),
    ],
)
def test_models_that_do_not_fit_are_refused(other: Vectors, message: str) -> None:
    for call in (ns.align, lambda a, b: moved_words(a, b, 3, 1)):
        with pytest.raises(DataError, match=message):
            call(model(A_WORDS, 1), other)


def test_moved_words_are_frequent_in_both() -> None:
    a = model(A_WORDS, 1, [100] * 10 + [4] * 30)
    b, _ = rotated_copy(a, A_WORDS)
    b.vocab.counts[:] = [100] * 8 + [4] * 32
    for word in ("w3", "w9", "w20"):
        b.matrix[b.vocab.ids[word]] *= -1
    assert moved_words(a, b, 40, 50)[0][0] == "w3" and len(moved_words(a, b, 40, 50)) == 8
    lowest = moved_words(a, b, 3, 4)
    assert {word for word, _ in lowest} == {"w3", "w9", "w20"} and lowest[0][1] <= lowest[2][1] < 0
    with pytest.raises(DataError, match=r"no word that occurs 101 times in both\. Lower --min-frequency"):
        moved_words(a, b, 3, 101)
    b.vocab.counts[:] = -1
    assert len(moved_words(a, b, 40, 50)) == 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_word_with_a_changed_use_moved_most(tmp_path: Path, seed: int) -> None:
    """Let owl be a day in the second text."""
    old, new = sentences(1000), sentences(1000, seed)
    new = new.replace("owl", "pig").replace("sunday", "owl")
    assert "owl" in GROUPS["animals"] and "sunday" in GROUPS["days"]
    settings = {"dim": 6, "window": 2, "negatives": 3, "subsample": 0, "threads": 1, "epochs": 5}
    a, b = (ns.train_word2vec(encode(tmp_path, text), **settings) for text in (old, new))
    (first, cosine), (_, second), *_ = moved_words(a, b, 5)
    assert first == "owl" and cosine < second - 0.2
    assert ns.align(a, b).neighbors("owl", 1)[0][0] in {
        "monday",
        "tuesday",
        "friday",
        "days0",
        "days1",
        "days2",
    }


def test_aligned_folder_tells_its_provenance(tmp_path: Path) -> None:
    a, b = model(A_WORDS, 1), model(B_WORDS, 2)
    aligned = ns.align(a, b)
    aligned.save(tmp_path / "c.w2v")
    loaded = Vectors.load(tmp_path / "c.w2v")
    assert loaded.meta["alignment"] == aligned.meta["alignment"]
    assert loaded.meta["alignment"]["vocab_digest"] == a.vocab.digest
    assert np.array_equal(loaded.matrix, aligned.matrix)
