"""Unseen words have the mean of their n-grams in queries, evaluation, conversion and transformations."""

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nlpseq.config import Ngrams
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError, UnknownWord
from nlpseq.evaluation.analogies import Section, evaluate_analogies
from nlpseq.evaluation.word_pairs import Pair, evaluate_pairs
from nlpseq.vectors.align import align
from nlpseq.vectors.postprocess import postprocess
from nlpseq.vectors.shrink import shrink
from nlpseq.vectors.subwords import SubwordVectors, sum_rows
from nlpseq.vectors.vectors import FoundWord, Vectors

WORDS = ["king", "queen", "왕", "never", "zero"]
COUNTS = [9, 7, 5, 0, 1]
TEXT = {"tokenizer": "word", "lower": True, "normalize": "NFC", "punctuation": False}


def make(text: bool = False, counts: list[int] = COUNTS, seed: int = 1) -> Vectors:
    """Return vectors in which `never` is not in the text, and `zero` has a vector of zeros."""
    draw = np.random.default_rng(seed).normal
    matrix, rows = draw(size=(5, 6)).astype(np.float32), draw(size=(40, 6)).astype(np.float32)
    matrix[4] = 0
    meta = {"text_config": TEXT} if text else {}
    return Vectors(
        Vocab(WORDS, np.array(counts)), matrix, matrix * 2, meta, SubwordVectors(rows, Ngrams(3, 4))
    )


def mean_of(vectors: Vectors, word: str) -> np.ndarray:
    assert vectors.subwords is not None
    return vectors.subwords.vectors([word])[0]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.astype(np.float64) @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_mapping_has_unseen_words() -> None:
    vectors = make()
    for word in ("kings", "👩‍👩‍👧", "왕관"):
        assert word in vectors and vectors.find(word) is None
        np.testing.assert_array_equal(vectors[word], mean_of(vectors, word))
        np.testing.assert_allclose(
            vectors.get_vector(word, norm=True) @ vectors[word], np.linalg.norm(vectors[word])
        )
    assert list(vectors) == WORDS and len(vectors) == 5 and vectors.get_vecattr("kings", "count") == 0


def test_queries_answer_unseen_words() -> None:
    vectors = make()
    direct = dict(vectors.nearest(mean_of(vectors, "kings"), 3))
    for answers in (
        vectors.neighbors("kings", 3),
        vectors.neighbors_of([["kings"]], 3)[0],
        vectors.query("kings", 3),
        vectors.most_similar("kings", topn=3),
    ):
        assert dict(answers) == pytest.approx(direct) and len(answers) == 3
    king = vectors["king"]
    assert vectors.similarity("kings", "king") == pytest.approx(
        cosine(mean_of(vectors, "kings"), king), abs=1e-6
    )
    assert vectors.similarity("kings", "kings") == 1
    assert {"kings", "king", "wrod"} == {*vectors.odd_one_out(["kings", "king", "wrod"])}
    for method in ("3cosadd", "3cosmul"):
        assert {word for word, _ in vectors.analogy("kings", "king", "wrod", 5, method)} == {"queen", "왕"}


def test_words_never_trained_have_their_ngrams() -> None:
    """Entries of the vocabulary outside the text or without a trained pair count as unseen."""
    vectors = make()
    for word in ("never", "zero"):
        assert vectors.find_vector(word) == FoundWord(word, None)
        for found in (vectors[word], vectors.get_vector(word), *vectors.stored_rows([vectors.lookup(word)])):
            np.testing.assert_array_equal(found, mean_of(vectors, word))
        wanted = dict(vectors.nearest(mean_of(vectors, word), 3))
        assert dict(vectors.neighbors(word, 3)) == pytest.approx(wanted)
        assert word not in wanted
    with pytest.raises(DataError, match="does not occur in the text"):
        vectors.without_subwords().neighbors("never")
    np.testing.assert_array_equal(vectors.without_subwords()["zero"], np.zeros(6))
    np.testing.assert_array_equal(vectors.without_subwords()["never"], vectors.matrix[3])


def test_gensim_names_take_ngrams_of_untrained_words() -> None:
    """Compare with vectors in which the means of the n-grams are rows of the vocabulary."""
    vectors = make()
    matrix = vectors.matrix.copy()
    matrix[3:] = mean_of(vectors, "never"), mean_of(vectors, "zero")
    known = Vectors(Vocab(WORDS, np.full(5, 9)), matrix)
    for each in (vectors, known):
        each.__dict__["answers"] = (
            each.n_similarity(["king", "zero"], ["queen", "never"]),
            each.wmdistance(["king", "zero"], ["queen", "never"]),
            each.wmdistance(["zero"], ["king"], norm=False),
            each.odd_one_out(["king", "zero", "never"]),
            each.doesnt_match(["king", "zero", "never"]),
        )
    for ours, theirs in zip(vectors.__dict__["answers"], known.__dict__["answers"], strict=True):
        assert ours == (theirs if isinstance(theirs, str) else pytest.approx(theirs, abs=1e-6))


