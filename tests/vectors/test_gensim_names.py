"""The names of gensim give gensim's figures."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.vocabularies import vocab_of

from nlpseq.errors import ConfigError, DataError, MissingExtra, UnknownWord
from nlpseq.vectors.vectors import Vectors

WORDS = [f"w{v}" for v in range(60)]
MATRIX = np.random.default_rng(5).normal(size=(60, 20)).astype(np.float32)


@pytest.fixture
def vectors() -> Vectors:
    return Vectors(vocab_of(WORDS), MATRIX)


@pytest.fixture
def keyed(vectors: Vectors) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("gensim.models")
        return vectors.to_gensim()


def same(ours: list[tuple[str, float]], theirs: list[tuple[str, float]]) -> bool:
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    assert dict(ours) == pytest.approx(dict(theirs), abs=1e-6)  # float32
    return True


@pytest.mark.parametrize(
    "question",
    [
        {"positive": "w3"},
        {"positive": ["w3"], "topn": 3},
        {"positive": ["w3", "w5"], "negative": ["w7"]},
        {"positive": ["w3"], "negative": "w5", "restrict_vocab": 20},
        {"positive": [("w3", 0.5), "w8"], "negative": [("w7", -2.0)]},
        {"positive": [MATRIX[3], "w8"]},
        {"positive": [3, ("w8", 2.0)], "negative": np.int64(5)},
        {"positive": MATRIX[3] * 2, "topn": 60},
        {"negative": ["w3"]},
    ],
)
def test_most_similar_equals_gensim(vectors: Vectors, keyed: Any, question: dict[str, Any]) -> None:
    assert same(vectors.most_similar(**question), keyed.most_similar(**question))


def test_other_queries_equal_gensim(vectors: Vectors, keyed: Any) -> None:
    assert same(vectors.similar_by_word("w2", 5), keyed.similar_by_word("w2", 5))
    assert same(vectors.similar_by_vector(MATRIX[1], 5, 9), keyed.similar_by_vector(MATRIX[1], 5, 9))
    for words in (["w1", "w2", "w3"], WORDS[10:20], ["w4", "unknown", "w5", "w6"]):
        assert vectors.doesnt_match(words) == keyed.doesnt_match(words)
        scores = vectors.odd_one_out([word for word in words if word in vectors])
        centrality = {word: float(score) for score, word in keyed.rank_by_centrality(words)}
        assert scores == pytest.approx(centrality, abs=1e-6)
    sets = (["w1", "w2"], ["w3", "w4", "w5", "w5"])
    assert vectors.n_similarity(*sets) == pytest.approx(float(keyed.n_similarity(*sets)), abs=1e-6)
    assert vectors.similarity("w1", "w2") == pytest.approx(float(keyed.similarity("w1", "w2")), abs=1e-6)


def test_attributes_equal_gensim(vectors: Vectors, keyed: Any) -> None:
    assert vectors.key_to_index == keyed.key_to_index
    assert vectors.index_to_key == keyed.index_to_key
    assert vectors.vector_size == keyed.vector_size == 20
    assert vectors.get_vecattr("w4", "count") == keyed.get_vecattr("w4", "count") == 56
    for norm in (False, True):
        ours, theirs = (each.get_vector("w4", norm=norm) for each in (vectors, keyed))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert [vectors.has_index_for(word) for word in ("w1", "x")] == [True, False]


def test_gensim_and_back_keeps_everything(vectors: Vectors, keyed: Any) -> None:
    again = Vectors.from_gensim(keyed)
    assert again.vocab.words == WORDS
    assert np.array_equal(again.matrix, MATRIX)
    assert again.vocab.counts.tolist() == vectors.vocab.counts.tolist()
    vectors.vocab.counts[:] = -1  # unknown
    assert Vectors.from_gensim(vectors.to_gensim()).vocab.counts.tolist() == [-1] * 60


def test_wrong_questions_are_refused(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownWord, match="'x': is not among"):
        vectors.most_similar("x")
    with pytest.raises(ConfigError, match="vector: is not 20 finite numbers, or all are 0"):
        vectors.most_similar(positive=[], negative=[])
    with pytest.raises(ConfigError, match="vector: is not 20 finite numbers"):
        vectors.similar_by_vector([np.nan] * 20)
    untrained = Vectors(vocab_of(["a", "b"]), np.eye(2, dtype=np.float32), meta={"untrained": ["b"]})
    with pytest.raises(DataError, match="'b': its vector is zero"):
        untrained.most_similar(["a", "b"])
    with pytest.raises(DataError, match="words: their vectors cancel out"):
        vectors.most_similar(["w1", "w2"], ["w2", "w1"])
    for topn in (None, 0):
        with pytest.raises(ConfigError, match=f"topn: {topn} is not a number of words"):
            vectors.most_similar("w1", topn=topn)
        with pytest.raises(ConfigError, match=f"topn: {topn} is not a number of words"):
            vectors.similar_by_vector(MATRIX[1], topn)
    with pytest.raises(ConfigError, match="words: 2 of 4 have a vector"):
        vectors.doesnt_match(["w1", "w2", "x", "y"])
    with pytest.raises(ConfigError, match="words: fewer than three"):
        vectors.doesnt_match(["w1", "w2"])
    with pytest.raises(UnknownWord, match=r"words: none of \['x'\] has a vector"):
        vectors.n_similarity(["w1"], ["x"])
    with pytest.raises(ConfigError, match="attr: 'size' is unknown"):
        vectors.get_vecattr("w1", "size")
    vectors.vocab.counts[:] = -1
    with pytest.raises(DataError, match="have no word counts"):
        vectors.get_vecattr("w1", "count")
    with pytest.raises(DataError, match="sparse PPMI matrix"):
        Vectors(vocab_of(["a"]), csr_array(np.eye(1, dtype=np.float32))).to_gensim()
    monkeypatch.setitem(__import__("sys").modules, "gensim.models", None)
    with pytest.raises(MissingExtra, match="Type: pip install gensim"):
        vectors.to_gensim()


def test_word_of_zeros_is_refused_or_left_out() -> None:
    matrix = np.array([[1, 0], [1, 1], [-1, 1], [0, 0]], np.float32)
    vectors = Vectors(vocab_of(["a", "b", "c", "zero"]), matrix)
    for question in ("zero", ["a", "zero"]):
        with pytest.raises(DataError, match="'zero': its vector is zero"):
            vectors.most_similar(question)
    assert "zero" not in dict(vectors.most_similar("a"))
    assert vectors.doesnt_match(["zero", "a", "b", "c"]) == "c"
    assert vectors.n_similarity(["a", "zero"], ["b"]) == vectors.similarity("a", "b")
    assert vectors.wmdistance(["a", "zero"], ["b"]) == vectors.wmdistance(["a"], ["b"])
    assert vectors.wmdistance(["zero"], ["b"]) == float("inf")


def test_word_movers_distance_of_known_documents() -> None:
    matrix = np.array([[1, 0], [0, 1], [-1, 0], [3, 0]], np.float32)
    vectors = Vectors(vocab_of(["a", "b", "c", "long"]), matrix)
    assert vectors.wmdistance(["a", "b"], ["b", "a", "unknown"]) == pytest.approx(0)
    assert vectors.wmdistance(["a"], ["c"]) == pytest.approx(2)
    assert vectors.wmdistance(["a"], ["b", "c"]) == pytest.approx((2**0.5 + 2) / 2)
    assert vectors.wmdistance(["a", "a", "b"], ["a"]) == pytest.approx(2**0.5 / 3)
    assert vectors.wmdistance(["long"], ["a"]) == pytest.approx(0)
    assert vectors.wmdistance(["long"], ["a"], norm=False) == pytest.approx(2)
    assert vectors.wmdistance(["unknown"], ["a"]) == float("inf")
