"""Questions put to word vectors have the answers of the plain formulas, and what is stored comes back."""

import json
import warnings
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array
from support.results import seal

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.storage.manifest import write_json
from nlpseq.vectors import vectors as vectors_module
from nlpseq.vectors.vectors import Vectors

WORDS = ["king", "queen", "man", "woman", "King", "zero", "apple"]


def vocab(words: list[str]) -> Vocab:
    return Vocab(words, np.arange(len(words), 0, -1))


@pytest.fixture
def vectors() -> Vectors:
    matrix = np.random.default_rng(7).normal(size=(7, 5)).astype(np.float32)
    matrix[WORDS.index("zero")] = 0
    return Vectors(vocab(WORDS), matrix, meta={"seed": 7})


def cosine(a, b) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


def ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda word: -scores[word])  # stable: ties stay in order of id


def row(vectors: Vectors, word: str):
    return vectors.matrix[WORDS.index(word)].astype(np.float64)


def test_unit_rows_have_length_one_and_zero_stays_zero(vectors: Vectors) -> None:
    lengths = np.linalg.norm(vectors.unit, axis=1)
    assert vectors.unit.dtype == np.float32
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 1, 0, 1], atol=1e-6)  # float32 rounding of each number


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_unit_rows_of_very_short_and_very_long_vectors(scale: float) -> None:
    vectors = Vectors(vocab(["a"]), np.array([[3, 4]], np.float32) * np.float32(scale))
    np.testing.assert_allclose(vectors.unit, [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("word", WORDS)
def test_neighbors_are_ranked_by_cosine(vectors: Vectors, word: str) -> None:
    expected = {o: cosine(row(vectors, word), row(vectors, o)) for o in WORDS if o != word}
    answers = vectors.neighbors(word, top=4)
    assert [answer for answer, _ in answers] == ranked(expected)[:4]
    for answer, score in answers:
        assert score == pytest.approx(expected[answer], abs=1e-6)  # float32 products


def test_neighbors_of_more_words_than_there_are(vectors: Vectors) -> None:
    assert len(vectors.neighbors("king", top=100)) == 6
    assert Vectors(vocab(["alone"]), np.ones((1, 2), np.float32)).neighbors("alone") == []
    with pytest.raises(ConfigError, match="top is 0"):
        vectors.neighbors("king", top=0)


@settings(deadline=None, derandomize=True)
@given(
    hnp.arrays(np.int8, st.tuples(st.integers(2, 9), st.just(2)), elements=st.integers(-1, 1)),
    st.integers(1, 10),
)
def test_ties_go_by_id(matrix, top: int) -> None:
    vectors = Vectors(vocab([f"w{v}" for v in range(len(matrix))]), matrix.astype(np.float32))
    scores = vectors.unit @ vectors.unit[0]
    expected = sorted(range(1, len(matrix)), key=lambda v: (-scores[v], v))[:top]
    assert [word for word, _ in vectors.neighbors("w0", top)] == [f"w{v}" for v in expected]


@pytest.mark.parametrize("top", [1, 2, 10, 30, 62, 63, 400, 1998, 1999, 2000])
@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_the_best_of_many_words_are_those_of_a_full_sort(spread: int, top: int) -> None:
    """Ties among few different vectors, and the best all in one stretch of ids."""
    matrix = np.random.default_rng(spread).integers(-spread, spread + 1, (2000, 3)).astype(np.float32)
    matrix[700:740] = matrix[0] + 0.01 * np.arange(40)[:, None]
    vectors = Vectors(vocab([f"w{v}" for v in range(len(matrix))]), matrix)
    scores = vectors.unit @ vectors.unit[0]
    expected = sorted(range(1, len(matrix)), key=lambda v: (-scores[v], v))[:top]
    assert [word for word, _ in vectors.neighbors("w0", top)] == [f"w{v}" for v in expected]


def test_similarity_is_the_cosine(vectors: Vectors) -> None:
    assert vectors.similarity("king", "queen") == pytest.approx(
        cosine(row(vectors, "king"), row(vectors, "queen"))
    )
    assert vectors.similarity("king", "king") == pytest.approx(1)
    assert vectors.similarity("king", "zero") == 0


def test_3cosadd_is_its_formula(vectors: Vectors) -> None:
    unit = {word: row(vectors, word) / (np.linalg.norm(row(vectors, word)) or 1) for word in WORDS}
    query = unit["king"] - unit["man"] + unit["woman"]
    expected = {x: cosine(unit[x], query) for x in WORDS if x not in ("man", "king", "woman")}
    answers = vectors.analogy("man", "king", "woman")
    assert [word for word, _ in answers] == ranked(expected)
    assert dict(answers) == pytest.approx(expected, abs=1e-6)  # float32 products


def test_3cosmul_is_its_formula(vectors: Vectors) -> None:
    def near(x: str, y: str) -> float:
        return (cosine(row(vectors, x), row(vectors, y)) + 1) / 2

    others = [x for x in WORDS if x not in ("man", "king", "woman")]
    expected = {x: near(x, "king") * near(x, "woman") / (near(x, "man") + 0.001) for x in others}
    answers = vectors.analogy("man", "king", "woman", method="3cosmul")
    assert [word for word, _ in answers] == ranked(expected)
    assert dict(answers) == pytest.approx(expected, rel=1e-4)  # float32 cosines, over one that may be near 0


def test_an_analogy_finds_the_parallel_word() -> None:
    matrix = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0.2, 0.4, -1]], np.float32)
    vectors = Vectors(vocab(["king", "queen", "man", "woman", "fish", "x"]), matrix)
    for method in ("3cosadd", "3cosmul"):
        assert vectors.analogy("man", "king", "woman", method=method)[0][0] == "queen"
    assert [word for word, _ in vectors.analogy("man", "man", "man")].count("man") == 0
    with pytest.raises(ConfigError, match="method is '3cosdiv'"):
        vectors.analogy("man", "king", "woman", method="3cosdiv")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("KING", "king or King"), ("quen", "queen"), ("Woman", "woman or man"), ("aple", "apple")],
)
def test_unknown_words_bring_what_was_meant(vectors: Vectors, wrong: str, meant: str) -> None:
    with pytest.raises(DataError, match=rf"^'{wrong}' is not among the 7 words .* Did you mean {meant}\?$"):
        vectors.neighbors(wrong)