def test_model_does_not_grow_with_unseen_words() -> None:
    vectors = make()
    vectors.neighbors("unseen0")
    before = len(pickle.dumps(vectors))
    for n in range(1, 9):
        vectors.neighbors(f"unseen{n}")
        vectors.find_words(f"text with unseen{n}")
    assert len(pickle.dumps(vectors)) == before


def test_unseen_words_are_refused_without_subwords() -> None:
    vectors = make().without_subwords()
    assert "kings" not in vectors
    with pytest.raises(UnknownWord, match="Did you mean king"):
        vectors.neighbors("kings")


def test_word_without_ngrams_is_unknown() -> None:
    vectors = make()
    vectors.subwords = SubwordVectors(vectors.subwords.rows_BD, Ngrams(6, 7))
    with pytest.raises(UnknownWord, match="has no trained n-gram of 6 to 7 characters"):
        vectors.neighbors("a")
    assert "a" not in vectors and vectors.find_words("king a") == ([FoundWord("king", 0)], ["a"])
    with pytest.raises(UnknownWord, match=r"no trained n-gram .* characters\. Did you mean king"):
        vectors.neighbors("kng")
    vectors.subwords = SubwordVectors(vectors.subwords.rows_BD, Ngrams(6, 7, "jamo"))
    with pytest.raises(UnknownWord, match="n-gram of 6 to 7 characters or 3 to 5 jamo"):
        vectors.neighbors("a")


def test_words_of_unknown_count_may_answer() -> None:
    vectors = make(counts=[-1, 7, 1, 5, 5])
    assert {word for word, _ in vectors.query("kings", min_frequency=5)} == {"king", "queen", "never"}


def test_unseen_word_is_written_as_the_tokenizer_does() -> None:
    vectors = make(text=True)
    assert vectors.find_vector("KINGS!") == FoundWord("kings", None)
    np.testing.assert_array_equal(vectors["KINGS!"], mean_of(vectors, "kings"))
    with pytest.raises(UnknownWord, match="is 2 words in the text"):
        vectors.neighbors("king-wrod")
    found, unknown = vectors.find_words("The King, a Wrod!")
    assert unknown == [] and [each.word for each in found] == ["the", "king", "a", "wrod"]


def test_pairs_count_words_without_any_vector() -> None:
    vectors = make()
    pairs = [
        Pair("kings", "king", 1),
        Pair("queens", "queen", 2),
        Pair("wrod", "king", 3),
        Pair("", "king", 4),
    ]
    found = evaluate_pairs(vectors, pairs)
    assert (found.used, found.oov) == (3, 1)
    cosines = [vectors.similarity(pair.a, pair.b) for pair in pairs[:3]]
    assert found.pearson == pytest.approx(np.corrcoef(cosines, [1, 2, 3])[0, 1])
    assert evaluate_pairs(vectors.without_subwords(), pairs).oov == 4


def test_analogies_have_unseen_questions_but_no_unseen_answers() -> None:
    vectors = make()
    best = vectors.analogy("kings", "king", "wrod", 1)[0][0]
    other = "queen" if best == "왕" else "왕"
    asked = [("kings", "king", "wrod", word) for word in (best, other, "queens")]
    (score, _) = evaluate_analogies(vectors, [Section("family", asked)])[:2]
    assert (score.add, score.used, score.oov) == (1, 2, 1)
    (score, _) = evaluate_analogies(vectors, [Section("family", asked)], restrict_vocab=4)[:2]
    assert (score.used, score.oov) == (0, 3)


def test_postprocessing_changes_unseen_words_alike() -> None:
    vectors = make(counts=[9, 7, 5, 3, 1])
    changed = postprocess(vectors, center=True, remove_components=2)
    moved = np.append(vectors.matrix, [mean_of(vectors, "kings")], axis=0) - vectors.matrix.mean(axis=0)
    _, _, directions = np.linalg.svd(moved[:5])
    wanted = moved - moved @ directions[:2].T @ directions[:2]
    np.testing.assert_allclose(changed.matrix, wanted[:5], atol=1e-5)
    np.testing.assert_allclose(changed["kings"], wanted[5], atol=1e-5)


