"""Answers equal the plain formulas and gensim's, and unknown words bring suggestions."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array
from support.vocabularies import vocab_of

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.queries import suggest_words
from nlpseq.vectors.vectors import Vectors

WORDS = ["king", "queen", "man", "woman", "King", "zero", "apple"]


@pytest.fixture
def vectors() -> Vectors:
    matrix = np.random.default_rng(7).normal(size=(7, 5)).astype(np.float32)
    matrix[WORDS.index("zero")] = 0
    return Vectors(vocab_of(WORDS), matrix)


def cosine(a, b) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


def ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda word: -scores[word])  # stable, so that ties stay in order of id


def row(vectors: Vectors, word: str):
    return vectors.matrix[WORDS.index(word)].astype(np.float64)


@pytest.mark.parametrize("word", [word for word in WORDS if word != "zero"])
def test_neighbors_are_ranked_by_cosine(vectors: Vectors, word: str) -> None:
    expected = {o: cosine(row(vectors, word), row(vectors, o)) for o in WORDS if o not in (word, "zero")}
    answers = vectors.neighbors(word, top=4)
    assert [answer for answer, _ in answers] == ranked(expected)[:4]
    for answer, score in answers:
        assert score == pytest.approx(expected[answer], abs=1e-6)  # float32 products


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_zero_vector_has_no_neighbors_and_is_none(form: Any) -> None:
    matrix = np.array([[1, 0], [0, 0], [0, 1], [-1, 0], [0, -3], [0, 0], [0.5, 0]], np.float32)
    vectors = Vectors(vocab_of(WORDS), form(matrix))
    assert vectors.zero_ids.tolist() == [1, 5]
    assert [word for word, _ in vectors.neighbors("king", top=7)] == ["apple", "man", "King", "woman"]
    assert {"queen", "zero"}.isdisjoint(word for word, _ in vectors.analogy("king", "man", "woman", top=7))
    with pytest.raises(DataError, match=r"'zero': its vector is zero, .* word\. Use more text, or longer"):
        vectors.neighbors("zero")
    of_a_file = Vectors(vectors.vocab, vectors.matrix, meta={"read_from": "old.vec"})
    with pytest.raises(DataError, match="'zero': has a vector of zeros in old"):
        of_a_file.neighbors("zero")
    vectors.meta["cooccurrence_config"] = {"subsample": 0.1}
    with pytest.raises(
        DataError, match=r"Use `nlpseq train-counts --subsample 0` \(it is 0\.1\), more text, or"
    ):
        vectors.neighbors("zero")


def test_word_that_is_not_in_the_text_never_answers(vectors: Vectors) -> None:
    counts = [9, 8, 0, 7, 6, 5, -1]  # -1: unknown
    vectors = Vectors(Vocab(WORDS, np.array(counts)), vectors.matrix)
    assert vectors.untrained_ids.tolist() == [WORDS.index("man"), WORDS.index("zero")]
    answers = [word for word, _ in vectors.neighbors("king", top=9)]
    assert sorted(answers) == ["King", "apple", "queen", "woman"]
    for method in ("3cosadd", "3cosmul"):
        assert len(vectors.analogy("king", "queen", "woman", top=9, method=method)) == 2
    assert np.array_equal(vectors["man"], vectors.matrix[2]), "the stored vector can be read"
    message = (
        "'man': does not occur in the text of these vectors, so its vector was never trained. Use another"
    )
    for ask in (
        lambda: vectors.neighbors("man"),
        lambda: vectors.similarity("king", "man"),
        lambda: vectors.analogy("king", "queen", "man"),
    ):
        with pytest.raises(DataError, match=message):
            ask()


def test_similarity_is_the_cosine(vectors: Vectors) -> None:
    expected = cosine(row(vectors, "king"), row(vectors, "queen"))
    assert vectors.similarity("king", "queen") == pytest.approx(expected)
    assert vectors.similarity("king", "king") == pytest.approx(1)
    assert vectors.similarity("king", "zero") == 0


def test_3cosadd_matches_formula(vectors: Vectors) -> None:
    unit = {word: row(vectors, word) / (np.linalg.norm(row(vectors, word)) or 1) for word in WORDS}
    query = unit["king"] - unit["man"] + unit["woman"]
    expected = {x: cosine(unit[x], query) for x in WORDS if x not in ("man", "king", "woman", "zero")}
    answers = vectors.analogy("man", "king", "woman")
    assert [word for word, _ in answers] == ranked(expected)
    assert dict(answers) == pytest.approx(expected, abs=1e-6)  # float32 products


def test_3cosmul_matches_formula(vectors: Vectors) -> None:
    def near(x: str, y: str) -> float:
        return (cosine(row(vectors, x), row(vectors, y)) + 1) / 2

    others = [x for x in WORDS if x not in ("man", "king", "woman", "zero")]
    expected = {x: near(x, "king") * near(x, "woman") / (near(x, "man") + 0.001) for x in others}
    answers = vectors.analogy("man", "king", "woman", method="3cosmul")
    assert [word for word, _ in answers] == ranked(expected)
    assert dict(answers) == pytest.approx(expected, rel=1e-4)  # float32 cosines over a small one


def test_analogy_finds_the_parallel_word() -> None:
    matrix = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0.2, 0.4, -1]], np.float32)
    vectors = Vectors(vocab_of(["king", "queen", "man", "woman", "fish", "x"]), matrix)
    for method in ("3cosadd", "3cosmul"):
        assert vectors.analogy("man", "king", "woman", method=method)[0][0] == "queen"
    assert [word for word, _ in vectors.analogy("man", "man", "man")].count("man") == 0
    with pytest.raises(ConfigError, match="method: '3cosdiv' is unknown"):
        vectors.analogy("man", "king", "woman", method="3cosdiv")  # type: ignore[arg-type]


def test_gensim_gives_the_same_answers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keyed_vectors = pytest.importorskip("gensim.models.keyedvectors")
        words = [f"w{v}" for v in range(60)]
        matrix = np.random.default_rng(5).normal(size=(60, 20)).astype(np.float32)
        keyed = keyed_vectors.KeyedVectors(20)
        keyed.add_vectors(words, matrix)
        vectors = Vectors(vocab_of(words), matrix)
        pairs = [(vectors.neighbors("w3"), keyed.most_similar("w3"))]
        pairs.append(
            (vectors.analogy("w1", "w2", "w3"), keyed.most_similar(positive=["w2", "w3"], negative=["w1"]))
        )
        ours = vectors.analogy("w1", "w2", "w3", method="3cosmul")
        pairs.append((ours, keyed.most_similar_cosmul(positive=["w2", "w3"], negative=["w1"])))
    for ours, theirs in pairs:
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        assert dict(ours) == pytest.approx(dict(theirs), rel=0.01)  # gensim's 3CosMul has an epsilon of 1e-6


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(2, 9), st.just(2)), elements=st.integers(-1, 1)).filter(
        lambda matrix: matrix[0].any()
    ),
    st.integers(1, 10),
)
def test_ties_are_ordered_by_id(matrix, top: int) -> None:
    vectors = Vectors(vocab_of([f"w{v}" for v in range(len(matrix))]), matrix.astype(np.float32))
    scores = vectors.unit @ vectors.unit[0]
    known = [v for v in range(1, len(matrix)) if matrix[v].any()]
    expected = sorted(known, key=lambda v: (-scores[v], v))[:top]
    assert [word for word, _ in vectors.neighbors("w0", top)] == [f"w{v}" for v in expected]


@pytest.mark.parametrize("top", [1, 2, 10, 30, 62, 63, 400, 1998, 1999, 2000])
@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_best_words_match_a_full_sort(spread: int, top: int) -> None:
    """Include ties of equal vectors, and best words with consecutive ids."""
    matrix = np.random.default_rng(spread).integers(-spread, spread + 1, (2000, 3)).astype(np.float32)
    matrix[700:740] = matrix[0] + 0.01 * np.arange(40)[:, None]
    vectors = Vectors(vocab_of([f"w{v}" for v in range(len(matrix))]), matrix)
    scores = vectors.unit @ vectors.unit[0]
    known = [v for v in range(1, len(matrix)) if matrix[v].any()]
    expected = sorted(known, key=lambda v: (-scores[v], v))[:top]
    assert [word for word, _ in vectors.neighbors("w0", top)] == [f"w{v}" for v in expected]


def test_top_larger_than_vocabulary_gives_all_words(vectors: Vectors) -> None:
    assert len(vectors.neighbors("king", top=100)) == 5
    assert Vectors(vocab_of(["alone"]), np.ones((1, 2), np.float32)).neighbors("alone") == []
    with pytest.raises(ConfigError, match="top: 0 is too small"):
        vectors.neighbors("king", top=0)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("KING", "king or King"), ("quen", "queen"), ("Woman", "woman or man"), ("aple", "apple")],
)
def test_unknown_word_brings_suggestions(vectors: Vectors, wrong: str, meant: str) -> None:
    with pytest.raises(DataError, match=rf"^'{wrong}': is not among the 7 words .* Did you mean {meant}\?$"):
        vectors.neighbors(wrong)


def test_unknown_word_without_similar_words(vectors: Vectors) -> None:
    with pytest.raises(DataError, match=r"'xylophone': is not .*\. See vocab\.tsv"):
        vectors.word_id("xylophone")


def test_suggestions_compare_a_limited_number_of_words() -> None:
    words = [f"word{v:06d}" for v in range(500)]
    assert "word000200" in suggest_words("wrod000200", words)
    assert suggest_words("wrod000200", words, max_compared=150)[0] < "word000150"
    assert suggest_words("WORD000200", words, max_compared=0) == ["word000200"]