def test_unknown_words_like_none(vectors: Vectors) -> None:
    with pytest.raises(DataError, match=r"'xylophone' is not .*\. vocab\.tsv lists"):
        vectors.word_id("xylophone")


def test_few_words_of_a_large_vocabulary_are_compared_letter_by_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []

    def count(word: str, words: list[str], n: int) -> list[str]:
        compared.append(len(words))
        return get_close_matches(word, words[:9], n)

    monkeypatch.setattr(vectors_module, "get_close_matches", count)
    large = Vectors(vocab([f"word{v:06d}" for v in range(50_000)]), np.zeros((50_000, 1), np.float32))
    with pytest.raises(DataError, match="Did you mean word000002 or"):
        large.word_id("wrod000002")
    assert compared == [20_000]


@pytest.mark.parametrize("with_contexts", [False, True])
def test_a_folder_comes_back(tmp_path: Path, vectors: Vectors, with_contexts: bool) -> None:
    if with_contexts:
        vectors.contexts = vectors.matrix[::-1].copy()
    vectors.save(tmp_path / "a.w2v")
    loaded = Vectors.load(tmp_path / "a.w2v")
    assert loaded.vocab.words == WORDS
    assert loaded.vocab.counts.tolist() == vectors.vocab.counts.tolist()
    assert np.array_equal(loaded.matrix, vectors.matrix)
    assert (loaded.contexts is not None) == with_contexts
    if with_contexts:
        assert np.array_equal(loaded.contexts, vectors.contexts)
    expected = {"seed": 7, "dim": 5, "num_words": 7, "format": "nlpseq-vectors", "format_version": 1}
    assert loaded.meta.items() >= expected.items()
    assert loaded.neighbors("king") == vectors.neighbors("king")


def test_saving_again_is_stamped_anew(tmp_path: Path, vectors: Vectors) -> None:
    vectors.meta |= {"format": "nlpseq-other", "format_version": 0, "nlpseq_version": "0"}
    vectors.save(tmp_path / "a.w2v")
    with pytest.raises(ConfigError, match="--force"):
        vectors.save(tmp_path / "a.w2v")
    Vectors.load(tmp_path / "a.w2v").save(tmp_path / "a.w2v", force=True)  # over the files it is mapped from
    assert np.array_equal(Vectors.load(tmp_path / "a.w2v").matrix, vectors.matrix)


def test_vectors_of_other_tools(tmp_path: Path, vectors: Vectors) -> None:
    vectors.write(tmp_path / "a.vec")
    loaded = Vectors.load(tmp_path / "a.vec")
    assert loaded.vocab.words == WORDS
    assert loaded.vocab.counts.tolist() == [-1] * 7  # unknown
    assert np.array_equal(loaded.matrix, vectors.matrix)
    assert loaded.meta == {"read_from": "a.vec", "read_format": "word2vec text", "notices": []}
    loaded.save(tmp_path / "a.w2v")
    assert Vectors.load(tmp_path / "a.w2v").vocab.counts.tolist() == [-1] * 7