def test_rotation_and_projection_change_unseen_words_alike() -> None:
    """A vocabulary word with the vector of an unseen word stays equal to it."""
    draw = np.random.default_rng(3).normal
    words = [*(f"w{n}" for n in range(8)), "twin"]
    subwords = make().subwords
    assert subwords is not None
    twin = subwords.vectors(["kings"])
    matrix = np.append(draw(size=(8, 6)), twin, axis=0).astype(np.float32)
    mine = Vectors(Vocab(words, np.full(9, 5)), matrix, subwords=subwords)
    other = Vectors(Vocab(words, np.full(9, 5)), draw(size=(9, 6)).astype(np.float32))
    for changed in (align(other, mine), shrink(mine, pca=3)):
        assert not np.allclose(changed["twin"][:3], mine["twin"][:3])
        np.testing.assert_allclose(changed["kings"], changed["twin"], atol=1e-6)


def test_list_of_words_gives_rows_of_unseen_words(tmp_path: Path) -> None:
    vectors = make()
    asked = ["kings", "왕", "wrod", "king", "kings"]
    small = shrink(vectors, words=asked)
    assert list(small) == ["king", "왕", "kings", "wrod"] and small.vocab.counts.tolist() == [9, 5, -1, -1]
    assert "2 unseen words with a vector made from subwords: 'kings', 'wrod'" in small.meta["notices"]
    small.save(tmp_path / "small.w2v")
    small.write(tmp_path / "small.vec")
    for again in (Vectors.load(tmp_path / "small.w2v"), Vectors.load(tmp_path / "small.vec")):
        for word in small:
            np.testing.assert_array_equal(again[word], vectors[word])
        assert again.find("kings") == "kings" and again.neighbors("kings", 1)
    assert Vectors.load(tmp_path / "small.w2v").similarity("queens", "king") == pytest.approx(
        vectors.similarity("queens", "king"), abs=1e-6
    )
    assert list(shrink(vectors, words=asked, keep_top=3)) == ["king", "왕", "kings"]
    compact = shrink(vectors, words=asked, dtype="int8")
    assert compact.similarity("kings", "king") == pytest.approx(vectors.similarity("kings", "king"), abs=0.02)
    with pytest.raises(DataError, match="no word left"):
        shrink(vectors.without_subwords(), words=["kings"])


def test_folder_keeps_unseen_words(tmp_path: Path) -> None:
    vectors = make(text=True)
    vectors.save(tmp_path / "a.w2v")
    again = Vectors.load(tmp_path / "a.w2v")
    np.testing.assert_array_equal(again["kings"], vectors["kings"])
    assert again.neighbors("kings") == vectors.neighbors("kings")


def test_centered_words_without_trained_ngrams_have_no_vector() -> None:
    rows_BD = np.zeros((100_000, 4), np.float32)
    vectors = Vectors(Vocab(["king", "lone"], np.ones(2)), np.array([[1.0, 2, 3, 4], [0] * 4], np.float32))
    bags = SubwordVectors(rows_BD, Ngrams(3, 4)).ngram_rows(["king"])
    rows_BD[bags.rows_N] = 1
    vectors.subwords = SubwordVectors(rows_BD, Ngrams(3, 4))
    for each in (vectors, postprocess(vectors, center=True)):
        assert each.find_vector("zzzqq") is None and each.find_vector("lone") is None
        assert each.find_vector("kings") is not None


def test_long_word_is_summed_in_parts() -> None:
    draw = np.random.default_rng(1).normal
    subwords = SubwordVectors(draw(size=(50, 3)).astype(np.float32), Ngrams(2, 3))
    words = ["short", "verylong" * 3000, "end"]  # 48,000 n-grams
    bags = subwords.ngram_rows(words)
    wanted = [
        subwords.rows_BD[bags.rows_N[a:b]].sum(axis=0, dtype=np.float64) for a, b in pairwise(bags.starts_V)
    ]
    np.testing.assert_allclose(sum_rows(bags, subwords.rows_BD), wanted, rtol=1e-3)
    np.testing.assert_allclose(sum_rows(bags, subwords.rows_BD, np.float64), wanted, rtol=1e-12)


@pytest.mark.parametrize("is_mapped", [False, True])
def test_unseen_words_are_kept_and_left_out(tmp_path: Path, is_mapped: bool) -> None:
    vectors = make()
    if is_mapped:
        vectors.write(tmp_path / "a.bin", "fasttext")
        untrained, vectors = vectors, Vectors.load(tmp_path / "a.bin")
        np.testing.assert_allclose(vectors["zero"], untrained["zero"], rtol=1e-5)
    assert vectors.is_computed == is_mapped
    kept = shrink(vectors, words=["wrod", "king", "kings", "queen"], drop=["wrod", "queen", "xyz"])
    assert kept.vocab.words == ["king", "kings"] and kept.is_computed == is_mapped
    np.testing.assert_allclose(kept.matrix[:], np.stack([vectors["king"], vectors["kings"]]), rtol=1e-6)
    assert [each for each in kept.meta["notices"] if "leave out" in each] == [
        "1 word to leave out not found: 'xyz'"
    ]
