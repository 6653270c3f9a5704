"""Answers equal the plain formulas and gensim's, and unknown words bring suggestions."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from reference import queries as plain
from scipy.sparse import csr_array
from support.vocabularies import vocab_of

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.vectors.queries import COSINE, Limits, Question, Scoring, Space, cosmul, rank
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
    assert vectors.similarity(["king", "man"], ["queen"]) == pytest.approx(
        cosine(row(vectors, "king") + row(vectors, "man"), row(vectors, "queen"))
    )
    for pair in (("king", "zero"), (["king"], ["zero"]), (["zero", "zero"], "king")):
        with pytest.raises(DataError, match="'zero': its vector is zero"):
            vectors.similarity(*pair)
    with pytest.raises(ConfigError, match="words: are missing"):
        vectors.similarity([], "king")


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


VECTOR = hnp.arrays(np.float32, 3, elements=st.integers(-3, 3).map(float)).filter(np.any)


def equal(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> bool:
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-12)
    assert all(-1 <= score <= 1 for _, score in found)
    return True


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(2, 9), st.just(2)), elements=st.integers(-1, 1)).filter(
        lambda matrix: matrix[0].any()
    ),
    st.integers(1, 10),
)
def test_ties_are_ordered_by_id(matrix, top: int) -> None:
    rows = {f"w{v}": row.tolist() for v, row in enumerate(matrix)}
    vectors = Vectors(vocab_of([*rows]), matrix.astype(np.float32))
    expected = plain.ranked(rows, rows["w0"], {"w0"}, top)
    assert [word for word, _ in vectors.neighbors("w0", top)] == [word for word, _ in expected]


@pytest.mark.parametrize("top", [1, 2, 10, 30, 62, 63, 400, 1998, 1999, 2000])
@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_best_words_match_a_full_sort(spread: int, top: int) -> None:
    """Include ties of equal vectors, and best words with consecutive ids."""
    matrix = np.random.default_rng(spread).integers(-spread, spread + 1, (2000, 3)).astype(np.float32)
    matrix[700:740] = matrix[0] + 0.01 * np.arange(40)[:, None]
    rows = {f"w{v}": row.tolist() for v, row in enumerate(matrix)}
    expected = plain.ranked(rows, rows["w0"], {"w0"}, top)
    assert equal(Vectors(vocab_of([*rows]), matrix).neighbors("w0", top), expected)


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
    with pytest.raises(DataError, match=r"'xylophone': is not .*\. Check the spelling"):
        vectors.word_id("xylophone")


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_many_questions_equal_the_reference(form: Any) -> None:
    matrix = np.random.default_rng(3).integers(-2, 3, (301, 4)).astype(np.float32)
    words = [f"w{v}" for v in range(len(matrix))]
    rows = {word: row.tolist() for word, row in zip(words, matrix, strict=True)}
    vectors = Vectors(vocab_of(words), form(matrix))
    asked = [word for word in words if any(rows[word])]
    for top in (1, 7, 300):
        for word, found in zip(asked, vectors.neighbors_of(asked, top), strict=True):
            assert equal(found, plain.ranked(rows, rows[word], {word}, top))
    assert vectors.neighbors_of([]) == []


@pytest.mark.parametrize("form", [np.asarray, csr_array])
@pytest.mark.parametrize("scoring", [COSINE, cosmul(can_be_negative=True)])
@pytest.mark.parametrize(
    "limits", [Limits(rows=7), Limits(scores=50), Limits(questions=3), Limits(candidates=20, exact_rows=6)]
)
def test_answers_do_not_depend_on_block_sizes(limits: Limits, scoring: Scoring, form: Any) -> None:
    """Include many ties, at which the candidates exceed their limit."""
    matrix = np.random.default_rng(4).integers(-1, 2, (150, 3)).astype(np.float64)
    unit = (matrix / np.maximum(np.linalg.norm(matrix, axis=1), 1)[:, None]).astype(np.float32)
    rows, zero = form(matrix), np.flatnonzero(~matrix.any(axis=1))
    space = Space(form(unit), lambda ids: rows[ids], zero, 140)
    num_vectors = 1 if scoring is COSINE else 3
    asked = np.flatnonzero(matrix.any(axis=1))[:30].reshape(-1, num_vectors)
    questions = [Question(rows[ids], ids.tolist()) for ids in asked]
    for top in (1, 5, 200):
        assert rank(space, questions, top, scoring, limits) == rank(space, questions, top, scoring)


@given(st.lists(VECTOR, min_size=1, max_size=8), VECTOR, st.floats(1e-20, 1e20))
def test_cosine_with_itself_is_exactly_one(others, vector, scale: float) -> None:
    """Also if the same vector is stored twice, in blocks of any size."""
    matrix = np.stack([*others, vector, vector]) * np.float32(scale)
    vectors = Vectors(vocab_of([f"w{v}" for v in range(len(matrix))]), matrix)
    first, second = f"w{len(others)}", f"w{len(others) + 1}"
    assert vectors.similarity(first, first) == vectors.similarity(first, second) == 1
    assert dict(vectors.neighbors(first, top=99))[second] == 1
    assert all(-1 <= score <= 1 for _, score in vectors.neighbors(first, top=99))


@given(st.data(), st.lists(VECTOR, min_size=4, max_size=9))
def test_expression_has_the_meaning_of_the_reference(data, matrix) -> None:
    rows = {f"w{v}": row.tolist() for v, row in enumerate(matrix)}
    vectors = Vectors(vocab_of([*rows]), np.stack(matrix))
    names = data.draw(st.lists(st.sampled_from([*rows]), min_size=1, max_size=4, unique=True))
    terms, parts = [], []
    while names:
        group = [names.pop() for _ in range(data.draw(st.integers(1, len(names))))]
        weight = data.draw(st.sampled_from([1.0, -1.0, 2.0, -0.5]))
        terms.append((weight, group))
        parts += ["-" if weight < 0 else "+", f'{abs(weight)}*"{" ".join(group)}"']
    used = {name for _, group in terms for name in group}
    value = plain.value_of(rows, terms)
    if sum(x * x for x in value) < 1e-9:
        with pytest.raises(DataError, match="their vectors cancel out"):
            vectors.query(" ".join(parts))
    else:
        assert equal(vectors.query(" ".join(parts), 5), plain.ranked(rows, value, used, 5))


def test_query_filters_limit_the_answers(vectors: Vectors) -> None:
    everything = vectors.query("king + queen", top=9)
    assert [word for word, _ in everything if word in ("man", "woman")] == [
        word for word, _ in vectors.query("king + queen", among=["woman", "man", "king", "zero"])
    ]
    ranks = {word: rank for rank, word in enumerate(WORDS, 1)}  # counts are 7, 6, 5, ...
    for filters in ({"max_rank": 4}, {"min_frequency": 4}):
        expected = [(word, score) for word, score in everything if ranks[word] <= 4]
        assert vectors.query("king + queen", **filters) == expected
    assert vectors.query("king + queen", max_rank=2) == []
    vectors.vocab.counts[:] = -1
    with pytest.raises(ConfigError, match="min_frequency: these vectors have no word counts"):
        vectors.query("king", min_frequency=1)
    with pytest.raises(ConfigError, match="max_rank: 0 is too small"):
        vectors.query("king", max_rank=0)


@pytest.mark.parametrize("scale", ["1e300", "1e-320"])
def test_weights_matter_by_their_ratio_alone(vectors: Vectors, scale: str) -> None:
    scaled = vectors.query(f"{scale}*king - {scale}*man + {scale}*queen")
    assert dict(scaled) == pytest.approx(
        dict(vectors.query("king - man + queen")), abs=1e-3
    )  # 1e-320: 4 digits


def test_phrase_is_an_entry_or_the_mean_of_its_words() -> None:
    matrix = np.array([[1, 0], [0, 1], [-1, 3], [1, 1]], np.float32)
    vectors = Vectors(vocab_of(["new", "york", "new york", "x"]), matrix)
    assert vectors.split_phrase("new york") == ["new york"]
    assert vectors.split_phrase("york new") == ["york", "new"]
    assert dict(vectors.query('"york new"'))["x"] == pytest.approx(1)
    assert "new york" not in dict(vectors.query('"new york"'))


def test_neighbors_of_a_list_are_near_its_mean(vectors: Vectors) -> None:
    rows = {word: row(vectors, word).tolist() for word in WORDS}
    mean = plain.mean([plain.direction(rows[word]) for word in ("king", "king", "man")])
    found, alone = vectors.neighbors_of([["king", "king", "man"], "queen"], 3)
    assert equal(found, plain.ranked(rows, mean, {"king", "man"}, 3))
    assert alone == vectors.neighbors("queen", 3)
    assert vectors.neighbors_of([1, [0, 0, 2]], 3) == [alone, found]
    assert vectors.neighbors_of(np.array([1]), 3, among=np.arange(7)) == [alone]
    for word_id in (-1, 7):
        with pytest.raises(ConfigError, match=f"words: {word_id} is not an id. Choose from 0 to 6"):
            vectors.neighbors_of([word_id])
        with pytest.raises(ConfigError, match=f"words: {word_id} is not an id"):
            vectors.neighbors_of(["king"], among=[word_id])
    assert vectors.neighbors_of(["king"], among=["apple"])[0] == [
        each for each in vectors.neighbors("king") if each[0] == "apple"
    ]


def test_odd_one_out_fits_least(vectors: Vectors) -> None:
    names = ["king", "queen", "man", "woman"]
    mean = plain.mean([plain.direction(row(vectors, word).tolist()) for word in names])
    scores = vectors.odd_one_out(names)
    assert scores == pytest.approx({word: plain.cosine(row(vectors, word), mean) for word in names})
    assert [*scores] == sorted(scores, key=lambda word: scores[word])
    with pytest.raises(ConfigError, match="fewer than three"):
        vectors.odd_one_out(["king", "man"])
    with pytest.raises(ConfigError, match="king is named twice"):
        vectors.odd_one_out(["king", "man", "king", "queen"])