def test_write_makes_a_folder_where_the_name_asks_for_one(tmp_path: Path, vectors: Vectors) -> None:
    for written in (vectors.write(tmp_path / "a.w2v"), vectors.write(tmp_path / "b.c", "nlpseq")):
        assert (written.num_words, written.notices) == (7, [])
        assert np.array_equal(Vectors.load(written.files[0]).matrix, vectors.matrix)
        with pytest.raises(ConfigError, match="--force"):
            vectors.write(written.files[0], "nlpseq")
    with pytest.raises(ArtifactError, match="it is a folder"):
        Vectors.load(tmp_path / "a.w2v", "glove")


def test_explicit_vectors_are_written_as_a_folder_alone(tmp_path: Path) -> None:
    explicit = Vectors(vocab(["a", "b"]), csr_array(np.eye(2, dtype=np.float32)))
    with pytest.raises(DataError, match=r"one sparse matrix, which only a folder .* holds"):
        explicit.write(tmp_path / "a.vec")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_noticed(tmp_path: Path, vectors: Vectors) -> None:
    path = tmp_path / "a.w2v"

    def refused(message: str) -> None:
        seal(path)
        with pytest.raises(ArtifactError, match=message):
            Vectors.load(path)
        vectors.save(path, force=True)

    vectors.save(path)
    np.save(path / "vectors.npy", vectors.matrix[:, :3])
    refused(r"vectors.npy has shape \(7, 3\), meta.json says \(7, 5\)")
    np.save(path / "vectors.npy", vectors.matrix.astype(np.float64))
    refused("vectors.npy: holds float64")
    vocab(WORDS[::-1]).save(path / "vocab.tsv")
    refused("vocab.tsv does not have the digest")
    meta = json.loads((path / "meta.json").read_text("utf-8"))
    write_json(path / "meta.json", meta | {"num_words": 6})
    refused("vocab.tsv does not hold 6 words")
    write_json(path / "meta.json", meta | {"has_contexts": True})
    refused("contexts.npy: is not a readable")
    np.save(path / "vectors.npy", np.full_like(vectors.matrix, np.inf))
    refused(r"'king' holds numbers that are not finite\. .*damaged")


def test_a_flipped_byte_is_noticed(tmp_path: Path, vectors: Vectors) -> None:
    vectors.save(tmp_path / "a.w2v")
    file = tmp_path / "a.w2v" / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="does not match its sha256"):
        Vectors.load(tmp_path / "a.w2v")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_stored(tmp_path: Path, vectors: Vectors, bad: float) -> None:
    vectors.contexts = vectors.matrix.copy()
    vectors.contexts[2, 1] = bad
    with pytest.raises(RunError, match=r"'man' holds numbers that are not finite.*lower learning rate"):
        vectors.save(tmp_path / "a.w2v")
    vectors.matrix[3, 0] = bad
    with pytest.raises(RunError, match="'woman'"):
        vectors.write(tmp_path / "a.vec")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.vec").write_text("1 1\na nan\n")
    with pytest.raises(ArtifactError, match=r"'a' holds numbers that are not finite\. .*a\.vec is damaged"):
        Vectors.load(tmp_path / "a.vec")


def test_gensim_answers_the_same() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keyed_vectors = pytest.importorskip("gensim.models.keyedvectors")
        words = [f"w{v}" for v in range(60)]
        matrix = np.random.default_rng(5).normal(size=(60, 20)).astype(np.float32)
        keyed = keyed_vectors.KeyedVectors(20)
        keyed.add_vectors(words, matrix)
        vectors = Vectors(vocab(words), matrix)
        pairs = [(vectors.neighbors("w3"), keyed.most_similar("w3"))]
        pairs.append(
            (vectors.analogy("w1", "w2", "w3"), keyed.most_similar(positive=["w2", "w3"], negative=["w1"]))
        )
        ours = vectors.analogy("w1", "w2", "w3", method="3cosmul")
        pairs.append((ours, keyed.most_similar_cosmul(positive=["w2", "w3"], negative=["w1"])))
    for ours, theirs in pairs:
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        assert dict(ours) == pytest.approx(dict(theirs), rel=0.01)  # gensim's 3CosMul has an epsilon of 1e-6
